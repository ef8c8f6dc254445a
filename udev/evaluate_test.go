package udev

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// token is one match or assignment of a rule: KEY{attribute}op"value".
type token struct{ key, attribute, op, value string }

var tokenForm = regexp.MustCompile(`^([A-Z]+)(?:\{([A-Za-z_.]+)\})?(==|!=|\+=|=)"([^"]*)"`)

// parse reads rules as udev(7) describes them, and is strict.
func parse(t *testing.T, text string) [][]token {
	t.Helper()
	var rules [][]token
	for line := range strings.SplitSeq(strings.ReplaceAll(text, "\\\n", " "), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		var rule []token
		for {
			m := tokenForm.FindStringSubmatch(line)
			if m == nil {
				t.Fatalf("not understood: %s", line)
			}
			rule = append(rule, token{m[1], m[2], m[3], m[4]})
			rest := strings.TrimLeft(line[len(m[0]):], " ")
			if rest == "" {
				break
			}
			var ok bool
			if line, ok = strings.CutPrefix(rest, ","); !ok {
				t.Fatalf("no comma: %s", rest)
			}
			line = strings.TrimLeft(line, " ")
		}
		rules = append(rules, rule)
	}
	return rules
}

// device is what udev knows of one; parents are those above it, nearest first.
type device struct {
	action, subsystem, devpath string
	env                        map[string]string
	attributes                 map[string]string
	parents                    []map[string]string
}

// result is what the rules have made of it.
type result struct {
	owner, group, mode string
	symlinks, tags     []string
	run                []string
	env                map[string]string
}

// glob is fnmatch(3) without flags, and with udev's alternatives.
func glob(pattern, s string) bool {
	for alternative := range strings.SplitSeq(pattern, "|") {
		var b strings.Builder
		b.WriteString(`\A(?s:`)
		for i := 0; i < len(alternative); i++ {
			switch c := alternative[i]; c {
			case '*':
				b.WriteString(".*")
			case '?':
				b.WriteByte('.')
			case '[':
				end := i + strings.IndexByte(alternative[i:], ']')
				class := alternative[i+1 : end]
				class = regexp.MustCompile(`^!`).ReplaceAllString(class, "^")
				fmt.Fprintf(&b, "[%s]", class)
				i = end
			default:
				b.WriteString(regexp.QuoteMeta(string(c)))
			}
		}
		b.WriteString(`)\z`)
		if regexp.MustCompile(b.String()).MatchString(s) {
			return true
		}
	}
	return false
}

// evaluate runs rules on a device. All ATTRS of a rule have to match one and the
// same device, itself or above; an attribute that is not there matches nothing.
func evaluate(t *testing.T, rules [][]token, d device) result {
	t.Helper()
	r := result{env: map[string]string{}}
	for i := 0; i < len(rules); i++ {
		found, ok := matches(t, rules[i], d)
		if !ok {
			continue
		}
		for _, k := range rules[i] {
			value := strings.ReplaceAll(k.value, "$attr{serial}", found["serial"])
			switch {
			case k.op == "==" || k.op == "!=" || k.key == "LABEL":
			case k.key == "GOTO":
				for i++; i < len(rules) && (rules[i][0].key != "LABEL" || rules[i][0].value != k.value); i++ {
				}
				if i == len(rules) {
					t.Fatalf("no label %s after its GOTO", k.value)
				}
			case k.key == "OWNER":
				r.owner = value
			case k.key == "GROUP":
				r.group = value
			case k.key == "MODE":
				r.mode = value
			case k.key == "TAG" && k.op == "+=":
				r.tags = append(r.tags, value)
			case k.key == "RUN" && k.op == "+=":
				r.run = append(r.run, value)
			case k.key == "SYMLINK" && k.op == "+=":
				r.symlinks = append(r.symlinks, value)
			case k.key == "ENV" && k.op == "=":
				r.env[k.attribute] = value
			case k.key == "ENV" && k.op == "+=":
				r.env[k.attribute] = strings.TrimSpace(r.env[k.attribute] + " " + value)
			default:
				t.Fatalf("not understood: %+v", k)
			}
		}
	}
	return r
}

func matches(t *testing.T, rule []token, d device) (parent map[string]string, ok bool) {
	t.Helper()
	var above []token
	for _, k := range rule {
		var value string
		switch {
		case k.op != "==" && k.op != "!=":
			continue
		case k.key == "ATTRS":
			above = append(above, k)
			continue
		case k.key == "ACTION":
			value = d.action
		case k.key == "SUBSYSTEM":
			value = d.subsystem
		case k.key == "DEVPATH":
			value = d.devpath
		case k.key == "KERNEL":
			value = d.devpath[strings.LastIndexByte(d.devpath, '/')+1:]
		case k.key == "ATTR":
			value = d.attributes[k.attribute]
		case k.key == "ENV":
			value = d.env[k.attribute]
		default:
			t.Fatalf("not understood: %+v", k)
		}
		if glob(k.value, value) != (k.op == "==") {
			return nil, false
		}
	}
	if len(above) == 0 {
		return nil, true
	}
	for _, p := range append([]map[string]string{d.attributes}, d.parents...) {
		all := true
		for _, k := range above {
			value, has := p[k.attribute]
			all = all && has && glob(k.value, value) == (k.op == "==")
		}
		if all {
			return p, true
		}
	}
	return nil, false
}
