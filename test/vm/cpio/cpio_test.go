package cpio

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The bytes of one entry, written down by the format's description.
func TestEntry(t *testing.T) {
	var b bytes.Buffer
	if err := NewWriter(&b).File("a/b", 0o755, strings.NewReader("hello"), 5); err != nil {
		t.Fatal(err)
	}
	want := "070701" +
		"00000001" + "000081ed" + "00000000" + "00000000" + "00000001" + "00000000" + "00000005" +
		"00000000" + "00000000" + "00000000" + "00000000" + "00000004" + "00000000" +
		"a/b\x00" + "\x00\x00" + // 110 bytes of header and 4 of name: two more make a multiple of 4
		"hello\x00\x00\x00"
	if got := b.String(); got != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

// GNU cpio unpacks what was written, where there is one.
func TestUnpacks(t *testing.T) {
	tool, err := exec.LookPath("cpio")
	if err != nil {
		t.Skip("there is no cpio: the kernel itself unpacks these in make test-vm")
	}
	var b bytes.Buffer
	w := NewWriter(&b)
	for _, err := range []error{
		w.Directory("d", 0o700), w.Directory("d/e", 0o755), w.File("d/e/f", 0o640, strings.NewReader("12345"), 5),
		w.Symlink("d/l", "e/f"), w.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	cmd := exec.Command(tool, "-id", "--quiet")
	cmd.Dir, cmd.Stdin = dir, &b
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got, err := os.ReadFile(filepath.Join(dir, "d", "l"))
	if err != nil || string(got) != "12345" {
		t.Errorf("through the link: %q, %v", got, err)
	}
	info, err := os.Stat(filepath.Join(dir, "d", "e", "f"))
	if err != nil || info.Mode() != 0o640 {
		t.Errorf("mode: %v, %v", info, err)
	}
}

// What the format cannot hold is refused, and a short file ends the archive.
func TestErrors(t *testing.T) {
	w := NewWriter(io.Discard)
	for _, name := range []string{"", ".", "/a", "a/", "a//b", "../a", "a\x00b"} {
		if err := w.Directory(name, 0o755); !errors.Is(err, ErrEntry) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := w.File("big", 0o644, strings.NewReader(""), limit+1); !errors.Is(err, ErrEntry) {
		t.Errorf("a file too big: %v", err)
	}
	if err := w.File("short", 0o644, strings.NewReader("1"), 2); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file that ends too early: %v", err)
	}
	if err := w.Close(); err == nil {
		t.Error("the archive can be ended after that")
	}
}
