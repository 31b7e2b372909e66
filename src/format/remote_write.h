/* remote_write: the messages of remote write 1.0 (prometheus/prometheus prompb/remote.proto, types.proto).
 *
 *   WriteRequest   1 TimeSeries*                     3 MetricMetadata*
 *   TimeSeries     1 Label*   2 Sample*   3 Exemplar*   4 Histogram*
 *   Label          1 name     2 value
 *   Sample         1 value (double)   2 timestamp (int64, milliseconds)
 *   MetricMetadata 1 type (enum)   2 metric_family_name   4 help   5 unit
 *   Histogram      1 or 2 count   3 sum   4 schema   5 zero_threshold   6 or 7 zero_count   8 negative_spans*
 *                  9 negative_deltas   10 negative_counts   11 positive_spans*   12 positive_deltas
 *                  13 positive_counts   14 reset_hint   15 timestamp   16 custom_values   17 start_timestamp (2.0)
 *
 * A message is a concatenation of fields, so a request is built by appending series and cut by copying whole fields.
 * The labels of a series are prepared once as bytes, in segments that are joined each time (design: scope and metric
 * interleave); with a value and a timestamp they are a series. Value and timestamp are always written, zeros too: all
 * samples of one time are equally long. Bits of NaNs, stale markers among them, are kept.
 *
 * Encoders trust their caller for room and sizes. The reader trusts nothing: ERR_CORRUPT, and never beyond its input.
 * Pure functions, any thread.
 */
#ifndef FORMAT_REMOTE_WRITE_H
#define FORMAT_REMOTE_WRITE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "model/family.h"
#include "model/histogram.h"
#include "model/label.h"
#include "wire/proto.h"

/* ---- writing ---- */

enum {
    REMOTE_WRITE_HEAD_MAX = 11,   /* tag and length of a series */
    REMOTE_WRITE_SAMPLE_MAX = 22, /* a sample with its tag and length */
};

/* The bytes of one label: 0x0a n 0x0a n name 0x12 n value. */
size_t remote_write_label_size(size_t name_n, size_t value_n);
uint8_t *remote_write_put_label(uint8_t *p, struct str name, struct str value);
void remote_write_append_label(struct buf *out, struct str name, struct str value);
void remote_write_append_labels(struct buf *out, struct labels l); /* those that are not empty */

static inline uint32_t remote_write_sample_size(int64_t ts_ms)
{
    return 12 + (uint32_t)proto_varint_size((uint64_t)ts_ms);
}

/* Tag and length of a series whose labels take labels_n bytes; REMOTE_WRITE_HEAD_MAX bytes are free at p. */
static inline uint8_t *remote_write_put_head(uint8_t *p, size_t labels_n, int64_t ts_ms)
{
    *p++ = 1 << 3 | PROTO_BYTES;
    return proto_put_varint(p, labels_n + remote_write_sample_size(ts_ms));
}

/* A sample; REMOTE_WRITE_SAMPLE_MAX bytes are free at p. */
static inline uint8_t *remote_write_put_sample(uint8_t *p, double value, int64_t ts_ms)
{
    *p++ = 2 << 3 | PROTO_BYTES;
    *p++ = (uint8_t)(remote_write_sample_size(ts_ms) - 2);
    *p++ = 1 << 3 | PROTO_FIXED64;
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    bits = __builtin_bswap64(bits);
#endif
    memcpy(p, &bits, sizeof(bits));
    p += sizeof(bits);
    *p++ = 2 << 3 | PROTO_VARINT;
    return proto_put_varint(p, (uint64_t)ts_ms);
}

/* One series of one sample; its labels are the segments joined. */
void remote_write_append_series(struct buf *out, const struct str *segments, size_t n, double value, int64_t ts_ms);
void remote_write_append_metadata(struct buf *out, const struct family *f);
/* A Histogram as field `number`; start_ms (of 2.0 alone) and everything else that is zero is left out. */
void remote_write_append_histogram(struct buf *out, uint32_t number, const struct histogram *h, int64_t ts_ms,
                                   int64_t start_ms);
size_t remote_write_histogram_bound(const struct histogram *h); /* what that appends at most */

/* ---- reading ---- */

enum remote_write_kind { REMOTE_WRITE_SERIES, REMOTE_WRITE_METADATA };

struct remote_write_item {
    enum remote_write_kind kind;
    struct str field; /* with tag and length: what to append elsewhere to move it there */
    struct str bytes; /* the message */
};

struct remote_write_reader {
    struct proto_reader r;
};

static inline struct remote_write_reader remote_write_read(struct str message)
{
    return (struct remote_write_reader){proto_read(message)};
}

/* The next series or metadata; ERR_EOF at the end in good order. Unknown fields are passed over. */
enum err remote_write_next(struct remote_write_reader *r, struct remote_write_item *out) MUST_USE;

struct remote_write_sample {
    double value;
    int64_t ts_ms;
};

struct remote_write_series {
    struct labels labels; /* in the order of the message; not checked for it */
    const struct remote_write_sample *samples;
    uint32_t n_samples, n_exemplars, n_histograms;
};

/* item.bytes of a series; arrays in the arena, texts point into the message. */
enum err remote_write_parse_series(struct str bytes, struct arena *a, struct remote_write_series *out) MUST_USE;
/* Of MetricMetadata.MetricType, in both versions; TYPE_UNKNOWN for numbers that are none. */
enum metric_type remote_write_type(uint64_t number);
/* item.bytes of metadata; texts point into the message. */
enum err remote_write_parse_metadata(struct str bytes, struct family *out) MUST_USE;

struct remote_write_counts {
    uint64_t series, samples, exemplars, histograms, metadata;
    int64_t first_ts_ms, last_ts_ms; /* of samples; meaningful if there are any */
};

/* Walks the whole message, without allocating. */
enum err remote_write_count(struct str message, struct remote_write_counts *out) MUST_USE;

#endif
