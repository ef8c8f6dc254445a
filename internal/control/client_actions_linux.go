package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/vcomd/vcomd/internal/socket"
)

// Reconnect ends a port's connection and makes another.
func (c Client) Reconnect(ctx context.Context, f Found) (State, error) {
	return c.act(ctx, f, actionReconnect, "")
}

// Disconnect ends a port's connection.
func (c Client) Disconnect(ctx context.Context, f Found) (State, error) {
	return c.act(ctx, f, actionDisconnect, "")
}

// Purge drops what waits: rx, tx or both.
func (c Client) Purge(ctx context.Context, f Found, what string) (State, error) {
	return c.act(ctx, f, actionPurge, what)
}

// CheckPurge says what is wrong with what is to be purged.
func CheckPurge(what string) error {
	_, err := parsePurge(what)
	return err
}

func (c Client) act(ctx context.Context, f Found, action, what string) (State, error) {
	body, err := json.Marshal(ActionRequest{Version: Version, What: what})
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, loopTimeout+readTimeout)
	defer cancel()
	r, err := ask(ctx, f.Socket, http.MethodPost, f.path(action), body)
	if err != nil {
		return "", err
	}
	if len(r.Results) != 1 {
		return "", &AskError{f.Socket, "it does not say what it has done", "see vcomd status", nil}
	}
	return r.Results[0].State, nil
}

// path is that of something below a port.
func (f Found) path(below string) string {
	return portsPath + "/" + url.PathEscape(f.Port.Name) + "/" + below
}

// ErrNoInstance says that no vcomd of a name runs.
var ErrNoInstance = errors.New("there is no such vcomd")

// Reload has the vcomd of a name read its configuration again.
func (c Client) Reload(ctx context.Context, instance string) (Reloaded, error) {
	var at string
	for _, dir := range c.RunDirs {
		path := SocketPath(dir, instance)
		if _, err := os.Lstat(path); err == nil && filepath.Base(path) == SocketName(instance) {
			at = path
			break
		}
	}
	if at == "" {
		return Reloaded{}, c.noInstance(instance)
	}
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout+loopTimeout+readTimeout)
	defer cancel()
	r, err := ask(ctx, at, http.MethodPost, reloadPath, nil)
	if err != nil {
		return Reloaded{}, err
	}
	if r.Reloaded == nil {
		return Reloaded{}, &AskError{at, "it does not say what it has done", "see vcomd status", nil}
	}
	return *r.Reloaded, nil
}

func (c Client) noInstance(instance string) error {
	paths := c.sockets()
	names := make([]string, 0, len(paths))
	for _, path := range paths {
		name := filepath.Base(path)
		names = append(names, Escape(name[:len(name)-len(suffix)]))
	}
	dirs := strings.Join(c.RunDirs, " or ")
	if len(names) == 0 {
		return fmt.Errorf("%q: %w, and no vcomd at all with a socket in %s; start one, or say with --run-dir where it is", instance, ErrNoInstance, dirs)
	}
	return fmt.Errorf("%q: %w in %s; there are: %s", instance, ErrNoInstance, dirs, strings.Join(names, ", "))
}

// maxLine bounds an entry of a stream, in bytes: the largest has 64 KiB of data.
const maxLine = 1 << 20

// ErrStreamEnded says that a vcomd has ended a stream.
var ErrStreamEnded = errors.New("the vcomd that serves the port has ended")

// Monitor calls each with what passes between a port and its access server, and what
// happens to the port, until ctx ends, which is no error, or each returns one.
func (c Client) Monitor(ctx context.Context, f Found, shows []Kind, each func(Entry) error) error {
	words := make([]string, 0, len(shows))
	for _, k := range shows {
		words = append(words, string(k))
	}
	return stream(ctx, f.Socket, f.path(monitorPart)+"?show="+url.QueryEscape(strings.Join(words, ",")), each)
}

func stream(ctx context.Context, at, path string, each func(Entry) error) error {
	transport := &http.Transport{
		DialContext:           func(ctx context.Context, _, _ string) (net.Conn, error) { return socket.Dial(ctx, at, false) },
		DisableKeepAlives:     true,
		ResponseHeaderTimeout: loopTimeout + readTimeout,
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://vcomd"+path, nil)
	if err != nil {
		return err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return streamFailed(ctx, at, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		if err != nil {
			return streamFailed(ctx, at, err)
		}
		r, err := decodeReply(text)
		if err != nil {
			return &AskError{at, err.Error(), "use the vcomd that serves the port", err}
		}
		if r.Error == nil {
			return &AskError{at, "it answers " + response.Status, "see whether it is well", nil}
		}
		return r.Error
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, maxLine)
	lines.Split(wholeLines)
	for first := true; lines.Scan(); first = false {
		var e Entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return &AskError{at, "it does not answer like a vcomd", "use the vcomd that serves the port", err}
		}
		if first && e.Version != Version {
			return &AskError{at, fmt.Sprintf("it speaks version %d, and this program version %d", e.Version, Version), "use the vcomd that serves the port", nil}
		}
		if err := each(e); err != nil {
			return err
		}
	}
	return streamFailed(ctx, at, lines.Err())
}

// wholeLines splits a stream into its lines. What a stream that is cut leaves of its last
// line is nobody's entry: bufio.ScanLines would take it for one.
func wholeLines(data []byte, _ bool) (advance int, token []byte, err error) {
	i := bytes.IndexByte(data, '\n')
	if i < 0 {
		return 0, nil, nil
	}
	return i + 1, data[:i], nil
}

// streamFailed says why a stream has ended.
func streamFailed(ctx context.Context, at string, err error) error {
	switch {
	case ctx.Err() != nil:
		return nil //nolint:nilerr // it was ended as it is meant to be
	case err == nil || errors.Is(err, io.ErrUnexpectedEOF):
		return ErrStreamEnded
	default:
		return askFailed(at, err)
	}
}
