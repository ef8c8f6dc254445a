package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vcomd/vcomd/internal/socket"
)

// Bounds of what clients may take.
const (
	maxBody       = 64 << 10 // bytes
	maxHeader     = 16 << 10 // bytes
	maxConns      = 128      // at a time
	maxPerUser    = 64       // of these, of one user
	maxStreams    = 32       // of these, that stay
	headTimeout   = 5 * time.Second
	readTimeout   = 10 * time.Second
	loopTimeout   = 10 * time.Second       // for what is asked to be done, breaks aside
	reloadTimeout = 50 * time.Second       // more, for a configuration of many ports
	endTimeout    = 250 * time.Millisecond // for answers that are under way at the end
)

// Config is what a Server needs.
type Config struct {
	Socket socket.Socket // its Name is SocketName
	// Post has a function called on the loop that the ports belong to, soon.
	Post func(func())
	// Changed, if set, is told of every request to change something, done or
	// refused. It is called from many goroutines.
	Changed func(Change)
	// Reload, if set, reads the configuration again, and returns when the ports are as it
	// says. It is called from many goroutines.
	Reload func(ctx context.Context) (Reloaded, error)
}

// Change is a request to change something.
type Change struct {
	Port       string
	Peer       socket.Peer
	Operations string // as they were written, escaped; empty: it did not come to that
	Err        error  // why not all was done, or nothing
}

// Server answers at a control socket. NewServer, Add, Listen and Serve, in this
// order.
type Server struct {
	cfg Config

	mu    sync.Mutex
	names []string // in the order of Add
	ports map[string]Controlled

	// Those of streams, and the ports that are watched for them: the loop's.
	listeners []*listener
	watched   map[string]bool
}

// NewServer returns a Server without ports.
func NewServer(cfg Config) *Server {
	if cfg.Changed == nil {
		cfg.Changed = func(Change) {}
	}
	return &Server{cfg: cfg, ports: make(map[string]Controlled)}
}

// Add adds a port. Serve may run already; then it is to be called on the loop, and so
// is Remove.
func (s *Server) Add(name string, p Controlled) {
	s.mu.Lock()
	s.names = append(s.names, name)
	s.ports[name] = p
	s.mu.Unlock()
	s.watch(name)
}

// Remove takes a port away: nobody asks it anything from then on.
func (s *Server) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names = slices.DeleteFunc(s.names, func(n string) bool { return n == name })
	delete(s.ports, name)
}

// port returns a port, or why there is none.
func (s *Server) port(name string) (Controlled, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.ports[name]; p != nil {
		return p, nil
	}
	return nil, &Error{
		CodeNotFound, fmt.Sprintf("there is no port %s here; there are %s", Escape(name), Escape(strings.Join(s.names, ", "))),
	}
}

// all returns the names of all ports.
func (s *Server) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.names)
}

// Listen makes the socket, and replaces one that nobody listens on. The error is a
// *socket.Error, socket.ErrNameTaken if somebody does. Closing the listener removes the
// socket; Serve closes it, too.
func (s *Server) Listen(ctx context.Context) (net.Listener, error) {
	l, err := s.cfg.Socket.Listen(ctx)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Serve answers until ctx ends, and then returns nil. All that it has begun has
// ended then, on the loop aside.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var handlers sync.WaitGroup
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			handlers.Add(1)
			defer handlers.Done()
			s.handle(w, r)
		}),
		ReadHeaderTimeout: headTimeout,
		ReadTimeout:       readTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if c, ok := c.(*conn); ok {
				return context.WithValue(ctx, connKey{}, c)
			}
			return ctx
		},
	}
	srv.SetKeepAlivesEnabled(false)
	end := make(chan struct{})
	go func() {
		defer close(end)
		<-ctx.Done() // the requests' contexts end with it
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
		defer cancel()
		_ = srv.Shutdown(ending)
		_ = srv.Close() // those that do not read their answer
	}()
	err := srv.Serve(&gate{Listener: ln, ctx: ctx})
	cancel()
	<-end
	handlers.Wait()
	err = errors.Join(err, ln.Close())
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// reply answers. Who does not read the answer does without.
func reply(w http.ResponseWriter, status int, r Reply) {
	r.Version = Version
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(r)
}

func fail(w http.ResponseWriter, err error, done []Result) {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{CodeFailed, message(err)}
	}
	status := http.StatusServiceUnavailable
	switch e.Code {
	case CodeBadRequest, CodeVersion:
		status = http.StatusBadRequest
	case CodeNotFound:
		status = http.StatusNotFound
	case CodeRefused:
		status = http.StatusForbidden
	case CodeCannot:
		status = http.StatusConflict
	case CodeConfiguration:
		status = http.StatusUnprocessableEntity
	case CodeBusy:
	case CodeFailed, CodeEnding:
	}
	reply(w, status, Reply{Error: e, Results: done})
}

func (s *Server) get(w http.ResponseWriter, r *http.Request, names []string) {
	ctx, cancel := bounded(w, r, 0)
	defer cancel()
	all := make([]Port, 0, len(names))
	var gone error // the last one that was taken away meanwhile
	if err := s.onLoop(ctx, func() {
		for _, name := range names {
			p, err := s.port(name)
			if err != nil {
				gone = err
				continue
			}
			all = append(all, describe(p))
		}
	}); err != nil {
		fail(w, err, nil)
		return
	}
	switch {
	case r.URL.Path == portsPath:
		reply(w, http.StatusOK, Reply{Ports: all})
	case gone != nil:
		fail(w, gone, nil)
	default:
		reply(w, http.StatusOK, Reply{Port: &all[0]})
	}
}

// bounded bounds a request's time.
func bounded(w http.ResponseWriter, r *http.Request, more time.Duration) (context.Context, context.CancelFunc) {
	// The answer to what has taken too long is still sent. While a request is
	// worked at, the server reads to see whether the client is there.
	end, rc := time.Now().Add(loopTimeout+more+readTimeout), http.NewResponseController(w)
	_, _ = rc.SetReadDeadline(end), rc.SetWriteDeadline(end)
	return context.WithTimeout(r.Context(), loopTimeout+more)
}

// onLoop has f called on the loop, and waits for that. f is not called after the
// context has ended; what it writes is not to be read after an error.
func (s *Server) onLoop(ctx context.Context, f func()) error {
	done := make(chan struct{})
	s.cfg.Post(func() {
		if ctx.Err() == nil {
			f()
			close(done)
		}
	})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return s.ended(ctx)
	}
}

func (s *Server) ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &Error{CodeFailed, "it took too long; see vcomd status, and try again"}
	}
	return &Error{CodeEnding, "this vcomd is about to end"}
}
