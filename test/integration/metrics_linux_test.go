package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

const (
	metricsRules     = "../../packaging/prometheus"
	metricsDashboard = "../../packaging/grafana/vcomd.json"
)

// scrape asks for a vcomd's metrics; they are "" while nobody answers.
func scrape(t *testing.T, address string) string {
	t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + address + "/metrics")
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		t.Fatalf("the metrics: %v, %s, %s: %s", err, resp.Status, resp.Header.Get("Content-Type"), text)
	}
	return string(text)
}

// series returns the value of one series, as it is written.
func series(t *testing.T, text, name string) float64 {
	t.Helper()
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("there is no %s in\n%s", name, text)
	return 0
}

// What a program and a server do is counted.
func TestMetricsMove(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	address := "127.0.0.1:" + freePort(t)
	v := start(t, s.addr, "--metrics", address[len("127.0.0.1"):], "--name", "p", "--retry", "50ms")
	is := func(name string, want float64) {
		t.Helper()
		eventually(t, fmt.Sprintf("%s is %v", name, want), func() bool { return series(t, scrape(t, address), name) == want })
	}
	is(`vcomd_port_served{port="p"}`, 1)
	is(`vcomd_port_connected{port="p"}`, 0)
	is(`vcomd_port_failing{port="p"}`, 0)
	is(`vcomd_port_open{port="p"}`, 0)

	tty := openTTY(t, v.link)
	v.waitEvent("connected")
	is(`vcomd_port_connected{port="p"}`, 1)
	is(`vcomd_port_rfc2217{port="p"}`, 1)
	is(`vcomd_port_open{port="p"}`, 1)
	is(`vcomd_port_connections_total{port="p"}`, 1)
	setSpeed(t, tty, 19200)
	is(`vcomd_port_settings_changes_total{port="p"}`, 1)
	acks := `vcomd_port_ack_seconds_count{port="p"}`
	eventually(t, "acknowledgements are counted", func() bool { return series(t, scrape(t, address), acks) >= 5 }) // four questions, and the speed
	write(t, tty, pattern(1000, 1))
	s.awaitBytes(t, 1000)
	is(`vcomd_port_written_bytes_total{port="p"}`, 1000)
	is(`vcomd_port_sent_bytes_total{port="p"}`, 1000)
	s.Send(comport.NotifyLineState{State: comport.LineFramingError})
	is(`vcomd_port_line_errors_total{kind="framing",port="p"}`, 1)
	s.Disconnect()
	is(`vcomd_port_connections_lost_total{port="p"}`, 1)
	is(`vcomd_port_connections_total{port="p"}`, 2)
	s.SetFaults(rfc2217test.Faults{NoAck: rfc2217test.Commands(comport.CommandSetBaudRate)})
	setSpeed(t, tty, 38400)
	is(`vcomd_port_requests_timed_out_total{port="p"}`, 1)

	text := scrape(t, address)
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ = strings.Cut(name, " ")
			if !strings.Contains(text, "# HELP "+name+" ") {
				t.Errorf("%s has no HELP", name)
			}
		}
	}
	need(t, "promtool")
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = strings.NewReader(text)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v: %s", err, out)
	}
}

// A reload takes ports out of the metrics, and a restart keeps what was counted.
func TestMetricsOfAService(t *testing.T) {
	dir := t.TempDir()
	file, address := filepath.Join(dir, "vcomd.toml"), "127.0.0.1:"+freePort(t)
	configure := func(names ...string) {
		var b strings.Builder
		fmt.Fprintf(&b, "run-dir = %q\nmetrics = %q\n", filepath.Join(dir, "run"), address)
		for _, n := range names {
			fmt.Fprintf(&b, "[[port]]\nname = %q\nlink = %q\nremote = \"sim:echo\"\nconnect = \"always\"\n", n, filepath.Join(dir, n))
		}
		if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "taken"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	configure("one", "two", "taken")
	p := spawn(t, binary, "serve", "-c", file)
	ports := func() (names []string) {
		for _, m := range regexp.MustCompile(`(?m)^vcomd_port_served\{port="([a-z]+)"\} ([01])$`).FindAllStringSubmatch(scrape(t, address), -1) {
			names = append(names, m[1]+m[2])
		}
		return names
	}
	are := func(want ...string) {
		t.Helper()
		eventually(t, fmt.Sprintf("the ports are %q", want), func() bool { return slices.Equal(ports(), want) })
	}
	are("one1", "taken0", "two1")
	configure("one")
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	are("one1")
	before := series(t, scrape(t, address), `vcomd_port_commands_sent_total{port="one"}`)
	if err := p.cmd.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the ports were taken over", func() bool { return strings.Contains(p.out.String(), `"event":"taken-over"`) })
	are("one1")
	if after := series(t, scrape(t, address), `vcomd_port_commands_sent_total{port="one"}`); after < before {
		t.Errorf("%v commands were sent before the restart, and %v are counted after it", before, after)
	}
	p.stop(syscall.SIGTERM)
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if scrape(t, address) != "" {
		t.Error("somebody still answers after the end")
	}
}

// The rules are valid, say what they are to say, and speak of metrics that there are; so
// does the dashboard.
func TestAlertRulesAndDashboard(t *testing.T) {
	need(t, "promtool")
	mustRun(t, "promtool", "check", "rules", filepath.Join(metricsRules, "vcomd.rules.yml"))
	mustRun(t, "promtool", "test", "rules", filepath.Join(metricsRules, "vcomd.rules.test.yml"))

	s := serve(t, &rfc2217test.Server{})
	address := "127.0.0.1:" + freePort(t)
	start(t, s.addr, "--metrics", address)
	var text string
	eventually(t, "there are metrics", func() bool { text = scrape(t, address); return text != "" })
	there := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^([a-z0-9_]+)[{ ]`).FindAllStringSubmatch(text, -1) {
		there[m[1]] = true
	}
	rules, err := os.ReadFile(filepath.Join(metricsRules, "vcomd.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	board, err := os.ReadFile(metricsDashboard)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		UID    string
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(board, &d); err != nil {
		t.Fatal(err)
	}
	used := string(rules)
	interval := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*", "$port", ".*")
	var probes strings.Builder // the dashboard's expressions, as rules for promtool
	probes.WriteString("groups:\n- name: dashboard\n  rules:\n")
	n := 0
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			used += " " + target.Expr
			fmt.Fprintf(&probes, "  - record: panel_%d\n    expr: %q\n", n, interval.Replace(target.Expr))
			n++
		}
	}
	if n < 15 || d.UID != "vcomd" {
		t.Fatalf("%d expressions in the dashboard %q; the test does not understand it", n, d.UID)
	}
	file := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(file, []byte(probes.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "promtool", "check", "rules", file)
	names := regexp.MustCompile(`\b(vcomd|process)_[a-z0-9_]+`).FindAllString(used, -1)
	if len(names) < 30 {
		t.Fatalf("only %d metrics are used: %q", len(names), names)
	}
	for _, name := range names {
		if !there[name] {
			t.Errorf("there is no metric %s", name)
		}
	}
}
