// Package daemon is every running vcomd, the one in the foreground too: the poll
// loop, the ports on it, and what is done with their events. Logging lives here
// and in cmd, nowhere below.
package daemon
