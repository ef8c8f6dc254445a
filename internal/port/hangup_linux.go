package port

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// hangUp has the programs on the port see what an unplugged adapter looks like:
// end of file, EIO, and SIGHUP for a session leader whose terminal it is. Whoever
// opens the port again finds it as it was.
func (p *Port) hangUp(why error) {
	if !p.open || p.leaving {
		return // there is nobody to see it
	}
	evloop.Cancel(&p.showTimer)
	p.show = comport.State{}
	p.dropped(p.bridge.DropUnsent(), "bytes were never sent: the port was hung up")
	if !p.open {
		return // a flush among what was dropped found the connection lost: it has been done
	}
	old := p.tty.path()
	if a, is := p.tty.(*adapter); is {
		p.emit(Event{Kind: KindHungUp, Old: old, Err: why})
		p.hangups++
		a.replug()
		return
	}
	if kept, err := p.hangUpInPlace(); !kept && !p.renewTTY(errors.Join(why, err)) {
		return
	}
	p.hangups++
	p.emit(Event{Kind: KindHungUp, Old: old, New: p.tty.path(), Err: why})
	p.closed()
}

// hangUpInPlace has an overlay's tty stay, and only those who have it open go:
// older kernels cannot replace a mount without piling them up. It reports whether
// that was done; the error says why it could not be.
func (p *Port) hangUpInPlace() (kept bool, err error) {
	if !p.hasOverlay() {
		return false, nil
	}
	if err := p.tty.hangup(); err != nil {
		return false, err
	}
	p.termios = p.tty.settings()
	p.mirror.Start(p.termios)
	return true, nil
}

// carrier acts on a change of DCD.
func (p *Port) carrier(before, now comport.ModemState) {
	if !p.cfg.DCDHangup || before&comport.ModemDCD == 0 || now&comport.ModemDCD != 0 {
		return
	}
	if p.look(); p.termios.Cflag&unix.CLOCAL == 0 {
		p.hangUp(errCarrier)
	}
}

var errCarrier = fmt.Errorf("the remote UART has lost its carrier (DCD) and CLOCAL is off")
