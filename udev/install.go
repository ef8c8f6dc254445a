package udev

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Dir is where administrators' rules are (udev(7)).
const Dir = "/etc/udev/rules.d"

// Dirs are where udev looks for rules, the first of a name counts.
func Dirs() []string {
	return []string{Dir, "/run/udev/rules.d", "/usr/local/lib/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d"}
}

// ErrEdited says that what is there was changed by somebody, or is not a file of ours.
var ErrEdited = errors.New("it is not what was installed")

// InstallError says why rules could not be installed.
type InstallError struct {
	Path   string
	Found  string // what stood in the way
	Advice string // what to do next
	Err    error  // ErrEdited, or the system's
}

// Error implements error.
func (e *InstallError) Error() string {
	return "cannot install the udev rules " + e.Path + ": " + e.Found + "; " + e.Advice
}

// Unwrap returns the cause.
func (e *InstallError) Unwrap() error { return e.Err }

// Outcome is what Install has done.
type Outcome uint8

// The outcomes.
const (
	Unchanged Outcome = iota // the same text was there
	Installed                // there was none
	Updated                  // one of another version, or with other options, was there
)

// Install writes the text of [Rules] into a directory of rules, as [FileName].
// Whoever reads it meanwhile sees the old file or the new one. udev has to be told:
// udevadm control --reload. The error is an *InstallError, and then nothing has
// changed.
func Install(dir, text string) (Outcome, error) {
	path := filepath.Join(dir, FileName)
	outcome := Updated
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		outcome = Installed
	case err != nil:
		return 0, refusal(path, err)
	case info.Mode()&fs.ModeSymlink != 0:
		return 0, &InstallError{path, "a symbolic link is there, with which rules are switched off", "remove it, if these rules are wanted", ErrEdited}
	case !info.Mode().IsRegular():
		return 0, &InstallError{path, "something else than a file is there", "remove it", ErrEdited}
	default:
		old, err := os.ReadFile(path)
		switch {
		case err != nil:
			return 0, refusal(path, err)
		case string(old) == text:
			return Unchanged, nil
		case !Pristine(string(old)):
			return 0, &InstallError{path, "somebody has changed it since it was installed", "compare it with what vcomd udev prints, and remove it to have that", ErrEdited}
		}
	}
	if err := replace(dir, path, text); err != nil {
		return 0, refusal(path, err)
	}
	return outcome, nil
}

// replace writes beside and renames: udev reads files named *.rules only.
func replace(dir, path, text string) (err error) {
	f, err := os.CreateTemp(dir, "."+FileName+".*~")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	const everybodyReads = 0o644
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Chmod(everybodyReads)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}

func refusal(path string, err error) error {
	e := &InstallError{Path: path, Err: err, Advice: "see that the directory can be written"}
	switch {
	case errors.Is(err, fs.ErrPermission):
		e.Found, e.Advice = "permission denied", "run it as root, or write what vcomd udev prints to a file of your own"
	case errors.Is(err, fs.ErrNotExist):
		e.Found, e.Advice = "there is no directory "+filepath.Dir(path), "install udev, or name another directory"
	default:
		e.Found = err.Error()
		if failed, ok := errors.AsType[*fs.PathError](err); ok {
			e.Found = failed.Err.Error()
		}
	}
	return e
}

// State is what is installed.
type State uint8

// The states.
const (
	Absent State = iota
	Ours         // as vcomd udev has made it, of this version or another
	Edited       // changed by somebody, or not a file
)

// Find looks for the rules in directories, in the order in which udev does, and
// returns what it has found first.
func Find(dirs ...string) (path string, s State) {
	for _, dir := range dirs {
		path := filepath.Join(dir, FileName)
		info, err := os.Lstat(path)
		if err != nil {
			continue
		}
		if text, err := os.ReadFile(path); err == nil && info.Mode().IsRegular() && Pristine(string(text)) {
			return path, Ours
		}
		return path, Edited
	}
	return "", Absent
}
