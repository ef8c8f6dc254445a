// Package evloop is the poll loop that vcomd's data path runs on: one locked
// thread, one epoll instance, timers, and functions posted by other goroutines.
//
// Everything that a port owns (its pseudo-terminal, its connection, its timers)
// lives on one Loop, so none of it needs a lock, and a byte passes from one
// descriptor to the other without waking a second thread: that is what makes the
// round trip shorter than with goroutines and Go's netpoller
// (docs/performance.md has the measurement). One Loop serves many ports.
//
// Rules for callbacks: they run on the loop's thread, one at a time; they never
// block; they may call any method of the loop, of a Source, a Stream or a Timer.
// From any other goroutine only Post may be called.
package evloop
