package port

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// marks are what a program reads of damaged characters and of breaks. The kernel puts them
// among the data of a serial driver (n_tty_receive_char_flagged in drivers/tty/n_tty.c); to
// a pseudo-terminal's it has nobody who tells. Nor does RFC 2217 say which character was
// damaged: a server that tells so at all does it before the character.
type marks struct {
	damage comport.LineState // framing or parity error of the character to come
	breaks int               // to be put before it
	done   int               // bytes written already of the mark that had no room
}

// maxBreakMarks bounds the breaks that wait for room.
const maxBreakMarks = 64

// markable reports whether marks can be put among what a program reads: the line discipline
// passes all bytes on as they are while EXTPROC is set, and a supervisor has the server tell.
func (t *terminal) markable() bool { return t.exact() && !t.master.Polled() }

// damaged implements tty. A break counts here if the program neither ignores it (IGNBRK) nor
// is interrupted by it (BRKINT), an error if it has them checked (INPCK).
func (t *terminal) damaged(s comport.LineState) {
	iflag := t.master.Settings().Iflag
	switch {
	case t.parked || !t.markable():
	case s&comport.LineBreak != 0: // with which a server may report a framing error
		// Not into the middle of a character's mark.
		if iflag&(unix.IGNBRK|unix.BRKINT) == 0 && t.marks.breaks < maxBreakMarks && (t.marks.breaks > 0 || t.marks.done == 0) {
			t.marks.breaks++
			_, _ = t.Write(nil) // an error is met by what follows
		}
	case iflag&unix.INPCK != 0:
		t.marks.damage |= s & (comport.LineFramingError | comport.LineParityError)
	}
}

// Write implements bridge.TTY.
func (t *terminal) Write(p []byte) (n int, err error) {
	m := &t.marks
	iflag := t.master.Settings().Iflag
	// Without ISTRIP, which would make another byte of it, 0xFF begins a mark.
	tells := iflag&unix.PARMRK != 0 && iflag&unix.ISTRIP == 0
	if !t.markable() || *m == (marks{}) && (!tells || bytes.IndexByte(p, 0xff) < 0) {
		*m = marks{}
		return t.write(p)
	}
	for n < len(p) || m.breaks > 0 {
		var mark []byte
		switch {
		case m.breaks > 0:
			mark = markOf(0, tells)
		case m.damage != 0 && iflag&unix.IGNPAR != 0: // no such character
		case m.damage != 0:
			mark = markOf(p[n], tells)
		case tells && p[n] == 0xff:
			mark = []byte{0xff, 0xff}
		default:
			whole := p[n:]
			if i := bytes.IndexByte(whole, 0xff); tells && i >= 0 {
				whole = whole[:i]
			}
			w, err := t.write(whole)
			if n += w; err != nil || w < len(whole) {
				return n, err
			}
			continue
		}
		if m.done < len(mark) {
			w, err := t.write(mark[m.done:])
			if m.done += w; err != nil || m.done < len(mark) {
				return n, err
			}
		}
		m.done = 0
		if m.breaks > 0 {
			m.breaks--
			continue
		}
		m.damage = 0
		n++
	}
	return n, nil
}

// markOf stands for a damaged character, or with 0 for a break.
func markOf(c byte, tells bool) []byte {
	if tells {
		return []byte{0xff, 0, c}
	}
	return []byte{0}
}
