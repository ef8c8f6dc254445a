package port

import "time"

// Kind says what an Event is about.
type Kind string

// The kinds of event. Old and New of the Event are given in brackets.
const (
	KindReady        Kind = "ready"        // the tty is there [link → tty]
	KindOpened       Kind = "opened"       // a program has opened the port
	KindClosed       Kind = "closed"       // the last program has closed it
	KindConnected    Kind = "connected"    // [→ mode]
	KindUnverified   Kind = "unverified"   // anybody could pretend to be the server: TLS is not to check it
	KindDegraded     Kind = "degraded"     // connected, but not as asked [protocol → mode]
	KindDisconnected Kind = "disconnected" // Err says why; New when it tries again
	KindStopped      Kind = "stopped"      // disconnected because nobody needs it
	KindWanted       Kind = "wanted"       // a program asked for settings [settings → settings]
	KindDiffers      Kind = "differs"      // the server acknowledged another value [asked → given]
	KindShown        Kind = "shown"        // the tty was told the truth [settings → settings]
	KindUnanswered   Kind = "unanswered"   // the server never acknowledged [request]
	KindModemState   Kind = "modem-state"  // [lines → lines]
	KindLineState    Kind = "line-state"   // [→ errors]
	KindBreak        Kind = "break"        // a break was received
	KindPurged       Kind = "purged"       // a flush was passed on [→ what]
	KindSuspended    Kind = "suspended"    // the server holds the output
	KindResumed      Kind = "resumed"
	KindDropped      Kind = "dropped"       // bytes were dropped [→ how many]
	KindNewTTY       Kind = "new-tty"       // another pseudo-terminal took the place [old → new]
	KindTakenOver    Kind = "taken-over"    // from the vcomd before this one, or from another configuration [→ tty]
	KindNotResumed   Kind = "not-resumed"   // what that has left cannot be gone on with: Err
	KindPseudo       Kind = "pseudo"        // --tty auto: no kernel tty can be had, and Err says why
	KindPlugged      Kind = "plugged"       // the adapter's tty is there [→ tty]
	KindUnplugged    Kind = "unplugged"     // it is not any more [tty →], Err says why; tried again
	KindHungUp       Kind = "hung-up"       // programs were made to see an unplugged adapter [tty → tty], Err says why
	KindMismatch     Kind = "mismatch"      // the server speaks another protocol [protocol → protocol]
	KindGaveUp       Kind = "gave-up"       // as many tries as allowed have failed: Err
	KindNameFailed   Kind = "name-failed"   // a link or overlay does not lead to the tty; tried again [name → tty]
	KindNameRestored Kind = "name-restored" // and now it does [name → tty]
	KindTTYFailed    Kind = "tty-failed"    // Err
)

// Event is one thing that happened to a port.
type Event struct {
	Time time.Time
	Port string
	Kind Kind
	Old  string
	New  string
	Text string // more, for people
	Err  error
}
