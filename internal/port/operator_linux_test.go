package port

import (
	"errors"
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// TestDisconnectAndReconnect: by policy, and as the program sees it.
func TestDisconnectAndReconnect(t *testing.T) {
	for _, c := range []struct {
		connect Connect
		loss    OnLoss
	}{{ConnectOnOpen, OnLossHold}, {ConnectAlways, OnLossHold}, {ConnectOnOpen, OnLossHangup}, {ConnectAlways, OnLossHangup}} {
		t.Run(c.connect.String(), func(t *testing.T) {
			r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) { cfg.Connect, cfg.OnLoss, cfg.CloseDelay = c.connect, c.loss, time.Hour })
			f := r.program()
			r.await(KindConnected)
			r.do(r.port.Disconnect)
			r.await(KindStopped)
			if s := r.status(); s.Up || !errors.Is(s.LastError, ErrDisconnected) {
				t.Errorf("after Disconnect: %+v", s)
			}
			g := f
			if c.loss == OnLossHold {
				if r.ended(f) {
					t.Error("the program was hung up")
				}
			} else {
				r.eventually("the program is hung up", func() bool { return r.ended(f) })
				opened := len(r.of(KindOpened))
				g = r.program()
				r.eventually("the open is seen", func() bool { return len(r.of(KindOpened)) > opened })
				if s := r.status(); c.connect == ConnectAlways && (s.Up || !errors.Is(s.LastError, ErrDisconnected)) {
					t.Errorf("an open has connected what was disconnected: %+v", s)
				}
			}
			if c.connect == ConnectAlways || c.loss == OnLossHold { // else the open has connected
				var now bool
				r.do(func() { now = r.port.Reconnect() })
				if !now {
					t.Error("Reconnect says that there will be no connection")
				}
			}
			r.eventually("it is connected again", func() bool { return r.status().Up })
			if s := r.status(); s.LastError != nil {
				t.Errorf("after Reconnect: %v", s.LastError)
			}
			if _, err := g.WriteString("to the server"); err != nil {
				t.Error(err)
			}
			r.eventually("data passes", func() bool { return string(r.uart.Sent()) == "to the server" })
		})
	}
}

// TestReconnectOfAnIdlePort: nobody needs a connection.
func TestReconnectOfAnIdlePort(t *testing.T) {
	r := newRig(t, rfc2217test.Faults{}, nil)
	r.do(func() {
		if r.port.Reconnect() {
			t.Error("a port that nobody has open is connected")
		}
		r.port.Disconnect()
	})
	if s := r.status(); s.Up || s.LastError != nil {
		t.Errorf("%+v", s)
	}
	r.program()
	r.await(KindConnected)
}

// TestPurgeByRequest is passed on whatever the policy for programs is.
func TestPurgeByRequest(t *testing.T) {
	r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) { cfg.Purge, cfg.Connect = PurgeNone, ConnectAlways })
	r.await(KindConnected)
	for _, what := range []comport.Purge{comport.PurgeReceive, comport.PurgeTransmit, comport.PurgeBoth} {
		before := len(r.purges())
		r.do(func() {
			if err := r.port.Purge(what); err != nil {
				t.Errorf("%v: %v", what, err)
			}
		})
		r.eventually("it is passed on", func() bool { return len(r.purges()) == before+1 })
		if got := r.purges()[before]; got != what {
			t.Errorf("purged %v, want %v", got, what)
		}
	}
	// Without a connection the next one makes up for input.
	r.do(r.port.Disconnect)
	before := len(r.purges())
	r.do(func() {
		if err := r.port.Purge(comport.PurgeBoth); err != nil {
			t.Error(err)
		}
		r.port.Reconnect()
	})
	r.eventually("input is purged", func() bool { return len(r.purges()) == before+1 })
	if got := r.purges()[before]; got != comport.PurgeReceive {
		t.Errorf("purged %v, want %v", got, comport.PurgeReceive)
	}
}
