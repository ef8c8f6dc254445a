package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	maxBody     = 64 << 10 // bytes
	maxHeader   = 16 << 10 // bytes
	maxConns    = 32       // at a time; more wait in the socket's queue
	readTimeout = 10 * time.Second
	loopTimeout = 10 * time.Second       // for what is asked to be done, breaks aside
	endTimeout  = 250 * time.Millisecond // for answers that are under way at the end
)

// Config is what a Server needs.
type Config struct {
	Socket socket.Socket // its Name is SocketName
	// Post has a function called on the loop that the ports belong to, soon.
	Post func(func())
	// Changed, if set, is told of every request to change something, done or
	// refused. It is called from many goroutines.
	Changed func(Change)
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
	defer s.mu.Unlock()
	s.names = append(s.names, name)
	s.ports[name] = p
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
		ReadTimeout:    readTimeout,
		MaxHeaderBytes: maxHeader,
		BaseContext:    func(net.Listener) context.Context { return ctx },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if c, ok := c.(*conn); ok {
				return context.WithValue(ctx, peerKey{}, c.peer)
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
	err := srv.Serve(&gate{Listener: ln, ctx: ctx, slots: make(chan struct{}, maxConns)})
	cancel()
	<-end
	handlers.Wait()
	err = errors.Join(err, ln.Close())
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// gate accepts no more than so many connections at a time.
type gate struct {
	net.Listener
	ctx   context.Context //nolint:containedctx // it is the server's life
	slots chan struct{}
}

// acceptPause is how long accept rests after a failure, which is most often one of
// too many open files.
const acceptPause = 100 * time.Millisecond

// Accept returns an error only at the end.
func (g *gate) Accept() (net.Conn, error) {
	for {
		select {
		case g.slots <- struct{}{}:
		case <-g.ctx.Done():
			return nil, net.ErrClosed
		}
		c, err := g.Listener.Accept()
		if err == nil {
			one := &conn{Conn: c, free: func() { <-g.slots }}
			if unixConn, ok := c.(*net.UnixConn); ok {
				one.peer, one.peerErr = socket.PeerOf(unixConn)
			}
			return one, nil
		}
		<-g.slots
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		pause := time.NewTimer(acceptPause)
		select {
		case <-pause.C:
		case <-g.ctx.Done():
		}
		pause.Stop()
	}
}

// conn is a connection whose peer is known.
type conn struct {
	net.Conn
	peer    socket.Peer
	peerErr error
	once    sync.Once
	free    func()
}

func (c *conn) Close() error {
	c.once.Do(c.free)
	return c.Conn.Close()
}

// peerKey is that of a request's Peer.
type peerKey struct{}

// paths of version 1.
const (
	apiRoot   = "/v1/"
	portsPath = "/v1/ports"
)

func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	peer, known := r.Context().Value(peerKey{}).(socket.Peer)
	if !known || !s.cfg.Socket.Permits(peer) {
		err := &Error{CodeRefused, fmt.Sprintf("user %d may not control this port: only root, the tty's owner and its group may", peer.UID)}
		s.cfg.Changed(Change{Peer: peer, Err: err})
		reply(w, http.StatusForbidden, Reply{Error: err})
		return
	}
	path := r.URL.Path
	name, isPort := strings.CutPrefix(path, portsPath+"/")
	if isPort {
		if _, err := s.port(name); err != nil {
			fail(w, err, nil)
			return
		}
	}
	switch {
	case path == portsPath && r.Method == http.MethodGet:
		s.get(w, r, s.all())
	case isPort && r.Method == http.MethodGet:
		s.get(w, r, []string{name})
	case isPort && r.Method == http.MethodPatch:
		s.patch(w, r, name, peer)
	case isPort || path == portsPath:
		w.Header().Set("Allow", http.MethodGet)
		reply(w, http.StatusMethodNotAllowed, Reply{Error: &Error{CodeBadRequest, Escape(r.Method) + " is not done here; see the documentation"}})
	case strings.HasPrefix(path, apiRoot):
		reply(w, http.StatusNotFound, Reply{Error: &Error{CodeNotFound, "there is nothing at " + Escape(path) + "; ask for " + portsPath}})
	default:
		reply(w, http.StatusNotFound, Reply{Error: &Error{
			CodeVersion, fmt.Sprintf("there is nothing at %s; this vcomd speaks version %d, at %s", Escape(path), Version, portsPath),
		}})
	}
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

func (s *Server) patch(w http.ResponseWriter, r *http.Request, name string, peer socket.Peer) {
	change := Change{Port: name, Peer: peer}
	var done []Result
	refuse := func(err error) {
		change.Err = err
		s.cfg.Changed(change)
		fail(w, err, done)
	}
	request, err := readRequest(w, r)
	if err != nil {
		refuse(err)
		return
	}
	written := make([]string, 0, len(request.Set))
	for _, o := range request.Set[:min(len(request.Set), maxOperations)] {
		written = append(written, Escape(o.String()))
	}
	change.Operations = strings.Join(written, " ")
	actions, err := parseAll(request.Set)
	if err != nil {
		refuse(&Error{CodeBadRequest, err.Error()})
		return
	}
	var breaks time.Duration
	for _, a := range actions {
		breaks += a.breakFor
	}
	ctx, cancel := bounded(w, r, breaks)
	defer cancel()
	for i, a := range actions {
		state, err := s.apply(ctx, name, request.Set[i], a)
		if err != nil {
			refuse(err)
			return
		}
		done = append(done, Result{request.Set[i], state})
	}
	s.cfg.Changed(change)
	reply(w, http.StatusOK, Reply{Results: slices.Clip(done)})
}

func readRequest(w http.ResponseWriter, r *http.Request) (request SetRequest, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		return request, &Error{CodeBadRequest, fmt.Sprintf("the body is longer than %d bytes", maxBody)}
	}
	if err != nil {
		return request, &Error{CodeBadRequest, "the body cannot be read: " + message(err)}
	}
	return decodeRequest(body)
}

// decodeRequest reads a body. Fields that are not known are ignored.
func decodeRequest(body []byte) (request SetRequest, err error) {
	if err := json.Unmarshal(body, &request); err != nil {
		return request, &Error{CodeBadRequest, "the body is not a request: " + message(err)}
	}
	if request.Version != Version {
		return request, &Error{CodeVersion, fmt.Sprintf("the request is of version %d; this vcomd speaks version %d", request.Version, Version)}
	}
	return request, nil
}
