/* messages: pages in protobuf, read entry by entry beside the old array (format/prom_proto.h).
 *
 * An entry's raw bytes are made by the cursor: they name the series wholly, so that a prediction is one comparison and
 * no label is read. Families and plain series are compared with the body as it stands and taken in one small loop;
 * whatever has more than a value, or stands elsewhere than last time, comes as an entry. Value, times, exemplars and
 * histogram come with the entry. Conversion of classic histograms is the cursor's own.
 */
#include "source/scrape/predict_int.h"

static enum err labels_of_entry(struct reading *r, const struct line *line, struct labels *out, bool *typed,
                                struct diag *d)
{
    *typed = false;
    return prom_proto_labels(line->raw, &r->p->arena, out, d);
}

static void gather(struct reading *r, uint32_t id, const struct prom_proto_entry *entry, struct extras *x)
{
    *x = (struct extras){
        .own_time = entry->has_ts && r->in->config->honor_timestamps,
        .ts_ms = entry->ts_ms,
        .start_ms = r->in->starts ? entry->start_ms : 0,
        .histogram = entry->kind == PROM_PROTO_HISTOGRAM ? entry->histogram : NULL,
    };
    if (entry->n_exemplars)
        exemplars_of_series(r, id, entry->exemplars, entry->n_exemplars, x);
}

/* Takes entries as long as they are those of the old array, in the form in which the cursor predicts them. */
static enum err take_predicted(struct reading *r, struct prom_proto *cursor, struct diag *d)
{
    const uint32_t any_flag = POSITION_DUPLICATE | POSITION_UNTRACKED | POSITION_PART | POSITION_LIMITED;
    enum err err = OK;

    while (err == OK && LIKELY(r->at < r->page->n)) {
        uint32_t position = r->page->positions[r->at];
        uint32_t id = position & POSITION_ID;
        const struct metric *m = intern_get(&r->view, id);
        int64_t start_ms;
        double value;

        if (UNLIKELY((m->context & CONTEXT_KIND) != kind_bits(r)))
            return OK;
        if (m->flags & METRIC_COMMENT) {
            if (!prom_proto_predict_family(cursor, intern_raw(&r->view, id)))
                return OK;
            r->predicted++;
            reading_comments(r, id);
            r->at++;
            continue;
        }
        if (UNLIKELY(!reading_owns(r, m->context, position_way(position))) ||
            !prom_proto_predict_series(cursor, intern_raw(&r->view, id), &value, &start_ms))
            return OK;
        r->predicted++;
        start_ms = r->in->starts ? start_ms : 0;
        if (UNLIKELY(r->diverged || start_ms || (position & any_flag))) {
            err = reading_take_again(r, value, &(struct extras){.start_ms = start_ms}, d);
            continue;
        }
        r->at++;
        r->result.scraped++;
        if (m->flags & METRIC_DROPPED)
            continue;
        r->result.relabelled++;
        sample_append(r->p, (enum run_of)position_way(position), id, value);
    }
    return err;
}

/* True: the entry is the one at r->at; *err says what became of it. */
static inline bool take_expected(struct reading *r, const struct prom_proto_entry *entry, enum err *err, struct diag *d)
{
    uint32_t position = r->page->positions[r->at];
    uint32_t id = position & POSITION_ID;
    const struct metric *m = intern_get(&r->view, id);
    bool comments = m->flags & METRIC_COMMENT;
    struct extras x;

    if (!entry->expected || comments != (entry->kind == PROM_PROTO_FAMILY))
        return false;
    if (comments) {
        reading_comments(r, id);
        r->at++;
        return true;
    }
    if (!reading_owns(r, m->context, position_way(position)))
        return false;
    gather(r, id, entry, &x);
    *err = reading_take_again(r, entry->value, &x, d);
    return true;
}

static enum err take_family(struct reading *r, const struct prom_proto_entry *entry, struct diag *d)
{
    uint32_t id;
    enum err err = reading_new_comments(r, entry->raw, CONTEXT_COMMENTS | kind_bits(r), &id, d);

    if (err == OK)
        reading_comments(r, id);
    return err;
}

static enum err take_new_series(struct reading *r, const struct prom_proto_entry *entry, struct diag *d)
{
    struct line line = {
        .raw = entry->raw,
        .hash = intern_hash(entry->raw),
        .suffix = kind_bits(r),
        .typed_suffix = kind_bits(r),
        .labels = labels_of_entry,
    };
    uint32_t position = METRIC_NONE;
    bool dropped = false;
    enum err err = reading_identify(r, &line, &position, &dropped, d);

    if (err != OK || position == METRIC_NONE) {
        r->result.scraped++;
        r->result.relabelled += err == OK && !dropped;
        return err;
    }
    struct extras x;
    gather(r, position & POSITION_ID, entry, &x);
    err = reading_take(r, position, entry->value, &x, dropped, d);
    reading_note_size(r);
    return err;
}

static enum err take_entry(struct reading *r, const struct prom_proto_entry *entry, struct diag *d)
{
    enum err err = OK;

    if (LIKELY(r->at < r->page->n) && LIKELY(take_expected(r, entry, &err, d))) {
        r->predicted++;
        return err;
    }
    reading_diverge(r);
    r->parsed++;
    return entry->kind == PROM_PROTO_FAMILY ? take_family(r, entry, d) : take_new_series(r, entry, d);
}

/* The raw bytes that stood here last time, if in a page of this format. */
static inline struct str expected(const struct reading *r)
{
    if (UNLIKELY(r->at >= r->page->n))
        return STR_NONE;
    uint32_t id = r->page->positions[r->at] & POSITION_ID;
    if (UNLIKELY((intern_get(&r->view, id)->context & CONTEXT_KIND) != kind_bits(r)))
        return STR_NONE;
    return intern_raw(&r->view, id);
}

enum err messages_read(struct reading *r, struct diag *d)
{
    const struct scrape_histograms *h = &r->in->histograms;
    struct prom_proto_options options = {
        .ignore_native = !h->native,
        .keep_classic = h->classic_too,
        .convert_classic = h->convert,
        .exemplars = true,
    };
    struct prom_proto *cursor = &r->p->proto;
    struct prom_proto_entry entry;

    prom_proto_init(cursor, r->in->body, &options, &r->p->held);
    for (;;) {
        enum err err = take_predicted(r, cursor, d);
        if (err != OK)
            return err;
        prom_proto_expect(cursor, expected(r));
        err = prom_proto_next(cursor, &entry, d);
        if (err != OK || entry.kind == PROM_PROTO_EOF)
            return err;
        err = take_entry(r, &entry, d);
        if (err != OK)
            return err;
    }
}
