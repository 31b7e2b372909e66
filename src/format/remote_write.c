/* remote_write: writing and reading the messages of remote write 1.0; see the header for them.
 *
 *     0a len                     TimeSeries
 *        0a len 0a n name 12 n value     Label, prepared: segment after segment
 *        12 len 09 <8 bytes> 10 ts       Sample: 12 bytes and the timestamp's varint (6 bytes from 2004 to 2109)
 *
 * The writer computes lengths instead of patching them. The reader walks nested messages with one cursor each; a field
 * of an unexpected wire type in a known message is ERR_CORRUPT, an unknown field number is passed over. As in any
 * protobuf reader the last of a repeated single field stands.
 */
#include "format/remote_write.h"

static uint8_t *put_bytes(uint8_t *p, uint32_t number, struct str s)
{
    *p++ = (uint8_t)(number << 3 | PROTO_BYTES);
    p = proto_put_varint(p, s.n);
    if (s.n)
        memcpy(p, s.p, s.n);
    return p + s.n;
}

static size_t bytes_size(size_t n)
{
    return 1 + (size_t)proto_varint_size(n) + n;
}

/* ---- writing ---- */

size_t remote_write_label_size(size_t name_n, size_t value_n)
{
    return bytes_size(bytes_size(name_n) + bytes_size(value_n));
}

uint8_t *remote_write_put_label(uint8_t *p, struct str name, struct str value)
{
    *p++ = 1 << 3 | PROTO_BYTES;
    p = proto_put_varint(p, bytes_size(name.n) + bytes_size(value.n));
    p = put_bytes(p, 1, name);
    return put_bytes(p, 2, value);
}

void remote_write_append_label(struct buf *out, struct str name, struct str value)
{
    size_t n = remote_write_label_size(name.n, value.n);
    buf_reserve(out, n);
    remote_write_put_label((uint8_t *)out->p + out->n, name, value);
    out->n += n;
    out->p[out->n] = '\0';
}

void remote_write_append_labels(struct buf *out, struct labels l)
{
    for (uint32_t i = 0; i < l.n; i++)
        if (l.v[i].value.n > 0)
            remote_write_append_label(out, l.v[i].name, l.v[i].value);
}

void remote_write_append_series(struct buf *out, const struct str *segments, size_t n, double value, int64_t ts_ms)
{
    size_t labels_n = 0;
    for (size_t i = 0; i < n; i++)
        labels_n += segments[i].n;
    buf_reserve(out, REMOTE_WRITE_HEAD_MAX + labels_n + REMOTE_WRITE_SAMPLE_MAX);
    uint8_t *p = remote_write_put_head((uint8_t *)out->p + out->n, labels_n, ts_ms);
    for (size_t i = 0; i < n; i++) {
        if (segments[i].n)
            memcpy(p, segments[i].p, segments[i].n);
        p += segments[i].n;
    }
    p = remote_write_put_sample(p, value, ts_ms);
    out->n = (size_t)((char *)p - out->p);
    out->p[out->n] = '\0';
}

/* MetricMetadata.MetricType of types.proto. */
static const uint8_t type_numbers[] = {
    [TYPE_UNKNOWN] = 0,         [TYPE_COUNTER] = 1, [TYPE_GAUGE] = 2, [TYPE_HISTOGRAM] = 3,
    [TYPE_GAUGE_HISTOGRAM] = 4, [TYPE_SUMMARY] = 5, [TYPE_INFO] = 6,  [TYPE_STATESET] = 7,
};

static size_t optional_size(struct str s)
{
    return s.n ? bytes_size(s.n) : 0;
}

void remote_write_append_metadata(struct buf *out, const struct family *f)
{
    size_t n =
        (f->type != TYPE_UNKNOWN ? 2 : 0) + optional_size(f->name) + optional_size(f->help) + optional_size(f->unit);
    proto_append_tag(out, 3, PROTO_BYTES);
    proto_append_varint(out, n);
    proto_append_u64(out, 1, type_numbers[f->type]);
    if (f->name.n)
        proto_append_bytes(out, 2, f->name);
    if (f->help.n)
        proto_append_bytes(out, 4, f->help);
    if (f->unit.n)
        proto_append_bytes(out, 5, f->unit);
}

/* ---- histograms ---- */

static uint64_t zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (0 - ((uint64_t)v >> 63));
}

/* One of a oneof: written even when it is zero, since its being there says which one it is. */
static void append_either(struct buf *out, bool is_float, uint32_t number, uint64_t integer, double real)
{
    if (is_float) {
        proto_append_tag(out, number + 1, PROTO_FIXED64);
        buf_append(out, &real, sizeof(real));
        return;
    }
    proto_append_tag(out, number, PROTO_VARINT);
    proto_append_varint(out, integer);
}

static void append_doubles(struct buf *out, uint32_t number, const double *v, uint32_t n)
{
    if (n)
        proto_append_bytes(out, number, str_from((const char *)v, n * sizeof(*v)));
}

/* Spans (field number), and deltas or counts (the two fields after it). */
static void append_buckets(struct buf *out, uint32_t number, const struct histogram_buckets *b, bool is_float)
{
    AUTO_BUF part = {0};
    for (uint32_t i = 0; i < b->n_spans; i++) {
        buf_clear(&part);
        proto_append_u64(&part, 1, (uint32_t)zigzag(b->spans[i].offset));
        proto_append_u64(&part, 2, b->spans[i].length);
        proto_append_bytes(out, number, buf_view(&part));
    }
    if (is_float) {
        append_doubles(out, number + 2, b->counts, b->n);
        return;
    }
    buf_clear(&part);
    for (uint32_t i = 0; i < b->n; i++)
        proto_append_varint(&part, zigzag(b->deltas[i]));
    if (part.n)
        proto_append_bytes(out, number + 1, buf_view(&part));
}

size_t remote_write_histogram_bound(const struct histogram *h)
{
    size_t spans = (size_t)h->positive.n_spans + h->negative.n_spans;
    size_t buckets = (size_t)h->positive.n + h->negative.n;
    return 160 + spans * 15 + buckets * 10 + h->n_custom_values * sizeof(double);
}

void remote_write_append_histogram(struct buf *out, uint32_t number, const struct histogram *h, int64_t ts_ms,
                                   int64_t start_ms)
{
    AUTO_BUF m = {0};
    buf_reserve(&m, remote_write_histogram_bound(h));
    append_either(&m, h->is_float, 1, h->count_int, h->count_float);
    proto_append_double(&m, 3, h->sum);
    proto_append_u64(&m, 4, (uint32_t)zigzag(h->schema));
    proto_append_double(&m, 5, h->zero_threshold);
    append_either(&m, h->is_float, 6, h->zero_count_int, h->zero_count_float);
    append_buckets(&m, 8, &h->negative, h->is_float);
    append_buckets(&m, 11, &h->positive, h->is_float);
    proto_append_u64(&m, 14, (uint64_t)h->reset);
    proto_append_u64(&m, 15, (uint64_t)ts_ms);
    append_doubles(&m, 16, h->custom_values, h->n_custom_values);
    proto_append_u64(&m, 17, (uint64_t)start_ms);
    proto_append_bytes(out, number, buf_view(&m));
}

/* ---- reading ---- */

enum metric_type remote_write_type(uint64_t number)
{
    for (size_t i = 0; i < sizeof(type_numbers); i++) {
        if (type_numbers[i] == number)
            return (enum metric_type)i;
    }
    return TYPE_UNKNOWN;
}

enum err remote_write_next(struct remote_write_reader *r, struct remote_write_item *out)
{
    struct proto_field f;
    for (;;) {
        const char *start = (const char *)r->r.p;
        enum err err = proto_next(&r->r, &f);
        if (err)
            return err;
        if (f.number != 1 && f.number != 3)
            continue;
        if (f.type != PROTO_BYTES)
            return ERR_CORRUPT;
        out->kind = f.number == 1 ? REMOTE_WRITE_SERIES : REMOTE_WRITE_METADATA;
        out->field = str_from(start, (size_t)((const char *)r->r.p - start));
        out->bytes = f.bytes;
        return OK;
    }
}

static enum err parse_label(struct str bytes, struct label *out)
{
    struct proto_reader r = proto_read(bytes);
    struct proto_field f;
    enum err err;
    *out = (struct label){STR(""), STR("")};
    while ((err = proto_next(&r, &f)) == OK) {
        if (f.number != 1 && f.number != 2)
            continue;
        if (f.type != PROTO_BYTES)
            return ERR_CORRUPT;
        *(f.number == 1 ? &out->name : &out->value) = f.bytes;
    }
    return err == ERR_EOF ? OK : err;
}

static enum err parse_sample(struct str bytes, struct remote_write_sample *out)
{
    struct proto_reader r = proto_read(bytes);
    struct proto_field f;
    enum err err;
    *out = (struct remote_write_sample){0};
    while ((err = proto_next(&r, &f)) == OK) {
        if ((f.number == 1 && f.type != PROTO_FIXED64) || (f.number == 2 && f.type != PROTO_VARINT))
            return ERR_CORRUPT;
        if (f.number == 1)
            out->value = proto_double(f.value);
        else if (f.number == 2)
            out->ts_ms = (int64_t)f.value;
    }
    return err == ERR_EOF ? OK : err;
}

struct series_counts {
    uint32_t labels, samples, exemplars, histograms;
};

/* How many of each a series has; all their tags are well-formed then. */
static enum err count_series(struct str bytes, struct series_counts *out)
{
    struct proto_reader r = proto_read(bytes);
    struct proto_field f;
    enum err err;
    *out = (struct series_counts){0};
    while ((err = proto_next(&r, &f)) == OK) {
        if (f.number > 4)
            continue;
        if (f.type != PROTO_BYTES)
            return ERR_CORRUPT;
        out->labels += f.number == 1;
        out->samples += f.number == 2;
        out->exemplars += f.number == 3;
        out->histograms += f.number == 4;
    }
    return err == ERR_EOF ? OK : err;
}

enum err remote_write_parse_series(struct str bytes, struct arena *a, struct remote_write_series *out)
{
    struct series_counts counts;
    struct proto_reader r = proto_read(bytes);
    struct proto_field f;
    *out = (struct remote_write_series){0};
    enum err err = count_series(bytes, &counts);
    if (err)
        return err;
    struct label *labels = ARENA_ARRAY(a, struct label, counts.labels + 1);
    struct remote_write_sample *samples = ARENA_ARRAY(a, struct remote_write_sample, counts.samples + 1);
    uint32_t n_labels = 0, n_samples = 0;
    while ((err = proto_next(&r, &f)) == OK) {
        if (f.number == 1)
            err = parse_label(f.bytes, &labels[n_labels++]);
        else if (f.number == 2)
            err = parse_sample(f.bytes, &samples[n_samples++]);
        if (err)
            return err;
    }
    out->labels = (struct labels){labels, n_labels};
    out->samples = samples;
    out->n_samples = n_samples;
    out->n_exemplars = counts.exemplars;
    out->n_histograms = counts.histograms;
    return err == ERR_EOF ? OK : err;
}

enum err remote_write_parse_metadata(struct str bytes, struct family *out)
{
    struct proto_reader r = proto_read(bytes);
    struct proto_field f;
    enum err err;
    *out = (struct family){.name = STR(""), .help = STR(""), .unit = STR("")};
    while ((err = proto_next(&r, &f)) == OK) {
        if (f.number == 1 && f.type == PROTO_VARINT) {
            out->type = remote_write_type(f.value);
            continue;
        }
        if (f.number != 1 && f.number != 2 && f.number != 4 && f.number != 5)
            continue;
        if (f.type != PROTO_BYTES)
            return ERR_CORRUPT;
        *(f.number == 2 ? &out->name : f.number == 4 ? &out->help : &out->unit) = f.bytes;
    }
    return err == ERR_EOF ? OK : err;
}

static enum err count_samples(struct str bytes, struct remote_write_counts *out)
{
    struct proto_reader r = proto_read(bytes);
    struct proto_field f;
    struct remote_write_sample s;
    enum err err;
    while ((err = proto_next(&r, &f)) == OK) {
        if (f.number != 2)
            continue;
        if ((err = parse_sample(f.bytes, &s)))
            return err;
        if (out->samples == 0 || s.ts_ms < out->first_ts_ms)
            out->first_ts_ms = s.ts_ms;
        if (out->samples == 0 || s.ts_ms > out->last_ts_ms)
            out->last_ts_ms = s.ts_ms;
        out->samples++;
    }
    return err == ERR_EOF ? OK : err;
}

enum err remote_write_count(struct str message, struct remote_write_counts *out)
{
    struct remote_write_reader r = remote_write_read(message);
    struct remote_write_item item;
    struct series_counts counts;
    enum err err;
    *out = (struct remote_write_counts){0};
    while ((err = remote_write_next(&r, &item)) == OK) {
        if (item.kind == REMOTE_WRITE_METADATA) {
            out->metadata++;
            continue;
        }
        if ((err = count_series(item.bytes, &counts)) || (err = count_samples(item.bytes, out)))
            return err;
        out->series++;
        out->exemplars += counts.exemplars;
        out->histograms += counts.histograms;
    }
    return err == ERR_EOF ? OK : err;
}
