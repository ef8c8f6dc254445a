package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/vcomd/vcomd/internal/config"
	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// simCommand is vcomd sim: the simulated access server for any client.
func simCommand() *cli.Command {
	var listen string
	devices := strings.Join(rfc2217client.SimDevices[:], "|")
	return &cli.Command{
		Name:         "sim",
		Usage:        "serve a simulated access server with a device on its UART",
		ArgsUsage:    devices,
		Description:  "gps sends NMEA 0183 once a second, echo sends back what it gets, modem understands AT commands.",
		OnUsageError: onUsageError,
		Flags: []cli.Flag{
			text(&listen, "listen", "127.0.0.1:2217", "`ADDR`, an address and a port, to listen at"),
		},
		Action: func(c *cli.Context) error {
			switch c.Args().Len() {
			case 0:
				return &usageError{"sim: no DEVICE given; write vcomd sim " + devices}
			case 1:
				return simulate(c, listen)
			default:
				return &usageError{fmt.Sprintf("sim: unexpected argument %q; there is one DEVICE", c.Args().Get(1))}
			}
		},
	}
}

func simulate(c *cli.Context, listen string) error {
	device := c.Args().First()
	r, err := rfc2217client.ParseRemote("sim:" + device)
	if err != nil {
		return &usageError{fmt.Sprintf("sim %q: there is no such device; write %s", device, strings.Join(rfc2217client.SimDevices[:], ", "))}
	}
	if listen == "" {
		listen = "127.0.0.1:2217"
	}
	if !isListenAddress(listen) {
		return &config.Error{Setting: "--listen", Value: listen, Found: "this is not an address and a port", Hint: "write 127.0.0.1:2217 or [::1]:2217"}
	}
	dev, err := rfc2217test.NewDevice(r.Sim, nil)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(c.Context, "tcp", listen)
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok {
			err = op.Err // the address is named already
		}
		return fmt.Errorf("sim: cannot listen at %s: %w; choose another address with --listen", listen, err)
	}
	_, _ = fmt.Fprintf(c.App.ErrWriter, "vcomd sim: %s at %s; connect with: vcomd --link ./port %s\n", device, ln.Addr(), ln.Addr())
	server := &rfc2217test.Server{UART: &rfc2217test.UART{Device: dev, JournalOff: true}}
	return server.Serve(c.Context, ln)
}

// isListenAddress reports whether s is an address, or none, and a port; 0 has
// the kernel choose one.
func isListenAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}
