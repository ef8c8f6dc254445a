package pty

import (
	"fmt"
	"io"
	"os"
)

// holdLinkEnv makes the test binary a second process that claims a link.
const holdLinkEnv = "VCOMD_TEST_HOLD_LINK"

// holdLink claims the link named in the environment, points it where the
// second variable says, prints "ready", and keeps it until its standard input
// ends or it is killed.
func holdLink() {
	l, err := ClaimLink(os.Getenv(holdLinkEnv), os.Getenv(holdLinkEnv+"_RUN"))
	if err == nil {
		err = l.Point(os.Getenv(holdLinkEnv + "_TARGET"))
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
