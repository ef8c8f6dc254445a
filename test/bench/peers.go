package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// peer is a bridge under test.
type peer struct {
	name   string
	telnet bool   // Telnet with RFC 2217; else raw TCP
	base   string // name of the peer that ratios refer to
	// comesBack is what a peer that connects again by itself is told of when; nil: it ends with its connection.
	comesBack []string
	forwards  bool // may forward the tty's speed; cleared when it does not
	version   []string
	argv      func(link string, port int) []string
	config    func(link string, port int) string // for a peer that reads a file: its argv holds configFile where the path goes

	// recipe builds the program, for those that are part of the bench; the word PROGRAM stands for its path.
	recipe []string
	// program replaces argv[0] once built or found.
	program string
}

// configFile stands for the path of the peer's configuration file.
const configFile = "CONFIG"

// command is the peer's command line for one run; dir takes its configuration file.
func (p *peer) command(link string, port int, dir string) ([]string, error) {
	argv := p.argv(link, port)
	argv[0] = p.program
	if p.config == nil {
		return argv, nil
	}
	path := filepath.Join(dir, "config.yaml")
	for i := range argv {
		if argv[i] == configFile {
			argv[i] = path
		}
	}
	return argv, os.WriteFile(path, []byte(p.config(link, port)), 0o600)
}

// shown is the command line, and the configuration if there is one, as the report has it: LINK and PORT stand for what differs from
// run to run.
func (p *peer) shown() string {
	const port = 65535 // in no command line but as the port
	s := strings.Join(p.argv("LINK", port), " ")
	if p.config != nil {
		s += "\n" + p.config("LINK", port)
	}
	return strings.ReplaceAll(s, strconv.Itoa(port), "PORT")
}

// find makes sure that the peer's program is there.
func (p *peer) find(ctx context.Context, dir string) (err error) {
	if p.recipe != nil {
		p.program, err = build(ctx, filepath.Join(dir, p.argv("", 0)[0]), p.recipe)
		return err
	}
	p.program, err = exec.LookPath(p.argv("", 0)[0])
	return err
}

// versionLine is the first line with a digit of what the peer says of its version, or else its first line, and for a Go program the
// revision that it was built from.
func (p *peer) versionLine(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	argv := p.version
	if argv[0] == p.argv("", 0)[0] {
		argv = append([]string{p.program}, argv[1:]...)
	}
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput() //nolint:gosec // a peer's own
	if err != nil && len(out) == 0 {
		return fmt.Sprintf("unknown: %v", err)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	for l := range strings.Lines(string(out)) {
		if strings.ContainsAny(l, "0123456789") {
			line = l
			break
		}
	}
	return strings.TrimSpace(line) + revision(p.program)
}

// revision is what a Go program knows of its source, empty for others.
func revision(program string) string {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return ""
	}
	var s strings.Builder
	s.WriteString(", " + info.GoVersion)
	for _, kv := range info.Settings {
		if kv.Key == "vcs.revision" || kv.Key == "vcs.modified" {
			s.WriteString(", " + kv.Key + "=" + kv.Value)
		}
	}
	return s.String()
}

// peers are all that is compared, in the order of a repetition. vcomd is the path of the binary under test.
func peers(vcomd string) []*peer {
	tcp := func(port int) string { return fmt.Sprintf("tcp://127.0.0.1:%d", port) }
	rfc2217 := func(port int) string { return fmt.Sprintf("rfc2217://127.0.0.1:%d", port) }
	vcomdVersion := []string{vcomd, "version"}
	all := []*peer{
		{
			name: "vcomd-tcp", version: vcomdVersion,
			argv: func(link string, port int) []string { return []string{vcomd, "--link", link, tcp(port)} },
		},
		{
			name: "socat", version: []string{"socat", "-V"},
			argv: func(link string, port int) []string {
				return []string{"socat", "pty,raw,echo=0,link=" + link, fmt.Sprintf("tcp:127.0.0.1:%d", port)}
			},
		},
		{
			name: "socat-64K", version: []string{"socat", "-V"},
			argv: func(link string, port int) []string {
				return []string{
					"socat", "-b", "65536", "pty,raw,echo=0,link=" + link,
					fmt.Sprintf("tcp:127.0.0.1:%d,nodelay", port),
				}
			},
		},
		{
			name: "c-poll", version: []string{"gcc", "--version"}, recipe: recipeC,
			argv: func(link string, port int) []string { return []string{"csplice", link, fmt.Sprint(port)} },
		},
	}
	for _, wait := range []string{"netpoll", "threads", "epoll"} {
		all = append(all, &peer{
			name: "go-" + wait, version: []string{"go", "version"}, recipe: recipeGo,
			argv: func(link string, port int) []string {
				return []string{"splice", "-wait", wait, link, fmt.Sprint(port)}
			},
		})
	}
	all = append(
		all,
		&peer{
			name: "vcomd-rfc2217", telnet: true, version: vcomdVersion,
			argv: func(link string, port int) []string { return []string{vcomd, "--link", link, rfc2217(port)} },
		},
		&peer{
			name: "gensiot", telnet: true, version: []string{"gensiot", "--version"},
			argv: func(link string, port int) []string {
				return []string{
					"gensiot", "-i", fmt.Sprintf("pty(link=%s,raw)", link),
					fmt.Sprintf("telnet(rfc2217),tcp,127.0.0.1,%d", port),
				}
			},
		},
		&peer{
			name: "gensiot-64K", telnet: true, version: []string{"gensiot", "--version"},
			argv: func(link string, port int) []string {
				return []string{
					"gensiot", "-i", fmt.Sprintf("pty(link=%s,raw,readbuf=65536)", link),
					fmt.Sprintf("telnet(rfc2217,readbuf=65536,writebuf=65536),tcp(readbuf=65536,nodelay),127.0.0.1,%d", port),
				}
			},
		},
		ser2net("ser2net", ""),
		// By default ser2net waits a while for more characters before it sends the first.
		ser2net("ser2net-nodelay", "  options:\n    chardelay: false\n"),
	)
	for _, p := range all {
		p.forwards = true
		if strings.HasPrefix(p.name, "vcomd-") {
			p.comesBack = []string{"--retry", retryInterval.String(), "--retry-max", retryInterval.String()}
		}
		p.base = "socat"
		if p.telnet {
			p.base = "gensiot-64K"
		}
	}
	return all
}

// ser2net is a client when its accepter is a pseudo-terminal (gensio's conacc) and its connector the access server.
func ser2net(name, options string) *peer {
	return &peer{
		name: name, telnet: true, version: []string{"ser2net", "-v"},
		argv: func(string, int) []string { return []string{"ser2net", "-n", "-c", configFile} },
		config: func(link string, port int) string {
			return fmt.Sprintf("connection: &bench\n  accepter: conacc,pty(link=%s,raw)\n"+
				"  connector: telnet(rfc2217),tcp,127.0.0.1,%d\n%s", link, port, options)
		},
	}
}

var (
	recipeC  = []string{"gcc", "-O2", "-o", "PROGRAM", "test/bench/csplice/splice.c"}
	recipeGo = []string{"go", "build", "-o", "PROGRAM", "./test/bench/splice"}
)

// build makes the program at path by a recipe, once.
func build(ctx context.Context, path string, recipe []string) (string, error) {
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	argv := slices.Clone(recipe)
	for i := range argv {
		if argv[i] == "PROGRAM" {
			argv[i] = path
		}
	}
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput() //nolint:gosec // a constant command
	if err != nil {
		return "", fmt.Errorf("%s: %w: %.500s", strings.Join(argv, " "), err, out)
	}
	return path, nil
}
