package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// peer is a bridge under test.
type peer struct {
	name     string
	telnet   bool   // Telnet with RFC 2217; else raw TCP
	base     string // name of the peer that ratios refer to
	forwards bool   // may forward the tty's speed; cleared when it does not
	version  []string
	argv     func(link string, port int) []string
	config   func(link string, port int) string // for a peer that reads a file: its argv holds configFile where the path goes

	build func(ctx context.Context, dir string) (program string, err error)
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

// shown is the command line, and the configuration if there is one, as the report has it.
func (p *peer) shown() string {
	s := strings.Join(p.argv("LINK", 0), " ")
	if p.config != nil {
		s += "\n" + p.config("LINK", 0)
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "127.0.0.1:0", "127.0.0.1:PORT"), "127.0.0.1,0", "127.0.0.1,PORT")
}

// find makes sure that the peer's program is there.
func (p *peer) find(ctx context.Context, dir string) (err error) {
	if p.build != nil {
		p.program, err = p.build(ctx, dir)
		return err
	}
	p.program, err = exec.LookPath(p.argv("", 0)[0])
	return err
}

// versionLine is the first line with a digit of what the peer says of its version.
func (p *peer) versionLine(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	argv := p.version
	if argv[0] == p.argv("", 0)[0] {
		argv = append([]string{p.program}, argv[1:]...)
	}
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput() //nolint:gosec // a peer's own
	for line := range strings.Lines(string(out)) {
		if strings.ContainsAny(line, "0123456789") {
			return strings.TrimSpace(line)
		}
	}
	return fmt.Sprintf("unknown: %v", err)
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
			name: "c-poll", version: []string{"gcc", "--version"}, build: buildC,
			argv: func(link string, port int) []string { return []string{"csplice", link, fmt.Sprint(port)} },
		},
	}
	for _, wait := range []string{"netpoll", "threads", "epoll"} {
		all = append(all, &peer{
			name: "go-" + wait, version: []string{"go", "version"}, build: buildGo,
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
		&peer{
			name: "ser2net", telnet: true, version: []string{"ser2net", "-v"},
			argv: func(string, int) []string { return []string{"ser2net", "-n", "-c", configFile} },
			config: func(link string, port int) string {
				return fmt.Sprintf("connection: &bench\n  accepter: conacc,pty(link=%s,raw)\n"+
					"  connector: telnet(rfc2217),tcp,127.0.0.1,%d\n", link, port)
			},
		},
	)
	for _, p := range all {
		p.forwards = true
		p.base = "socat"
		if p.telnet {
			p.base = "gensiot-64K"
		}
	}
	return all
}

func buildC(ctx context.Context, dir string) (string, error) {
	return build(ctx, dir, "csplice", "gcc", "-O2", "-o", "", "test/bench/csplice/splice.c")
}

func buildGo(ctx context.Context, dir string) (string, error) {
	return build(ctx, dir, "splice", "go", "build", "-o", "", "./test/bench/splice")
}

// build makes dir/name, once, with the command given; its one empty word is the output's path.
func build(ctx context.Context, dir, name string, argv ...string) (string, error) {
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	for i := range argv {
		if argv[i] == "" {
			argv[i] = path
		}
	}
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput() //nolint:gosec // a constant command
	if err != nil {
		return "", fmt.Errorf("%s: %w: %.500s", strings.Join(argv, " "), err, out)
	}
	return path, nil
}
