// Package vm runs vcomd in virtual machines that boot a stock Debian kernel.
package vm
