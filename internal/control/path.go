package control

import "path/filepath"

// suffix is that of a control socket's file name.
const suffix = ".sock"

// SocketName is the file name of the control socket of a vcomd's name.
func SocketName(name string) string { return name + suffix }

// SocketPath is where the vcomd of a name listens.
func SocketPath(runDir, name string) string { return filepath.Join(runDir, SocketName(name)) }
