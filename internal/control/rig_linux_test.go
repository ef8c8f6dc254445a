package control

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/internal/socket"
	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// patience is how long anything may take before a test fails.
const patience = 20 * time.Second

// fakePort is a port that writes down what it is told. Its fields belong to the
// loop.
type fakePort struct {
	status   port.Status
	uart     port.UART
	settable error
	fail     error // what the operations return
	did      []string
	ended    chan func(error) // the end of each break
	canceled chan struct{}    // one for each break that was
	idle     bool             // nobody has it open
	trace    func(rfc2217client.TraceEntry)
	wire     func(rfc2217client.Wire)
}

func (p *fakePort) Status() port.Status { return p.status }
func (p *fakePort) UART() port.UART     { return p.uart }
func (p *fakePort) Settable() error     { return p.settable }

func (p *fakePort) do(what string) error {
	if p.fail != nil {
		return p.fail
	}
	p.did = append(p.did, what)
	return nil
}

func (p *fakePort) DriveLines(dtr, rts comport.Control) error {
	for _, c := range []comport.Control{dtr, rts} {
		if c != 0 {
			if err := p.do(c.String()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *fakePort) SetBreak(on bool) error { return p.do(comport.Break(on).String()) }

func (p *fakePort) SetLine(line comport.State) error { return p.do(line.Line()) }

func (p *fakePort) SendBreak(d time.Duration, done func(error)) (cancel func()) {
	if err := p.do("break " + d.String()); err != nil {
		done(err)
		return func() {}
	}
	p.ended <- done
	return func() { p.canceled <- struct{}{} }
}

func (p *fakePort) Reconnect() bool {
	_ = p.do("reconnect")
	return !p.idle
}

func (p *fakePort) Disconnect() { _ = p.do("disconnect") }

func (p *fakePort) Purge(what comport.Purge) error { return p.do("purge " + what.String()) }

func (p *fakePort) Watch(trace func(rfc2217client.TraceEntry), wire func(rfc2217client.Wire)) {
	p.trace, p.wire = trace, wire
}

// rig is a Server with one fake port and a goroutine for a loop.
type rig struct {
	t      *testing.T
	server *Server
	port   *fakePort
	dir    string
	posts  chan func()
	end    func() // of the server

	mu      sync.Mutex
	changes []Change
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, dir: filepath.Join(t.TempDir(), "run"), posts: make(chan func(), 1000)}
	r.port = &fakePort{ended: make(chan func(error), 10), canceled: make(chan struct{}, 10)}
	r.port.status.Name = "tty"
	r.server = NewServer(Config{
		Socket: socket.Socket{RunDir: r.dir, Name: SocketName("tty"), UID: -1, GID: -1, Mode: 0o660},
		Post:   func(f func()) { r.posts <- f },
		Changed: func(c Change) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.changes = append(r.changes, c)
		},
	})
	r.server.Add("tty", r.port)
	ln, err := r.server.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.server.Serve(ctx, ln); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	loopEnd := make(chan struct{})
	var loop sync.WaitGroup
	loop.Go(func() {
		for {
			select {
			case f := <-r.posts:
				f()
			case <-loopEnd:
				return
			}
		}
	})
	r.end = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		close(loopEnd)
		loop.Wait()
	})
	t.Cleanup(r.end)
	return r
}

// do calls f on the loop.
func (r *rig) do(f func()) {
	done := make(chan struct{})
	r.posts <- func() { f(); close(done) }
	<-done
}

func (r *rig) did() (did []string) {
	r.do(func() { did = slices.Clone(r.port.did) })
	return did
}

func (r *rig) changed() []Change {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.changes)
}

func (r *rig) client() Client { return Client{RunDirs: []string{r.dir}} }

func (r *rig) find(name string) Found {
	r.t.Helper()
	f, err := r.client().Find(r.t.Context(), name)
	if err != nil {
		r.t.Fatal(err)
	}
	return f
}

// set is vcomd set.
func (r *rig) set(operations ...string) ([]Result, error) {
	r.t.Helper()
	parsed, err := ParseOperations(operations)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.client().Set(r.t.Context(), r.find("tty"), parsed)
}

// request makes one request as any HTTP client does.
func (r *rig) request(method, path, body string) (status int, reply Reply) {
	r.t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return socket.Dial(ctx, SocketPath(r.dir, "tty"), false)
		},
		DisableKeepAlives: true,
	}}
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://vcomd"+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	text := make([]byte, 1<<20)
	n := 0
	for err == nil {
		var m int
		m, err = res.Body.Read(text[n:])
		n += m
	}
	if reply, err = decodeReply(text[:n]); err != nil {
		r.t.Fatalf("%s %s: %v: %q", method, path, err, text[:n])
	}
	return res.StatusCode, reply
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("it did not come true: %s", what)
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
