// Package packaging has the files that are installed with the program, and installs them for a binary that came alone.
//
// What was installed is in a list with the sum of each file, as that of make install: a file that is not as the list says was
// edited by somebody, and is left as it is, by [Install] and by [Uninstall].
package packaging

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:embed systemd/*.service systemd/*.conf gpsd*.service vcomd.toml
var files embed.FS

// ErrPath says that a directory cannot be one of a [Layout].
var ErrPath = errors.New("this is no absolute path of letters, digits, dots, underscores and dashes")

// Layout says where files go. The paths are absolute, and may stand in a unit.
type Layout struct {
	Root   string // in front of every path; "" for this machine
	Prefix string // /usr/local, say
	Config string // /etc
}

// File is one to be installed.
type File struct {
	Path    string // without the root
	Mode    fs.FileMode
	Text    []byte
	Program bool // not for people to edit: it is replaced whatever is there
}

// check finds paths that could not stand in a unit.
func (l Layout) check() error {
	for _, dir := range []string{l.Prefix, l.Config} {
		bad := strings.ContainsFunc(dir, func(r rune) bool {
			return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-", r)
		})
		if bad || !path.IsAbs(dir) || path.Clean(dir) != dir {
			return fmt.Errorf("%q: %w", dir, ErrPath)
		}
	}
	return nil
}

// Program is where the program goes.
func (l Layout) Program() string { return path.Join(l.Prefix, "bin/vcomd") }

// list is where the list of what was installed is.
func (l Layout) list() string { return path.Join(l.Prefix, "share/vcomd/installed.sha256") }

// Files are the units, made for the layout, the examples, and the configuration.
func (l Layout) Files() ([]File, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	units, examples := path.Join(l.Prefix, "lib/systemd/system"), path.Join(l.Prefix, "share/doc/vcomd/examples")
	adapt := strings.NewReplacer("/usr/bin/vcomd", l.Program(), "/etc/vcomd/", l.Config+"/vcomd/")
	var all []File
	err := fs.WalkDir(files, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		to := path.Join(examples, path.Base(name))
		switch {
		case name == "vcomd.toml":
			to = path.Join(l.Config, "vcomd/vcomd.toml")
		case strings.HasPrefix(name, "systemd/") && path.Ext(name) == ".service":
			to, text = path.Join(units, path.Base(name)), []byte(adapt.Replace(string(text)))
		}
		all = append(all, File{Path: to, Mode: 0o644, Text: text})
		return nil
	})
	return all, err
}
