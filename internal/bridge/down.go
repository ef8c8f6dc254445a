package bridge

// Received writes what the remote sent to the tty, and returns how much of it is
// dealt with. The rest is to be offered again when the tty has room: see
// Remote.Resume.
func (b *Bridge) Received(p []byte) int {
	if !b.open {
		b.counters.DroppedClosed += uint64(len(p))
		return len(p)
	}
	n, err := b.tty.Write(p)
	if err != nil {
		b.owner.Failed(err)
		return len(p)
	}
	b.counters.ToProgram += uint64(n)
	b.full = n < len(p)
	b.want()
	return n
}
