package comport

import "fmt"

// Control is the value of SET-CONTROL (RFC 2217, section 3): one request of
// one of five groups, which are independent of each other.
type Control uint8

// The values of SET-CONTROL. "Outbound" is data from the access server to the
// device on the line. 1, 2, 3, 17 and 19 set both directions until an inbound
// value follows, so inbound flow control is set after outbound.
const (
	ControlQueryFlow       Control = 0  // asks for the outbound flow control
	ControlFlowNone        Control = 1  // no flow control, outbound or both
	ControlFlowXonXoff     Control = 2  // XON/XOFF, outbound or both
	ControlFlowHardware    Control = 3  // RTS/CTS, outbound or both
	ControlQueryBreak      Control = 4  // asks for the break state
	ControlBreakOn         Control = 5  // the line goes to space
	ControlBreakOff        Control = 6  // the line goes back to mark
	ControlQueryDTR        Control = 7  // asks for DTR
	ControlDTROn           Control = 8  // DTR asserted
	ControlDTROff          Control = 9  // DTR dropped
	ControlQueryRTS        Control = 10 // asks for RTS
	ControlRTSOn           Control = 11 // RTS asserted
	ControlRTSOff          Control = 12 // RTS dropped
	ControlQueryInbound    Control = 13 // asks for the inbound flow control
	ControlInboundNone     Control = 14 // no inbound flow control
	ControlInboundXonXoff  Control = 15 // inbound XON/XOFF
	ControlInboundHardware Control = 16 // inbound RTS/CTS
	ControlFlowDCD         Control = 17 // DCD stops output, outbound or both
	ControlInboundDTR      Control = 18 // DTR stops input
	ControlFlowDSR         Control = 19 // DSR stops output, outbound or both
)

// ControlGroup is the thing that a Control sets or asks for.
type ControlGroup uint8

// The groups of SET-CONTROL values.
const (
	GroupUnknown ControlGroup = iota // not in RFC 2217
	GroupFlow                        // outbound flow control: 0 to 3, 17, 19
	GroupBreak                       // break: 4 to 6
	GroupDTR                         // DTR: 7 to 9
	GroupRTS                         // RTS: 10 to 12
	GroupInbound                     // inbound flow control: 13 to 16, 18
)

// String gives the group's name as it stands in a Control's text.
func (g ControlGroup) String() string {
	switch g {
	case GroupUnknown:
		return "unknown"
	case GroupFlow:
		return "flow"
	case GroupBreak:
		return "break"
	case GroupDTR:
		return "DTR"
	case GroupRTS:
		return "RTS"
	case GroupInbound:
		return "inbound"
	default:
		return fmt.Sprintf("ControlGroup(%d)", uint8(g))
	}
}

type controlInfo struct {
	group ControlGroup
	value string // "?" marks the query
}

var controls = [...]controlInfo{
	ControlQueryFlow:       {GroupFlow, "?"},
	ControlFlowNone:        {GroupFlow, "none"},
	ControlFlowXonXoff:     {GroupFlow, "xonxoff"},
	ControlFlowHardware:    {GroupFlow, "hardware"},
	ControlQueryBreak:      {GroupBreak, "?"},
	ControlBreakOn:         {GroupBreak, "on"},
	ControlBreakOff:        {GroupBreak, "off"},
	ControlQueryDTR:        {GroupDTR, "?"},
	ControlDTROn:           {GroupDTR, "on"},
	ControlDTROff:          {GroupDTR, "off"},
	ControlQueryRTS:        {GroupRTS, "?"},
	ControlRTSOn:           {GroupRTS, "on"},
	ControlRTSOff:          {GroupRTS, "off"},
	ControlQueryInbound:    {GroupInbound, "?"},
	ControlInboundNone:     {GroupInbound, "none"},
	ControlInboundXonXoff:  {GroupInbound, "xonxoff"},
	ControlInboundHardware: {GroupInbound, "hardware"},
	ControlFlowDCD:         {GroupFlow, "DCD"},
	ControlInboundDTR:      {GroupInbound, "DTR"},
	ControlFlowDSR:         {GroupFlow, "DSR"},
}

// Group tells what c is about; GroupUnknown for values above 19.
func (c Control) Group() ControlGroup {
	if int(c) >= len(controls) {
		return GroupUnknown
	}
	return controls[c].group
}

// IsQuery reports whether c asks for a value instead of setting one.
func (c Control) IsQuery() bool {
	return int(c) < len(controls) && controls[c].value == "?"
}

// String gives "DTR=on", "flow=hardware", "RTS=?", or the number.
func (c Control) String() string {
	if int(c) >= len(controls) {
		return fmt.Sprintf("Control(%d)", uint8(c))
	}
	return controls[c].group.String() + "=" + controls[c].value
}

// DTR gives the Control that asserts or drops DTR.
func DTR(on bool) Control {
	if on {
		return ControlDTROn
	}
	return ControlDTROff
}

// RTS gives the Control that asserts or drops RTS.
func RTS(on bool) Control {
	if on {
		return ControlRTSOn
	}
	return ControlRTSOff
}

// Break gives the Control that starts or ends a break.
func Break(on bool) Control {
	if on {
		return ControlBreakOn
	}
	return ControlBreakOff
}
