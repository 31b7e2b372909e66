/* push_status: how a listener is doing, for pages. */
#ifndef SOURCE_PUSH_STATUS_H
#define SOURCE_PUSH_STATUS_H

#include <stdint.h>

#include "base/str.h"

struct push_status {
    struct str name, address; /* "statsd", ":8125"; owned by the listener */
    uint64_t received;        /* lines or events that were taken */
    uint64_t dropped;         /* lines, events and datagrams that were not */
    uint32_t connections;
    struct str last_error; /* what was wrong with the last one dropped; owned by the listener */
    int64_t last_ms;       /* wall clock; 0: nothing came yet */
};

#endif
