// Package probe asks an access server what it is and how well it speaks RFC 2217.
//
// Run makes one connection, asks, and ends it. What it finds is a Report, for people
// (WriteText) and for programs (JSON). It is meant for a server that nobody uses at the
// moment, and careful with what is behind it:
//
//   - Nothing is set: only questions are sent, and no serial data. With Options.Set the
//     settings that the server has reported are set once more, as they are.
//   - The signature is asked for last: there is a server that dies of the question.
//   - It ends in time, whatever the server does (Options.Timeout).
//
// A connection alone is not nothing: most servers open their device for it, and that
// raises DTR and RTS.
//
// # Parts
//
//	talk ── rfc2217client.Session   options, questions asked again, waiting
//	  │
//	  └──── witness                 the same bytes, for what a client politely overlooks:
//	                                codes, lengths, the order of options
//
// talk is a small loop of its own around a Session; the questions are in questions.go, and
// what becomes of the answers in checks.go. All text of the server's is escaped
// (comport.Printable) before it gets into a Report.
package probe
