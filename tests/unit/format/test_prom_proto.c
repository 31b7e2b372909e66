/* Delimited protobuf: which series come of which message, with what; the original itself is asked by
 * tests/conformance/textparse. */
#include "unit.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/num.h"
#include "format/exposition.h"
#include "format/prom_proto.h"
#include "wire/proto.h"

enum { COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM };

/* ---- making messages ---- */

static void put_message(struct buf *to, uint32_t number, const struct buf *message)
{
    proto_append_bytes(to, number, message->p ? buf_view(message) : STR(""));
}

static void put_double(struct buf *to, uint32_t number, double v)
{
    proto_append_tag(to, number, PROTO_FIXED64);
    buf_append(to, &v, sizeof(v));
}

static void put_pair(struct buf *to, const char *name, const char *value)
{
    AUTO_BUF pair = {0};
    proto_append_bytes(&pair, 1, str_c(name));
    proto_append_bytes(&pair, 2, str_c(value));
    put_message(to, 1, &pair);
}

static void put_stamp(struct buf *to, uint32_t number, uint64_t seconds)
{
    AUTO_BUF stamp = {0};
    proto_append_u64(&stamp, 1, seconds);
    proto_append_u64(&stamp, 2, 250000000);
    put_message(to, number, &stamp);
}

/* seconds: 0 is none */
static void put_exemplar(struct buf *to, uint32_t number, const char *trace, double value, uint64_t seconds)
{
    AUTO_BUF x = {0};
    put_pair(&x, "trace", trace);
    put_double(&x, 2, value);
    if (seconds)
        put_stamp(&x, 3, seconds);
    put_message(to, number, &x);
}

static void put_value(struct buf *to, uint32_t number, double v)
{
    AUTO_BUF m = {0};
    put_double(&m, 1, v);
    put_message(to, number, &m);
}

static void put_bucket(struct buf *to, double le, uint64_t count, const char *trace, uint64_t seconds)
{
    AUTO_BUF b = {0};
    proto_append_u64(&b, 1, count);
    put_double(&b, 2, le);
    if (trace)
        put_exemplar(&b, 3, trace, le, seconds);
    put_message(to, 3, &b);
}

static void put_span(struct buf *to, uint32_t number, uint64_t offset, uint64_t length)
{
    AUTO_BUF s = {0};
    proto_append_u64(&s, 1, offset * 2);
    proto_append_u64(&s, 2, length);
    put_message(to, number, &s);
}

/* A family of one metric, or of two alike with {x="1"} and {x="2"}, whose value message is `field`. */
static void put_family_of(struct buf *body, const char *name, int type, uint32_t field, const struct buf *value, int n,
                          const char *unit)
{
    AUTO_BUF family = {0};
    proto_append_bytes(&family, 1, str_c(name));
    proto_append_bytes(&family, 2, STR("help me"));
    proto_append_tag(&family, 3, PROTO_VARINT);
    proto_append_varint(&family, (uint64_t)type);
    for (int i = 0; i < n; i++) {
        AUTO_BUF metric = {0};
        if (n > 1)
            put_pair(&metric, "x", i ? "2" : "1");
        put_message(&metric, field, value);
        put_message(&family, 4, &metric);
    }
    if (unit)
        proto_append_bytes(&family, 5, str_c(unit));
    proto_append_varint(body, family.n);
    buf_str(body, buf_view(&family));
}

static void put_family(struct buf *body, const char *name, int type, uint32_t field, const struct buf *value, int n)
{
    put_family_of(body, name, type, field, value, n, "seconds");
}

/* ---- reading them as text ---- */

static void print_entry(struct buf *out, const struct prom_proto_entry *e, struct arena *a, struct diag *d)
{
    struct labels labels;
    if (e->kind == PROM_PROTO_FAMILY) {
        struct family *f;
        uint32_t n;
        exposition_families(e->raw, EXPOSITION_PROTO, a, &f, &n);
        buf_printf(out, "[%.*s %s %.*s %.*s]", STR_ARGS(f->name), metric_type_name(f->type), STR_ARGS(f->unit),
                   STR_ARGS(f->help));
        return;
    }
    if (prom_proto_labels(e->raw, a, &labels, d))
        return;
    labels_print(labels, out);
    buf_char(out, ' ');
    if (e->kind == PROM_PROTO_SERIES)
        buf_double(out, e->value);
    else
        buf_printf(out, "%s schema %d count %g buckets %u", e->histogram->is_float ? "float" : "integer",
                   e->histogram->schema,
                   e->histogram->is_float ? e->histogram->count_float : (double)e->histogram->count_int,
                   e->histogram->positive.n);
    if (e->has_ts)
        buf_printf(out, " @%lld", (long long)e->ts_ms);
    if (e->start_ms)
        buf_printf(out, " since %lld", (long long)e->start_ms);
    for (uint32_t i = 0; i < e->n_exemplars; i++) {
        buf_c(out, " # ");
        labels_print(e->exemplars[i].labels, out);
        buf_printf(out, " %g", e->exemplars[i].value);
    }
}

static const struct prom_proto_options plain = {.exemplars = true};

#define ENTRIES_MAX 64

struct known {
    struct str raw[ENTRIES_MAX];
    size_t n;
};

/* One reading; entry i is said to be known->raw[i + shift]. */
static void read_body(struct prom_proto *p, const struct buf *body, const struct prom_proto_options *options,
                      struct known *known, int shift, struct arena *a, const char *want)
{
    struct prom_proto_entry e;
    struct diag d = {0};
    AUTO_BUF out = {0};
    bool first = known->n == 0;
    prom_proto_init(p, buf_view(body), options, a);
    for (size_t i = 0;; i++) {
        struct str hint = !first && i + (size_t)shift < known->n ? known->raw[i + (size_t)shift] : STR_NONE;
        prom_proto_expect(p, hint);
        if (d.text[0] || prom_proto_next(p, &e, &d) || e.kind == PROM_PROTO_EOF)
            break;
        assert_true(e.expected == (hint.n > 0 && str_eq(hint, e.raw)));
        assert_true(first || shift || e.expected);
        if (first && i < ENTRIES_MAX)
            known->raw[known->n++] = str_dup(a, e.raw);
        print_entry(&out, &e, a, &d);
        if (!d.text[0])
            buf_char(&out, '\n');
    }
    if (d.text[0])
        buf_printf(&out, "error: %s", d.text);
    assert_string_equal(out.p ? out.p : "", want);
}

/* Read anew, then knowing what comes, then with hints that are wrong. */
static void expect(const struct buf *body, const struct prom_proto_options *options, const char *want)
{
    struct prom_proto p = {0};
    struct known known = {0};
    struct arena a = {0};
    read_body(&p, body, options, &known, 0, &a, want);
    read_body(&p, body, options, &known, 0, &a, want);
    read_body(&p, body, options, &known, 1, &a, want);
    read_body(&p, body, options, &known, 2, &a, want);
    prom_proto_release(&p);
    arena_release(&a);
}

/* ---- */

static void counters_and_gauges(void **state)
{
    (void)state;
    AUTO_BUF body = {0};
    AUTO_BUF counter = {0};
    put_double(&counter, 1, 5);
    put_exemplar(&counter, 2, "abc", 0.5, 0);
    put_stamp(&counter, 3, 1700000000);
    put_family(&body, "a_total", COUNTER, 3, &counter, 2);
    AUTO_BUF gauge = {0};
    put_double(&gauge, 1, -1.5);
    put_family(&body, "caf\xc3\xa9", GAUGE, 2, &gauge, 1);
    AUTO_BUF untyped = {0};
    put_family(&body, "u", UNTYPED, 5, &untyped, 1);
    expect(&body, &plain,
           "[a_total counter seconds help me]\n"
           "{__name__=\"a_total\", x=\"1\"} 5 since 1700000000250 # {trace=\"abc\"} 0.5\n"
           "{__name__=\"a_total\", x=\"2\"} 5 since 1700000000250 # {trace=\"abc\"} 0.5\n"
           "[caf\xc3\xa9 gauge seconds help me]\n"
           "{__name__=\"caf\xc3\xa9\"} -1.5\n"
           "[u unknown seconds help me]\n"
           "{__name__=\"u\"} 0\n");
    expect(&body, &(struct prom_proto_options){0},
           "[a_total counter seconds help me]\n"
           "{__name__=\"a_total\", x=\"1\"} 5 since 1700000000250\n"
           "{__name__=\"a_total\", x=\"2\"} 5 since 1700000000250\n"
           "[caf\xc3\xa9 gauge seconds help me]\n"
           "{__name__=\"caf\xc3\xa9\"} -1.5\n"
           "[u unknown seconds help me]\n"
           "{__name__=\"u\"} 0\n");
}

static void a_summary_is_count_sum_and_quantiles(void **state)
{
    (void)state;
    AUTO_BUF body = {0};
    AUTO_BUF summary = {0};
    AUTO_BUF quantile = {0};
    proto_append_u64(&summary, 1, 3);
    put_double(&summary, 2, 7.5);
    put_double(&quantile, 1, 1);
    put_double(&quantile, 2, 4);
    put_message(&summary, 3, &quantile);
    put_family(&body, "s", SUMMARY, 4, &summary, 1);
    expect(&body, &plain,
           "[s summary seconds help me]\n{__name__=\"s_count\"} 3\n{__name__=\"s_sum\"} 7.5\n"
           "{__name__=\"s\", quantile=\"1.0\"} 4\n");
}

static void put_classic(struct buf *to)
{
    proto_append_u64(to, 1, 4);
    put_double(to, 2, 7.5);
    put_bucket(to, 1, 1, NULL, 0);
    put_bucket(to, 2.5, 3, "abc", 1700000000);
}

static void a_classic_histogram_gets_its_last_bucket(void **state)
{
    (void)state;
    AUTO_BUF body = {0};
    AUTO_BUF classic = {0};
    put_classic(&classic);
    put_family(&body, "h", HISTOGRAM, 7, &classic, 1);
    expect(&body, &plain,
           "[h histogram seconds help me]\n{__name__=\"h_count\"} 4\n{__name__=\"h_sum\"} 7.5\n"
           "{__name__=\"h_bucket\", le=\"1.0\"} 1\n{__name__=\"h_bucket\", le=\"2.5\"} 3 # {trace=\"abc\"} 2.5\n"
           "{__name__=\"h_bucket\", le=\"+Inf\"} 4\n");
    const struct prom_proto_options convert = {.convert_classic = true, .exemplars = true};
    expect(&body, &convert,
           "[h histogram seconds help me]\n"
           "{__name__=\"h\"} integer schema -53 count 4 buckets 3 # {trace=\"abc\"} 2.5\n");
    const struct prom_proto_options both = {.convert_classic = true, .keep_classic = true};
    expect(&body, &both,
           "[h histogram seconds help me]\n{__name__=\"h_count\"} 4\n{__name__=\"h_sum\"} 7.5\n"
           "{__name__=\"h_bucket\", le=\"1.0\"} 1\n{__name__=\"h_bucket\", le=\"2.5\"} 3\n"
           "{__name__=\"h_bucket\", le=\"+Inf\"} 4\n{__name__=\"h\"} integer schema -53 count 4 buckets 3\n");
}

static void put_native(struct buf *to)
{
    put_classic(to);
    proto_append_u64(to, 5, 6); /* schema 3 */
    put_double(to, 6, 0.001);
    put_span(to, 12, 0, 2);
    proto_append_tag(to, 13, PROTO_VARINT);
    proto_append_varint(to, 4); /* 2 */
    proto_append_tag(to, 13, PROTO_VARINT);
    proto_append_varint(to, 0);
    put_exemplar(to, 16, "late", 3, 1800000000);
    put_exemplar(to, 16, "no time", 3, 0);
    put_exemplar(to, 16, "early", 2, 1700000000);
}

static void a_native_histogram_with_and_without_its_classic_form(void **state)
{
    (void)state;
    AUTO_BUF body = {0};
    AUTO_BUF native = {0};
    put_native(&native);
    put_family(&body, "h", GAUGE_HISTOGRAM, 7, &native, 2);
    expect(&body, &plain,
           "[h gaugehistogram seconds help me]\n"
           "{__name__=\"h\", x=\"1\"} integer schema 3 count 4 buckets 2 # {trace=\"early\"} 2 # {trace=\"late\"} 3\n"
           "{__name__=\"h\", x=\"2\"} integer schema 3 count 4 buckets 2 # {trace=\"early\"} 2 # {trace=\"late\"} 3\n");
    const struct prom_proto_options keep = {.keep_classic = true, .convert_classic = true};
    expect(&body, &keep,
           "[h gaugehistogram seconds help me]\n"
           "{__name__=\"h\", x=\"1\"} integer schema 3 count 4 buckets 2\n"
           "{__name__=\"h_count\", x=\"1\"} 4\n{__name__=\"h_sum\", x=\"1\"} 7.5\n"
           "{__name__=\"h_bucket\", le=\"1.0\", x=\"1\"} 1\n{__name__=\"h_bucket\", le=\"2.5\", x=\"1\"} 3\n"
           "{__name__=\"h_bucket\", le=\"+Inf\", x=\"1\"} 4\n"
           "{__name__=\"h\", x=\"2\"} integer schema 3 count 4 buckets 2\n"
           "{__name__=\"h_count\", x=\"2\"} 4\n{__name__=\"h_sum\", x=\"2\"} 7.5\n"
           "{__name__=\"h_bucket\", le=\"1.0\", x=\"2\"} 1\n{__name__=\"h_bucket\", le=\"2.5\", x=\"2\"} 3\n"
           "{__name__=\"h_bucket\", le=\"+Inf\", x=\"2\"} 4\n");
    const struct prom_proto_options ignore = {.ignore_native = true, .convert_classic = true};
    expect(&body, &ignore,
           "[h gaugehistogram seconds help me]\n{__name__=\"h\", x=\"1\"} integer schema -53 count 4 buckets 3\n"
           "{__name__=\"h\", x=\"2\"} integer schema -53 count 4 buckets 3\n");
}

static void gauge_histograms_say_so(void **state)
{
    (void)state;
    AUTO_BUF body = {0};
    AUTO_BUF native = {0};
    struct prom_proto p = {0};
    struct prom_proto_entry e;
    struct arena a = {0};
    put_native(&native);
    put_family(&body, "h", GAUGE_HISTOGRAM, 7, &native, 1);
    prom_proto_init(&p, buf_view(&body), &plain, &a);
    assert_int_equal(prom_proto_next(&p, &e, NULL), OK);
    assert_int_equal(prom_proto_next(&p, &e, NULL), OK);
    assert_int_equal(e.histogram->reset, HISTOGRAM_RESET_GAUGE);
    assert_true(e.histogram->zero_threshold == 0.001 && e.histogram->sum == 7.5);
    assert_int_equal(e.histogram->positive.deltas[0], 2);
    prom_proto_release(&p);
    arena_release(&a);
}

/* The identity that a scraper predicts with: equal for the same series of the next page, different for any other. */
static void raw_bytes_are_an_identity(void **state)
{
    (void)state;
    AUTO_BUF body = {0};
    AUTO_BUF classic = {0};
    struct arena a = {0};
    struct prom_proto p = {0};
    struct prom_proto_entry e;
    struct str seen[32];
    size_t n = 0, again = 0;
    put_classic(&classic);
    put_family(&body, "h", HISTOGRAM, 7, &classic, 2);
    for (int page = 0; page < 2; page++) {
        prom_proto_init(&p, buf_view(&body), &plain, &a);
        while (prom_proto_next(&p, &e, NULL) == OK && e.kind != PROM_PROTO_EOF) {
            if (page == 0)
                seen[n++] = str_dup(&a, e.raw);
            else
                assert_true(str_eq(seen[again++], e.raw));
            if (e.kind == PROM_PROTO_SERIES)
                assert_true(str_starts(e.raw, prom_proto_name(e.raw)) && prom_proto_name(e.raw).p[0] == 'h');
        }
    }
    assert_int_equal(n, 1 + 2 * 5);
    assert_int_equal(again, n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            assert_false(str_eq(seen[i], seen[k]));
    prom_proto_release(&p);
    arena_release(&a);
}

static void labels_in_two_places_are_brought_together(void **state)
{
    (void)state;
    AUTO_BUF body = {0};
    AUTO_BUF family = {0};
    AUTO_BUF metric = {0};
    proto_append_bytes(&family, 1, STR("a"));
    put_pair(&metric, "x", "1");
    put_value(&metric, 3, 2);
    put_pair(&metric, "b", "");
    put_message(&family, 4, &metric);
    proto_append_varint(&body, family.n);
    buf_str(&body, buf_view(&family));
    expect(&body, &plain, "[a counter  ]\n{__name__=\"a\", b=\"\", x=\"1\"} 2\n");
}

static void expect_error(int type, uint32_t field, const struct buf *value, const char *name, const char *want)
{
    AUTO_BUF body = {0};
    put_family(&body, name, type, field, value, 1);
    expect(&body, &plain, want);
}

static void errors_are_the_originals(void **state)
{
    (void)state;
    AUTO_BUF v = {0};
    put_double(&v, 1, 1);
    expect_error(COUNTER, 3, &v, "x\xff", "error: invalid metric name: x\xff");
    expect_error(9, 3, &v, "a", "error: unknown metric type for metric \"a\": 9");
    expect_error(GAUGE, 1, &v, "a", "[a gauge seconds help me]\nerror: proto: wrong wireType = 1 for field Name");
    buf_clear(&v);
    proto_append_u64(&v, 1, 5);
    expect_error(COUNTER, 3, &v, "a", "error: proto: wrong wireType = 0 for field Value");
    buf_clear(&v);
    put_span(&v, 12, 0, 2);
    expect_error(
        HISTOGRAM, 7, &v, "a",
        "[a histogram seconds help me]\nerror: histogram \"a\": positive side: spans require 2 buckets, have 0");
    AUTO_BUF cut = {0};
    buf_append(&cut, "\x05\x0a\x01", 3);
    expect(&cut, &plain, "error: clientpb: insufficient length of buffer, expected at least 6 bytes, got 3 bytes");
    buf_clear(&cut);
    buf_append(&cut, "\x03\x0a\x05\x61", 4);
    expect(&cut, &plain, "error: unexpected EOF");
    expect(&(struct buf){0}, &plain, "");
}

/* A message that looks like the plain one of another type, but for its tag. */
static void plain_metrics_have_their_own_tag(void **state)
{
    (void)state;
    for (int type = COUNTER; type <= GAUGE_HISTOGRAM; type++) {
        AUTO_BUF body = {0};
        AUTO_BUF family = {0};
        proto_append_bytes(&family, 1, STR("a"));
        proto_append_u64(&family, 3, (uint64_t)type);
        proto_append_bytes(&family, 4, STR("\x00\x09\x09\0\0\0\0\0\0\0\0"));
        proto_append_varint(&body, family.n);
        buf_str(&body, buf_view(&family));
        expect(&body, &plain, "error: proto: Metric: illegal tag 0 (wire type 0)");
    }
}

static void a_family_without_metrics_is_not_there(void **state)
{
    (void)state;
    AUTO_BUF body = {0};
    AUTO_BUF v = {0};
    put_family(&body, "", 77, 3, &v, 0);
    put_double(&v, 1, 1);
    put_family(&body, "b", COUNTER, 3, &v, 1);
    expect(&body, &plain, "[b counter seconds help me]\n{__name__=\"b\"} 1\n");
}

/* ---- prediction ---- */

/* Metrics of the usual form, and the others that a page has: no value, a time, a unit, a summary. */
static void put_plain(struct buf *body, const char *name, int type, const char *help, const char *x, double value)
{
    static const uint32_t fields[] = {[COUNTER] = 3, [GAUGE] = 2, [UNTYPED] = 5};
    AUTO_BUF family = {0};
    proto_append_bytes(&family, 1, str_c(name));
    proto_append_bytes(&family, 2, str_c(help));
    proto_append_tag(&family, 3, PROTO_VARINT);
    proto_append_varint(&family, (uint64_t)type);
    for (int i = 0; i < 3; i++) {
        AUTO_BUF metric = {0};
        char number[2] = {(char)('0' + i), '\0'};
        put_pair(&metric, "n", number);
        if (i)
            put_pair(&metric, "x", x);
        put_value(&metric, fields[type], value + i);
        put_message(&family, 4, &metric);
    }
    proto_append_varint(body, family.n);
    buf_str(body, buf_view(&family));
}

#define LONG_TEXT                                                                                                      \
    "a text of more than a hundred and twenty-eight bytes, whose length therefore takes two of them, as does that of " \
    "whatever message it is in"

struct memory {
    struct str raw[ENTRIES_MAX];
    enum prom_proto_kind kind[ENTRIES_MAX];
    size_t n;
};

/* What is on a page as text, or the error alone. With what was read before it is predicted as far as that goes; else it
 * is remembered. */
static unsigned read_as(struct str body, struct memory *m, bool predict, struct arena *a, struct buf *out)
{
    struct prom_proto p = {0};
    struct prom_proto_entry e;
    struct diag d = {0};
    unsigned predicted = 0;
    buf_clear(out);
    buf_c(out, "");
    prom_proto_init(&p, body, &plain, a);
    for (size_t i = 0;; i++) {
        struct str hint = predict && i < m->n ? m->raw[i] : STR_NONE;
        e = (struct prom_proto_entry){.raw = hint};
        bool family = hint.n && m->kind[i] == PROM_PROTO_FAMILY;
        e.kind = family ? PROM_PROTO_FAMILY : PROM_PROTO_SERIES;
        if (hint.n && (family ? prom_proto_predict_family(&p, hint)
                              : prom_proto_predict_series(&p, hint, &e.value, &e.start_ms))) {
            predicted++;
        } else {
            prom_proto_expect(&p, hint);
            if (prom_proto_next(&p, &e, &d) || e.kind == PROM_PROTO_EOF)
                break;
        }
        if (!predict && i < ENTRIES_MAX) {
            m->raw[m->n] = str_dup(a, e.raw);
            m->kind[m->n++] = e.kind;
        }
        print_entry(out, &e, a, &d);
        if (d.text[0])
            break;
        buf_char(out, '\n');
    }
    if (d.text[0]) {
        buf_clear(out);
        buf_c(out, d.text);
    }
    prom_proto_release(&p);
    return predicted;
}

/* The page, predicted from another, says the same as read without knowing any. */
static unsigned predict_from(const struct memory *m, struct str body)
{
    struct memory unused = {0}, known = *m;
    struct arena a = {0};
    AUTO_BUF want = {0};
    AUTO_BUF got = {0};
    read_as(body, &unused, false, &a, &want);
    unsigned predicted = read_as(body, &known, true, &a, &got);
    assert_string_equal(got.p, want.p);
    arena_release(&a);
    return predicted;
}

static void put_page(struct buf *body)
{
    put_plain(body, "a", GAUGE, "Help.", "1", 5);
    put_plain(body, "a_total", COUNTER, LONG_TEXT, LONG_TEXT, -0.5);
    put_plain(body, "u", UNTYPED, "", "", 1e300);
}

static void put_summary(struct buf *to, uint64_t count)
{
    AUTO_BUF quantile = {0};
    proto_append_u64(to, 1, count);
    put_double(to, 2, 7.5);
    put_double(&quantile, 1, 0.5);
    put_double(&quantile, 2, (double)count);
    put_message(to, 3, &quantile);
}

/* Metrics of more than one series, and with a start. */
static void put_points(struct buf *body, uint64_t count, uint64_t start)
{
    AUTO_BUF counter = {0};
    AUTO_BUF summary = {0};
    AUTO_BUF histogram = {0};
    AUTO_BUF native = {0};
    put_double(&counter, 1, (double)count);
    put_stamp(&counter, 3, start);
    put_family_of(body, "c_total", COUNTER, 3, &counter, 2, NULL);
    put_summary(&summary, count);
    put_family_of(body, "s", SUMMARY, 4, &summary, 2, NULL);
    proto_append_u64(&histogram, 1, 3 * count);
    put_double(&histogram, 2, 7.5);
    put_bucket(&histogram, 1, count, NULL, 0);
    put_bucket(&histogram, 2.5, 2 * count, "abc", 1700000000);
    put_bucket(&histogram, 5, 3 * count, NULL, 0);
    put_stamp(&histogram, 15, start);
    put_family_of(body, "h", HISTOGRAM, 7, &histogram, 2, NULL);
    put_native(&native);
    put_family_of(body, "n", HISTOGRAM, 7, &native, 1, NULL);
}

static void remember(struct memory *m, const struct buf *body, struct arena *a)
{
    AUTO_BUF text = {0};
    read_as(buf_view(body), m, false, a, &text);
}

static void a_page_like_the_last_is_predicted_whole(void **state)
{
    (void)state;
    struct memory m = {0};
    struct arena a = {0};
    AUTO_BUF body = {0};
    put_page(&body);
    remember(&m, &body, &a);
    assert_int_equal(m.n, 12);
    assert_int_equal(predict_from(&m, buf_view(&body)), 12);
    buf_clear(&body);
    put_plain(&body, "a", GAUGE, "Help.", "1", 7);
    put_plain(&body, "a_total", COUNTER, LONG_TEXT, LONG_TEXT, 7e-300);
    put_plain(&body, "u", UNTYPED, "", "", 0);
    assert_int_equal(predict_from(&m, buf_view(&body)), 12);
    arena_release(&a);
}

/* Read are the two buckets with an exemplar, and the native histogram. */
static void series_of_one_metric_are_predicted_one_by_one(void **state)
{
    (void)state;
    static const uint64_t counts[] = {1, 127, 128, 1u << 21, 1ull << 55, 1ull << 63};
    struct memory m = {0};
    struct arena a = {0};
    AUTO_BUF body = {0};
    put_points(&body, 1, 1700000000);
    remember(&m, &body, &a);
    assert_int_equal(m.n, 3 + 7 + 13 + 2);
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        buf_clear(&body);
        put_points(&body, counts[i], 1700000000 + i);
        assert_int_equal(predict_from(&m, buf_view(&body)), m.n - 3);
    }
    arena_release(&a);
}

static void a_start_is_a_start_in_any_spelling(void **state)
{
    (void)state;
    static const struct str stamps[] = {
        STR(""),
        STR("\x08\x05"),
        STR("\x08\x80\x00"),
        STR("\x08\x80\x80\x80\x80\x80\x01"),
        STR("\x10\x05"),
        STR("\x08\x01\x08\x02"),
        STR("\x10\x05\x08\x01"),
        STR("\x08\x01\x10\xff\xff\xff\xff\x0f"),
        STR("\x08"),
        STR("\x08\x80"),
        STR("\x08\x01\x10"),
        STR("\x08\x01\x18\x01"),
        STR("\x08\x01\x10\x80\x80\x80\x80"),
    };
    struct memory m = {0};
    struct arena a = {0};
    AUTO_BUF body = {0};
    put_points(&body, 1, 1700000000);
    remember(&m, &body, &a);
    for (size_t i = 0; i < 2 * COUNT_OF(stamps); i++) {
        AUTO_BUF counter = {0};
        buf_clear(&body);
        put_double(&counter, 1, 9);
        proto_append_bytes(&counter, 3, stamps[i / 2]);
        put_family_of(&body, "c_total", COUNTER, 3, &counter, 2, NULL);
        if (i % 2) /* else the page ends here */
            put_family_of(&body, "d_total", COUNTER, 3, &counter, 1, NULL);
        predict_from(&m, buf_view(&body));
    }
    arena_release(&a);
}

static unsigned predict_changed(const struct memory *m, int type, const char *help, const char *x)
{
    AUTO_BUF body = {0};
    put_plain(&body, "a", type, help, x, 5);
    put_plain(&body, "a_total", COUNTER, LONG_TEXT, LONG_TEXT, 0);
    put_plain(&body, "u", UNTYPED, "", "", 0);
    return predict_from(m, buf_view(&body));
}

/* The families are read past a difference: a family's head that differs costs its first metric too. */
static void what_differs_is_read(void **state)
{
    (void)state;
    struct memory m = {0};
    struct arena a = {0};
    AUTO_BUF body = {0};
    put_page(&body);
    remember(&m, &body, &a);
    assert_int_equal(predict_changed(&m, GAUGE, "Help.", "2"), 10);
    assert_int_equal(predict_changed(&m, GAUGE, "Help.", "12"), 10);
    assert_int_equal(predict_changed(&m, GAUGE, "Helm.", "1"), 10);
    assert_int_equal(predict_changed(&m, COUNTER, "Help.", "1"), 10);
    assert_int_equal(predict_changed(&m, UNTYPED, "Help.", "1"), 10);
    assert_int_equal(predict_changed(&m, GAUGE, LONG_TEXT, LONG_TEXT), 8);
    buf_clear(&body);
    put_plain(&body, "u", UNTYPED, "", "", 0);
    put_plain(&body, "a_total", COUNTER, LONG_TEXT, LONG_TEXT, 0);
    put_plain(&body, "a", GAUGE, "Help.", "1", 5);
    assert_int_equal(predict_from(&m, buf_view(&body)), 4);
    arena_release(&a);
}

/* As the first family, of one metric {n="0"}, but for what is behind the value or behind the metrics. */
static void predict_family_of(const struct memory *m, const struct buf *value, uint64_t ts_ms, const char *unit,
                              unsigned want)
{
    AUTO_BUF body = {0};
    AUTO_BUF family = {0};
    AUTO_BUF metric = {0};
    proto_append_bytes(&family, 1, STR("a"));
    proto_append_bytes(&family, 2, STR("Help."));
    proto_append_u64(&family, 3, GAUGE);
    put_pair(&metric, "n", "0");
    put_message(&metric, 2, value);
    proto_append_u64(&metric, 6, ts_ms);
    put_message(&family, 4, &metric);
    if (unit)
        proto_append_bytes(&family, 5, str_c(unit));
    proto_append_varint(&body, family.n);
    buf_str(&body, buf_view(&family));
    assert_int_equal(predict_from(m, buf_view(&body)), want);
}

static void what_has_more_than_a_value_is_read(void **state)
{
    (void)state;
    struct memory m = {0};
    struct arena a = {0};
    AUTO_BUF page = {0};
    AUTO_BUF value = {0};
    put_page(&page);
    remember(&m, &page, &a);
    predict_family_of(&m, &value, 0, NULL, 1);
    put_double(&value, 1, 3);
    predict_family_of(&m, &value, 0, NULL, 2);
    predict_family_of(&m, &value, 1700000000000, NULL, 1);
    predict_family_of(&m, &value, 0, "seconds", 0);
    predict_family_of(&m, &value, 0, "", 0);
    put_double(&value, 1, 4);
    predict_family_of(&m, &value, 0, NULL, 1);
    arena_release(&a);
}

static void predict_damaged(struct buf *body)
{
    static const uint8_t flips[] = {1, 2, 0x80, 0xff};
    struct memory m = {0};
    struct arena a = {0};
    remember(&m, body, &a);
    for (size_t i = 0; i < body->n; i++) {
        char *cut = mem_strndup(body->p, i); /* of its own, for the sanitizer */
        predict_from(&m, str_from(cut, i));
        free(cut);
        for (size_t k = 0; k < COUNT_OF(flips); k++) {
            body->p[i] = (char)(body->p[i] ^ flips[k]);
            predict_from(&m, buf_view(body));
            body->p[i] = (char)(body->p[i] ^ flips[k]);
        }
    }
    arena_release(&a);
}

static void no_damage_is_predicted_away(void **state)
{
    (void)state;
    AUTO_BUF body = {0};
    put_page(&body);
    predict_damaged(&body);
    buf_clear(&body);
    put_points(&body, 300, 1700000000);
    predict_damaged(&body);
}

static void any_bytes_may_be_called_raw(void **state)
{
    (void)state;
    struct arena a = {0};
    struct labels l;
    struct family f;
    const struct str bytes[] = {
        STR(""), STR("a"), STR("a\xff"), STR("a\xffl\0\0"), STR("a\xff\0\x0a\x7f"), STR("\xff\xff\xff")};
    for (size_t i = 0; i < COUNT_OF(bytes); i++) {
        struct diag d = {0};
        assert_int_equal(prom_proto_labels(bytes[i], &a, &l, &d), ERR_SYNTAX);
        assert_true(d.text[0] != '\0');
        prom_proto_family(bytes[i], &f);
    }
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_and_gauges),
        cmocka_unit_test(a_summary_is_count_sum_and_quantiles),
        cmocka_unit_test(a_classic_histogram_gets_its_last_bucket),
        cmocka_unit_test(a_native_histogram_with_and_without_its_classic_form),
        cmocka_unit_test(gauge_histograms_say_so),
        cmocka_unit_test(raw_bytes_are_an_identity),
        cmocka_unit_test(labels_in_two_places_are_brought_together),
        cmocka_unit_test(errors_are_the_originals),
        cmocka_unit_test(plain_metrics_have_their_own_tag),
        cmocka_unit_test(a_family_without_metrics_is_not_there),
        cmocka_unit_test(a_page_like_the_last_is_predicted_whole),
        cmocka_unit_test(series_of_one_metric_are_predicted_one_by_one),
        cmocka_unit_test(a_start_is_a_start_in_any_spelling),
        cmocka_unit_test(what_differs_is_read),
        cmocka_unit_test(what_has_more_than_a_value_is_read),
        cmocka_unit_test(no_damage_is_predicted_away),
        cmocka_unit_test(any_bytes_may_be_called_raw),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
