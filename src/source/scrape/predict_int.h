/* predict: from the bytes of one exposition to the samples of one batch, with the help of what the target exposed last
 * time. No HTTP, no timers, no consumers: bytes in, samples out. One predictor per worker; everything on its thread.
 */
#ifndef SOURCE_SCRAPE_PREDICT_INT_H
#define SOURCE_SCRAPE_PREDICT_INT_H

#include "base/counter.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "format/exposition.h"
#include "format/prom_proto.h"
#include "model/batch.h"
#include "plan/plan.h"
#include "shape/metric_map.h"
#include "source/scrape/target.h"

/* ---- what is remembered of a target ----
 *
 * One 32-bit entry per line or comment block of the last good exposition, in its order; each holds a reference to its
 * metric. 4 bytes an entry and this struct. */

#define POSITION_DUPLICATE 0x80000000u /* the same series stood earlier on the page: the first value wins */
#define POSITION_UNTRACKED 0x40000000u /* had a timestamp of its own: exempt from stale markers */
#define POSITION_ASIDE     0x20000000u /* beside the target's own scope although the page has a folded one */
#define POSITION_PART      0x10000000u /* a line of a classic histogram that was converted: yields no sample */
#define POSITION_LIMITED   0x08000000u /* beyond series_limit: counted, never sent */
#define POSITION_ID        0x07ffffffu

/* A metric that no line has: a histogram made of the lines in front of it (convert.c). */
#define METRIC_CONVERTED METRIC_USER1
/* The name ends in _created: perhaps a start timestamp (starts.c). */
#define METRIC_CREATED METRIC_USER2

/* The two ways in which a line becomes a metric: INNER for all of them, unless the map's rules were folded into a scope
 * of the page's own (shape/metric_map.h); then OUTER for those that must go the long way. */
enum way { INNER, OUTER };

struct page_fold {
    struct arena arena;
    struct metric_fold f;
};

struct stamped;          /* last explicit timestamps, by metric (stamped.c) */
struct latest_exemplars; /* exemplars sent last, by metric (exemplars.c) */
struct series_limit;     /* series of these 24 hours (series_limit.c) */

struct page {
    uint32_t *positions;
    uint32_t n;
    uint32_t general[2], scoped[2];  /* context groups by way; scoped is 0 until the map reads a scope's value */
    struct scope *outer;             /* the target's labels */
    struct scope *inner;             /* what series are beside: outer, or the folded scope */
    struct scope *seen_inner;        /* inner when the positions were taken */
    struct page_fold *fold;          /* NULL: nothing was folded */
    struct stamped *stamped;         /* NULL until a series has a timestamp of its own */
    struct latest_exemplars *latest; /* NULL until a series has an exemplar */
    struct series_limit *limit;      /* NULL: there is none */
    int64_t last_ms;                 /* timestamp of the last batch; INT64_MIN: none yet */
    bool fresh;                      /* a configuration came since: every series counts as new */
    bool converted;                  /* classic histograms were converted when the positions were taken */
    bool marked;                     /* stale markers for all of it have been sent: the last scrape failed */
};

/* ---- contexts ----
 *
 * A metric's context in the intern table says what, besides its raw bytes, made its labels:
 *
 *   group (a multiple of 64)                 | kind << 4           | 0: untyped, or 1 + the TYPE in force
 *   map's rules and scope's names, or one scope    exposition_kind
 *
 * Group numbers are never given twice, so that what a swept metric meant cannot come back under another meaning. */
#define CONTEXT_COMMENTS    0u
#define CONTEXT_REPORT      64u
#define CONTEXT_FIRST_GROUP 128u
#define CONTEXT_GROUP       64u
#define CONTEXT_KIND        (BATCH_KIND_MASK << BATCH_KIND_SHIFT)
#define CONTEXT_TYPE        15u

struct context_use {
    uint64_t key;
    uint32_t group, refs;
};

/* ---- the worker's part ---- */

struct predict_counters {
    struct counter *samples, *predicted, *parsed, *stale;
    struct counter *duplicate, *out_of_order, *out_of_bounds, *over_sample_limit, *over_label_limits;
    struct counter *over_bucket_limit, *over_series_limit;
    struct counter *histograms, *exemplars, *bad_exemplars, *late_exemplars;
};

/* Exemplars of a batch, and beside each a hash of the text that it was read from; 0: none. */
struct exemplar_list {
    struct exemplar *v;
    uint64_t *text;
    size_t n, cap, cap_text;
};

struct histogram_list {
    struct histogram *v;
    size_t n, cap;
};

/* The time of a side whose sample has the batch's, until predict_batch. */
#define SIDE_BATCH_TIME INT64_MIN

struct sample_list {
    struct sample *v;
    size_t n, cap;
};

/* Where blocks of comments begin in the list of a way. */
struct block_list {
    struct batch_block *v;
    size_t n, cap;
};

/* Where a sample goes: the runs of the batch. */
enum run_of { RUN_INNER, RUN_OUTER, RUN_SEEN, RUNS };

struct predictor {
    struct intern *intern;
    struct scope_table *scopes;
    struct log *log;
    struct counters *set;
    struct predict_counters counters;
    struct arena arena; /* of one line: parsed labels */
    struct arena held;  /* of one batch: exemplars, histograms */
    struct sample_list samples[RUNS];
    struct block_list blocks[2]; /* by way; `first` counts within samples[way] */
    struct sample_side *sides;
    size_t n_sides, cap_sides;
    struct exemplar_list exemplars;
    struct histogram_list histograms;
    struct prom_proto proto;
    struct nhcb_stage stage;
    struct line_info *infos; /* by metric id (convert.c) */
    size_t n_infos;
    bool listens;
    struct buf converted; /* raw bytes of the histogram being looked up */
    uint32_t *positions;  /* the page being read, once it differs from the last one */
    size_t n_positions, cap_positions;
    struct context_use *contexts;
    size_t n_contexts, cap_contexts;
    struct map contexts_by_key;
    uint32_t next_group;
    struct batch_run runs[RUNS];
    struct scope *leaving; /* of the markers in this batch, after the page has let go of it */
    size_t largest;        /* samples of the largest batch since the last trim */
    uint32_t batches;
    struct log_limit order_limit, duplicate_limit, bounds_limit;
    int64_t started_ms; /* wall clock */
};

void predictor_init(struct predictor *p, struct intern *in, struct scope_table *scopes, struct log *log,
                    struct counters *set);
void predictor_release(struct predictor *p);

/* ---- pages (page.c) ---- */

/* A page for a target with this scope, of which it takes a reference. */
void page_init(struct predictor *p, struct page *page, const struct plan_scrape *config, struct scope *scope);
/* Another configuration, or the same in another plan (rules are plan memory): the array stays. What the map makes
 * differently now is looked up anew at the next scrape, and what is gone then gets its marker then. `fresh`: series
 * count as new, and the label limits are checked again. */
void page_shape(struct predictor *p, struct page *page, const struct plan_scrape *config, bool fresh);
/* Moves what `from` remembers to `to`, which has not been used yet and is of the same scope; `from` is released. */
void page_adopt(struct predictor *p, struct page *to, struct page *from);
void page_release(struct predictor *p, struct page *page);
/* The group of the metrics whose map read a value of this page's scope; made at the first call. */
uint32_t page_scoped_group(struct predictor *p, struct page *page, enum way way);

/* ---- one scrape ---- */

struct predict_input {
    struct page *page;
    const struct plan_scrape *config;
    struct str url;  /* for messages */
    struct str body; /* NUL behind the end */
    enum exposition_kind kind;
    struct scrape_histograms histograms; /* `native` concerns protobuf only */
    bool starts;                         /* start timestamps are wanted */
    uint64_t series_limit;               /* 0: none */
    int64_t ts_ms;                       /* of the batch */
    int64_t now_ms;                      /* wall clock: timestamps more than ten minutes ahead are refused */
};

struct predict_result {
    uint32_t scraped;    /* lines with a value */
    uint32_t relabelled; /* of these, what the map kept; duplicates included */
    uint32_t added;      /* series not known from before; 0 when the scrape failed */
    uint32_t limited;    /* series left out by series_limit */
};

/* A batch begins: no samples. */
void predict_begin(struct predictor *p);
/* Appends the page's samples and the markers of the series that are gone, and makes this page the remembered one. On an
 * error nothing was appended and the page is as it was; *out still says how far it came. An empty body is a good page
 * without series. */
enum err predict_page(struct predictor *p, const struct predict_input *in, struct predict_result *out,
                      struct diag *d) MUST_USE;
/* The scrape failed: appends a marker for every series of the page that has not got one yet. */
void predict_failed(struct predictor *p, struct page *page, int64_t ts_ms);
/* One more sample beside the target's labels, for report series. */
void predict_append(struct predictor *p, const struct page *page, uint32_t metric, double value);
/* The batch as of now; views into the predictor, valid until the next predict_begin. Once per predict_begin. */
struct batch predict_batch(struct predictor *p, const struct page *page, uint32_t lane, int64_t ts_ms);

/* ---- inside the predictor ---- */

/* A page being read. */
struct reading {
    struct predictor *p;
    struct page *page;
    const struct predict_input *in;
    struct intern_view view;
    struct exposition e;
    uint32_t at;       /* next position of the old array */
    bool diverged;     /* from here on p->positions is written */
    uint32_t same;     /* positions that are the old array's: [0, same) */
    size_t settled[2]; /* samples by way that are known to hold no unnoticed duplicate */
    bool hopeless;     /* far beyond sample_limit: counted only */
    bool stamped;      /* a sample has a time of its own */
    bool convert;      /* classic histograms become native ones */
    bool skips;        /* the old array has entries without a line */
    bool over_buckets; /* a histogram has too many buckets even at the lowest resolution */
    bool relimit;      /* the series of the last 24 hours begin anew: every series has to be let in again */
    uint32_t first;    /* convert: the position of the first line of the histogram being collected */
    uint32_t created;  /* starts: the _created line above, or METRIC_NONE */
    int64_t created_ms;
    size_t since[2];    /* starts: samples by way in front of the last _created line or block */
    int32_t max_schema; /* INT32_MIN: not worked out yet */
    struct predict_result result;
    uint32_t predicted, parsed, duplicates, out_of_order, out_of_bounds;
};

/* What few samples have. */
struct extras {
    bool own_time;
    int64_t ts_ms;    /* own_time */
    int64_t start_ms; /* 0: not known */
    const struct histogram *histogram;
    const struct exemplar *exemplars;
    uint32_t n_exemplars;
    uint64_t text; /* of the one exemplar: hash of the text that it was read from; 0: none */
};

static inline enum way position_way(uint32_t position)
{
    return position & POSITION_ASIDE ? OUTER : INNER;
}

static inline uint32_t kind_bits(const struct reading *r)
{
    return (uint32_t)r->in->kind << BATCH_KIND_SHIFT;
}

static inline bool has_own_time(const struct predictor *p, const struct sample *s)
{
    return s->side != SIDE_NONE && p->sides[s->side].ts_ms != SIDE_BATCH_TIME;
}

/* ---- predict.c ---- */

static inline struct sample *sample_append(struct predictor *p, enum run_of run, uint32_t metric, double value)
{
    struct sample_list *list = &p->samples[run];

    if (UNLIKELY(list->n == list->cap))
        list->v = mem_grow(list->v, &list->cap, list->n + 1, sizeof(*list->v));
    struct sample *s = &list->v[list->n++];
    *s = (struct sample){metric, SIDE_NONE, value};
    return s;
}

/* The sample's side, made when it has none. */
struct sample_side *sample_side(struct predictor *p, struct sample *s);
/* The marker of one remembered series. */
void marker_append(struct predictor *p, struct page *page, uint32_t position, int64_t ts_ms);

/* ---- reading.c: what all formats share ---- */

/* From here on the new array is written beside the old one. */
void reading_diverge(struct reading *r);
void reading_put(struct reading *r, uint32_t position);
/* The group in which a context of this page's lies; false: of another page. */
bool reading_owns(const struct reading *r, uint32_t context, enum way way);
/* A series whose metric is known, with its value. `position` has no flag but POSITION_ASIDE. x: NULL, or what else it
 * has; on an error the page is to be refused. */
enum err reading_take(struct reading *r, uint32_t position, double value, const struct extras *x, bool dropped,
                      struct diag *d) MUST_USE;
/* A line in this page's array that was found where it stood. */
enum err reading_take_again(struct reading *r, double value, const struct extras *x, struct diag *d) MUST_USE;
/* The number of a block of comments that the old array does not have here. */
enum err reading_new_comments(struct reading *r, struct str raw, uint32_t context, uint32_t *id,
                              struct diag *d) MUST_USE;
/* What follows stands under this block. */
void reading_comments(struct reading *r, uint32_t id);

/* What a series is before it is interned: its raw bytes, and how its labels are had. */
struct line {
    struct str raw;
    uint64_t hash;
    uint32_t suffix;       /* kind of exposition, and TYPE in force where it is known to matter */
    uint32_t typed_suffix; /* the same for a line of which nobody knows yet whether the TYPE matters */
    uint16_t flags;
    enum err (*labels)(struct reading *r, const struct line *line, struct labels *out, bool *typed, struct diag *d);
    struct str of;    /* convert: the raw bytes of the histogram's first line */
    uint32_t of_type; /* and the TYPE that it was read under */
};

/* The position (id and way) of a line interned before, by this target or another; METRIC_NONE: nobody did. */
uint32_t reading_find(const struct reading *r, const struct line *line);
/* A line that the old array does not have here: found or parsed, mapped, interned. position METRIC_NONE: not kept,
 * since the page is hopeless. */
enum err reading_identify(struct reading *r, const struct line *line, uint32_t *position, bool *dropped,
                          struct diag *d) MUST_USE;
/* The old array goes on behind this metric, if it is a few places ahead. */
void reading_resync(struct reading *r, uint32_t id);
/* After a new series: a page far beyond sample_limit is read on for its count alone. */
void reading_note_size(struct reading *r);

/* ---- lines.c, messages.c: text and OpenMetrics, protobuf ---- */

enum err lines_read(struct reading *r, struct diag *d) MUST_USE;
enum err messages_read(struct reading *r, struct diag *d) MUST_USE;

/* ---- blocks.c ---- */

/* What follows in the lists of samples stands under this block, or under none. */
void blocks_note(struct reading *r, uint32_t comments);

/* A list of samples being thinned out in place, with the blocks above them: every sample is kept or left out, in
 * order. */
struct thinning {
    struct sample_list *samples;
    struct block_list *blocks;
    size_t from, to, block;
};

struct thinning thinning_begin(struct predictor *p, enum way way, size_t from);
struct sample *thinning_next(struct thinning *t); /* NULL: the end */
void thinning_keep(struct thinning *t, const struct sample *s);
void thinning_end(struct thinning *t);

/* ---- settle.c ---- */

/* The label limits of what was read so far: they come before the error that ended the reading. */
enum err settle_limits(struct reading *r, struct diag *d) MUST_USE;
bool over_sample_limit(const struct reading *r);
/* Checks what only the whole page can tell, appends the markers, and commits. */
enum err settle_page(struct reading *r, struct diag *d) MUST_USE;
/* The markers of all remembered series. */
void settle_failed(struct predictor *p, struct page *page, int64_t ts_ms);

/* ---- stamped.c ---- */

/* Drops the samples whose timestamps repeat or step back, or lie too far ahead. */
void stamped_filter(struct reading *r);
/* The series had the batch's time until now: what came before is not to be repeated. */
void stamped_note(struct reading *r, uint32_t metric);
/* Whether a marker at ts_ms would step back; notes it when not. */
bool stamped_allows_marker(struct predictor *p, struct page *page, uint32_t metric, int64_t ts_ms);
void stamped_free(struct predictor *p, struct stamped *s);

/* ---- exemplars.c ---- */

/* The exemplar of an OpenMetrics line, unless it was sent already. */
void exemplars_of_line(struct reading *r, uint32_t metric, struct str text, struct extras *x);
/* Those of exemplars, sorted, that were not sent already. */
void exemplars_of_series(struct reading *r, uint32_t metric, const struct exemplar *v, uint32_t n, struct extras *x);
/* What this batch sends is not sent again. */
void exemplars_commit(struct reading *r);
void exemplars_free(struct predictor *p, struct latest_exemplars *l);

/* ---- starts.c ---- */

/* Between two blocks nothing is known. */
void starts_block(struct reading *r);
/* A _created line: its value for the samples above it. */
void starts_created(struct reading *r, uint32_t metric, double value);
/* The value of the _created line above, if it speaks of this series. */
int64_t starts_of(struct reading *r, uint32_t metric);

/* ---- convert.c ---- */

/* The page reads with conversion. */
void convert_begin(struct reading *r);
/* In front of a block of comments: a finished histogram is taken. */
enum err convert_block(struct reading *r, uint32_t comments, struct diag *d) MUST_USE;
/* In front of a series; *swallowed: it is part of a histogram and yields no sample of its own. */
enum err convert_series(struct reading *r, uint32_t position, double value, struct extras *x, bool *swallowed,
                        struct diag *d) MUST_USE;
enum err convert_end(struct reading *r, struct diag *d) MUST_USE;
void convert_release(struct predictor *p);

/* ---- series_limit.c ---- */

/* Before a page is read: makes, renews or removes what is counted; true: every series has to be let in again. */
bool series_limit_begin(struct page *page, uint64_t limit, int64_t now_ms);
/* Whether the series of these labels is one of the target's, or may become one. */
bool series_limit_allows(struct series_limit *l, uint64_t labels_hash);
/* The page is over: what was let in stays, or is forgotten. l may be NULL. */
void series_limit_settle(struct series_limit *l, bool good);
void series_limit_free(struct series_limit *l);

#endif
