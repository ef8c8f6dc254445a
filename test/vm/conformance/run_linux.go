package conformance

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// check is something that a program may expect of a serial port.
type check struct {
	name  string
	holds func(p *port) error // of an open port; see the package's documentation
}

// Patience of a check: for what is expected, and for what is not.
const (
	patience = 20 * time.Second // under an emulator, on a busy machine
	briefly  = time.Second
)

// checks are all of them, in the order of the table.
func checks() []check {
	return slices.Concat(dataChecks, settingsChecks, linesChecks, queuesChecks, errorChecks(), badChecks)
}

// Names lists the checks, in the order of the table.
func Names() []string {
	all := checks()
	names := make([]string, 0, len(all))
	for _, c := range all {
		names = append(names, c.name)
	}
	return names
}

// Run makes the checks on a tty, and gives each result to take. It returns an error, and leaves checks out, if one does not end:
// a call is stuck in the kernel then.
func Run(kind Kind, tty string, far Far, take func(Result)) error {
	for _, c := range checks() {
		p := &port{path: tty, far: far, fd: -1, patience: patience}
		if _, gap := gaps[kind][c.name]; gap {
			p.patience = briefly
		}
		ended := make(chan error, 1)
		go func() { ended <- p.look(c) }()
		stuck := time.NewTimer(3 * patience)
		select {
		case err := <-ended:
			stuck.Stop()
			take(result(kind, c.name, err))
		case <-stuck.C:
			return fmt.Errorf("%s: it does not end", c.name)
		}
	}
	return nil
}

// look makes a check.
func (p *port) look(c check) (err error) {
	defer func() { err = errors.Join(err, p.shut()) }()
	if err := p.open(); err != nil {
		return err
	}
	if err := p.fresh(); err != nil {
		return err
	}
	if err := p.far.SetModem(idleModem); err != nil && !errors.Is(err, ErrUntried) {
		return err
	}
	return c.holds(p)
}

// result is what an error of a check means.
func result(kind Kind, name string, err error) Result {
	r := Result{Kind: kind, Check: name, Verdict: Yes}
	if err != nil {
		r.Verdict = No
		r.Why = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	if errors.Is(err, ErrUntried) {
		r.Verdict = Untried
		r.Why = strings.TrimPrefix(r.Why, ErrUntried.Error()+": ")
	}
	return r
}
