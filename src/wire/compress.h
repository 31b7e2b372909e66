/* compress: whole-buffer compression and inflation with hard limits. */
#ifndef WIRE_COMPRESS_H
#define WIRE_COMPRESS_H

#include "base/buf.h"
#include "base/err.h"

enum compression { COMPRESS_NONE, COMPRESS_SNAPPY, COMPRESS_GZIP, COMPRESS_ZSTD };

const char *compression_name(enum compression c); /* the Content-Encoding: "", "snappy", "gzip", "zstd" */

/* Per thread; keeps the (de)compressor's memory between calls. Zeroed is valid. */
struct compressor {
    void *inflate, *deflate, *zstd_in, *zstd_out;
    size_t last_size; /* of the last gunzip: the first guess of the next */
};
void compressor_release(struct compressor *c);

/* Every member of a gzip body, into out (cleared first), at most max bytes: ERR_LIMIT beyond, ERR_CORRUPT for bad data,
 * cut-off data and trailing garbage alike (as Go's gzip reader). The guess starts at the last size and doubles. */
enum err compress_gunzip(struct compressor *c, struct str in, size_t max, struct buf *out) MUST_USE;
/* Appends. */
enum err compress_encode(struct compressor *c, enum compression kind, struct str in, struct buf *out) MUST_USE;
/* Clears out; a declared length above max is ERR_LIMIT before anything is allocated. */
enum err compress_decode(struct compressor *c, enum compression kind, struct str in, size_t max,
                         struct buf *out) MUST_USE;

#endif
