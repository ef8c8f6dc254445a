package daemon

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/vcomd/vcomd/internal/config"
	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/pty"
)

func validate(t *testing.T, s config.Port) port.Config {
	t.Helper()
	c, err := s.Validate()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A port that cannot be set up ends Run at once, whatever its remote, and takes
// back the ports before it.
func TestRunTakesBackWhatItHasSetUp(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken")
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	run := filepath.Join(dir, "run")
	first := validate(t, config.Port{Remote: "sim:gps", Links: []string{filepath.Join(dir, "first")}, RunDir: run})
	second := validate(t, config.Port{Remote: "sim:echo", Links: []string{taken}, RunDir: run})
	var log bytes.Buffer
	err := Run(context.Background(), Config{Ports: []port.Config{first, second}, Log: zerolog.New(&log)})
	if !errors.Is(err, pty.ErrLinkTaken) {
		t.Errorf("error %v, want ErrLinkTaken", err)
	}
	if _, err := os.Lstat(first.Links[0]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the first port's link: %v, want it gone", err)
	}
	if got := strings.Count(log.String(), `"event":"ended"`); got != 1 {
		t.Errorf("%d totals were logged, want those of the first port:\n%s", got, log.String())
	}
}

// Without anything to serve, Run waits for the end of its context like any
// other.
func TestRunEndsWithItsContext(t *testing.T) {
	for _, ports := range [][]port.Config{nil, {validate(t, config.Port{Remote: "sim:modem", Connect: "always", RunDir: t.TempDir()})}} {
		ctx, cancel := context.WithCancel(context.Background())
		var log bytes.Buffer
		done := make(chan error, 1)
		go func() { done <- Run(ctx, Config{Ports: ports, Log: zerolog.New(&log)}) }()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
