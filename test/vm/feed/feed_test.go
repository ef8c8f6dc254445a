package feed

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What is said is read, in order and in any pieces.
func TestSay(t *testing.T) {
	d := New()
	go func() {
		for _, s := range []string{"abc", "", "defg"} {
			if err := d.Say(t.Context(), []byte(s)); err != nil {
				t.Error(err)
			}
		}
		_ = d.Close()
	}()
	var got []byte
	for {
		buf := make([]byte, 2)
		n, err := d.Read(buf)
		got = append(got, buf[:n]...)
		if errors.Is(err, io.EOF) {
			break
		}
	}
	if string(got) != "abcdefg" {
		t.Errorf("%q is read", got)
	}
}

// Who is not listened to does not wait for ever, and neither does who listens.
func TestEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := d.Say(ctx, []byte("x")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nobody listens: %v", err)
		}
		if err := errors.Join(d.Close(), d.Close()); err != nil {
			t.Error(err)
		}
		if err := d.Say(t.Context(), []byte("x")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("it is closed: %v", err)
		}
		if _, err := d.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("it is closed: %v", err)
		}
	})
}
