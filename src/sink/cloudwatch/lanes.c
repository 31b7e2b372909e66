/* lanes: which lane of the spool a place has, and how records become the open batch of that lane.
 *
 *   place -> lane     its own already
 *                     else the one it had before, maybe shared
 *                     else the one its hash names, if that is free
 *                     else any that is free
 *                     else one that is kept for a place that has not come back
 *                     else the one its hash names, shared
 *
 * A place keeps its lane as long as the program runs, and over restarts: the state of counters is told by lane
 * (spool/fold_state.h), so with another lane each counter would need a new baseline. Therefore that state also keeps
 * whose each lane is, all places that share it, as series like any other: a place's hash, made durable by the place's
 * first commit, renewed once a day and left out a month later. Lanes that hold data from before belong to the place of
 * that data.
 * One request per lane is in flight: with a lane of its own a log stream never waits for another, and with at most
 * SPOOL_LANES of them all are sent side by side.
 *
 * A batch holds records of one place and is one request: it is closed before the record that would break a limit.
 *
 *                     records   bytes                                        time
 *   PutLogEvents      10,000    1,048,576 of messages, + 26 each             24 hours
 *   PutMetricData      1,000    1,000,000 of JSON                            -
 *
 * A scrape that does not fit is spread over as many batches as needed, each committed on its own, with the state of the
 * counters that its records came from. If it spans more than a day (metrics with timestamps of their own) it is put in
 * order of time first: in the order in which it came each record could close the batch of the one before.
 *
 * The spool seals by itself too (deadline, a full batch, the first commit of all), so whether the batch is empty is
 * asked anew each time.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "sink/cloudwatch/cloudwatch_int.h"

/* ---- places ---- */

static bool group_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_' || c == '/' || c == '#';
}

static enum err check_length(struct str s, const char *what, size_t max, struct diag *d)
{
    if (s.n == 0)
        return diag_set(d, ERR_SYNTAX, "the %s is empty", what);
    if (s.n > max)
        return diag_set(d, ERR_SYNTAX, "the %s has %zu characters, at most %zu are allowed", what, s.n, max);
    return OK;
}

static enum err check_group(struct str s, struct diag *d)
{
    enum err err = check_length(s, "log group's name", CW_NAME_MAX, d);
    for (size_t i = 0; !err && i < s.n; i++) {
        if (!group_byte(s.p[i]))
            return diag_set(d, ERR_SYNTAX,
                            "the log group's name \"%.*s\" has other characters than letters, digits and . - _ / #",
                            STR_ARGS(s));
    }
    return err;
}

static enum err check_stream(struct str s, struct diag *d)
{
    enum err err = check_length(s, "log stream's name", CW_NAME_MAX, d);
    if (!err && (memchr(s.p, ':', s.n) || memchr(s.p, '*', s.n)))
        return diag_set(d, ERR_SYNTAX, "the log stream's name \"%.*s\" has a colon or an asterisk", STR_ARGS(s));
    if (!err && !str_is_utf8(s))
        return diag_set(d, ERR_SYNTAX, "the log stream's name is not UTF-8");
    return err;
}

static enum err check_namespace(struct str s, struct diag *d)
{
    enum err err = check_length(s, "namespace", 255, d);
    if (!err && s.p[0] == ':')
        return diag_set(d, ERR_SYNTAX, "the namespace \"%.*s\" begins with a colon", STR_ARGS(s));
    if (!err && !str_is_utf8(s))
        return diag_set(d, ERR_SYNTAX, "the namespace is not UTF-8");
    return err;
}

enum err cw_place_check(enum cloudwatch_kind kind, const struct cw_place *place, struct diag *d)
{
    if (kind == CLOUDWATCH_METRICS)
        return check_namespace(place->group, d);
    enum err err = check_group(place->group, d);
    return err ? err : check_stream(place->stream, d);
}

static void keep(struct buf *b, struct str s)
{
    buf_clear(b);
    buf_str(b, s);
}

static bool same_place(const struct buf *group, const struct buf *stream, const struct cw_place *place)
{
    return str_eq(buf_view(group), place->group) && str_eq(buf_view(stream), place->stream);
}

/* ---- lanes ---- */

static void lane_ready(void *ctx)
{
    cw_lane_wake(ctx);
}

enum err cw_lane_open(struct cloudwatch *c, uint32_t number, struct diag *d)
{
    struct cw_lane *l = NEW(struct cw_lane);
    l->c = c;
    l->number = number;
    enum err err = spool_lane_open(c->spool, number, c->loop, lane_ready, l, &l->spool, d);
    if (err) {
        cw_lane_free(l);
        return err;
    }
    c->lanes[number] = l;
    cw_lane_changed(l);
    return OK;
}

void cw_lane_free(struct cw_lane *l)
{
    buf_release(&l->owner_group);
    buf_release(&l->owner_stream);
    buf_release(&l->open_group);
    buf_release(&l->open_stream);
    buf_release(&l->cut);
    buf_release(&l->text);
    free(l);
}

/* ---- whose a lane is --------------------------------------------------------------------------------------------- */

enum { OWNERS_MAX = 1000 }; /* of a lane that are kept */
#define DAY_MS (INT64_C(24) * 3600 * 1000)

static uint64_t place_id(const struct cw_place *place)
{
    return hash_bytes_seed(place->stream, hash_bytes(place->group));
}

static uint32_t preferred(const struct cw_place *place)
{
    return (uint32_t)(place_id(place) % SPOOL_LANES);
}

/* When it was said last that the place is this lane's; 0: never. */
static int64_t owner_since_ms(struct fold_block *owners, uint64_t place)
{
    uint32_t series = owners ? fold_block_find(owners, place) : FOLD_NONE;
    struct fold_value v;
    return series != FOLD_NONE && fold_block_get(owners, series, &v) ? v.ts_ms : 0;
}

static uint64_t owners_key(uint32_t lane)
{
    return hash_bytes_seed(STR("owners of a lane"), lane);
}

void cw_owners_load(struct cloudwatch *c)
{
    for (uint32_t i = 0; i < SPOOL_LANES; i++) {
        c->owners[i] = fold_state_known(c->folds, owners_key(i), i);
        if (c->owners[i])
            fold_block_compact(c->owners[i], clock_wall_ms() - 30 * DAY_MS);
    }
}

/* Right before a commit of this place. */
static void save_owner(struct cw_lane *l, const struct cw_place *place, uint64_t valid_from)
{
    struct fold_block *owners = l->c->owners[l->number];
    uint64_t id = place_id(place);
    int64_t now_ms = clock_wall_ms();
    if (l->saved == id && now_ms < l->save_again_ms)
        return;
    l->saved = id;
    l->save_again_ms = now_ms + DAY_MS;
    if (!owners)
        owners = l->c->owners[l->number] = fold_state_block(l->c->folds, owners_key(l->number), l->number);
    int64_t since_ms = owner_since_ms(owners, id);
    if (since_ms && now_ms - since_ms < DAY_MS)
        return;
    if (fold_block_series(owners) >= OWNERS_MAX)
        fold_block_compact(owners, now_ms - 2 * DAY_MS);
    uint32_t series = fold_block_find(owners, id);
    if (series == FOLD_NONE && fold_block_series(owners) < OWNERS_MAX)
        series = fold_block_add(owners, id);
    fold_block_set(owners, series, (struct fold_value){.value = 1, .ts_ms = now_ms}, valid_from);
}

void cw_lane_claim(struct cw_lane *l, const struct cw_place *place)
{
    if (l->owned)
        return;
    l->owned = true;
    keep(&l->owner_group, place->group);
    keep(&l->owner_stream, place->stream);
}

/* Nobody's in this process, and nothing is in it that might turn out to be somebody's. */
static bool is_free(const struct cloudwatch *c, uint32_t number)
{
    const struct cw_lane *l = c->lanes[number];
    return !l || (!l->owned && !l->pending);
}

/* The lane that is this place's, or SPOOL_LANES. */
static uint32_t find_own(const struct cloudwatch *c, const struct cw_place *place)
{
    for (uint32_t i = 0; i < SPOOL_LANES; i++) {
        const struct cw_lane *l = c->lanes[i];
        if (l && l->owned && same_place(&l->owner_group, &l->owner_stream, place))
            return i;
    }
    for (uint32_t i = 0; i < SPOOL_LANES; i++) {
        if (owner_since_ms(c->owners[i], place_id(place)))
            return i;
    }
    return SPOOL_LANES;
}

static uint32_t choose(const struct cloudwatch *c, const struct cw_place *place)
{
    uint32_t first = preferred(place), kept = SPOOL_LANES, own = find_own(c, place);
    if (own < SPOOL_LANES)
        return own;
    for (uint32_t i = 0; i < SPOOL_LANES; i++) {
        uint32_t number = (first + i) % SPOOL_LANES;
        bool somebodys = c->owners[number] && fold_block_series(c->owners[number]) > 0;
        if (is_free(c, number) && !somebodys)
            return number;
        if (is_free(c, number) && kept == SPOOL_LANES)
            kept = number;
        if (i == 0 && !somebodys && c->lanes[number] && !c->lanes[number]->owned)
            return number; /* data from before, and the hash says whose it is */
    }
    return kept < SPOOL_LANES ? kept : first;
}

static struct cw_lane *open_lane(struct cloudwatch *c, uint32_t number)
{
    struct diag d = {0};
    uint32_t suppressed;
    if (c->closing || c->lanes[number])
        return c->closing ? NULL : c->lanes[number];
    if (cw_lane_open(c, number, &d) != OK && log_allow(&c->log_lane, 60 * 1000, &suppressed))
        log_error(c->log, "Cannot open a lane of the spool; what was for it is lost",
                  F_STR("destination", c->config->name), F_INT("lane", number), F_C("err", d.text),
                  F_INT("suppressed", suppressed));
    return c->lanes[number];
}

struct cw_lane *cw_lane_of(struct cloudwatch *c, const struct cw_place *place)
{
    struct cw_lane *l = open_lane(c, choose(c, place));
    if (l)
        cw_lane_claim(l, place);
    return l;
}

uint32_t cw_lane_number(const struct cw_lane *l)
{
    return l->number;
}

void cw_lost(struct cloudwatch *c, uint32_t samples)
{
    counter_add(c->count.unspooled, samples);
}

void cw_drop(struct cloudwatch *c, uint32_t samples, enum spool_reason reason)
{
    struct cw_lane *l = NULL;
    struct spool_counts counts = {.read = samples};
    CHECK((uint32_t)reason < DROPS_AT_COMMIT);
    if (samples == 0)
        return;
    for (uint32_t i = 0; i < SPOOL_LANES && !l; i++)
        l = c->closing ? NULL : c->lanes[i];
    if (!l)
        l = open_lane(c, 0);
    if (!l) {
        cw_lost(c, samples);
        return;
    }
    counts.dropped[reason] = samples;
    spool_lane_commit(l->spool, 0, &counts);
    cw_lane_changed(l);
}

/* ---- the open batch ---- */

/* What is being written behind what is committed. */
struct run {
    struct cw_lane *lane;
    const struct cw_place *place;
    struct spool_room room;
    size_t n;
    struct spool_counts counts;
    const struct cw_fold *folds; /* of the records in it */
    uint32_t n_folds;
    bool any;
};

static void forget_open(struct cw_lane *l)
{
    buf_clear(&l->open_group);
    buf_clear(&l->open_stream);
    l->open_records = 0;
    l->open_bytes = 0;
}

static bool is_empty(const struct spool_room *room)
{
    return room->joinable == room->n;
}

/* The batch is this place's, begun if need be. */
static void begin(struct run *r)
{
    struct cw_lane *l = r->lane;
    r->room = spool_lane_room(l->spool);
    if (!is_empty(&r->room) && !same_place(&l->open_group, &l->open_stream, r->place)) {
        spool_lane_seal(l->spool);
        r->room = spool_lane_room(l->spool);
    }
    r->n = 0;
    r->counts = (struct spool_counts){0};
    r->any = false;
    if (!is_empty(&r->room))
        return;
    forget_open(l);
    keep(&l->open_group, r->place->group);
    keep(&l->open_stream, r->place->stream);
    r->n = (size_t)(cw_raw_put_place(r->room.p, r->place) - r->room.p);
}

static bool is_logs(const struct run *r)
{
    return r->lane->c->config->kind == CLOUDWATCH_LOGS;
}

/* As the service counts it: the message and its overhead, or the datum and its comma. */
static size_t counted_bytes(const struct run *r, const struct cw_record *v)
{
    return (size_t)v->bytes + (is_logs(r) ? CW_EVENT_OVERHEAD : 1);
}

static bool fits(const struct run *r, const struct cw_record *v)
{
    const struct cw_lane *l = r->lane;
    uint32_t max = is_logs(r) ? CW_BATCH_EVENTS_MAX : CW_REQUEST_DATA_MAX;
    if (r->n + CW_EVENT_OVERHEAD + v->bytes > r->room.joinable)
        return false;
    if (l->open_records == 0)
        return true;
    size_t bytes = l->open_bytes + counted_bytes(r, v);
    if (l->open_records >= max)
        return false;
    if (!is_logs(r)) /* {"Namespace":"","MetricData":[]} around them, every character of the name escaped */
        return bytes + 40 + 6 * r->place->group.n <= CW_REQUEST_MAX;
    int64_t first = v->ts_ms < l->open_first_ms ? v->ts_ms : l->open_first_ms;
    int64_t last = v->ts_ms > l->open_last_ms ? v->ts_ms : l->open_last_ms;
    return bytes <= CW_BATCH_MAX && (uint64_t)last - (uint64_t)first < CW_SPAN_MAX_MS;
}

static void widen(int64_t ts_ms, bool first, int64_t *from, int64_t *to)
{
    if (first || ts_ms < *from)
        *from = ts_ms;
    if (first || ts_ms > *to)
        *to = ts_ms;
}

static void put(struct run *r, const struct cw_record *v, struct str text)
{
    struct cw_lane *l = r->lane;
    r->n = (size_t)(cw_raw_put_record(r->room.p + r->n, v, text) - r->room.p);
    widen(v->ts_ms, l->open_records == 0, &l->open_first_ms, &l->open_last_ms);
    widen(v->ts_ms, !r->any, &r->counts.first_ms, &r->counts.last_ms);
    l->open_records++;
    l->open_bytes += counted_bytes(r, v);
    r->counts.samples += v->samples;
    r->counts.read += v->samples;
    r->any = true;
    counter_inc(l->c->count.records);
}

/* What was put becomes part of the batch, and the folds with it. */
static void commit(struct run *r, struct fold_block *touch, int64_t touch_ms)
{
    struct spool_ledger now;
    spool_lane_ledger(r->lane->spool, &now);
    uint64_t valid_from = now.read + r->counts.read;
    if (r->any || r->counts.read)
        save_owner(r->lane, r->place, valid_from);
    for (uint32_t i = 0; i < r->n_folds; i++)
        fold_block_set(r->folds[i].block, r->folds[i].series, r->folds[i].value, valid_from);
    if (touch)
        fold_block_touch(touch, touch_ms, valid_from);
    r->folds += r->n_folds;
    r->n_folds = 0;
    if (r->any || r->counts.read)
        spool_lane_commit(r->lane->spool, r->any ? r->n : 0, &r->counts);
}

static bool is_sendable(const struct cw_record *v, bool logs)
{
    return v->bytes > 0 && v->bytes <= (logs ? (uint32_t)CW_EVENT_MAX : (uint32_t)CW_DATUM_MAX);
}

/* The batch is closed and another begun when it does not hold this record too. False: no batch holds it. */
static bool make_room(struct run *r, const struct cw_record *v)
{
    if (fits(r, v))
        return true;
    commit(r, NULL, 0);
    spool_lane_seal(r->lane->spool);
    begin(r);
    return fits(r, v);
}

static void log_unsendable(struct cw_lane *l, const struct cw_place *place, uint32_t samples)
{
    struct cloudwatch *c = l->c;
    uint32_t suppressed;
    if (log_allow(&c->log_input, CW_LOG_PERIOD_MS, &suppressed))
        log_warn(c->log, "Dropped what is larger than CloudWatch takes, or empty",
                 F_STR("destination", c->config->name), F_STR("place", place->group), F_STR("stream", place->stream),
                 F_INT("samples", samples), F_INT("suppressed", suppressed));
}

/* ---- order ---- */

struct timed {
    int64_t ts_ms;
    uint32_t at, first_fold;
};

static int by_time(const void *a, const void *b)
{
    const struct timed *x = a, *y = b;
    if (x->ts_ms != y->ts_ms)
        return x->ts_ms < y->ts_ms ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* A copy of s in order of time; its arrays are the caller's to free. */
static struct cw_scrape in_order_of_time(const struct cw_scrape *s, struct cw_record **records, struct cw_fold **folds)
{
    struct timed *order = mem_alloc(s->n_records * sizeof(*order));
    uint32_t at = 0, n = 0;
    for (uint32_t i = 0; i < s->n_records; i++) {
        order[i] = (struct timed){s->records[i].ts_ms, i, at};
        at += s->records[i].n_folds;
    }
    qsort(order, s->n_records, sizeof(*order), by_time);
    *records = mem_alloc(s->n_records * sizeof(**records));
    *folds = mem_alloc((s->n_folds + 1) * sizeof(**folds));
    for (uint32_t i = 0; i < s->n_records; i++) {
        const struct cw_record *v = &s->records[order[i].at];
        (*records)[i] = *v;
        for (uint32_t k = 0; k < v->n_folds; k++)
            (*folds)[n++] = s->folds[order[i].first_fold + k];
    }
    for (; n < s->n_folds; n++)
        (*folds)[n] = s->folds[n];
    free(order);
    struct cw_scrape sorted = *s;
    sorted.records = *records;
    sorted.folds = *folds;
    return sorted;
}

static bool spans_days(const struct cw_scrape *s)
{
    int64_t first = 0, last = 0;
    for (uint32_t i = 0; i < s->n_records; i++)
        widen(s->records[i].ts_ms, i == 0, &first, &last);
    return (uint64_t)last - (uint64_t)first >= CW_SPAN_MAX_MS;
}

/* ---- commit ---- */

static void commit_all(struct cw_lane *l, const struct cw_place *place, const struct cw_scrape *s)
{
    struct run r = {.lane = l, .place = place, .folds = s->folds};
    uint32_t folds = 0, unsendable = 0;
    uint64_t read = 0;
    begin(&r);
    for (uint32_t i = 0; i < s->n_records; i++) {
        const struct cw_record *v = &s->records[i];
        read += v->samples;
        if (is_sendable(v, is_logs(&r)) && make_room(&r, v))
            put(&r, v, str_from(s->text.p + v->offset, v->bytes));
        else
            unsendable += v->samples;
        r.n_folds += v->n_folds;
        folds += v->n_folds;
    }
    r.n_folds += s->n_folds - folds;
    for (uint32_t i = 0; i < DROPS_AT_COMMIT; i++) {
        r.counts.dropped[i] = s->dropped[i];
        r.counts.read += s->dropped[i];
        read += s->dropped[i];
    }
    CHECK(read == s->read);
    r.counts.dropped[DROP_UNSENDABLE] += unsendable;
    r.counts.read += unsendable;
    commit(&r, s->touch, s->touch_ms);
    if (unsendable)
        log_unsendable(l, place, unsendable);
}

void cw_commit(struct cw_lane *l, const struct cw_place *place, const struct cw_scrape *s)
{
    struct cw_record *records;
    struct cw_fold *folds;
    if (l->c->config->kind == CLOUDWATCH_LOGS && spans_days(s)) {
        struct cw_scrape sorted = in_order_of_time(s, &records, &folds);
        commit_all(l, place, &sorted);
        free(records);
        free(folds);
    } else {
        commit_all(l, place, s);
    }
    cw_lane_changed(l);
}
