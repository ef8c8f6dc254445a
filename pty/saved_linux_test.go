package pty_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/pty"
)

// A program notices nothing of a master that is handed on, nor does what it has
// written and set get lost.
func TestMasterHandedOn(t *testing.T) {
	m, err := pty.Open(pty.Options{UID: -1, GID: -1})
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.OpenFile(m.Path(), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = program.Close() }()
	if _, err := program.WriteString("before"); err != nil {
		t.Fatal(err)
	}
	path := m.Path()
	saved, fd := m.Save()
	text, err := json.Marshal(saved)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err == nil {
		t.Error("the master that was handed on could be closed")
	}
	var again pty.Saved
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	next, err := pty.Restore(fd, again)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = next.Close() }()
	if next.Path() != path {
		t.Errorf("path %s, was %s", next.Path(), path)
	}
	if hung, err := next.Hung(); hung || err != nil {
		t.Errorf("hung %v, %v, with a program on it", hung, err)
	}
	data, _, err := next.Read(make([]byte, 64))
	if string(data) != "before" {
		t.Errorf("read %q, %v", data, err)
	}
	if _, err := next.Write([]byte("after")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 16)
	if n, err := program.Read(buf); string(buf[:n]) != "after" {
		t.Errorf("the program has read %q, %v", buf[:n], err)
	}
	if next.Settings() != saved.Known {
		t.Errorf("settings %+v, were %+v", next.Settings(), saved.Known)
	}
}

func TestRestoreRefusesOtherDescriptors(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if m, err := pty.Restore(int(f.Fd()), pty.Saved{}); err == nil {
		t.Error("a master was made of /dev/null", m)
	}
}

// A link that is left leads to the same terminal for the next process.
func TestLinkLeft(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tty")
	m, err := pty.Open(pty.Options{UID: -1, GID: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	l, err := pty.ClaimLink(path, filepath.Join(dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Point(m.Path()); err != nil {
		t.Fatal(err)
	}
	if err := l.Leave(); err != nil {
		t.Fatal(err)
	}
	if target, err := os.Readlink(path); target != m.Path() {
		t.Errorf("the link leads to %q, %v", target, err)
	}
	l, err = pty.ClaimLink(path, filepath.Join(dir, "run"))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Point(m.Path()); err != nil {
		t.Error(err)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
}
