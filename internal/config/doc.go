// Package config turns what a user wrote, on the command line, in the environment
// or in a configuration file, into validated values, or into an error that says
// which setting is wrong, what was found there, and what to write instead.
//
// Port.Validate reads the settings of one port, each a text as its flag has it. It
// stops at the first *Error, whose Setting is a flag.
//
// Load reads a configuration file and those that it includes. Keys are the flags
// by the same names: a table of keys says how each is written, and drives the
// reading, the suggestions for misspelt ones, and Loaded.WriteTOML; tests compare it
// with the flags and the documentation. A port's values are put over those of
// [defaults], and the result is one Port, validated as if it were from a command
// line. Its errors are then put where the value was written, in the words of a file.
// So that all is told at once, in one *LoadError, a value that is wrong is left out
// and the port tried again, and a text that is no TOML is passed over up to the next
// table.
package config
