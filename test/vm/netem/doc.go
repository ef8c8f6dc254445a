// Package netem makes a network bad: it puts the kernel's queueing discipline of that name (module sch_netem) on an interface, as
// tc(8) does, through netlink. Linux only, and root's.
package netem
