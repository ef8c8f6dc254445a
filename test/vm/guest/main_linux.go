package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vcomd/vcomd/test/vm/report"
	"github.com/vcomd/vcomd/test/vm/suite/conform"
	"github.com/vcomd/vcomd/test/vm/suite/yama"
)

// suiteLimit is the longest a suite may take.
const suiteLimit = 5 * time.Minute

func main() {
	out := report.NewWriter(os.Stdout)
	switch args := os.Args; {
	case filepath.Base(args[0]) == "modprobe":
		exit(loadModules(slices.DeleteFunc(args[1:], func(a string) bool { return strings.HasPrefix(a, "-") })...)) // -a, -q and the like
	case len(args) > 1 && args[1] == "session":
		session(out)
		end()
	case len(args) > 2 && args[1] == "suite":
		ctx, cancel := context.WithTimeout(context.Background(), suiteLimit)
		defer cancel()
		exit(runSuite(ctx, args[2], out))
	case len(args) > 2 && args[1] == "conformance":
		exit(conform.Main(context.Background(), args[2:], out))
	case len(args) > 3 && args[1] == "look":
		exit(yama.Main(args[2], args[3]))
	case os.Getpid() == 1:
		boot(out)
	default:
		exit(fmt.Errorf("this is for the virtual machine of make test-vm: %s", strings.Join(args, " ")))
	}
}

// exit ends the process, with status 1 and a message if there is an error.
func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
