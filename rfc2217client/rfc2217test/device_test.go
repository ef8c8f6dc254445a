package rfc2217test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

var (
	_ LineDevice = (*Modem)(nil)
	_ Device     = (*GPS)(nil)
	_ Device     = (*Echo)(nil)
)

func TestNewDevice(t *testing.T) {
	for _, name := range DeviceNames() {
		d, err := NewDevice(name, NewFakeClock(epoch))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		if name == "gps" { // it speaks at once
			_, _ = d.Read(make([]byte, 4096))
		}
		go func() {
			_, err := d.Read(make([]byte, 4096))
			done <- err
		}()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, io.EOF) {
			t.Errorf("%s: Read after Close: %v", name, err)
		}
	}
	if _, err := NewDevice("gpz\x1b", nil); !errors.Is(err, ErrUnknownDevice) || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("got %v", err)
	}
}

func TestNMEAChecksum(t *testing.T) {
	// Sentences of the NMEA literature, with their checksums.
	for _, want := range []string{
		"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n",
		"$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A\r\n",
	} {
		body := want[1:strings.IndexByte(want, '*')]
		if got := string(appendNMEA(nil, body)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNMEAAngle(t *testing.T) {
	for _, tt := range []struct {
		degrees float64
		want    string
	}{{48.1173, "4807.0380,N"}, {-0.5, "0030.0000,S"}, {59.9999999999, "6000.0000,N"}, {5.75, "0545.0000,N"}} {
		if got := nmeaAngle(tt.degrees, 2, "N", "S"); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.degrees, got, tt.want)
		}
	}
}

func TestGPS(t *testing.T) {
	clock := NewFakeClock(epoch.Add(300 * time.Millisecond))
	gps := NewGPS(clock)
	defer func() { _ = gps.Close() }()
	r := bufio.NewReader(gps)
	fix := func() map[string][]string {
		t.Helper()
		sentences := make(map[string][]string)
		for range 5 {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if len(line) > 82 { // NMEA 0183: 82 characters at most, with CR LF
				t.Errorf("%d characters: %q", len(line), line)
			}
			body, sum, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(line, "$"), "\r\n"), "*")
			var xor byte
			for i := range len(body) {
				xor ^= body[i]
			}
			if want, err := strconv.ParseUint(sum, 16, 8); err != nil || byte(want) != xor {
				t.Errorf("checksum of %q", line)
			}
			fields := strings.Split(body, ",")
			sentences[fields[0]] = append(sentences[fields[0]], fields...)
		}
		return sentences
	}
	seconds, north := make([]string, 0, 3), make([]string, 0, 3)
	for range 3 {
		s := fix()
		gga, rmc, gsa := s["GPGGA"], s["GPRMC"], s["GPGSA"]
		if len(gga) != 15 || gga[6] != "1" || gga[7] != "08" {
			t.Errorf("GGA %v", gga)
		}
		if len(rmc) != 13 || rmc[2] != "A" || rmc[9] != "020126" || rmc[1] != gga[1] {
			t.Errorf("RMC %v", rmc)
		}
		if len(gsa) != 18 || gsa[2] != "3" {
			t.Errorf("GSA %v", gsa)
		}
		if len(s["GPGSV"]) != 2*20 {
			t.Errorf("GSV %v", s["GPGSV"])
		}
		seconds, north = append(seconds, gga[1]), append(north, gga[2]+gga[4])
		clock.Advance(time.Second)
	}
	if got := strings.Join(seconds, " "); got != "030405.00 030406.00 030407.00" {
		t.Errorf("times %s", got)
	}
	if north[0] == north[1] || north[1] == north[2] {
		t.Errorf("it does not move: %v", north)
	}
}

func TestGPSTrackIsPlausible(t *testing.T) {
	// Second by second, the distance fits the speed the receiver reports.
	position := func(at time.Time) (north, east float64) {
		gga := strings.Split(strings.SplitN(string(gpsReport(at)), "\r\n", 2)[0], ",")
		angle := func(s string, digits int) float64 {
			degrees, _ := strconv.ParseFloat(s[:digits], 64)
			minutes, _ := strconv.ParseFloat(s[digits:], 64)
			return degrees + minutes/60
		}
		return angle(gga[2], 2), angle(gga[4], 3)
	}
	for i := range 2 * gpsPeriod {
		n1, e1 := position(epoch.Add(time.Duration(i) * time.Second))
		n2, e2 := position(epoch.Add(time.Duration(i+1) * time.Second))
		d := math.Hypot((n2-n1)*metresPerDeg, (e2-e1)*metresPerDeg*math.Cos(n1*math.Pi/180))
		if math.Abs(d-gpsSpeed) > 0.5 {
			t.Fatalf("second %d: moved %.2f m", i, d)
		}
	}
}

// dialogue drives a modem without goroutines: what it says is taken as it is.
type dialogue struct {
	t     *testing.T
	clock *FakeClock
	modem *Modem
	lines comport.ModemState
}

func newDialogue(t *testing.T) *dialogue {
	t.Helper()
	d := &dialogue{t: t, clock: NewFakeClock(epoch)}
	d.modem = NewModem(d.clock)
	d.modem.NotifyModem(func(s comport.ModemState) { d.lines = s })
	t.Cleanup(func() { _ = d.modem.Close() })
	return d
}

func (d *dialogue) send(s string) {
	d.t.Helper()
	if _, err := d.modem.Write([]byte(s)); err != nil {
		d.t.Fatal(err)
	}
}

func (d *dialogue) expect(want string) {
	d.t.Helper()
	var got []byte
	d.modem.out.mu.Lock()
	n := d.modem.out.n
	d.modem.out.mu.Unlock()
	if n > 0 {
		got = make([]byte, n)
		_, _ = d.modem.Read(got)
	}
	if string(got) != want {
		d.t.Errorf("got %q, want %q", got, want)
	}
}

func (d *dialogue) connected(want bool) {
	d.t.Helper()
	if got := d.lines&comport.ModemDCD != 0; got != want {
		d.t.Errorf("DCD is %v", got)
	}
}

func TestModemCommands(t *testing.T) {
	d := newDialogue(t)
	for _, tt := range []struct{ send, want string }{
		{"AT\r", "AT\r\r\nOK\r\n"},
		{"at e0\r", "at e0\r\r\nOK\r\n"},
		{"AT\r", "\r\nOK\r\n"},
		{"ATV0\r", "0\r"},
		{"ATV\r", "0\r"},
		{"ATBOGUS\r", "4\r"},
		{"ATV1\r", "\r\nOK\r\n"},
		{"ATS0?\r", "\r\n000\r\n\r\nOK\r\n"},
		{"ATS0=3S12=20S0?\r", "\r\n003\r\n\r\nOK\r\n"},
		{"ATS99=1\r", "\r\nERROR\r\n"},
		{"ATS0=256\r", "\r\nERROR\r\n"},
		{"ATI\r", "\r\nvcomd simulated modem\r\n\r\nOK\r\n"},
		{"ATQ1\r", ""},
		{"ATI\r", ""},
		{"ATQ0&C1&D2X4M0\r", "\r\nOK\r\n"},
		{"hello\r", ""},
		{"ATH\r", "\r\nOK\r\n"},
		{"ATO\r", "\r\nNO CARRIER\r\n"},
		{"ATA\r", "\r\nNO CARRIER\r\n"},
		{"ATX\bI\r", "\r\nvcomd simulated modem\r\n\r\nOK\r\n"},
		{"AT" + strings.Repeat("M", 2*modemLine) + "\r", "\r\nERROR\r\n"},
		{"AT\r", "\r\nOK\r\n"},
		{"A/", "\r\nOK\r\n"},
		{"AT&\r", "\r\nERROR\r\n"},
		{"ATE2\r", "\r\nERROR\r\n"},
		{"ATZ\r", "\r\nOK\r\n"},
		{"AT&F\r", "AT&F\r\r\nOK\r\n"},
	} {
		t.Log(tt.send)
		d.send(tt.send)
		d.expect(tt.want)
	}
}

func TestModemCall(t *testing.T) {
	d := newDialogue(t)
	d.send("ATE0\r")
	d.expect("ATE0\r\r\nOK\r\n")
	d.send("ATDT5551234\r\n")
	d.expect("")
	d.clock.Advance(dialTime)
	d.expect("\r\nRINGING\r\n")
	d.connected(false)
	d.clock.Advance(dialTime)
	d.expect("\r\nCONNECT 9600\r\n")
	d.connected(true)
	d.send("AT\r\x00\xff")
	d.expect("AT\r\x00\xff")

	// No silence before, or none after: it is data.
	d.send("+++")
	d.expect("+++")
	d.clock.Advance(2 * time.Second)
	d.send("+++")
	d.clock.Advance(500 * time.Millisecond)
	d.send("x")
	d.clock.Advance(2 * time.Second)
	d.send("++")
	d.clock.Advance(2 * time.Second)
	d.expect("++++++x++"[3:])
	d.clock.Advance(2 * time.Second)
	d.send("x")
	d.clock.Advance(2 * time.Second)
	d.send("+")
	d.send("++")
	d.expect("x+++")
	d.clock.Advance(999 * time.Millisecond)
	d.expect("")
	d.clock.Advance(time.Millisecond)
	d.expect("\r\nOK\r\n")
	d.connected(true)

	d.send("ATO\r")
	d.expect("\r\nCONNECT 9600\r\n")
	d.send("back")
	d.expect("back")
	d.clock.Advance(time.Second)
	d.send("+++")
	d.clock.Advance(time.Second)
	d.expect("+++\r\nOK\r\n")
	d.send("ATH\r")
	d.expect("\r\nNO CARRIER\r\n\r\nOK\r\n")
	d.connected(false)

	// DTR hangs up; so does a byte while dialling.
	d.send("ATD1\r")
	d.clock.Advance(2 * dialTime)
	d.expect("\r\nRINGING\r\n\r\nCONNECT 9600\r\n")
	d.modem.SetLines(false, true)
	d.expect("\r\nNO CARRIER\r\n")
	d.connected(false)
	d.modem.SetLines(true, true)
	d.send("ATD1\r ")
	d.expect("\r\nNO CARRIER\r\n")
	d.clock.Advance(time.Minute)
	d.expect("")
}

func TestModemRing(t *testing.T) {
	d := newDialogue(t)
	d.modem.Ring()
	d.expect("\r\nRING\r\n")
	if d.lines != comport.ModemCTS|comport.ModemDSR|comport.ModemRI {
		t.Errorf("lines %v", d.lines)
	}
	d.clock.Advance(ringOn)
	if d.lines&comport.ModemRI != 0 {
		t.Error("RI stays on")
	}
	d.clock.Advance(ringPeriod - ringOn)
	d.expect("\r\nRING\r\n")
	d.send("ATA\r")
	d.expect("ATA\r\r\nCONNECT 9600\r\n")
	d.connected(true)
	d.clock.Advance(time.Minute)
	d.expect("")
	d.modem.SetLines(false, false)
	d.expect("\r\nNO CARRIER\r\n")

	// Automatic answer, and a caller that gives up.
	d.send("ATE0S0=2\r")
	d.expect("ATE0S0=2\r\r\nOK\r\n")
	d.modem.Ring()
	d.clock.Advance(ringPeriod + ringOn)
	d.expect("\r\nRING\r\n\r\nRING\r\n\r\nCONNECT 9600\r\n")
	d.modem.SetLines(true, false)
	d.modem.SetLines(false, false)
	d.send("ATS0=0Q1\r")
	d.modem.Ring()
	d.clock.Advance(time.Hour)
	if d.lines&comport.ModemRI != 0 || d.clock.Pending() != 0 {
		t.Error("it still rings")
	}
}

func TestModemBehindServer(t *testing.T) {
	clock := NewFakeClock(epoch)
	modem := NewModem(clock)
	s := &Server{UART: &UART{Clock: clock, Unpaced: true, Device: modem}}
	p, _ := serve(t, s)
	p.expect(greeting)
	p.send(agreement)
	p.expect("ff fa 2c 6b 30 ff f0") // CTS and DSR: no call, no DCD
	p.send("41 54 45 30 44 31 0d")   // ATE0D1
	p.expect("41 54 45 30")
	// The echo of D1 is off by then only at the end of the line.
	p.expect("44 31 0d")
	// The modem echoes the CR and dials under one lock: once it can be had, the
	// timer is set.
	modem.do(func() {})
	clock.Advance(2 * dialTime)
	got := make([]byte, 256)
	var all []byte
	for !bytes.Contains(all, []byte{0xff, 0xfa, 0x2c, 0x6b, 0xb8, 0xff, 0xf0}) || !bytes.Contains(all, []byte("CONNECT")) {
		n, err := p.conn.Read(got)
		if err != nil {
			t.Fatalf("%q, %v", all, err)
		}
		all = append(all, got[:n]...)
	}
	p.send("ff fa 2c 05 09 ff f0") // DTR off
	all = nil
	for !bytes.Contains(all, []byte("NO CARRIER")) {
		n, err := p.conn.Read(got)
		if err != nil {
			t.Fatalf("%q, %v", all, err)
		}
		all = append(all, got[:n]...)
	}
}

func FuzzModem(f *testing.F) {
	f.Add([]byte("ATE0V1S0=1DT123\r+++ATH\rA/"))
	f.Fuzz(func(_ *testing.T, p []byte) {
		clock := NewFakeClock(epoch)
		m := NewModem(clock)
		p = p[:min(len(p), modemBuffer/2)] // nobody reads the echo
		m.Ring()
		for i, c := range p {
			_, _ = m.Write([]byte{c})
			if i%16 == 15 {
				clock.Advance(time.Second)
			}
		}
		_ = m.Close()
		clock.Advance(time.Hour)
	})
}
