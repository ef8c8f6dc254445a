package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const demo = "../../scripts/demo.sh"

// `make demo` shows NMEA sentences that came through a port, and ends by itself.
func TestDemo(t *testing.T) {
	begin := time.Now()
	out := mustRun(t, demo, binary)
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("the demo took %v", took)
	}
	sentences := 0
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\r\n")
		if !strings.HasPrefix(line, "$GP") {
			continue
		}
		sentences++
		if !nmeaIntact(line) {
			t.Errorf("the checksum does not match: %q", line)
		}
	}
	if sentences != 10 {
		t.Errorf("%d sentences were shown, want 10", sentences)
	}
	if !strings.Contains(out, "ended cleanly") {
		t.Error("the demo does not say that vcomd ended")
	}
	if t.Failed() {
		t.Log(out)
	}
}

// A demo without sentences says so, and fails.
func TestDemoFails(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ script, want string }{
		// A program that makes a link which gives nothing.
		"no sentence": {`#!/bin/sh
ln -s /dev/null "$2"
exec sleep 60
`, "no NMEA sentence came"},
		"no port": {"#!/bin/sh\necho out of order\nexit 1\n", "out of order"},
	} {
		t.Run(name, func(t *testing.T) {
			stub := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
			if err := os.WriteFile(stub, []byte(c.script), 0o700); err != nil {
				t.Fatal(err)
			}
			out, code := run(t, demo, stub)
			if code != 1 || !strings.Contains(out, c.want) {
				t.Errorf("status %d, want 1 and %q in:\n%s", code, c.want, out)
			}
		})
	}
	t.Run("no program", func(t *testing.T) {
		cmd := exec.Command(demo, filepath.Join(dir, "absent"))
		if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 2 {
			t.Errorf("%v, want exit status 2", err)
		}
	})
}

// nmeaIntact reports whether the checksum of a sentence is that of its content:
// the exclusive or of all bytes between $ and *, as NMEA 0183 has it.
func nmeaIntact(sentence string) bool {
	content, sum, ok := strings.Cut(strings.TrimPrefix(sentence, "$"), "*")
	if !ok || len(sum) != 2 {
		return false
	}
	want, err := strconv.ParseUint(sum, 16, 8)
	if err != nil {
		return false
	}
	var got byte
	for i := range len(content) {
		got ^= content[i]
	}
	return got == byte(want)
}
