package rfc2217test

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"time"
)

// The track: a circle, walked at a steady speed.
const (
	gpsLatitude  = 48.137154 // degrees north, of the circle's centre
	gpsLongitude = 11.576124 // degrees east
	gpsPeriod    = 600       // seconds for one round
	gpsSpeed     = 5.0       // m/s
	gpsAltitude  = 519.0     // metres above mean sea level
	gpsGeoid     = 47.2      // metres of the geoid above the ellipsoid
	metresPerDeg = 111320.0  // of latitude
	knotsPerMPS  = 3600.0 / 1852.0
	gpsBuffer    = 8 << 10 // bytes of sentences that nobody has read yet
)

// satellite is one in view, as GSV tells it.
type satellite struct{ prn, elevation, azimuth, snr int }

// satellites are all used for the fix.
var satellites = [8]satellite{
	{2, 62, 51, 46},
	{5, 40, 298, 43},
	{7, 28, 116, 41},
	{13, 71, 201, 47},
	{15, 19, 34, 37},
	{20, 33, 255, 42},
	{24, 15, 172, 36},
	{30, 54, 322, 45},
}

// GPS is a receiver with a 3D fix that moves along a circle. Once a second, on
// the second of its clock, it sends NMEA 0183 version 2.3 sentences: GGA, RMC,
// GSA and two GSV. The first ones come with the first Read. What it receives is
// ignored. Sentences that nobody reads are lost, but never torn.
type GPS struct {
	clock Clock
	out   *pipe

	mu      sync.Mutex
	started bool
	closed  bool
	timer   Timer
}

// NewGPS makes a GPS on a clock; nil is the real one.
func NewGPS(clock Clock) *GPS { return &GPS{clock: orReal(clock), out: newPipe(gpsBuffer)} }

// Read waits for sentences; they come in any pieces.
func (g *GPS) Read(p []byte) (int, error) {
	g.mu.Lock()
	if !g.started && !g.closed {
		g.started = true
		g.tickLocked()
	}
	g.mu.Unlock()
	return g.out.Read(p)
}

// Write ignores what a program sends to the receiver.
func (g *GPS) Write(p []byte) (int, error) { return len(p), nil }

// Close ends Read.
func (g *GPS) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	if g.timer != nil {
		g.timer.Stop()
	}
	return g.out.Close()
}

func (g *GPS) tickLocked() {
	now := g.clock.Now()
	second := now.Truncate(time.Second)
	g.out.offer(gpsReport(second))
	g.timer = g.clock.AfterFunc(second.Add(time.Second).Sub(now), func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if !g.closed {
			g.tickLocked()
		}
	})
}

// gpsReport gives the sentences of one second.
func gpsReport(t time.Time) []byte {
	t = t.UTC()
	angle := 2 * math.Pi * float64(((t.Unix()%gpsPeriod)+gpsPeriod)%gpsPeriod) / gpsPeriod
	radius := gpsSpeed * gpsPeriod / (2 * math.Pi)
	// Clockwise from the north: the course is a right angle ahead.
	latitude := gpsLatitude + radius*math.Cos(angle)/metresPerDeg
	longitude := gpsLongitude + radius*math.Sin(angle)/(metresPerDeg*math.Cos(gpsLatitude*math.Pi/180))
	course := math.Mod(angle*180/math.Pi+90, 360)
	altitude := gpsAltitude + 3*math.Sin(angle)

	clock := t.Format("150405.00")
	north, east := nmeaAngle(latitude, 2, "N", "S"), nmeaAngle(longitude, 3, "E", "W")
	var b []byte
	b = appendNMEA(b, fmt.Sprintf("GPGGA,%s,%s,%s,1,%02d,0.9,%.1f,M,%.1f,M,,", clock, north, east, len(satellites), altitude, gpsGeoid))
	b = appendNMEA(b, fmt.Sprintf("GPRMC,%s,A,%s,%s,%.2f,%.2f,%s,,,A", clock, north, east, gpsSpeed*knotsPerMPS, course, t.Format("020106")))
	gsa := []byte("GPGSA,A,3")
	for _, s := range satellites {
		gsa = fmt.Appendf(gsa, ",%02d", s.prn)
	}
	// Twelve places for satellites, then PDOP, HDOP and VDOP.
	b = appendNMEA(b, string(gsa)+strings.Repeat(",", 12-len(satellites))+",1.7,0.9,1.4")
	for part := range 2 {
		gsv := fmt.Appendf(nil, "GPGSV,2,%d,%02d", part+1, len(satellites))
		for _, s := range satellites[4*part : 4*part+4] {
			gsv = fmt.Appendf(gsv, ",%02d,%02d,%03d,%02d", s.prn, s.elevation, s.azimuth, s.snr)
		}
		b = appendNMEA(b, string(gsv))
	}
	return b
}

// nmeaAngle gives degrees and minutes, "4807.2292,N", with as many digits of
// degrees as asked for.
func nmeaAngle(degrees float64, digits int, positive, negative string) string {
	side := positive
	if degrees < 0 {
		side, degrees = negative, -degrees
	}
	// In units of the last digit, so that minutes never round up to 60.
	units := int64(math.Round(degrees * 60 * 10000))
	return fmt.Sprintf("%0*d%02d.%04d,%s", digits, units/600000, units/10000%60, units%10000, side)
}

// appendNMEA adds the dollar sign, the checksum (the XOR of what is between
// them) and the line end.
func appendNMEA(b []byte, body string) []byte {
	var sum byte
	for i := range len(body) {
		sum ^= body[i]
	}
	return fmt.Appendf(b, "$%s*%02X\r\n", body, sum)
}
