// Package config turns what a user wrote, on the command line or in the
// environment, into validated values, or into an error that says which setting
// is wrong, what was found there, and what to write instead.
package config
