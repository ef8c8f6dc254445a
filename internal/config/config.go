package config

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/termiosmirror"
)

// Defaults of the settings, as users write them.
const (
	DefaultConnect          = "on-open"
	DefaultCloseDelay       = "3s"
	DefaultRetry            = "1s"
	DefaultRetryMax         = "30s"
	DefaultNegotiateTimeout = "4s"
	DefaultSettle           = "1s"
	DefaultTTY              = "pty"
)

// Port is one port's settings as they were written: empty means default.
type Port struct {
	Remote           string
	Name             string
	Links            []string
	Overlay          string
	Line             string
	Connect          string
	CloseDelay       string
	Retry            string
	RetryMax         string
	NegotiateTimeout string
	Settle           string
	Purge            string
	TTY              string
	Owner            string
	Group            string
	Mode             string
	RunDir           string
	Transport        Transport
	Policy           Policy
}

// Error says what is wrong with one setting.
type Error struct {
	Setting string // as the user wrote it: "--retry"
	Value   string
	Found   string // what is wrong with the value
	Hint    string // what to write instead
	Err     error
}

func (e *Error) Error() string {
	if e.Value == "" { // a switch
		return fmt.Sprintf("%s: %s; %s", e.Setting, e.Found, e.Hint)
	}
	return fmt.Sprintf("%s %q: %s; %s", e.Setting, e.Value, e.Found, e.Hint)
}

// Unwrap returns the cause, if there is one.
func (e *Error) Unwrap() error { return e.Err }

// maxName bounds a port's name, which becomes a file name and a field of logs.
const maxName = 64

// Validate returns the port's configuration. The error is an *Error, or what
// rfc2217client.ParseRemote returns.
func (s Port) Validate() (port.Config, error) { return s.validate(new(cache)) }

func (s Port) validate(known *cache) (port.Config, error) {
	c := port.Config{Links: s.Links, Overlay: s.Overlay, UID: -1, GID: -1}
	var err error
	if c.Remote, err = rfc2217client.ParseRemote(s.Remote); err != nil {
		return c, err
	}
	if c.Dialer, err = s.Transport.dialer(c.Remote, known); err != nil {
		return c, err
	}
	if c.Policy, err = s.Policy.validate(c.Remote); err != nil {
		return c, err
	}
	if s.Line != "" {
		if c.Remote.Protocol != rfc2217client.ProtocolRFC2217 && !s.Policy.Pace {
			return c, &Error{
				"--line", s.Line, fmt.Sprintf("no settings reach a UART over %s: that needs RFC 2217", c.Remote),
				"write rfc2217://, or leave it out; with --pace it says how fast the line is", nil,
			}
		}
		if c.Line, err = termiosmirror.ParseLine(s.Line); err != nil {
			return c, lineError(s.Line, err)
		}
	}
	if err := s.times(&c); err != nil {
		return c, err
	}
	if c.Connect, err = port.ParseConnect(cmp.Or(s.Connect, DefaultConnect)); err != nil {
		return c, &Error{"--connect", s.Connect, "there is no such policy", "write on-open or always", err}
	}
	if c.TTY, err = port.ParseTTY(cmp.Or(s.TTY, DefaultTTY)); err != nil {
		return c, &Error{"--tty", s.TTY, "there is no such kind", "write pty, usb or auto", err}
	}
	if s.Purge != "" {
		if c.Purge, err = port.ParsePurge(s.Purge); err != nil {
			return c, &Error{"--purge", s.Purge, "there is no such policy", "write rx, both or none", err}
		}
	}
	if err := s.permissions(&c, known); err != nil {
		return c, err
	}
	if err := s.names(&c); err != nil {
		return c, err
	}
	return c, nil
}

// lineError names the flag, and keeps what ParseLine has to say.
func lineError(value string, err error) error {
	e := &Error{"--line", value, "these are not line settings", "write 9600-8N1, 9600 or 8N1", err}
	if line, ok := errors.AsType[*termiosmirror.LineError](err); ok {
		e.Found, e.Hint = line.What, line.Fix
	}
	return e
}

func (s Port) times(c *port.Config) error {
	if err := readTimes([]timeSetting{
		{"--close-delay", s.CloseDelay, DefaultCloseDelay, 0, &c.CloseDelay},
		{"--retry", s.Retry, DefaultRetry, 10 * time.Millisecond, &c.RetryMin},
		{"--retry-max", s.RetryMax, "", 10 * time.Millisecond, &c.RetryMax},
		{"--negotiate-timeout", s.NegotiateTimeout, DefaultNegotiateTimeout, 10 * time.Millisecond, &c.NegotiateTimeout},
		{"--settle", s.Settle, DefaultSettle, 0, &c.Settle},
	}); err != nil {
		return err
	}
	if s.RetryMax == "" {
		fallback, _ := time.ParseDuration(DefaultRetryMax)
		c.RetryMax = max(fallback, c.RetryMin)
	}
	if c.RetryMax < c.RetryMin {
		return &Error{
			"--retry-max", s.RetryMax, fmt.Sprintf("it is shorter than --retry, which is %v", c.RetryMin),
			"make it at least as long", nil,
		}
	}
	return nil
}

// timeSetting is a setting that is a time.
type timeSetting struct {
	name, value, byDefault string
	least                  time.Duration
	into                   *time.Duration
}

func readTimes(settings []timeSetting) error {
	for _, f := range settings {
		value := cmp.Or(f.value, f.byDefault)
		if value == "" {
			continue
		}
		d, err := duration(value)
		if err != nil {
			return &Error{f.name, f.value, "this is not a time", "write a number and a unit: 250ms, 3s, 1m", err}
		}
		if d < f.least || d > 24*time.Hour {
			return &Error{f.name, f.value, "the time is out of range", fmt.Sprintf("write a time from %v to 24h", f.least), nil}
		}
		*f.into = d
	}
	return nil
}

// duration reads a time; 0 needs no unit.
func duration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	return time.ParseDuration(s)
}

// permissions decides who may open the port: by default root gives it to the
// group dialout, as for every serial port, and others keep it to themselves.
func (s Port) permissions(c *port.Config, known *cache) error {
	root := os.Geteuid() == 0
	c.Mode = 0o600
	if root {
		c.Mode = 0o660
		if gid, err := known.group("dialout"); err == nil {
			c.GID = gid
		}
	}
	if s.Owner != "" {
		uid, err := known.user(s.Owner)
		if err != nil {
			return &Error{"--owner", s.Owner, "there is no such user", "write a user's name or number", err}
		}
		c.UID = uid
	}
	if s.Group != "" {
		gid, err := known.group(s.Group)
		if err != nil {
			return &Error{"--group", s.Group, "there is no such group", "write a group's name or number", err}
		}
		c.GID = gid
	}
	if s.Mode != "" {
		mode, err := strconv.ParseUint(s.Mode, 8, 32)
		if err != nil || mode == 0 || mode > 0o777 {
			return &Error{"--mode", s.Mode, "these are not permissions", "write them in octal: 0660, 0600, 0666", err}
		}
		c.Mode = os.FileMode(mode)
	}
	return nil
}

func lookupUser(name string) (int, error) {
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(u.Uid)
}

func lookupGroup(name string) (int, error) {
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(g.Gid)
}

func (s Port) names(c *port.Config) error {
	c.Name = s.Name
	if c.Name == "" && len(s.Links) > 0 {
		c.Name = filepath.Base(s.Links[0])
	}
	if c.Name == "" && s.Overlay != "" {
		c.Name = filepath.Base(s.Overlay)
	}
	if c.Name == "" {
		c.Name = defaultName(c.Remote)
	}
	if s.Name != "" && !isName(s.Name) {
		return &Error{"--name", s.Name, "this cannot be a port's name", nameHint(), nil}
	}
	if err := s.paths(); err != nil {
		return err
	}
	c.RunDir = s.RunDir
	if c.RunDir == "" {
		c.RunDir = RunDir()
	}
	return nil
}

// isName reports whether a name can be a port's, or that of a vcomd with several.
func isName(name string) bool {
	return name != "" && len(name) <= maxName && !strings.ContainsFunc(name, notInName) && name[0] != '.'
}

func nameHint() string {
	return fmt.Sprintf("use at most %d letters, digits, '-', '_' and '.', and no '.' at the start", maxName)
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.", r)
}

// defaultName makes a port's name of its remote.
func defaultName(r rfc2217client.Remote) string {
	var name string
	switch {
	case r.Sim != "":
		name = "sim-" + r.Sim
	case r.Path != "":
		name = filepath.Base(strings.TrimPrefix(r.Path, "@"))
	default:
		name = r.Host + "-" + r.Port
	}
	name = strings.Map(func(c rune) rune {
		if notInName(c) {
			return '-'
		}
		return c
	}, name)
	if name[0] == '.' {
		name = "-" + name[1:]
	}
	return name[max(0, len(name)-maxName):]
}

// SystemRunDir is where a vcomd of root's keeps its locks and sockets.
const SystemRunDir = "/run/vcomd"

// RunDir is where a vcomd of this user keeps its locks and sockets: SystemRunDir for root,
// $XDG_RUNTIME_DIR/vcomd for others, and a directory of the user's own in the
// temporary directory where there is no such variable.
func RunDir() string {
	if os.Geteuid() == 0 {
		return SystemRunDir
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "vcomd")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("vcomd-%d", os.Geteuid()))
}
