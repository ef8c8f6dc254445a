package checkup

// State is how well something works.
type State string

// The states, as they are printed and in JSON.
const (
	OK      State = "ok"
	Limited State = "limited"
	Missing State = "missing"
	Unknown State = "unknown" // it could not be found out
)

// Part is what a check is about.
type Part string

// The parts, in the order of a report.
const (
	Kernel Part = "kernel"
	Pty    Part = "pty"
	Run    Part = "run"
	USB    Part = "usb"
	Over   Part = "overlay"
	System Part = "system"
)

// Parts are all of them, in order.
func Parts() []Part { return []Part{Kernel, Pty, Run, USB, Over, System} }

// Title says what a part is, in a user's words.
func (p Part) Title() string {
	switch p {
	case Kernel:
		return "this kernel"
	case Pty:
		return "a pseudo-terminal (--tty pty, the default)"
	case Run:
		return "vcomd run"
	case USB:
		return "a tty of the kernel's (--tty usb)"
	case Over:
		return "a port over an existing tty (--overlay)"
	case System:
		return "around the ports"
	}
	return string(p)
}

// Check is one thing that was looked at.
type Check struct {
	Part   Part   `json:"part"`
	Name   string `json:"name"` // of one or two words
	State  State  `json:"state"`
	Found  string `json:"found"`            // what there is
	Advice string `json:"advice,omitempty"` // how to get what there is not
}

// Report is all of them, in the order of parts.
type Report []Check

// Missing returns the first check that keeps a part from working; false: it works.
func (r Report) Missing(p Part) (Check, bool) {
	for _, c := range r {
		if c.Part == p && c.State == Missing {
			return c, true
		}
	}
	return Check{}, false
}
