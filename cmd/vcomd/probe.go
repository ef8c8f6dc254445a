package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/vcomd/vcomd/internal/config"
	"github.com/vcomd/vcomd/internal/probe"
	"github.com/vcomd/vcomd/internal/version"
	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// Bounds of --timeout.
const (
	minProbe = 100 * time.Millisecond
	maxProbe = 10 * time.Minute
)

// probeFlags are the flags of vcomd probe.
type probeFlags struct {
	transport config.Transport
	timeout   string
}

// probeCommand is vcomd probe: what an access server is, and how well it speaks RFC 2217.
func probeCommand() *cli.Command {
	var p probeFlags
	return &cli.Command{
		Name:      "probe",
		Usage:     "ask an access server what it is, how well it speaks RFC 2217, and how fast",
		ArgsUsage: "REMOTE",
		Description: "It asks, and sets nothing. But most servers open their device for any connection, which raises DTR and RTS, and\n" +
			"gensiot without --signature dies of the last question. Use it on a port that nobody uses.\n" +
			"Exit status: 0 the server speaks RFC 2217, 1 it does not, or cannot be reached; 2 wrong usage.",
		OnUsageError: onUsageError,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "print JSON"},
			&cli.BoolFlag{Name: "set", Usage: "set the settings that the server has reported once more, as they are, and see what it says"},
			text(&p.timeout, "timeout", probe.DefaultTimeout.String(), "`TIME` for all of it"),
		}, transportFlags(&p.transport)...),
		Action: func(c *cli.Context) error {
			if c.Args().Len() == 0 {
				return &usageError{"probe: no REMOTE given; write vcomd probe host:2217"}
			}
			o, err := p.options(c)
			if err != nil {
				return err
			}
			return runProbe(c, o)
		},
	}
}

func (p *probeFlags) options(c *cli.Context) (probe.Options, error) {
	o := probe.Options{Set: c.Bool("set"), Signature: "vcomd " + version.String()}
	word, err := remote(c)
	if err != nil {
		return o, err
	}
	valid, err := config.Port{Remote: word, Transport: p.transport}.Validate()
	if err != nil {
		return o, err
	}
	o.Remote, o.Dialer = valid.Remote, valid.Dialer
	if asked := o.Remote; asked.Protocol != rfc2217client.ProtocolRFC2217 {
		asked.Protocol = rfc2217client.ProtocolRFC2217
		return o, &usageError{fmt.Sprintf("probe %q: it asks by RFC 2217, and this is a remote without; write %v", word, asked)}
	}
	o.Timeout, err = time.ParseDuration(cmp.Or(p.timeout, probe.DefaultTimeout.String()))
	if err != nil {
		return o, &config.Error{Setting: "--timeout", Value: p.timeout, Found: "this is not a time", Hint: "write a number and a unit: 5s, 1m", Err: err}
	}
	if o.Timeout < minProbe || o.Timeout > maxProbe {
		return o, &config.Error{Setting: "--timeout", Value: p.timeout, Found: "the time is out of range", Hint: fmt.Sprintf("write a time from %v to %v", minProbe, maxProbe)}
	}
	return o, nil
}

func runProbe(c *cli.Context, o probe.Options) error {
	if o.Remote.Sim != "" {
		end, err := simulateFor(c.Context, &o)
		if err != nil {
			return err
		}
		defer end()
	}
	r := probe.Run(c.Context, o)
	if err := printProbe(c, r); err != nil {
		return err
	}
	switch {
	case r.Speaks == probe.SpeaksRFC2217:
		return nil
	case r.Error != "":
		return fmt.Errorf("probe: %s", r.Error)
	default:
		return fmt.Errorf("probe: %s does not speak RFC 2217", r.Remote)
	}
}

func printProbe(c *cli.Context, r probe.Report) error {
	if c.Bool("json") {
		e := json.NewEncoder(c.App.Writer)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(r)
	}
	if r.Connection == nil {
		return nil // there is nothing but the error
	}
	return r.WriteText(c.App.Writer)
}

// simulateFor has a probe reach a simulated server of its own.
func simulateFor(ctx context.Context, o *probe.Options) (end func(), err error) {
	device, err := rfc2217test.NewDevice(o.Remote.Sim, nil)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	near, far := net.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		server := &rfc2217test.Server{UART: &rfc2217test.UART{Device: device, JournalOff: true}}
		_ = server.ServeConn(ctx, far) // how it ends does not matter to anybody
	}()
	o.Dial = func(context.Context, rfc2217client.Remote) (net.Conn, error) { return near, nil }
	return func() { cancel(); _ = near.Close(); <-ended }, nil
}
