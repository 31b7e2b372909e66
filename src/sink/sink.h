/* sink: a worker's half of a destination, whatever its protocol, as the worker that owns it sees it. Everything on the
 * worker's thread.
 */
#ifndef SINK_SINK_H
#define SINK_SINK_H

#include "base/arena.h"
#include "sink/sink_status.h"

struct batch_consumer;
struct sink;

struct sink_ops {
    /* Of batches; NULL: it takes none. */
    struct batch_consumer *(*consumer)(struct sink *s);
    /* Seals every lane and keeps sending; drained(ctx) when nothing waits any more. Never from inside. */
    void (*drain)(struct sink *s, void (*drained)(void *ctx), void *ctx);
    /* Ends what is in flight, closes the lanes (their bytes on disk), then calls closed and frees s. Never from
     * inside. */
    void (*close)(struct sink *s, void (*closed)(void *ctx), void *ctx);
    void (*status)(const struct sink *s, struct arena *a, struct sink_status *out);
};

/* First member of every sink's struct. */
struct sink {
    const struct sink_ops *ops;
};

#endif
