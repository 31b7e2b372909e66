/* delta: a counter's next value, told against the one before.
 *
 *   value  10      14      14      3       NaN     5
 *   told   -       4       0       3       -       2        began again at 3; NaN leaves 3 where it is
 *
 * The agent's table (internal/prometheus, calculator): a newer time and a value not below the one before give the
 * difference, a value below it gives itself. Where the agent forgets what it knows at a value that is not finite, and
 * tells the cumulative value at a time that is not newer, here nothing changes. What is older than the gap is no
 * baseline any more: an increase over hours would be told as one minute's.
 *
 * Pure; any thread.
 */
#include "shape/delta.h"

#include <math.h>

enum { GAP_MIN_MS = 300000, GAP_INTERVALS = 3 };

int64_t delta_gap_ms(int64_t interval_ms)
{
    int64_t gap = interval_ms > INT64_MAX / GAP_INTERVALS ? INT64_MAX : interval_ms * GAP_INTERVALS;

    return gap > GAP_MIN_MS ? gap : GAP_MIN_MS;
}

enum delta_outcome delta_next(const struct delta_before *before, double value, int64_t ts_ms, int64_t gap_ms,
                              double *out)
{
    if (!isfinite(value))
        return DELTA_NOT_FINITE;
    if (before->known && ts_ms <= before->ts_ms)
        return DELTA_NOT_NEWER;
    if (!before->known || ts_ms - before->ts_ms > gap_ms)
        return DELTA_NO_BASELINE;
    *out = value < before->value ? value : value - before->value;
    return DELTA_EMIT;
}
