/* remote_write2: the messages of remote write 2.0 (prometheus/prometheus prompb/io/prometheus/write/v2/types.proto).
 *
 *   Request    4 symbols (string)*    5 TimeSeries*
 *   TimeSeries 1 labels_refs (uint32*, packed: name, value, name, value ..)   2 Sample*   3 Histogram*   4 Exemplar*
 *              5 Metadata
 *   Sample     1 value (double)   2 timestamp   3 start_timestamp (int64, milliseconds)
 *   Exemplar   1 labels_refs   2 value   3 timestamp
 *   Metadata   1 type (enum)   3 help_ref   4 unit_ref
 *   Histogram  as in 1.0, and 17 start_timestamp
 *
 * The reader trusts nothing: ERR_CORRUPT, and never beyond its input. Views point into the message, arrays lie in the
 * arena. Pure functions, any thread.
 */
#ifndef FORMAT_REMOTE_WRITE2_H
#define FORMAT_REMOTE_WRITE2_H

#include "format/remote_write.h"

struct remote_write2_reader {
    struct str message;
    struct proto_reader r;
    const struct str *symbols;
    uint32_t n_symbols;
};

/* Gathers the symbols: 16 bytes of the arena each. ERR_CORRUPT: the outermost fields are not well-formed. */
enum err remote_write2_read(struct str message, struct arena *a, struct remote_write2_reader *out) MUST_USE;

struct remote_write2_item {
    struct str field; /* with tag and length */
    struct str bytes; /* the TimeSeries */
    size_t at;        /* of field, in the message */
};

/* The next series; ERR_EOF at the end. */
enum err remote_write2_next(struct remote_write2_reader *r, struct remote_write2_item *out) MUST_USE;

struct remote_write2_sample {
    double value;
    int64_t ts_ms, start_ms;
};

struct remote_write2_exemplar {
    struct labels labels;
    double value;
    int64_t ts_ms;
};

struct remote_write2_histogram {
    struct str bytes; /* the message */
    int64_t ts_ms, start_ms;
    int32_t schema;
};

struct remote_write2_series {
    struct labels labels; /* in the order of the message; not checked for it */
    const struct remote_write2_sample *samples;
    const struct remote_write2_histogram *histograms;
    const struct remote_write2_exemplar *exemplars;
    uint32_t n_samples, n_histograms, n_exemplars;
    bool has_metadata;
    struct family family; /* without a name */
};

enum err remote_write2_parse(const struct remote_write2_reader *r, struct str series, struct arena *a,
                             struct remote_write2_series *out) MUST_USE;

/* The same series in remote write 1.0, as a field of a WriteRequest; histograms with custom buckets, which 1.0 does not
 * have, are left out and counted, and start times and metadata are left out. Nothing is appended when nothing is left.
 */
void remote_write2_append_as_1(const struct remote_write2_series *s, struct buf *out, uint32_t *custom);

#endif
