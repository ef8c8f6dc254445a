package usbtest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unicode/utf16"
)

// ErrTimeout is what a control transfer gets that is not answered in 5 s.
var ErrTimeout = errors.New("usbtest: a control transfer timed out")

// controlTimeout is ftdi_sio's WDR_TIMEOUT, and the USB core's.
const controlTimeout = 5 * time.Second

// Setup makes a SETUP packet.
func Setup(typ, code byte, value, index, length uint16) [8]byte {
	s := [8]byte{0: typ, 1: code}
	binary.LittleEndian.PutUint16(s[2:], value)
	binary.LittleEndian.PutUint16(s[4:], index)
	binary.LittleEndian.PutUint16(s[6:], length)
	return s
}

// Control does a control transfer without data to the device: length is the
// room for data from it.
func (k *Kernel) Control(typ, code byte, value, index, length uint16) ([]byte, error) {
	u := k.Submit(0, typ&0x80 != 0, Setup(typ, code, value, index, length), make([]byte, length))
	late := time.NewTimer(controlTimeout)
	defer late.Stop()
	select {
	case <-u.done:
		return u.Wait()
	case <-late.C:
		k.Kill(u)
		return nil, ErrTimeout
	}
}

// Info is what enumeration finds.
type Info struct {
	VendorID, ProductID           uint16
	Release                       uint16 // bcdDevice
	Manufacturer, Product, Serial string
	Device, Config                []byte // the descriptors
}

// Enumerate asks what the USB core asks of a new full speed device, configures
// it, and asks what ftdi_sio asks when it binds to it.
func (k *Kernel) Enumerate() (Info, error) {
	var i Info
	var err error
	if _, err = k.descriptor(1, 64, 18); err != nil {
		return i, err
	}
	if i.Device, err = k.descriptor(1, 18, 18); err != nil {
		return i, err
	}
	i.VendorID = binary.LittleEndian.Uint16(i.Device[8:])
	i.ProductID = binary.LittleEndian.Uint16(i.Device[10:])
	i.Release = binary.LittleEndian.Uint16(i.Device[12:])
	for range 3 {
		// A full speed device of USB 2.0 is asked what it would be at high speed.
		var stall StatusError
		if _, err := k.Control(0x80, 6, 0x0600, 0, 10); !errors.As(err, &stall) || stall != -32 {
			return i, fmt.Errorf("usbtest: the device qualifier is answered with %w", err)
		}
	}
	head, err := k.descriptor(2, 9, 9)
	if err != nil {
		return i, err
	}
	total := binary.LittleEndian.Uint16(head[2:])
	if i.Config, err = k.descriptor(2, total, int(total)); err != nil {
		return i, err
	}
	for _, s := range []struct {
		index byte
		to    *string
	}{{i.Device[15], &i.Product}, {i.Device[14], &i.Manufacturer}, {i.Device[16], &i.Serial}} {
		if s.index == 0 {
			continue
		}
		if *s.to, err = k.text(s.index); err != nil {
			return i, err
		}
	}
	if _, err := k.Control(0x00, 9, uint16(i.Config[5]), 0, 0); err != nil {
		return i, err
	}
	return i, k.probe()
}

// descriptor asks for the first descriptor of a type and checks its head.
func (k *Kernel) descriptor(typ byte, room uint16, least int) ([]byte, error) {
	b, err := k.Control(0x80, 6, uint16(typ)<<8, 0, room)
	if err != nil {
		return nil, fmt.Errorf("usbtest: descriptor of type %d: %w", typ, err)
	}
	if len(b) < least || len(b) < 2 || b[1] != typ {
		return nil, fmt.Errorf("usbtest: descriptor of type %d is % x", typ, b)
	}
	return bytes.Clone(b), nil
}

// text asks for a string, and for the languages before.
func (k *Kernel) text(index byte) (string, error) {
	if _, err := k.Control(0x80, 6, 0x0300, 0, 255); err != nil {
		return "", err
	}
	b, err := k.Control(0x80, 6, 0x0300|uint16(index), 0x0409, 255)
	if err != nil {
		return "", fmt.Errorf("usbtest: string %d: %w", index, err)
	}
	if len(b) < 2 || int(b[0]) != len(b) || len(b)%2 != 0 {
		return "", fmt.Errorf("usbtest: string %d is % x", index, b)
	}
	var units []uint16
	for ; len(b) > 2; b = b[:len(b)-2] {
		units = append([]uint16{binary.LittleEndian.Uint16(b[len(b)-2:])}, units...)
	}
	return string(utf16.Decode(units)), nil
}

// probe is ftdi_port_probe: the latency timer, which it reads and writes, and
// the EEPROM, in which it looks for pins.
func (k *Kernel) probe() error {
	b, err := k.Control(0xc0, 0x0a, 0, 0, 1)
	if err != nil || len(b) != 1 {
		return fmt.Errorf("usbtest: latency timer: % x, %w", b, err)
	}
	if _, err := k.Control(0x40, 0x09, uint16(b[0]), 0, 0); err != nil {
		return err
	}
	_, err = k.Control(0xc0, 0x90, 0, 0x0a, 2)
	return err
}
