package pty

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// recordVersion is the form of record; another one is not understood, and then
// nothing is known about the link.
const recordVersion = 1

// maxRecord bounds what is read from a lock file: three paths of PATH_MAX
// bytes, each of which JSON may write as \u00XX, and change; or one, and
// maxStacked of pseudo-terminals.
const maxRecord = 96 << 10

// record is what a lock file holds, so that the next process can tell a link
// that a killed one left behind from a link that is somebody else's.
type record struct {
	Version int `json:"version"`
	// Link is the absolute path of the link.
	Link string `json:"link"`
	// Targets are what the link may point to: one, or two while it is moved.
	// Of an overlay there may be more, one on top of the other.
	Targets []string `json:"targets"`
	// Overlay: the link is a tty node, and the targets are mounted over it.
	Overlay bool `json:"overlay,omitempty"`
	// PID serves the link, for messages only: the lock says whether it lives.
	PID int `json:"pid"`
}

var errRecordVersion = errors.New("unknown version")

// parseRecord reads the record at the start of b and ignores what follows: a
// shorter record is written over a longer one before the file is cut.
func parseRecord(b []byte) (record, error) {
	var r record
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&r); err != nil {
		return record{}, fmt.Errorf("link record: %w", err)
	}
	if r.Version != recordVersion {
		return record{}, fmt.Errorf("link record: %w %d", errRecordVersion, r.Version)
	}
	return r, nil
}

func (r record) marshal() ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("link record: %w", err)
	}
	return append(b, '\n'), nil
}

// owns reports that a link at path that points to target is the record's.
func (r record) owns(path, target string) bool {
	return !r.Overlay && r.Link == path && slices.Contains(r.Targets, target)
}
