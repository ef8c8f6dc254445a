package rfc2217test

// echoBuffer is what an Echo holds, in bytes; a Write of more waits for a Read.
const echoBuffer = 64 << 10

// Echo is a device that sends back what it receives: a loop-back plug.
type Echo struct{ *pipe }

// NewEcho makes an Echo.
func NewEcho() *Echo { return &Echo{newPipe(echoBuffer)} }
