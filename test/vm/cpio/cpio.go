// Package cpio writes the archive that the Linux kernel takes for its initial file system: cpio's "newc" format, which is
// described in Documentation/driver-api/early-userspace/buffer-format.rst of the kernel's source.
//
// Every entry is owned by root. There are no hard links, and the inode numbers are a count.
package cpio

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// ErrEntry means an entry that the format cannot hold, or that a directory tree cannot.
var ErrEntry = errors.New("not an entry of an archive")

// File types of an entry's mode, as in stat(2).
const (
	typeDirectory = 0o040000
	typeRegular   = 0o100000
	typeSymlink   = 0o120000
	typeCharacter = 0o020000
)

// limit is the largest size of a file, in bytes: the format has eight hexadecimal digits for it.
const limit = 1<<32 - 1

// trailer is the name of the entry that ends an archive.
const trailer = "TRAILER!!!"

// Writer writes an archive. Parents have to be written before what they hold: the kernel makes no directory by itself.
type Writer struct {
	w      io.Writer
	inode  uint32
	offset int64
	err    error // the first that occurred; nothing is written after it
}

// NewWriter gives a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Directory adds a directory.
func (c *Writer) Directory(name string, perm fs.FileMode) error {
	return c.entry(name, typeDirectory|bits(perm), 0, 0, nil, 0)
}

// Symlink adds a symbolic link to target.
func (c *Writer) Symlink(name, target string) error {
	return c.entry(name, typeSymlink|0o777, 0, 0, strings.NewReader(target), int64(len(target)))
}

// Character adds a character device.
func (c *Writer) Character(name string, perm fs.FileMode, major, minor uint32) error {
	return c.entry(name, typeCharacter|bits(perm), major, minor, nil, 0)
}

// File adds a regular file of size bytes, which are read from content.
func (c *Writer) File(name string, perm fs.FileMode, content io.Reader, size int64) error {
	return c.entry(name, typeRegular|bits(perm), 0, 0, content, size)
}

// Close ends the archive. It does not close what is written to.
func (c *Writer) Close() error { return c.entry(trailer, 0, 0, 0, nil, 0) }

// bits are the permissions with set-user-id and the like, as stat(2) has them.
func bits(perm fs.FileMode) uint32 {
	m := uint32(perm.Perm())
	for flag, bit := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if perm&flag != 0 {
			m |= bit
		}
	}
	return m
}

func (c *Writer) entry(name string, mode, major, minor uint32, content io.Reader, size int64) error {
	if c.err != nil {
		return c.err
	}
	if !fs.ValidPath(name) || name == "." || strings.ContainsRune(name, 0) {
		return fmt.Errorf("%w: the name %q", ErrEntry, name)
	}
	if size < 0 || size > limit {
		return fmt.Errorf("%w: %s has %d bytes", ErrEntry, name, size)
	}
	if c.err = c.write(name, mode, major, minor, content, size); c.err != nil {
		return fmt.Errorf("write %s to the archive: %w", name, c.err)
	}
	return nil
}

// write writes a header, the name, and the content, of which each but the header is filled up to four bytes.
func (c *Writer) write(name string, mode, major, minor uint32, content io.Reader, size int64) error {
	c.inode++
	links := uint32(1)
	if mode&typeDirectory != 0 {
		links = 2
	}
	var head strings.Builder
	head.WriteString("070701")
	for _, field := range []uint32{
		c.inode, mode, 0, 0, links, 0, uint32(size), 0, 0, major, minor, uint32(len(name)) + 1, 0,
	} { // inode, mode, uid, gid, links, mtime, size, device, device of a special file, length of the name with its NUL, checksum
		fmt.Fprintf(&head, "%08x", field)
	}
	if err := c.put(strings.NewReader(head.String()+name+"\x00"), int64(head.Len()+len(name)+1)); err != nil {
		return err
	}
	if content == nil {
		return nil
	}
	return c.put(content, size)
}

// put copies n bytes, and as many zeros as make the archive a multiple of four long.
func (c *Writer) put(r io.Reader, n int64) error {
	if _, err := io.CopyN(c.w, r, n); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	c.offset += n
	fill := -c.offset & 3
	if _, err := c.w.Write(make([]byte, fill)); err != nil {
		return err
	}
	c.offset += fill
	return nil
}
