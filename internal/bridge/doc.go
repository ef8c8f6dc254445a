// Package bridge is the two pumps of a port: from the tty to the access server
// and back, with the order, the settle time and the back-pressure between them.
//
// It knows neither a pseudo-terminal nor a protocol: both ends are interfaces
// declared here, and internal/port fills them in. It runs on the port's poll
// loop; no method may be called from anywhere else, and none blocks.
//
//	program ─▶ tty ─Read─▶ [queue: bytes and changes, in order] ─Send, Request─▶ remote
//	program ◀─ tty ◀─Write──────────────────────────────────── Received ◀─ remote
//
// Upward, bytes normally pass from one read to one write without being queued.
// They are queued when a change of settings has been seen with them, so that it
// leaves in its place among them; the queue is bounded by what a tty holds, and
// while it is not empty, or the remote is blocked, the tty is not read: the
// program blocks, as on a slow UART.
//
// Downward nothing is held here: what the tty does not take stays with the
// remote, which stops reading from the network.
package bridge
