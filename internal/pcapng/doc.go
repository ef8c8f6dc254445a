// Package pcapng writes bytes that two ends have exchanged as a file that Wireshark
// opens: packets of a TCP connection, which never were on a network as they stand there.
//
// A [Writer] writes the file's blocks (draft-ietf-opsawg-pcapng). A [Conversation] makes
// Ethernet frames (IEEE 802.3) of what each end has written: IPv4 (RFC 791) and TCP
// (RFC 9293) with right lengths, numbers and checksums, so that a reader puts the bytes
// together again and nothing looks lost but what is.
//
//	w, err := pcapng.NewWriter(file, "vcomd 1.0", "ttyGPS")
//	c := pcapng.NewConversation(w, client, server)
//	err = c.Open(now)
//	err = c.Write(now, pcapng.FromClient, []byte("\xff\xfb\x2c"))
//	err = c.Close(now)
//
// Nothing is buffered: what was written before is a complete file at any time.
package pcapng
