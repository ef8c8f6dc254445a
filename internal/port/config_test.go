package port

import "testing"

func TestPoliciesAreReadAsTheyAreWritten(t *testing.T) {
	for _, c := range []Connect{ConnectOnOpen, ConnectAlways} {
		if got, err := ParseConnect(c.String()); err != nil || got != c {
			t.Errorf("%v is read as %v, %v", c, got, err)
		}
	}
	for _, p := range []Purge{PurgeReceive, PurgeBoth, PurgeNone} {
		if got, err := ParsePurge(p.String()); err != nil || got != p {
			t.Errorf("%v is read as %v, %v", p, got, err)
		}
	}
	for _, s := range []string{"", "RX", "tx", "on-open ", "?"} {
		if _, err := ParseConnect(s); err == nil {
			t.Errorf("ParseConnect takes %q", s)
		}
		if _, err := ParsePurge(s); err == nil {
			t.Errorf("ParsePurge takes %q", s)
		}
	}
}
