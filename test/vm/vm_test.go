package vm_test

import (
	"context"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vcomd/vcomd/test/vm"
	"github.com/vcomd/vcomd/test/vm/kernel"
	"github.com/vcomd/vcomd/test/vm/report"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// machines are what make test-vm boots, and what each is to do.
var machines = []struct {
	kernel kernel.Flavour
	suites []string
}{
	{kernel.Generic, nil},
	{kernel.Cloud, nil},
}

// Every suite, on its kernel: each check is a subtest.
func TestVM(t *testing.T) {
	if os.Getenv("VCOMD_VM") == "" {
		t.Skip("virtual machines take minutes: make test-vm")
	}
	ctx, cancel := context.WithTimeout(t.Context(), vm.Limit)
	defer cancel()
	for _, m := range machines {
		t.Run(string(m.kernel), func(t *testing.T) {
			begin := time.Now()
			console := &vm.Tail{Limit: 16 << 10}
			job := vm.Job{Kernel: m.kernel, Suites: m.suites, Vcomd: os.Getenv("VCOMD_VM_BINARY"), Console: console, Progress: func(what string) {
				t.Logf("%v: %s", time.Since(begin).Round(time.Second/10), what)
			}}
			err := job.Run(ctx, t.TempDir(), func(r report.Record) { record(t, r) })
			if err != nil {
				t.Error(err)
			}
			t.Logf("%v: the end", time.Since(begin).Round(time.Second/10))
			if t.Failed() {
				t.Logf("the console's end:\n%s", console)
			}
		})
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
