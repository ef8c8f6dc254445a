// Package rig runs vcomd inside the virtual machine, for the suites.
package rig
