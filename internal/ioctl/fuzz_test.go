package ioctl

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// FuzzDo makes any call with any memory. It must end, with an error that the kernel can return; a call that failed for its
// argument has done nothing; a request that only asks has never done anything, and one that sets has not written; and
// the settings that arrive have the speeds that their flags stand for.
func FuzzDo(f *testing.F) {
	for _, r := range Requests() {
		f.Add(uint8(0), r, uint64(at), false, []byte(strings.Repeat("\x0d", 80)), uint8(0))
		f.Add(uint8(1), r, uint64(at+50), true, []byte(strings.Repeat("\x00", 80)), uint8(1))
	}
	f.Add(uint8(3), uint32(0x541F), uint64(at), true, []byte(strings.Repeat("\x01", 80)), uint8(2))
	f.Add(uint8(0), uint32(0x5401), ^uint64(0), true, []byte{}, uint8(0))
	failures := []error{nil, ErrGone, ErrRefused, context.Canceled, errors.New("no idea")}
	asks := map[uint32]bool{
		0x5401: true, 0x802C542A: true, 0x5405: true, 0x5415: true, 0x545D: true, 0x541E: true, 0x5411: true, 0x5419: true, 0x5459: true,
		0x80045440: true,
	}
	f.Fuzz(func(t *testing.T, arch uint8, request uint32, arg uint64, admin bool, memory []byte, failure uint8) {
		u := newFakeUART(base())
		if err := failures[int(failure)%len(failures)]; err != nil {
			for _, method := range []string{"Set", "Lines", "Break", "SendBreak", "Drain", "Flush", "Flow", "Exclusive", "Serial"} {
				u.fail(method, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // TIOCMIWAIT would not end
		m := page(memory...)
		before := string(memory)
		ret, errno := New(u).Do(ctx, Call{Arch: Arch(arch), Request: request, Arg: arg, Admin: admin}, m)
		calls := u.noted()
		if ret != 0 || errno > 4095 {
			t.Errorf("returned %d, %d", ret, errno)
		}
		if (errno == ENOTTY) == Known(request) {
			t.Errorf("error %v, known %v", errno, Known(request))
		}
		if (errno == EFAULT || errno == EINVAL) && calls != nil {
			t.Errorf("error %v after %q", errno, calls)
		}
		if asks[request] {
			if calls != nil || errno != 0 && errno != EFAULT {
				t.Errorf("a question: error %v, asked the UART: %q", errno, calls)
			}
		} else if string(m.bytes) != before {
			t.Error("wrote to the program's memory")
		}
		if errno != 0 && string(m.bytes) != before {
			t.Errorf("error %v, and wrote to the program's memory", errno)
		}
		if len(calls) > 2 {
			t.Errorf("asked the UART for too much: %q", calls)
		}
		got := u.State()
		resolved := got.Termios
		if resolved.resolve(); len(calls) > 0 && strings.HasPrefix(calls[0], "Set ") && request != reqTIOCSSOFTCAR && resolved != got.Termios && errno == 0 {
			t.Errorf("settings whose speeds are not their flags': %+v", got.Termios)
		}
		if was := DefaultSerial(0); got.Serial.BaudBase != was.BaudBase || got.Serial.Type != was.Type || got.Serial.IRQ != was.IRQ {
			t.Errorf("a port that was moved: %+v", got.Serial)
		}
	})
}

// FuzzSetSpeed encodes any speeds into any flags: what that stands for is what was encoded.
func FuzzSetSpeed(f *testing.F) {
	f.Add(uint32(b9600), uint32(115384), uint32(115384))
	f.Add(uint32(bother|bother<<16), uint32(75), uint32(250000))
	f.Add(uint32(b50<<16), uint32(0), uint32(1))
	f.Fuzz(func(t *testing.T, cflag, in, out uint32) {
		const speed = 0x100f | 0x100f<<16
		g := Termios{Cflag: cflag}
		g.SetSpeed(in, out)
		if g.Cflag&^speed != cflag&^speed {
			t.Errorf("other flags: %#x became %#x", cflag, g.Cflag)
		}
		if out == 0 {
			in = 0
		}
		if g.Ispeed != in || g.Ospeed != out {
			t.Errorf("%d/%d became %d/%d", in, out, g.Ispeed, g.Ospeed)
		}
		again := g
		again.resolve()
		if off := max(again.Ospeed, out) - min(again.Ospeed, out); off > out/50 {
			t.Errorf("%d reads as %d", out, again.Ospeed)
		}
		if off := max(again.Ispeed, in) - min(again.Ispeed, in); in != 0 && off > in/25 {
			t.Errorf("input %d reads as %d", in, again.Ispeed)
		}
	})
}
