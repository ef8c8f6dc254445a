// Command vcomd gives unmodified programs a serial port whose UART is at a
// remote access server (RFC 2217).
package main

func main() {}
