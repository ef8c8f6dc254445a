package usbtty

import (
	"encoding/binary"
	"unicode"
	"unicode/utf16"
)

// Descriptor types (USB 2.0, table 9-5).
const (
	typeDevice        = 1
	typeConfiguration = 2
	typeString        = 3
	typeInterface     = 4
	typeEndpoint      = 5
)

const (
	languageEnglish = 0x0409 // US English, the one language of the strings
	maxStringUnits  = 126    // UTF-16 units: bLength is a byte and counts its own two
	releaseFT232R   = 0x0600 // bcdDevice, by which ftdi_sio knows the chip
	deviceSize      = 18
	configSize      = 9 + 9 + 7 + 7
)

// descriptors are the answers to GET_DESCRIPTOR.
type descriptors struct {
	device  [deviceSize]byte
	config  [configSize]byte
	strings [4][]byte // 0: the languages; nil: there is none
}

func describe(cfg Config) descriptors {
	var d descriptors
	d.strings[0] = []byte{4, typeString, languageEnglish & 0xff, languageEnglish >> 8}
	var index [4]byte
	for i, s := range []string{cfg.Manufacturer, cfg.Product, cfg.Serial} {
		if s != "" {
			index[i+1] = byte(i + 1)
			d.strings[i+1] = stringDescriptor(s)
		}
	}
	d.device = [deviceSize]byte{
		deviceSize, typeDevice,
		0x00, 0x02, // USB 2.0
		0, 0, 0, // the interface has the class
		packetSize, // of endpoint 0
	}
	binary.LittleEndian.PutUint16(d.device[8:], cfg.VendorID)
	binary.LittleEndian.PutUint16(d.device[10:], cfg.ProductID)
	binary.LittleEndian.PutUint16(d.device[12:], releaseFT232R)
	copy(d.device[14:], index[1:])
	d.device[17] = 1 // configuration
	d.config = [configSize]byte{
		9, typeConfiguration, configSize, 0,
		1,    // interface
		1,    // the configuration's number
		0,    // no name
		0x80, // powered by the bus, no remote wakeup
		50,   // 100 mA
		9, typeInterface, 0, 0,
		2,                // endpoints
		0xff, 0xff, 0xff, // of the vendor's class
		0, // no name
		7, typeEndpoint, 0x80 | endpointIn, 2, packetSize, 0, 0,
		7, typeEndpoint, endpointOut, 2, packetSize, 0, 0,
	}
	return d
}

// stringDescriptor encodes s as UTF-16, as far as USB can carry it.
func stringDescriptor(s string) []byte {
	b := []byte{0, typeString}
	for _, r := range s {
		if unicode.IsControl(r) {
			r = unicode.ReplacementChar
		}
		units := utf16.AppendRune(nil, r)
		if len(b)/2-1+len(units) > maxStringUnits {
			break
		}
		for _, u := range units {
			b = binary.LittleEndian.AppendUint16(b, u)
		}
	}
	b[0] = byte(len(b))
	return b
}
