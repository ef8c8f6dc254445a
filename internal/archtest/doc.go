// Package archtest holds the test of the import rules: which package may know
// which. They keep the codec usable without a network, the client without a tty,
// and the data path without a logger.
package archtest
