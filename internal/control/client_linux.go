package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/socket"
)

// Client finds the ports of the vcomds that run, and talks to them.
type Client struct {
	// RunDirs are the directories in which sockets are looked for.
	RunDirs []string
}

// Found is a port and the socket that it is controlled at.
type Found struct {
	Port   Port
	Socket string
}

// What a client waits for, and takes.
const (
	answerTimeout = 5 * time.Second
	maxAnswer     = 4 << 20 // bytes
)

// ErrNoPort says that there is none of that name.
var ErrNoPort = errors.New("there is no such port")

// All asks every vcomd for its ports, which come in the order of their sockets'
// paths. Sockets that nobody listens on are passed over; failed is for those that
// could not be asked.
func (c Client) All(ctx context.Context) (found []Found, failed []error) {
	for _, path := range c.sockets() {
		ctx, cancel := context.WithTimeout(ctx, answerTimeout)
		r, err := ask(ctx, path, http.MethodGet, portsPath, nil)
		cancel()
		switch {
		case err == nil:
			for _, p := range r.Ports {
				found = append(found, Found{Port: p, Socket: path})
			}
		case errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, socket.ErrNotSocket):
		default:
			failed = append(failed, err)
		}
	}
	return found, failed
}

func (c Client) sockets() (paths []string) {
	for _, dir := range c.RunDirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // nobody has made it yet, or it is nobody's business
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), suffix) {
				paths = append(paths, filepath.Join(dir, e.Name()))
			}
		}
	}
	return paths
}

// Find finds a port by its name, by one of its links, by its overlay or by its
// tty, in this order; by a link that is not its own to one of these, too. The error
// says what there is.
func (c Client) Find(ctx context.Context, name string) (Found, error) {
	all, failed := c.All(ctx)
	if i := slices.IndexFunc(all, func(f Found) bool { return f.Port.Name == name }); i >= 0 {
		return all[i], nil
	}
	path, err := filepath.Abs(name)
	if err == nil {
		places := []string{path}
		if target, err := filepath.EvalSymlinks(path); err == nil {
			places = append(places, target)
		}
		if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
			places = append(places, filepath.Join(dir, filepath.Base(path)))
		}
		for _, place := range places {
			if i := slices.IndexFunc(all, func(f Found) bool { return f.Port.leads(place) }); i >= 0 {
				return all[i], nil
			}
		}
	}
	return Found{}, c.notFound(name, all, failed)
}

// leads reports whether a path is one of the port's.
func (p Port) leads(path string) bool {
	if path == p.Overlay || path == p.TTY {
		return true
	}
	return slices.ContainsFunc(p.Links, func(link string) bool {
		if link == path {
			return true
		}
		dir, err := filepath.EvalSymlinks(filepath.Dir(link))
		return err == nil && filepath.Join(dir, filepath.Base(link)) == path
	})
}

func (c Client) notFound(name string, all []Found, failed []error) error {
	names := make([]string, 0, len(all))
	for _, f := range all {
		names = append(names, Escape(f.Port.Name))
	}
	dirs := strings.Join(c.RunDirs, " or ")
	switch {
	case len(names) > 0:
		return fmt.Errorf("port %q: %w; there are: %s", name, ErrNoPort, strings.Join(names, ", "))
	case len(failed) > 0:
		return fmt.Errorf("port %q: %w that may be asked: %w", name, ErrNoPort, errors.Join(failed...))
	default:
		return fmt.Errorf("port %q: %w, and no vcomd at all with a socket in %s; start one, or say with --run-dir where it is", name, ErrNoPort, dirs)
	}
}

// Set has operations carried out. With an error of type *Error, done says what was
// carried out before.
func (c Client) Set(ctx context.Context, f Found, operations []Operation) (done []Result, err error) {
	body, err := json.Marshal(SetRequest{Version: Version, Set: operations})
	if err != nil {
		return nil, err
	}
	// The server ends what takes too long.
	ctx, cancel := context.WithTimeout(ctx, loopTimeout+maxBreak+readTimeout)
	defer cancel()
	r, err := ask(ctx, f.Socket, http.MethodPatch, portsPath+"/"+url.PathEscape(f.Port.Name), body)
	return r.Results, err
}

// AskError says that a vcomd could not be asked.
type AskError struct {
	Path  string
	Found string // what happened
	Fix   string // what to do next
	Err   error
}

// Error implements error.
func (e *AskError) Error() string {
	return fmt.Sprintf("cannot ask the vcomd at %s: %s; %s", Escape(e.Path), e.Found, e.Fix)
}

// Unwrap returns the cause.
func (e *AskError) Unwrap() error { return e.Err }

// ask makes one request. A Reply.Error becomes the error.
func ask(ctx context.Context, at, method, path string, body []byte) (r Reply, err error) {
	transport := &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return socket.Dial(ctx, at, false) },
		DisableKeepAlives: true,
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://vcomd"+path, bytes.NewReader(body))
	if err != nil {
		return r, err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return r, askFailed(at, err)
	}
	defer func() { _ = response.Body.Close() }() // all was read
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return r, askFailed(at, err)
	}
	if r, err = decodeReply(text); err != nil {
		return Reply{}, &AskError{at, err.Error(), "use the vcomd that serves the port", err}
	}
	if r.Error != nil {
		return r, r.Error
	}
	return r, nil
}

// decodeReply reads an answer. Fields that are not known are ignored, a version
// that is not known is an error.
func decodeReply(text []byte) (r Reply, err error) {
	if err := json.Unmarshal(text, &r); err != nil {
		return Reply{}, errors.New("it does not answer like a vcomd")
	}
	if r.Version != Version {
		return Reply{}, fmt.Errorf("it speaks version %d, and this program version %d", r.Version, Version)
	}
	if r.Error != nil {
		r.Error.Message = lines(r.Error) // whoever it is that answers
	}
	return r, nil
}

func askFailed(path string, err error) error {
	f := &AskError{Path: path, Found: err.Error(), Fix: "see whether it is well", Err: err}
	switch {
	case errors.Is(err, fs.ErrPermission):
		f.Found, f.Fix = "permission denied", "only "+permitted(path)+" may"
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded):
		f.Found, f.Fix = "it does not answer", "see whether it is stopped"
	}
	return f
}

// permitted says for people who may connect to a socket.
func permitted(path string) string {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil || st.Mode&0o060 == 0 {
		return "root and its owner"
	}
	group := strconv.FormatUint(uint64(st.Gid), 10)
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	return "root, its owner and the group " + group
}
