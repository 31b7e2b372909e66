/* remote_write_int: one destination of one worker, seen by its own files. */
#ifndef SINK_REMOTE_WRITE_INT_H
#define SINK_REMOTE_WRITE_INT_H

#include "base/counter.h"
#include "base/log.h"
#include "loop/loop.h"
#include "sink/remote_write/encode_int.h"
#include "sink/remote_write/form_int.h"
#include "sink/remote_write/remote_write.h"

enum {
    ERROR_WORDS_MAX = 1024, /* of an answer that says no */
    ANSWER_MAX = 1 << 20,   /* larger ones are no answer to the client */
    LOG_PERIOD_MS = 30 * 1000,
};

struct remote_write_counters {
    struct counter *samples, *failed, *retried, *dropped_too_old, *dropped_series, *bytes;
    struct counter *metadata, *metadata_failed, *metadata_retried, *metadata_bytes;
    struct counter *pending, *highest, *highest_sent, *shards, *shards_max, *shards_min, *shards_desired, *max_samples;
    struct counter *retries_network, *retries_5xx, *retries_429;
    struct counter *splits, *split_pauses, *unsendable, *unspooled, *form_bytes;
    struct counter *exemplars, *histograms, *dropped_histograms, *fallbacks, *retries_signature;
    struct counter_histogram *duration, *to_ack;
};

enum lane_state {
    LANE_IDLE,         /* nothing to send, or the spool is reading it */
    LANE_WAITING_TURN, /* max_shards requests are in flight already */
    LANE_IN_FLIGHT,
    LANE_BACKING_OFF,
};

struct lane {
    struct remote_write *rw;
    uint32_t number;
    enum lane_state state;
    struct spool_lane *spool;
    uint64_t pending; /* samples, as last seen */

    struct http_peer *peer;
    struct plan *plan; /* the one that the peer's options are in */
    struct http_request http;
    struct http_header headers[4];
    char attempt_text[12];
    struct buf answer;
    struct timer timer;
    uint64_t started_ns;
    uint32_t protocol; /* of the body */
    enum compression compression;

    const struct spool_request *request; /* the one that is being delivered; NULL: none */
    struct spool_outcome outcome;        /* of the parts that are over */
    bool split;
    uint32_t part, taken; /* with split: the border that is being sent; parts that were accepted */
    /* Samples of this part that are in the body, and that were left out of it: too old, or histograms that 1.0 does not
     * have. */
    uint32_t sent, too_old, custom;
    struct str body;
    struct buf raw, cut; /* the message inflated, and the body that was made of it */
    uint32_t attempt;
    uint64_t backoff_ms;
    bool unsure, part_unsure; /* the whole request, or this part, may have been taken without our knowing */
    uint64_t split_again_ms;  /* monotonic; splitting pauses until then */
};

struct metadata;

struct remote_write {
    struct sink sink; /* first */
    struct batch_consumer consumer;
    struct loop *loop;
    struct http_client *http;
    struct spool *spool;
    struct log *log;
    struct counters *set;
    uint32_t worker, n_workers;
    struct plan *plan;
    const struct plan_remote_write *config;
    struct buf url; /* for people: a password in it is masked */
    struct intern *intern;
    struct forms forms;
    struct encoder2 two;
    struct compressor compressor;
    uint32_t protocol; /* what the destination is spoken to; 1 after it turned out not to take 2.0 */
    enum compression compression, wanted_compression;
    bool zstd_taken; /* it took a zstd request: a 400 is about something else */
    struct remote_write_signing signing;
    _Atomic uint32_t *said;
    struct lane *lanes[LANES];
    struct metadata *metadata;
    struct remote_write_counters count;
    uint64_t random;
    int64_t highest_ms, highest_sent_ms;

    uint32_t in_flight, max_in_flight;
    struct log_limit log_retry, log_refused, log_too_old, log_other;
    bool failing; /* the last answer was a failure; the next success says so */

    int last_status;
    struct buf last_error;
    int64_t last_success_ms, last_error_ms;

    bool draining, closing;
    struct timer drain_timer, close_timer;
    void (*drained)(void *ctx);
    void *drained_ctx;
    void (*closed)(void *ctx);
    void *closed_ctx;
    uint32_t closing_lanes;
};

/* remote_write.c */
struct lane *remote_write_lane(struct remote_write *rw, uint32_t number); /* opened when needed; NULL: it cannot be */
void remote_write_lane_changed(struct lane *l);                           /* its ledger moved: pending, drained */
/* From now on batches are of this kind; open ones of another are sealed. */
void remote_write_speak(struct remote_write *rw, uint32_t protocol, enum compression compression);
enum err remote_write_peer(struct remote_write *rw, struct http_peer **out, struct diag *d) MUST_USE;
uint64_t remote_write_random(struct remote_write *rw);

/* encode.c */
void remote_write_append(struct batch_consumer *self, const struct batch *b, batch_done_fn *done, void *done_ctx);

/* send.c */
void lane_wake(struct lane *l); /* look for something to send */
void lane_stop(struct lane *l); /* end what runs, and send no more */
void lanes_take_turns(struct remote_write *rw);
/* The fields of a request of ours; text holds the attempt's number while it runs. Returns how many. */
int remote_write_headers(uint32_t protocol, enum compression kind, uint32_t attempt, char text[12],
                         struct http_header headers[4]);

/* metadata.c */
struct metadata *metadata_new(struct remote_write *rw);
void metadata_free(struct metadata *m);

/* counters.c */
void remote_write_counters_init(struct remote_write *rw);
void remote_write_counters_release(struct remote_write *rw);
void remote_write_counters_config(struct remote_write *rw);

#endif
