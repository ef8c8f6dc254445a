package rfc2217test

func NewGPS(Clock) Device   { return NewEcho() }
func NewModem(Clock) Device { return NewEcho() }
