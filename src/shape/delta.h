/* delta: what a cumulative value says since the one before it, by the CloudWatch agent's rules: a fold over one series.
 * Pure; where values are kept is the caller's.
 */
#ifndef SHAPE_DELTA_H
#define SHAPE_DELTA_H

#include <stdbool.h>
#include <stdint.h>

enum delta_outcome {
    DELTA_EMIT,
    DELTA_NO_BASELINE, /* the first value, or the first after too long a gap: it is the next one's baseline */
    DELTA_NOT_NEWER,   /* its time is that of the value before, or older: nothing changes */
    DELTA_NOT_FINITE,  /* NaN or infinite: nothing changes */
};

struct delta_before {
    bool known;
    double value;
    int64_t ts_ms;
};

/* Longest time between two values that are told against each other: five minutes, or three intervals where these are
 * longer. */
int64_t delta_gap_ms(int64_t interval_ms);

/* A value below the one before is a counter that began again: it is told as it is. */
enum delta_outcome delta_next(const struct delta_before *before, double value, int64_t ts_ms, int64_t gap_ms,
                              double *out);

#endif
