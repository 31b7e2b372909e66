/* emf_int: the EMF encoder, inside. See emf.c for the idea.
 */
#ifndef SINK_CLOUDWATCH_EMF_INT_H
#define SINK_CLOUDWATCH_EMF_INT_H

#include <math.h>

#include "base/counter.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/regex.h"
#include "model/family.h"
#include "shape/delta.h"
#include "sink/cloudwatch/lanes_int.h"

#define EMF_NONE UINT32_MAX
/* With first values: how long a series, or a target, is remembered that went away. */
#define EMF_FIRST_VALUES_KEEP_MS (24 * INT64_C(3600000))

enum {
    EMF_DEFINITIONS_MAX = 100, /* metric definitions of an event (EMF specification) */
    EMF_VALUES_MAX = 100,      /* values of an array target */
    EMF_METRIC_NAME_MAX = 1024,
    EMF_DIMENSION_NAME_MAX = 250,
    EMF_DIMENSION_VALUE_MAX = 1024,
    EMF_NUMBER_MAX = 32,
};

/* Why a dimension set is left out of a directive. */
enum emf_skip { EMF_SKIP_EMPTY, EMF_SKIP_TOO_LONG, EMF_SKIP_NOT_ASCII, EMF_SKIP_NAME, EMF_SKIPS };

/* ---- a layout: what a sequence of metrics is beside scopes of a class ---- */

enum emf_kind { EMF_GAUGE, EMF_COUNTER, EMF_BUCKETS };

struct emf_value {
    uint32_t at;              /* EMF_BUCKETS: into layout.histograms; else which sample of the sequence */
    uint32_t counter;         /* EMF_COUNTER: into the binding's series */
    uint32_t key, definition; /* in layout.text: `,"name":` and `{"Name":"name"}` */
    uint16_t key_n, definition_n;
    uint32_t directive; /* into layout.directives, or EMF_NONE */
    uint32_t name;      /* number of its name among those of this set of labels */
    struct str text;    /* the name; in the layout's arena, of PutMetricData only */
    uint8_t kind;
};

/* A classic histogram: parts in ascending order of their bounds, then what there is of _sum and _count. */
struct emf_bucket {
    double bound;
    uint32_t at, counter;
};

struct emf_histogram {
    const struct emf_bucket *buckets;
    uint32_t n;
    struct emf_bucket sum, count; /* at EMF_NONE: the page has none */
};

struct emf_set {
    const struct str *names; /* sorted; in the layout's arena */
    uint32_t n;
    uint32_t declaration; /* the first that has it */
};

struct emf_directive {
    uint32_t dimensions, dimensions_n; /* in layout.text: `"Dimensions":[["a","b"]]` */
    const struct emf_set *sets;
    uint32_t n_sets; /* 0: selected, and without a set that is possible here */
    uint32_t skipped[EMF_SKIPS];
};

struct emf_event {
    uint32_t first, n;         /* layout.values */
    uint32_t head, head_n;     /* in layout.text: directives when every value is there */
    uint32_t own, own_n;       /* the metric's own labels, without a comma at the end */
    uint32_t hidden, n_hidden; /* layout.hidden: positions in the scope's form that are left out, ascending */
    uint32_t labels, n_labels; /* layout.labels: those of `own` */
    uint32_t bound;            /* of bytes, besides the scope's labels */
    uint32_t samples;
    uint32_t skipped[EMF_SKIPS];
    bool skips, declared, repeats, buckets, own_place;
};

struct emf_class {
    uint64_t hash;
    struct str key; /* owned */
    uint32_t refs;  /* forms and layouts */
};

struct emf_layout {
    uint64_t hash;
    struct emf_class *class;
    uint32_t refs; /* bindings */
    uint64_t used; /* the sweep round in which it was used last */
    const uint32_t *ids, *blocks;
    uint32_t n_ids, n_blocks;
    const struct emf_event *events;
    uint32_t n_events, largest; /* values of the largest event */
    uint32_t names;             /* emf_value.name is below */
    const struct emf_value *values;
    uint32_t n_values;
    const struct emf_directive *directives;
    uint32_t n_directives;
    const struct emf_histogram *histograms;
    uint32_t n_histograms;
    const uint64_t *series;       /* by counter: hash of name and labels */
    const uint32_t *series_event; /* by counter: an event that it is in */
    uint32_t n_counters;
    const uint32_t *hidden;
    const struct label *labels;
    const char *text;
    uint32_t dropped[DROPS_AT_COMMIT]; /* samples that are in no event */
    uint32_t left_out;                 /* labels and metrics that EMF cannot carry */
    uint32_t start_at;                 /* process_start_time_seconds, or EMF_NONE */
    bool own_places, repeats;
    bool mixed;       /* it depends on more of the scope than its class: */
    struct str reads; /* emf_form.reads; in the arena */
    bool dead;        /* one of its ids was swept */
    struct arena arena;
};

/* ---- a scope's form ---- */

struct emf_target {
    struct cw_place place; /* owned bytes */
    struct fold_block *block;
    uint32_t lane; /* of the block */
};

/* One of PutMetricData: what is told in one datum. */
struct emf_datum {
    struct str name, unit; /* views into layout and plan */
    struct labels dimensions;
};

struct emf_binding {
    struct emf_layout *layout; /* NULL: free */
    uint32_t epoch;            /* form.epoch of `series` */
    uint32_t *series;          /* by counter */
    uint32_t *targets;         /* by event; NULL: all are target 0 */
    uint8_t *capped;           /* by value: beyond max_metrics; NULL: none is */
    uint32_t n_capped;
    struct emf_datum *data;
    uint32_t n_data;
    uint32_t *datum_first, *datum_of; /* by value, n_values + 1: datum_of[first .. next) */
    struct arena arena;               /* data */
};

struct emf_form {
    struct emf *e;
    struct scope *scope;
    struct emf_form *next, *previous;
    bool made; /* what follows, up to `bindings` */
    struct emf_class *class;
    struct arena arena;   /* labels, text */
    struct label *labels; /* the scope's and those added, sorted, without those that EMF cannot carry */
    bool *added;
    uint32_t n;
    uint32_t *offsets; /* n + 1, in text */
    const char *text;  /* `"name":"value",` */
    struct str reads;  /* of the labels that declarations with several source labels read */
    uint32_t left_out;
    struct emf_binding bindings[2]; /* the last one used first */
    struct emf_target *targets;     /* [0]: the scope's own place */
    size_t n_targets, cap_targets;
    uint32_t epoch;
    int64_t interval_ms;
    int64_t first_ms, last_ms; /* of this plan's batches with samples; 0: none yet */
    int64_t next_compact_ms;
};

/* ---- the encoder ---- */

struct emf_counters {
    struct counter *bytes[2]; /* by declared */
    struct counter *events, *left_out, *capped;
    struct counter *skipped[EMF_SKIPS];
    struct counter **unique; /* by declaration */
    uint32_t n_unique;
};

/* Of one place, while a run is encoded. */
struct emf_out {
    struct buf text;
    struct cw_record *records;
    size_t n_records, cap_records;
    struct cw_fold *folds;
    size_t n_folds, cap_folds;
    struct cw_fold *tail; /* baselines: of no record */
    size_t n_tail, cap_tail;
    uint32_t read;
    uint32_t dropped[DROPS_AT_COMMIT];
    struct cw_lane *lane;
};

/* What became of one value. */
struct emf_result {
    double value;
    uint32_t reason; /* of `samples`, when it is not present */
    uint32_t samples;
    uint32_t fold, n_folds;   /* emf.folds */
    uint32_t chunk, n_chunks; /* EMF_BUCKETS: emf.chunks */
    bool present;
};

/* At most EMF_VALUES_MAX buckets of a histogram. */
struct emf_chunk {
    uint32_t text, text_n; /* in emf.scratch */
    uint32_t first, n;     /* in emf.points: values and counts */
    double sum, count, min, max;
};

struct emf_point {
    double value;
    uint32_t datum, next;
    int64_t ts_ms;
    uint32_t samples;
    uint32_t fold, n_folds;
    uint32_t chunk, n_chunks; /* a histogram */
};

struct emf_order {
    int64_t ts_ms;
    uint32_t value;
};

/* What a counter became earlier in the same run: of layouts with repeated series. */
struct emf_pending {
    uint64_t run;
    struct fold_value value;
};

struct emf {
    struct batch_consumer consumer;
    struct cloudwatch *c;
    struct intern *intern;
    struct scope_table *scopes;
    int slot;
    struct plan *plan; /* one reference */
    const struct plan_cloudwatch *config;
    const struct plan_emf *emf;
    struct log *log;
    struct counters *set;
    struct emf_counters counters;

    struct emf_form *forms;
    struct emf_class **classes;
    size_t n_classes, cap_classes;
    struct map by_class;
    struct emf_layout **layouts;
    size_t n_layouts, cap_layouts;
    struct map by_layout;
    size_t idle; /* samples of the layouts that nobody is bound to */

    uint8_t *known; /* by metric id: 1 a layout has it, 2 and it was swept */
    size_t n_known;
    bool swept;
    uint64_t batches, round, run;
    int64_t since_ms; /* time of the first batch under this plan; 0: none came yet */

    /* of one run */
    struct sample *samples;
    size_t cap_samples;
    struct emf_out *outs;
    size_t n_outs, cap_outs;
    struct emf_result *results;
    size_t cap_results;
    uint32_t *picked; /* values that go into one event */
    size_t cap_picked;
    struct emf_order *order;
    size_t cap_order;
    struct emf_pending *pending;
    size_t n_pending;
    uint32_t *stamps; /* by name within an event, and by directive */
    size_t n_stamps;
    uint32_t stamp;
    struct cw_fold *folds;
    size_t n_folds, cap_folds;
    struct buf scratch;
    struct emf_chunk *chunks;
    size_t n_chunks, cap_chunks;
    struct emf_point *points;
    size_t n_points, cap_points;
    double *numbers; /* values, then counts */
    size_t n_numbers, cap_numbers;
    uint32_t *heads;
    size_t cap_heads;
    struct arena arena; /* of one layout being made, one run being told as data */

    uint64_t *unique; /* hashes of metrics that were told */
    size_t n_unique, cap_unique;
    struct map by_unique;
    uint32_t *unique_of; /* by declaration */

    struct log_limit type_limit, label_limit, skip_limit[EMF_SKIPS], large_limit, datum_limit, cap_limit;
    bool type_said;
};

/* ---- emf_types.c: what a metric is ---- */

struct emf_types;
/* The families of all blocks of a batch; in the arena. */
struct emf_types *emf_types_read(const struct batch *b, struct arena *a);
/* The metric's name as it was exposed: the beginning of its raw bytes. */
struct str emf_original_name(struct str raw, struct arena *a);
/* False: no family says. *stripped: the bytes of the name that are not the family's (_sum, _total). */
bool emf_types_find(const struct emf_types *t, struct str original, enum metric_type *type, uint32_t *stripped);

/* What a sample becomes. */
struct emf_verdict {
    bool dropped;
    enum spool_reason reason; /* DROP_UNSENDABLE: by its name */
    enum metric_type type;    /* as prom_metric_type says */
    enum emf_kind kind;
    struct str name;
    struct str part; /* EMF_BUCKETS: "_bucket", "_sum" or "_count" */
};
/* Labels are the metric's after relabelling. */
struct emf_verdict emf_judge(struct emf *e, const struct emf_types *t, struct labels labels, struct str original);

/* ---- emf_layout.c ---- */

/* Of these metrics (that are not stale markers) beside this scope; not yet among e's. */
struct emf_layout *emf_layout_make(struct emf *e, const struct emf_form *form, const struct batch *b,
                                   const struct sample *samples, uint32_t n);
void emf_layout_free(struct emf_layout *l);

/* ---- emf_declare.c: declarations ---- */

struct emf_declare; /* while one layout is made */
struct emf_declare *emf_declare_new(struct emf *e, struct arena *scratch);
/* Labels as seen: of the metric, or of the scope. */
struct emf_visible {
    const struct emf_form *form;
    const uint32_t *hidden;
    uint32_t n_hidden;
    struct labels own;
};
struct str emf_visible_get(const struct emf_visible *v, struct str name);
bool emf_visible_has(const struct emf_visible *v, struct str name);
/* Another set of labels: which declarations' label matchers find something. */
void emf_declare_labels(struct emf_declare *d, const struct emf_visible *v);
/* The declarations that select this metric there, as bits; NULL: none. Valid as long as the scratch arena. */
const uint64_t *emf_declare_metric(struct emf_declare *d, struct str name);
uint32_t emf_declare_words(const struct emf_declare *d);
/* A label matcher was searched in values of which some are the scope's and others stand over the scope's. */
bool emf_declare_mixed(const struct emf_declare *d);
/* How many declarations are asked at all. */
uint32_t emf_declarations(const struct emf *e);
/* Their dimension sets, those that are possible with the labels given last. */
void emf_declare_sets(struct emf_declare *d, const struct emf_visible *v, const uint64_t *bits, struct arena *a,
                      struct emf_directive *out);
/* The label matcher of one finds something; *joined becomes what it was searched in. */
bool emf_declare_matches(const struct plan_emf_declaration *declaration, const struct emf_visible *v,
                         struct buf *joined);
/* What CloudWatch would refuse of a set whose labels are all there; EMF_SKIPS: nothing. */
enum emf_skip emf_set_check(const struct emf_visible *v, const struct plan_dimensions *d);
/* As what a dimension this value is; EMF_SKIPS: good. */
enum emf_skip emf_dimension_check(struct str value);

/* ---- emf_form.c: scopes ---- */

/* The scope's form with everything made. */
struct emf_form *emf_form_get(struct emf *e, struct scope *s);
void emf_form_free(void *ctx, void *form); /* of the scopes' slot */
/* Everything but its blocks is made again at its next use. */
void emf_form_reset(struct emf_form *f);
/* Places that no binding speaks of are forgotten. */
void emf_form_trim(struct emf_form *f);
/* The binding to this layout, made when there is none, with blocks and series numbers that hold. */
struct emf_binding *emf_form_bind(struct emf_form *f, struct emf_layout *l);
void emf_binding_release(struct emf *e, struct emf_binding *b);
bool emf_is_place_label(const struct emf *e, struct str name);
/* A label that no event can have, since its name is EMF's or ours. */
bool emf_is_reserved(struct str name);
void emf_class_unref(struct emf *e, struct emf_class *c);
void emf_say_left_out(struct emf *e, struct str what, struct str name);

/* ---- emf_cap.c: unique metrics ---- */

/* What it is as metrics of CloudWatch: counted; false: beyond max_metrics. */
bool emf_cap_value(struct emf *e, const struct emf_visible *v, struct str name, const struct emf_directive *d);
void emf_cap_reset(struct emf *e);

/* ---- emf_value.c ---- */

struct emf_run {
    struct emf *e;
    const struct batch *b;
    const struct sample *samples; /* without stale markers */
    uint32_t n;
    struct emf_form *form;
    struct emf_binding *binding;
    const struct emf_layout *layout;
    int64_t gap_ms;
    bool first_values; /* a counter without a value before counts from 0: for new series */
    int64_t born_ms;   /* of first_values: a start later than this does so for any series */
    int64_t start_ms;  /* when the process began by its own page; 0: not known */
};

static inline int64_t emf_time_of(const struct emf_run *r, uint32_t at)
{
    uint32_t side = r->samples[at].side;

    return LIKELY(side == SIDE_NONE) ? r->b->ts_ms : r->b->sides[side].ts_ms;
}

/* What becomes of one value; baselines go to out->tail. */
void emf_value_next(struct emf_run *r, struct emf_out *out, const struct emf_target *target, const struct emf_event *ev,
                    uint32_t value, int64_t ts_ms, struct emf_result *result);

/* ---- emf_print.c: text ---- */

/* A number that none of the first n of e->stamps has. */
uint32_t emf_new_stamp(struct emf *e, size_t n);
/* As Go's encoding/json prints a float64; finite. Writes at most EMF_NUMBER_MAX bytes. */
char *emf_put_number(char *p, double v);
/* `"CloudWatchMetrics":[..],` of all values of the event (0 .. n - 1); nothing when none has a directive. */
bool emf_print_directives(struct emf *e, const struct emf_layout *l, const struct emf_event *ev, const uint32_t *all,
                          uint32_t n, struct buf *out);
/* The event with every value. */
void emf_print_whole(struct emf_run *r, struct emf_out *out, const struct emf_event *ev, struct str ts);
/* With some of them. */
void emf_print_some(struct emf_run *r, struct emf_out *out, const struct emf_event *ev, const uint32_t *picked,
                    uint32_t n, int64_t ts_ms);

/* ---- emf_data.c: PutMetricData ---- */

void emf_data_bind(struct emf_form *f, struct emf_binding *b);
void emf_data_take(struct emf_run *r, struct emf_out *out, const struct emf_event *ev, const uint32_t *picked,
                   uint32_t n, int64_t ts_ms);
void emf_data_end(struct emf_run *r, struct emf_out *out);

static inline struct emf_visible emf_visible_of(const struct emf_form *f, const struct emf_layout *l,
                                                const struct emf_event *ev)
{
    return (struct emf_visible){f, l->hidden + ev->hidden, ev->n_hidden, {l->labels + ev->labels, ev->n_labels}};
}

#endif
