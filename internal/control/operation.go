package control

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/termiosmirror"
)

// Bounds of a request.
const (
	maxOperations = 32               // in one request
	minBreak      = time.Millisecond // of one break
	maxBreak      = 30 * time.Second // of all breaks in one request
)

// OperationError says in three parts what is wrong with an operation.
type OperationError struct {
	Operation string // as it was written
	Found     string // what is wrong with it
	Fix       string // what to write instead
	Err       error  // the cause, if there is one
}

// Error joins the parts. What was written is quoted, and cut short when it is
// long.
func (e *OperationError) Error() string {
	return fmt.Sprintf("%.60q: %s; %s", e.Operation, e.Found, e.Fix)
}

// Unwrap returns the cause.
func (e *OperationError) Unwrap() error { return e.Err }

// operationForm lists what can be written.
const operationForm = "write dtr=on|off, rts=on|off, break=250ms|on|off, speed=115200 or line=9600-7E1"

// ParseOperations reads operations as people write them: KEY=VALUE. Errors are
// *OperationError.
func ParseOperations(written []string) ([]Operation, error) {
	all := make([]Operation, 0, len(written))
	for _, w := range written {
		key, value, ok := strings.Cut(w, "=")
		if !ok {
			return nil, &OperationError{Operation: w, Found: "there is no '='", Fix: operationForm}
		}
		all = append(all, Operation{Key: key, Value: value})
	}
	_, err := parseAll(all)
	return all, err
}

// Check reports whether the operation can be understood:
//
//	dtr=on|off    drive DTR
//	rts=on|off    drive RTS
//	break=TIME    a break of that length: 1ms to 30s
//	break=on|off  begin or end a break
//	speed=RATE    1 to 4294967295 bit/s
//	line=LINE     line settings as --line takes them, such as 9600-7E1
//
// The error is an *OperationError.
func (o Operation) Check() error {
	_, err := o.parse()
	return err
}

// action is an operation that was understood: one of its fields is set.
type action struct {
	dtr, rts comport.Control
	breakOn  comport.Control
	breakFor time.Duration
	line     comport.State
}

func parseAll(operations []Operation) ([]action, error) {
	if len(operations) == 0 {
		return nil, &OperationError{Found: "there is nothing to set", Fix: operationForm}
	}
	if len(operations) > maxOperations {
		return nil, &OperationError{
			Operation: operations[maxOperations].String(), Found: fmt.Sprintf("this is one more than the %d that are carried out at once", maxOperations),
			Fix: "set them in several goes",
		}
	}
	var breaks time.Duration
	all := make([]action, 0, len(operations))
	for _, o := range operations {
		a, err := o.parse()
		if err != nil {
			return nil, err
		}
		if breaks += a.breakFor; breaks > maxBreak {
			return nil, &OperationError{
				Operation: o.String(), Found: fmt.Sprintf("the breaks together are longer than %v", maxBreak),
				Fix: "set them in several goes, or begin one with break=on and end it with break=off",
			}
		}
		all = append(all, a)
	}
	return all, nil
}

func (o Operation) parse() (a action, err error) {
	fail := func(found, fix string, err error) (action, error) {
		return action{}, &OperationError{Operation: o.String(), Found: found, Fix: fix, Err: err}
	}
	on := o.Value == "on"
	isSwitch := on || o.Value == "off"
	switch o.Key {
	case "dtr":
		a.dtr = comport.DTR(on)
	case "rts":
		a.rts = comport.RTS(on)
	case "break":
		if isSwitch {
			a.breakOn = comport.Break(on)
			return a, nil
		}
		a.breakFor, err = time.ParseDuration(o.Value)
		if err != nil {
			return fail("this is neither a time nor on or off", "write break=250ms, break=on or break=off", err)
		}
		if a.breakFor < minBreak || a.breakFor > maxBreak {
			return fail("the time is out of range", fmt.Sprintf("write a time from %v to %v", minBreak, maxBreak), nil)
		}
		return a, nil
	case "speed":
		if strings.Trim(o.Value, "0123456789") != "" {
			return fail("this is not a speed", "write it in bit/s, as in speed=115200", nil)
		}
		return o.parseLine()
	case "line":
		return o.parseLine()
	default:
		return fail("there is nothing of this name to set", operationForm, nil)
	}
	if !isSwitch {
		return fail("this is neither on nor off", fmt.Sprintf("write %s=on or %s=off", o.Key, o.Key), nil)
	}
	return a, nil
}

func (o Operation) parseLine() (action, error) {
	line, err := termiosmirror.ParseLine(o.Value)
	if err == nil {
		return action{line: line}, nil
	}
	e := &OperationError{Operation: o.String(), Found: "these are not line settings", Fix: "write line=9600-7E1", Err: err}
	if why, ok := errors.AsType[*termiosmirror.LineError](err); ok {
		e.Found, e.Fix = why.What, why.Fix
	}
	return action{}, e
}
