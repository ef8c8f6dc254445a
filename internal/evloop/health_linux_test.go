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
			info: unix.TCPInfo{Last_ack_recv: 1500},
			want: Health{SinceAck: 1500 * time.Millisecond},
		},
		"segments on their way": {
			info: unix.TCPInfo{Last_ack_recv: 10, Unacked: 2}, queued: 2000,
			want: Health{SinceAck: 10 * time.Millisecond, Unacknowledged: 2000},
		},
		"window closed": {
			info: unix.TCPInfo{Last_ack_recv: 900}, queued: 2000,
			want: Health{SinceAck: 900 * time.Millisecond, Unacknowledged: 2000, Held: true},
		},
		"window closed, and no answer": {
			info: unix.TCPInfo{Last_ack_recv: 900, Probes: 3}, queued: 1,
			want: Health{SinceAck: 900 * time.Millisecond, Unacknowledged: 1, Held: true, Unanswered: 3},
		},
	} {
		if got := healthOf(&tt.info, tt.queued); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}
