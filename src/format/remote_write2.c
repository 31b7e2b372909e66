/* remote_write2: reading the messages of remote write 2.0, and saying the same in 1.0; see the header.
 *
 *     22 00                      symbol 0, the empty text
 *     22 n text                  symbol 1 ..
 *     2a len                     TimeSeries
 *        0a len n v n v ..          labels, two symbols each
 *        12 len 09 <8 bytes> 10 ts  Sample
 *        2a len 08 type 18 help     Metadata
 *
 * Symbols may stand anywhere in a message, so they are gathered before the first series is looked at. A field of an
 * unexpected wire type in a known message is ERR_CORRUPT, as are a reference to a symbol that is not there and an odd
 * number of references; an unknown field is passed over. Repeated numbers may be packed or not, as in any reader.
 */
#include "format/remote_write2.h"

#include <string.h>

#include "base/mem.h"
#include "model/histogram.h"

/* ---- the message ------------------------------------------------------------------------------------------------- */

enum err remote_write2_read(struct str message, struct arena *a, struct remote_write2_reader *out)
{
    struct proto_reader r = proto_read(message);
    struct proto_field f;
    enum err err;
    size_t n = 0;
    while ((err = proto_next(&r, &f)) == OK) {
        if ((f.number == 4 || f.number == 5) && f.type != PROTO_BYTES)
            return ERR_CORRUPT;
        n += f.number == 4;
    }
    if (err != ERR_EOF || n >= UINT32_MAX)
        return ERR_CORRUPT;
    struct str *symbols = ARENA_ARRAY(a, struct str, n + 1);
    *out = (struct remote_write2_reader){.message = message, .r = proto_read(message), .symbols = symbols};
    r = proto_read(message);
    while (proto_next(&r, &f) == OK) {
        if (f.number == 4)
            symbols[out->n_symbols++] = f.bytes;
    }
    return OK;
}

enum err remote_write2_next(struct remote_write2_reader *r, struct remote_write2_item *out)
{
    struct proto_field f;
    for (;;) {
        const char *start = (const char *)r->r.p;
        enum err err = proto_next(&r->r, &f);
        if (err)
            return err;
        if (f.number != 5)
            continue;
        out->at = (size_t)(start - r->message.p);
        out->field = str_from(start, (size_t)((const char *)r->r.p - start));
        out->bytes = f.bytes;
        return OK;
    }
}

/* ---- a series ---------------------------------------------------------------------------------------------------- */

struct refs {
    const struct remote_write2_reader *r;
    struct label *v;
    uint32_t n, cap; /* references, not labels */
};

static enum err add_ref(struct refs *refs, uint64_t number)
{
    if (number >= refs->r->n_symbols || refs->n >= refs->cap)
        return ERR_CORRUPT;
    struct label *l = &refs->v[refs->n / 2];
    *(refs->n % 2 ? &l->value : &l->name) = refs->r->symbols[number];
    refs->n++;
    return OK;
}

static enum err add_refs(struct refs *refs, const struct proto_field *f)
{
    uint64_t number;
    if (f->type == PROTO_VARINT)
        return add_ref(refs, f->value);
    if (f->type != PROTO_BYTES)
        return ERR_CORRUPT;
    struct proto_reader r = proto_read(f->bytes);
    while (r.p < r.end) {
        if (proto_varint(&r, &number) != OK || add_ref(refs, number) != OK)
            return ERR_CORRUPT;
    }
    return OK;
}

/* labels_refs (1) of a message. */
static enum err parse_refs(const struct remote_write2_reader *reader, struct str bytes, struct arena *a,
                           struct labels *out)
{
    struct proto_reader r = proto_read(bytes);
    struct proto_field f;
    enum err err;
    struct refs refs = {.r = reader};
    size_t most = 0;
    while ((err = proto_next(&r, &f)) == OK) {
        if (f.number == 1)
            most += f.type == PROTO_BYTES ? f.bytes.n : 1;
    }
    if (err != ERR_EOF || most > UINT32_MAX)
        return ERR_CORRUPT;
    refs.cap = (uint32_t)most;
    refs.v = ARENA_ARRAY(a, struct label, most / 2 + 1);
    r = proto_read(bytes);
    while (proto_next(&r, &f) == OK) {
        if (f.number == 1 && add_refs(&refs, &f) != OK)
            return ERR_CORRUPT;
    }
    *out = (struct labels){refs.v, refs.n / 2};
    return refs.n % 2 ? ERR_CORRUPT : OK;
}

static enum err parse_sample(struct str bytes, struct remote_write2_sample *out)
{
    struct proto_reader r = proto_read(bytes);
    struct proto_field f;
    enum err err;
    *out = (struct remote_write2_sample){0};
    while ((err = proto_next(&r, &f)) == OK) {
        if (f.number > 3)
            continue;
        if (f.type != (f.number == 1 ? PROTO_FIXED64 : PROTO_VARINT))
            return ERR_CORRUPT;
        if (f.number == 1)
            out->value = proto_double(f.value);
        else
            *(f.number == 2 ? &out->ts_ms : &out->start_ms) = (int64_t)f.value;
    }
    return err == ERR_EOF ? OK : err;
}

static enum err parse_histogram(struct str bytes, struct remote_write2_histogram *out)
{
    struct proto_reader r = proto_read(bytes);
    struct proto_field f;
    enum err err;
    *out = (struct remote_write2_histogram){.bytes = bytes};
    while ((err = proto_next(&r, &f)) == OK) {
        if (f.number != 4 && f.number != 15 && f.number != 17)
            continue;
        if (f.type != PROTO_VARINT)
            return ERR_CORRUPT;
        if (f.number == 4)
            out->schema = (int32_t)((uint32_t)f.value >> 1 ^ (0 - ((uint32_t)f.value & 1)));
        else
            *(f.number == 15 ? &out->ts_ms : &out->start_ms) = (int64_t)f.value;
    }
    return err == ERR_EOF ? OK : err;
}

static enum err parse_exemplar(const struct remote_write2_reader *reader, struct str bytes, struct arena *a,
                               struct remote_write2_exemplar *out)
{
    struct proto_reader r = proto_read(bytes);
    struct proto_field f;
    enum err err;
    *out = (struct remote_write2_exemplar){0};
    while ((err = proto_next(&r, &f)) == OK) {
        if ((f.number == 2 && f.type != PROTO_FIXED64) || (f.number == 3 && f.type != PROTO_VARINT))
            return ERR_CORRUPT;
        if (f.number == 2)
            out->value = proto_double(f.value);
        else if (f.number == 3)
            out->ts_ms = (int64_t)f.value;
    }
    return err == ERR_EOF ? parse_refs(reader, bytes, a, &out->labels) : err;
}

static enum err parse_metadata(const struct remote_write2_reader *reader, struct str bytes, struct family *out)
{
    struct proto_reader r = proto_read(bytes);
    struct proto_field f;
    enum err err;
    *out = (struct family){.name = STR(""), .help = STR(""), .unit = STR("")};
    while ((err = proto_next(&r, &f)) == OK) {
        if (f.number != 1 && f.number != 3 && f.number != 4)
            continue;
        if (f.type != PROTO_VARINT)
            return ERR_CORRUPT;
        if (f.number == 1) {
            out->type = remote_write_type(f.value);
            continue;
        }
        if (f.value >= reader->n_symbols)
            return ERR_CORRUPT;
        *(f.number == 3 ? &out->help : &out->unit) = reader->symbols[f.value];
    }
    return err == ERR_EOF ? OK : err;
}

static enum err count_parts(struct str series, struct remote_write2_series *out)
{
    struct proto_reader r = proto_read(series);
    struct proto_field f;
    enum err err;
    while ((err = proto_next(&r, &f)) == OK) {
        if (f.number < 2 || f.number > 5)
            continue;
        if (f.type != PROTO_BYTES)
            return ERR_CORRUPT;
        out->n_samples += f.number == 2;
        out->n_histograms += f.number == 3;
        out->n_exemplars += f.number == 4;
    }
    return err == ERR_EOF ? OK : err;
}

enum err remote_write2_parse(const struct remote_write2_reader *reader, struct str series, struct arena *a,
                             struct remote_write2_series *out)
{
    *out = (struct remote_write2_series){0};
    enum err err = count_parts(series, out);
    if (!err)
        err = parse_refs(reader, series, a, &out->labels);
    if (err)
        return err;
    struct remote_write2_sample *samples = ARENA_ARRAY(a, struct remote_write2_sample, out->n_samples + (size_t)1);
    struct remote_write2_histogram *histograms =
        ARENA_ARRAY(a, struct remote_write2_histogram, out->n_histograms + (size_t)1);
    struct remote_write2_exemplar *exemplars =
        ARENA_ARRAY(a, struct remote_write2_exemplar, out->n_exemplars + (size_t)1);
    out->samples = samples;
    out->histograms = histograms;
    out->exemplars = exemplars;
    struct proto_reader r = proto_read(series);
    struct proto_field f;
    while (!err && proto_next(&r, &f) == OK) {
        if (f.number == 2)
            err = parse_sample(f.bytes, samples++);
        else if (f.number == 3)
            err = parse_histogram(f.bytes, histograms++);
        else if (f.number == 4)
            err = parse_exemplar(reader, f.bytes, a, exemplars++);
        else if (f.number == 5)
            err = parse_metadata(reader, f.bytes, &out->family);
        out->has_metadata |= f.number == 5;
    }
    return err;
}

/* ---- in 1.0 ------------------------------------------------------------------------------------------------------ */

static void append_histogram(struct buf *out, const struct remote_write2_histogram *h)
{
    AUTO_BUF message = {0};
    struct proto_reader r = proto_read(h->bytes);
    struct proto_field f;
    for (;;) {
        const uint8_t *start = r.p;
        if (proto_next(&r, &f) != OK)
            break;
        if (f.number != 17) /* start_timestamp */
            buf_append(&message, start, (size_t)(r.p - start));
    }
    proto_append_bytes(out, 4, buf_view(&message));
}

static void append_exemplar(struct buf *out, const struct remote_write2_exemplar *e)
{
    AUTO_BUF message = {0};
    remote_write_append_labels(&message, e->labels);
    proto_append_double(&message, 2, e->value);
    proto_append_u64(&message, 3, (uint64_t)e->ts_ms);
    proto_append_bytes(out, 3, buf_view(&message));
}

void remote_write2_append_as_1(const struct remote_write2_series *s, struct buf *out, uint32_t *custom)
{
    AUTO_BUF series = {0};
    AUTO_BUF sample = {0};
    uint32_t left = s->n_samples;
    remote_write_append_labels(&series, s->labels);
    for (uint32_t i = 0; i < s->n_samples; i++) {
        buf_clear(&sample);
        proto_append_double(&sample, 1, s->samples[i].value);
        proto_append_u64(&sample, 2, (uint64_t)s->samples[i].ts_ms);
        proto_append_bytes(&series, 2, buf_view(&sample));
    }
    for (uint32_t i = 0; i < s->n_exemplars; i++)
        append_exemplar(&series, &s->exemplars[i]);
    for (uint32_t i = 0; i < s->n_histograms; i++) {
        if (s->histograms[i].schema == HISTOGRAM_CUSTOM_BUCKETS) {
            ++*custom;
            continue;
        }
        append_histogram(&series, &s->histograms[i]);
        left++;
    }
    if (left)
        proto_append_bytes(out, 1, buf_view(&series));
}
