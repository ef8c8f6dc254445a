package daemon

import (
	"time"

	"github.com/rs/zerolog"

	"github.com/vcomd/vcomd/internal/port"
)

// logEvents returns a sink that writes one line per change of state.
func logEvents(log zerolog.Logger, pc port.Config) func(port.Event) {
	log = log.With().Str("port", pc.Name).Logger()
	limits := make(limiter)
	return func(ev port.Event) {
		level, text := describe(ev)
		if level < log.GetLevel() || level < zerolog.GlobalLevel() {
			return
		}
		write, left := limits.allow(ev.Kind, ev.Time)
		if !write && log.GetLevel() > zerolog.DebugLevel { // debug leaves nothing out
			return
		}
		line := log.WithLevel(level).Str("event", string(ev.Kind))
		if left > 0 {
			line = line.Uint64("not_logged", left)
		}
		switch len(pc.Links) {
		case 0:
		case 1:
			line = line.Str("link", pc.Links[0])
		default:
			line = line.Strs("link", pc.Links)
		}
		if pc.Overlay != "" {
			line = line.Str("overlay", pc.Overlay)
		}
		line = line.Stringer("remote", pc.Remote)
		if ev.Old != "" {
			line = line.Str("old", ev.Old)
		}
		if ev.New != "" {
			line = line.Str("new", ev.New)
		}
		if ev.Err != nil {
			line = line.AnErr("err", ev.Err)
		}
		if ev.Text != "" {
			line = line.Str("detail", ev.Text)
		}
		line.Msg(text)
	}
}

// What is logged of one kind of event: a server that suspends and resumes all the
// time, or that accepts connections only to close them, must not fill the disk.
const (
	logBurst    = 100
	logInterval = 10 * time.Second
)

// limiter lets logBurst events of a kind through in each logInterval.
type limiter map[port.Kind]*window

type window struct {
	begin time.Time
	seen  uint64
}

// allow reports whether an event is to be logged, and how many of its kind were
// not since the last one that was.
func (l limiter) allow(kind port.Kind, now time.Time) (write bool, left uint64) {
	w := l[kind]
	if w == nil {
		w = &window{begin: now}
		l[kind] = w
	}
	if now.Sub(w.begin) >= logInterval {
		if w.seen > logBurst {
			left = w.seen - logBurst
		}
		w.begin, w.seen = now, 0
	}
	w.seen++
	return w.seen <= logBurst, left
}

// describe gives an event's level and what it says to a person.
func describe(ev port.Event) (zerolog.Level, string) {
	switch ev.Kind {
	case port.KindReady:
		return zerolog.InfoLevel, "the port is there: programs can open it"
	case port.KindOpened:
		return zerolog.DebugLevel, "a program has opened the port"
	case port.KindClosed:
		return zerolog.DebugLevel, "the last program has closed the port"
	case port.KindConnected:
		return zerolog.InfoLevel, "connected to the access server"
	case port.KindUnverified:
		return zerolog.WarnLevel, "the access server's certificate is NOT checked (--tls-insecure): anybody on the way can pretend to be it, " +
			"read and change what passes; give --tls-ca, or --tls-pin besides"
	case port.KindDegraded:
		return zerolog.WarnLevel, "the access server does not speak RFC 2217: data passes, but settings, DTR, RTS, modem lines and flushes do not; " +
			"if it is a raw server, write tcp://, and telnet:// silences this"
	case port.KindDisconnected:
		return zerolog.WarnLevel, "no connection to the access server; trying again"
	case port.KindStopped:
		return zerolog.InfoLevel, "disconnected: the connection is not needed any more"
	case port.KindWanted:
		return zerolog.DebugLevel, "a program asked for settings"
	case port.KindDiffers:
		return zerolog.WarnLevel, "the access server has set something else than was asked for"
	case port.KindShown:
		return zerolog.DebugLevel, "the tty now shows what the access server said"
	case port.KindUnanswered:
		return zerolog.WarnLevel, "the access server does not acknowledge this; it is taken as done"
	case port.KindModemState:
		return zerolog.DebugLevel, "modem lines changed"
	case port.KindLineState:
		return zerolog.DebugLevel, "line state reported"
	case port.KindBreak:
		return zerolog.DebugLevel, "break received"
	case port.KindPurged:
		return zerolog.DebugLevel, "a flush was passed on"
	case port.KindSuspended:
		return zerolog.InfoLevel, "the access server has suspended output"
	case port.KindResumed:
		return zerolog.InfoLevel, "the access server has resumed output"
	case port.KindDropped:
		return zerolog.WarnLevel, "bytes were dropped"
	case port.KindNewTTY:
		return zerolog.WarnLevel, "the pseudo-terminal could not be opened any more; another took its place"
	case port.KindTakenOver:
		return zerolog.InfoLevel, "the port goes on where it was: programs keep it"
	case port.KindNotResumed:
		return zerolog.WarnLevel, "not all of the port could go on where it was; this begins afresh"
	case port.KindPseudo:
		return zerolog.WarnLevel, "no tty of the kernel can be had (--tty auto): programs get a pseudo-terminal, without parity, modem lines and break"
	case port.KindPlugged:
		return zerolog.InfoLevel, "the adapter is plugged in again: programs can open the port"
	case port.KindUnplugged:
		return zerolog.WarnLevel, "the adapter was unplugged; it is plugged in again"
	case port.KindHungUp:
		return zerolog.InfoLevel, "the port was hung up: programs that had it open see an unplugged adapter, and can open it again"
	case port.KindMismatch:
		return zerolog.WarnLevel, "the access server speaks Telnet, and its commands reach the program as data; write rfc2217:// or telnet:// instead of tcp://"
	case port.KindGaveUp:
		return zerolog.ErrorLevel, "no connection to the access server, and no more tries"
	case port.KindNameFailed:
		return zerolog.WarnLevel, "this name does not lead to the port any more; trying again"
	case port.KindNameRestored:
		return zerolog.InfoLevel, "this name leads to the port again"
	case port.KindTTYFailed:
		return zerolog.ErrorLevel, "the pseudo-terminal failed"
	default:
		return zerolog.InfoLevel, string(ev.Kind)
	}
}

// logTotals writes what a port has carried, when it ends.
func logTotals(log zerolog.Logger, pc port.Config, st port.Status) {
	log.Info().Str("port", pc.Name).Str("event", "ended").
		Uint64("from_program", st.Bytes.FromProgram).Uint64("to_program", st.Bytes.ToProgram).
		Uint64("dropped_closed", st.Bytes.DroppedClosed).Uint64("dropped_flush", st.Bytes.DroppedFlush).Uint64("dropped_unsent", st.Bytes.DroppedUnsent).
		Uint64("dropped_stale", st.Bytes.DroppedStale).Uint64("dropped_down", st.Bytes.DroppedDown).Uint64("flushed_unsent", st.Bytes.FlushedUnsent).
		Uint64("dropped_banner", st.DroppedBanner).
		Uint64("tx_unconfirmed", st.Client.Unconfirmed).Uint64("rx_undelivered", st.Client.Undelivered).Uint64("purged", st.Client.PurgedBytes).
		Uint64("commands_sent", st.Client.CommandsSent).Uint64("commands_received", st.Client.CommandsReceived).
		Uint64("unanswered", st.Client.Unanswered).Uint64("dropped_requests", st.Client.DroppedRequests).Uint64("unknown_messages", st.Client.UnknownMessages).
		Uint64("broken_messages", st.Client.BrokenMessages).Uint64("ignored_commands", st.Client.IgnoredCommands).
		Uint64("refused_options", st.Client.RefusedOptions).
		Msg("the port is gone")
}
