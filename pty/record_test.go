package pty

import (
	"bytes"
	"strings"
	"testing"
)

func TestRecordOverALongerOne(t *testing.T) {
	long := record{Version: recordVersion, Link: "/dev/" + strings.Repeat("x", 100), Targets: []string{"/dev/pts/1", "/dev/pts/2"}, PID: 123456}
	short := record{Version: recordVersion, Link: "/dev/x", Targets: []string{"/dev/pts/3"}, PID: 1}
	a, err := long.marshal()
	if err != nil {
		t.Fatal(err)
	}
	b, err := short.marshal()
	if err != nil {
		t.Fatal(err)
	}
	copy(a, b) // written, not yet cut
	got, err := parseRecord(a)
	if err != nil || !got.owns("/dev/x", "/dev/pts/3") || got.owns("/dev/x", "/dev/pts/1") || got.owns("/dev/y", "/dev/pts/3") {
		t.Errorf("%+v, %v", got, err)
	}
}

// The name of the lock is an interface to other versions of this program: the
// digest is that of sha256sum(1).
func TestLockName(t *testing.T) {
	// printf /dev/ttyGPS | sha256sum
	const want = "5e029a233a55051535c0400fa60c954129905f19b06f01addb2cef172d0bb07b"
	if got := lockName("/dev/ttyGPS"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte(`{"version":1,"link":"/dev/ttyGPS","targets":["/dev/pts/5"],"pid":42}` + "\n"))
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte("\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRecord(b)
		if err != nil {
			return
		}
		again, err := r.marshal()
		if err != nil {
			t.Fatal(err)
		}
		back, err := parseRecord(again)
		if err != nil {
			t.Fatalf("what was written is not read: %v", err)
		}
		if third, _ := back.marshal(); !bytes.Equal(third, again) {
			t.Errorf("%s became %s", again, third)
		}
	})
}
