package port

import (
	"cmp"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// startLines gives the lines what they are before a program has opened the port.
func (p *Port) startLines() {
	dtr, rts := p.cfg.DTR, p.cfg.RTS
	if p.raises() {
		dtr, rts = cmp.Or(dtr, comport.ControlDTROff), cmp.Or(rts, comport.ControlRTSOff)
	}
	p.mirror.SetLines(dtr, rts)
}

// raises reports whether opens and closes drive the lines.
func (p *Port) raises() bool {
	return p.cfg.Lines == LinesRaise || p.cfg.Lines == LinesAuto && p.attached > 0
}

// raiseLines is for the first open.
func (p *Port) raiseLines() {
	if p.raised = p.raises(); p.raised {
		p.setLines(cmp.Or(p.cfg.DTR, comport.ControlDTROn), cmp.Or(p.cfg.RTS, comport.ControlRTSOn))
	}
}

// dropLines is for the last close: after the bytes that are in front of it.
func (p *Port) dropLines() {
	// Its supervisor may have gone before the program's last close was seen.
	if p.raised && p.termios.Cflag&unix.HUPCL != 0 {
		p.setLines(comport.ControlDTROff, comport.ControlRTSOff)
	}
}

func (p *Port) setLines(dtr, rts comport.Control) {
	p.mirror.SetLines(dtr, rts)
	if p.client.Mode() == rfc2217client.ModeComPort {
		p.bridge.Change(p.mirror.Want())
		p.bridge.Pump()
	}
}
