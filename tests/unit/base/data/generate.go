// Prints what Go does with numbers, durations, quoting and regular expressions: the tables beside this file.
// go run generate.go numbers|parse|durations|quotes|regex >FILE.txt
package main

import (
	"bufio"
	"fmt"
	"math"
	"math/rand"
	"os"
	"regexp"
	"strconv"
	"time"
)

var out = bufio.NewWriter(os.Stdout)

// numbers: BITS G F
func numbers() {
	one := func(v float64) {
		fmt.Fprintf(out, "%016x %s %s\n", math.Float64bits(v), strconv.FormatFloat(v, 'g', -1, 64),
			strconv.FormatFloat(v, 'f', -1, 64))
	}
	fixed := []float64{0, math.Copysign(0, -1), 1, -1, 0.1, 0.5, 1.5, 100, 1000, 12345, 123456, 1234567, 12345678, 999999,
		1e5, 1e6, 1e7, 1e15, 1e16, 1e20, 1e21, 1e22, 1e23, 1e-3, 1e-4, 1e-5, 1.5e-4, 1.5e-5, 0.00012345, 1e100, 1e-100,
		math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(1), math.Inf(-1), math.NaN(), math.Pi, 2.2250738585072014e-308,
		9007199254740991, 9007199254740992, 9007199254740993, 123456789, 1.7e9, 1700000000.123, 1e9, 4294967296, 5e-324,
		0.3, 2.0 / 3, 1e5 + 0.5, 999999.5, 100000.1}
	for _, v := range fixed {
		one(v)
	}
	r := rand.New(rand.NewSource(1))
	for i := 0; i < 150; i++ {
		v := math.Float64frombits(r.Uint64())
		if !math.IsNaN(v) {
			one(v)
		}
	}
	for i := 0; i < 100; i++ {
		one(math.Round(r.Float64()*math.Pow(10, float64(r.Intn(12)))) / math.Pow(10, float64(r.Intn(8))))
	}
}

// parse: TEXT ok|range|syntax BITS
func parse() {
	texts := []string{"0", "-0", "+1", "1", "1.", ".5", ".", "", "e", "1e", "1e+", "1e5", "1E5", "1e+05", "1e-05", "-1.5e3", "1e400",
		"-1e400", "1e-400", "-1e-400", "0e999999999999", "1e99999999999999999999", "1e-99999999999999999999", "inf", "Inf", "+Inf",
		"-inf", "INFINITY", "-infinity", "infinit", "nan", "NaN", "+nan", "-NaN", "nano", "1 ", "1a", "--1", "+-1", "1.2.3", "1e5.5",
		"9007199254740993", "9007199254740992.5", "123456789012345678901234567890", "0.000000000000000000000000000000123456789",
		"2.2250738585072011e-308", "4.9e-324", "2.4e-324", "2.5e-324", "1.7976931348623157e308", "1.7976931348623159e308",
		"179769313486231570000000000000000000000", "00000000000000000000000000000001", "0.1e1", "1e22", "1e23", "8.5e22", "1e-22",
		"1e-23", "3.14159265358979323846264338327950288", "100000000000000016777215", "100000000000000016777216",
		"6.02214076e23", "1.000000000000000000000000000000000000000000001", "5.", "-.5", "+.5e1", "1e0", "1e00000000000000000005"}
	r := rand.New(rand.NewSource(2))
	for i := 0; i < 200; i++ {
		t := strconv.FormatUint(r.Uint64()>>uint(r.Intn(64)), 10)
		if r.Intn(2) == 0 {
			at := r.Intn(len(t) + 1)
			t = t[:at] + "." + t[at:]
		}
		if r.Intn(2) == 0 {
			t += "e" + strconv.Itoa(r.Intn(660)-330)
		}
		texts = append(texts, t)
	}
	for _, t := range texts {
		v, err := strconv.ParseFloat(t, 64)
		word := "ok"
		if err != nil {
			word = "syntax"
			if err.(*strconv.NumError).Err == strconv.ErrRange {
				word = "range"
			}
		}
		if math.IsNaN(v) {
			v = math.NaN()
		}
		fmt.Fprintf(out, "%s\t%s\t%016x\n", t, word, math.Float64bits(v))
	}
}

// durations: TEXT ok NS | TEXT error MESSAGE
func durations() {
	for _, t := range []string{"0", "1s", "1.5h", "-1.5h", "+5s", "300ms", "2h45m10s", "1us", "1µs", "1μs", "1ns", ".5s", "5.s", ".s",
		"", "-", "1", "1d", "1h1h", "9223372036854775807ns", "9223372036854775808ns", "-9223372036854775808ns", "2562047h47m16.854775807s",
		"2562047h47m16.854775808s", "9999999999h", "0.100000000000000000000h", "0.9223372036854775807h", "3000000h", "1h ", " 1h", "1\"s"} {
		d, err := time.ParseDuration(t)
		if err != nil {
			fmt.Fprintf(out, "%s\terror\t%s\n", t, err)
		} else {
			fmt.Fprintf(out, "%s\tok\t%d\n", t, int64(d))
		}
	}
}

// quotes: HEX QUOTED
func quotes() {
	for _, t := range []string{"", "plain", "two words", "a\"b", "a\\b", "a\nb\tc\rd", "\a\b\v\f", "\x00\x01\x1f\x7f", "\xff\xfe", "é", "日本",
		"\u00a0", "\u200b", "\u2028", "\ufeff", "\ue000", "\U0001f600", "\U000e0001", "a\xc3", "\xed\xa0\x80", "\u00ad", "\u0085",
		"\U0010ffff", "\ufffd", "\u3000", "'"} {
		fmt.Fprintf(out, "%x %s\n", t, strconv.Quote(t))
	}
}

// regex: "PATTERN" bad "MESSAGE" | "PATTERN" "TEXT" "TEMPLATE" no | "PATTERN" "TEXT" "TEMPLATE" "RESULT", as Prometheus does it
func regexes() {
	q := strconv.Quote
	for _, p := range []string{"(", ")", "a)", "(a", "[", "[a", "[z-a]", "*", "+a", "a**", "a{2}{3}", "a{1001}", `a\`, `\q`, `\C`, "(?i", "(?=a)",
		"(?!a)", "(?<=a)", "(?P<n>a)(?P<n>b)", "(?P<1n", "(?P<a-b>x)", `\8`, "[[:foo:]]", `\pX`, "a{2,1}", "(?z)", "x{999999}", "((((", "a|*"} {
		_, err := regexp.Compile("^(?s:" + p + ")$")
		if err == nil {
			continue
		}
		fmt.Fprintf(out, "%s\tbad\t%s\n", q(p), q(err.Error()))
	}
	patterns := []string{"", "a", "abc", "a|b|c", "a||b", "foo|foobar|bar", `a\.b`, `a\-b|c`, ".*", ".+", "(.*)", "(.+)", "go_.*", "go_(.+)", ".*foo.*",
		"go_.+", "(a)(b)?", "(?P<name>[a-z]+)_(?P<rest>.*)", "(?<name>[a-z]+)[0-9]", "a.c", "(?i)abc", "a)|(b", "^abc$", "[^:]+(?::\\d+)?",
		"([^:]+)(?::\\d+)?;(\\d+)", "a*", "ab?", "é*", "日本|é", `\Qa.b\E`, "(a|b)", "[a-c]+", "a{2,3}", `\d+`, "(.*)foo", "x(.*)y(.*)", `[\]a]`, "[]a]", `a\/b`,
		"(a)|(b)", "go_(.*)x", "\\(a\\)"}
	texts := []string{"", "a", "b", "ab", "abc", "c", "foo", "foobar", "bar", "a.b", "axb", "a-b", "go_", "go_x", "xxfooxx", "line\nfoo", "host:9100",
		"host:9100;80", "name_rest", "abc1", "ABC", "aa", "aaaa", "é", "éé", "日本", "x1y2", "]", "a/b", "(a)", "123", "bb"}
	templates := []string{"$1", "${1}x", "$1x", "$name-$rest", "$$1", "$", "a$", "${", "${1", "$0", "plain", "$2$1", "$é", "${name}é", "$01", "$9"}
	n := 0
	for _, p := range patterns {
		re, err := regexp.Compile("^(?s:" + p + ")$")
		if err != nil {
			panic(err)
		}
		for _, t := range texts {
			m := re.FindStringSubmatchIndex(t)
			n++
			tmpl := templates[n%len(templates)]
			if m == nil {
				if n%3 == 0 {
					fmt.Fprintf(out, "%s\t%s\t%s\tno\n", q(p), q(t), q(tmpl))
				}
				continue
			}
			for _, x := range []string{tmpl, "[$0|$1|$2]"} {
				fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", q(p), q(t), q(x), q(string(re.ExpandString(nil, x, t, m))))
			}
		}
	}
}

func main() {
	map[string]func(){"numbers": numbers, "parse": parse, "durations": durations, "quotes": quotes, "regex": regexes}[os.Args[1]]()
	out.Flush()
}
