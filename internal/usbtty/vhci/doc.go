// Package vhci attaches an emulated USB device to this kernel through USB/IP's
// virtual host controller, vhci_hcd, and finds the tty that ftdi_sio makes of it.
//
// # The life of an adapter
//
//	var host vhci.Host
//	err := host.Prepare(ctx, vid, pid)              modules, privileges, new_id
//	p, err := host.Attach(fd, vhci.DeviceID(0), vhci.SpeedFull)
//	… close fd; answer the kernel on the other end of the socket …
//	tty, err := host.TTY(p, serial, vid, pid)       ErrNotYet for 0.5-1.6 s
//	err = host.Grant(tty, uid, gid, mode)           ErrNotYet until udev is done
//	err = host.Detach(p)
//
// fd is one end of a socket pair (AF_UNIX, SOCK_STREAM). The kernel takes a
// reference of its own, so the caller closes fd after Attach and keeps the
// other end, on which it is the device: the kernel's requests come there, in
// the format of Documentation/usb/usbip_protocol.rst.
//
// Everything is a few reads and writes below /sys and returns at once, but for
// Prepare, which may load modules. Nothing waits: what is not there yet is
// [ErrNotYet], to be asked again (every 20 ms, say), while the other end is
// served. Nothing here opens the tty: its open would be a question to the
// device, which is the caller.
//
// # Ports
//
// Every controller has high-speed ports and SuperSpeed ports, counted through
// over all controllers; an adapter of full or high speed goes to a high-speed
// one. Attach takes the first that is free. Between its look and its write
// somebody else may take that one, another vcomd or usbip(8): the kernel
// refuses then, and Attach looks again.
//
// # Whose port is it
//
// A port's number says nothing: it may have been freed and given to another
// device. [Port] therefore keeps the socket. Detach shuts it down, at which the
// kernel ends this connection and no other; the file named detach, which takes a
// number, is not used. A socket that was shut down, by either side, is how a
// Port knows that it is no more. The kernel takes the tty away 60-80 ms after
// Detach; [Host.Released] tells.
//
// # What is left behind
//
// The kernel detaches when the last descriptor of the other end is closed, so
// at the end of the process, kill -9 included. Left are the modules, and the
// vendor and product id in ftdi_sio's list (new_id), until it is unloaded.
// They are left on purpose: other vcomds use them, and they are found there
// the next time. Two processes that prepare at the same moment may put the id
// there twice, which is harmless.
//
// # udev
//
// udev sets owner, group and mode of a new node when it comes to handle its event,
// and would undo what Grant did before. So Grant waits for udev where it
// runs: for a record in /run/udev/data that is younger than the attachment.
// `udevadm trigger` has udev do it again at any time: whoever wants other permissions than
// the rules say should say so in the rules, see package udev.
//
// # Formats of the status files
//
//	hub port sta spd dev      sockfd local_busid            Linux 4.13 and newer
//	hs  0000 006 003 00010002 000004 1-1
//	hs  0001 004 000 00000000 000000 0-0
//	port sta spd dev      socket           local_busid      before
//	0000 004 000 00000000 0000000000000000 0-0
//
// Columns are found by their names in the first line, their widths mean
// nothing. Lines that cannot be understood are passed over: such a port is not
// used. (drivers/usb/usbip/vhci_sysfs.c)
package vhci
