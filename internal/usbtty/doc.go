// Package usbtty is a USB serial adapter that exists only as bytes: the device's
// side of USB/IP with the personality of an FT232R. Attached to vhci_hcd by a
// socket, it makes the kernel's own ftdi_sio create a tty.
package usbtty
