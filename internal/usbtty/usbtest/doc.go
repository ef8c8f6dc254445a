// Package usbtest is the kernel of tests: it speaks USB/IP from the kernel's
// side, and drives a device as Linux's vhci_hcd, USB core and ftdi_sio do.
//
//	k := usbtest.NewKernel(conn, device)   // vhci: attached
//	info, err := k.Enumerate()             // the USB core, and ftdi_sio's probe
//	t, err := k.Open()                     // open("/dev/ttyUSB0")
//	t.Write(…); t.Read(…); t.SetTermios(…) // the program
//	t.Close()
//	err = k.Close()                        // unplugged; what the device has done wrong
//
// What counts is alike: the requests and their order, two OUT URBs of 256 bytes
// behind a FIFO of 4096, two IN URBs of 512 bytes that are not submitted again
// while the line discipline's buffer is full, the cancelling of URBs one after the
// other at the last close, the counters. What vhci_hcd breaks the connection for
// is a [ProtocolError].
//
// The line discipline is a raw one: see [Termios].Mark for what it does with
// damaged bytes.
package usbtest
