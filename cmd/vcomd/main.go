// Command vcomd gives unmodified programs a serial port whose UART is at a
// remote access server (RFC 2217).
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/vcomd/vcomd/internal/seccomp"
)

func main() {
	seccomp.MaybeChild()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
