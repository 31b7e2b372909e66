/* cut: parts of a remote write 1.0 message. Pure functions. */
#ifndef SINK_CUT_INT_H
#define SINK_CUT_INT_H

#include "base/buf.h"
#include "base/err.h"

/* Appends the entries of `message` whose samples are not older than oldest_ms, and counts the samples in them.
 * ERR_CORRUPT: not a message of TimeSeries entries. */
enum err cut_by_age(struct str message, int64_t oldest_ms, struct buf *out, uint32_t *kept) MUST_USE;

#endif
