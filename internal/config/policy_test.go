package config

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

func TestPolicy(t *testing.T) {
	_, err := Port{Remote: "host", Policy: Policy{
		Retries: "2", DeadAfter: "6s", Probe: "1m", Drain: "0", RequireRFC2217: true, OnLoss: "hangup", StaleAfter: "0",
		WhileDown: "discard", DCD: "hangup", Lines: "raise", DTR: "on", RTS: "off", DropBanner: true, PurgeOnOpen: true,
		Pace: true, Suspend: true, CRNUL: "off", ModemMask: "0xb0",
	}}.Validate()
	if err == nil || !strings.Contains(err.Error(), "--stale-after") || !strings.Contains(err.Error(), "--while-down") {
		t.Errorf("both --stale-after and --while-down discard: %v", err)
	}
	c, err := Port{Remote: "host", Policy: Policy{
		Retries: "2", DeadAfter: "6s", Probe: "1m", Drain: "0", RequireRFC2217: true, OnLoss: "hangup",
		WhileDown: "discard", DCD: "hangup", Lines: "raise", DTR: "on", RTS: "off", DropBanner: true, PurgeOnOpen: true,
		Pace: true, Suspend: true, CRNUL: "off", ModemMask: "0xb0",
	}}.Validate()
	if err != nil {
		t.Fatal(err)
	}
	want := port.Policy{
		Tries: 3, DeadAfter: 6 * time.Second, Probe: time.Minute, RequireRFC2217: true,
		OnLoss: port.OnLossHangup, StaleAfter: 10 * time.Second, Discard: true, DCDHangup: true,
		Lines: port.LinesRaise, DTR: comport.ControlDTROn, RTS: comport.ControlRTSOff,
		DropBanner: true, PurgeOnOpen: true, Pace: true, Suspend: true, PlainCR: true, ModemMask: 0xb0, SetModemMask: true,
	}
	if !reflect.DeepEqual(c.Policy, want) {
		t.Errorf("got  %+v\nwant %+v", c.Policy, want)
	}
}

// TestPolicyContradictions: a flag that the remote has no use for is an error that
// names both.
func TestPolicyContradictions(t *testing.T) {
	for flag, p := range map[string]Policy{
		"--require-rfc2217": {RequireRFC2217: true},
		"--purge-on-open":   {PurgeOnOpen: true},
		"--suspend":         {Suspend: true},
		"--modem-mask":      {ModemMask: "255"},
		"--probe":           {Probe: "10s"},
		"--dcd":             {DCD: "hangup"},
		"--lines":           {Lines: "raise"},
		"--dtr":             {DTR: "on"},
		"--rts":             {RTS: "off"},
		"--drop-banner":     {DropBanner: true},
		"--cr-nul":          {CRNUL: "off"},
	} {
		remotes := []string{"tcp://host:1"}
		if flag != "--drop-banner" && flag != "--cr-nul" {
			remotes = append(remotes, "telnet://host:23")
		}
		for _, remote := range remotes {
			_, err := Port{Remote: remote, Policy: p}.Validate()
			if err == nil || !strings.Contains(err.Error(), flag) || !strings.Contains(err.Error(), remote) {
				t.Errorf("%s with %s: %v", flag, remote, err)
			}
		}
		if _, err := (Port{Remote: "host", Policy: p}).Validate(); err != nil {
			t.Errorf("%s: %v", flag, err)
		}
	}
}
