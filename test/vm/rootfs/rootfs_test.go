package rootfs

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/vcomd/vcomd/test/vm/cpio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What an installed system has becomes what a machine needs of it.
func TestAdd(t *testing.T) {
	for _, c := range []struct {
		header tar.Header
		has    []string // of the archive
		hasNot string
	}{
		{tar.Header{Name: "usr/bin", Typeflag: tar.TypeDir, Mode: 0o755}, []string{"usr/bin\x00"}, ""},
		{tar.Header{Name: "usr/bin/sh", Typeflag: tar.TypeReg, Mode: 0o755, Size: 4}, []string{"usr/bin/sh\x00", "text", "000081ed"}, ""},
		{tar.Header{Name: "bin", Typeflag: tar.TypeSymlink, Linkname: "usr/bin"}, []string{"bin\x00", "usr/bin"}, ""},
		{tar.Header{Name: "usr/bin/perl5", Typeflag: tar.TypeLink, Linkname: "./usr/bin/perl"}, []string{"usr/bin/perl5\x00", "/usr/bin/perl"}, ""},
		{tar.Header{Name: "lib/systemd/system/gpsd.service", Typeflag: tar.TypeReg, Mode: 0o644, Size: 4}, []string{"usr/lib/systemd/system/gpsd.service\x00"}, ""},
		{tar.Header{Name: "etc/passwd", Typeflag: tar.TypeReg, Mode: 0o644, Size: 4}, []string{"textgpsd:x:900:20:"}, ""},
		{tar.Header{Name: "usr/share/doc", Typeflag: tar.TypeDir, Mode: 0o755}, []string{"usr/share/doc\x00"}, ""},
		{tar.Header{Name: "usr/share/doc/gpsd", Typeflag: tar.TypeDir, Mode: 0o755}, nil, "gpsd"},
		{tar.Header{Name: "dev/null", Typeflag: tar.TypeChar}, nil, "null"},
		{tar.Header{Name: "opt/pipe", Typeflag: tar.TypeFifo}, nil, "pipe"},
		{tar.Header{Name: ".", Typeflag: tar.TypeDir}, nil, "070701"},
	} {
		var b bytes.Buffer
		if err := add(cpio.NewWriter(&b), &c.header, strings.NewReader("text")); err != nil {
			t.Errorf("%s: %v", c.header.Name, err)
		}
		for _, want := range c.has {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: no %q in %q", c.header.Name, want, b.String())
			}
		}
		if c.hasNot != "" && strings.Contains(b.String(), c.hasNot) {
			t.Errorf("%s: %q", c.header.Name, b.String())
		}
	}
}

func TestCodename(t *testing.T) {
	path := filepath.Join(t.TempDir(), "os-release")
	for text, want := range map[string]string{"ID=debian\nVERSION_CODENAME=bookworm\n": "bookworm", "VERSION_CODENAME=\"trixie\"": "trixie", "ID=arch\n": ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := codename(path)
		if got != want || (want == "") != errors.Is(err, ErrRelease) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if _, err := codename(path + "x"); !errors.Is(err, ErrRelease) {
		t.Errorf("no file: %v", err)
	}
}
