package rfc2217client_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	rc "github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// handedOn is a session that goes through a file at every byte.
type handedOn struct {
	t      *testing.T
	cfg    rc.SessionConfig
	s      *rc.Session
	events []string
	data   []byte
	sent   []byte
}

func newHandedOn(t *testing.T) *handedOn {
	t.Helper()
	h := &handedOn{t: t, cfg: rc.SessionConfig{Signature: "vcomd"}}
	h.cfg.Event = func(ev rc.Event) {
		h.events = append(h.events, fmt.Sprint(ev.Kind, ev.Mode, ev.Message, ev.Request, ev.Text))
	}
	h.s = rc.NewSession(h.cfg)
	return h
}

func (h *handedOn) handOn() {
	h.t.Helper()
	text, err := json.Marshal(h.s.Save())
	if err != nil {
		h.t.Fatal(err)
	}
	var saved rc.SavedSession
	if err := json.Unmarshal(text, &saved); err != nil {
		h.t.Fatal(err)
	}
	if h.s, err = rc.RestoreSession(h.cfg, saved); err != nil {
		h.t.Fatal(err)
	}
}

func (h *handedOn) run(recorded []byte, handOn func()) {
	now := time.Unix(1000, 0)
	h.s.Start(now)
	asked := false
	for _, b := range recorded {
		handOn()
		now = now.Add(time.Millisecond)
		h.data = append(h.data, h.s.Receive(now, []byte{b})...)
		if h.s.Mode() == rc.ModeComPort && !asked {
			asked = true
			h.s.Request(now, comport.SetBaudRate{Rate: 9600}, comport.SetParity{Parity: comport.ParityEven}, comport.SetControl{Control: comport.ControlDTROn},
				comport.PurgeData{What: comport.PurgeReceive})
		}
		handOn()
		h.sent = append(h.sent, h.s.Output()[:len(h.s.Output())/2]...)
		h.s.Consume(len(h.s.Output()) / 2)
	}
	for range 3 {
		now = now.Add(900 * time.Millisecond)
		handOn()
		h.s.Tick(now)
	}
	h.sent = append(h.sent, h.s.Output()...)
}

// A session that is handed to another process between any two bytes of what real
// servers have sent does what one does that is not.
func TestSessionHandedOn(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		for _, r := range readRecordings(t, file) {
			t.Run(filepath.Base(file)+"/"+r.name, func(t *testing.T) {
				whole, pieces := newHandedOn(t), newHandedOn(t)
				whole.run(r.bytes, func() {})
				pieces.run(r.bytes, pieces.handOn)
				if d := cmp.Diff(whole.events, pieces.events); d != "" {
					t.Errorf("events (-in one piece +handed on):\n%s", d)
				}
				if d := cmp.Diff(whole.data, pieces.data); d != "" {
					t.Errorf("data:\n%s", d)
				}
				if d := cmp.Diff(whole.sent, pieces.sent); d != "" {
					t.Errorf("sent:\n%s", d)
				}
				if whole.s.Effective() != pieces.s.Effective() || whole.s.Counters() != pieces.s.Counters() {
					t.Errorf("%v, %+v; handed on %v, %+v", whole.s.Effective(), whole.s.Counters(), pieces.s.Effective(), pieces.s.Counters())
				}
			})
		}
	}
}

// What no session can have saved is refused.
func TestSavedSessionIsChecked(t *testing.T) {
	good := rc.NewSession(rc.SessionConfig{}).Save()
	for name, spoil := range map[string]func(*rc.SavedSession){
		"mode":     func(s *rc.SavedSession) { s.Mode = 99 },
		"requests": func(s *rc.SavedSession) { s.Pending = s.Pending[1:] },
		"request":  func(s *rc.SavedSession) { s.Pending[0].Message = []byte{1} },
		"other request": func(s *rc.SavedSession) {
			s.Pending[0].Message = comport.Append(nil, comport.ToServer, comport.SetParity{})
		},
		"decoder": func(s *rc.SavedSession) { s.Decoder.State = 77 },
		"payload": func(s *rc.SavedSession) { s.Decoder.Payload = make([]byte, 1<<16) },
		"option": func(s *rc.SavedSession) {
			s.Options = append(s.Options, good.Options...)
			s.Options[0].Local.State = 9
		},
	} {
		t.Run(name, func(t *testing.T) {
			session := rc.NewSession(rc.SessionConfig{})
			session.Start(time.Unix(1, 0))
			saved := session.Save()
			spoil(&saved)
			if _, err := rc.RestoreSession(rc.SessionConfig{}, saved); !errors.Is(err, rc.ErrSaved) {
				t.Errorf("error %v, want ErrSaved", err)
			}
		})
	}
}
