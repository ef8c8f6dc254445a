package vm_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/vcomd/vcomd/test/vm"
	"github.com/vcomd/vcomd/test/vm/conformance"
	"github.com/vcomd/vcomd/test/vm/kernel"
	"github.com/vcomd/vcomd/test/vm/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// compatibility is the document with the table of differences.
var compatibility = filepath.Join("..", "..", "docs", "compatibility.md")

// machines are what make test-vm boots, and what each is to do.
var machines = []struct {
	kernel kernel.Flavour
	system bool // with Debian's udev and systemd
	suites []string
}{
	{kernel.Generic, false, []string{"16550", "pty", "run", "usb", "adapter", "yama", "network", "speed"}},
	{kernel.Generic, true, []string{"systemd"}},
	{kernel.Cloud, false, []string{"plain", "nousb"}},
}

// Every suite, on its kernel: each check is a subtest. The table of differences is that of the documentation, or becomes it.
func TestVM(t *testing.T) {
	if os.Getenv("VCOMD_VM") == "" {
		t.Skip("virtual machines take minutes: make test-vm")
	}
	ctx, cancel := context.WithTimeout(t.Context(), vm.Limit)
	defer cancel()
	var results []conformance.Result
	for _, m := range machines {
		name := string(m.kernel)
		if m.system {
			name += "-systemd"
		}
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			console := &vm.Tail{Limit: 16 << 10}
			job := vm.Job{Kernel: m.kernel, System: m.system, Suites: m.suites, Vcomd: os.Getenv("VCOMD_VM_BINARY"), Console: console, Progress: func(what string) {
				t.Logf("%v: %s", time.Since(begin).Round(time.Second/10), what)
			}}
			err := job.Run(ctx, t.TempDir(), func(r report.Record) {
				if table, ok := r.(report.Table); ok {
					results = append(results, result(t, table))
				}
				record(t, r)
			})
			if err != nil {
				t.Error(err)
			}
			t.Logf("%v: the end", time.Since(begin).Round(time.Second/10))
			if t.Failed() {
				t.Logf("the console's end:\n%s", console)
			}
		})
	}
	if !t.Failed() {
		t.Run("table", func(t *testing.T) { compare(t, vm.Table(results)) })
	}
}

// record takes what a machine tells.
func record(t *testing.T, r report.Record) {
	t.Helper()
	switch r := r.(type) {
	case report.Check:
		t.Run(r.Name, func(t *testing.T) {
			switch r.Outcome {
			case report.Fail:
				t.Error(r.Detail)
			case report.Skip:
				t.Skip(r.Detail)
			case report.Pass:
				if r.Detail != "" {
					t.Log(r.Detail)
				}
			}
		})
	case report.Figure:
		t.Logf("%s: %g %s", r.Name, r.Value, r.Unit)
	case report.Table, report.Done:
	}
}

// result is a row of the table of differences.
func result(t *testing.T, table report.Table) conformance.Result {
	t.Helper()
	var r conformance.Result
	if err := json.Unmarshal(table.JSON, &r); err != nil {
		t.Errorf("table %s: %v", table.Name, err)
	}
	return r
}

// compare fails if the documentation has another table, or gives it this one.
func compare(t *testing.T, table string) {
	t.Helper()
	if os.Getenv("VCOMD_VM_UPDATE") != "" {
		if err := vm.WriteTable(compatibility, table); err != nil {
			t.Fatal(err)
		}
		return
	}
	documented, err := vm.ReadTable(compatibility)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(documented, table); diff != "" {
		t.Errorf("docs/compatibility.md says something else; make test-vm UPDATE=1 corrects it: %s", diff)
	}
}
