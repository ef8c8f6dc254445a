package config

import "net"

const metricsHint = `write a host and a port, or a port only: "127.0.0.1:9117", "[::1]:9117" or ":9117"`

// MetricsAddress returns the TCP address that --metrics asks for, "" for none. A port
// alone is one of this machine's loopback, since whoever reaches it may read: that others
// do has to be said. The error is an *Error.
func MetricsAddress(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if !isListenAddress(text) {
		return "", &Error{Setting: "--metrics", Value: text, Found: "this is not an address to listen at", Hint: metricsHint}
	}
	host, port, _ := net.SplitHostPort(text)
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}
