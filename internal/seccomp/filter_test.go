package seccomp

import (
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/net/bpf"
)

// seccompData lays a system call out for bpf.VM: it loads words big-endian, where seccomp has the machine's order.
func seccompData(arch, nr uint32, args ...uint64) []byte {
	b := make([]byte, 64)
	be := binary.BigEndian
	be.PutUint32(b[0:], nr)
	be.PutUint32(b[4:], arch)
	for i, a := range args {
		be.PutUint32(b[16+8*i:], uint32(a))
		be.PutUint32(b[20+8*i:], uint32(a>>32))
	}
	return b
}

const (
	tcgets   = 0x5401
	tiocmget = 0x5415
	fionread = 0x541B
	fionbio  = 0x5421
	tcgets2  = 0x802C542A
	tcsetsf2 = 0x402C542D
)

func TestFilter(t *testing.T) {
	const (
		x8664, i386    = 0xC000003E, 0x40000003
		aarch64, arm32 = 0xC00000B7, 0x40000028
	)
	some := []uint32{tcgets, tiocmget, tcgets2, tcsetsf2}
	for _, c := range []struct {
		name     string
		goarch   string
		requests []uint32
		arch, nr uint32
		request  uint64
		notified bool
	}{
		{"amd64 TCGETS", "amd64", nil, x8664, 16, tcgets, true},
		{"amd64 first of type T", "amd64", nil, x8664, 16, 0x5400, true},
		{"amd64 last of type T", "amd64", nil, x8664, 16, 0x54ff, true},
		{"amd64 below type T", "amd64", nil, x8664, 16, 0x53ff, false},
		{"amd64 above type T", "amd64", nil, x8664, 16, 0x5500, false},
		{"amd64 TCGETS2", "amd64", nil, x8664, 16, tcgets2, true},
		{"amd64 TCSETSF2", "amd64", nil, x8664, 16, tcsetsf2, true},
		{"amd64 request with its sign extended", "amd64", nil, x8664, 16, 0xffffffff_802C542A, true},
		{"amd64 TIOCGPTN", "amd64", nil, x8664, 16, 0x80045430, false},
		{"amd64 SIOCGIFCONF", "amd64", nil, x8664, 16, 0x8912, false},
		{"amd64 read", "amd64", nil, x8664, 0, tcgets, false},
		{"amd64 with i386's ioctl", "amd64", nil, x8664, 54, tcgets, false},
		{"i386 TCGETS", "amd64", nil, i386, 54, tcgets, true},
		{"i386 TCGETS2", "amd64", nil, i386, 54, tcgets2, true},
		{"i386 with amd64's ioctl", "amd64", nil, i386, 16, tcgets, false},
		{"x32 TCGETS", "amd64", nil, x8664, 0x40000000 | 514, tcgets, true},
		{"x32 SIOCGIFCONF", "amd64", nil, x8664, 0x40000000 | 514, 0x8912, false},
		{"x32 with amd64's ioctl", "amd64", nil, x8664, 0x40000000 | 16, tcgets, false},
		{"amd64 514 without x32's bit", "amd64", nil, x8664, 514, tcgets, false},
		{"amd64 program below a 386 build", "386", nil, x8664, 16, tcgets, true},
		{"arm64 program on x86", "amd64", nil, aarch64, 29, tcgets, false},
		{"arm64 TCGETS", "arm64", nil, aarch64, 29, tcgets, true},
		{"arm64 TCGETS2", "arm64", nil, aarch64, 29, tcgets2, true},
		{"arm64 read", "arm64", nil, aarch64, 63, tcgets, false},
		{"arm TCGETS", "arm64", nil, arm32, 54, tcgets, true},
		{"arm with arm64's ioctl", "arm64", nil, arm32, 29, tcgets, false},
		{"arm64 program below an arm build", "arm", nil, aarch64, 29, tcgets, true},
		{"list first", "amd64", some, x8664, 16, tcgets, true},
		{"list second", "amd64", some, x8664, 16, tiocmget, true},
		{"list last", "amd64", some, i386, 54, tcsetsf2, true},
		{"list without FIONREAD", "amd64", some, x8664, 16, fionread, false},
		{"list without FIONBIO", "amd64", some, x8664, 16, fionbio, false},
		{"list, another type", "amd64", some, x8664, 16, 0x8912, false},
		{"list, arm", "arm64", some, arm32, 54, tiocmget, true},
		{"list of mixed types", "amd64", []uint32{tcgets, 0x8912}, x8664, 16, 0x8912, true},
		{"list of mixed types, another", "amd64", []uint32{tcgets, 0x8912}, x8664, 16, 0x8913, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw, err := Filter(c.goarch, c.requests)
			if err != nil {
				t.Fatal(err)
			}
			prog, ok := bpf.Disassemble(raw)
			if !ok {
				t.Fatal("the filter has instructions that bpf does not know")
			}
			vm, err := bpf.NewVM(prog)
			if err != nil {
				t.Fatal(err)
			}
			// Whatever descriptor and argument there are: they are not looked at.
			got, err := vm.Run(seccompData(c.arch, c.nr, 0x5401, c.request, 0x5401))
			if err != nil {
				t.Fatal(err)
			}
			want := uint32(0x7fff0000)
			if c.notified {
				want = 0x7fc00000
			}
			if uint32(got) != want {
				t.Errorf("the filter says %#x, want %#x", uint32(got), want)
			}
		})
	}
}

func TestFilterRefuses(t *testing.T) {
	if _, err := Filter("riscv64", nil); !errors.Is(err, ErrArch) {
		t.Errorf("riscv64: %v, want ErrArch", err)
	}
	if _, err := Filter("amd64", make([]uint32, 200)); err != nil {
		t.Errorf("200 requests: %v", err)
	}
	if _, err := Filter("amd64", make([]uint32, 201)); err == nil {
		t.Error("201 requests were taken")
	}
}

func TestArchOfEntries(t *testing.T) {
	for _, goarch := range []string{"amd64", "386", "arm64", "arm"} {
		if len(entries(goarch)) == 0 {
			t.Errorf("there is no way into ioctl on %s", goarch)
		}
	}
}
