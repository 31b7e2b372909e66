/* units: durations and sizes as Prometheus writes them (prometheus/common model.Duration, alecthomas/units). */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* "1h30m", "15s", "500ms", "1y2w3d", "0": units y w d h m s ms, each at most once, in this order. Milliseconds.
 * Errors in the original's words: `empty duration string`, `not a valid duration string: "x"`, `duration out of range`.
 */
enum err units_parse_duration(struct str s, int64_t *out_ms, struct diag *d) MUST_USE;
/* The way back: 90000 -> "1m30s", 0 -> "0s". */
void units_print_duration(struct buf *b, int64_t ms);
/* "15MB", "1KiB", "0": powers of 1024 for both spellings, optional fraction, unit required unless 0. Bytes. */
enum err units_parse_size(struct str s, uint64_t *out, struct diag *d) MUST_USE;
void units_print_size(struct buf *b, uint64_t bytes);
/* Go's time.ParseDuration ("1.5h", "300ms", "2h45m10s"), for flags of programs that use it. Nanoseconds. */
enum err units_parse_go_duration(struct str s, int64_t *out_ns, struct diag *d) MUST_USE;

#endif
