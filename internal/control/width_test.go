package control

import "testing"

func TestWidth(t *testing.T) {
	for s, want := range map[string]int{
		"": 0, "ttyGPS": 6, "größe": 5, "e\u0301": 1, "端口": 4, "x端": 3, "\U0001f600": 2, "…": 1,
	} {
		if got := Width(s); got != want {
			t.Errorf("Width(%q) = %d, want %d", s, got, want)
		}
	}
}

func TestElide(t *testing.T) {
	for _, c := range []struct {
		s       string
		columns int
		want    string
	}{
		{"short", 5, "short"},
		{"longer", 5, "lo…er"},
		{"gps.example.org:2217", 10, "gps.…:2217"},
		{"端口端口", 6, "端…口"},
		{"端口端口", 5, "端…口"},
		{"端口", 1, "…"},
		{"x", 0, ""},
	} {
		got := Elide(c.s, c.columns)
		if Width(got) > c.columns {
			t.Errorf("Elide(%q, %d) = %q is %d wide", c.s, c.columns, got, Width(got))
		}
		if got != c.want {
			t.Errorf("Elide(%q, %d) = %q, want %q", c.s, c.columns, got, c.want)
		}
	}
}
