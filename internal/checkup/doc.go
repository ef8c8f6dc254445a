// Package checkup finds out what this machine can do for vcomd: which kinds of
// tty, vcomd run, overlays, and what belongs to them.
//
//	facts := checkup.Gather(checkup.Machine{RunDir: "/run/vcomd"})
//	report := checkup.Judge(facts)
//
// Gather looks and changes nothing: it loads no module, leaves no file behind and
// opens no tty but a pseudo-terminal of its own, which is gone afterwards. Judge is
// pure: it makes of what was found what a user wants to know.
//
// A thing works ([OK]), works with a limit that is named ([Limited]), does not
// work ([Missing]), or could not be found out ([Unknown]). Whatever is not OK
// comes with advice how to get it.
package checkup
