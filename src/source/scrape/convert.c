/* convert: classic histograms of text pages become native ones with custom buckets (format/histogram_nhcb.h).
 *
 *   lines         h_bucket{le="1"} 2   h_bucket{le="+Inf"} 3   h_sum 4   h_count 3   # TYPE b ..
 *   array         PART                 PART                    PART      PART       h, block of b
 *   samples                                                                         h: { 1: 2, +Inf: 1 }
 *
 * The lines stay in the array, since that is what predicts the next page; the histogram is an entry without a line,
 * interned as the raw bytes of its first line and a byte that none ends with. Where it stands is known only when
 * something else begins, so a page with conversion writes its array anew each time; its lines are predicted all the
 * same. What a line is to the stage is worked out once and kept by the metric's id.
 */
#include <stdlib.h>

#include "source/scrape/predict_int.h"

struct line_info {
    bool known;
    union {
        struct nhcb_part part;   /* of a line */
        struct nhcb_block block; /* of comments */
    };
};

static void forget(void *ctx, uint32_t id)
{
    struct predictor *p = ctx;

    if (id < p->n_infos)
        p->infos[id].known = false;
}

static struct line_info *info_of(struct predictor *p, uint32_t id)
{
    if (id >= p->n_infos) {
        size_t n = intern_top(p->intern) + intern_top(p->intern) / 2 + 1;
        p->infos = mem_realloc(p->infos, sizeof(*p->infos) * n);
        memset(p->infos + p->n_infos, 0, sizeof(*p->infos) * (n - p->n_infos));
        p->n_infos = n;
    }
    if (!p->listens)
        intern_listen(p->intern, forget, p);
    p->listens = true;
    return &p->infos[id];
}

void convert_release(struct predictor *p)
{
    if (p->listens)
        intern_unlisten(p->intern, forget, p);
    free(p->infos);
    buf_release(&p->converted);
}

void convert_begin(struct reading *r)
{
    nhcb_stage_init(&r->p->stage, &r->p->held);
}

/* ---- the histogram ----------------------------------------------------------------------------------------------- */

static enum err labels_of_histogram(struct reading *r, const struct line *line, struct labels *out, bool *typed,
                                    struct diag *d)
{
    struct arena *a = &r->p->arena;
    struct nhcb_part part;
    struct labels series;
    enum err err = exposition_labels(line->of, r->in->kind, line->of_type, a, &series, typed, d);

    if (err != OK)
        return err;
    nhcb_part_of(series, &part);
    *out = nhcb_labels(series, &part, a);
    return OK;
}

/* Where the finished histogram stands in the batch is here. */
static enum err take_histogram(struct reading *r, struct diag *d)
{
    struct predictor *p = r->p;
    const struct nhcb_result *result = nhcb_stage_take(&p->stage);
    const struct metric *first = intern_get(&r->view, r->first);
    uint32_t typed = first->context & CONTEXT_TYPE;

    buf_clear(&p->converted);
    buf_str(&p->converted, intern_raw(&r->view, r->first));
    buf_char(&p->converted, (char)0xff);
    struct str raw = buf_view(&p->converted);
    struct line line = {
        .raw = raw,
        .hash = intern_hash(raw),
        .suffix = kind_bits(r) | typed,
        .typed_suffix = kind_bits(r) | typed,
        .flags = METRIC_CONVERTED,
        .labels = labels_of_histogram,
        .of = str_from(raw.p, raw.n - 1),
        .of_type = typed ? (enum metric_type)(typed - 1) : TYPE_HISTOGRAM,
    };
    uint32_t position;
    uint32_t at = r->at;
    bool dropped;
    enum err err = reading_identify(r, &line, &position, &dropped, d);
    r->at = at; /* lines say where the old array goes on */
    if (err != OK || position == METRIC_NONE) {
        r->result.scraped++;
        r->result.relabelled += err == OK && !dropped;
        return err;
    }
    struct extras x = {
        .own_time = result->has_ts && r->in->config->honor_timestamps,
        .ts_ms = result->ts_ms,
        .start_ms = r->in->starts ? result->start_ms : 0,
        .histogram = &result->histogram,
    };
    if (result->n_exemplars)
        exemplars_of_series(r, position & POSITION_ID, result->exemplars, result->n_exemplars, &x);
    return reading_take(r, position, 0, &x, dropped, d);
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

static const struct nhcb_part *part_of(struct reading *r, uint32_t id)
{
    struct line_info *info = info_of(r->p, id);
    struct labels labels;
    bool typed;

    if (info->known)
        return &info->part;
    info->part = (struct nhcb_part){0};
    arena_reset(&r->p->arena);
    if (exposition_labels(intern_raw(&r->view, id), r->in->kind, r->e.type, &r->p->arena, &labels, &typed, NULL) == OK)
        nhcb_part_of(labels, &info->part);
    info->known = true;
    return &info->part;
}

enum err convert_block(struct reading *r, uint32_t comments, struct diag *d)
{
    struct line_info *info = info_of(r->p, comments);

    if (!info->known)
        nhcb_block_of(intern_raw(&r->view, comments), r->in->kind == EXPOSITION_OPENMETRICS, &info->block);
    info->known = true;
    return nhcb_stage_block(&r->p->stage, &info->block) ? take_histogram(r, d) : OK;
}

enum err convert_series(struct reading *r, uint32_t position, double value, struct extras *x, bool *swallowed,
                        struct diag *d)
{
    struct nhcb_stage *stage = &r->p->stage;
    uint32_t id = position & POSITION_ID;
    unsigned verdict = nhcb_stage_series(stage, part_of(r, id), value, x->own_time ? &x->ts_ms : NULL);
    enum err err = verdict & NHCB_EMIT ? take_histogram(r, d) : OK;

    if (err != OK || !(verdict & NHCB_TAKEN))
        return err;
    if (verdict & NHCB_FIRST)
        r->first = id;
    if (x->n_exemplars)
        nhcb_stage_exemplar(stage, &x->exemplars[0]);
    x->n_exemplars = 0;
    *swallowed = !r->in->histograms.classic_too;
    if (*swallowed)
        reading_put(r, position | POSITION_PART);
    return OK;
}

enum err convert_end(struct reading *r, struct diag *d)
{
    return nhcb_stage_end(&r->p->stage) ? take_histogram(r, d) : OK;
}
