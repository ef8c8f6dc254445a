//go:build race

package integration

func init() { buildFlags = append(buildFlags, "-race"); cgo = "1" } //nolint:gochecknoinits // build tags set it
