package config

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	for _, name := range []string{"ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"} { // whoever runs the tests may have one
		_ = os.Unsetenv(name)
	}
	goleak.VerifyTestMain(m)
}
