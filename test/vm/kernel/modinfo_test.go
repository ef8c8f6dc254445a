package kernel

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// object is an ELF file with one section beside that of the names.
func object(name string, data []byte) []byte {
	const header, sectionHeader = 64, 64
	names := "\x00" + name + "\x00.shstrtab\x00"
	var b bytes.Buffer
	put := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) }
	put(elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_REL), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
		Shoff: uint64(header + len(names) + len(data)), Ehsize: header, Shentsize: sectionHeader, Shnum: 3, Shstrndx: 2,
	})
	b.WriteString(names)
	b.Write(data)
	put(elf.Section64{})
	put(elf.Section64{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: uint64(header + len(names)), Size: uint64(len(data))})
	put(elf.Section64{Name: uint32(len(name) + 2), Type: uint32(elf.SHT_STRTAB), Off: header, Size: uint64(len(names))})
	return b.Bytes()
}

// What a module needs is in its own file.
func TestDepends(t *testing.T) {
	for _, tt := range []struct {
		info string
		want []string
	}{
		{"license=GPL\x00depends=usbip-core,usbcore\x00name=vhci_hcd\x00", []string{"usbip_core", "usbcore"}},
		{"depends=\x00", nil},
		{"license=GPL\x00", nil},
	} {
		got, err := Depends(bytes.NewReader(object(".modinfo", []byte(tt.info))))
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, %v, want %q", tt.info, got, err, tt.want)
		}
	}
	for name, file := range map[string][]byte{"empty": nil, "text": []byte("#!/bin/sh\n"), "another object": object(".text", nil)} {
		if got, err := Depends(bytes.NewReader(file)); !errors.Is(err, ErrModule) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// Nothing comes before what it needs, and nothing twice.
func TestOrder(t *testing.T) {
	needs := map[string][]string{"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": {}, "loop": {"pool"}, "pool": {"loop"}, "broken": {"missing"}, "x_y": {}}
	got, err := Order(needs, "a", "x-y", "b")
	if want := []string{"d", "b", "c", "a", "x_y"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	for _, name := range []string{"loop", "broken", "nothing"} {
		if got, err := Order(needs, name); !errors.Is(err, ErrModule) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// Dependencies are read as depmod writes them, and as they are written here.
func TestDependencies(t *testing.T) {
	want := map[string][]string{"vhci_hcd": {"usbip_core", "usbcore"}, "usbcore": {}}
	const depmod = "kernel/drivers/usb/usbip/vhci-hcd.ko: kernel/drivers/usb/usbip/usbip-core.ko kernel/drivers/usb/core/usbcore.ko\nkernel/usbcore.ko:\n"
	for _, text := range []string{depmod, FormatDependencies(want)} {
		if got, err := ParseDependencies(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	if got, err := ParseDependencies("no colon\n"); !errors.Is(err, ErrModule) {
		t.Errorf("%v, %v", got, err)
	}
}

// The compressed kernel is found where the header says, and nowhere else.
func TestPayload(t *testing.T) {
	image := make([]byte, 5*512)
	copy(image[signatureAt:], "HdrS")
	image[setupSectorsAt] = 1
	binary.LittleEndian.PutUint32(image[payloadOffsetAt:], 16)
	binary.LittleEndian.PutUint32(image[payloadLengthAt:], 8)
	copy(image[2*512+16:], "\xfd7zXZ\x00\x01\x02and more")
	got, err := payload(image)
	if want := "\xfd7zXZ\x00\x01\x02"; err != nil || string(got) != want || !isXZ(got) {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	binary.LittleEndian.PutUint32(image[payloadLengthAt:], 0xffffffff)
	for name, bad := range map[string][]byte{"too long": image, "short": image[:100], "no header": make([]byte, 4096)} {
		if got, err := payload(bad); !errors.Is(err, ErrImage) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// The cache tells kernels apart by their package, its version, and the modules that were asked for, in any order.
func TestHash(t *testing.T) {
	if hash([]string{"a", "b"}) != hash([]string{"b", "a"}) {
		t.Error("the order counts")
	}
	if hash([]string{"a", "b"}) == hash([]string{"a b"}) || hash([]string{"a"}) == hash(nil) {
		t.Error("other modules have the same name")
	}
	i := Image{Package: "linux-image-6.1.0-56-cloud-amd64_6.1.192-2"}
	if got, want := i.Release(), "6.1.0-56-cloud-amd64"; got != want {
		t.Errorf("release %q, want %q", got, want)
	}
}

// A newer kernel takes the place of the older one of its flavour only.
func TestRemoveOlder(t *testing.T) {
	dir := t.TempDir()
	mkdir(t, dir, "linux-image-6.1.0-1-amd64_1-x", "linux-image-6.1.0-1-cloud-amd64_1-x", "new-123", "other")
	if err := removeOlder(dir, "linux-image-6.1.0-2-amd64"); err != nil {
		t.Fatal(err)
	}
	if got, want := list(t, dir), []string{"linux-image-6.1.0-1-cloud-amd64_1-x", "new-123", "other"}; !slices.Equal(got, want) {
		t.Errorf("left: %q, want %q", got, want)
	}
}

func mkdir(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
