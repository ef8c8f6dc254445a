package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// server is a real access server with a device that the test holds.
type server struct {
	name   string
	remote string
	device *device // nil when the server has a loop in place of a device
	acks   bool    // it acknowledges a speed
	bytes  int     // how much data a test may reasonably send through it
	// losesFF: in most runs it drops bytes of its device when 0xFF comes in a flood
	// of others (docs/compatibility.md has the measurement, without vcomd).
	losesFF bool
	// halfDuplex: with floods in both directions at once it drops bytes of its
	// device in every run, 0xFF or not; what goes to the device is complete.
	halfDuplex bool
}

// ser2net runs ser2net on a device of the test's.
func ser2net(t *testing.T) server {
	t.Helper()
	need(t, "ser2net")
	d, port := newDevice(t), freePort(t)
	config := filepath.Join(t.TempDir(), "ser2net.yaml")
	text := "connection: &vcomd\n" +
		"  accepter: telnet(rfc2217),tcp,127.0.0.1," + port + "\n" +
		"  connector: serialdev," + d.path + ",9600n81,local\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	spawn(t, "ser2net", "-n", "-u", "-c", config)
	listening(t, port)
	return server{name: "ser2net", remote: "127.0.0.1:" + port, device: d, acks: true, bytes: 10 << 20}
}

// sredird runs sredird behind socat, which listens for it.
func sredird(t *testing.T) server {
	t.Helper()
	need(t, "sredird", "socat")
	d, port := newDevice(t), freePort(t)
	lock := filepath.Join(t.TempDir(), "lock")
	spawnGroup(t, exec.Command("socat", "TCP-LISTEN:"+port+",bind=127.0.0.1,reuseaddr,fork", "EXEC:sredird 5 "+d.path+" "+lock))
	listening(t, port)
	return server{name: "sredird", remote: "127.0.0.1:" + port, device: d, acks: true, bytes: 1 << 20, losesFF: true, halfDuplex: true}
}

// pyserial runs the server from pyserial's examples on its loop:// device.
func pyserial(t *testing.T) server {
	t.Helper()
	const script = "/usr/share/doc/python3-serial/examples/rfc2217_server.py"
	source, err := os.ReadFile(script)
	if err != nil {
		skip(t, script+" is not installed: scripts/deps.sh installs it")
	}
	if !strings.Contains(string(source), "rfc2217") {
		t.Fatal(script + " is not the server")
	}
	port := freePort(t)
	spawn(t, "/usr/bin/python3", script, "-p", port, "loop://")
	listening(t, port)
	return server{name: "pyserial", remote: "127.0.0.1:" + port, acks: true, bytes: 1 << 20}
}

// gensiot runs gensiot as a server, for one connection.
func gensiot(t *testing.T) server {
	t.Helper()
	need(t, "gensiot")
	d, port := newDevice(t), freePort(t)
	spawn(t, "gensiot", "-i", "serialdev,"+d.path+",9600n81,local", "-a", "telnet(rfc2217),tcp,127.0.0.1,"+port)
	listening(t, port)
	return server{name: "gensiot", remote: "127.0.0.1:" + port, device: d, acks: true, bytes: 1 << 20}
}
