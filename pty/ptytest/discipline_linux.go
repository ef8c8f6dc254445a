package ptytest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// disciplineChecks are what the line discipline does for programs that ask.
var disciplineChecks = map[string]check{
	"lines/a read gives one whole line": func(b *bench) error {
		p, err := b.canonical(0, 0)
		if err != nil {
			return err
		}
		if err := errors.Join(b.send([]byte("no line y")), p.expectNothing(), b.send([]byte("et\nsecond\n"))); err != nil {
			return err
		}
		for _, want := range []string{"no line yet\n", "second\n"} {
			if got, err := p.read(100); string(got) != want || err != nil {
				return fmt.Errorf("read %q, %w; want %q", got, err, want)
			}
		}
		return nil
	},
	"lines/erase, kill and end of file": func(b *bench) error {
		p, err := b.canonical(0, 0)
		if err != nil {
			return err
		}
		if err := b.send([]byte("wrong\x15rihg\x7f\x7fght\n\x04")); err != nil {
			return err
		}
		if got, err := p.read(100); string(got) != "right\n" || err != nil {
			return fmt.Errorf("read %q, %w; want the edited line", got, err)
		}
		if got, err := p.read(100); len(got) != 0 || err != nil {
			return fmt.Errorf("read %q, %w; want end of file", got, err)
		}
		return nil
	},
	"lines/CR becomes NL, echo comes back": func(b *bench) error {
		p, err := b.canonical(unix.ECHO, unix.ICRNL)
		if err != nil {
			return err
		}
		return errors.Join(b.send([]byte("hi\r")), p.expect([]byte("hi\n")), b.expect([]byte("hi\n")))
	},
	"lines/raw again": func(b *bench) error {
		p, err := b.canonical(unix.ECHO, unix.ICRNL)
		if err != nil {
			return err
		}
		return errors.Join(b.send([]byte("a\r")), p.expect([]byte("a\n")), b.expect([]byte("a\n")), p.change(makeRaw),
			b.send([]byte("b\r\x03")), p.expect([]byte("b\r\x03")), p.write([]byte("c")), b.expect([]byte("c")))
	},
	"lines/back and forth": func(b *bench) error {
		p, err := b.open()
		for range 20 {
			err = errors.Join(err, p.change(func(t *unix.Termios) { t.Lflag |= unix.ICANON }),
				b.send([]byte("l")), b.send([]byte("ine\n")))
			if got, readErr := p.read(100); string(got) != "line\n" {
				return errors.Join(err, readErr, fmt.Errorf("read %q, want a line", got))
			}
			err = errors.Join(err, p.change(makeRaw), b.send([]byte("x")), p.expect([]byte("x")))
		}
		return err
	},
	"output/NL becomes CR NL": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		return errors.Join(p.change(func(t *unix.Termios) { t.Oflag |= unix.OPOST | unix.ONLCR }),
			p.write([]byte("a\nb")), b.expect([]byte("a\r\nb")))
	},
	"input/ISTRIP": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		return errors.Join(p.change(func(t *unix.Termios) { t.Iflag |= unix.ISTRIP }),
			b.send([]byte("\xc1\x42")), p.expect([]byte("AB")))
	},
	"flow/XOFF and XON are not data": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		return errors.Join(p.change(func(t *unix.Termios) { t.Iflag |= unix.IXON }),
			b.send([]byte("a\x13b\x11c")), p.expect([]byte("abc")))
	},
	"signals/interrupt character": func(b *bench) error { return signalled(b, '\x03', syscall.SIGINT) },
	"signals/quit character":      func(b *bench) error { return signalled(b, '\x1c', syscall.SIGQUIT) },
	"signals/none when raw": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		return errors.Join(b.send([]byte("\x03\x1c\x1a")), p.expect([]byte("\x03\x1c\x1a")))
	},
}

// canonical opens the port for line input, with other flags if need be.
func (b *bench) canonical(local, input uint32) (*program, error) {
	p, err := b.open()
	if err != nil {
		return nil, err
	}
	err = p.change(func(t *unix.Termios) {
		t.Lflag |= unix.ICANON | local
		t.Iflag |= input
		t.Cc[unix.VERASE], t.Cc[unix.VKILL], t.Cc[unix.VEOF] = 0x7f, 0x15, 0x04
	})
	return p, err
}

// signalled sends a character to a child that has the port as its controlling
// terminal, and waits for the child to die of the signal.
func signalled(b *bench, char byte, want syscall.Signal) error {
	p, err := b.open()
	if err != nil {
		return err
	}
	if err := p.change(func(t *unix.Termios) {
		t.Lflag |= unix.ISIG
		t.Cc[unix.VINTR], t.Cc[unix.VQUIT] = 0x03, 0x1c
	}); err != nil {
		return err
	}
	// A test in the background of a shell inherits these signals ignored, and
	// so would the child; a caught signal is reset to its default by exec.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, want)
	defer signal.Stop(caught)

	tty, err := os.OpenFile(b.path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = tty.Close() }()
	child := exec.Command("cat") //nolint:noctx // killed below
	child.Stdin = tty
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := child.Start(); err != nil {
		return err
	}
	died := make(chan struct{})
	go func() {
		defer close(died)
		_ = child.Wait() // how it ended is in ProcessState
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	err = b.send([]byte{char})
	select {
	case <-died:
	case <-timer.C:
		err = errors.Join(err, errors.New("no signal came"), child.Process.Kill())
		<-died
	}
	if status, ok := child.ProcessState.Sys().(syscall.WaitStatus); err == nil && (!ok || status.Signal() != want) {
		err = fmt.Errorf("the child ended with %v, want %v", child.ProcessState, want)
	}
	return err
}
