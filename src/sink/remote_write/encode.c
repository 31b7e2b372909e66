/* encode: batches become TimeSeries entries of a remote write 1.0 message, straight in the lane's open batch.
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
 * (128 to 16,383 bytes); else the entry is moved. Measured: about 15 ns a sample at 170 bytes.
 *
 * On the worker's thread; nothing is allocated for a sample whose form exists.
 */
#include <string.h>

#include "base/mem.h"
#include "sink/remote_write/remote_write_int.h"
#include "wire/proto.h"

enum {
    SERIES_SLACK = 64, /* above the labels: both headers, value, timestamp, and what the last copies write too much */
};

/* Where the encoder is in a batch. */
struct position {
    uint32_t run, at; /* at: within the run */
};

struct part {
    uint8_t *p, *end;
    uint32_t samples_left;
    struct spool_counts counts;
    uint32_t unsendable;
};

/* The end of a Sample: its timestamp field. */
struct stamp {
    uint8_t bytes[16];
    uint32_t n;
};

static struct stamp stamp_of(int64_t ts_ms)
{
    struct stamp s = {.bytes = {0x10}};
    if (ts_ms != 0)
        s.n = (uint32_t)(proto_put_varint(s.bytes + 1, (uint64_t)ts_ms) - s.bytes);
    return s;
}

/* Neither reads nor writes beyond n. Stretches of labels have 8 to 100 bytes: a call of memcpy costs more than that. */
static inline __attribute__((always_inline)) void copy(uint8_t *to, const uint8_t *from, size_t n)
{
    if (LIKELY(n >= 16)) {
        size_t i = 0;
        for (; i + 16 < n; i += 16)
            memcpy(to + i, from + i, 16);
        memcpy(to + n - 16, from + n - 16, 16);
        return;
    }
    if (n >= 8) {
        memcpy(to, from, 8);
        memcpy(to + n - 8, from + n - 8, 8);
        return;
    }
    for (size_t i = 0; i < n; i++)
        to[i] = from[i];
}

static inline __attribute__((always_inline)) uint8_t *put_labels(uint8_t *p, const struct form *f,
                                                                 const struct scope_form *sf)
{
    const uint8_t *own = form_encoded(f);
    uint32_t at = 0;
    for (uint32_t i = 0; i < f->n_ops; i++) {
        struct form_op op = f->ops[i];
        copy(p, own, op.bytes);
        p += op.bytes;
        own += op.bytes;
        at += op.skip;
        uint32_t from = sf->offsets[at];
        at += op.take;
        uint32_t n = sf->offsets[at] - from;
        copy(p, sf->encoded + from, n);
        p += n;
    }
    return p;
}

static inline __attribute__((always_inline)) uint8_t *put_sample(uint8_t *p, double value, const struct stamp *stamp)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    p[0] = 0x12;
    if (LIKELY(bits != 0)) {
        p[1] = (uint8_t)(9 + stamp->n);
        p[2] = 0x09;
        memcpy(p + 3, &bits, sizeof(bits)); /* little endian: CHECKed in remote_write_new */
        p += 11;
    } else {
        p[1] = (uint8_t)stamp->n;
        p += 2;
    }
    memcpy(p, stamp->bytes, sizeof(stamp->bytes));
    return p + stamp->n;
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

static void note_time(struct spool_counts *c, int64_t ts_ms)
{
    if (c->samples == 0 || ts_ms < c->first_ms)
        c->first_ms = ts_ms;
    if (c->samples == 0 || ts_ms > c->last_ms)
        c->last_ms = ts_ms;
}

enum verdict { VERDICT_KEPT, VERDICT_GONE, VERDICT_FULL };

/* What to do with a sample whose form is not the usual one. */
static enum verdict judge(const struct form *f, const struct scope_form *sf, const struct part *part, bool empty)
{
    if (f->kind == FORM_DROPPED)
        return VERDICT_GONE;
    bool fits = (size_t)f->bytes + sf->bytes + SERIES_SLACK <= (size_t)(part->end - part->p);
    if (f->kind == FORM_SERIES && fits && part->samples_left)
        return VERDICT_KEPT;
    if (f->kind == FORM_SERIES && !(empty && part->samples_left))
        return VERDICT_FULL;
    return VERDICT_GONE; /* no request is large enough for it */
}

/* Encodes samples of one run from *at on, until its end (true) or until the part is full. `empty`: the part is a
 * request of its own, so what does not fit now will never fit. */
static bool encode_run(struct remote_write *rw, const struct batch *b, const struct batch_run *run, uint32_t *at,
                       struct part *part, const struct stamp *batch_stamp, bool empty)
{
    struct forms *forms = &rw->forms;
    const struct scope_form *sf = forms_scope(forms, run->scope);
    const struct sample *samples = b->samples + run->first;
    uint32_t names = run->scope->names;
    uint32_t i = *at;
    for (; i < run->n; i++) {
        const struct sample *s = &samples[i];
        const struct form *f = forms_quick(forms, s->metric);
        if (UNLIKELY(!f || f->names != names || f->kind != FORM_SERIES))
            f = forms_find(forms, b->metrics, s->metric, run->scope);
        if (UNLIKELY(f->kind != FORM_SERIES || part->samples_left == 0 ||
                     (size_t)f->bytes + sf->bytes + SERIES_SLACK > (size_t)(part->end - part->p))) {
            enum verdict v = judge(f, sf, part, empty && part->counts.samples == 0);
            if (v == VERDICT_FULL)
                break;
            part->counts.read++;
            part->unsendable += f->kind != FORM_DROPPED;
            continue;
        }

        uint8_t *p = put_labels(part->p + 3, f, sf);
        if (LIKELY(s->side == SIDE_NONE)) {
            p = put_sample(p, s->value, batch_stamp);
            if (UNLIKELY(part->counts.samples == 0 || part->counts.last_ms < b->ts_ms ||
                         part->counts.first_ms > b->ts_ms))
                note_time(&part->counts, b->ts_ms);
        } else {
            int64_t ts_ms = b->sides[s->side].ts_ms;
            struct stamp own = stamp_of(ts_ms);
            p = put_sample(p, s->value, &own);
            note_time(&part->counts, ts_ms);
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
static bool encode_part(struct remote_write *rw, const struct batch *b, struct position *at,
                        const struct spool_room *room, struct part *part)
{
    uint32_t max = max_samples(rw);
    *part = (struct part){
        .p = room->p, .end = room->p + room->n, .samples_left = max > room->samples ? max - room->samples : 0};
    struct stamp stamp = stamp_of(b->ts_ms);
    for (; at->run < b->n_runs; at->run++, at->at = 0) {
        if (!encode_run(rw, b, &b->runs[at->run], &at->at, part, &stamp, room->samples == 0))
            return false;
    }
    return true;
}

static void count_part(struct lane *l, const struct part *part)
{
    struct remote_write *rw = l->rw;
    uint32_t gone = part->counts.read - part->counts.samples;
    counter_add(rw->count.dropped_series, gone - part->unsendable);
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
    part->counts.dropped_unsendable = part->unsendable;
    part->counts.dropped_relabel = part->counts.read - part->counts.samples - part->unsendable;
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
        end = encode_part(l->rw, b, &at, &room, &part);
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
    if (!encode_part(l->rw, b, &at, &room, &part))
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
        counter_set(rw->count.form_bytes, forms_bytes(&rw->forms));
        remote_write_lane_changed(l);
    }
    if (done)
        done(done_ctx, n && !l ? ERR_IO : OK);
}
