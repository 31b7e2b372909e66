// What Prometheus' own parsers make of each file named on standard input: one line an entry, for comparison with dump.c.
//
//	kind path     kind is text or openmetrics
//
// prints "> kind path", then a line "F name type help unit" for each family of each block of comments and a line
// "S labels value-bits timestamp #exemplar" for each sample (texts in hexadecimal), or the single line "error" with its text.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/prometheus/common/model"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

var mediaTypes = map[string]string{"text": "text/plain", "openmetrics": "application/openmetrics-text"}

func bytesOf(s string) string {
	return fmt.Sprintf("%x", s)
}

// A name that occurs twice fails the scrape when the sample is appended, unless one of the values is empty.
func labelsOf(l labels.Labels) (string, bool) {
	type entry struct {
		name, value string
		empty       bool
		times       int
	}
	var entries []entry
	l.Range(func(x labels.Label) {
		if n := len(entries); n > 0 && entries[n-1].name == x.Name {
			entries[n-1].times++
			entries[n-1].empty = entries[n-1].empty || x.Value == ""
			return
		}
		entries = append(entries, entry{x.Name, x.Value, x.Value == "", 1})
	})
	var b strings.Builder
	for _, e := range entries {
		if e.times > 1 && !e.empty {
			return fmt.Sprintf("label name %q is not unique: invalid sample", e.name), false
		}
		if e.empty {
			e.value = ""
		}
		fmt.Fprintf(&b, "%s=%s,", bytesOf(e.name), bytesOf(e.value))
	}
	return b.String(), true
}

func seriesOf(p textparse.Parser, out *strings.Builder) (refused string) {
	var l labels.Labels
	_, ts, v := p.Series()
	p.Labels(&l)
	text, ok := labelsOf(l)
	if !ok {
		return text
	}
	fmt.Fprintf(out, "S %s %016x", text, math.Float64bits(v))
	if ts != nil {
		fmt.Fprintf(out, " %d", *ts)
	}
	var e exemplar.Exemplar
	if p.Exemplar(&e) {
		out.WriteString(" #")
		e.Labels.Range(func(x labels.Label) { fmt.Fprintf(out, "%s=%s,", bytesOf(x.Name), bytesOf(x.Value)) })
		fmt.Fprintf(out, " %016x", math.Float64bits(e.Value))
		if e.HasTs {
			fmt.Fprintf(out, " %d", e.Ts)
		}
	}
	out.WriteByte('\n')
	return ""
}

// What one block of comments says, adjacent lines of one family as one entry.
type families struct {
	list []family
}

type family struct {
	name, help, unit string
	kind             model.MetricType
}

func (f *families) named(name []byte) *family {
	if n := len(f.list); n == 0 || f.list[n-1].name != string(name) {
		f.list = append(f.list, family{name: string(name), kind: model.MetricTypeUnknown})
	}
	return &f.list[len(f.list)-1]
}

func (f *families) flush(out *strings.Builder) {
	for _, x := range f.list {
		fmt.Fprintf(out, "F %x %s %x %x\n", x.name, x.kind, x.help, x.unit)
	}
	f.list = f.list[:0]
}

func dump(kind string, body []byte) (result string) {
	var out strings.Builder
	var f families
	defer func() {
		if recover() != nil {
			result = "panic\n"
		}
	}()
	p, err := textparse.New(body, mediaTypes[kind], labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return "error\n"
	}
	for {
		et, err := p.Next()
		if errors.Is(err, io.EOF) {
			f.flush(&out)
			return out.String()
		}
		if err != nil {
			return fmt.Sprintf("error %x\n", err.Error())
		}
		switch et {
		case textparse.EntryType:
			name, t := p.Type()
			f.named(name).kind = t
		case textparse.EntryHelp:
			name, help := p.Help()
			f.named(name).help = string(help)
		case textparse.EntryUnit:
			name, unit := p.Unit()
			f.named(name).unit = string(unit)
		case textparse.EntrySeries:
			f.flush(&out)
			if refused := seriesOf(p, &out); refused != "" {
				return fmt.Sprintf("error %x\n", refused)
			}
		}
	}
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in.Scan() {
		kind, path, _ := strings.Cut(in.Text(), " ")
		body, err := os.ReadFile(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Fprintf(out, "> %s\n%s", in.Text(), dump(kind, body))
	}
}
