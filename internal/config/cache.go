package config

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
)

// cache remembers what many ports look up: files of certificates, users and
// groups. A thousand ports with one --tls-ca read it once, and share what it says.
type cache struct {
	files  memory[string, []byte]
	roots  memory[string, *x509.CertPool]
	pairs  memory[[2]string, *tls.Certificate]
	users  memory[string, int]
	groups memory[string, int]
}

// memory is the results of a function.
type memory[K comparable, V any] map[K]result[V]

type result[V any] struct {
	value V
	err   error
}

// get returns what find returns, which it calls once for a key.
func (m *memory[K, V]) get(key K, find func() (V, error)) (V, error) {
	if r, ok := (*m)[key]; ok {
		return r.value, r.err
	}
	v, err := find()
	if *m == nil {
		*m = make(memory[K, V])
	}
	(*m)[key] = result[V]{v, err}
	return v, err
}

func (c *cache) user(name string) (int, error) {
	return c.users.get(name, func() (int, error) { return lookupUser(name) })
}

func (c *cache) group(name string) (int, error) {
	return c.groups.get(name, func() (int, error) { return lookupGroup(name) })
}

// pem reads a file that a setting names.
func (c *cache) pem(setting, path string) ([]byte, error) {
	return c.files.get(setting+" "+path, func() ([]byte, error) { return readPEM(setting, path) })
}

// sum is the SHA-256 of a file that pem has read; of nothing, if it has not.
func (c *cache) sum(setting, path string) [sha256.Size]byte {
	return sha256.Sum256(c.files[setting+" "+path].value)
}
