package wire

import (
	"bytes"
	"reflect"
	"testing"
)

type record struct {
	data, reply []byte
	rates       []uint32
}

func (r *record) Data(p []byte)        { r.data = append(r.data, p...) }
func (r *record) Reply(p []byte)       { r.reply = append(r.reply, p...) }
func (r *record) BaudRate(rate uint32) { r.rates = append(r.rates, rate) }

func TestDecoderAtEverySplit(t *testing.T) {
	for _, tt := range []struct {
		name            string
		in, data, reply string
		rates           []uint32
	}{
		{"data", "abc\xff\xffd\xff\xff\xff\xff", "abc\xffd\xff\xff", "", nil},
		{"agreed options", "\xff\xfb\x2c\xff\xfd\x00\xff\xfb\x03x", "x", "", nil},
		{"other options", "\xff\xfb\x18\xff\xfd\x01\xff\xfc\x00", "", "\xff\xfe\x18\xff\xfc\x01", nil},
		{"NOP", "a\xff\xf1b", "ab", "", nil},
		{"SET-BAUDRATE 9600", "\xff\xfa\x2c\x01\x00\x00\x25\x80\xff\xf0", "", "\xff\xfa\x2c\x65\x00\x00\x25\x80\xff\xf0", []uint32{9600}},
		{
			"SET-BAUDRATE 65280, doubled", "\xff\xfa\x2c\x01\x00\x00\xff\xff\x00\xff\xf0", "",
			"\xff\xfa\x2c\x65\x00\x00\xff\xff\x00\xff\xf0",
			[]uint32{65280},
		},
		{"speed query", "\xff\xfa\x2c\x01\x00\x00\x00\x00\xff\xf0", "", "\xff\xfa\x2c\x65\x00\x00\x25\x80\xff\xf0", nil},
		{"size query and set", "\xff\xfa\x2c\x02\x00\xff\xf0\xff\xfa\x2c\x02\x07\xff\xf0", "", "\xff\xfa\x2c\x66\x08\xff\xf0\xff\xfa\x2c\x66\x07\xff\xf0", nil},
		{"DTR off, mask 255", "\xff\xfa\x2c\x05\x09\xff\xf0\xff\xfa\x2c\x0b\xff\xff\xff\xf0", "", "\xff\xfa\x2c\x69\x09\xff\xf0\xff\xfa\x2c\x6f\xff\xff\xff\xf0", nil},
		{"signature query", "\xff\xfa\x2c\x00\xff\xf0", "", "\xff\xfa\x2c\x64vcomd bench\xff\xf0", nil},
		{"another option's", "\xff\xfa\x18\x00\xff\xf0z", "z", "", nil},
	} {
		for split := range len(tt.in) + 1 {
			var got record
			d := Decoder{H: &got}
			d.Feed([]byte(tt.in[:split]))
			d.Feed([]byte(tt.in[split:]))
			if string(got.data) != tt.data || string(got.reply) != tt.reply || !reflect.DeepEqual(got.rates, tt.rates) {
				t.Errorf("%s, split at %d: data %q, reply %q, rates %d", tt.name, split, got.data, got.reply, got.rates)
			}
		}
	}
}

func TestLongRunsOfFF(t *testing.T) {
	for _, n := range []int{4095, 4096, 4097, 32 << 10, 65536, 65537, 200001} {
		var got record
		d := Decoder{H: &got}
		data := bytes.Repeat([]byte{0xff}, n)
		d.Feed(append(Escape(nil, data), 'x'))
		if !bytes.Equal(got.data, append(data, 'x')) {
			t.Errorf("%d bytes: %d came out", n, len(got.data))
		}
	}
}

func TestEscape(t *testing.T) {
	if got := Escape([]byte("<"), []byte("a\xff\xffb\xff")); string(got) != "<a\xff\xff\xff\xffb\xff\xff" {
		t.Errorf("%q", got)
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add([]byte("abc\xff\xffd\xff\xfa\x2c\x01\x00\x00\x25\x80\xff\xf0"), 3)
	f.Fuzz(func(t *testing.T, in []byte, split int) {
		var whole, parts record
		d := Decoder{H: &whole}
		d.Feed(in)
		if split < 0 || split > len(in) {
			return
		}
		d = Decoder{H: &parts}
		d.Feed(in[:split])
		d.Feed(in[split:])
		if !reflect.DeepEqual(whole, parts) {
			t.Fatalf("%q whole %+v, split at %d %+v", in, whole, split, parts)
		}
	})
}
