/* prom_proto: from messages to the series that a text page of the same content would have.
 *
 *   NEXT_FAMILY --FAMILY--> START_METRIC --SERIES-----------------------------> NEXT_METRIC --> START_METRIC
 *        ^                    |      \                                             ^   \
 *        |                    |       `-- FIELDS: SERIES count, sum, points.. -----'    `-- no more: NEXT_FAMILY
 *        |                    |                        |  (convert_classic)        ^
 *        |                    |                        `-> CONVERT --HISTOGRAM-----'
 *        |                    `--HISTOGRAM-> AFTER_NATIVE -- (keep_classic) -> FIELDS
 *
 * A family's unit, and in principle its name, may stand behind its metrics: the family message is walked once for what
 * is not a metric, then again from metric to metric. Families without metrics are not there, whatever else is wrong
 * with them. The first metric is read before the family's name is judged; both as the original does.
 *
 * A family's raw is a MetricFamily message again, of name, help, type and, if it has one, unit, in this order and
 * nothing else: what stands in front of the metrics of a family without a unit, as every encoder writes it.
 * A series' raw is made in scratch memory for each series anew, with three copies; from one bucket to the next only the
 * eight bytes of the bound change. Where the reader said what to expect, the parts are compared with that instead, and
 * nothing is made. A family that is as expected was found good before.
 *
 * The predict functions (prom_proto_predict.c) leave the cursor where prom_proto_next goes on from: what they do not
 * take is untouched, or has only been read.
 *
 * Where the original (3.15, model/textparse/protobufparse.go) loses something, leadline does not: an untyped metric
 * without a value field is 0 and not the value of the untyped metric before; of several native histograms in one family
 * each has its exemplars, not only the first; spans and buckets are compared in each of them.
 *
 * Scratch memory is bounded by the family message: 32 bytes for a bucket that takes at least two.
 */
#include "format/prom_proto.h"

#include <endian.h>
#include <math.h>
#include <stdlib.h>

#include "base/num.h"
#include "base/quote.h"
#include "format/exposition_int.h"
#include "format/histogram_buckets.h"
#include "format/prom_proto_int.h"
#include "wire/proto.h"

enum {
    NEXT_METRIC = PROM_PROTO_AT_METRIC,
    NEXT_FAMILY = PROM_PROTO_AT_FAMILY,
    START_METRIC,
    FIELDS,
    AFTER_NATIVE,
    CONVERT
};
enum { FIELD_COUNT, FIELD_SUM, FIELD_POINT };

#define SEPARATOR    '\xff'
#define BOUND_NONE   '\0'
#define BOUND_LE     'l'
#define BOUND_QUANT  'q'
#define BOUND_SIZE   8u
#define LENGTH_BYTES 5 /* of a family's length at most */

void prom_proto_init(struct prom_proto *p, struct str body, const struct prom_proto_options *options,
                     struct arena *arena)
{
    p->p = (const uint8_t *)body.p;
    p->end = body.n ? p->p + body.n : p->p;
    p->options = *options;
    p->arena = arena;
    p->state = NEXT_FAMILY;
    p->metric = p->family_end = NULL;
    p->name = STR_NONE;
    p->value_tag = 0;
    p->bound = 0;
    p->expect = STR_NONE;
}

static void release_side(struct prom_proto_side *s)
{
    free(s->spans.v);
    free(s->deltas.v);
    free(s->counts.v);
}

void prom_proto_release(struct prom_proto *p)
{
    if (p->native) {
        release_side(&p->native->positive);
        release_side(&p->native->negative);
        free(p->native->exemplars);
        free(p->native);
    }
    free(p->points);
    nhcb_release(&p->nhcb);
    buf_release(&p->raw);
    buf_release(&p->gathered);
    *p = (struct prom_proto){0};
}

/* ---- families ---------------------------------------------------------------------------------------------------- */

static bool is_histogram(const struct prom_proto *p)
{
    return p->type == MT_HISTOGRAM || p->type == MT_GAUGE_HISTOGRAM;
}

static enum err family_message(struct prom_proto *p, struct str *out, struct diag *d)
{
    const uint8_t *at = p->p;
    uint64_t n = 0;
    int shift = 0;
    while (at < p->end && *at >= 128 && shift < 7 * (LENGTH_BYTES - 1)) {
        n |= (uint64_t)(*at++ & 127) << shift;
        shift += 7;
    }
    if (at == p->end || *at >= 128)
        return diag_set(d, ERR_SYNTAX, "clientpb: invalid varint encountered");
    n |= (uint64_t)*at++ << shift;
    if (n > (uint64_t)(p->end - at))
        return diag_set(d, ERR_SYNTAX,
                        "clientpb: insufficient length of buffer, expected at least %llu bytes, got %zu bytes",
                        (unsigned long long)(n + (uint64_t)(at - p->p)), (size_t)(p->end - p->p));
    *out = str_from((const char *)at, (size_t)n);
    p->p = at + n;
    return OK;
}

static void note_metric(struct prom_proto *p, const struct wire *w, const uint8_t *tag)
{
    if (!p->metric)
        p->metric = tag;
    p->family_end = w->p;
}

/* All but the metrics, of which it is only told where they stand. */
static enum err read_family(struct prom_proto *p, struct str bytes, struct diag *d)
{
    struct wire w = wire_of(bytes, "MetricFamily", d);
    struct str metric;
    uint64_t v;
    enum err err;
    p->metric = p->family_end = NULL;
    p->name = STR("");
    p->help = STR("");
    p->unit = STR("");
    p->type = 0;
    for (;;) {
        const uint8_t *from = w.p;
        w.p = prom_proto_skip_metrics(w.p, w.end);
        if (w.p != from)
            note_metric(p, &w, from);
        if ((err = wire_next(&w)))
            break;
        switch (w.field) {
        case 1:
            err = wire_bytes(&w, "Name", &p->name);
            break;
        case 2:
            err = wire_bytes(&w, "Help", &p->help);
            break;
        case 3:
            if (!(err = wire_varint(&w, "Type", &v)))
                p->type = (int32_t)(uint32_t)v;
            break;
        case 4:
            err = wire_bytes(&w, "Metric", &metric);
            note_metric(p, &w, w.tag);
            break;
        case 5:
            err = wire_bytes(&w, "Unit", &p->unit);
            break;
        default:
            err = wire_skip(&w);
        }
        if (err)
            return err;
    }
    return err == ERR_EOF ? OK : err;
}

/* Reads the next metric of the family; ERR_EOF: there is none. */
static enum err next_metric(struct prom_proto *p, struct diag *d)
{
    struct str metric;
    if (prom_proto_metric_at(p->metric, p->family_end, &metric)) {
        p->metric = (const uint8_t *)metric.p + metric.n;
        return prom_proto_metric(p, metric, d);
    }
    struct wire w = {.p = p->metric, .end = p->family_end, .message = "MetricFamily", .d = d};
    enum err err;
    while ((err = wire_next(&w)) == OK) {
        if (w.field == 4) {
            if ((err = wire_bytes(&w, "Metric", &metric)))
                return err;
            p->metric = w.p;
            return prom_proto_metric(p, metric, d);
        }
        if ((err = wire_skip(&w)))
            return err;
    }
    return err;
}

static enum err fail_named(const struct prom_proto *p, struct diag *d, const char *before, const char *middle,
                           struct str after)
{
    AUTO_BUF name = {0};
    buf_quote(&name, p->name);
    return diag_set(d, ERR_SYNTAX, "%s%s%s%.*s", before, name.p, middle, STR_ARGS(after));
}

static enum err check_family(const struct prom_proto *p, struct diag *d)
{
    char number[24];
    if (p->name.n == 0 || !str_is_utf8(p->name))
        return diag_set(d, ERR_SYNTAX, "invalid metric name: %.*s", STR_ARGS(p->name));
    if (!str_is_utf8(p->help))
        return fail_named(p, d, "invalid help for metric ", ": ", p->help);
    if (p->type < 0 || p->type >= MT_END)
        return fail_named(p, d, "unknown metric type for metric ", ": ",
                          str_from(number, num_print_i64(p->type, number)));
    return OK;
}

/* One field of an expected raw, written as proto_append_bytes does. */
static bool match_bytes(struct str *expect, uint8_t tag, struct str bytes)
{
    uint8_t head[1 + 10] = {tag};
    size_t n = (size_t)(proto_put_varint(head + 1, bytes.n) - head);
    if (expect->n < n + bytes.n || memcmp(expect->p, head, n) != 0 || memcmp(expect->p + n, bytes.p, bytes.n) != 0)
        return false;
    *expect = str_from(expect->p + n + bytes.n, expect->n - n - bytes.n);
    return true;
}

/* Whether make_family_raw would give the expected bytes. They were made from a family that was fine, so this one is. */
static bool is_expected_family(const struct prom_proto *p)
{
    struct str expect = p->expect;
    size_t both = p->name.n + p->help.n + 4;
    if (LIKELY(p->name.n < 128 && p->help.n < 128 && p->help.p == p->name.p + p->name.n + 2 && expect.n > both)) {
        if (memcmp(expect.p, p->name.p - 2, both) != 0) /* with their tags and lengths, as most encoders write them */
            return false;
        expect = str_from(expect.p + both, expect.n - both);
    } else if (!match_bytes(&expect, 0x0a, p->name) || !match_bytes(&expect, 0x12, p->help)) {
        return false;
    }
    if (p->type < 0 || p->type >= MT_END || expect.n < 2 || expect.p[0] != 0x18 || expect.p[1] != p->type)
        return false;
    expect = str_from(expect.p + 2, expect.n - 2);
    return (p->unit.n == 0 || match_bytes(&expect, 0x2a, p->unit)) && expect.n == 0;
}

static void make_family_raw(struct prom_proto *p)
{
    buf_clear(&p->raw);
    proto_append_bytes(&p->raw, 1, p->name);
    proto_append_bytes(&p->raw, 2, p->help);
    proto_append_tag(&p->raw, 3, PROTO_VARINT);
    proto_append_varint(&p->raw, (uint64_t)p->type);
    if (p->unit.n)
        proto_append_bytes(&p->raw, 5, p->unit);
    p->bound = 0;
}

/* The next family that has a metric, and that metric. ERR_EOF: none. */
static enum err next_family(struct prom_proto *p, struct diag *d)
{
    p->metric = NULL;
    while (!p->metric) {
        struct str message;
        if (p->p == p->end)
            return ERR_EOF;
        enum err err = family_message(p, &message, d);
        if (!err)
            err = read_family(p, message, d);
        if (err)
            return err;
    }
    p->value_tag = prom_proto_value_tag(p->type);
    return next_metric(p, d);
}

static enum err family_entry(struct prom_proto *p, struct prom_proto_entry *out, struct diag *d)
{
    *out = (struct prom_proto_entry){.kind = PROM_PROTO_FAMILY, .raw = p->expect};
    out->expected = is_expected_family(p);
    if (out->expected)
        return OK;
    enum err err = check_family(p, d);
    if (err)
        return err;
    make_family_raw(p);
    out->raw = buf_view(&p->raw);
    return OK;
}

void prom_proto_family(struct str raw, struct family *out)
{
    static const enum metric_type types[] = {
        [MT_COUNTER] = TYPE_COUNTER, [MT_GAUGE] = TYPE_GAUGE,         [MT_SUMMARY] = TYPE_SUMMARY,
        [MT_UNTYPED] = TYPE_UNKNOWN, [MT_HISTOGRAM] = TYPE_HISTOGRAM, [MT_GAUGE_HISTOGRAM] = TYPE_GAUGE_HISTOGRAM,
    };
    struct proto_reader r = proto_read(raw);
    struct proto_field f;
    *out = (struct family){.type = TYPE_COUNTER};
    while (proto_next(&r, &f) == OK) {
        if (f.number == 3 && f.type == PROTO_VARINT)
            out->type = f.value < MT_END ? types[f.value] : TYPE_UNKNOWN;
        if (f.type != PROTO_BYTES)
            continue;
        if (f.number == 1)
            out->name = f.bytes;
        else if (f.number == 2)
            out->help = f.bytes;
        else if (f.number == 5)
            out->unit = f.bytes;
    }
}

/* ---- a series' raw ----------------------------------------------------------------------------------------------- */

static void put_bound(char *to, double bound)
{
    uint64_t bits;
    memcpy(&bits, &bound, sizeof(bits));
    bits = htole64(bits);
    memcpy(to, &bits, sizeof(bits));
}

static void make_raw(struct prom_proto *p, struct str suffix, char kind, double bound)
{
    size_t n = p->name.n + suffix.n + 2 + (kind ? BOUND_SIZE : 0) + p->labels.n;
    buf_clear(&p->raw);
    buf_reserve(&p->raw, n);
    char *to = p->raw.p;
    memcpy(to, p->name.p, p->name.n);
    to += p->name.n;
    memcpy(to, suffix.p, suffix.n);
    to += suffix.n;
    *to++ = SEPARATOR;
    *to++ = kind;
    p->bound = kind ? (size_t)(to - p->raw.p) : 0;
    if (kind) {
        put_bound(to, bound);
        to += BOUND_SIZE;
    }
    if (p->labels.n)
        memcpy(to, p->labels.p, p->labels.n);
    p->raw.n = n;
    p->raw.p[n] = '\0';
}

/* Whether make_raw would give the expected bytes. */
static inline __attribute__((always_inline)) bool is_expected(const struct prom_proto *p, struct str suffix, char kind,
                                                              double bound)
{
    size_t bound_n = kind ? BOUND_SIZE : 0;
    char bits[BOUND_SIZE];
    if (p->expect.n != p->name.n + suffix.n + 2 + bound_n + p->labels.n)
        return false;
    const char *at = p->expect.p + p->name.n;
    if (memcmp(at, suffix.p, suffix.n) != 0 || at[suffix.n] != SEPARATOR || at[suffix.n + 1] != kind)
        return false;
    at += suffix.n + 2;
    put_bound(bits, bound);
    if (bound_n && memcmp(at, bits, BOUND_SIZE) != 0)
        return false;
    return memcmp(p->expect.p, p->name.p, p->name.n) == 0 &&
           (p->labels.n == 0 || memcmp(at + bound_n, p->labels.p, p->labels.n) == 0);
}

struct str prom_proto_name(struct str raw)
{
    const char *end = raw.n ? memchr(raw.p, SEPARATOR, raw.n) : NULL;
    return end ? str_from(raw.p, (size_t)(end - raw.p)) : raw;
}

static enum err read_label(struct wire *in, struct label *out)
{
    struct str bytes;
    enum err err = wire_bytes(in, "Label", &bytes);
    if (err)
        return err;
    struct wire w = wire_of(bytes, "LabelPair", in->d);
    *out = (struct label){STR(""), STR("")};
    while ((err = wire_next(&w)) == OK) {
        if (w.field == 1) {
            if (!(err = wire_bytes(&w, "Name", &out->name)) && (out->name.n == 0 || !str_is_utf8(out->name)))
                err = diag_set(w.d, ERR_SYNTAX, "invalid label name: %.*s", STR_ARGS(out->name));
        } else if (w.field == 2) {
            if (!(err = wire_bytes(&w, "Value", &out->value)) && !str_is_utf8(out->value))
                err = diag_set(w.d, ERR_SYNTAX, "invalid label value: %.*s", STR_ARGS(out->value));
        } else {
            err = wire_skip(&w);
        }
        if (err)
            return err;
    }
    return err == ERR_EOF ? OK : err;
}

/* Name and bound into v; *rest: the label fields. */
static bool take_head(struct str raw, struct arena *a, struct label *v, uint32_t *n, struct str *rest)
{
    struct str name = prom_proto_name(raw);
    double bound = 0;
    if (name.n + 2 > raw.n)
        return false;
    char kind = raw.p[name.n + 1];
    size_t head = name.n + 2 + (kind == BOUND_NONE ? 0 : BOUND_SIZE);
    if ((kind != BOUND_NONE && kind != BOUND_LE && kind != BOUND_QUANT) || head > raw.n)
        return false;
    v[(*n)++] = (struct label){LABEL_NAME, name};
    if (kind != BOUND_NONE) {
        uint64_t bits = 0;
        for (unsigned i = 0; i < BOUND_SIZE; i++)
            bits |= (uint64_t)(uint8_t)raw.p[name.n + 2 + i] << (8 * i);
        memcpy(&bound, &bits, sizeof(bound));
        v[(*n)++] = (struct label){kind == BOUND_LE ? STR("le") : STR("quantile"), expo_print_label_number(bound, a)};
    }
    *rest = str_from(raw.p + head, raw.n - head);
    return true;
}

/* A pair without a name: the original reads it, and refuses the series then. */
static enum err fail_unnamed(struct labels l, struct diag *d)
{
    AUTO_BUF text = {0};
    labels_print(l, &text);
    return diag_set(d, ERR_SYNTAX, "invalid metric name or label names: %s", text.p);
}

enum err prom_proto_labels(struct str raw, struct arena *a, struct labels *out, struct diag *d)
{
    size_t most = 3;
    struct label *v;
    struct str rest;
    uint32_t n = 0;
    enum err err;
    *out = (struct labels){0};
    struct label head[2];
    if (!take_head(raw, a, head, &n, &rest))
        return diag_set(d, ERR_SYNTAX, "not the raw bytes of a series");
    struct wire count = wire_of(rest, "Metric", NULL);
    while (wire_next(&count) == OK && wire_skip(&count) == OK)
        most++;
    v = ARENA_ARRAY(a, struct label, most);
    memcpy(v, head, sizeof(*v) * n);
    struct wire w = wire_of(rest, "Metric", d);
    while ((err = wire_next(&w)) == OK)
        if ((err = w.field == 1 ? read_label(&w, &v[n++]) : wire_skip(&w)))
            return err;
    if (err != ERR_EOF)
        return err;
    err = expo_sort_labels(v, &n, d);
    *out = (struct labels){v, n};
    if (n > 0 && v[0].name.n == 0)
        return fail_unnamed(*out, d);
    return err;
}

/* ---- entries ----------------------------------------------------------------------------------------------------- */

/* The same but for the bound, where only the bound has changed since the last one was made. */
static void make_next_raw(struct prom_proto *p, struct str suffix, char kind, double bound, bool again)
{
    if (again && p->bound)
        put_bound(p->raw.p + p->bound, bound);
    else
        make_raw(p, suffix, kind, bound);
}

static inline __attribute__((always_inline)) void new_entry(struct prom_proto *p, enum prom_proto_kind kind,
                                                            struct str suffix, char bound_kind, double bound,
                                                            bool again, struct prom_proto_entry *out)
{
    /* one by one: to clear the whole first takes as long as all the rest */
    out->kind = kind;
    out->has_ts = p->ts_ms != 0;
    out->converted = false;
    out->expected = is_expected(p, suffix, bound_kind, bound);
    out->raw = p->expect;
    out->value = 0;
    out->ts_ms = p->ts_ms;
    out->start_ms = p->start_ms;
    out->histogram = NULL;
    out->exemplars = NULL;
    out->n_exemplars = 0;
    if (out->expected) {
        p->bound = 0;
        return;
    }
    make_next_raw(p, suffix, bound_kind, bound, again);
    out->raw = buf_view(&p->raw);
}

static void add_exemplar(struct prom_proto *p, struct str message, struct prom_proto_entry *out)
{
    if (!message.p || !p->options.exemplars)
        return;
    struct exemplar *x = ARENA_NEW(p->arena, struct exemplar);
    prom_proto_exemplar(message, p->arena, x);
    out->exemplars = x;
    out->n_exemplars = 1;
}

/* A histogram's own, or else those of its buckets; those that have a time. */
static void add_histogram_exemplars(struct prom_proto *p, struct prom_proto_entry *out)
{
    bool own = p->native->n_exemplars > 0;
    size_t n = own ? p->native->n_exemplars : p->n_points, kept = 0, there = 0;
    for (size_t i = 0; i < n; i++)
        there += (own ? p->native->exemplars[i].p : p->points[i].exemplar.p) != NULL;
    if (there == 0 || !p->options.exemplars)
        return;
    struct exemplar *v = ARENA_ARRAY(p->arena, struct exemplar, there);
    for (size_t i = 0; i < n; i++) {
        struct str message = own ? p->native->exemplars[i] : p->points[i].exemplar;
        if (!message.p)
            continue;
        prom_proto_exemplar(message, p->arena, &v[kept]);
        kept += v[kept].has_ts;
    }
    exemplars_sort(v, (uint32_t)kept);
    out->exemplars = v;
    out->n_exemplars = (uint32_t)kept;
}

static void simple_series(struct prom_proto *p, struct prom_proto_entry *out)
{
    new_entry(p, PROM_PROTO_SERIES, STR(""), BOUND_NONE, 0, false, out);
    out->value = p->value;
    add_exemplar(p, p->exemplar, out);
    p->state = NEXT_METRIC;
}

/* A series of a summary or classic histogram. */
struct field {
    struct str suffix;
    char kind;
    bool done; /* no other behind it */
    double bound, value;
    struct str exemplar;
};

/* The next one. */
static inline __attribute__((always_inline)) struct field field_of(const struct prom_proto *p)
{
    bool histogram = is_histogram(p);
    size_t i = (size_t)p->field - FIELD_POINT;
    if (p->field == FIELD_COUNT)
        return (struct field){.suffix = STR("_count"), .kind = BOUND_NONE, .value = p->count};
    if (p->field == FIELD_SUM)
        return (struct field){
            .suffix = STR("_sum"), .kind = BOUND_NONE, .value = p->sum, .done = !histogram && p->n_points == 0};
    struct field f = {.bound = INFINITY, .value = p->count};
    if (LIKELY(i < p->n_points))
        f = (struct field){.bound = p->points[i].at, .value = p->points[i].value, .exemplar = p->points[i].exemplar};
    f.suffix = histogram ? STR("_bucket") : STR("");
    f.kind = histogram ? BOUND_LE : BOUND_QUANT;
    f.done = histogram ? f.bound == INFINITY : i + 1 == p->n_points;
    return f;
}

static inline void pass_field(struct prom_proto *p, const struct field *f)
{
    p->field++;
    if (f->done)
        p->state = is_histogram(p) && p->options.convert_classic && !p->is_native ? CONVERT : NEXT_METRIC;
}

static void field_series(struct prom_proto *p, struct prom_proto_entry *out)
{
    struct field f = field_of(p);
    new_entry(p, PROM_PROTO_SERIES, f.suffix, f.kind, f.bound, p->field > FIELD_POINT, out);
    out->value = f.value;
    add_exemplar(p, f.exemplar, out);
    pass_field(p, &f);
}

static void start_fields(struct prom_proto *p)
{
    p->field = FIELD_COUNT;
    p->state = FIELDS;
}

/* ---- histograms -------------------------------------------------------------------------------------------------- */

static bool is_native(const struct prom_proto *p)
{
    const struct prom_proto_native *n = p->native;
    return !p->options.ignore_native &&
           (n->positive.spans.n > 0 || n->negative.spans.n > 0 || n->zero_threshold > 0 || n->zero_count > 0);
}

static enum err check_side(const struct prom_proto *p, const char *name, const struct prom_proto_side *s, bool is_float,
                           struct diag *d)
{
    size_t have = is_float ? s->counts.n : s->deltas.n;
    uint64_t total = 0;
    for (size_t i = 0; i < s->spans.n; i++)
        total += s->spans.v[i].length;
    if (total == have)
        return OK;
    char text[96];
    snprintf(text, sizeof(text), "%s side: spans require %llu buckets, have %zu", name, (unsigned long long)total,
             have);
    return fail_named(p, d, "histogram ", ": ", str_c(text));
}

static struct histogram_buckets copy_side(const struct prom_proto_side *s, bool is_float, struct arena *a)
{
    struct histogram_buckets b = {.n_spans = (uint32_t)s->spans.n};
    b.n = (uint32_t)(is_float ? s->counts.n : s->deltas.n);
    if (b.n_spans)
        b.spans = arena_memdup(a, s->spans.v, sizeof(*s->spans.v) * s->spans.n);
    if (b.n && is_float)
        b.counts = arena_memdup(a, s->counts.v, sizeof(*s->counts.v) * s->counts.n);
    else if (b.n)
        b.deltas = arena_memdup(a, s->deltas.v, sizeof(*s->deltas.v) * s->deltas.n);
    return b;
}

static struct histogram *new_histogram(const struct prom_proto *p, bool is_float)
{
    const struct prom_proto_native *n = p->native;
    struct histogram *h = ARENA_NEW(p->arena, struct histogram);
    *h = (struct histogram){.is_float = is_float,
                            .schema = n->schema,
                            .zero_threshold = n->zero_threshold,
                            .sum = p->sum,
                            .positive = copy_side(&n->positive, is_float, p->arena),
                            .negative = copy_side(&n->negative, is_float, p->arena)};
    if (is_float) {
        h->count_float = n->count_float;
        h->zero_count_float = n->zero_count_float;
    } else {
        h->count_int = n->count;
        h->zero_count_int = n->zero_count;
    }
    histogram_compact(h, 0, p->arena);
    return h;
}

static void histogram_entry(struct prom_proto *p, struct histogram *h, struct prom_proto_entry *out)
{
    if (p->type == MT_GAUGE_HISTOGRAM)
        h->reset = HISTOGRAM_RESET_GAUGE;
    new_entry(p, PROM_PROTO_HISTOGRAM, STR(""), BOUND_NONE, 0, false, out);
    out->histogram = h;
    add_histogram_exemplars(p, out);
}

static enum err native_histogram(struct prom_proto *p, struct prom_proto_entry *out, struct diag *d)
{
    const struct prom_proto_native *n = p->native;
    bool is_float = n->count_float > 0 || n->zero_count_float > 0;
    enum err err = check_side(p, "positive", &n->positive, is_float, d);
    if (!err)
        err = check_side(p, "negative", &n->negative, is_float, d);
    if (err)
        return err;
    histogram_entry(p, new_histogram(p, is_float), out);
    p->state = AFTER_NATIVE;
    return OK;
}

static enum err converted_histogram(struct prom_proto *p, struct prom_proto_entry *out, struct diag *d)
{
    struct histogram *h = ARENA_NEW(p->arena, struct histogram);
    nhcb_reset(&p->nhcb);
    nhcb_set_count(&p->nhcb, p->count);
    nhcb_set_sum(&p->nhcb, p->sum);
    for (size_t i = 0; i < p->n_points; i++)
        nhcb_set_bucket(&p->nhcb, p->points[i].at, p->points[i].value);
    enum err err = nhcb_convert(&p->nhcb, p->arena, h, d);
    if (err)
        return err;
    histogram_entry(p, h, out);
    out->converted = true;
    p->state = NEXT_METRIC;
    return OK;
}

/* ---- the cursor -------------------------------------------------------------------------------------------------- */

/* What the metric that was just read is; nothing of it has been yielded. True: *out is its first entry. */
static bool start_metric(struct prom_proto *p, struct prom_proto_entry *out, enum err *err, struct diag *d)
{
    *err = OK;
    p->is_native = is_histogram(p) && is_native(p);
    if (p->is_native) {
        *err = native_histogram(p, out, d);
        return true;
    }
    if (p->type != MT_SUMMARY && !is_histogram(p)) {
        simple_series(p, out);
        return true;
    }
    bool swallowed = is_histogram(p) && p->options.convert_classic && !p->options.keep_classic;
    start_fields(p);
    if (swallowed)
        p->state = CONVERT;
    return false;
}

/* Up to the fields of the next metric; false: it cannot be read, or is another kind of metric. */
static bool reach_fields(struct prom_proto *p)
{
    const uint8_t *metric = p->metric;
    if (p->state == NEXT_METRIC) {
        if (metric == p->family_end || next_metric(p, NULL) != OK) {
            p->metric = metric; /* prom_proto_next says what is wrong */
            return false;
        }
        p->state = START_METRIC;
    }
    if (p->state == START_METRIC) {
        bool histogram = is_histogram(p);
        p->is_native = histogram && is_native(p);
        if ((p->type != MT_SUMMARY && !histogram) || p->is_native || (histogram && p->options.convert_classic))
            return false;
        start_fields(p);
    }
    return p->state == FIELDS;
}

bool prom_proto_predict_field(struct prom_proto *p, struct str raw, double *value, int64_t *start_ms)
{
    if (UNLIKELY(p->state != FIELDS) && !reach_fields(p))
        return false;
    struct field f = field_of(p);
    p->expect = raw;
    if (p->ts_ms || (f.exemplar.p && p->options.exemplars))
        return false;
    if (!(LIKELY(f.kind == BOUND_LE) ? is_expected(p, STR("_bucket"), BOUND_LE, f.bound)
                                     : is_expected(p, f.suffix, f.kind, f.bound)))
        return false;
    *value = f.value;
    *start_ms = p->start_ms;
    p->bound = 0;
    pass_field(p, &f);
    return true;
}

enum err prom_proto_next(struct prom_proto *p, struct prom_proto_entry *out, struct diag *d)
{
    enum err err = OK;
    for (;;) {
        switch (p->state) {
        case START_METRIC:
            if (start_metric(p, out, &err, d))
                return err;
            break;
        case FIELDS:
            field_series(p, out);
            return OK;
        case CONVERT:
            return converted_histogram(p, out, d);
        case AFTER_NATIVE:
            p->state = NEXT_METRIC;
            if (p->options.keep_classic && p->n_points > 0)
                start_fields(p);
            break;
        case NEXT_METRIC:
            err = next_metric(p, d);
            if (err && err != ERR_EOF)
                return err;
            p->state = err ? NEXT_FAMILY : START_METRIC;
            break;
        default:
            err = next_family(p, d);
            if (err && err != ERR_EOF)
                return err;
            if (err) {
                *out = (struct prom_proto_entry){.kind = PROM_PROTO_EOF};
                return OK;
            }
            p->state = START_METRIC;
            return family_entry(p, out, d);
        }
    }
}
