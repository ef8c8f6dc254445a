package notify

import "golang.org/x/sys/unix"

// statPath is stat(2) of a path that ends with a NUL.
func statPath(path []byte, st *unix.Stat_t) bool {
	return unix.Stat(string(path[:len(path)-1]), st) == nil
}
