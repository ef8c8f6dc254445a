// Package ioctl answers the serial ioctls of a program as a real UART's driver would: it is drivers/tty/tty_ioctl.c,
// the tty part of drivers/tty/tty_io.c and drivers/tty/serial/serial_core.c of Linux for a UART that is somewhere else.
//
//	program ── ioctl(fd, request, arg) ──▶ supervisor ── Call, Memory ──▶ Emulator ──▶ UART ──▶ the other end
//	                                                                        ▲            │
//	                                                                        └── State ◀──┘
//
// The package makes no system call and knows neither where calls come from nor what serves the port: a [Call] is a request
// with its argument as the program passed it, a [Memory] reaches what the argument points to, and a [UART] is the port. It is
// safe for concurrent use and starts no goroutine.
//
// # Requests
//
//	answered from State             TCGETS TCGETS2 TCGETA TIOCMGET TIOCGICOUNT TIOCGSERIAL TIOCOUTQ TIOCGSOFTCAR TIOCSERGETLSR
//	                                TIOCGEXCL
//	handed to the UART              TCSETS TCSETS2 TCSETA and their W and F forms, TIOCSSOFTCAR, TIOCMSET TIOCMBIS TIOCMBIC,
//	                                TCSBRK TCSBRKP TIOCSBRK TIOCCBRK, TCFLSH TCXONC, TIOCEXCL TIOCNXCL, TIOCSSERIAL
//	waits for State to change       TIOCMIWAIT
//
// Everything else is the kernel's, which has it right on any tty: TIOCINQ, TIOCGWINSZ, job control, TIOCGLCKTRMIOS and so
// on. [Known] tells them apart. So is the rule that a background process is stopped by SIGTTOU when it changes its
// controlling terminal (tty_check_change): only who sees the process can apply it.
//
// # Order of checks
//
// A port that is gone answers EIO to everything, as a tty that was hung up. Then the argument is read (EFAULT), then judged
// (EINVAL, EPERM), and only then is the UART asked: a call that fails for its argument has done nothing.
//
// # Settings
//
// The TCSET forms differ in the structure that they read, and keep what it lacks: TCSETA replaces the low 16 bits of each
// flag word and the first 8 control characters, TCSETS leaves c_ispeed and c_ospeed alone, so that BOTHER in it means the
// speed that was last set. What reaches the UART always has the true speeds in [Termios].Ispeed and Ospeed, also where
// the program used a Bnnn constant. TCSETA and TIOCSSOFTCAR change a part of what [UART.State] shows, and then set the whole: what
// another program sets in between is lost. A driver that runs at another speed than asked shows that by [Termios.SetSpeed].
//
// # serial_struct
//
// [DefaultSerial] shows a 16550A, which no program refuses, with the baud_base of an FT232R, 24,000,000: programs that know only
// custom divisors (ASYNC_SPD_CUST) reach 115,200, 230,400, 460,800, 921,600, 250,000, 500,000, and 1, 1.5, 2 and 3 Mbit/s within 0.2 %.
// TIOCSSERIAL changes what it changes on a driver whose port cannot be moved (UPF_FIXED_PORT): type, port, irq and memory are
// read, and ignored.
//
// # Interrupted calls
//
// A call whose context ends returns EINTR. What a real driver's caller sees after a signal is EINTR or a restarted call,
// depending on the request: [Restarts].
package ioctl
