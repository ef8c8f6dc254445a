package config

import (
	"fmt"
	"path/filepath"
	"strings"
)

// paths checks the names under which programs are to know the port.
func (s Port) paths() error {
	seen := make(map[string]string, len(s.Links))
	for _, link := range s.Links {
		if strings.HasSuffix(link, "/") {
			return &Error{"--link", link, "this is the name of a directory", "write the path of the link itself, without a slash at the end", nil}
		}
		path := place(link)
		switch other, twice := seen[path]; {
		case twice && other == link:
			return &Error{"--link", link, "it is given twice", "give each link once", nil}
		case twice:
			return &Error{"--link", link, fmt.Sprintf("it is the same link as %q", other), "give each link once", nil}
		}
		seen[path] = link
	}
	if s.Overlay == "" {
		return nil
	}
	if strings.HasSuffix(s.Overlay, "/") {
		return &Error{"--overlay", s.Overlay, "this is the name of a directory", "write the path of a tty, such as /dev/ttyS0", nil}
	}
	if link, both := seen[place(s.Overlay)]; both {
		return &Error{
			"--overlay", s.Overlay, fmt.Sprintf("--link %q is the same path", link),
			"use --overlay for a tty that is there, and --link for a name that is not", nil,
		}
	}
	return nil
}

// place tells paths apart: absolute, and the directory without symbolic links if
// it is there.
func place(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return abs
	}
	return filepath.Join(dir, filepath.Base(abs))
}
