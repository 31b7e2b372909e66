// Prints random relabelling cases with the outcome that Prometheus' own package gives, for compare.c to repeat.
//
//	rule ACTION LEGACY MODULUS REGEX SEPARATOR TARGET REPLACEMENT SOURCE...
//	base NAME VALUE...        the labels that the builder begins with
//	add NAME VALUE...         the labels set on it afterwards
//	want NAME VALUE...        the outcome, or: want drop
//	map HONOR                 beside a target's labels, as a scrape does: add is the target's, base the exposed labels
//
// Strings are hexadecimal after an x. A case ends with its want line.
package main

import (
	"bufio"
	"encoding/hex"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
)

var (
	names = []string{
		"__name__", "a", "b", "a1", "ab", "job", "instance", "exported_job", "exported_instance", "__meta_x", "__meta_y",
		"__address__", "Z", "a.b", "é",
	}
	values = []string{
		"x", "y", "foo", "bar", "foo-bar", "a", "b", "ab", "a,b", "10.0.0.1:9100", "x;y", "line\nline", "ÄÖ", "Straße",
		"$1", "0a", "a b", "job", "ÿǅΣς", "1", "",
	}
	patterns = []string{
		"(.*)", "(.*)", ".*", "", "a", "foo|bar", "foo.*", ".*bar", "f(o+)", "(a|b)(.*)", "([^:]+):(\\d+)", "(.+);(.+)", ".+",
		"__meta_(.+)", "(?i)FOO", "(?P<first>[a-z]+).*", "(a)?(b)?.*", "x;.*", ";", "\\w+", "[^a]*", "(?s:.)+", "a{1,2}",
		"(é|Ä).*", "exported_(.*)", "foo|bar|baz|foo-bar", "x|", "(x|y)|(foo)", "__.*|a.*",
	}
	replacements = []string{
		"$1", "$1", "${1}", "", "x", "$2$1", "${first}!", "$0", "pre_$1", "pre_${1}_post", "$$1", "$", "${1", "$1x", "é$1",
		"const", "$9", "${2}",
	}
	targets = []string{
		"a", "b", "job", "instance", "__name__", "new", "$1", "${1}", "n_${1}", "$1_x", "pre${2}", "exported_job", "__tmp",
		"Z", "a.b",
	}
	separators = []string{";", ";", ";", "", ",", "::", "é"}
	actions    = []relabel.Action{
		relabel.Replace, relabel.Replace, relabel.Replace, relabel.Keep, relabel.Drop, relabel.KeepEqual,
		relabel.DropEqual, relabel.HashMod, relabel.LabelMap, relabel.LabelDrop, relabel.LabelKeep, relabel.Lowercase,
		relabel.Uppercase,
	}
)

type generator struct {
	*rand.Rand
	out *bufio.Writer
}

func (g generator) pick(of []string) string { return of[g.Intn(len(of))] }

func enc(s string) string { return "x" + hex.EncodeToString([]byte(s)) }

func (g generator) pattern() string {
	if g.Intn(4) > 0 {
		return g.pick(patterns)
	}
	return g.pick(patterns) + g.pick(patterns)
}

func (g generator) value() string {
	if g.Intn(4) > 0 {
		return g.pick(values)
	}
	return g.pick(values) + g.pick(values)
}

func (g generator) set(empties bool) labels.Labels {
	m := map[string]string{}
	for range g.Intn(7) {
		m[g.pick(names)] = g.value()
	}
	if !empties {
		for k, v := range m {
			if v == "" {
				delete(m, k)
			}
		}
	}
	return labels.FromMap(m)
}

// rule gives a rule that Prometheus accepts.
func (g generator) rule() *relabel.Config {
	for {
		c := relabel.DefaultRelabelConfig
		c.Action = actions[g.Intn(len(actions))]
		c.NameValidationScheme = model.UTF8Validation
		if g.Intn(3) == 0 {
			c.NameValidationScheme = model.LegacyValidation
		}
		equal := c.Action == relabel.KeepEqual || c.Action == relabel.DropEqual
		byName := c.Action == relabel.LabelDrop || c.Action == relabel.LabelKeep
		letters := c.Action == relabel.Lowercase || c.Action == relabel.Uppercase
		if !byName {
			for range g.Intn(4) {
				c.SourceLabels = append(c.SourceLabels, model.LabelName(g.pick(names)))
			}
			c.TargetLabel = g.pick(targets)
		}
		if !equal && g.Intn(5) > 0 {
			re, err := relabel.NewRegexp(g.pattern())
			if err != nil {
				continue
			}
			c.Regex = re
		}
		if !equal && !byName {
			c.Separator = g.pick(separators)
			if !letters {
				c.Replacement = g.pick(replacements)
			}
		}
		if c.Action == relabel.HashMod {
			c.Modulus = 1 + uint64(g.Int63())>>uint(g.Intn(62))
		}
		if c.Validate(c.NameValidationScheme) == nil {
			return &c
		}
	}
}

func (g generator) printRule(c *relabel.Config) {
	legacy := 0
	if c.NameValidationScheme == model.LegacyValidation {
		legacy = 1
	}
	fmt.Fprintf(g.out, "rule %s %d %d %s %s %s %s", c.Action, legacy, c.Modulus, enc(c.Regex.String()), enc(c.Separator),
		enc(c.TargetLabel), enc(c.Replacement))
	for _, s := range c.SourceLabels {
		fmt.Fprint(g.out, " ", enc(string(s)))
	}
	fmt.Fprintln(g.out)
}

func (g generator) printLabels(word string, l labels.Labels) {
	fmt.Fprint(g.out, word)
	l.Range(func(l labels.Label) { fmt.Fprint(g.out, " ", enc(l.Name), " ", enc(l.Value)) })
	fmt.Fprintln(g.out)
}

func (g generator) finish(b *labels.Builder, rules []*relabel.Config) {
	if !relabel.ProcessBuilder(b, rules...) {
		fmt.Fprintln(g.out, "want drop")
		return
	}
	g.printLabels("want", b.Labels())
}

func (g generator) rules() []*relabel.Config {
	var rules []*relabel.Config
	for range 1 + g.Intn(4) {
		rules = append(rules, g.rule())
		g.printRule(rules[len(rules)-1])
	}
	return rules
}

func (g generator) plain() {
	rules := g.rules()
	base, add := g.set(true), g.set(false)
	g.printLabels("base", base)
	g.printLabels("add", add)
	b := labels.NewBuilder(base)
	add.Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
	g.finish(b, rules)
}

// beside builds the union of exposed and target labels by the documented rule: who wins, and what becomes of the other.
func beside(exposed, target labels.Labels, honor bool) *labels.Builder {
	b := labels.NewBuilder(exposed)
	var clashes []labels.Label
	target.Range(func(t labels.Label) {
		own := exposed.Get(t.Name)
		if honor && exposed.Has(t.Name) {
			return
		}
		if own != "" {
			clashes = append(clashes, labels.Label{Name: t.Name, Value: own})
		}
		b.Set(t.Name, t.Value)
	})
	slices.SortStableFunc(clashes, func(x, y labels.Label) int { return len(x.Name) - len(y.Name) })
	for _, c := range clashes {
		name := model.ExportedLabelPrefix + c.Name
		for b.Get(name) != "" {
			name = model.ExportedLabelPrefix + name
		}
		b.Set(name, c.Value)
	}
	return b
}

// scraped prints a case of metric_map; sets that a scrape refuses are left out.
func (g generator) scraped() {
	honor := g.Intn(2)
	exposed := labels.NewBuilder(g.set(true)).Set("__name__", g.pick([]string{"up", "foo", "x"})).Labels()
	withEmpty := labels.NewScratchBuilder(8)
	exposed.Range(func(l labels.Label) { withEmpty.Add(l.Name, l.Value) })
	for _, n := range []string{"job", "instance", "exported_job"} {
		if !exposed.Has(n) && g.Intn(6) == 0 {
			withEmpty.Add(n, "")
		}
	}
	withEmpty.Sort()
	exposed = withEmpty.Labels()
	target := labels.NewBuilder(g.set(false)).Del("__name__").Set("job", "j").Set("instance", "h:1").Labels()
	fmt.Fprintln(g.out, "map", honor)
	rules := g.rules()
	g.printLabels("base", exposed)
	g.printLabels("add", target)
	b := beside(exposed, target, honor == 1)
	if !relabel.ProcessBuilder(b, rules...) || b.Labels().IsEmpty() {
		fmt.Fprintln(g.out, "want drop")
		return
	}
	l := b.Labels()
	if !l.Has("__name__") || !l.IsValid(model.UTF8Validation) {
		fmt.Fprintln(g.out, "want error")
		return
	}
	g.printLabels("want", l)
}

// letters prints every code point once, in both cases, and bytes that are no text.
func (g generator) letters() {
	for start := rune(0); start < 0x110000; start += 256 {
		var s strings.Builder
		for r := start; r < start+256; r++ {
			s.WriteRune(r)
		}
		if start == 0 {
			s.WriteString("\xff\xc3\xe2\x82x\xf0\x9f")
		}
		for _, action := range []relabel.Action{relabel.Lowercase, relabel.Uppercase} {
			c := relabel.DefaultRelabelConfig
			c.Action, c.TargetLabel, c.SourceLabels = action, "b", model.LabelNames{"a"}
			c.NameValidationScheme = model.UTF8Validation
			g.printRule(&c)
			base := labels.FromStrings("a", s.String())
			g.printLabels("base", base)
			fmt.Fprintln(g.out, "add")
			g.finish(labels.NewBuilder(base), []*relabel.Config{&c})
		}
	}
}

func main() {
	seed := flag.Int64("seed", 1, "of the random numbers")
	n := flag.Int("n", 100000, "cases of each kind")
	flag.Parse()
	g := generator{rand.New(rand.NewSource(*seed)), bufio.NewWriter(os.Stdout)}
	defer g.out.Flush()
	for range *n {
		g.plain()
		g.scraped()
	}
	g.letters()
}
