/* cloudwatch_int: one destination, seen by its own files. Everything on the control loop. */
#ifndef SINK_CLOUDWATCH_CLOUDWATCH_INT_H
#define SINK_CLOUDWATCH_CLOUDWATCH_INT_H

#include "sink/cloudwatch/note_int.h"

enum {
    CW_LOG_PERIOD_MS = 30 * 1000,
    CW_PARTS_MAX = 40, /* halves of halves of a request that wait for their turn */
    CW_LONGEST_WAIT_MS = 3600 * 1000,
    CW_CODES_MAX = 48, /* of one operation's answers, that are counted apart */
};

/* What is called, in the order in which a missing log stream makes them necessary. */
enum cw_step { CW_PUT, CW_CREATE_STREAM, CW_CREATE_GROUP, CW_RETENTION, CW_STEPS };

enum cw_rejection { CW_REJECTED_TOO_NEW, CW_REJECTED_TOO_OLD, CW_REJECTED_EXPIRED, CW_REJECTED_REFUSED, CW_REJECTIONS };

struct cw_code {
    enum cw_step step;
    char *code;
    struct counter *n;
};

struct cw_counters {
    struct counter *records, *raw_bytes, *wire_bytes, *retries, *splits, *duplicates, *unspooled, *created_groups,
        *created_streams;
    struct counter *rejected[CW_REJECTIONS];
    struct counter_histogram *duration, *to_ack;
    struct cw_code *codes; /* requests by operation and how they ended */
    size_t n_codes, cap_codes;
};

/* A stretch of the records of the request that is being delivered. */
struct cw_part {
    uint32_t from, to;
    bool unsure;       /* it may have been taken without our knowing */
    uint32_t deferred; /* put behind all others when (this - 1) parts had been taken; 0: not */
};

enum cw_lane_state { CW_IDLE, CW_IN_FLIGHT, CW_BACKING_OFF };

struct cw_lane {
    struct cloudwatch *c;
    uint32_t number;
    struct spool_lane *spool;

    /* Whose it is: the first place that came, or that of the requests found in it. */
    struct buf owner_group, owner_stream;
    bool owned;
    uint64_t saved; /* the place that is known to be in the owners kept, until save_again_ms (wall clock) */
    int64_t save_again_ms;

    /* The open batch: whose, and how full. All zero when it is empty. */
    struct buf open_group, open_stream;
    uint32_t open_records;
    size_t open_bytes; /* as the service counts them */
    int64_t open_first_ms, open_last_ms;

    /* Sending. */
    enum cw_lane_state state;
    const struct spool_request *request; /* NULL: none */
    struct cw_note note;                 /* of it */
    struct spool_outcome outcome;        /* of the parts that are over */
    struct cw_part parts[CW_PARTS_MAX];  /* the last one is next */
    uint32_t n_parts;
    uint32_t refused_in_row; /* of this request, since one of its parts was taken */
    struct cw_part sent;     /* what the body is made of; sent_samples of them */
    uint32_t sent_samples;
    struct str body;
    struct buf cut, text; /* the body of a part; that of another call */
    enum cw_step step;
    bool made;      /* the stream was made for this request already */
    uint32_t taken; /* parts of this request */
    uint32_t gone;  /* how often in a row the stream was missing right after it was made */
    struct aws_call call;
    struct http_header headers[2];
    struct timer timer;
    uint32_t attempt;
    uint64_t started_ns;
    uint64_t split_again_ms; /* monotonic: until then refused requests are dropped whole */
    uint64_t pending;        /* samples, as last seen */
};

struct emf;

struct cloudwatch {
    struct sink sink;
    struct log_event_consumer events;
    struct datum_consumer data;
    struct loop *loop;
    struct aws *aws;
    struct aws_session *session;
    struct spool *spool;
    struct log *log;
    struct counters *set;
    struct plan *plan;
    const struct plan_cloudwatch *config;
    struct cloudwatch_options options; /* for an emf that comes with a reload */
    struct fold_state *folds;
    struct emf *emf; /* NULL: gets no batches */
    struct compressor compressor;
    struct cw_lane *lanes[SPOOL_LANES];
    struct fold_block *owners[SPOOL_LANES]; /* whose each lane was, as the state keeps it */
    struct cw_counters count;
    uint64_t random;
    uint64_t longest_wait_ms; /* between two attempts, whatever the service asks for */

    /* What the inputs make their records of; kept between calls. */
    struct buf input_text;
    struct cw_record *input_records;
    size_t n_input_records, cap_input_records;

    uint32_t in_flight;
    bool failing; /* the last answer was a failure; the next success says so */
    struct log_limit log_retry, log_refused, log_rejected, log_input, log_lane;
    int last_status;
    struct buf last_error;
    int64_t last_success_ms, last_error_ms;

    bool closing;
    struct timer drain_timer, close_timer;
    void (*drained)(void *ctx);
    void *drained_ctx;
    void (*closed)(void *ctx);
    void *closed_ctx;
    uint32_t closing_lanes;
};

/* lanes.c */
enum err cw_lane_open(struct cloudwatch *c, uint32_t number, struct diag *d) MUST_USE;
void cw_lane_free(struct cw_lane *l);
void cw_lane_claim(struct cw_lane *l, const struct cw_place *place); /* if it is nobody's */
void cw_owners_load(struct cloudwatch *c);                           /* before any lane is used */

/* send.c */
void cw_lane_wake(struct cw_lane *l);  /* look for something to send */
void cw_lane_hurry(struct cw_lane *l); /* whatever it waits for, it tries again now, and as if for the first time */
void cw_lane_stop(struct cw_lane *l);  /* end what runs, and send no more */

/* cloudwatch.c */
void cw_lane_changed(struct cw_lane *l); /* its ledger moved */
uint64_t cw_random(struct cloudwatch *c);

/* log_input.c, datum_input.c */
void cw_append_events(struct log_event_consumer *self, const struct log_event *v, uint32_t n);
void cw_append_data(struct datum_consumer *self, const struct datum *v, uint32_t n);

/* counters.c */
void cw_counters_init(struct cloudwatch *c);
void cw_counters_release(struct cloudwatch *c);
const char *cw_operation(const struct cloudwatch *c, enum cw_step step);
void cw_count_request(struct cloudwatch *c, enum cw_step step, struct str code);

#endif
