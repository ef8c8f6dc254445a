// Package notify shows a supervisor the terminal ioctls of a program that it
// starts, and lets it answer them: seccomp user notification (seccomp(2),
// seccomp_unotify(2)), which needs Linux 5.19 and no privilege.
//
//	vcomd run ──fork, exec──▶ itself ──no_new_privs, filter──▶ exec ──▶ the program
//	    ▲                        │                                        │ ioctl(fd, 'T'…)
//	    └───── listener ─────────┘                                        ▼
//	Supervisor ◀──────────────────────── notification ──────────────── kernel
//
// [Start] starts the program and gives the listener; [Supervisor] answers what
// comes from it. What is not about the supervisor's tty is left to the kernel, as is
// every system call but ioctl with a request of the filter's list.
//
// The filter outlives everything but its tasks: when the last descriptor of the
// listener is closed, each filtered ioctl of each of them fails with ENOSYS. So the
// Supervisor runs until the last one has ended.
//
// # Interrupted calls
//
// A filtered call cannot be interrupted by a signal that does not kill
// (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV): what it does is done exactly once. A call
// that waits, such as TIOCMIWAIT, therefore looks for signals itself, in
// /proc/TID/status, and answers -ERESTARTSYS when there is one, which the kernel
// makes EINTR or a restart of, as SA_RESTART says. It only does so for a signal that
// this task is certain to take: with another thread to take it, the number 512 would
// reach the program.
package notify
