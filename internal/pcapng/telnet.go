package pcapng

// Telnet's commands that are longer than two bytes (RFC 854, RFC 855).
const (
	iac  = 255
	dont = 254
	will = 251
	sb   = 250
	se   = 240
)

// whole returns how many of p's bytes, and no more than most, make whole commands of
// Telnet and the data between them; p begins with one or the other. A command that is
// longer than most is cut.
//
// Wireshark takes the commands of each packet for themselves: one that is spread over two
// is malformed to it.
func whole(p []byte, most int) int {
	done := 0
	for done < len(p) {
		n := 1
		if p[done] == iac {
			n = command(p[done:])
		}
		if n == 0 && len(p)-done <= most {
			break // more of it is to come
		}
		if n == 0 || done+n > most {
			if done == 0 {
				return most
			}
			break
		}
		done += n
	}
	return done
}

// command returns how long the command is that p begins with; 0: its end is not there.
func command(p []byte) int {
	const short, long = 2, 3
	switch {
	case len(p) < short:
		return 0
	case p[1] >= will && p[1] <= dont:
		if len(p) < long {
			return 0
		}
		return long
	case p[1] != sb:
		return short
	}
	for i := short; i+1 < len(p); i++ {
		if p[i] != iac {
			continue
		}
		if p[i+1] != iac {
			if p[i+1] == se {
				return i + short
			}
			return i // it ends without its end
		}
		i++
	}
	return 0
}
