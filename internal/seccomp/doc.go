// Package seccomp starts a program whose serial ioctls are seen, and answered, by another process: its supervisor. It is
// seccomp user notification (seccomp(2), seccomp_unotify(2)), and needs Linux 5.19 and no privilege.
//
//	supervisor ──fork──▶ itself, in MaybeChild ──no_new_privs, filter──▶ execve ──▶ the program
//	    ▲                    │                                                       │ ioctl(fd, TCGETS, p)
//	    └──── listener ──────┘                                                       ▼
//	Supervisor.Run ◀───────────────────── notification ────────────────────────── kernel
//	    │ ▲
//	    ▼ │ Handler
//
// [Start] executes the running binary again, and that process becomes the program: so [MaybeChild] has to be the first
// thing in main. [Supervisor] answers what the listener brings, [Process.Wait] does what a parent must.
//
// # What is seen
//
// The filter ([Filter]) picks ioctl calls by their request, on any descriptor. The supervisor looks which file a descriptor
// is (st_dev and st_rdev of /proc/TID/fd/N, which works for symlinks, inherited and duplicated ones), and has the kernel do
// every call that is not on its tty. Its tty can change while programs run ([Supervisor.SetDevice]). A program that opens
// its controlling terminal as /dev/tty has another device, and is not seen.
//
// It is not a security boundary: between a look and an answer a program can change what was looked at.
//
// # Answers
//
// A [Handler] has a call done by the kernel, answers it at once ([Now]), or while others are answered ([Later]). At most 1,024
// calls are answered Later at a time; one more fails with EAGAIN. Whatever a Handler does happens before the
// program sees its answer.
//
// Only a signal that kills interrupts a call (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV): so what it does is done once. A call
// that waits, TIOCMIWAIT say, ends by the supervisor's looking at /proc/TID/status every 20 ms while something waits. It is
// answered with ERESTARTSYS, of which the kernel makes EINTR or a restart, but only if the task is certain to take the
// signal, or to find that another has: one that is for it alone, any if it has no other threads, and in a process's first
// thread those that are sent to processes. Else the number 512 would reach the program. A call in another thread goes on at
// a signal for the process, except when that stops it.
//
// A signal can interrupt a call that the supervisor has not received yet, of which nothing is done then: the call is
// made again by the kernel, or fails with EINTR if the signal's handler was installed without SA_RESTART.
//
// Who cannot be looked into, a program that the user may execute but not read, say, has its calls done by the kernel: it
// finds a plain pseudo-terminal. With ptrace_scope 1 (Yama) a supervisor without privilege may look into its descendants only,
// for which [Options.Adopt] keeps daemons its own; with ptrace_scope 2 it has to be root.
//
// # Life
//
// When the last descriptor of the listener is closed, every filtered call, on any descriptor of any task, fails with
// ENOSYS. [Supervisor.Run] therefore returns when the last task is gone, and its context should not end before.
//
// The program is in the supervisor's process group, so that a terminal's ^C, ^\ and ^Z reach it by themselves. Wait ignores them,
// stops when the program has stopped, continues it, and passes on what is sent to the supervisor alone.
//
// The program has the supervisor's descriptors (those without FD_CLOEXEC), working directory, resource limits and signal
// mask. SIGHUP, SIGINT, SIGTSTP, SIGTTIN and SIGTTOU that were ignored when the supervisor was started are ignored in it; all
// other signals have their default action, because Go's runtime does not remember what they had. Under systemd that is
// SIGPIPE, which services ignore (IgnoreSIGPIPE=).
package seccomp
