// Command guest is what runs in the virtual machine of make test-vm: /init, and under other names what that starts.
//
//	/init                        mounts, brings up the loopback interface, runs the suites of suite=a,b and powers off
//	vcomd-vm session             the same without the mounts: a service of systemd
//	/init suite NAME             one suite: a process of its own, so that the machine outlives its end
//	/init conformance FLAGS TTY  the checks of a tty, by one who may run under vcomd run
//	/init look HOW TTY           says what a program finds at a tty, for the suite yama
//	/sbin/modprobe NAME…         loads modules and what they need, as vcomd has them loaded
//
// Package [github.com/vcomd/vcomd/test/vm] is the manual.
package main
