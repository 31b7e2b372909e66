/* cut: takes what is too old out of a message that is sealed already.
 *
 * A WriteRequest is a concatenation of entries (0a LEN TimeSeries), so a part of it is made by leaving entries out;
 * those that stay are copied as they are. Each entry of ours holds one sample; one with several stays if any of
 * them is young enough, and counts with all.
 */
#include "sink/remote_write/cut_int.h"

#include "wire/proto.h"

enum { FIELD_TIMESERIES = 1, FIELD_SAMPLES = 2, FIELD_TIMESTAMP = 2 };

static enum err sample_time(struct str sample, int64_t *ts_ms)
{
    struct proto_reader r = proto_read(sample);
    struct proto_field f;
    enum err err;
    *ts_ms = 0;
    while ((err = proto_next(&r, &f)) == OK) {
        if (f.number == FIELD_TIMESTAMP && f.type == PROTO_VARINT)
            *ts_ms = (int64_t)f.value;
    }
    return err == ERR_EOF ? OK : err;
}

static enum err entry_newest(struct str entry, int64_t *newest_ms, uint32_t *samples)
{
    struct proto_reader r = proto_read(entry);
    struct proto_field f;
    enum err err;
    *newest_ms = INT64_MIN;
    *samples = 0;
    while ((err = proto_next(&r, &f)) == OK) {
        int64_t ts_ms;
        if (f.number != FIELD_SAMPLES || f.type != PROTO_BYTES)
            continue;
        if (sample_time(f.bytes, &ts_ms) != OK)
            return ERR_CORRUPT;
        if (ts_ms > *newest_ms)
            *newest_ms = ts_ms;
        ++*samples;
    }
    return err == ERR_EOF ? OK : err;
}

enum err cut_by_age(struct str message, int64_t oldest_ms, struct buf *out, uint32_t *kept)
{
    struct proto_reader r = proto_read(message);
    struct proto_field f;
    enum err err;
    const uint8_t *from = r.p;
    *kept = 0;
    while ((err = proto_next(&r, &f)) == OK) {
        int64_t newest_ms;
        uint32_t samples;
        if (f.number != FIELD_TIMESERIES || f.type != PROTO_BYTES || entry_newest(f.bytes, &newest_ms, &samples) != OK)
            return ERR_CORRUPT;
        if (newest_ms >= oldest_ms) {
            buf_append(out, from, (size_t)(r.p - from));
            *kept += samples;
        }
        from = r.p;
    }
    return err == ERR_EOF ? OK : err;
}
