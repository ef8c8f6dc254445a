package config

import (
	"errors"
	"testing"
)

func TestMetricsAddress(t *testing.T) {
	for text, want := range map[string]string{
		"": "", ":9117": "127.0.0.1:9117", "127.0.0.1:9117": "127.0.0.1:9117", "0.0.0.0:9117": "0.0.0.0:9117", "[::]:9117": "[::]:9117",
		"[::1]:9117": "[::1]:9117", "host:1": "host:1",
	} {
		if got, err := MetricsAddress(text); got != want || err != nil {
			t.Errorf("%q gives %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"9117", "host", ":", ":0", ":65536", "::1:9117", "a b:1", ":http", "/run/metrics:1"} {
		got, err := MetricsAddress(text)
		if _, ok := errors.AsType[*Error](err); !ok || got != "" {
			t.Errorf("%q gives %q, %v; want an *Error", text, got, err)
		}
	}
}
