package config

import "slices"

// Kind says how a key's value is written.
type Kind uint8

// The kinds.
const (
	KindText   Kind = iota // a string
	KindTime               // a string with a number and a unit, or 0
	KindNumber             // an integer, or a string
	KindOctal              // a string of octal digits, or an integer that begins with 0o
	KindSwitch             // true or false
	KindPaths              // a path, or an array of them
	KindPath               // a path
)

// String says how a value is written, for the documentation.
func (k Kind) String() string {
	switch k {
	case KindText:
		return "text"
	case KindTime:
		return "time"
	case KindNumber:
		return "number or text"
	case KindOctal:
		return "octal"
	case KindSwitch:
		return "switch"
	case KindPaths:
		return "path or array of them"
	case KindPath:
		return "path"
	default:
		return "?"
	}
}

// Place says which tables of a configuration file a key may stand in.
type Place uint8

// The places.
const (
	PlacePort     Place = iota // [[port]], and [defaults] for all ports
	PlaceOnePort               // [[port]] only
	PlaceInstance              // above the first table: the whole instance's
)

// Key is one key of a configuration file.
type Key struct {
	Name  string
	Kind  Kind
	Place Place
	// Default is what counts without the key, as it would be written. It is empty
	// where that depends on something else, which Otherwise then says.
	Default   string
	Otherwise string
	// NoFlag is set for a key that no flag of vcomd has.
	NoFlag bool

	field func(*settings) any // *string, *bool or *[]string, as Kind says
}

// settings are what keys write to.
type settings struct {
	port     Port
	start    string
	instance instance
}

// instance is what is said of the whole instance, as it was written.
type instance struct {
	name, runDir, logLevel, trace, metrics string
	include                                []string
}

// Defaults of the instance, as users write them.
const (
	DefaultInstance = "vcomd"
	DefaultLogLevel = "info"
	DefaultStart    = "boot"
)

const notSet = "none" // an Otherwise

// keys are all keys of a configuration file: what is read, what vcomd check -c
// prints, in this order, and what the documentation has.
var keys = []Key{
	{Name: "name", Kind: KindText, Place: PlaceInstance, Default: DefaultInstance, field: func(s *settings) any { return &s.instance.name }},
	{Name: "run-dir", Kind: KindPath, Place: PlaceInstance, Otherwise: "/run/vcomd for root, else $XDG_RUNTIME_DIR/vcomd", field: func(s *settings) any { return &s.instance.runDir }},
	{Name: "log-level", Kind: KindText, Place: PlaceInstance, Default: DefaultLogLevel, field: func(s *settings) any { return &s.instance.logLevel }},
	{Name: "trace", Kind: KindPath, Place: PlaceInstance, Otherwise: notSet, field: func(s *settings) any { return &s.instance.trace }},
	{Name: "metrics", Kind: KindText, Place: PlaceInstance, Otherwise: notSet, field: func(s *settings) any { return &s.instance.metrics }},
	{Name: "include", Kind: KindPaths, Place: PlaceInstance, Otherwise: notSet, NoFlag: true, field: func(s *settings) any { return &s.instance.include }},

	{Name: "name", Kind: KindText, Place: PlaceOnePort, Otherwise: "the link's last part", field: func(s *settings) any { return &s.port.Name }},
	{Name: "remote", Kind: KindText, Place: PlaceOnePort, Otherwise: "it must be given", NoFlag: true, field: func(s *settings) any { return &s.port.Remote }},
	{Name: "start", Kind: KindText, Default: DefaultStart, NoFlag: true, field: func(s *settings) any { return &s.start }},
	{Name: "link", Kind: KindPaths, Place: PlaceOnePort, Otherwise: notSet, field: func(s *settings) any { return &s.port.Links }},
	{Name: "overlay", Kind: KindPath, Place: PlaceOnePort, Otherwise: notSet, field: func(s *settings) any { return &s.port.Overlay }},
	{Name: "tty", Kind: KindText, Default: DefaultTTY, field: func(s *settings) any { return &s.port.TTY }},
	{Name: "owner", Kind: KindNumber, Otherwise: "as it is", field: func(s *settings) any { return &s.port.Owner }},
	{Name: "group", Kind: KindNumber, Otherwise: "dialout for root", field: func(s *settings) any { return &s.port.Group }},
	{Name: "mode", Kind: KindOctal, Otherwise: "0660 for root, else 0600", field: func(s *settings) any { return &s.port.Mode }},

	{Name: "line", Kind: KindNumber, Otherwise: notSet, field: func(s *settings) any { return &s.port.Line }},
	{Name: "lines", Kind: KindText, Otherwise: "leave; raise under vcomd run and with usb", field: func(s *settings) any { return &s.port.Policy.Lines }},
	{Name: "dtr", Kind: KindText, Otherwise: "as lines says", field: func(s *settings) any { return &s.port.Policy.DTR }},
	{Name: "rts", Kind: KindText, Otherwise: "as lines says", field: func(s *settings) any { return &s.port.Policy.RTS }},
	{Name: "purge", Kind: KindText, Otherwise: "rx; both under vcomd run and with usb", field: func(s *settings) any { return &s.port.Purge }},
	{Name: "purge-on-open", Kind: KindSwitch, field: func(s *settings) any { return &s.port.Policy.PurgeOnOpen }},
	{Name: "settle", Kind: KindTime, Default: DefaultSettle, field: func(s *settings) any { return &s.port.Settle }},
	{Name: "pace", Kind: KindSwitch, field: func(s *settings) any { return &s.port.Policy.Pace }},
	{Name: "suspend", Kind: KindSwitch, field: func(s *settings) any { return &s.port.Policy.Suspend }},
	{Name: "modem-mask", Kind: KindNumber, Otherwise: "the server's own", field: func(s *settings) any { return &s.port.Policy.ModemMask }},
	{Name: "cr-nul", Kind: KindText, Otherwise: "on, in Telnet", field: func(s *settings) any { return &s.port.Policy.CRNUL }},
	{Name: "drop-banner", Kind: KindSwitch, field: func(s *settings) any { return &s.port.Policy.DropBanner }},

	{Name: "connect", Kind: KindText, Default: DefaultConnect, field: func(s *settings) any { return &s.port.Connect }},
	{Name: "close-delay", Kind: KindTime, Default: DefaultCloseDelay, field: func(s *settings) any { return &s.port.CloseDelay }},
	{Name: "retry", Kind: KindTime, Default: DefaultRetry, field: func(s *settings) any { return &s.port.Retry }},
	{Name: "retry-max", Kind: KindTime, Otherwise: "30s, or retry if that is longer", field: func(s *settings) any { return &s.port.RetryMax }},
	{Name: "retries", Kind: KindNumber, Otherwise: "without end", field: func(s *settings) any { return &s.port.Policy.Retries }},
	{Name: "negotiate-timeout", Kind: KindTime, Default: DefaultNegotiateTimeout, field: func(s *settings) any { return &s.port.NegotiateTimeout }},
	{Name: "require-rfc2217", Kind: KindSwitch, field: func(s *settings) any { return &s.port.Policy.RequireRFC2217 }},
	{Name: "dead-after", Kind: KindTime, Default: DefaultDeadAfter, field: func(s *settings) any { return &s.port.Policy.DeadAfter }},
	{Name: "probe", Kind: KindTime, Default: "0", field: func(s *settings) any { return &s.port.Policy.Probe }},
	{Name: "drain", Kind: KindTime, Default: DefaultDrain, field: func(s *settings) any { return &s.port.Policy.Drain }},

	{Name: "on-loss", Kind: KindText, Default: DefaultOnLoss, field: func(s *settings) any { return &s.port.Policy.OnLoss }},
	{Name: "stale-after", Kind: KindTime, Otherwise: "10s, unless while-down is discard", field: func(s *settings) any { return &s.port.Policy.StaleAfter }},
	{Name: "while-down", Kind: KindText, Default: DefaultWhileDown, field: func(s *settings) any { return &s.port.Policy.WhileDown }},
	{Name: "dcd", Kind: KindText, Default: DefaultDCD, field: func(s *settings) any { return &s.port.Policy.DCD }},

	{Name: "bind", Kind: KindText, Otherwise: "the system's choice", field: func(s *settings) any { return &s.port.Transport.Bind }},
	{Name: "proxy", Kind: KindText, Otherwise: "$ALL_PROXY", field: func(s *settings) any { return &s.port.Transport.Proxy }},
	{Name: "tls-ca", Kind: KindPath, Otherwise: "the system's", field: func(s *settings) any { return &s.port.Transport.TLSCA }},
	{Name: "tls-cert", Kind: KindPath, Otherwise: notSet, field: func(s *settings) any { return &s.port.Transport.TLSCert }},
	{Name: "tls-key", Kind: KindPath, Otherwise: notSet, field: func(s *settings) any { return &s.port.Transport.TLSKey }},
	{Name: "tls-server-name", Kind: KindText, Otherwise: "the remote's host", field: func(s *settings) any { return &s.port.Transport.TLSServerName }},
	{Name: "tls-pin", Kind: KindText, Otherwise: notSet, field: func(s *settings) any { return &s.port.Transport.TLSPin }},
	{Name: "tls-insecure", Kind: KindSwitch, field: func(s *settings) any { return &s.port.Transport.TLSInsecure }},
}

// Keys returns all keys of a configuration file, in the order in which vcomd check
// -c prints them: the instance's first.
func Keys() []Key { return slices.Clone(keys) }
