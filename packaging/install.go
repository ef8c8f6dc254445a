package packaging

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Outcome is what has become of a file, or would become of it.
type Outcome uint8

// The outcomes.
const (
	Unchanged Outcome = iota // the same file was there
	Installed                // there was none
	Updated                  // one of another version was there
	Left                     // somebody has edited it
	Removed
)

// String is what is told of a path: "installed PATH".
func (o Outcome) String() string {
	switch o {
	case Unchanged:
		return "unchanged"
	case Installed:
		return "installed"
	case Updated:
		return "updated"
	case Left:
		return "left, as it was edited:"
	case Removed:
		return "removed"
	default:
		return "unknown"
	}
}

// Change is what was done about a path, which is one without the root.
type Change struct {
	Path    string
	Outcome Outcome
}

// Install installs files, each at once: whoever looks sees the old or the new one. With dry it only says what it would do. With an
// error the changes are those before it.
func Install(l Layout, all []File, dry bool) (changes []Change, err error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	sums, err := l.sums()
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		at := filepath.Join(l.Root, f.Path)
		outcome, err := l.judge(f, sums)
		if err == nil && !dry && (outcome == Installed || outcome == Updated) {
			err = write(at, f.Mode, f.Text)
		}
		if err != nil {
			return changes, errors.Join(err, l.record(sums, dry))
		}
		if outcome != Left {
			sums[f.Path] = sum(f.Text)
		}
		changes = append(changes, Change{f.Path, outcome})
	}
	return changes, l.record(sums, dry)
}

// judge says what is to become of a file.
func (l Layout) judge(f File, sums map[string]string) (Outcome, error) {
	old, err := os.ReadFile(filepath.Join(l.Root, f.Path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Installed, nil
	case err != nil:
		return Left, err
	case bytes.Equal(old, f.Text):
		return Unchanged, nil
	case f.Program || sums[f.Path] == sum(old):
		return Updated, nil
	default:
		return Left, nil
	}
}

// Uninstall removes what the list has, and directories of its own that are empty then.
func Uninstall(l Layout, dry bool) (changes []Change, err error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	sums, err := l.sums()
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		at := filepath.Join(l.Root, name)
		old, err := os.ReadFile(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return changes, err
		case sum(old) != sums[name]:
			changes = append(changes, Change{name, Left})
			continue
		}
		if !dry {
			if err := os.Remove(at); err != nil {
				return changes, err
			}
		}
		changes = append(changes, Change{name, Removed})
	}
	if dry {
		return changes, nil
	}
	err = os.Remove(filepath.Join(l.Root, l.list()))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	for _, dir := range []string{l.Prefix + "/share/vcomd", l.Prefix + "/share/doc/vcomd/examples", l.Prefix + "/share/doc/vcomd", l.Config + "/vcomd"} {
		_ = os.Remove(filepath.Join(l.Root, dir)) // one that is not empty stays
	}
	return changes, err
}

func sum(text []byte) string {
	s := sha256.Sum256(text)
	return hex.EncodeToString(s[:])
}

// sums reads the list: the sum of each file that was installed, as sha256sum(1) writes them. A line that is none is not
// counted.
func (l Layout) sums() (map[string]string, error) {
	sums := make(map[string]string)
	text, err := os.ReadFile(filepath.Join(l.Root, l.list()))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if s, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  "); ok && filepath.IsAbs(name) {
			sums[name] = s
		}
	}
	return sums, nil
}

// record writes the list.
func (l Layout) record(sums map[string]string, dry bool) error {
	if dry || len(sums) == 0 {
		return nil
	}
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		text.WriteString(sums[name] + "  " + name + "\n")
	}
	return write(filepath.Join(l.Root, l.list()), 0o644, []byte(text.String()))
}

// write writes beside and renames, as a program that runs cannot be written to.
func write(at string, mode fs.FileMode, text []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil { //nolint:gosec // as every directory of programs and documents
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(at), ".vcomd-*~")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), at)
	}
	return err
}
