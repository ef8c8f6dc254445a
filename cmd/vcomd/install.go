package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"

	"github.com/urfave/cli/v2"

	"github.com/vcomd/vcomd/internal/config"
	"github.com/vcomd/vcomd/packaging"
	"github.com/vcomd/vcomd/udev"
)

// defaultPrefix is where administrators install what is no package.
const defaultPrefix = "/usr/local"

const prefixHint = "write an absolute path of letters, digits, dots, underscores and dashes, as in /opt/vcomd"

// installFlags are the flags of vcomd install.
type installFlags struct{ root, prefix string }

// installCommand is vcomd install: what belongs to a binary that came alone.
func installCommand() *cli.Command {
	var s installFlags
	return &cli.Command{
		Name:      "install",
		Usage:     "install this program, with units, rules, manual pages, completions and an example configuration",
		ArgsUsage: " ",
		Description: "For a binary that came without a package. What somebody has edited since is left as it is, and said.\n\n" +
			"   vcomd install --dry-run\n" +
			"   vcomd install && systemctl enable --now vcomd",
		OnUsageError: onUsageError,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "only say what would be done"},
			&cli.BoolFlag{Name: "uninstall", Usage: "remove what was installed, but for what was edited"},
			text(&s.prefix, "prefix", defaultPrefix, "`DIRECTORY` to install in, and of the program in the units"),
			text(&s.root, "root", "none", "`DIRECTORY` that stands for / while installing, for an image of a system"),
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return &usageError{fmt.Sprintf("install: unexpected argument %q; it takes none", c.Args().First())}
			}
			return s.install(c)
		},
	}
}

func (s *installFlags) install(c *cli.Context) error {
	l := packaging.Layout{Root: s.root, Prefix: cmp.Or(s.prefix, defaultPrefix), Config: "/etc"}
	act := func() ([]packaging.Change, error) { return packaging.Uninstall(l, c.Bool("dry-run")) }
	if !c.Bool("uninstall") {
		files, err := everyFile(l)
		if errors.Is(err, packaging.ErrPath) {
			return &config.Error{Setting: "--prefix", Value: l.Prefix, Found: "it cannot stand in a unit", Hint: prefixHint, Err: err}
		}
		if err != nil {
			return fmt.Errorf("install: %w", err)
		}
		act = func() ([]packaging.Change, error) { return packaging.Install(l, files, c.Bool("dry-run")) }
	}
	changes, err := act()
	changed := false
	for _, change := range changes {
		changed = changed || change.Outcome != packaging.Unchanged && change.Outcome != packaging.Left
		outcome := change.Outcome.String()
		if c.Bool("dry-run") && change.Outcome != packaging.Unchanged && change.Outcome != packaging.Left {
			outcome = "would be " + outcome + ":"
		}
		if _, werr := fmt.Fprintf(c.App.Writer, "%s %s\n", outcome, change.Path); werr != nil {
			return werr
		}
	}
	if errors.Is(err, packaging.ErrPath) {
		return &config.Error{Setting: "--prefix", Value: l.Prefix, Found: "nothing can be installed there", Hint: prefixHint, Err: err}
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("install: %w; run it as root", err)
	}
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	if changed && !c.Bool("dry-run") && l.Root == "" {
		tellManagers(c)
	}
	return nil
}

// everyFile is what is installed.
func everyFile(l packaging.Layout) ([]packaging.File, error) {
	files, err := l.Files()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	program, err := os.ReadFile(self)
	if err != nil {
		return nil, err
	}
	rules, err := udev.Rules(udev.Options{Owner: "root"})
	if err != nil {
		return nil, err
	}
	app := newApp(io.Discard, io.Discard)
	share := path.Join(l.Prefix, "share")
	return append(files,
		packaging.File{Path: l.Program(), Mode: 0o755, Text: program, Program: true},
		packaging.File{Path: path.Join(udev.Dir, udev.FileName), Mode: 0o644, Text: []byte(rules)},
		packaging.File{Path: share + "/man/man1/vcomd.1", Mode: 0o644, Text: []byte(commandPage(app))},
		packaging.File{Path: share + "/man/man5/vcomd.toml.5", Mode: 0o644, Text: []byte(filePage(app))},
		packaging.File{Path: share + "/bash-completion/completions/vcomd", Mode: 0o644, Text: []byte(bashCompletion)},
		packaging.File{Path: share + "/zsh/site-functions/_vcomd", Mode: 0o644, Text: []byte(zshCompletion)},
		packaging.File{Path: share + "/fish/vendor_completions.d/vcomd.fish", Mode: 0o644, Text: []byte(fishCompletion)},
	), nil
}

// tellManagers has systemd and udev read what has changed, if they run here.
func tellManagers(c *cli.Context) {
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		if out, err := exec.CommandContext(c.Context, "systemctl", "daemon-reload").CombinedOutput(); err != nil {
			_, _ = fmt.Fprintf(c.App.ErrWriter, "vcomd: systemctl daemon-reload: %v: %s\n", err, out)
		}
	}
	if told, err := reload(c.Context, udev.Dir); err != nil {
		_, _ = fmt.Fprintf(c.App.ErrWriter, "vcomd: udev has not read its rules: %v; %s\n", err, told)
	}
}
