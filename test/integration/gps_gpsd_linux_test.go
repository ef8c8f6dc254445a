package integration

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// gpsReport is what a test needs of gpsd's JSON: class TPV is time, position and
// velocity, whose mode 3 is a fix with height.
type gpsReport struct {
	Class, Device string
	Mode          int
	Lat, Lon      float64 // degrees
}

// gpsd has a fix from a receiver behind ser2net.
func TestGPSD(t *testing.T) {
	need(t, "gpsd", "gpspipe")
	s := ser2net(t)
	feedGPS(t, s.device)
	traversable(t)
	// gpsd gives up root; its user must be able to open the port again.
	v := start(t, s.remote, "--mode", "0666")

	port := freePort(t)
	spawn(t, "gpsd", "-N", "-n", "-S", port, "-F", filepath.Join(t.TempDir(), "control"), v.link)
	listening(t, port)
	pipe := spawn(t, "gpspipe", "-w", "127.0.0.1:"+port)
	var fix gpsReport
	eventually(t, "gpsd reports a position with height", func() bool {
		for line := range strings.Lines(pipe.out.String()) {
			var r gpsReport
			if json.Unmarshal([]byte(line), &r) == nil && r.Class == "TPV" && r.Mode == 3 {
				fix = r
				return true
			}
		}
		return false
	})
	if fix.Device != v.link {
		t.Errorf("the fix comes from %q, want %q", fix.Device, v.link)
	}
	// The simulated receiver walks around the centre of Munich.
	if math.Abs(fix.Lat-48.137) > 0.02 || math.Abs(fix.Lon-11.576) > 0.02 {
		t.Errorf("the position is %v, %v; want about 48.137, 11.576", fix.Lat, fix.Lon)
	}
}

// feedGPS connects a simulated receiver to a device until the test ends.
func feedGPS(t *testing.T, d *device) {
	t.Helper()
	gps := rfc2217test.NewGPS(nil)
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(d.File, gps)
		done <- err
	}()
	t.Cleanup(func() {
		_ = gps.Close()
		_ = d.Close() // a write may wait for room
		if err := <-done; err != nil && !errors.Is(err, os.ErrClosed) {
			t.Errorf("the receiver: %v", err)
		}
	})
}
