package ioctl

import "context"

// waitLines does TIOCMIWAIT: it returns when a line in mask has moved since s, by the counters of TIOCGICOUNT, so that a pulse
// shorter than the time to look is not missed, and RNG counts at its trailing edge only. A mask without any input waits until
// the context ends, or the port does (uart_wait_modem_status in drivers/tty/serial/serial_core.c).
func (e *Emulator) waitLines(ctx context.Context, mask Lines, s *State) Errno {
	began, hangups := s.Counts, s.Hangups
	for {
		select {
		case <-s.Changed:
		case <-ctx.Done():
		}
		s = e.uart.State()
		switch {
		case s.Gone || s.Hangups != hangups: // the lines of before have no successors
			return EIO
		case moved(mask, &began, &s.Counts): // goes before a signal, as in the kernel
			return 0
		case ctx.Err() != nil:
			return errnoOf(ctx.Err())
		}
	}
}

func moved(mask Lines, a, b *Counts) bool {
	return mask&LineRNG != 0 && a.RNG != b.RNG ||
		mask&LineDSR != 0 && a.DSR != b.DSR ||
		mask&LineCD != 0 && a.CD != b.CD ||
		mask&LineCTS != 0 && a.CTS != b.CTS
}
