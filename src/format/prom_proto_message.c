/* prom_proto_message: the messages of metrics.proto, read field by field.
 *
 *   MetricFamily { name 1, help 2, type 3, metric 4 *, unit 5 }
 *   Metric       { label 1 *, gauge 2, counter 3, summary 4, untyped 5, timestamp_ms 6, histogram 7 }
 *   Gauge, Untyped { value 1 }       Counter { value 1, exemplar 2, start_timestamp 3 }
 *   Summary      { sample_count 1, sample_sum 2, quantile 3 * { quantile 1, value 2 }, start_timestamp 4 }
 *   Histogram    { sample_count 1, sample_sum 2, bucket 3 * { cumulative_count 1, upper_bound 2, exemplar 3, .._float 4
 * }, sample_count_float 4, schema 5, zero_threshold 6, zero_count 7, zero_count_float 8, negative: span 9 *, delta 10
 * *, count 11 *, positive: span 12 *, delta 13 *, count 14 *, start_timestamp 15, exemplar 16 * } Exemplar     { label
 * 1 * { name 1, value 2 }, value 2, timestamp 3 { seconds 1, nanos 2 } }
 *
 * What is accepted, and the words for what is not, are those of the code that gogo/protobuf generates for Prometheus:
 * a field of another wire type than its own is an error, an unknown field may be a group, a number is cut to its width,
 * of a field that occurs twice the last one counts and messages are merged. A Metric is read whole, whatever its
 * family's type; what does not belong to that type is checked and forgotten.
 *
 * Labels are not looked into: the run of label fields is kept as it stands. They are looked at where a metric is not
 * known yet (prom_proto_labels).
 */
#include <stdlib.h>

#include "format/prom_proto_int.h"

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_GROUP = 3, WIRE_GROUP_END = 4, WIRE_FIXED32 = 5 };

/* ---- the wire ---------------------------------------------------------------------------------------------------- */

struct wire wire_of(struct str bytes, const char *message, struct diag *d)
{
    const uint8_t *p = (const uint8_t *)bytes.p;
    return (struct wire){.p = p, .end = bytes.n ? p + bytes.n : p, .message = message, .d = d};
}

static enum err cut_off(struct wire *w)
{
    return diag_set(w->d, ERR_SYNTAX, "unexpected EOF");
}

static enum err long_varint(struct wire *w, uint64_t *out)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (w->p == w->end)
            return cut_off(w);
        uint8_t c = *w->p++;
        v |= (uint64_t)(c & 127) << shift;
        if (c < 128) {
            *out = v;
            return OK;
        }
    }
    return diag_set(w->d, ERR_SYNTAX, "proto: integer overflow");
}

static inline enum err varint(struct wire *w, uint64_t *out)
{
    if (LIKELY(w->p < w->end && *w->p < 128)) {
        *out = *w->p++;
        return OK;
    }
    return long_varint(w, out);
}

static enum err bad_tag(struct wire *w, uint64_t tag)
{
    if (w->type == WIRE_GROUP_END)
        return diag_set(w->d, ERR_SYNTAX, "proto: %s: wiretype end group for non-group", w->message);
    return diag_set(w->d, ERR_SYNTAX, "proto: %s: illegal tag %d (wire type %llu)", w->message, (int32_t)w->field,
                    (unsigned long long)tag);
}

enum err wire_next(struct wire *w)
{
    uint64_t tag;
    if (w->p == w->end)
        return ERR_EOF;
    w->tag = w->p;
    enum err err = varint(w, &tag);
    if (UNLIKELY(err != OK))
        return err;
    w->field = (uint32_t)(tag >> 3);
    w->type = tag & 7;
    if (UNLIKELY(w->type == WIRE_GROUP_END || (int32_t)w->field <= 0))
        return bad_tag(w, tag);
    return OK;
}

static enum err wrong_type(struct wire *w, const char *name)
{
    return diag_set(w->d, ERR_SYNTAX, "proto: wrong wireType = %u for field %s", w->type, name);
}

enum err wire_varint(struct wire *w, const char *name, uint64_t *out)
{
    return LIKELY(w->type == WIRE_VARINT) ? varint(w, out) : wrong_type(w, name);
}

static enum err fixed64(struct wire *w, double *out)
{
    if (w->end - w->p < 8)
        return cut_off(w);
    *out = prom_proto_double(w->p);
    w->p += 8;
    return OK;
}

enum err wire_double(struct wire *w, const char *name, double *out)
{
    return LIKELY(w->type == WIRE_FIXED64) ? fixed64(w, out) : wrong_type(w, name);
}

/* A length and that many bytes. */
static enum err counted(struct wire *w, struct str *out)
{
    uint64_t n;
    enum err err = varint(w, &n);
    if (UNLIKELY(err != OK))
        return err;
    if (UNLIKELY(n > (uint64_t)(w->end - w->p)))
        return n > INT64_MAX - (uint64_t)(w->end - w->p)
                   ? diag_set(w->d, ERR_SYNTAX, "proto: negative length found during unmarshaling")
                   : cut_off(w);
    *out = str_from((const char *)w->p, (size_t)n);
    w->p += n;
    return OK;
}

enum err wire_bytes(struct wire *w, const char *name, struct str *out)
{
    return LIKELY(w->type == WIRE_BYTES) ? counted(w, out) : wrong_type(w, name);
}

static enum err skip_fixed(struct wire *w, int n)
{
    if (w->end - w->p < n)
        return cut_off(w);
    w->p += n;
    return OK;
}

enum err wire_skip(struct wire *w)
{
    uint64_t tag = 0, depth = 0;
    struct str unused;
    enum err err = OK;
    w->p = w->tag;
    do {
        if (w->p == w->end)
            return cut_off(w);
        if ((err = varint(w, &tag)))
            return err;
        switch (tag & 7) {
        case WIRE_VARINT:
            err = varint(w, &tag);
            break;
        case WIRE_FIXED64:
            err = skip_fixed(w, 8);
            break;
        case WIRE_BYTES:
            err = counted(w, &unused);
            break;
        case WIRE_GROUP:
            depth++;
            break;
        case WIRE_GROUP_END:
            if (depth == 0)
                return diag_set(w->d, ERR_SYNTAX, "proto: unexpected end of group");
            depth--;
            break;
        case WIRE_FIXED32:
            err = skip_fixed(w, 4);
            break;
        default:
            return diag_set(w->d, ERR_SYNTAX, "proto: illegal wireType %u", (unsigned)(tag & 7));
        }
    } while (!err && depth > 0);
    return err;
}

static enum err ended(enum err err)
{
    return err == ERR_EOF ? OK : err;
}

/* ---- timestamps and exemplars ------------------------------------------------------------------------------------ */

struct stamp {
    int64_t seconds;
    int32_t nanos;
    bool there;
};

static int64_t stamp_ms(const struct stamp *s)
{
    return (int64_t)((uint64_t)s->seconds * 1000 + (uint64_t)(int64_t)(s->nanos / 1000000));
}

static enum err read_stamp(struct wire *in, const char *name, struct stamp *out)
{
    struct str bytes;
    uint64_t v = 0;
    enum err err = wire_bytes(in, name, &bytes);
    if (err)
        return err;
    out->there = true;
    struct wire w = wire_of(bytes, "Timestamp", in->d);
    while ((err = wire_next(&w)) == OK) {
        if (w.field == 1) {
            if (!(err = wire_varint(&w, "Seconds", &v)))
                out->seconds = (int64_t)v;
        } else if (w.field == 2) {
            if (!(err = wire_varint(&w, "Nanos", &v)))
                out->nanos = (int32_t)(uint32_t)v;
        } else {
            err = wire_skip(&w);
        }
        if (err)
            return err;
    }
    return ended(err);
}

/* A LabelPair, without judging what it says. */
static enum err read_pair(struct wire *in, struct label *out)
{
    struct str bytes;
    enum err err = wire_bytes(in, "Label", &bytes);
    if (err)
        return err;
    struct wire w = wire_of(bytes, "LabelPair", in->d);
    *out = (struct label){STR(""), STR("")};
    while ((err = wire_next(&w)) == OK) {
        if (w.field == 1)
            err = wire_bytes(&w, "Name", &out->name);
        else if (w.field == 2)
            err = wire_bytes(&w, "Value", &out->value);
        else
            err = wire_skip(&w);
        if (err)
            return err;
    }
    return ended(err);
}

/* Without an arena it is only checked. */
static enum err read_exemplar(struct str bytes, struct arena *a, struct exemplar *out, struct diag *d)
{
    struct wire w = wire_of(bytes, "Exemplar", d);
    struct stamp stamp = {0};
    struct label *labels = (struct label *)out->labels.v, pair;
    enum err err;
    while ((err = wire_next(&w)) == OK) {
        if (w.field == 1) {
            if (!(err = read_pair(&w, &pair)) && a)
                labels[out->labels.n++] = (struct label){str_dup(a, pair.name), str_dup(a, pair.value)};
        } else if (w.field == 2) {
            err = wire_double(&w, "Value", &out->value);
        } else if (w.field == 3) {
            err = read_stamp(&w, "Timestamp", &stamp);
        } else {
            err = wire_skip(&w);
        }
        if (err)
            return err;
    }
    out->has_ts = stamp.there;
    out->ts_ms = stamp_ms(&stamp);
    return ended(err);
}

static int compare_names(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

void prom_proto_exemplar(struct str bytes, struct arena *a, struct exemplar *out)
{
    struct wire w = wire_of(bytes, "Exemplar", NULL);
    size_t n = 0;
    while (wire_next(&w) == OK) {
        n += w.field == 1;
        if (wire_skip(&w))
            break;
    }
    struct label *labels = ARENA_ARRAY(a, struct label, n + 1);
    *out = (struct exemplar){.labels = {labels, 0}};
    if (read_exemplar(bytes, a, out, NULL) != OK)
        out->has_ts = false;
    qsort(labels, out->labels.n, sizeof(*labels), compare_names);
}

/* An exemplar field, checked and kept. A second one for the same place is merged into the first: messages behind each
 * other are one. */
static enum err take_exemplar(struct prom_proto *p, struct wire *in, const char *name, struct str *out)
{
    struct exemplar unused = {0};
    struct str bytes;
    enum err err = wire_bytes(in, name, &bytes);
    if (!err)
        err = read_exemplar(bytes, NULL, &unused, in->d);
    if (err || !out->p) {
        *out = bytes;
        return err;
    }
    char *both = arena_alloc(p->arena, out->n + bytes.n + 1);
    memcpy(both, out->p, out->n);
    memcpy(both + out->n, bytes.p, bytes.n);
    *out = str_from(both, out->n + bytes.n);
    return OK;
}

/* ---- the simple types -------------------------------------------------------------------------------------------- */

static enum err read_value(struct wire *in, const char *message, double *out)
{
    struct str bytes;
    enum err err = wire_bytes(in, message, &bytes);
    if (err)
        return err;
    struct wire w = wire_of(bytes, message, in->d);
    while ((err = wire_next(&w)) == OK)
        if ((err = w.field == 1 ? wire_double(&w, "Value", out) : wire_skip(&w)))
            return err;
    return ended(err);
}

struct counter_message {
    double value;
    struct str exemplar;
    struct stamp start;
};

static enum err read_counter(struct prom_proto *p, struct wire *in, struct counter_message *out)
{
    struct str bytes;
    enum err err = wire_bytes(in, "Counter", &bytes);
    if (err)
        return err;
    struct wire w = wire_of(bytes, "Counter", in->d);
    while ((err = wire_next(&w)) == OK) {
        if (w.field == 1)
            err = wire_double(&w, "Value", &out->value);
        else if (w.field == 2)
            err = take_exemplar(p, &w, "Exemplar", &out->exemplar);
        else if (w.field == 3)
            err = read_stamp(&w, "StartTimestamp", &out->start);
        else
            err = wire_skip(&w);
        if (err)
            return err;
    }
    return ended(err);
}

static struct prom_proto_point *new_point(struct prom_proto *p)
{
    if (p->n_points == p->cap_points)
        p->points = mem_grow(p->points, &p->cap_points, p->n_points + 1, sizeof(*p->points));
    struct prom_proto_point *point = &p->points[p->n_points++];
    *point = (struct prom_proto_point){0};
    return point;
}

static enum err read_quantile(struct prom_proto *p, struct wire *in)
{
    struct str bytes;
    enum err err = wire_bytes(in, "Quantile", &bytes);
    if (err)
        return err;
    struct wire w = wire_of(bytes, "Quantile", in->d);
    struct prom_proto_point *q = new_point(p);
    if (LIKELY(bytes.n == 18 && w.p[0] == 0x09 && w.p[9] == 0x11)) {
        q->at = prom_proto_double(w.p + 1);
        q->value = prom_proto_double(w.p + 10);
        return OK;
    }
    while ((err = wire_next(&w)) == OK) {
        if (w.field == 1)
            err = wire_double(&w, "Quantile", &q->at);
        else if (w.field == 2)
            err = wire_double(&w, "Value", &q->value);
        else
            err = wire_skip(&w);
        if (err)
            return err;
    }
    return ended(err);
}

struct summary_message {
    uint64_t count;
    double sum;
    struct stamp start;
};

static enum err read_summary(struct prom_proto *p, struct wire *in, struct summary_message *out)
{
    struct str bytes;
    enum err err = wire_bytes(in, "Summary", &bytes);
    if (err)
        return err;
    struct wire w = wire_of(bytes, "Summary", in->d);
    while ((err = wire_next(&w)) == OK) {
        switch (w.field) {
        case 1:
            err = wire_varint(&w, "SampleCount", &out->count);
            break;
        case 2:
            err = wire_double(&w, "SampleSum", &out->sum);
            break;
        case 3:
            err = read_quantile(p, &w);
            break;
        case 4:
            err = read_stamp(&w, "StartTimestamp", &out->start);
            break;
        default:
            err = wire_skip(&w);
        }
        if (err)
            return err;
    }
    return ended(err);
}

/* ---- histograms -------------------------------------------------------------------------------------------------- */

/* As every encoder writes a bucket without an exemplar: count (in nine bytes at most), bound. */
static inline bool plain_bucket(struct str bytes, struct prom_proto_point *out)
{
    const uint8_t *p = (const uint8_t *)bytes.p;
    size_t n = bytes.n;
    uint64_t count;
    if (n < 11 || n > 19 || p[0] != 0x08 || p[n - 9] != 0x11 || p[n - 10] >= 128)
        return false;
    count = p[1] & 127;
    for (size_t i = 2; i < n - 9; i++) {
        if (p[i - 1] < 128)
            return false;
        count |= (uint64_t)(p[i] & 127) << (7 * (i - 1));
    }
    *out = (struct prom_proto_point){.at = prom_proto_double(p + n - 8), .value = (double)count};
    return true;
}

static enum err read_bucket(struct prom_proto *p, struct wire *in)
{
    struct str bytes;
    uint64_t count = 0;
    double count_float = 0;
    enum err err = wire_bytes(in, "Bucket", &bytes);
    if (err)
        return err;
    struct wire w = wire_of(bytes, "Bucket", in->d);
    struct prom_proto_point *b = new_point(p);
    if (LIKELY(plain_bucket(bytes, b)))
        return OK;
    while ((err = wire_next(&w)) == OK) {
        switch (w.field) {
        case 1:
            err = wire_varint(&w, "CumulativeCount", &count);
            break;
        case 2:
            err = wire_double(&w, "UpperBound", &b->at);
            break;
        case 3:
            err = take_exemplar(p, &w, "Exemplar", &b->exemplar);
            break;
        case 4:
            err = wire_double(&w, "CumulativeCountFloat", &count_float);
            break;
        default:
            err = wire_skip(&w);
        }
        if (err)
            return err;
    }
    b->value = count_float == 0 ? (double)count : count_float;
    return ended(err);
}

static int32_t zigzag32(uint64_t v)
{
    uint32_t u = (uint32_t)v;
    return (int32_t)((u >> 1) ^ (0u - (u & 1)));
}

static enum err read_span(struct wire *in, const char *name, struct spans *out)
{
    struct str bytes;
    uint64_t v = 0;
    struct histogram_span span = {0};
    enum err err = wire_bytes(in, name, &bytes);
    if (err)
        return err;
    struct wire w = wire_of(bytes, "BucketSpan", in->d);
    while ((err = wire_next(&w)) == OK) {
        if (w.field == 1) {
            if (!(err = wire_varint(&w, "Offset", &v)))
                span.offset = zigzag32(v);
        } else if (w.field == 2) {
            if (!(err = wire_varint(&w, "Length", &v)))
                span.length = (uint32_t)v;
        } else {
            err = wire_skip(&w);
        }
        if (err)
            return err;
    }
    out->v = mem_grow(out->v, &out->cap, out->n + 1, sizeof(*out->v));
    out->v[out->n++] = span;
    return ended(err);
}

static enum err take_delta(struct wire *w, struct deltas *out)
{
    uint64_t v;
    enum err err = varint(w, &v);
    if (err)
        return err;
    if (out->n == out->cap)
        out->v = mem_grow(out->v, &out->cap, out->n + 1, sizeof(*out->v));
    out->v[out->n++] = (int64_t)((v >> 1) ^ (0 - (v & 1)));
    return OK;
}

/* One by one, or packed. A packed number that runs beyond its field is read on, as the original does. */
static enum err read_deltas(struct wire *w, const char *name, struct deltas *out)
{
    struct str packed;
    if (w->type == WIRE_VARINT)
        return take_delta(w, out);
    enum err err = wire_bytes(w, name, &packed);
    if (err)
        return err;
    w->p = (const uint8_t *)packed.p;
    const uint8_t *end = w->p + packed.n;
    while (!err && w->p < end)
        err = take_delta(w, out);
    return err;
}

static enum err take_count(struct wire *w, struct counts *out)
{
    double v = 0;
    enum err err = fixed64(w, &v);
    if (err)
        return err;
    if (out->n == out->cap)
        out->v = mem_grow(out->v, &out->cap, out->n + 1, sizeof(*out->v));
    out->v[out->n++] = v;
    return OK;
}

static enum err read_counts(struct wire *w, const char *name, struct counts *out)
{
    struct str packed;
    if (w->type == WIRE_FIXED64)
        return take_count(w, out);
    enum err err = wire_bytes(w, name, &packed);
    if (err)
        return err;
    w->p = (const uint8_t *)packed.p;
    const uint8_t *end = w->p + packed.n;
    while (!err && w->p < end)
        err = take_count(w, out);
    return err;
}

static enum err take_native_exemplar(struct prom_proto *p, struct wire *w)
{
    struct prom_proto_native *n = p->native;
    struct str exemplar = STR_NONE;
    enum err err = take_exemplar(p, w, "Exemplars", &exemplar);
    if (err)
        return err;
    n->exemplars = mem_grow(n->exemplars, &n->cap_exemplars, n->n_exemplars + 1, sizeof(*n->exemplars));
    n->exemplars[n->n_exemplars++] = exemplar;
    return OK;
}

static enum err read_native_field(struct prom_proto *p, struct wire *w)
{
    struct prom_proto_native *n = p->native;
    uint64_t v = 0;
    enum err err;
    switch (w->field) {
    case 5:
        err = wire_varint(w, "Schema", &v);
        n->schema = zigzag32(v);
        return err;
    case 6:
        return wire_double(w, "ZeroThreshold", &n->zero_threshold);
    case 7:
        return wire_varint(w, "ZeroCount", &n->zero_count);
    case 8:
        return wire_double(w, "ZeroCountFloat", &n->zero_count_float);
    case 9:
        return read_span(w, "NegativeSpan", &n->negative.spans);
    case 10:
        return read_deltas(w, "NegativeDelta", &n->negative.deltas);
    case 11:
        return read_counts(w, "NegativeCount", &n->negative.counts);
    case 12:
        return read_span(w, "PositiveSpan", &n->positive.spans);
    case 13:
        return read_deltas(w, "PositiveDelta", &n->positive.deltas);
    case 14:
        return read_counts(w, "PositiveCount", &n->positive.counts);
    case 16:
        return take_native_exemplar(p, w);
    default:
        return wire_skip(w);
    }
}

/* Those behind each other that are no more than that. */
static void read_plain_buckets(struct prom_proto *p, struct wire *w)
{
    while (w->end - w->p >= 2 && w->p[0] == 0x1a && w->p[1] < 128 && w->end - w->p >= 2 + w->p[1]) {
        if (p->n_points == p->cap_points)
            p->points = mem_grow(p->points, &p->cap_points, p->n_points + 1, sizeof(*p->points));
        if (!plain_bucket(str_from((const char *)w->p + 2, w->p[1]), &p->points[p->n_points]))
            return;
        p->n_points++;
        w->p += 2 + w->p[1];
    }
}

struct histogram_message {
    double sum;
    struct stamp start;
};

static enum err read_histogram(struct prom_proto *p, struct wire *in, struct histogram_message *out)
{
    struct str bytes;
    enum err err = wire_bytes(in, "Histogram", &bytes);
    if (err)
        return err;
    struct wire w = wire_of(bytes, "Histogram", in->d);
    while ((err = wire_next(&w)) == OK) {
        switch (w.field) {
        case 1:
            err = wire_varint(&w, "SampleCount", &p->native->count);
            break;
        case 2:
            err = wire_double(&w, "SampleSum", &out->sum);
            if (!err)
                read_plain_buckets(p, &w);
            break;
        case 3:
            err = read_bucket(p, &w);
            break;
        case 4:
            err = wire_double(&w, "SampleCountFloat", &p->native->count_float);
            break;
        case 15:
            err = read_stamp(&w, "StartTimestamp", &out->start);
            break;
        default:
            err = read_native_field(p, &w);
        }
        if (err)
            return err;
    }
    return ended(err);
}

/* ---- a metric ---------------------------------------------------------------------------------------------------- */

/* Label fields stand together at the beginning, with every encoder known; if not, they are brought together. */
static enum err take_label(struct prom_proto *p, struct wire *w)
{
    struct str pair;
    enum err err = wire_bytes(w, "Label", &pair);
    if (err)
        return err;
    const char *from = (const char *)w->tag;
    size_t n = (size_t)(w->p - w->tag);
    bool together = p->labels.n > 0 && p->labels.p == p->gathered.p;
    if (p->labels.n == 0) {
        p->labels = str_from(from, n);
    } else if (!together && from == p->labels.p + p->labels.n) {
        p->labels.n += n;
    } else {
        if (!together) {
            buf_clear(&p->gathered);
            buf_str(&p->gathered, p->labels);
        }
        buf_append(&p->gathered, from, n);
        p->labels = buf_view(&p->gathered);
    }
    return OK;
}

static void reset_native(struct prom_proto_native *n)
{
    n->schema = 0;
    n->count = n->zero_count = 0;
    n->count_float = n->zero_count_float = n->zero_threshold = 0;
    n->positive.spans.n = n->positive.deltas.n = n->positive.counts.n = 0;
    n->negative.spans.n = n->negative.deltas.n = n->negative.counts.n = 0;
    n->n_exemplars = 0;
}

static void reset_metric(struct prom_proto *p)
{
    p->labels = STR_NONE;
    p->exemplar = STR_NONE;
    p->ts_ms = p->start_ms = 0;
    p->value = p->count = p->sum = 0;
    p->n_points = 0;
    if (!p->native)
        p->native = NEW(struct prom_proto_native);
}

/* All that a Metric can hold; what counts is chosen by the family's type at the end. */
struct metric_message {
    double gauge, untyped;
    struct counter_message counter;
    struct summary_message summary;
    struct histogram_message histogram;
};

static void choose(struct prom_proto *p, const struct metric_message *m)
{
    switch (p->type) {
    case MT_GAUGE:
        p->value = m->gauge;
        break;
    case MT_UNTYPED:
        p->value = m->untyped;
        break;
    case MT_COUNTER:
        p->value = m->counter.value;
        p->exemplar = m->counter.exemplar;
        p->start_ms = stamp_ms(&m->counter.start);
        break;
    case MT_SUMMARY:
        p->count = (double)m->summary.count;
        p->sum = m->summary.sum;
        p->start_ms = stamp_ms(&m->summary.start);
        break;
    default:
        p->count = p->native->count_float == 0 ? (double)p->native->count : p->native->count_float;
        p->sum = m->histogram.sum;
        p->start_ms = stamp_ms(&m->histogram.start);
    }
}

static enum err read_field(struct prom_proto *p, struct wire *w, struct metric_message *m)
{
    bool summary = p->type == MT_SUMMARY;
    size_t points = p->n_points;
    uint64_t v = 0;
    enum err err;
    switch (w->field) {
    case 1:
        return take_label(p, w);
    case 2:
        return read_value(w, "Gauge", &m->gauge);
    case 3:
        return read_counter(p, w, &m->counter);
    case 4:
        err = read_summary(p, w, &m->summary);
        p->n_points = summary ? p->n_points : points;
        return err;
    case 5:
        return read_value(w, "Untyped", &m->untyped);
    case 6:
        err = wire_varint(w, "TimestampMs", &v);
        p->ts_ms = (int64_t)v;
        return err;
    case 7:
        err = read_histogram(p, w, &m->histogram);
        p->n_points = summary ? points : p->n_points;
        return err;
    default:
        return wire_skip(w);
    }
}

/* As every encoder writes a counter, gauge or untyped metric that has no more than labels and a value. */
static inline bool plain_metric(struct prom_proto *p, struct str bytes)
{
    const uint8_t *at = (const uint8_t *)bytes.p, *end = at + bytes.n;
    while (end - at > 2 && at[0] == 0x0a && at[1] < 128 && end - at >= 2 + at[1])
        at += 2 + at[1];
    if (!p->value_tag || end - at != PROM_PROTO_VALUE_BYTES || at[0] != p->value_tag || at[1] != 9 || at[2] != 9)
        return false;
    size_t n = (size_t)(at - (const uint8_t *)bytes.p);
    p->labels = n ? str_from(bytes.p, n) : STR_NONE;
    p->exemplar = STR_NONE;
    p->ts_ms = p->start_ms = 0;
    p->value = prom_proto_double(at + 3);
    p->n_points = 0;
    return true;
}

enum err prom_proto_metric(struct prom_proto *p, struct str bytes, struct diag *d)
{
    if (LIKELY(plain_metric(p, bytes)))
        return OK;
    struct wire w = wire_of(bytes, "Metric", d);
    struct metric_message m = {0};
    enum err err;
    reset_metric(p);
    reset_native(p->native);
    while ((err = wire_next(&w)) == OK)
        if ((err = read_field(p, &w, &m)))
            return err;
    if (ended(err) == OK)
        choose(p, &m);
    return ended(err);
}
