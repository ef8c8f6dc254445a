package ioctl

import "slices"

// Request numbers (include/uapi/asm-generic/ioctls.h), which are the same on every [Arch].
const (
	reqTCGETS        = 0x5401
	reqTCSETS        = 0x5402
	reqTCSETSW       = 0x5403
	reqTCSETSF       = 0x5404
	reqTCGETA        = 0x5405
	reqTCSETA        = 0x5406
	reqTCSETAW       = 0x5407
	reqTCSETAF       = 0x5408
	reqTCSBRK        = 0x5409
	reqTCXONC        = 0x540A
	reqTCFLSH        = 0x540B
	reqTIOCEXCL      = 0x540C
	reqTIOCNXCL      = 0x540D
	reqTIOCOUTQ      = 0x5411
	reqTIOCMGET      = 0x5415
	reqTIOCMBIS      = 0x5416
	reqTIOCMBIC      = 0x5417
	reqTIOCMSET      = 0x5418
	reqTIOCGSOFTCAR  = 0x5419
	reqTIOCSSOFTCAR  = 0x541A
	reqTIOCGSERIAL   = 0x541E
	reqTIOCSSERIAL   = 0x541F
	reqTCSBRKP       = 0x5425
	reqTIOCSBRK      = 0x5427
	reqTIOCCBRK      = 0x5428
	reqTIOCSERGETLSR = 0x5459
	reqTIOCMIWAIT    = 0x545C
	reqTIOCGICOUNT   = 0x545D
	reqTCGETS2       = 0x802C542A // _IOR('T', 0x2A, struct termios2)
	reqTCSETS2       = 0x402C542B
	reqTCSETSW2      = 0x402C542C
	reqTCSETSF2      = 0x402C542D
	reqTIOCGEXCL     = 0x80045440 // _IOR('T', 0x40, int)
)

// traits are what is known of a request before it is done.
type traits struct {
	request  uint32
	reads    bool // is answered from State alone
	blocks   bool // may last as long as the line, or somebody else, likes
	restarts bool // a signal restarts it, instead of EINTR
}

// requests has every request that is answered here, in ascending order.
var requests = [...]traits{
	{request: reqTCGETS, reads: true},
	{request: reqTCSETS},
	{request: reqTCSETSW, blocks: true, restarts: true},
	{request: reqTCSETSF, blocks: true, restarts: true},
	{request: reqTCGETA, reads: true},
	{request: reqTCSETA},
	{request: reqTCSETAW, blocks: true, restarts: true},
	{request: reqTCSETAF, blocks: true, restarts: true},
	{request: reqTCSBRK, blocks: true},
	{request: reqTCXONC},
	{request: reqTCFLSH},
	{request: reqTIOCEXCL},
	{request: reqTIOCNXCL},
	{request: reqTIOCOUTQ, reads: true},
	{request: reqTIOCMGET, reads: true},
	{request: reqTIOCMBIS},
	{request: reqTIOCMBIC},
	{request: reqTIOCMSET},
	{request: reqTIOCGSOFTCAR, reads: true},
	{request: reqTIOCSSOFTCAR},
	{request: reqTIOCGSERIAL, reads: true},
	{request: reqTIOCSSERIAL},
	{request: reqTCSBRKP, blocks: true},
	{request: reqTIOCSBRK, blocks: true},
	{request: reqTIOCCBRK},
	{request: reqTIOCSERGETLSR, reads: true},
	{request: reqTIOCMIWAIT, blocks: true, restarts: true},
	{request: reqTIOCGICOUNT, reads: true},
	{request: reqTCSETS2},
	{request: reqTCSETSW2, blocks: true, restarts: true},
	{request: reqTCSETSF2, blocks: true, restarts: true},
	{request: reqTIOCGEXCL, reads: true},
	{request: reqTCGETS2, reads: true},
}

func lookup(request uint32) (traits, bool) {
	i, ok := slices.BinarySearchFunc(requests[:], request, func(t traits, r uint32) int {
		switch {
		case t.request < r:
			return -1
		case t.request > r:
			return 1
		default:
			return 0
		}
	})
	if !ok {
		return traits{}, false
	}
	return requests[i], true
}

// Known reports whether a request is answered here. Any other is to be left to the kernel.
func Known(request uint32) bool {
	_, ok := lookup(request)
	return ok
}

// Requests returns the numbers of all requests that are answered here, in ascending order.
func Requests() []uint32 {
	all := make([]uint32, 0, len(requests))
	for _, t := range requests {
		all = append(all, t.request)
	}
	return all
}

// Reads reports whether a request is answered from [UART.State] alone, and so at once.
func Reads(request uint32) bool {
	t, _ := lookup(request)
	return t.reads
}

// Blocks reports whether a request may last long, because it waits for output to be sent, for a break to end, or for a modem
// line to change: who serves several programs gives it a goroutine of its own. Other requests wait for nothing but the UART's
// answer.
func Blocks(request uint32) bool {
	t, _ := lookup(request)
	return t.blocks
}

// Restarts reports what a signal that interrupts a blocking request does on a real driver: true for ERESTARTSYS, with which
// the kernel restarts the call if the signal's handler was installed with SA_RESTART, false for EINTR in any case.
func Restarts(request uint32) bool {
	t, _ := lookup(request)
	return t.restarts
}
