/* encode: batches go into the open batch of their lane: what is common to both protocols, and 1.0 (2.0: encode2.c).
 *
 * Batches become TimeSeries entries of a remote write 1.0 message, straight in the lane's open batch.
 *
 *   WriteRequest = { 0a LEN TimeSeries }                           one entry a sample
 *   TimeSeries   = { 0a LEN Label } 12 LEN Sample                  labels from the prepared forms (form.c)
 *   Sample       = [ 09 value, 8 bytes ] [ 10 timestamp, varint ]  fields that are zero are left out
 *
 * The original leaves out the same fields, and minus zero too, which is another value: that one is kept here.
 *
 * A message is a plain concatenation of entries, so scrapes simply follow each other and any run of whole entries
 * is again a message: that is what the spool's borders and the sender's splitting live on.
 *
 * A scrape is written behind what the open batch holds. It fits when samples and bytes stay within one request; if
 * not, the batch is sealed and the scrape written once more into the fresh room. What does not fit into an empty
 * request either becomes a group of parts. With write_relabel_configs nobody knows how many samples will be left,
 * so the scrape is tried first and repeated when it does not fit; without them the count is known and no work is
 * thrown away.
 *
 * The length of a TimeSeries is known only behind its end. Two bytes are kept for it, which is nearly always right
 * (128 to 16,383 bytes); else the entry is moved. Measured: about 15 ns a sample at 170 bytes, 25 ns by a compact form.
 *
 * On the worker's thread; nothing is allocated for a sample whose form exists.
 */
#include "format/remote_write.h"
#include "sink/remote_write/encode_int.h"
#include "sink/remote_write/remote_write_int.h"

enum {
    SERIES_SLACK = 64, /* above the labels: both headers, value, timestamp, and what the last copies write too much */
};

static inline __attribute__((always_inline)) uint8_t *put_labels(uint8_t *p, const struct form *f,
                                                                 const struct scope_form *sf)
{
    const uint8_t *own = form_encoded(f);
    uint32_t at = 0;
    for (uint32_t i = 0; i < f->n_ops; i++) {
        struct form_op op = f->ops[i];
        encode_copy(p, own, op.bytes);
        p += op.bytes;
        own += op.bytes;
        at += op.skip;
        uint32_t from = sf->offsets[at];
        at += op.take;
        uint32_t n = sf->offsets[at] - from;
        encode_copy(p, sf->encoded + from, n);
        p += n;
    }
    return p;
}

static inline __attribute__((always_inline)) uint8_t *put_text(uint8_t *p, uint8_t tag, const uint8_t *text, uint32_t n)
{
    *p++ = tag;
    p = LIKELY(n < 128) ? (*p = (uint8_t)n, p + 1) : proto_put_varint(p, n);
    encode_copy(p, text, n);
    return p + n;
}

/* A Label of the metric's own. */
static inline __attribute__((always_inline)) uint8_t *put_own(uint8_t *p, const uint8_t *name, uint32_t name_n,
                                                              const uint8_t *value, uint32_t value_n)
{
    uint32_t inner = 4 + name_n + value_n;
    *p++ = 0x0a;
    if (LIKELY(inner < 128)) {
        *p++ = (uint8_t)inner;
    } else {
        inner += (uint32_t)(proto_varint_size(name_n) + proto_varint_size(value_n)) - 2;
        p = proto_put_varint(p, inner);
    }
    p = put_text(p, 0x0a, name, name_n);
    return put_text(p, 0x12, value, value_n);
}

/* The same as put_labels, by a compact form. `width` is the table's, as a constant. */
static inline __attribute__((always_inline)) uint8_t *put_interned(uint8_t *p, const struct form *f,
                                                                   const struct scope_form *sf,
                                                                   const struct intern_table *t, uint32_t width)
{
    static const uint8_t name[] = {'_', '_', 'n', 'a', 'm', 'e', '_', '_'};
    const uint8_t *entry = t->entries;
    uint32_t to_name = f->bytes; /* labels in front of it, FORM_NO_NAME: it has an entry as all */
    uint32_t at = 0;
    for (uint32_t i = 0; i < f->n_ops; i++) {
        struct form_op op = f->ops[i];
        for (uint32_t k = (uint32_t)op.pass + op.own; k > 0; k--) {
            bool write = k <= op.own;
            if (to_name-- == 0) {
                if (write)
                    p = put_own(p, name, sizeof(name), t->blob, t->name_n);
                continue;
            }
            if (write)
                p = put_own(p, t->blob + intern_table_number(entry, width), intern_table_number(entry + width, width),
                            t->blob + intern_table_number(entry + 2 * width, width),
                            intern_table_number(entry + 3 * width, width));
            entry += 4 * width;
        }
        at += op.skip;
        uint32_t from = sf->offsets[at];
        at += op.take;
        uint32_t n = sf->offsets[at] - from;
        encode_copy(p, sf->encoded + from, n);
        p += n;
    }
    return p;
}

static __attribute__((noinline)) uint8_t *put_compact(uint8_t *p, const struct form *f, const struct scope_form *sf,
                                                      const struct intern_view *view, uint32_t metric)
{
    const struct metric *m = intern_get(view, metric);
    if (m->n_labels == 0) /* then the name is a scope's, or there is none */
        return put_labels(p, f, sf);
    struct intern_table t = intern_table(view, m);
    return t.width == 1 ? put_interned(p, f, sf, &t, 1) : put_interned(p, f, sf, &t, 2);
}

/* What a metric's own labels take at most; nearly always there is room for that. */
static size_t compact_bound(const struct intern_view *view, uint32_t metric)
{
    enum { ENTRY_MAX = 1 + 3 + 1 + 3 + 1 + 3 }; /* tags and lengths, below 128 KiB */
    const struct metric *m = intern_get(view, metric);
    if (m->flags & METRIC_TINY)
        return (size_t)m->n_labels * (ENTRY_MAX + 2 * UINT8_MAX);
    if (m->n_labels == 0)
        return 0;
    struct intern_table t = intern_table(view, m);
    size_t n = t.name_n + (size_t)m->n_labels * (ENTRY_MAX + sizeof("__name__"));
    for (const uint8_t *e = t.entries; e < t.blob + m->blob_n; e += 4 * (size_t)2)
        n += intern_table_number(e + 2, 2) + intern_table_number(e + 6, 2);
    return n;
}

/* The form of a sample whose usual one, `f`, has no bytes or is not right for this scope, and what the metric's own
 * labels take by it at most. Out of the way of the loop for the rest. */
static __attribute__((noinline)) const struct form *other_form(struct forms *forms, const struct form *f,
                                                               const struct intern_view *view, uint32_t metric,
                                                               struct scope *s, size_t *bytes)
{
    bool compact = f && f->names == s->names && f->kind == FORM_COMPACT;
    if (!compact || UNLIKELY(intern_get(view, metric)->refs >= FORM_SHARED_BY))
        f = forms_find(forms, view, metric, s);
    *bytes = f->kind == FORM_COMPACT ? compact_bound(view, metric) : f->bytes;
    return f;
}

/* Puts the entry's header in front of its body, which begins at entry + 3. */
static inline __attribute__((always_inline)) uint8_t *close_entry(uint8_t *entry, uint8_t *p)
{
    size_t n = (size_t)(p - (entry + 3));
    entry[0] = 0x0a;
    if (LIKELY(n >= 128 && n < 16384)) {
        entry[1] = (uint8_t)(n | 128);
        entry[2] = (uint8_t)(n >> 7);
        return p;
    }
    int size = proto_varint_size(n);
    memmove(entry + 1 + size, entry + 3, n);
    proto_put_varint(entry + 1, n);
    return entry + 1 + size + n;
}

enum verdict encode_judge(const struct form *f, size_t bytes, struct part *part)
{
    if (f->kind == FORM_DROPPED) {
        part->counts.read++;
        return VERDICT_GONE;
    }
    bool whole = f->kind != FORM_UNSENDABLE;
    if (whole && bytes <= (size_t)(part->end - part->p) && part->samples_left)
        return VERDICT_KEPT;
    if (whole && !(part->alone && part->counts.samples == 0 && part->samples_left))
        return VERDICT_FULL;
    part->counts.read++; /* no request is large enough for it */
    part->unsendable++;
    return VERDICT_GONE;
}

/* ---- what few samples have ----------------------------------------------------------------------------------------
 */

/* Native histograms that 1.0 does not have, or that the configuration does not want. */
static bool is_sent(const struct remote_write *rw, const struct histogram *h)
{
    return rw->config->send_native_histograms && h->schema != HISTOGRAM_CUSTOM_BUCKETS;
}

static void append_exemplar(struct buf *out, const struct exemplar *e, int64_t ts_ms)
{
    AUTO_BUF message = {0};
    remote_write_append_labels(&message, e->labels);
    proto_append_double(&message, 2, e->value);
    proto_append_u64(&message, 3, (uint64_t)(e->has_ts ? e->ts_ms : ts_ms));
    proto_append_bytes(out, 3, buf_view(&message));
}

/* Everything of a TimeSeries but its labels. */
static void append_tail(struct remote_write *rw, const struct batch *b, const struct sample *s, struct buf *out)
{
    const struct sample_side *side = &b->sides[s->side];
    buf_clear(out);
    if (side->histogram == SIDE_NONE) {
        struct stamp stamp = stamp_of(side->ts_ms);
        buf_reserve(out, SERIES_SLACK);
        out->n = (size_t)((char *)encode_sample((uint8_t *)out->p, s->value, &stamp) - out->p);
    } else {
        remote_write_append_histogram(out, 4, &b->histograms[side->histogram], side->ts_ms, 0);
    }
    for (uint32_t i = 0; rw->config->send_exemplars && i < side->n_exemplars; i++)
        append_exemplar(out, &b->exemplars[side->exemplar + i], side->ts_ms);
}

static void count_tail(struct remote_write *rw, const struct sample_side *side, struct part *part)
{
    encode_note_time(&part->counts, side->ts_ms);
    part->histograms += side->histogram != SIDE_NONE;
    if (rw->config->send_exemplars)
        part->exemplars += side->n_exemplars;
}

/* Encodes samples of one run from *at on, until its end (true) or until the part is full. */
static bool encode_run(struct remote_write *rw, const struct batch *b, const struct batch_run *run, uint32_t *at,
                       struct part *part, const struct stamp *batch_stamp)
{
    struct forms *forms = &rw->forms;
    const struct scope_form *sf = forms_scope(forms, run->scope);
    const struct sample *samples = b->samples + run->first;
    struct buf *tail = &rw->two.tail;
    uint32_t names = run->scope->names;
    uint32_t i = *at;
    for (; i < run->n; i++) {
        const struct sample *s = &samples[i];
        const struct sample_side *side = NULL;
        size_t extra = 0;
        if (UNLIKELY(s->side != SIDE_NONE)) {
            side = &b->sides[s->side];
            if (side->histogram != SIDE_NONE && !is_sent(rw, &b->histograms[side->histogram])) {
                part->counts.read++;
                part->counts.dropped[DROP_HISTOGRAM]++;
                continue;
            }
            append_tail(rw, b, s, tail);
            extra = tail->n;
        }
        const struct form *f = forms_quick(forms, s->metric);
        size_t bytes;
        if (LIKELY(f && f->names == names && f->kind == FORM_SERIES))
            bytes = f->bytes;
        else
            f = other_form(forms, f, b->metrics, s->metric, run->scope, &bytes);
        if (UNLIKELY(f->kind > FORM_COMPACT || part->samples_left == 0 ||
                     bytes + extra + sf->bytes + SERIES_SLACK > (size_t)(part->end - part->p))) {
            if (f->kind == FORM_COMPACT) /* its length has to be known */
                f = forms_find_encoded(forms, b->metrics, s->metric, run->scope);
            enum verdict v = encode_judge(f, (size_t)f->bytes + extra + sf->bytes + SERIES_SLACK, part);
            if (v == VERDICT_FULL)
                break;
            if (v == VERDICT_GONE)
                continue;
        }

        uint8_t *p = f->kind == FORM_SERIES ? put_labels(part->p + 3, f, sf)
                                            : put_compact(part->p + 3, f, sf, b->metrics, s->metric);
        if (LIKELY(!side)) {
            p = encode_sample(p, s->value, batch_stamp);
            if (UNLIKELY(part->counts.samples == 0 || part->counts.last_ms < b->ts_ms ||
                         part->counts.first_ms > b->ts_ms))
                encode_note_time(&part->counts, b->ts_ms);
        } else {
            memcpy(p, tail->p, tail->n);
            p += tail->n;
            count_tail(rw, side, part);
        }
        part->p = close_entry(part->p, p);
        part->counts.samples++;
        part->samples_left--;
        part->counts.read++;
    }
    *at = i;
    return i == run->n;
}

static uint32_t max_samples(const struct remote_write *rw)
{
    uint32_t max = rw->config->queue.max_samples_per_send;
    return max ? max : 1; /* a part that can hold nothing would never end */
}

/* Goes on from *at into the room; true when the batch is through. */
static bool encode_part(struct lane *l, const struct batch *b, struct position *at, const struct spool_room *room,
                        struct part *part)
{
    struct remote_write *rw = l->rw;
    uint32_t max = max_samples(rw);
    struct dictionary *d = rw->forms.symbols ? symbols_dictionary(rw->forms.symbols, l->number) : NULL;
    *part = (struct part){.p = room->p,
                          .end = room->p + (d ? room->joinable : room->n),
                          .samples_left = max > room->samples ? max - room->samples : 0,
                          .alone = room->samples == 0};
    if (d && room->samples == 0)
        dictionary_restart(rw->forms.symbols, d, room->p);
    struct stamp stamp = stamp_of(b->ts_ms);
    for (; at->run < b->n_runs; at->run++, at->at = 0) {
        const struct batch_run *run = &b->runs[at->run];
        if (!(d ? encode2_run(rw, d, b, run, &at->at, part) : encode_run(rw, b, run, &at->at, part, &stamp)))
            return false;
    }
    return true;
}

static void count_part(struct lane *l, const struct part *part)
{
    struct remote_write *rw = l->rw;
    counter_add(rw->count.dropped_series, part->counts.dropped[DROP_RELABEL]);
    counter_add(rw->count.dropped_histograms, part->counts.dropped[DROP_HISTOGRAM]);
    counter_add(rw->count.histograms, part->histograms);
    counter_add(rw->count.exemplars, part->exemplars);
    counter_add(rw->count.unsendable, part->unsendable);
    uint32_t suppressed;
    if (part->unsendable && log_allow(&rw->log_other, LOG_PERIOD_MS, &suppressed))
        log_error(rw->log, "Dropped series whose labels are larger than a request may be",
                  F_STR("remote_name", rw->config->name), F_INT("samples", part->unsendable), F_INT("lane", l->number),
                  F_INT("suppressed", suppressed));
    if (part->counts.samples && part->counts.last_ms > rw->highest_ms) {
        rw->highest_ms = part->counts.last_ms;
        counter_set(rw->count.highest, (uint64_t)(rw->highest_ms / 1000));
    }
}

static void finish_counts(struct part *part)
{
    part->counts.dropped[DROP_UNSENDABLE] = part->unsendable;
    part->counts.dropped[DROP_RELABEL] =
        part->counts.read - part->counts.samples - part->unsendable - part->counts.dropped[DROP_HISTOGRAM];
}

static void append_group(struct lane *l, const struct batch *b)
{
    struct position at = {0};
    bool end;
    spool_lane_group_begin(l->spool);
    do {
        struct spool_room room = spool_lane_room(l->spool);
        struct part part;
        room.samples = 0;
        room.joinable = room.n;
        end = encode_part(l, b, &at, &room, &part);
        finish_counts(&part);
        spool_lane_group_add(l->spool, (size_t)(part.p - room.p), &part.counts);
        count_part(l, &part);
    } while (!end);
    spool_lane_group_end(l->spool);
}

static bool append_scrape(struct lane *l, const struct batch *b)
{
    struct spool_room room = spool_lane_room(l->spool);
    struct position at = {0};
    struct part part;
    if (!encode_part(l, b, &at, &room, &part))
        return false;
    finish_counts(&part);
    spool_lane_commit(l->spool, (size_t)(part.p - room.p), &part.counts);
    count_part(l, &part);
    return true;
}

static uint32_t count_samples(const struct batch *b)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->n_runs; i++)
        n += b->runs[i].n;
    return n;
}

static void append_lane(struct lane *l, const struct batch *b, uint32_t n)
{
    struct remote_write *rw = l->rw;
    uint32_t max = max_samples(rw);
    uint32_t before = spool_lane_room(l->spool).samples;
    bool exact = !rw->forms.rules;
    bool hopeless = exact && n > max - (before < max ? before : max);

    if (!hopeless && append_scrape(l, b))
        return;
    if (before)
        spool_lane_seal(l->spool);
    if (before && !(exact && n > max) && append_scrape(l, b))
        return;
    append_group(l, b);
}

void remote_write_append(struct batch_consumer *self, const struct batch *b, batch_done_fn *done, void *done_ctx)
{
    struct remote_write *rw = CONTAINER_OF(self, struct remote_write, consumer);
    uint32_t n = count_samples(b);
    struct lane *l = n ? remote_write_lane(rw, b->lane) : NULL;
    if (n && !l)
        counter_add(rw->count.unspooled, n);
    if (l) {
        forms_prepare(&rw->forms);
        append_lane(l, b, n);
        if (rw->draining)
            spool_lane_seal(l->spool);
        counter_set(rw->count.form_bytes, forms_bytes(&rw->forms) + encoder2_bytes(&rw->two));
        remote_write_lane_changed(l);
    }
    if (done)
        done(done_ctx, n && !l ? ERR_IO : OK);
}
