// What Prometheus' own parsers make of each file named on standard input: one line an entry, for comparison with dump.c.
//
//	kind path     kind is text, openmetrics or proto, and options behind a colon: n ignore native histograms, k keep
//	              classic ones, c convert classic ones, s start times (and no series of _created lines)
//
// prints "> kind path", then a line "F name type help unit" for each family of each block of comments, a line
// "S labels value-bits timestamp @start #exemplar" for each sample and a line "H labels histogram .." for each native
// histogram, with what becomes of it under some limits (texts in hexadecimal), or the single line "error" with its text.
//
//	main fixtures DIR FILE     writes the text-form metric families that are in a Go test file as protobuf bodies
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/gogo/protobuf/proto"
	"github.com/prometheus/common/model"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	dto "github.com/prometheus/prometheus/prompb/io/prometheus/client"
	"github.com/prometheus/prometheus/util/convertnhcb"
)

var mediaTypes = map[string]string{
	"text":        "text/plain",
	"openmetrics": "application/openmetrics-text",
	"proto":       "application/vnd.google.protobuf",
}

func bytesOf(s string) string {
	return fmt.Sprintf("%x", s)
}

// A name that occurs twice fails the scrape when the sample is appended, unless one of the values is empty; an empty name
// in any case.
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
		if e.name == "" {
			return "invalid metric name or label names: " + l.String(), false
		}
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

func exemplarOf(e exemplar.Exemplar, out *strings.Builder) {
	out.WriteString(" #")
	e.Labels.Range(func(x labels.Label) { fmt.Fprintf(out, "%s=%s,", bytesOf(x.Name), bytesOf(x.Value)) })
	fmt.Fprintf(out, " %016x", math.Float64bits(e.Value))
	if e.HasTs {
		fmt.Fprintf(out, " %d", e.Ts)
	}
}

// As the scraper asks: the start first, then the exemplars until there are none, those of a histogram sorted and only
// with a time.
func restOf(p textparse.Parser, ts *int64, starts, histogram bool, out *strings.Builder) {
	if ts != nil {
		fmt.Fprintf(out, " %d", *ts)
	}
	if starts {
		fmt.Fprintf(out, " @%d", p.StartTimestamp())
	}
	var all []exemplar.Exemplar
	for {
		var e exemplar.Exemplar
		if !p.Exemplar(&e) {
			break
		}
		if e.HasTs || !histogram {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, exemplar.Compare)
	for _, e := range all {
		exemplarOf(e, out)
	}
	out.WriteByte('\n')
}

// Which start a text series has is compared for those of the family that was named last: the original cuts the names of
// others where that one's ends.
func belongs(name, family string) bool {
	rest, ok := strings.CutPrefix(name, family)
	return ok && slices.Contains([]string{"", "_total", "_bucket", "_count", "_sum"}, rest)
}

func seriesOf(p textparse.Parser, family string, starts bool, out *strings.Builder) (refused string) {
	var l labels.Labels
	_, ts, v := p.Series()
	if d := decoderOf(p); d != nil && d.GetType() == dto.MetricType_UNTYPED {
		v = untypedOf(d)
	}
	p.Labels(&l)
	text, ok := labelsOf(l)
	if !ok {
		return text
	}
	fmt.Fprintf(out, "S %s %016x", text, math.Float64bits(v))
	starts = starts && (decoderOf(p) != nil || belongs(l.Get(model.MetricNameLabel), family))
	restOf(p, ts, starts, false, out)
	return ""
}

// ---- native histograms

// Spans that touch are one; the original leaves them apart where a negative offset brought them together.
func spansOf(s []histogram.Span, out *strings.Builder) {
	for i := 0; i < len(s); i++ {
		x := s[i]
		for ; i+1 < len(s) && s[i+1].Offset == 0; i++ {
			x.Length += s[i+1].Length
		}
		fmt.Fprintf(out, "%d:%d,", x.Offset, x.Length)
	}
	out.WriteByte(' ')
}

func floatsOf(v []float64, out *strings.Builder) {
	for _, x := range v {
		fmt.Fprintf(out, "%016x,", math.Float64bits(x))
	}
	out.WriteByte(' ')
}

func histogramOf(h *histogram.Histogram, f *histogram.FloatHistogram, out *strings.Builder) {
	if h != nil {
		fmt.Fprintf(out, "i %d %d %016x %d %d %016x ", h.CounterResetHint, h.Schema, math.Float64bits(h.ZeroThreshold), h.ZeroCount,
			h.Count, math.Float64bits(h.Sum))
		for i, side := range [][]int64{h.PositiveBuckets, h.NegativeBuckets} {
			spansOf([][]histogram.Span{h.PositiveSpans, h.NegativeSpans}[i], out)
			for _, x := range side {
				fmt.Fprintf(out, "%d,", x)
			}
			out.WriteByte(' ')
		}
		floatsOf(h.CustomValues, out)
		return
	}
	fmt.Fprintf(out, "f %d %d %016x %016x %016x %016x ", f.CounterResetHint, f.Schema, math.Float64bits(f.ZeroThreshold),
		math.Float64bits(f.ZeroCount), math.Float64bits(f.Count), math.Float64bits(f.Sum))
	spansOf(f.PositiveSpans, out)
	floatsOf(f.PositiveBuckets, out)
	spansOf(f.NegativeSpans, out)
	floatsOf(f.NegativeBuckets, out)
	floatsOf(f.CustomValues, out)
}

// Their own Copy leaves out what a histogram with custom buckets should not have.
func copyOf(h *histogram.Histogram, f *histogram.FloatHistogram) (*histogram.Histogram, *histogram.FloatHistogram) {
	if h != nil {
		c := *h
		c.PositiveSpans, c.NegativeSpans = slices.Clone(h.PositiveSpans), slices.Clone(h.NegativeSpans)
		c.PositiveBuckets, c.NegativeBuckets = slices.Clone(h.PositiveBuckets), slices.Clone(h.NegativeBuckets)
		return &c, nil
	}
	c := *f
	c.PositiveSpans, c.NegativeSpans = slices.Clone(f.PositiveSpans), slices.Clone(f.NegativeSpans)
	c.PositiveBuckets, c.NegativeBuckets = slices.Clone(f.PositiveBuckets), slices.Clone(f.NegativeBuckets)
	return nil, &c
}

var errBucketLimit = errors.New("histogram bucket limit exceeded")

// The scraper's maxSchemaAppender, bucketLimitAppender and the agent's check, in this order. Schemas above 8 are lowered
// to it first, as leadline does: the agent refuses them.
func prepare(h *histogram.Histogram, f *histogram.FloatHistogram, maxSchema int32, limit int) error {
	schema := func() int32 {
		if h != nil {
			return h.Schema
		}
		return f.Schema
	}
	reduce := func(to int32) error {
		if h != nil {
			return h.ReduceResolution(to)
		}
		return f.ReduceResolution(to)
	}
	buckets := func() int {
		if h != nil {
			return len(h.PositiveBuckets) + len(h.NegativeBuckets)
		}
		return len(f.PositiveBuckets) + len(f.NegativeBuckets)
	}
	if histogram.IsExponentialSchemaReserved(schema()) && schema() > maxSchema {
		if err := reduce(maxSchema); err != nil {
			return err
		}
	}
	for limit > 0 && buckets() > limit {
		if !histogram.IsExponentialSchema(schema()) || schema() <= histogram.ExponentialSchemaMin {
			return errBucketLimit
		}
		if err := reduce(schema() - 1); err != nil {
			return err
		}
	}
	if h != nil {
		return h.Validate()
	}
	return f.Validate()
}

func limitedOf(h *histogram.Histogram, f *histogram.FloatHistogram, out *strings.Builder) {
	for _, x := range []struct {
		schema int32
		limit  int
	}{{8, 0}, {8, 160}, {8, 3}, {2, 0}, {-4, 1}} {
		h2, f2 := copyOf(h, f)
		fmt.Fprintf(out, "L %d %d ", x.schema, x.limit)
		if err := prepare(h2, f2, x.schema, x.limit); err != nil {
			fmt.Fprintf(out, "error %x\n", err.Error())
			continue
		}
		histogramOf(h2, f2, out)
		out.WriteByte('\n')
	}
}

func histogramEntry(p textparse.Parser, _ string, starts bool, out *strings.Builder) (refused string) {
	var l labels.Labels
	if d := decoderOf(p); d != nil {
		if text := freshHistogram(p, d); text != "" {
			return text
		}
	}
	_, ts, h, f := p.Histogram()
	p.Labels(&l)
	text, ok := labelsOf(l)
	if !ok {
		return text
	}
	fmt.Fprintf(out, "H %s ", text)
	histogramOf(h, f, out)
	restOf(p, ts, starts, true, out)
	limitedOf(h, f, out)
	return ""
}

// ---- where the original loses something
//
// Fields of its parser are reached by reflection to undo that: the state of an untyped metric and the position within
// exemplars survive from one metric to the next, and only a family's first histogram is checked.

func decoderOf(p textparse.Parser) *dto.MetricStreamingDecoder {
	pp, ok := p.(*textparse.ProtobufParser)
	if !ok {
		return nil
	}
	return (*dto.MetricStreamingDecoder)(reflect.ValueOf(pp).Elem().FieldByName("dec").UnsafePointer())
}

func set(p textparse.Parser, field string, v int) {
	f := reflect.ValueOf(p).Elem().FieldByName(field)
	*(*int)(unsafe.Pointer(f.UnsafeAddr())) = v
}

func untypedOf(d *dto.MetricStreamingDecoder) float64 {
	var m dto.Metric
	data := reflect.ValueOf(d).Elem().FieldByName("mData").Bytes()
	if m.Unmarshal(data) != nil {
		return 0
	}
	return m.GetUntyped().GetValue()
}

// A collected histogram that converts, but is not valid then, is not forgotten: it swallows the next one.
func mixesUp(p textparse.Parser) bool {
	np, ok := p.(*textparse.NHCBParser)
	if !ok {
		return false
	}
	const collecting = 1
	v := reflect.ValueOf(np).Elem()
	if v.FieldByName("state").Int() != collecting {
		return false
	}
	temp := (*convertnhcb.TempHistogram)(unsafe.Pointer(v.FieldByName("tempNHCB").UnsafeAddr()))
	h, f, err := temp.Convert()
	return err == nil && (h != nil && h.Validate() != nil || f != nil && f.Validate() != nil)
}

func freshHistogram(p textparse.Parser, d *dto.MetricStreamingDecoder) string {
	set(p, "exemplarPos", 0)
	set(p, "fieldPos", -2)
	h := d.GetHistogram()
	native := len(h.GetPositiveSpan()) > 0 || len(h.GetNegativeSpan()) > 0 || h.GetZeroThreshold() > 0 || h.GetZeroCount() > 0
	if !native || reflect.ValueOf(p).Elem().FieldByName("ignoreNativeHistograms").Bool() {
		return ""
	}
	side := func(name string, spans []dto.BucketSpan, deltas, counts int) string {
		total := 0
		for _, s := range spans {
			total += int(s.GetLength())
		}
		if h.GetSampleCountFloat() > 0 || h.GetZeroCountFloat() > 0 {
			deltas = counts
		}
		if total == deltas {
			return ""
		}
		return fmt.Sprintf("histogram %q: %s side: spans require %d buckets, have %d", d.GetName(), name, total, deltas)
	}
	if text := side("positive", h.GetPositiveSpan(), len(h.GetPositiveDelta()), len(h.GetPositiveCount())); text != "" {
		return text
	}
	return side("negative", h.GetNegativeSpan(), len(h.GetNegativeDelta()), len(h.GetNegativeCount()))
}

// What one block of comments says, adjacent lines of one family as one entry.
type families struct {
	list []family
	last string
}

type family struct {
	name, help, unit string
	kind             model.MetricType
}

func (f *families) named(name []byte) *family {
	f.last = string(name)
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
	format, options, _ := strings.Cut(kind, ":")
	starts := strings.Contains(options, "s") || format == "proto"
	p, err := textparse.New(body, mediaTypes[format], labels.NewSymbolTable(), textparse.ParserOptions{
		IgnoreNativeHistograms:                  strings.Contains(options, "n"),
		KeepClassicOnClassicAndNativeHistograms: strings.Contains(options, "k"),
		ConvertClassicHistogramsToNHCB:          strings.Contains(options, "c"),
		OpenMetricsSkipSTSeries:                 strings.Contains(options, "s"),
	})
	if err != nil {
		return "error\n"
	}
	for {
		if mixesUp(p) {
			return "panic\n"
		}
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
		case textparse.EntrySeries, textparse.EntryHistogram:
			f.flush(&out)
			entry := seriesOf
			if et == textparse.EntryHistogram {
				entry = histogramEntry
			}
			if refused := entry(p, f.last, starts, &out); refused != "" {
				return fmt.Sprintf("error %x\n", refused)
			}
		}
	}
}

// Some bodies make the original run on for hours (spans that have no buckets): as good as a panic.
func dumpInTime(kind string, body []byte) string {
	done := make(chan string, 1)
	go func() { done <- dump(kind, body) }()
	select {
	case result := <-done:
		return result
	case <-time.After(10 * time.Second):
		return "panic\n"
	}
}

// The string literals of a Go file that are metric families in protobuf's text form: each as a body of its own, and all of
// them as one.
func fixtures(dir, file string) error {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		return err
	}
	var all []byte
	n := 0
	ast.Inspect(parsed, func(node ast.Node) bool {
		lit, ok := node.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		text, err := strconv.Unquote(lit.Value)
		family := &dto.MetricFamily{}
		if err != nil || !strings.Contains(text, "name:") || proto.UnmarshalText(text, family) != nil {
			return true
		}
		message, err := proto.Marshal(family)
		if err != nil {
			return true
		}
		body := append(binary.AppendUvarint(nil, uint64(len(message))), message...)
		all = append(all, body...)
		err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("fixture-%03d", n)), body, 0o644)
		n++
		return err == nil
	})
	return os.WriteFile(filepath.Join(dir, "fixture-all"), all, 0o644)
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == "fixtures" {
		if err := fixtures(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
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
		fmt.Fprintf(out, "> %s\n%s", in.Text(), dumpInTime(kind, body))
	}
}
