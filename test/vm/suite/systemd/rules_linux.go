package systemd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/test/vm/rig"
	"github.com/vcomd/vcomd/udev"
)

const (
	dialout = 20 // on every Debian, as is tty
	tty     = 5
)

// state is what vcomd check says of something around the ports.
func state(ctx context.Context, name string) (string, error) {
	// The status is about the kind of tty.
	said, err := command(ctx, rig.Vcomd, "check", "--json", "--tty", "usb")
	if err != nil {
		return "", err
	}
	var r struct {
		Checks []struct{ Part, Name, State, Found string }
	}
	if err := json.Unmarshal([]byte(said), &r); err != nil {
		return "", fmt.Errorf("vcomd check: %w", err)
	}
	for _, c := range r.Checks {
		if c.Name == name {
			return c.State, nil
		}
	}
	return "", fmt.Errorf("vcomd check says nothing of %s", name)
}

// withoutRules has vcomd find udev without its rules. --tty usb works so: nothing but the names is missing.
func withoutRules(ctx context.Context) error {
	if is, err := state(ctx, "udev"); err != nil || is != "limited" {
		return errors.Join(err, fmt.Errorf("vcomd check says of udev: %s", is))
	}
	return nil
}

// modules has vcomd load those that it needs, by the real modprobe.
func modules(ctx context.Context) error {
	loaded := func(name string) bool { _, err := os.Stat("/sys/module/" + name); return err == nil }
	needed := []string{"vhci_hcd", "ftdi_sio"}
	if slices.ContainsFunc(needed, loaded) {
		return errors.New("they are loaded already")
	}
	return with(ctx, "modules", func(*rig.Port) error {
		if !loaded(needed[0]) || !loaded(needed[1]) {
			return errors.New("there is a port, and they are not loaded")
		}
		return nil
	})
}

// install has vcomd install its rules, and say that they are installed, or updated.
func install(outcome string, flags ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		args := append([]string{"udev", "--install", "--start", started + "=usb:1209:2217:" + started, "--start", networked + "=net:dummy0"}, flags...)
		for _, name := range slices.Sorted(maps.Keys(wants)) {
			if name != enabled && name != started && name != networked {
				args = append(args, "--wants", name+"="+wants[name])
			}
		}
		said, err := command(ctx, rig.Vcomd, args...)
		if want := filepath.Join(udev.Dir, udev.FileName) + " is " + outcome + "; they count"; err == nil && !strings.Contains(said, want) {
			err = fmt.Errorf("it says: %s", said)
		}
		return errors.Join(err, allWell(ctx))
	}
}

// allWell has vcomd find everything that --tty usb is better with.
func allWell(ctx context.Context) (err error) {
	for _, name := range []string{"udev", "systemd", "vhci_hcd", "ftdi_sio"} {
		is, checkErr := state(ctx, name)
		if checkErr == nil && is != "ok" {
			checkErr = fmt.Errorf("vcomd check says of %s: %s", name, is)
		}
		err = errors.Join(err, checkErr)
	}
	return err
}

// settle waits until udev has nothing to do.
func settle(ctx context.Context) error {
	_, err := command(ctx, "udevadm", "settle")
	return err
}

// byID are the names that lead to a node.
func byID(node string) ([]string, error) {
	links, err := filepath.Glob("/dev/serial/by-id/*")
	return slices.DeleteFunc(links, func(link string) bool {
		to, err := filepath.EvalSymlinks(link)
		return err != nil || to != node
	}), err
}

// names has a port come three times, the third time beside another one that has taken its number: its names stay the same, and
// go with it.
func names(ctx context.Context) error {
	const link, id = "/dev/vcom/names", "/dev/serial/by-id/usb-vcomd_serial_port_names-if00-port0"
	look := func(p *rig.Port) error {
		node, err := filepath.EvalSymlinks(p.Link)
		if err := errors.Join(err, settle(ctx)); err != nil {
			return err
		}
		if to, err := filepath.EvalSymlinks(link); err != nil || to != node {
			return errors.Join(err, fmt.Errorf("%s leads to %q, and the port is %s", link, to, node))
		}
		if ids, err := byID(node); err != nil || !slices.Equal(ids, []string{id}) {
			return errors.Join(err, fmt.Errorf("its names by id are %q", ids))
		}
		return nil
	}
	once := func() error {
		if err := errors.Join(with(ctx, "names", look), settle(ctx)); err != nil {
			return err
		}
		for _, path := range []string{link, id} {
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%s is there without the port: %w", path, err)
			}
		}
		return nil
	}
	return errors.Join(once(), once(), with(ctx, "other", func(*rig.Port) error { return once() }))
}

// permissions fails unless the node of the port access is so.
func permissions(group, mode uint32) error {
	const path = "/dev/vcom/access"
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode != unix.S_IFCHR|mode || st.Uid != 0 || st.Gid != group {
		return fmt.Errorf("%s has mode %o, user %d, group %d", path, st.Mode, st.Uid, st.Gid)
	}
	return nil
}

// access has what vcomd gives to a tty agree with the rules, or come after them: udev does not undo it until it is told to look
// at all devices again.
func access(ctx context.Context) error {
	err := with(ctx, "access", func(*rig.Port) error { return errors.Join(settle(ctx), permissions(dialout, 0o660)) })
	own := with(ctx, "access", func(*rig.Port) error {
		if err := errors.Join(permissions(tty, 0o604), settle(ctx), permissions(tty, 0o604)); err != nil {
			return err
		}
		if err := install("updated", "--group", "tty", "--mode", "0606")(ctx); err != nil {
			return err
		}
		_, err := command(ctx, "udevadm", "trigger", "--settle", "--subsystem-match=tty")
		return errors.Join(err, permissions(tty, 0o606))
	}, "--group", "tty", "--mode", "0604")
	return errors.Join(err, own, install("updated")(ctx))
}

// modemManager looks at what ModemManager decides by: the tty's properties, and those of its USB device.
func modemManager(ctx context.Context) error {
	return with(ctx, "modem", func(p *rig.Port) error {
		node, err := filepath.EvalSymlinks(p.Link)
		if err := errors.Join(err, settle(ctx)); err != nil {
			return err
		}
		usb, err := filepath.EvalSymlinks("/sys/class/tty/" + filepath.Base(node) + "/device/../..")
		for _, device := range []string{"/sys/class/tty/" + filepath.Base(node), usb} {
			properties, infoErr := command(ctx, "udevadm", "info", "--query=property", "--path="+device)
			if infoErr == nil && !slices.Contains(strings.Split(properties, "\n"), "ID_MM_DEVICE_IGNORE=1") {
				infoErr = fmt.Errorf("%s has no ID_MM_DEVICE_IGNORE: %s", device, properties)
			}
			err = errors.Join(err, infoErr)
		}
		return err
	})
}

// noComplaints reads what udev has logged since the start: warnings and worse. Of what comes by way of the kernel's log the journal
// knows no unit.
func noComplaints(ctx context.Context) error {
	said, err := command(ctx, "journalctl", "-b", "-q", "-o", "cat", "-p", "warning", "-t", "systemd-udevd", "-t", "(udev-worker)")
	if err == nil && said != "" {
		err = fmt.Errorf("it has logged: %s", said)
	}
	return err
}
