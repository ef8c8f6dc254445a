package config

import (
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"fmt"
	"hash"
	"reflect"

	"github.com/vcomd/vcomd/internal/port"
)

// fingerprint is LoadedPort's.
func fingerprint(c port.Config, t Transport, files *cache) string {
	// What these are made of counts instead: they can neither be printed nor compared.
	c.Dialer.TLS.Roots, c.Dialer.TLS.Certificate = nil, nil
	h := sha256.New()
	write(h, "", reflect.ValueOf(c))
	for _, file := range [][2]string{{"--tls-ca", t.TLSCA}, {"--tls-cert", t.TLSCert}, {"--tls-key", t.TLSKey}} {
		if file[1] != "" {
			_, _ = fmt.Fprintf(h, "%s %x\n", file[0], files.sum(file[0], file[1]))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// write writes all fields of a value that are not zero, by their names: so a field
// that a later version adds changes nothing as long as nobody uses it.
func write(h hash.Hash, name string, v reflect.Value) {
	if v.IsZero() {
		return
	}
	if text, ok := reflect.TypeAssert[encoding.TextMarshaler](v); ok {
		b, err := text.MarshalText()
		_, _ = fmt.Fprintf(h, "%s %q %v\n", name, b, err)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			write(h, name+"."+v.Type().Field(i).Name, v.Field(i))
		}
	case reflect.Pointer:
		write(h, name, v.Elem())
	case reflect.Slice, reflect.Array:
		_, _ = fmt.Fprintf(h, "%s %d\n", name, v.Len())
		for i := range v.Len() {
			write(h, fmt.Sprintf("%s[%d]", name, i), v.Index(i))
		}
	case reflect.String:
		_, _ = fmt.Fprintf(h, "%s %q\n", name, v.String())
	case reflect.Func: // what the daemon adds
	default:
		_, _ = fmt.Fprintf(h, "%s %v\n", name, v)
	}
}
