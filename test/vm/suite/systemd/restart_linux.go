package systemd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/vcomd/vcomd/test/vm/rig"
)

const (
	service  = "vcomd.service"
	restarts = 20
	// busy and idle are the links of its ports.
	busy, idle = "/dev/ttyBUSY", "/dev/ttyIDLE"
)

// restart has systemd restart the packaged vcomd.service under traffic both ways, again and again: the program's descriptor is the
// same one, and so is the server's connection; no byte is lost, none comes twice. One port is closed all the time, and works
// after that.
func restart(ctx context.Context) (err error) {
	s, err := rig.Serve(ctx, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	text := fmt.Sprintf("log-level = \"debug\"\n[[port]]\nlink = %q\nremote = %q\n[[port]]\nlink = %q\nremote = \"sim:echo\"\n", busy, s.Addr, idle)
	if err := os.MkdirAll("/etc/vcomd", 0o750); err != nil {
		return err
	}
	if err := os.WriteFile("/etc/vcomd/vcomd.toml", []byte(text), 0o600); err != nil {
		return err
	}
	if _, err := command(ctx, "systemctl", "start", service); err != nil {
		return errors.Join(err, journal(ctx))
	}
	defer func() {
		_, stopErr := command(ctx, "systemctl", "stop", service)
		err = errors.Join(err, stopErr, gone(ctx, busy), gone(ctx, idle))
	}()
	tty, err := rig.OpenTTY(busy, 57600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tty.Close()) }()
	if err := s.AwaitSpeed(ctx, limit, 57600); err != nil {
		return err
	}
	if err := errors.Join(underTraffic(ctx, s, tty), logged(ctx)); err != nil {
		return errors.Join(err, journal(ctx))
	}
	if n := s.Stats().Connections; n != 1 {
		return fmt.Errorf("it has connected %d times", n)
	}
	return errors.Join(rig.SetSpeed(tty, 12345), s.AwaitSpeed(ctx, limit, 12345), echoes(idle))
}

// stream is what goes one way.
type stream struct {
	sent []byte
	err  error
}

// run sends blocks until done is closed. It is paced, as all of it is kept, by the simulated server too (4 MiB: 160 s of this), and
// some has to be under way at each restart.
func (s *stream) run(done <-chan struct{}, write func(p []byte) error) {
	const block = 512
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	for i := uint32(1); s.err == nil; i++ {
		select {
		case <-done:
			return
		case <-pace.C:
		}
		p := rig.Pattern(block, i)
		s.sent = append(s.sent, p...)
		s.err = write(p)
	}
}

// underTraffic restarts the service while bytes go both ways, and compares them.
func underTraffic(ctx context.Context, s *rig.Server, tty *os.File) error {
	var (
		up, down      stream
		got           []byte
		readErr       error
		done          = make(chan struct{})
		writing, read sync.WaitGroup
	)
	writing.Go(func() { up.run(done, func(p []byte) error { return rig.WriteAll(tty, p, limit) }) })
	writing.Go(func() { down.run(done, func(p []byte) error { return s.Receive(ctx, p, limit) }) })
	read.Go(func() {
		buf := make([]byte, 64<<10)
		for readErr == nil {
			var n int
			n, readErr = tty.Read(buf)
			got = append(got, buf[:n]...)
		}
	})
	err := again(ctx)
	close(done)
	writing.Wait()
	// The reader is interrupted, and what remains is known.
	err = errors.Join(err, up.err, down.err, tty.SetReadDeadline(time.Now()))
	read.Wait()
	if !errors.Is(readErr, os.ErrDeadlineExceeded) {
		err = errors.Join(err, fmt.Errorf("the program reads: %w", readErr))
	}
	if err != nil {
		return err
	}
	if len(got) > len(down.sent) {
		return fmt.Errorf("%w: %d bytes have come of %d", rig.ErrData, len(got), len(down.sent))
	}
	rest := make([]byte, len(down.sent)-len(got))
	if err := tty.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	if n, err := io.ReadFull(tty, rest); err != nil {
		return fmt.Errorf("%d of the last %d bytes have come: %w", n, len(rest), err)
	}
	arrived, err := s.AwaitBytes(ctx, limit, 0, len(up.sent))
	return errors.Join(err, rig.Same(arrived, up.sent), rig.Same(append(got, rest...), down.sent))
}

// again restarts the service, each time as another process.
func again(ctx context.Context) error {
	before := ""
	for i := range restarts {
		if _, err := command(ctx, "systemctl", "restart", service); err != nil {
			return fmt.Errorf("restart %d: %w", i+1, err)
		}
		pid, err := command(ctx, "systemctl", "show", "--value", "--property=MainPID", service)
		if err != nil || pid == before || pid == "0" {
			return errors.Join(err, fmt.Errorf("after restart %d its process is %s, before it %s", i+1, pid, before))
		}
		before = pid
	}
	return nil
}

// logged fails unless each port was taken over at each restart, and nothing was lost.
func logged(ctx context.Context) error {
	said, err := command(ctx, "journalctl", "-b", "-q", "-o", "cat", "-u", service)
	if err != nil {
		return err
	}
	if n := strings.Count(said, `"event":"taken-over"`); n != 2*restarts {
		err = fmt.Errorf("ports were taken over %d times, not %d", n, 2*restarts)
	}
	for _, event := range []string{"not-resumed", "disconnected", "hung-up", "dropped"} {
		if strings.Contains(said, `"event":"`+event+`"`) {
			err = errors.Join(err, fmt.Errorf("it has logged %s", event))
		}
	}
	return err
}

// echoes fails unless a port gives back what is written.
func echoes(link string) error {
	tty, err := rig.OpenTTY(link, 9600)
	if err != nil {
		return err
	}
	p := []byte("the port that was closed all the time")
	return errors.Join(rig.WriteAll(tty, p, limit), rig.ReadSame(tty, p, limit), tty.Close())
}

// gone fails if there still is a link.
func gone(ctx context.Context, link string) error {
	return eventually(ctx, link+" is gone", func() (bool, string) {
		_, err := os.Lstat(link)
		return errors.Is(err, fs.ErrNotExist), "there"
	})
}

// journal has the service's log as an error.
func journal(ctx context.Context) error {
	said, err := command(ctx, "journalctl", "-b", "-q", "--no-pager", "-o", "cat", "--lines=40", "-u", service)
	return errors.Join(err, fmt.Errorf("the journal: %s", said))
}
