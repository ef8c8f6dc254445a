package kernel

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
)

// ErrModule means a file that is no kernel module.
var ErrModule = errors.New("not a kernel module")

// Depends reads which modules a module needs to have been loaded before it: its .modinfo section has "depends=a,b".
func Depends(module io.ReaderAt) ([]string, error) {
	f, err := elf.NewFile(module)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModule, err)
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("%w: no section .modinfo", ErrModule)
	}
	info, err := section.Data()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrModule, err)
	}
	for field := range bytes.SplitSeq(info, []byte{0}) {
		names, ok := strings.CutPrefix(string(field), "depends=")
		if !ok || names == "" {
			continue
		}
		needs := strings.Split(names, ",")
		for i := range needs {
			needs[i] = moduleName(needs[i])
		}
		return needs, nil
	}
	return nil, nil
}

// moduleName is a module's name as the kernel has it: file names and modprobe write - and _ alike.
func moduleName(file string) string {
	return strings.ReplaceAll(strings.TrimSuffix(file, ".ko"), "-", "_")
}

// Order lists wanted and all that they need, each after what it needs. It goes by needs, which has an entry for every module.
func Order(needs map[string][]string, wanted ...string) ([]string, error) {
	var order []string
	open := make(map[string]bool) // true while what it needs is being listed
	var visit func(name string) error
	visit = func(name string) error {
		if under, seen := open[name]; seen {
			if under {
				return fmt.Errorf("%w: %s needs itself", ErrModule, name)
			}
			return nil
		}
		first, ok := needs[name]
		if !ok {
			return fmt.Errorf("%w: there is no %s", ErrModule, name)
		}
		open[name] = true
		for _, n := range first {
			if err := visit(n); err != nil {
				return fmt.Errorf("for %s: %w", name, err)
			}
		}
		open[name] = false
		order = append(order, name)
		return nil
	}
	for _, name := range wanted {
		if err := visit(moduleName(name)); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// FormatDependencies writes who needs whom as depmod does: lines "a.ko: b.ko c.ko", here sorted.
func FormatDependencies(needs map[string][]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(needs)) {
		fmt.Fprintf(&b, "%s.ko:", name)
		for _, n := range needs[name] {
			fmt.Fprintf(&b, " %s.ko", n)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// ParseDependencies reads what FormatDependencies or depmod has written; of paths only the names count.
func ParseDependencies(text string) (map[string][]string, error) {
	needs := make(map[string][]string)
	for line := range strings.Lines(text) {
		file, rest, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok || file == "" {
			return nil, fmt.Errorf("%w: the line %q of the dependencies", ErrModule, line)
		}
		first := []string{}
		for f := range strings.FieldsSeq(rest) {
			first = append(first, moduleName(path.Base(f)))
		}
		needs[moduleName(path.Base(file))] = first
	}
	return needs, nil
}
