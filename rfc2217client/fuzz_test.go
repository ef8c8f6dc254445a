package rfc2217client_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"
	"time"

	rc "github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// fuzzRequests are what a fuzzed session asks for, chosen by the plan's bytes.
var fuzzRequests = []comport.Message{
	rate9600,
	comport.SetBaudRate{},
	comport.SetBaudRate{Rate: 0xFFFFFFFF},
	comport.SetDataSize{Size: 7},
	comport.SetParity{Parity: comport.ParityMark},
	comport.SetStopSize{Size: comport.StopSize15},
	comport.SetControl{Control: comport.ControlFlowHardware},
	comport.SetControl{Control: comport.ControlInboundNone},
	comport.SetControl{Control: comport.ControlDTROn},
	comport.SetControl{Control: comport.ControlBreakOff},
	purgeRx, purgeTx,
	comport.SignatureText{},
	comport.SetLineStateMask{Mask: 255},
}

// FuzzSession: whatever a server sends, in whatever pieces, with requests and
// time between them: no panic, bounded output and memory, progress with every
// Tick, and the data does not depend on the pieces.
func FuzzSession(f *testing.F) {
	files, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil {
		f.Fatal(err)
	}
	for i, file := range files {
		for _, rec := range readRecordings(f, file)[:1] {
			f.Add(byte(i), rec.bytes[:min(len(rec.bytes), 400)], []byte{1, 5, 130, 9, 200})
		}
	}
	f.Add(byte(0), slices.Concat(agree(), told(rate9600, purgeRx), suspend, resume, []byte("data\r\x00")), []byte{3, 128, 140, 250, 1, 1})
	f.Add(byte(1), bytes.Repeat(slices.Concat(told(comport.SignatureText{}), []byte{255, 246}), 50), []byte{7})
	f.Add(byte(2), bytes.Repeat([]byte{255, 253, 44, 255, 254, 44}, 100), []byte{7, 129})
	f.Add(byte(3), slices.Concat(agree(), suspend, []byte{255, 250, 44}, bytes.Repeat([]byte{255, 255}, 2000)), []byte{200, 201, 202})
	f.Fuzz(func(t *testing.T, kind byte, wire, plan []byte) {
		cfg := rc.SessionConfig{
			Protocol:   rc.Protocol(kind % 3),
			KnownPlain: kind&4 != 0,
			Signature:  "vcomd",
		}
		fuzzPieces(t, cfg, wire, plan)
		cfg.PurgeAcked = true
		fuzzPieces(t, cfg, wire, plan)
	})
}

func fuzzPieces(t *testing.T, cfg rc.SessionConfig, wire, plan []byte) {
	t.Helper()
	whole := newRig(t, cfg)
	want := whole.feed(wire)

	r := newRig(t, cfg)
	var got []byte
	asked, sent, purged := 0, 0, false
	rest := slices.Clone(wire)
	for i := 0; len(rest) > 0; i++ {
		b := byte(i)
		if len(plan) > 0 {
			b = plan[i%len(plan)]
		}
		switch {
		case b >= 230:
			r.pass(time.Duration(b-229) * 300 * time.Millisecond)
		case b >= 128:
			m := fuzzRequests[int(b)%len(fuzzRequests)]
			_, isPurge := m.(comport.PurgeData)
			purged = purged || isPurge
			r.Request(r.now, m)
			asked++
		}
		n := min(1+int(b%32), len(rest))
		got = append(got, r.Receive(r.now, rest[:n])...)
		rest = rest[n:]
		if b%3 == 0 {
			sent += len(r.Output())
			r.Consume(len(r.Output()))
		}
	}
	r.pass(time.Minute)
	sent += len(r.Output())
	if !purged && string(got) != want {
		t.Errorf("in pieces %q, in one %q", got, want)
	}
	if purged && len(got)+int(r.Counters().PurgedBytes) < len(want) {
		t.Errorf("%d bytes received and %d purged of %d", len(got), r.Counters().PurgedBytes, len(want))
	}
	// The opening; an answer of at most this end's signature for each three bytes
	// or so; each request twice.
	const perRequest, perCommand = 2 * 16, 12
	if bound := 15 + perCommand*(len(wire)/2+1) + perRequest*(asked+1); sent > bound {
		t.Errorf("%d bytes sent for %d bytes and %d requests", sent, len(wire), asked)
	}
	if n := r.OutputCap(); n > 4*(15+perCommand*(len(wire)/2+1)+perRequest*(asked+1))+2*rc.MaxHeld {
		t.Errorf("%d bytes of memory for output", n)
	}
	if d := r.Deadline(); !d.IsZero() && !r.Suspended() {
		t.Errorf("a deadline is left after a minute: +%v", d.Sub(epoch))
	}
}
