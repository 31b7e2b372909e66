/* log_event: a finished line of log with its place, from whoever receives such lines, and the interface through which
 * it moves on. The text is delivered as it is.
 */
#ifndef MODEL_LOG_EVENT_H
#define MODEL_LOG_EVENT_H

#include <stdint.h>

#include "base/str.h"

struct log_event {
    struct str group, stream; /* valid until append returns, as is the text */
    int64_t ts_ms;            /* when it was received */
    struct str text;
};

/* A consumer of log events, on the thread that owns it; never blocks. Whatever it does with an event, it is accounted
 * for. */
struct log_event_consumer {
    void (*append)(struct log_event_consumer *self, const struct log_event *v, uint32_t n);
};

#endif
