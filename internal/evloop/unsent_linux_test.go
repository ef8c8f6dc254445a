package evloop_test

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/evloop"
)

// hidden is a TCP connection inside another one, as TLS has it.
type hidden struct{ net.Conn }

func (h hidden) NetConn() net.Conn { return h.Conn }

// What the kernel takes unsent is bounded for every TCP connection.
func TestUnsentIsBounded(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"plain":  func(c net.Conn) net.Conn { return c },
		"hidden": func(c net.Conn) net.Conn { return hidden{c} },
	} {
		t.Run(name, func(t *testing.T) {
			l, err := evloop.New()
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			c, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			// Options are the socket's: another descriptor of it shows them.
			f, err := c.(*net.TCPConn).File()
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			s, err := l.Attach(wrap(c))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			got, err := unix.GetsockoptInt(int(f.Fd()), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT)
			if err != nil || got != evloop.NotSentLowat {
				t.Errorf("TCP_NOTSENT_LOWAT is %d, %v; want %d", got, err, evloop.NotSentLowat)
			}
		})
	}
}
