/* clock: wall time for samples, monotonic time for everything that waits. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

int64_t clock_wall_ms(void); /* milliseconds since the epoch */
int64_t clock_wall_ns(void);
uint64_t clock_mono_ns(void);
uint64_t clock_mono_ms(void);
/* RFC 3339 in UTC with milliseconds: 2026-01-02T03:04:05.678Z */
void clock_print(struct buf *b, int64_t wall_ms);
/* The date of an HTTP field, in the one form that is still sent: "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7). */
bool clock_parse_http(struct str s, int64_t *wall_ms);
/* ISO 8601: 2026-01-02T03:04:05Z, with a fraction, with an offset, or ending in "UTC" or nothing, which mean UTC. */
bool clock_parse_iso(struct str s, int64_t *wall_ms);

#endif
