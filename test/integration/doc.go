// Package integration drives the real vcomd binary on real pseudo-terminals,
// with real access servers and real programs. All of it is in tests; each starts
// what it needs on loopback, opens only terminals that it made itself, and ends
// what it started by process id.
package integration
