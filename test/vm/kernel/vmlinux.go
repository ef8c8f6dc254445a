package kernel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrImage means a file that is not the boot image of an x86 kernel.
var ErrImage = errors.New("not a boot image of Linux")

// Offsets in a boot image, of Documentation/x86/boot.rst.
const (
	setupSectorsAt  = 0x1f1 // length of the part in front of the protected-mode code, in sectors of 512 bytes, one not counted
	signatureAt     = 0x202
	payloadOffsetAt = 0x248 // from the start of the protected-mode code
	payloadLengthAt = 0x24c
	headerEnd       = 0x250
)

// payload is the compressed kernel inside a boot image.
func payload(image []byte) ([]byte, error) {
	if len(image) < headerEnd || !bytes.Equal(image[signatureAt:signatureAt+4], []byte("HdrS")) {
		return nil, fmt.Errorf("%w: no header", ErrImage)
	}
	sectors := int(image[setupSectorsAt])
	if sectors == 0 {
		sectors = 4 // so the document says
	}
	begin := (sectors+1)*512 + int(binary.LittleEndian.Uint32(image[payloadOffsetAt:]))
	length := int(binary.LittleEndian.Uint32(image[payloadLengthAt:]))
	if begin > len(image) || length > len(image)-begin {
		return nil, fmt.Errorf("%w: the compressed kernel is not within it", ErrImage)
	}
	return image[begin : begin+length], nil
}

// isXZ reports whether data begins as the XZ format does.
func isXZ(data []byte) bool { return bytes.HasPrefix(data, []byte{0xfd, '7', 'z', 'X', 'Z', 0}) }
