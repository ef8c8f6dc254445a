// Package version tells which vcomd this is, from the build information or by what has
// packaged it.
package version

import (
	"runtime/debug"
	"strings"
)

// packaged is the version of the package that the program is of, without the v; the linker
// writes it (scripts/packages.sh).
var packaged string

// String returns the package's version, the module's or, for a build from a checkout, the
// commit: "v1.2.3", "devel (0123456789ab, modified)".
func String() string {
	if packaged != "" {
		return "v" + packaged
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	return devel(info.Settings)
}

func devel(settings []debug.BuildSetting) string {
	var parts []string
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			parts = append(parts, s.Value[:12])
		case s.Key == "vcs.modified" && s.Value == "true":
			parts = append(parts, "modified")
		}
	}
	if len(parts) == 0 {
		return "devel"
	}
	return "devel (" + strings.Join(parts, ", ") + ")"
}

// Date returns the day of the commit that this was built from, as 2006-01-02; without
// one, the day of the first.
func Date() string {
	const first = "2026-11-20"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return first
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" && len(s.Value) >= len(first) {
			return s.Value[:len(first)]
		}
	}
	return first
}
