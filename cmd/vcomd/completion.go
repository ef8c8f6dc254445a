package main

import (
	"context"
	_ "embed" // the scripts
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// The scripts of the shells only ask vcomd completion words, and show what it says.
var (
	//go:embed completion/vcomd.bash
	bashCompletion string
	//go:embed completion/vcomd.zsh
	zshCompletion string
	//go:embed completion/vcomd.fish
	fishCompletion string
)

// completionName is the command's, and completionWords its argument that scripts use.
const (
	completionName  = "completion"
	completionWords = "words"
)

// filesFollow is what a shell is told when files are to be completed.
const filesFollow = ":files"

// completionPatience is how long vcomds may take to tell their ports: somebody waits for
// a key's effect.
const completionPatience = 500 * time.Millisecond

// completionCommand prints the shells' scripts, and completes for them.
func completionCommand() *cli.Command {
	return &cli.Command{
		Name:      completionName,
		Usage:     "print the completion script of a shell: bash, zsh or fish",
		ArgsUsage: "bash|zsh|fish",
		Description: "Commands, flags and the ports of running vcomds are completed.\n\n" +
			"   vcomd completion bash > /usr/share/bash-completion/completions/vcomd\n" +
			"   vcomd completion zsh > /usr/share/zsh/site-functions/_vcomd\n" +
			"   vcomd completion fish > /usr/share/fish/vendor_completions.d/vcomd.fish",
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			args := c.Args().Slice()
			if len(args) > 1 && args[0] == completionWords {
				app := newApp(io.Discard, io.Discard) // with the flags that it has without a command
				return printWords(c.App.Writer, complete(c.Context, app, args[1:]))
			}
			scripts := map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}
			if script, ok := scripts[c.Args().First()]; ok && len(args) == 1 {
				_, err := io.WriteString(c.App.Writer, script)
				return err
			}
			return &usageError{"completion: write vcomd completion bash, zsh or fish"}
		},
	}
}

// word is something that the last word may become.
type word struct{ text, about string }

func printWords(w io.Writer, words []word) error {
	for _, word := range words {
		line := word.text
		if word.about != "" {
			line += "\t" + word.about
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// complete says what the last of the words after "vcomd" may become.
func complete(ctx context.Context, app *cli.App, words []string) []word {
	before, last := words[:len(words)-1], words[len(words)-1]
	if slices.Contains(before, "--") {
		return []word{{text: filesFollow}} // a program and its arguments
	}
	flags, command := app.Flags, (*cli.Command)(nil)
	var positional []string
	for i := 0; i < len(before); i++ {
		switch a := before[i]; {
		case isFlag(a):
			if takesValue(flags, a) {
				i++
				if i == len(before) {
					return startingWith(last, []word{{text: filesFollow}})
				}
			}
		case command == nil && i == 0 && findCommand(app, a) != nil:
			command = findCommand(app, a)
			flags = command.Flags
		default:
			positional = append(positional, a)
		}
	}
	switch {
	case strings.HasPrefix(last, "-"):
		return startingWith(last, flagWords(flags))
	case command == nil && len(before) == 0:
		return startingWith(last, commandWords(app))
	case command != nil:
		return startingWith(last, argumentWords(ctx, command.Name, len(positional)))
	default:
		return nil
	}
}

// startingWith leaves those that begin with what is there. Files are the shell's.
func startingWith(start string, words []word) []word {
	return slices.DeleteFunc(words, func(w word) bool { return w.text != filesFollow && !strings.HasPrefix(w.text, start) })
}

func commandWords(app *cli.App) (words []word) {
	for _, c := range app.Commands {
		if !c.Hidden {
			words = append(words, word{c.Name, c.Usage})
		}
	}
	return words
}

func flagWords(flags []cli.Flag) (words []word) {
	for _, f := range append(slices.Clip(flags), cli.HelpFlag) {
		about := ""
		if d, ok := f.(cli.DocGenerationFlag); ok {
			about = strings.ReplaceAll(d.GetUsage(), "`", "")
		}
		words = append(words, word{"--" + f.Names()[0], about})
	}
	return words
}

// argumentWords are what a command may have as its argument of this number.
func argumentWords(ctx context.Context, command string, number int) []word {
	texts := func(texts ...string) (words []word) {
		for _, t := range texts {
			words = append(words, word{text: t})
		}
		return words
	}
	switch {
	case number == 0 && slices.Contains([]string{"status", "set", "monitor", "reconnect", "disconnect", "purge"}, command):
		return portWords(ctx)
	case number == 0 && command == completionName:
		return texts("bash", "zsh", "fish")
	case command == "set":
		return texts("dtr=on", "dtr=off", "rts=on", "rts=off", "break=250ms", "speed=", "line=")
	case number == 1 && command == "purge":
		return texts("rx", "tx", "both")
	case number == 0 && command == "sim":
		return texts("gps", "echo", "modem")
	default:
		return nil
	}
}

// portWords are the names and links of the ports of running vcomds, but for those that a
// shell would take apart.
func portWords(ctx context.Context) (words []word) {
	ctx, cancel := context.WithTimeout(ctx, completionPatience)
	defer cancel()
	found, _ := controlClient(os.Getenv("VCOMD_RUN_DIR")).All(ctx) // of the others nothing is known
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/@+"
	for _, f := range found {
		for _, name := range append([]string{f.Port.Name}, f.Port.Links...) {
			if name != "" && strings.Trim(name, plain) == "" {
				words = append(words, word{name, "port"})
			}
		}
	}
	return words
}
