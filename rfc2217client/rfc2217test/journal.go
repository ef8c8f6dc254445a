package rfc2217test

import (
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// The bounds of a journal. What comes after is counted and summed, but not kept.
const (
	maxJournalEntries = 1 << 16
	maxJournalData    = 4 << 20 // bytes
)

// EntryKind says what an Entry reports.
type EntryKind uint8

// The kinds of journal entry.
const (
	EntryData    EntryKind = iota // Data left the UART with the settings of State
	EntrySpoiled                  // Count bytes waited to be sent when Message changed something under them, or met a break
	EntrySetting                  // Message changed a setting; State is the new one
	EntryLine                     // Message changed DTR or RTS
	EntryBreak                    // Message began or ended a break
	EntryPurge                    // Message dropped Count bytes
	EntryModem                    // the inputs changed to Modem
	EntryOpen                     // a session began: DTR and RTS went up
	EntryClose                    // a session ended: Count bytes that still waited were lost
)

// String gives a short name.
func (k EntryKind) String() string {
	switch k {
	case EntryData:
		return "data"
	case EntrySpoiled:
		return "spoiled"
	case EntrySetting:
		return "setting"
	case EntryLine:
		return "line"
	case EntryBreak:
		return "break"
	case EntryPurge:
		return "purge"
	case EntryModem:
		return "modem"
	case EntryOpen:
		return "open"
	case EntryClose:
		return "close"
	default:
		return fmt.Sprintf("EntryKind(%d)", uint8(k))
	}
}

// Entry is one thing that happened at a UART.
type Entry struct {
	Kind    EntryKind
	Time    time.Time          // when it happened; for data, when the first byte had left
	State   comport.State      // in force while the bytes left, or after the change
	Modem   comport.ModemState // EntryModem: the levels
	Message comport.Message    // the request that did it, where there was one
	Data    []byte             // EntryData
	Count   int                // bytes, for EntrySpoiled, EntryPurge and EntryClose
}

// String gives the entry in one line, without its time.
func (e Entry) String() string {
	switch e.Kind {
	case EntryData:
		return fmt.Sprintf("data %q at %s", e.Data, e.State.Line())
	case EntrySpoiled, EntryPurge:
		return fmt.Sprintf("%s %d bytes by %v", e.Kind, e.Count, e.Message)
	case EntrySetting, EntryLine, EntryBreak:
		return fmt.Sprintf("%s %v", e.Kind, e.Message)
	case EntryModem:
		return "modem " + e.Modem.String()
	case EntryClose:
		return fmt.Sprintf("close, %d bytes lost", e.Count)
	case EntryOpen:
		return "open"
	default:
		return e.Kind.String()
	}
}

// Total is what became of all bytes given to a UART to send.
type Total struct {
	Bytes   uint64 // bytes that left, those that met a break not counted
	Sum     uint32 // CRC-32C of them
	Spoiled uint64 // bytes under which a setting changed, or that met a break
	Lost    uint64 // bytes purged or waiting at a session's end
	Dropped uint64 // journal entries and data bytes that were not kept for lack of room
}

// castagnoli is CRC-32C, which processors compute faster than any network
// delivers.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Sum is the checksum of Total.Sum: CRC-32C.
func Sum(p []byte) uint32 { return crc32.Checksum(p, castagnoli) }

// journal is guarded by its UART's lock.
type journal struct {
	off     bool
	entries []Entry
	size    int // bytes of data in entries
	total   Total
}

func (j *journal) add(e Entry) {
	switch {
	case j.off:
	case len(j.entries) >= maxJournalEntries:
		j.total.Dropped++
	default:
		j.entries = append(j.entries, e)
	}
}

// last gives the newest entry, to be added to; nil when there is none or when
// the journal is full, which the newest entry then is not.
func (j *journal) last() *Entry {
	if len(j.entries) == 0 || len(j.entries) >= maxJournalEntries {
		return nil
	}
	return &j.entries[len(j.entries)-1]
}

// data records bytes that left.
func (j *journal) data(now time.Time, p []byte, state comport.State) {
	j.total.Bytes += uint64(len(p))
	j.total.Sum = crc32.Update(j.total.Sum, castagnoli, p)
	if j.off || len(p) == 0 {
		return
	}
	if room := maxJournalData - j.size; len(p) > room {
		j.total.Dropped += uint64(len(p) - room)
		p = p[:room]
	}
	if len(p) == 0 {
		return
	}
	if last := j.last(); last != nil && last.Kind == EntryData && last.State == state {
		last.Data = append(last.Data, p...)
		j.size += len(p)
		return
	}
	if len(j.entries) >= maxJournalEntries {
		j.total.Dropped += uint64(len(p))
		return
	}
	j.entries = append(j.entries, Entry{Kind: EntryData, Time: now, State: state, Data: append([]byte(nil), p...)})
	j.size += len(p)
}

// snapshot copies the entries; the data of the last one may still grow, so its
// length is fixed by the copy.
func (j *journal) snapshot() []Entry {
	entries := make([]Entry, len(j.entries))
	copy(entries, j.entries)
	for i := range entries {
		entries[i].Data = slices.Clip(entries[i].Data)
	}
	return entries
}
