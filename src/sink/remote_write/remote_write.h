/* remote_write: a worker's half of one remote-write destination: the encoder that appends batches to the open batch
 * of their lane, and the senders, one request in flight per lane (Prometheus Remote-Write 1.0 and 2.0 specifications).
 * Everything on the worker's thread.
 */
#ifndef SINK_REMOTE_WRITE_H
#define SINK_REMOTE_WRITE_H

#include "model/batch.h"
#include "model/family.h"
#include "net/http_client.h"
#include "plan/plan.h"
#include "sink/sink.h"
#include "spool/spool.h"

struct remote_write;

/* Numbers of spool_request.protocol. */
enum { REMOTE_WRITE_PROTOCOL_1 = 1, REMOTE_WRITE_PROTOCOL_2 = 2 };

static inline uint32_t remote_write_protocol(const struct plan_remote_write *config)
{
    return config->message == REMOTE_WRITE_2 ? REMOTE_WRITE_PROTOCOL_2 : REMOTE_WRITE_PROTOCOL_1;
}

/* How requests of a destination are signed. */
struct remote_write_signing {
    struct http_signer *signer; /* NULL: not at all; outlives the destination */
    /* The destination refused a signature or its credentials (401, 403 ..): look for new ones. `date` is the Date of
     * its answer, for the clock. May be NULL. On the worker's thread. */
    void (*refused)(struct http_signer *signer, struct str date, struct str words);
};

/* What the destination's workers have told already, so that each thing is said once; zero at first. */
struct remote_write_shared {
    _Atomic uint32_t said;
};

struct remote_write_options {
    struct loop *loop;
    struct http_client *http;
    struct intern *intern;
    struct scope_table *scopes;
    int slot;                   /* of the scopes' forms; unique per destination of this worker */
    struct spool *spool;        /* shared by the workers, each with its own lanes */
    uint32_t worker, n_workers; /* lanes l with l % n_workers == worker are ours */
    struct plan *plan;          /* referenced by the sink */
    const struct plan_remote_write *config;
    enum compression compression; /* to begin with: COMPRESS_ZSTD, else snappy */
    struct remote_write_signing signing;
    struct remote_write_shared *shared; /* of all workers; NULL: none */
    struct log *log;
    struct counters *counters;
};

/* Opens the lanes that hold data from before, and starts sending them. */
enum err remote_write_new(const struct remote_write_options *o, struct remote_write **out, struct diag *d) MUST_USE;
struct sink *remote_write_sink(struct remote_write *rw); /* the calls below that any destination has */
struct batch_consumer *remote_write_consumer(struct remote_write *rw);
/* The same destination under a new plan: options, relabelling, external labels; prepared forms are made again. What it
 * did not take (2.0, zstd) is tried again. */
void remote_write_update(struct remote_write *rw, struct plan *plan, const struct plan_remote_write *config,
                         const struct remote_write_signing *signing); /* NULL: not signed */
/* Metadata in requests of their own; neither spooled nor in the ledger. Called for one worker only. */
void remote_write_metadata(struct remote_write *rw, const struct family *families, uint32_t n);
/* Seals every lane and keeps sending; drained(ctx) when nothing waits any more. */
void remote_write_drain(struct remote_write *rw, void (*drained)(void *ctx), void *ctx);
/* Ends what is in flight, closes the lanes (their bytes on disk), then calls closed and frees rw. */
void remote_write_close(struct remote_write *rw, void (*closed)(void *ctx), void *ctx);

void remote_write_status(const struct remote_write *rw, struct arena *a, struct sink_status *out);

#endif
