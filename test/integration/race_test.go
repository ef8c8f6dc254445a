//go:build race

package integration

func init() { //nolint:gochecknoinits // the build tag decides
	buildFlags = append(buildFlags, "-race")
	cgo = "1"
	growth *= 8 // the detector's own memory grows with what it has seen
}
