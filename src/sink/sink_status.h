/* sink_status: how a destination is doing, for pages. */
#ifndef SINK_SINK_STATUS_H
#define SINK_SINK_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct sink_status {
    uint32_t in_flight, backing_off;
    int last_http_status;
    bool fell_to_1, fell_to_snappy; /* remote write: the destination does not take 2.0, or zstd, as it was to */
    struct str last_error;          /* the destination's words; in the caller's arena */
    int64_t last_success_ms, last_error_ms;
};

#endif
