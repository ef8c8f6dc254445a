// Command splice is the bare bridge of the bench in Go: a pseudo-terminal on one side, a TCP connection on the other, and nothing
// done to the bytes. It has three ways to wait, to show what each costs:
//
//	netpoll  a goroutine each way over Go's poller
//	threads  a blocking thread each way
//	epoll    both ways in one locked thread with an epoll loop of its own
//
// Usage: splice -wait WAY LINK PORT.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
)

// bufSize is that of the C loop.
const bufSize = 64 << 10

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintln(os.Stderr, "splice:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("splice", flag.ContinueOnError)
	wait := flags.String("wait", "epoll", "netpoll, threads or epoll")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 2 {
		return errors.New("usage: splice -wait netpoll|threads|epoll LINK PORT")
	}
	port, err := strconv.Atoi(flags.Arg(1))
	if err != nil {
		return err
	}
	switch *wait {
	case "netpoll":
		return netpoll(flags.Arg(0), port)
	case "threads":
		return threads(flags.Arg(0), port)
	case "epoll":
		return epoll(flags.Arg(0), port)
	default:
		return fmt.Errorf("-wait %s: not netpoll, threads or epoll", *wait)
	}
}
