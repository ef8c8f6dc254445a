// Package control is how people and tools talk to a vcomd that runs: what its
// ports are doing, and what they can be told (vcomd status, set, monitor, reconnect,
// disconnect, purge and reload).
//
// # The socket
//
// Every vcomd listens on RUNDIR/NAME.sock, a Unix stream socket. It belongs to
// the tty's owner and group and has mode 0660, or 0600 where the tty's group may
// not write: who may open the port may control it. Besides, each peer's identity
// is asked of the kernel (SO_PEERCRED, SO_PEERGROUPS: unix(7), socket(7)), because
// a mode does not bind everybody.
//
// A socket that nobody listens on (ECONNREFUSED) is replaced, one that somebody
// listens on is [socket.ErrNameTaken]. Who looks and replaces holds a lock meanwhile; the
// socket gets its permissions before it gets its name. At the end it is removed if
// it is still the same.
//
// # The protocol
//
// HTTP/1.1 with JSON bodies, one request a connection:
//
//	GET   /v1/ports         all ports: Reply.Ports
//	GET   /v1/ports/NAME    one: Reply.Port
//	PATCH /v1/ports/NAME    a SetRequest: Reply.Results, one for each operation
//	POST  /v1/ports/NAME/reconnect, disconnect or purge: an ActionRequest, or nothing
//	POST  /v1/reload        Reply.Reloaded
//	GET   /v1/events, /v1/ports/NAME/monitor: an Entry a line, for as long as one likes
//
// docs/api.md is the manual for those who write clients.
//
//	curl --unix-socket /run/vcomd/ttyGPS.sock http://vcomd/v1/ports
//	curl --unix-socket /run/vcomd/ttyGPS.sock http://vcomd/v1/ports/ttyGPS -X PATCH \
//	  -d '{"version":1,"set":[{"key":"dtr","value":"off"},{"key":"break","value":"250ms"}]}'
//
// Every body has a version, [Version]. Fields that are not known are ignored, both
// ways: new ones come without a new version. A path or body of another version is
// an error that says which one is spoken. Failures are Reply.Error with a status
// of 400 and above.
//
// Operations are all looked at before the first is carried out, then carried out in
// the order in which they stand. One that fails ends the request; Reply.Results
// says what had been done before.
//
// # Threads
//
// Ports belong to a poll loop. A [Server] posts what is to be done onto it, and
// waits with the request's context: the loop never waits for a client. Requests,
// their bodies, connections and times are bounded.
//
// What streams tell is put into a bounded queue for each listener on the loop, and
// written by the request's goroutine. A port's traffic is looked at while somebody
// listens to that port, and else not.
package control
