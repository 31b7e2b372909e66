/* cut: takes a part out of a message that is sealed already.
 *
 * A WriteRequest of 1.0 is a concatenation of entries (0a LEN TimeSeries), so a part of it is made by leaving entries
 * out; those that stay are copied as they are. In a Request of 2.0 entries (2a LEN TimeSeries) refer to symbols (22 LEN
 * text) by their place, so a part of it has all symbols of the message and the entries that stay.
 *
 * For a destination that does not take 2.0 each entry is said anew, in 1.0 (format/remote_write2.h).
 *
 * Each entry of ours holds one sample or histogram; one with several stays if any of them is young enough, and counts
 * with all.
 */
#include "sink/remote_write/cut_int.h"

#include "base/arena.h"
#include "format/remote_write2.h"
#include "wire/proto.h"

enum { TIMESERIES_1 = 1, SYMBOLS_2 = 4, TIMESERIES_2 = 5, SAMPLES = 2, SAMPLE_TIME = 2, HISTOGRAM_TIME = 15 };

static enum err time_of(struct str sample, uint32_t field, int64_t *ts_ms)
{
    struct proto_reader r = proto_read(sample);
    struct proto_field f;
    enum err err;
    *ts_ms = 0;
    while ((err = proto_next(&r, &f)) == OK) {
        if (f.number == field && f.type == PROTO_VARINT)
            *ts_ms = (int64_t)f.value;
    }
    return err == ERR_EOF ? OK : err;
}

/* histograms: the number of their field. */
static enum err entry_newest(struct str entry, uint32_t histograms, int64_t *newest_ms, uint32_t *samples)
{
    struct proto_reader r = proto_read(entry);
    struct proto_field f;
    enum err err;
    *newest_ms = INT64_MIN;
    *samples = 0;
    while ((err = proto_next(&r, &f)) == OK) {
        int64_t ts_ms;
        if ((f.number != SAMPLES && f.number != histograms) || f.type != PROTO_BYTES)
            continue;
        if (time_of(f.bytes, f.number == SAMPLES ? SAMPLE_TIME : HISTOGRAM_TIME, &ts_ms) != OK)
            return ERR_CORRUPT;
        if (ts_ms > *newest_ms)
            *newest_ms = ts_ms;
        ++*samples;
    }
    return err == ERR_EOF ? OK : err;
}

/* Entries as they are, in front of them, for 2.0, all symbols. */
static enum err cut_same(const struct cut *c, struct buf *out, struct cut_counts *counts)
{
    bool two = c->protocol == 2;
    struct proto_reader r = proto_read(c->message);
    struct proto_field f;
    enum err err;
    const uint8_t *from = r.p;
    const uint8_t *first = from + c->from, *end = first + c->n;
    while ((err = proto_next(&r, &f)) == OK) {
        int64_t newest_ms;
        uint32_t samples;
        const uint8_t *entry = from;
        from = r.p;
        if (two && f.number == SYMBOLS_2) {
            buf_append(out, entry, (size_t)(r.p - entry));
            continue;
        }
        if (f.number != (two ? TIMESERIES_2 : TIMESERIES_1) || f.type != PROTO_BYTES)
            return ERR_CORRUPT;
        if (entry < first || entry >= end)
            continue;
        if (entry_newest(f.bytes, two ? 3 : 4, &newest_ms, &samples) != OK)
            return ERR_CORRUPT;
        if (newest_ms >= c->oldest_ms) {
            buf_append(out, entry, (size_t)(r.p - entry));
            counts->kept += samples;
        }
    }
    return err == ERR_EOF ? OK : err;
}

static int64_t newest_of(const struct remote_write2_series *s)
{
    int64_t newest_ms = INT64_MIN;
    for (uint32_t i = 0; i < s->n_samples; i++) {
        if (s->samples[i].ts_ms > newest_ms)
            newest_ms = s->samples[i].ts_ms;
    }
    for (uint32_t i = 0; i < s->n_histograms; i++) {
        if (s->histograms[i].ts_ms > newest_ms)
            newest_ms = s->histograms[i].ts_ms;
    }
    return newest_ms;
}

static enum err cut_as_1(const struct cut *c, struct buf *out, struct cut_counts *counts)
{
    struct arena table = {0}, a = {0};
    struct remote_write2_reader r;
    struct remote_write2_item item;
    struct remote_write2_series s;
    enum err err = remote_write2_read(c->message, &table, &r);
    while (!err && (err = remote_write2_next(&r, &item)) == OK) {
        if (item.at < c->from || item.at - c->from >= c->n)
            continue;
        arena_reset(&a);
        err = remote_write2_parse(&r, item.bytes, &a, &s);
        if (err || newest_of(&s) < c->oldest_ms)
            continue;
        uint32_t custom = 0;
        remote_write2_append_as_1(&s, out, &custom);
        counts->kept += s.n_samples + s.n_histograms - custom;
        counts->custom += custom;
    }
    arena_release(&a);
    arena_release(&table);
    return err == ERR_EOF ? OK : err;
}

enum err cut_message(const struct cut *c, struct buf *out, struct cut_counts *counts)
{
    *counts = (struct cut_counts){0};
    if (c->from > c->message.n || c->n > c->message.n - c->from)
        return ERR_CORRUPT;
    if (c->protocol == 2 && c->as_protocol == 1)
        return cut_as_1(c, out, counts);
    return cut_same(c, out, counts);
}
