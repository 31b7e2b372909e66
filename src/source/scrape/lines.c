/* lines: pages in text and OpenMetrics, read line by line beside the old array.
 *
 *   # HELP a..\n# TYPE a gauge\n   one entry: all comments up to the next series
 *   a{x="1"} 5\n                   raw bytes `a{x="1"} `: identity; value: parsed each time
 *
 * The loop for a line that stands where it stood: raw bytes compared, context compared, value parsed, 16 bytes written.
 * Whatever is more than that (a timestamp, an exemplar, a start, a histogram to convert, an array being rewritten)
 * leaves the loop by one branch.
 */
#include "source/scrape/predict_int.h"

/* ---- series ------------------------------------------------------------------------------------------------------ */

static enum err labels_of_line(struct reading *r, const struct line *line, struct labels *out, bool *typed,
                               struct diag *d)
{
    return exposition_labels(line->raw, r->in->kind, r->e.type, &r->p->arena, out, typed, d);
}

static bool wants_starts(const struct reading *r)
{
    return r->in->starts && r->in->kind == EXPOSITION_OPENMETRICS;
}

/* What a line has beyond its value; *swallowed: it is part of a histogram, and has been dealt with. */
static enum err gather(struct reading *r, uint32_t position, const struct exposition_sample *s, struct extras *x,
                       bool *swallowed, struct diag *d)
{
    uint32_t id = position & POSITION_ID;

    *x = (struct extras){.own_time = s->has_ts && r->in->config->honor_timestamps, .ts_ms = s->ts_ms};
    *swallowed = false;
    if (s->has_exemplar)
        exemplars_of_line(r, id, s->exemplar, x);
    if (r->convert) {
        enum err err = convert_series(r, position, s->value, x, swallowed, d);
        if (err != OK || *swallowed)
            return err;
    }
    if (!wants_starts(r))
        return OK;
    if (intern_get(&r->view, id)->flags & METRIC_CREATED)
        starts_created(r, id, s->value);
    else
        x->start_ms = starts_of(r, id);
    return OK;
}

static enum err take_new(struct reading *r, uint32_t position, const struct exposition_sample *s, bool dropped,
                         struct diag *d)
{
    struct extras x;
    bool swallowed;
    enum err err = gather(r, position, s, &x, &swallowed, d);

    if (err != OK || swallowed)
        return err;
    err = reading_take(r, position, s->value, &x, dropped, d);
    reading_note_size(r);
    return err;
}

/* The line of the old array that is next, off the fast way. */
static __attribute__((noinline)) enum err take_again(struct reading *r, const struct exposition_sample *s,
                                                     struct diag *d)
{
    uint32_t position = r->page->positions[r->at] & (POSITION_ID | POSITION_ASIDE);
    struct extras x;
    bool swallowed;
    enum err err = gather(r, position, s, &x, &swallowed, d);

    if (err == OK && !swallowed)
        return reading_take_again(r, s->value, &x, d);
    r->at++;
    return err;
}

/* ---- the line that stood here last time -------------------------------------------------------------------------- */

static inline bool context_matches(const struct reading *r, uint32_t context, enum way way)
{
    uint32_t typed = context & CONTEXT_TYPE;

    if (UNLIKELY((context & CONTEXT_KIND) != kind_bits(r) || (typed && typed != 1 + (uint32_t)r->e.type)))
        return false;
    return reading_owns(r, context, way);
}

static uint32_t comments_context(const struct reading *r, int type)
{
    return CONTEXT_COMMENTS | kind_bits(r) | (type == EXPOSITION_TYPE_KEPT ? 0 : 1 + (uint32_t)type);
}

static enum err take_comments(struct reading *r, uint32_t id, struct diag *d)
{
    enum err err = r->convert ? convert_block(r, id, d) : OK;

    reading_comments(r, id);
    if (wants_starts(r))
        starts_block(r);
    return err;
}

static bool match_comments(struct reading *r, uint32_t id, const struct metric *m)
{
    uint32_t typed = m->context & CONTEXT_TYPE;

    if ((m->context & CONTEXT_KIND) != kind_bits(r))
        return false;
    return exposition_predict_comments(&r->e, intern_raw(&r->view, id), typed ? (int)typed - 1 : EXPOSITION_TYPE_KEPT);
}

/* Entries of the old array that no line stood for. */
static void skip_converted(struct reading *r)
{
    while (r->at < r->page->n &&
           intern_get(&r->view, r->page->positions[r->at] & POSITION_ID)->flags & METRIC_CONVERTED)
        r->at++;
}

/* True: the entry at the cursor was the one at r->at; *err says what became of it. */
static inline bool take_predicted(struct reading *r, bool plain, enum err *err, struct diag *d)
{
    const uint32_t any_flag = POSITION_DUPLICATE | POSITION_UNTRACKED | POSITION_PART | POSITION_LIMITED;
    struct exposition_sample s;
    uint32_t position = r->page->positions[r->at];
    uint32_t id = position & POSITION_ID;
    const struct metric *m = intern_get(&r->view, id);

    if (m->flags & METRIC_COMMENT) {
        if (!match_comments(r, id, m))
            return false;
        *err = take_comments(r, id, d);
        r->at++;
        return true;
    }
    if (!context_matches(r, m->context, position_way(position)) ||
        !exposition_predict_series(&r->e, intern_raw(&r->view, id)))
        return false;
    if (UNLIKELY(exposition_value(&r->e, &s, NULL) != OK)) {
        exposition_back(&r->e);
        return false;
    }
    if (UNLIKELY(!plain || r->diverged || s.has_ts || s.has_exemplar || (position & any_flag))) {
        *err = take_again(r, &s, d);
        return true;
    }
    r->at++;
    r->result.scraped++;
    if (m->flags & METRIC_DROPPED)
        return true;
    r->result.relabelled++;
    sample_append(r->p, (enum run_of)position_way(position), id, s.value);
    return true;
}

/* ---- the line that did not --------------------------------------------------------------------------------------- */

/* Of an OpenMetrics line. */
static bool is_created(struct str raw)
{
    size_t n = 0;

    while (n < raw.n && raw.p[n] != '{' && raw.p[n] != ' ')
        n++;
    return str_ends(str_from(raw.p, n), STR("_created"));
}

static enum err take_new_series(struct reading *r, struct str raw, struct diag *d)
{
    struct exposition_sample s;
    enum err err = exposition_value(&r->e, &s, d);

    if (err != OK)
        return err;
    struct line line = {
        .raw = raw,
        .hash = intern_hash(raw),
        .suffix = kind_bits(r),
        .typed_suffix = kind_bits(r) | (1 + (uint32_t)r->e.type),
        .flags = r->in->kind == EXPOSITION_OPENMETRICS && is_created(raw) ? METRIC_CREATED : 0,
        .labels = labels_of_line,
    };
    uint32_t position = METRIC_NONE;
    bool dropped = false;
    err = reading_identify(r, &line, &position, &dropped, d);
    if (err != OK || position == METRIC_NONE) {
        r->result.scraped++;
        r->result.relabelled += err == OK && !dropped;
        return err;
    }
    return take_new(r, position, &s, dropped, d);
}

static enum err take_new_comments(struct reading *r, const struct exposition_entry *entry, struct diag *d)
{
    uint32_t id;
    enum err err = reading_new_comments(r, entry->raw, comments_context(r, entry->type), &id, d);

    return err == OK ? take_comments(r, id, d) : err;
}

/* Parses one entry; *ended: there is none. */
static enum err take_parsed(struct reading *r, bool *ended, struct diag *d)
{
    struct exposition_entry entry;
    enum err err = exposition_next(&r->e, &entry, d);

    *ended = err == OK && entry.kind == EXPOSITION_EOF;
    if (err != OK || *ended)
        return err;
    reading_diverge(r);
    r->parsed++;
    return entry.kind == EXPOSITION_COMMENTS ? take_new_comments(r, &entry, d) : take_new_series(r, entry.raw, d);
}

enum err lines_read(struct reading *r, struct diag *d)
{
    bool plain = !r->convert && !wants_starts(r);
    bool ended = false;
    enum err err = OK;

    while (err == OK && !ended) {
        if (UNLIKELY(r->skips))
            skip_converted(r);
        if (LIKELY(r->at < r->page->n) && LIKELY(take_predicted(r, plain, &err, d)))
            r->predicted++;
        else
            err = take_parsed(r, &ended, d);
    }
    return err == OK && r->convert ? convert_end(r, d) : err;
}
