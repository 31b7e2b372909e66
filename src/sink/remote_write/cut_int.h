/* cut: parts of a remote write message, and messages of 2.0 said in 1.0. Pure functions. */
#ifndef SINK_CUT_INT_H
#define SINK_CUT_INT_H

#include "base/buf.h"
#include "base/err.h"

struct cut {
    struct str message;
    size_t from, n;       /* the entries that begin in message[from .. from+n) */
    int64_t oldest_ms;    /* those whose samples are all older are left out; INT64_MIN: none */
    uint32_t protocol;    /* of message: 1 or 2 */
    uint32_t as_protocol; /* what is wanted: the same, or 1 */
};

struct cut_counts {
    uint32_t kept;   /* samples in what was appended, histograms included */
    uint32_t custom; /* histograms that are young enough, and that 1.0 does not have */
};

/* Appends a message of these entries. ERR_CORRUPT: it is not one of TimeSeries entries. */
enum err cut_message(const struct cut *c, struct buf *out, struct cut_counts *counts) MUST_USE;

#endif
