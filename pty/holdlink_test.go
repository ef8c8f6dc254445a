package pty

import (
	"fmt"
	"io"
	"os"
)

// holdLinkEnv makes the test binary a second process that claims a link, below
// its working directory and with a run directory there.
const (
	holdLinkEnv  = "VCOMD_TEST_HOLD_LINK"
	heldLink     = "dev/tty"
	heldRun      = "run"
	heldLinkGoes = alive
)

// holdLink claims the link, prints "ready", and keeps it until its standard
// input ends or it is killed.
func holdLink() {
	l, err := ClaimLink(heldLink, heldRun)
	if err == nil {
		err = l.Point(heldLinkGoes)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := l.Release(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}
