// Package usbtty is a USB serial adapter that exists only as bytes: the device's side of USB/IP, with the
// personality of an FT232R. One end of a socketpair goes to the kernel's vhci_hcd, the other is fed into a [Device]; the
// kernel's own ftdi_sio finds the adapter and makes a tty, with its line discipline, modem lines, counters and udev events.
//
//	program ── /dev/ttyUSBn ── ftdi_sio ── vhci_hcd ══ socket ══ Feed ─▶ Device ─▶ Handler, Read
//	                                                     ◀══ Output ──  Device ◀─ Write, WriteWith, SetModem
//
// Bytes in, bytes out: the package touches no socket, no clock and no file, and starts no goroutine. A device is used from one
// goroutine at a time.
//
// # Use
//
//	d := usbtty.New(cfg, handler)
//	for each chunk from the socket {
//		if err := d.Feed(chunk); err != nil { detach }   // calls handler
//		n := send(d.Output()); d.Wrote(n)
//	}
//
// Every method but the getters may add to Output: send it after each. Methods other than Feed never call the handler.
//
// # Why an FT232R
//
// Of the adapters with a driver in stock kernels it is the only one that has all at once: four modem inputs with TIOCMIWAIT and
// TIOCGICOUNT, received parity and framing errors and breaks, flow control that the device is told of, tcdrain that waits
// for the device, and back-pressure without loss both ways. pl2303 drops data when the program is slow, cp210x has no
// TIOCMIWAIT and rounds speeds, cdc-acm has neither CTS nor flow control, mxuport has no RI and no error per character.
// The vendor and product id are vcomd's, bound to ftdi_sio by new_id; it knows the chip by bcdDevice 0600.
//
// # What the driver cannot tell
//
//   - tcflush: no request comes; what the tty layer had taken is sent later. ([Handler].Purge is for programs that use
//     libftdi.)
//   - 5 and 6 data bits: CS6 is taken back by the driver, for CS5 it sends 0. The size stays as it was, and is counted as unsupported.
//   - 1.5 stop bits: CSTOPB is 2.
//   - The speed is a divisor: [DecodeSpeed] finds out what was meant. Above 3,000,000 bit/s the driver sets 9600, and tells the
//     program so.
//   - IXON is what asks for XON/XOFF, and a new tty has it: IXON is among the standard settings of the kernel's tty layer,
//     and the first open sends it. IXOFF alone is not seen.
//   - The flow control and the lines are also changed by the driver itself: a last close with HUPCL, and B0, switch flow
//     control off before they drop DTR and RTS.
//   - A break arrives with the format, so that the two are told apart by what changes.
//
// # Open and close
//
// Nothing says either. The driver sends an SIO reset when a closed port is opened, and keeps two bulk IN URBs waiting from then
// on; at the last close it drops DTR and RTS (HUPCL), cancels the OUT URBs, and then the IN URBs. So:
//
//   - opened: an SIO reset, or an IN URB, of a port that is not open;
//   - closed: an IN URB was cancelled, and no other waits. Between the two nothing is delivered: it would be lost;
//   - closed: DTR and RTS are dropped together while no IN URB waits. That is a driver whose reader is slow, which has none to
//     cancel. If it was B0, the next IN URB is an open again: one Closed and one Opened too many, with no data lost;
//   - closed, then opened: an SIO reset of an open port without an IN URB. A slow reader's port was closed without HUPCL,
//     which could not be seen before.
//
// A program that opens the device with libusb and cancels each read that times out looks closed in between.
//
// An IN URB that was being answered as the driver began to cancel can come again after the other was cancelled: then Closed
// is followed by Opened and Closed. Handlers must be able to bear both at any time, in turns.
//
// # To the program
//
// Each IN URB is answered as soon as there is something to say. A packet has two status bytes and up to 62 bytes of data; a URB
// has as many packets as it has room for. Errors belong to whole packets, hence [Device.WriteWith] takes a URB for one byte. A
// change of the modem inputs takes a URB without data, if one waits; else up to 16 changes wait for URBs, in order, and of
// more the oldest are forgotten. An open begins with the state of the inputs, if there is or was any.
//
// # From the program
//
// An OUT URB is answered when [Device.Read] has taken its last byte. The driver keeps two of 256 bytes under way, and 4096 more
// bytes in a FIFO: who does not read makes the program wait. A URB that is cancelled (a close that does not wait any longer for
// its output) takes its bytes with it; those not read are counted as dropped.
//
// # Cancelling
//
// A URB that is cancelled while it waits has RET_UNLINK with -ECONNRESET as its only answer; one that was answered has status 0.
// vhci_hcd gives a connection up that answers twice. Its sender may send a cancellation before the URB that it is for: the answer
// then waits for the URB. 16 of these are kept. A cancellation that comes before any URB is for the device that was
// attached to the same port before, and is answered for it, with -ECONNRESET; a later one of such a URB counts as answered.
//
// # Bounds
//
// All memory is bounded, whatever the kernel sends:
//
//	waiting URBs             64 at each bulk endpoint, more get -ENOMEM     1.3 KiB
//	bytes from the program   64 KiB a URB (-EMSGSIZE), 256 KiB in all       330 KiB as Go's slices grow
//	output                   1 MiB, then Feed fails; and what the URBs      3.3 MiB, with what was sent
//	                         may still get, of 4 KiB each: 265 KiB          and not cut off yet
//
// So a hostile kernel can make a device of some 4 MiB; a real one has 512 bytes waiting each way, and a device of less than 16 KiB.
// What is refused is not stored: its bytes are counted and dropped as they come. Buffers that have grown beyond 64 KiB are given up
// when they are empty. Bulk transfers do not allocate.
package usbtty
