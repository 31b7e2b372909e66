/* messages: pages in protobuf, read entry by entry beside the old array (format/prom_proto.h).
 *
 * An entry's raw bytes are made by the cursor: they name the series wholly, so that a prediction is one comparison and
 * no label is read. Value, times, exemplars and histogram come with the entry. Conversion of classic histograms is the
 * cursor's own.
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

static bool is_plain(const struct reading *r, const struct prom_proto_entry *entry)
{
    return entry->kind == PROM_PROTO_SERIES && !entry->has_ts && !entry->n_exemplars &&
           !(r->in->starts && entry->start_ms);
}

/* True: the entry is the one at r->at; *err says what became of it. */
static inline bool take_predicted(struct reading *r, const struct prom_proto_entry *entry, enum err *err,
                                  struct diag *d)
{
    const uint32_t any_flag = POSITION_DUPLICATE | POSITION_UNTRACKED | POSITION_PART | POSITION_LIMITED;
    uint32_t position = r->page->positions[r->at];
    uint32_t id = position & POSITION_ID;
    const struct metric *m = intern_get(&r->view, id);
    bool comments = m->flags & METRIC_COMMENT;

    if (!entry->expected || comments != (entry->kind == PROM_PROTO_FAMILY))
        return false;
    if (comments) {
        reading_comments(r, id);
        r->at++;
        return true;
    }
    if (!reading_owns(r, m->context, position_way(position)))
        return false;
    if (UNLIKELY(r->diverged || (position & any_flag) || !is_plain(r, entry))) {
        struct extras x;
        gather(r, id, entry, &x);
        *err = reading_take_again(r, entry->value, &x, d);
        return true;
    }
    r->at++;
    r->result.scraped++;
    if (m->flags & METRIC_DROPPED)
        return true;
    r->result.relabelled++;
    sample_append(r->p, (enum run_of)position_way(position), id, entry->value);
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

    if (LIKELY(r->at < r->page->n) && LIKELY(take_predicted(r, entry, &err, d))) {
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
        prom_proto_expect(cursor, expected(r));
        enum err err = prom_proto_next(cursor, &entry, d);
        if (err != OK || entry.kind == PROM_PROTO_EOF)
            return err;
        err = take_entry(r, &entry, d);
        if (err != OK)
            return err;
    }
}
