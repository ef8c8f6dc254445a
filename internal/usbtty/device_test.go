package usbtty_test

import (
	"io"
	"testing"
	"testing/synctest"

	"github.com/vcomd/vcomd/internal/usbtty"
)

func TestSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, usbtty.Config{Manufacturer: "vcomd", Product: "USB serial", Serial: "GPS"})
		info, err := r.k.Enumerate()
		must(t, err)
		if info.VendorID != 0x1209 || info.ProductID != 0x2217 || info.Release != 0x0600 {
			t.Errorf("the device is %04x:%04x, release %04x", info.VendorID, info.ProductID, info.Release)
		}
		if info.Manufacturer != "vcomd" || info.Product != "USB serial" || info.Serial != "GPS" {
			t.Errorf("the strings are %q, %q, %q", info.Manufacturer, info.Product, info.Serial)
		}
		r.expect()

		f := r.open()
		r.expect("opened", "settings 9600 8N1 flow none", "settings 9600 8N1 flow xon/xoff", "room", "lines DTR|RTS of DTR|RTS")
		_, err = f.Write([]byte("hello"))
		must(t, err)
		r.expect("written")
		if got := r.read(); got != "hello" {
			t.Errorf("the program wrote %q", got)
		}
		r.do(func() { r.dev.Write([]byte("world")) })
		var b [10]byte
		n, err := io.ReadAtLeast(f, b[:], 5)
		must(t, err)
		if string(b[:n]) != "world" {
			t.Errorf("the program read %q", b[:n])
		}
		must(t, f.Close())
		r.expect("settings 9600 8N1 flow none", "lines 0 of DTR|RTS", "closed")
	})
}
