// Package udev makes the udev rules for vcomd's USB serial adapters, the ttys of
// vcomd --tty usb, and installs them.
//
//	text, err := udev.Rules(udev.Options{Wants: map[string][]string{"GPS": {"gpsd.service"}}})
//	outcome, err := udev.Install(udev.Dir, text)
//
// # What the rules do
//
//   - The node gets its group and mode, and /dev/vcom/NAME leads to it: NAME is
//     the port's name, which the adapter has as its serial number.
//   - ModemManager leaves it alone.
//   - systemd has a device unit of it, dev-vcom-NAME.device, and starts the
//     units that are wanted for that name when it appears.
//
// A name of /dev/serial/by-id is made by systemd's own 60-serial.rules, of the
// manufacturer, the product and the serial number: usb-vcomd_…_NAME-if00-port0.
//
// The rules only look at devices of vhci_hcd. Anybody can make a USB device with
// any ids and serial number, and plug it in; he gets none of this. Who may
// attach to vhci_hcd is root anyway.
//
// # Its place among the other rules: 70-vcomd.rules
//
// Rules run in the order of their file names, and the last assignment counts.
//
//   - After 50-udev-default.rules, which gives all serial ports to dialout.
//   - After 60-serial.rules, which reads the descriptors (ID_VENDOR, ID_MODEL,
//     ID_SERIAL): whoever edits these rules can use them.
//   - Before 73-seat-late.rules, for those who add TAG+="uaccess".
//   - Before 77-mm-*.rules and 80-mm-candidate.rules: what ModemManager decides by
//     is set when its own rules run.
//   - Before 99-systemd.rules, which tags all ttys for systemd. The rules do so
//     by themselves as well, for systems whose rules do not.
//
// brltty (85-brltty.rules, or 90-brltty-device.rules) takes USB serial adapters
// for braille displays by ENV{PRODUCT} of the USB device, which is vendor, product
// and version: "403/6001/*", "1a86/7523/*" and so on. Vcomd's are not among them.
// A rule that comes earlier could not keep brltty from it, as it assigns anew:
// that is one reason for ids of our own.
//
// # Installed files
//
// The first line has a hash of the rest. A file that somebody has changed since it
// was installed is not replaced ([ErrEdited]), nor is a symbolic link, with which
// administrators switch rules off.
package udev
