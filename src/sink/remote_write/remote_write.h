/* remote_write: a worker's half of one remote-write destination: the encoder that appends batches to the open batch
 * of their lane, and the senders, one request in flight per lane (Prometheus Remote-Write 1.0 specification).
 * Everything on the worker's thread.
 */
#ifndef SINK_REMOTE_WRITE_H
#define SINK_REMOTE_WRITE_H

#include "model/batch.h"
#include "model/family.h"
#include "net/http_client.h"
#include "plan/plan.h"
#include "sink/remote_write/remote_write_status.h"
#include "spool/spool.h"

struct remote_write;

struct remote_write_options {
    struct loop *loop;
    struct http_client *http;
    struct intern *intern;
    struct scope_table *scopes;
    int slot;                  /* of the scopes' forms; unique per destination of this worker */
    struct spool *spool;       /* shared by the workers, each with its own lanes */
    uint32_t worker, n_workers; /* lanes l with l % n_workers == worker are ours */
    struct plan *plan;         /* referenced by the sink */
    const struct plan_remote_write *config;
    struct log *log;
    struct counters *counters;
};

/* Opens the lanes that hold data from before, and starts sending them. */
enum err remote_write_new(const struct remote_write_options *o, struct remote_write **out, struct diag *d) MUST_USE;
struct batch_consumer *remote_write_consumer(struct remote_write *rw);
/* The same destination under a new plan: options, relabelling, external labels; prepared forms are made again. */
void remote_write_update(struct remote_write *rw, struct plan *plan, const struct plan_remote_write *config);
/* Metadata in requests of their own; neither spooled nor in the ledger. Called for one worker only. */
void remote_write_metadata(struct remote_write *rw, const struct family *families, uint32_t n);
/* Seals every lane and keeps sending; drained(ctx) when nothing waits any more. */
void remote_write_drain(struct remote_write *rw, void (*drained)(void *ctx), void *ctx);
/* Ends what is in flight, closes the lanes (their bytes on disk), then calls closed and frees rw. */
void remote_write_close(struct remote_write *rw, void (*closed)(void *ctx), void *ctx);

void remote_write_status(const struct remote_write *rw, struct arena *a, struct remote_write_status *out);

#endif
