package config

import (
	"net"
	"net/netip"
	"strings"
)

// bypasses reports whether a list like NO_PROXY's says that a host is connected to
// directly. Its entries, divided by commas, are: * for all; an address; a network
// as in 10.0.0.0/8; a name, which stands for the names below it too; .name for
// those only. An entry may end with a port.
func bypasses(list, host, port string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	addr, err := netip.ParseAddr(host)
	isAddr := err == nil
	addr = addr.Unmap().WithZone("")
	for entry := range strings.SplitSeq(list, ",") {
		entry = strings.ToLower(strings.TrimSpace(entry))
		if entry == "*" {
			return true
		}
		if h, p, err := net.SplitHostPort(entry); err == nil {
			if p != port {
				continue
			}
			entry = h
		}
		if entry == "" {
			continue
		}
		if isAddr {
			if network, err := netip.ParsePrefix(entry); err == nil && network.Contains(addr) {
				return true
			}
			if other, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil && other.Unmap() == addr {
				return true
			}
			continue
		}
		name := strings.TrimPrefix(strings.TrimPrefix(entry, "*"), ".")
		if name != "" && (strings.HasSuffix(host, "."+name) || host == name && name == entry) {
			return true
		}
	}
	return false
}

// netHost is the host of an address with a port.
func netHost(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}
