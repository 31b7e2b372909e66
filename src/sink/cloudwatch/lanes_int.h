/* lanes_int: where encoders hand in what they made: records of a place. Private to sink/cloudwatch/.
 *
 * Each place has a lane of its own as long as one of the SPOOL_LANES is free, by preference the one that its hash
 * names; after that places share by hash. A request holds records of one place only.
 */
#ifndef SINK_CLOUDWATCH_LANES_INT_H
#define SINK_CLOUDWATCH_LANES_INT_H

#include "sink/cloudwatch/cloudwatch.h"

struct cw_lane;

/* A log stream; or a namespace (group), with an empty stream. */
struct cw_place {
    struct str group, stream;
};

/* The lane of this place; opened at its first use. NULL: it cannot be opened (said in the log, at most once a minute):
 * the caller counts its samples by cw_lost. */
struct cw_lane *cw_lane_of(struct cloudwatch *c, const struct cw_place *place);
uint32_t cw_lane_number(const struct cw_lane *l);
/* Where the last values of counters are kept; the same as long as c lives, and open until emf_free has returned. */
struct fold_state *cw_folds(struct cloudwatch *c);
void cw_lost(struct cloudwatch *c, uint32_t samples);
/* Names that the service takes: a log group and stream, or a namespace; else ERR_SYNTAX with what is wrong. */
enum err cw_place_check(enum cloudwatch_kind kind, const struct cw_place *place, struct diag *d) MUST_USE;
/* Samples that came in and belong to no place: read and dropped, in the ledger of some lane. */
void cw_drop(struct cloudwatch *c, uint32_t samples, enum spool_reason reason);

/* One log event, or one MetricDatum as JSON text. */
struct cw_record {
    int64_t ts_ms;
    uint32_t offset, bytes; /* of the text, in what cw_commit is given */
    uint32_t samples;       /* that it delivers */
    uint32_t n_folds;       /* of the next ones of cw_scrape.folds: made durable with it */
};

struct cw_fold {
    struct fold_block *block;
    uint32_t series;
    struct fold_value value;
};

/* What one batch gave for one place. */
struct cw_scrape {
    struct str text;
    const struct cw_record *records;
    uint32_t n_records;
    const struct cw_fold *folds; /* in the order of the records; those beyond theirs go with the last commit */
    uint32_t n_folds;
    uint32_t read;                     /* samples = those of the records + all dropped */
    uint32_t dropped[DROPS_AT_COMMIT]; /* by enum spool_reason */
    struct fold_block *touch;          /* fold_block_touch(touch, touch_ms) with the last commit; NULL: none */
    int64_t touch_ms;
};

/* Makes it part of the place's open request, or of several where one does not hold it: a record is never cut, one that
 * is larger than the service takes (CW_EVENT_MAX, CW_DATUM_MAX) or empty is dropped as unsendable by its samples, and
 * its folds hold all the same. Everything of it is in the spool on return. */
void cw_commit(struct cw_lane *l, const struct cw_place *place, const struct cw_scrape *s);

enum {
    CW_EVENT_OVERHEAD = 26, /* bytes that CloudWatch Logs counts per event */
    CW_BATCH_MAX = 1048576, /* PutLogEvents: messages and overheads */
    CW_BATCH_EVENTS_MAX = 10000,
    CW_EVENT_MAX = 1048576 - 26 - 1024, /* of a message; the rest is for the place's name in the spool */
    CW_REQUEST_MAX = 1000000,           /* PutMetricData, before compression */
    CW_REQUEST_DATA_MAX = 1000,
    CW_DATUM_MAX = 900000,                           /* of one datum's text */
    CW_SPAN_MAX_MS = 24 * 3600 * 1000,               /* PutLogEvents: between the first and the last event */
    CW_NAME_MAX = 512,                               /* of a log group, a stream, a namespace */
    CW_RAW_MAX = CW_BATCH_MAX + 4 + 2 * CW_NAME_MAX, /* of a batch in the spool: its records and their place */
    CW_DOCUMENT_MAX = 8 << 20,                       /* of a request, inflated: every byte escaped */
    CW_DATUM_VALUES_MAX = 150,
    CW_DIMENSIONS_MAX = 30,
};

/* ---- the parts, each in its file ---- */

/* emf.c: batches. NULL when config has no emf. */
struct emf;
struct emf *emf_new(struct cloudwatch *c, const struct cloudwatch_options *o);
void emf_free(struct emf *e);
struct batch_consumer *emf_consumer(struct emf *e);
void emf_update(struct emf *e, struct plan *plan, const struct plan_cloudwatch *config);

/* datum.c: appends one MetricDatum as JSON, or several where it has more than CW_DATUM_VALUES_MAX values; each is told
 * to `record` with its part of the samples. ERR_SYNTAX: the service would refuse it (empty or too long name, more than
 * 2^360, not finite), with the reason in *d; nothing is appended. */
enum err datum_print(const struct datum *v, struct buf *out, void (*record)(void *ctx, const struct cw_record *r),
                     void *ctx, struct diag *d) MUST_USE;

#endif
