/* queue: the sending side of a lane: what waits, in order, and what becomes of it.
 *
 *     peeked | known: on disk and in memory | unread: on disk only | queued: in memory only | open batch
 *            |<------------------- on disk ----------------------->|
 *     seq ascending ->     known_up_to ^
 *
 * While the sender keeps up, requests go from right to left without ever being read back: an appended request stays
 * in memory as long as nothing unread lies before it and few are kept. Otherwise its memory is given back and it is
 * read again when its turn comes, a few records at a time, ahead of the sender.
 *
 * The cursor makes each step one store: handing out sets inflight and moves head beyond it; done clears inflight and
 * counts; dropping the oldest moves head and counts. So a kill at any moment finds each sample in exactly one place.
 * What is dropped out of the middle (memory is full while older requests lie on a failing disk) is named by gone_from
 * .. gone_to until its batch is emptied.
 *
 * Dropping for space works by segments, oldest first: only a whole file gives anything back. The request that was
 * handed out is never dropped; its segment stays until it is done.
 *
 * waiting is counted up at a commit and down by what each request holds, requests left and samples left per segment
 * likewise; when a segment has been read to its end and fewer records were there than its footer promised, the rest
 * is dropped{corrupt}.
 */
#include "spool/lane_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

struct segment_info *queue_segment(struct spool_lane *l, uint64_t number)
{
    for (size_t i = 0; i < l->n_segments; i++)
        if (l->segments[i].number == number)
            return &l->segments[i];
    return NULL;
}

/* ---- in and out of the list ---- */

void queue_add(struct spool_lane *l, struct request *r)
{
    r->queued_ms = loop_now_ms(l->loop);
    r->state = REQUEST_QUEUED;
    spool_hold_memory(l->s, (int64_t)request_memory(r));
    request_list_push(&l->list, r);
    l->ledger.requests_waiting++;
    l->ledger.bytes_waiting += r->image.n;
}

void queue_forget(struct spool_lane *l, struct request *r)
{
    request_list_remove(&l->list, r);
    if (r->state == REQUEST_ON_DISK) {
        l->known_requests--;
        l->known_bytes -= r->image.n;
    }
    if (r->state == REQUEST_WRITING) {
        r->abandoned = true; /* freed when the I/O thread gives it back */
        return;
    }
    spool_hold_memory(l->s, -(int64_t)request_memory(r));
    request_free(r);
}

/* It waits no more: counts in its segment, its batch, the ledger; then it is forgotten. */
static void settle(struct spool_lane *l, struct request *r)
{
    if (r->state == REQUEST_ON_DISK) {
        struct segment_info *g = queue_segment(l, r->segment);
        CHECK(g && g->requests_left && g->samples_left >= r->view.samples);
        g->requests_left--;
        g->samples_left -= r->view.samples;
        g->bytes_left -= r->image.n;
        g->oldest_sealed_ms = r->view.sealed_ms;
        l->left_requests--;
    }
    if (r->state != REQUEST_WRITING)
        lane_release_batch(l, r);
    l->ledger.waiting -= r->view.samples;
    l->ledger.requests_waiting--;
    l->ledger.bytes_waiting -= r->image.n;
    queue_forget(l, r);
}

void queue_remove_done_segments(struct spool_lane *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->n_segments; i++) {
        struct segment_info *g = &l->segments[i];
        if (g->requests_left || g->current) {
            l->segments[kept++] = *g;
            continue;
        }
        l->remove = mem_grow(l->remove, &l->cap_remove, l->n_remove + 1, sizeof(*l->remove));
        l->remove[l->n_remove++] = g->number;
        spool_hold_disk(l->s, -(int64_t)g->file_bytes, false);
    }
    l->n_segments = kept;
}

/* ---- groups ---- */

void queue_count_group(struct spool_lane *l, uint64_t group)
{
    const struct request *last = NULL;
    uint64_t samples = 0;
    for (struct request *r = l->list.first; r; r = r->next) {
        if (!r->uncounted || r->header.group != group)
            continue;
        r->uncounted = false;
        samples += r->view.samples;
        last = r;
    }
    if (!last)
        return;
    l->totals.commit++;
    l->totals.group = group;
    l->totals.read += last->header.group_read;
    for (int i = 0; i < DROPS_AT_COMMIT; i++)
        l->totals.drops.n[i] += last->header.group_dropped[i];
    lane_publish_totals(l);
    l->ledger.waiting += samples;
    lane_ready(l);
}

void queue_count_groups(struct spool_lane *l)
{
    for (struct request *r = l->list.first; r; r = r->next)
        if (r->uncounted)
            queue_count_group(l, r->header.group);
}

/* ---- handing out ---- */

/* The oldest request that waits, if it is in memory. */
static struct request *next_in_memory(const struct spool_lane *l)
{
    struct request *r = l->list.first;
    if (r && r == l->peeked)
        r = r->next;
    if (!r || r->uncounted)
        return NULL;
    return r->header.seq <= l->known_up_to || queue_unread(l) == 0 ? r : NULL;
}

bool queue_wants_read(const struct spool_lane *l)
{
    return queue_unread(l) && !l->closing && (l->want_read || l->peeked) && !next_in_memory(l);
}

enum err spool_lane_peek(struct spool_lane *l, const struct spool_request **out)
{
    if (l->peeked) {
        *out = &l->peeked->view;
        return OK;
    }
    queue_drop_aged(l);
    struct request *r = next_in_memory(l);
    if (!r) {
        l->want_read = queue_unread(l) != 0;
        lane_publish_ledger(l);
        lane_kick(l);
        return l->want_read || l->list.first ? ERR_AGAIN : ERR_EOF;
    }
    struct cursor_slot *c = &l->cursor.now;
    r->view.maybe_sent = r->header.seq == l->maybe_sent;
    l->peeked = r;
    c->inflight = r->header.seq;
    if (c->head <= r->header.seq)
        c->head = r->header.seq + 1;
    c->read = l->totals.read;
    c->drops = l->totals.drops;
    cursor_publish(&l->cursor);
    lane_publish_ledger(l);
    lane_kick(l);
    *out = &r->view;
    return OK;
}

void spool_lane_done(struct spool_lane *l, uint64_t seq, const struct spool_outcome *outcome)
{
    struct request *r = l->peeked;
    CHECK(r && r->header.seq == seq);
    struct cursor_slot *c = &l->cursor.now;
    uint64_t sum = outcome->delivered;
    c->delivered += outcome->delivered;
    for (int i = 0; i < DROP_REASONS; i++) {
        sum += outcome->dropped[i];
        c->dropped[i] += outcome->dropped[i];
    }
    CHECK(sum == r->view.samples && outcome->dropped[DROP_RELABEL] == 0);
    c->possible_duplicates += outcome->possible_duplicates;
    c->inflight = 0;
    c->read = l->totals.read;
    c->drops = l->totals.drops;
    cursor_publish(&l->cursor);
    l->peeked = NULL;
    settle(l, r);
    queue_remove_done_segments(l);
    lane_publish_ledger(l);
    lane_kick(l);
}

/* ---- dropping ---- */

static void count_dropped(struct spool_lane *l, enum spool_reason reason, uint64_t samples)
{
    l->cursor.now.dropped[reason] += samples;
    cursor_publish(&l->cursor);
}

/* Everything of the segment but what was handed out. */
static void drop_segment(struct spool_lane *l, struct segment_info *g, enum spool_reason reason)
{
    struct cursor_slot *c = &l->cursor.now;
    const struct request *keep =
        l->peeked && l->peeked->state == REQUEST_ON_DISK && l->peeked->segment == g->number ? l->peeked : NULL;
    uint64_t requests = g->requests_left - (keep ? 1 : 0);
    uint64_t samples = g->samples_left - (keep ? keep->view.samples : 0);
    uint64_t bytes = g->bytes_left - (keep ? keep->image.n : 0);
    if (c->head <= g->last_seq)
        c->head = g->last_seq + 1;
    if (!l->peeked && c->inflight && g->first_seq <= c->inflight && c->inflight <= g->last_seq)
        c->inflight = 0;
    count_dropped(l, reason, samples);
    for (struct request *r = l->list.first, *next; r && r->state == REQUEST_ON_DISK; r = next) {
        next = r->next;
        if (r != keep && r->segment == g->number)
            queue_forget(l, r);
    }
    if (l->known_up_to < g->last_seq)
        l->known_up_to = g->last_seq;
    l->ledger.waiting -= samples;
    l->ledger.requests_waiting -= requests;
    l->ledger.bytes_waiting -= bytes;
    l->left_requests -= requests;
    g->requests_left -= requests;
    g->samples_left -= samples;
    g->bytes_left -= bytes;
    if (g->current)
        l->roll = true;
}

static bool only_peeked_left(const struct spool_lane *l, const struct segment_info *g)
{
    return g->requests_left == 0 || (g->requests_left == 1 && l->peeked && l->peeked->state == REQUEST_ON_DISK &&
                                     l->peeked->segment == g->number);
}

bool queue_make_space(struct spool_lane *l, uint64_t more)
{
    for (size_t i = 0; i < l->n_segments && (spool_over_cap(l->s, more) || spool_over_file_system(l->s, more));) {
        struct segment_info *g = &l->segments[i];
        if (only_peeked_left(l, g)) {
            i++;
            continue;
        }
        drop_segment(l, g, DROP_CAP);
        bool stays = g->requests_left || g->current;
        queue_remove_done_segments(l);
        i += stays;
    }
    /* Beyond the cap by a request: another lane drops its oldest then. But never more than the file system should give.
     */
    return !spool_over_file_system(l->s, more);
}

void queue_drop_aged(struct spool_lane *l)
{
    int64_t age = l->s->o.budget->max_age_ms;
    if (age <= 0)
        return;
    int64_t oldest = clock_wall_ms() - age;
    for (size_t i = 0; i < l->n_segments; i++) {
        struct segment_info *g = &l->segments[i];
        if (!only_peeked_left(l, g) && g->newest_sealed_ms < oldest)
            drop_segment(l, g, DROP_AGE);
    }
    struct request *r;
    while ((r = next_in_memory(l)) && r->view.sealed_ms < oldest) {
        struct cursor_slot *c = &l->cursor.now;
        if (c->head <= r->header.seq)
            c->head = r->header.seq + 1;
        if (!l->peeked && c->inflight == r->header.seq)
            c->inflight = 0;
        count_dropped(l, DROP_AGE, r->view.samples);
        settle(l, r);
    }
    queue_remove_done_segments(l);
}

/* A request that only memory (and perhaps an open batch) holds, from wherever in the list. */
static void drop_queued(struct spool_lane *l, struct request *r, enum spool_reason reason)
{
    struct cursor_slot *c = &l->cursor.now;
    if (r->batch >= 0 || r->open_file >= 0) { /* a start would find it there */
        if (c->gone_to + 1 != r->header.seq)
            c->gone_from = r->header.seq;
        c->gone_to = r->header.seq;
    }
    if (!l->peeked && c->inflight == r->header.seq)
        c->inflight = 0;
    count_dropped(l, reason, r->view.samples);
    settle(l, r);
}

static bool memory_full(const struct spool_lane *l)
{
    const struct spool_budget *b = l->s->o.budget;
    return atomic_load_explicit(&b->memory_bytes, memory_order_relaxed) > b->max_memory_bytes;
}

void queue_shed_memory(struct spool_lane *l)
{
    if (l->s->o.mode == SPOOL_DISK && !l->failing && !l->hung && l->place.dir >= 0)
        return;
    struct request *r = l->list.first;
    if (r && memory_full(l))
        queue_count_groups(l);
    while (r && memory_full(l)) {
        struct request *next = r->next;
        if (r->state == REQUEST_QUEUED && r != l->peeked)
            drop_queued(l, r, DROP_MEMORY);
        r = next;
    }
}

void queue_drop_rest(struct spool_lane *l)
{
    queue_count_groups(l);
    bool memory = l->s->o.mode == SPOOL_MEMORY;
    for (struct request *r = l->list.first, *next; r; r = next) {
        next = r->next;
        bool kept = r->state != REQUEST_QUEUED || r->open_file >= 0 || (r->batch >= 0 && l->batches[r->batch].fd < 0);
        if (kept && !memory)
            continue;
        if (r == l->peeked)
            l->peeked = NULL;
        drop_queued(l, r, DROP_STOP);
    }
    lane_publish_ledger(l);
}

void queue_drop_missing(struct spool_lane *l, struct segment_info *g, uint64_t requests, uint64_t samples)
{
    if (requests == 0)
        return;
    count_dropped(l, DROP_CORRUPT, samples);
    l->ledger.waiting -= samples;
    l->ledger.requests_waiting -= requests;
    l->left_requests -= requests;
    g->requests_left -= requests;
    g->samples_left -= samples;
    if (g->requests_left == 0) {
        l->ledger.bytes_waiting -= g->bytes_left;
        g->bytes_left = 0;
    }
    queue_remove_done_segments(l);
}
