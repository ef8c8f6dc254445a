package ioctl

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// fakeUART is a UART that notes what is asked of it, and does to its State what a UART would.
type fakeUART struct {
	// driver is what the driver makes of settings before they count; nil for nothing. It must not change.
	driver func(*Termios)

	mu      sync.Mutex
	state   *State
	changed chan struct{} // state's
	calls   []string
	errs    map[string]error // by the method's name: what it returns, and then does nothing
}

func newFakeUART(s State) *fakeUART {
	u := &fakeUART{errs: map[string]error{}}
	u.state = &s
	u.changed = make(chan struct{})
	s.Changed = u.changed
	return u
}

func (u *fakeUART) State() *State {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.state
}

// change publishes a newer State.
func (u *fakeUART) change(f func(*State)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.publish(f)
}

func (u *fakeUART) publish(f func(*State)) {
	s := *u.state
	f(&s)
	old := u.changed
	u.changed = make(chan struct{})
	s.Changed = u.changed
	u.state = &s
	close(old)
}

// fail has a method return err from now on.
func (u *fakeUART) fail(method string, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.errs[method] = err
}

// noted returns the calls since the last noted.
func (u *fakeUART) noted() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	calls := u.calls
	u.calls = nil
	return calls
}

// did notes a call, and changes the state by f unless it is to fail.
func (u *fakeUART) did(method string, f func(*State), args ...any) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls = append(u.calls, strings.TrimSpace(fmt.Sprintln(append([]any{method}, args...)...)))
	if err := u.errs[method]; err != nil {
		return err
	}
	u.publish(f)
	return nil
}

func nothing(*State) {}

func (u *fakeUART) Set(_ context.Context, t Termios, w When) error {
	if u.driver != nil {
		u.driver(&t)
	}
	return u.did("Set", func(s *State) { s.Termios = t }, w)
}

func (u *fakeUART) Lines(_ context.Context, raise, drop Lines) error {
	return u.did("Lines", func(s *State) { s.Lines = s.Lines&^drop | raise }, fmt.Sprintf("%#x %#x", uint32(raise), uint32(drop)))
}

func (u *fakeUART) Break(_ context.Context, on bool) error {
	return u.did("Break", nothing, on)
}

func (u *fakeUART) SendBreak(_ context.Context, d time.Duration) error {
	return u.did("SendBreak", nothing, d)
}

func (u *fakeUART) Drain(context.Context) error {
	return u.did("Drain", nothing)
}

func (u *fakeUART) Flush(_ context.Context, q Queue) error {
	return u.did("Flush", nothing, q)
}

func (u *fakeUART) Flow(_ context.Context, a FlowAction) error {
	return u.did("Flow", nothing, a)
}

func (u *fakeUART) Exclusive(_ context.Context, on bool) error {
	return u.did("Exclusive", func(s *State) { s.Exclusive = on }, on)
}

func (u *fakeUART) Serial(_ context.Context, n Serial) error {
	return u.did("Serial", func(s *State) { s.Serial = n })
}

// errUnmapped is fakeMemory's answer to an address that it does not have.
var errUnmapped = errors.New("not mapped")

// fakeMemory is memory that begins at base, or nowhere.
type fakeMemory struct {
	base  uint64
	bytes []byte
}

func (m *fakeMemory) at(addr uint64, n int) ([]byte, error) {
	off := addr - m.base
	if addr < m.base || off > uint64(len(m.bytes)) || uint64(n) > uint64(len(m.bytes))-off {
		return nil, errUnmapped
	}
	return m.bytes[off:][:n], nil
}

func (m *fakeMemory) Read(addr uint64, p []byte) error {
	b, err := m.at(addr, len(p))
	copy(p, b)
	return err
}

func (m *fakeMemory) Write(addr uint64, p []byte) error {
	b, err := m.at(addr, len(p))
	copy(b, p)
	return err
}

// noMemory has nothing mapped.
var noMemory = &fakeMemory{}
