package termiosmirror

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// lineForm tells the user how a line is written.
const lineForm = "write SPEED-FRAME, SPEED or FRAME, as in 9600-7E1, 115200 or 8N1 " +
	"(5-8 data bits; N, O, E, M or S parity; 1, 1.5 or 2 stop bits)"

// LineError reports line settings that [ParseLine] could not read, in three parts for whoever wrote them.
type LineError struct {
	What  string // what is wrong, such as "speed out of range"
	Found string // the part of the input that is wrong, as it was written
	Fix   string // what to write instead, with an example
}

// Error joins the three parts. What was found is quoted, and cut short when it is long.
func (e *LineError) Error() string {
	return fmt.Sprintf("line settings: %s: found %.40q: %s", e.What, e.Found, e.Fix)
}

// ParseLine reads line settings as people write them: "9600-7E1", "9600" or "8N1". The speed is 1 to 4294967295 bit/s, the
// frame is data bits 5 to 8, parity N, O, E, M or S (none, odd, even, mark, space; in either case) and stop bits 1, 1.5 or 2. What
// is not written is zero in the result. Every error is a *[LineError].
func ParseLine(s string) (comport.State, error) {
	var line comport.State
	if s == "" {
		return line, &LineError{What: "nothing given", Found: s, Fix: lineForm}
	}
	speed, frame, both := strings.Cut(s, "-")
	if !both && !allDigits(s) {
		speed, frame = "", s
	}
	if both || speed != "" {
		rate, err := parseSpeed(speed)
		if err != nil {
			return comport.State{}, err
		}
		line.BaudRate = rate
	}
	if both || frame != "" {
		if err := parseFrame(frame, &line); err != nil {
			return comport.State{}, err
		}
	}
	return line, nil
}

func allDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}

func parseSpeed(s string) (uint32, error) {
	if s == "" || !allDigits(s) {
		return 0, &LineError{What: "speed is not a number", Found: s, Fix: lineForm}
	}
	rate, err := strconv.ParseUint(s, 10, 32)
	if err != nil || rate == 0 {
		return 0, &LineError{What: "speed out of range", Found: s, Fix: "give 1 to 4294967295 bit/s, as in 9600-8N1"}
	}
	return uint32(rate), nil
}

// parseFrame reads "7E1" into line. It has written to line when it fails.
func parseFrame(s string, line *comport.State) error {
	if len(s) < 3 {
		return &LineError{What: "frame is not data bits, parity and stop bits", Found: s, Fix: lineForm}
	}
	if s[0] < '5' || s[0] > '8' {
		return &LineError{What: "data bits are not 5, 6, 7 or 8", Found: s, Fix: lineForm}
	}
	line.DataSize = comport.DataSize(s[0] - '0')
	switch s[1] {
	case 'N', 'n':
		line.Parity = comport.ParityNone
	case 'O', 'o':
		line.Parity = comport.ParityOdd
	case 'E', 'e':
		line.Parity = comport.ParityEven
	case 'M', 'm':
		line.Parity = comport.ParityMark
	case 'S', 's':
		line.Parity = comport.ParitySpace
	default:
		return &LineError{What: "parity is not N, O, E, M or S", Found: s, Fix: lineForm}
	}
	switch s[2:] {
	case "1":
		line.StopSize = comport.StopSize1
	case "1.5":
		line.StopSize = comport.StopSize15
	case "2":
		line.StopSize = comport.StopSize2
	default:
		return &LineError{What: "stop bits are not 1, 1.5 or 2", Found: s, Fix: lineForm}
	}
	return nil
}
