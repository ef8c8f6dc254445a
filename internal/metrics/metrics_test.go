package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// fake is a port with a state of the test's.
type fake struct {
	status port.Status
	uart   port.UART
}

func (f *fake) Status() port.Status { return f.status }
func (f *fake) UART() port.UART     { return f.uart }

// scrape asks an exporter of these ports.
func scrape(t *testing.T, ports ...Measured) string {
	t.Helper()
	e := New(Config{Post: func(f func()) { f() }, Ports: func() []Measured { return ports }, Version: "1.2.3"})
	rec := httptest.NewRecorder()
	e.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if rec.Code != http.StatusOK {
		t.Fatalf("status %d: %s", rec.Code, rec.Body)
	}
	return rec.Body.String()
}

// wantLines looks for whole lines.
func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains("\n"+text, "\n"+l+"\n") {
			name, _, _ := strings.Cut(l, "{")
			var near []string
			for found := range strings.Lines(text) {
				if strings.HasPrefix(found, name) {
					near = append(near, found)
				}
			}
			t.Errorf("there is no line %s, but\n%s", l, strings.Join(near, ""))
		}
	}
}

func TestValues(t *testing.T) {
	f := &fake{
		status: port.Status{
			Name: "gps", Remote: "rfc2217://host:2217", Links: []string{"/dev/ttyGPS", "/dev/other"}, Open: true, Up: true, Mode: rfc2217client.ModeComPort,
			Since: time.UnixMilli(1700000000500), DroppedBanner: 7,
			Bytes: port.Bytes{FromProgram: 1, ToProgram: 2, DroppedClosed: 3, DroppedFlush: 4, DroppedUnsent: 5, DroppedStale: 6, DroppedDown: 8, FlushedUnsent: 9},
			Client: rfc2217client.Counters{
				BytesSent: 10, BytesReceived: 11, CommandsSent: 12, CommandsReceived: 13, UnknownMessages: 14, BrokenMessages: 15, Unanswered: 16,
				PurgedBytes: 17, Unconfirmed: 18, Undelivered: 19, DroppedRequests: 20,
			},
		},
		uart: port.UART{
			Modem: comport.ModemCTS | comport.ModemDCD, OutQueue: 21,
			Counts: port.Counts{CTS: 22, DSR: 23, RNG: 24, DCD: 25, Frame: 26, Parity: 27, Overrun: 28, Brk: 29, BufOverrun: 30},
		},
	}
	text := scrape(t, Measured{Port: f, Meter: &Meter{}})
	wantLines(t, text,
		`vcomd_port_info{link="/dev/ttyGPS",port="gps",remote="rfc2217://host:2217"} 1`,
		`vcomd_port_served{port="gps"} 1`, `vcomd_port_connected{port="gps"} 1`, `vcomd_port_failing{port="gps"} 0`,
		`vcomd_port_since_timestamp_seconds{port="gps"} 1.7000000005e+09`, `vcomd_port_rfc2217{port="gps"} 1`,
		`vcomd_port_suspended{port="gps"} 0`, `vcomd_port_open{port="gps"} 1`, `vcomd_port_output_queue_bytes{port="gps"} 21`,
		`vcomd_port_modem_line{line="cts",port="gps"} 1`, `vcomd_port_modem_line{line="dsr",port="gps"} 0`,
		`vcomd_port_modem_line{line="dcd",port="gps"} 1`, `vcomd_port_modem_line{line="ri",port="gps"} 0`,
		`vcomd_port_written_bytes_total{port="gps"} 1`, `vcomd_port_read_bytes_total{port="gps"} 2`,
		`vcomd_port_sent_bytes_total{port="gps"} 10`, `vcomd_port_received_bytes_total{port="gps"} 11`,
		`vcomd_port_dropped_bytes_total{port="gps",reason="closed"} 3`, `vcomd_port_dropped_bytes_total{port="gps",reason="flush"} 4`,
		`vcomd_port_dropped_bytes_total{port="gps",reason="unsent"} 5`, `vcomd_port_dropped_bytes_total{port="gps",reason="stale"} 6`,
		`vcomd_port_dropped_bytes_total{port="gps",reason="down"} 8`, `vcomd_port_dropped_bytes_total{port="gps",reason="flushed_unsent"} 9`,
		`vcomd_port_dropped_bytes_total{port="gps",reason="banner"} 7`, `vcomd_port_dropped_bytes_total{port="gps",reason="undelivered"} 19`,
		`vcomd_port_dropped_bytes_total{port="gps",reason="purged"} 17`, `vcomd_port_tx_unconfirmed_bytes_total{port="gps"} 18`,
		`vcomd_port_commands_sent_total{port="gps"} 12`, `vcomd_port_commands_received_total{port="gps"} 13`,
		`vcomd_port_requests_timed_out_total{port="gps"} 16`, `vcomd_port_requests_dropped_total{port="gps"} 20`,
		`vcomd_port_bad_messages_total{kind="unknown",port="gps"} 14`, `vcomd_port_bad_messages_total{kind="broken",port="gps"} 15`,
		`vcomd_port_line_errors_total{kind="framing",port="gps"} 26`, `vcomd_port_line_errors_total{kind="parity",port="gps"} 27`,
		`vcomd_port_line_errors_total{kind="overrun",port="gps"} 28`, `vcomd_port_line_errors_total{kind="break",port="gps"} 29`,
		`vcomd_port_line_errors_total{kind="buffer_overrun",port="gps"} 30`,
		`vcomd_port_modem_changes_total{line="cts",port="gps"} 22`, `vcomd_port_modem_changes_total{line="dsr",port="gps"} 23`,
		`vcomd_port_modem_changes_total{line="ri",port="gps"} 24`, `vcomd_port_modem_changes_total{line="dcd",port="gps"} 25`,
	)
	if !strings.Contains(text, `vcomd_build_info{goversion="go1.`) || !strings.Contains(text, `version="1.2.3"} 1`) {
		t.Error("there is no vcomd_build_info")
	}
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes"} {
		if !strings.Contains(text, "\n"+name+" ") {
			t.Errorf("there is no %s", name)
		}
	}
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ = strings.Cut(name, " ")
			if !strings.Contains(text, "# HELP "+name+" ") {
				t.Errorf("%s has no HELP", name)
			}
		}
	}
}

// What is not so.
func TestStates(t *testing.T) {
	ports := []Measured{
		{&fake{status: port.Status{Name: "failing", LastError: errors.New("refused")}}, &Meter{}},
		{&fake{status: port.Status{Name: "missing", LastError: errors.New("the link is taken")}}, nil},
		{&fake{status: port.Status{Name: "plain", Up: true, Mode: rfc2217client.ModeTelnet, Suspended: true, Overlay: "/dev/ttyS0"}}, &Meter{}},
		{&fake{status: port.Status{Name: "bad\xff\"\n"}}, &Meter{}},
	}
	text := scrape(t, ports...)
	wantLines(t, text,
		`vcomd_port_failing{port="failing"} 1`, `vcomd_port_served{port="failing"} 1`, `vcomd_port_connected{port="failing"} 0`,
		`vcomd_port_served{port="missing"} 0`,
		`vcomd_port_connected{port="plain"} 1`, `vcomd_port_rfc2217{port="plain"} 0`, `vcomd_port_suspended{port="plain"} 1`, `vcomd_port_failing{port="plain"} 0`,
		`vcomd_port_info{link="/dev/ttyS0",port="plain",remote=""} 1`,
		"vcomd_port_served{port=\"bad\uFFFD\\\"\\n\"} 1",
	)
	if text = scrape(t, ports[0]); strings.Contains(text, "plain") {
		t.Error("a port that is gone is still there")
	}
}

func TestMeter(t *testing.T) {
	var m Meter
	happened := func(kinds ...port.Kind) {
		for _, k := range kinds {
			m.Event(port.Event{Kind: k})
		}
	}
	// A try that fails, one connection that is lost, with a try that fails after it, one that nobody needs any more.
	happened(port.KindReady, port.KindDisconnected, port.KindConnected, port.KindDisconnected, port.KindDisconnected, port.KindConnected,
		port.KindStopped, port.KindWanted, port.KindWanted, port.KindDisconnected)
	for _, d := range []time.Duration{0, time.Millisecond, time.Millisecond + 1, 300 * time.Millisecond, 2 * time.Second, 3 * time.Second} {
		m.Acknowledged(comport.CommandSetBaudRate, d)
	}
	text := scrape(t, Measured{&fake{status: port.Status{Name: "p"}}, &m})
	wantLines(t, text,
		`vcomd_port_connections_total{port="p"} 2`, `vcomd_port_connections_lost_total{port="p"} 1`, `vcomd_port_settings_changes_total{port="p"} 2`,
		`vcomd_port_ack_seconds_bucket{port="p",le="0.001"} 2`, `vcomd_port_ack_seconds_bucket{port="p",le="0.002"} 3`,
		`vcomd_port_ack_seconds_bucket{port="p",le="0.2"} 3`, `vcomd_port_ack_seconds_bucket{port="p",le="0.5"} 4`,
		`vcomd_port_ack_seconds_bucket{port="p",le="1"} 4`, `vcomd_port_ack_seconds_bucket{port="p",le="2"} 5`,
		`vcomd_port_ack_seconds_bucket{port="p",le="+Inf"} 6`, `vcomd_port_ack_seconds_count{port="p"} 6`,
		`vcomd_port_ack_seconds_sum{port="p"} 5.302000001`,
	)
	m.Resumed(true)
	happened(port.KindDisconnected)
	if m.losses != 2 {
		t.Errorf("%d connections lost, want 2 with the one that was taken over", m.losses)
	}
}

// Each port costs as many series as the others, whatever happens to it.
func TestSeriesAreBounded(t *testing.T) {
	count := func(n int) (series int) {
		ports := make([]Measured, 0, n)
		for i := range n {
			ports = append(ports, Measured{&fake{status: port.Status{Name: fmt.Sprint("port", i), LastError: fmt.Errorf("error %d", i)}}, &Meter{}})
		}
		for line := range strings.Lines(scrape(t, ports...)) {
			if strings.HasPrefix(line, "vcomd_port_") {
				series++
			}
		}
		return series
	}
	one := count(1)
	if got := count(50); got != 50*one || one > 80 {
		t.Errorf("%d series for a port, %d for 50", one, got)
	}
}

// serve runs an exporter at a listener.
func serve(t *testing.T, c Config) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- New(c).Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return ln.Addr().String()
}

func TestOnlyGetMetrics(t *testing.T) {
	addr := serve(t, Config{Post: func(f func()) { f() }, Ports: func() []Measured { return nil }})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, tt := range []struct {
		method, path string
		code         int
	}{
		{"GET", "/metrics", 200},
		{"HEAD", "/metrics", 200},
		{"POST", "/metrics", 405},
		{"DELETE", "/metrics", 405},
		{"GET", "/", 404},
		{"GET", "/metrics/x", 404},
		{"GET", "/debug/pprof/", 404},
		{"POST", "/v1/reload", 404},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://"+addr+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != tt.code {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, resp.StatusCode, tt.code)
		}
	}
}

// A loop that does not answer costs a scrape, and no more: what it does later finds nobody.
func TestStuckLoop(t *testing.T) {
	var mu sync.Mutex
	var posted []func()
	looked := false
	e := New(Config{
		Post:  func(f func()) { mu.Lock(); defer mu.Unlock(); posted = append(posted, f) },
		Ports: func() []Measured { looked = true; return nil },
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	rec := httptest.NewRecorder()
	e.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(ctx, http.MethodGet, "/metrics", nil))
	if rec.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", rec.Code)
	}
	for _, f := range posted {
		f()
	}
	if looked {
		t.Error("the ports were looked at for nobody")
	}
}

// Many scrapes at a time are not let in, and those that are get their answer.
func TestTooManyScrapes(t *testing.T) {
	waiting, go1 := make(chan struct{}, maxScrapes), make(chan struct{})
	e := New(Config{Post: func(f func()) { waiting <- struct{}{}; <-go1; f() }, Ports: func() []Measured { return nil }})
	ask := func() int {
		rec := httptest.NewRecorder()
		e.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
		return rec.Code
	}
	codes := make(chan int, maxScrapes)
	for range maxScrapes {
		go func() { codes <- ask() }()
	}
	for range maxScrapes {
		<-waiting
	}
	if code := ask(); code != http.StatusServiceUnavailable {
		t.Errorf("one too many: status %d, want 503", code)
	}
	close(go1)
	for range maxScrapes {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("status %d, want 200", code)
		}
	}
}

// Clients that hold connections and ask nothing do not keep Serve from ending.
func TestIdleConnections(t *testing.T) {
	addr := serve(t, Config{Post: func(f func()) { f() }, Ports: func() []Measured { return nil }})
	for range maxConnections + 5 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
}

func BenchmarkScrape1000(b *testing.B) {
	ports := make([]Measured, 0, 1000)
	for i := range 1000 {
		ports = append(ports, Measured{&fake{status: port.Status{Name: fmt.Sprint("port", i)}}, &Meter{}})
	}
	e := New(Config{Post: func(f func()) { f() }, Ports: func() []Measured { return ports }})
	for b.Loop() {
		rec := httptest.NewRecorder()
		e.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/metrics", nil))
	}
}
