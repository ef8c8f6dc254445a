// Package vm runs vcomd in virtual machines that boot stock Debian kernels, for what only a kernel can show: a tty of the kernel's
// (--tty usb), Yama, bad networks, a kernel without USB, and a UART to compare with.
//
//	make test-vm                                             all of it, on both kernels; ten minutes at most
//	make test-vm UPDATE=1                                    and rewrites the table in docs/compatibility.md
//	VCOMD_VM_BINARY=FILE make test-vm                        with a static vcomd that is there already
//	go run ./test/vm/cmd -suite yama,network -kernel generic some suites by hand, with all that the machine says
//
// Without VCOMD_VM, which make test-vm sets, the test that boots machines does nothing; those of the packages below are ordinary ones.
//
// # How it works
//
//	host                                           machine (QEMU, emulated: no KVM)
//	TestVM, cmd ── Job ── kernel.Fetch             /init = guest ── suites, each a process
//	                │     Build: guest, vcomd                        │
//	                │     WriteInitramfs (cpio)                      ├── rig: /bin/vcomd, simulated access servers
//	                └──── Machine ── console ◄── report ─────────────┘
//
// Package kernel takes a kernel and some modules out of its Debian package, which apt has downloaded and verified, into
// $XDG_CACHE_HOME/vcomd-vm; nothing is installed, and the next time no network is needed. The machine has 512 MB, one processor, no disk and
// no network; its file system is an archive with two static programs, the modules, and names of users. Package report is the
// language of its console. A suite that dies is a failed check; a machine that does not say that it has come to its end is an error.
//
// /dev/ttyS0 is the console. /dev/ttyS1 is a 16550 whose line leads to /dev/ttyS2, another one: QEMU connects to itself. QEMU's
// has no line speed, no line errors, no flow control, and no interrupt when an input changes.
//
// # Suites
//
//	16550, pty, run, usb  package conformance's checks on each kind of tty: rows of the table
//	adapter               --tty usb: many at once and in a row, kill -9, loss of the connection, 16 MiB
//	yama                  vcomd run under ptrace_scope 0, 1 and 2, root's and an ordinary user's
//	network               loss, reordering, delay and a cut, by the kernel's netem
//	speed                 figures of the 16550, the pseudo-terminal and the tty of the kernel's, side by side
//	plain, nousb          any kernel; one without USB
//	systemd               udev's rules, units of ports, and gpsd, under Debian's udev and systemd
//
// The last one's machine (Job.System, cmd's -system) has another file system: package rootfs has mmdebstrap install a Debian, once; systemd is its
// first process, and the guest a service, which runs the suites and ends the machine as /init does elsewhere. modprobe is the real one.
//
// # Adding
//
// A check of what a program may expect of a tty: see package conformance. Another check: in the suite's package, call
// report.Writer's Result with a name "SUITE/WHAT". A suite: a package in suite with a function of (context.Context, *report.Writer) error,
// named in guest/suites_linux.go, and in machines of vm_linux_test.go. An error that a suite returns means that it could not make its
// checks. A program that a suite needs is the guest itself under another argument, in guest/main_linux.go. A kernel module: in
// Modules, and the suite runs /sbin/modprobe, which is the guest too. Figures (report.Writer.Figure) are logged, and compared with nothing.
//
// Everything is some ten times slower there than here, and slower still on a busy machine: what takes no time is given 20 s.
package vm
