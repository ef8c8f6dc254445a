package evloop

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestHealthOf(t *testing.T) {
	for name, tt := range map[string]struct {
		info   unix.TCPInfo
		queued int
		want   Health
	}{
		"idle": {
			info: unix.TCPInfo{Last_ack_recv: 1500, Rto: 204_000},
			want: Health{SinceAck: 1500 * time.Millisecond},
		},
		"segments on their way": {
			info: unix.TCPInfo{Last_ack_recv: 10, Rto: 204_000, Unacked: 2, Backoff: 3}, queued: 2000,
			want: Health{SinceAck: 10 * time.Millisecond, Unacknowledged: 2000},
		},
		"window closed": {
			info: unix.TCPInfo{Last_ack_recv: 900, Rto: 204_000, Backoff: 3}, queued: 2000,
			want: Health{SinceAck: 900 * time.Millisecond, Unacknowledged: 2000, ProbeInterval: 1632 * time.Millisecond},
		},
		"window closed on a fast network": {
			info: unix.TCPInfo{Rto: 1000, Backoff: 1}, queued: 1,
			want: Health{Unacknowledged: 1, ProbeInterval: 400 * time.Millisecond},
		},
		"window closed for long": {
			info: unix.TCPInfo{Rto: 204_000, Backoff: 255}, queued: 1,
			want: Health{Unacknowledged: 1, ProbeInterval: 120 * time.Second},
		},
	} {
		if got := healthOf(&tt.info, tt.queued); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}
