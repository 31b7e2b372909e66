/* lane: the filling side. Scrapes become part of the open batch, full batches become requests.
 *
 *      room -> the sink writes -> commit ... commit -> seal: compressed in memory, handed to the queue
 *                                  |                    |
 *                                  one release store    the mapping stays busy until its record is in a segment or
 *                                  its
 *                                                       request is done; the other mapping is filled meanwhile
 *
 * A commit that would exceed a limit seals what is there first and moves its own bytes to the fresh batch, so that a
 * request ends at a scrape's border wherever a scrape fits. The very first commit after a start seals at once, so
 * that data flows without waiting for the deadline.
 *
 * When both mappings are busy (a slow disk) or there is none (memory mode, a full disk), an anonymous batch is
 * filled: a worker never waits. The lane's totals are published into a mapping all the same, so that what a kill
 * takes then is known exactly at the next start.
 *
 * Groups: the parts of a scrape that is larger than a request are compressed one by one and stay in memory until the
 * last one is there (a twentieth of the page that is in memory anyway). They are then appended in one go, the last
 * part marked as the closing one, and count as read when that has happened, by a commit of totals that names the
 * group. A kill before leaves an unfinished group that is ignored, a kill in between a finished one that the next
 * start counts.
 *
 * Everything runs on the owner's loop. Blocking calls are made at the lane's first use (a few system calls) and
 * nowhere else; all other file work is lane_io.c's.
 */
#include "spool/lane_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

/* What the sink may write beyond max_raw_bytes; the contract of spool_lane_room. */
enum { ROOM_SLACK = 64 << 10 };

static uint32_t max_samples(const struct spool_lane *l)
{
    return atomic_load_explicit(&l->s->max_samples, memory_order_relaxed);
}

/* ---- ledger ---- */

static int64_t oldest_ms(const struct spool_lane *l)
{
    if (l->peeked)
        return l->peeked->view.sealed_ms;
    if (queue_unread(l))
        for (size_t i = 0; i < l->n_segments; i++)
            if (l->segments[i].requests_left)
                return l->segments[i].oldest_sealed_ms;
    if (l->list.first)
        return l->list.first->view.sealed_ms;
    return open_batch_empty(l->filling) ? 0 : l->filling->slot.begun_ms;
}

void lane_publish_ledger(struct spool_lane *l)
{
    const struct cursor_slot *c = &l->cursor.now;
    l->ledger.delivered = c->delivered;
    l->ledger.possible_duplicates = c->possible_duplicates;
    for (int i = 0; i < DROP_REASONS; i++)
        l->ledger.dropped[i] = c->dropped[i];
    for (int i = 0; i < DROPS_AT_COMMIT; i++)
        l->ledger.dropped[i] += l->totals.drops.n[i];
    l->ledger.read = l->totals.read;
    l->ledger.oldest_ms = oldest_ms(l);
    account_store(&l->s->lanes[l->index].account, &l->ledger);
}

void spool_lane_ledger(const struct spool_lane *l, struct spool_ledger *out)
{
    *out = l->ledger;
}

void lane_publish_totals(struct spool_lane *l)
{
    struct open_batch *b = l->filling;
    for (int i = 0; i < BATCHES && b->file < 0; i++)
        if (l->batches[i].base)
            b = &l->batches[i];
    open_batch_publish(b, &l->totals);
}

/* ---- timers ---- */

static void on_ready(struct timer *t)
{
    struct spool_lane *l = CONTAINER_OF(t, struct spool_lane, ready_timer);
    l->ready(l->ctx);
}

void lane_ready(struct spool_lane *l)
{
    if (!l->closing && l->ready && !timer_armed(&l->ready_timer))
        timer_start(l->loop, &l->ready_timer, 0, on_ready);
}

static void on_seal(struct timer *t)
{
    spool_lane_seal(CONTAINER_OF(t, struct spool_lane, seal_timer));
}

static bool tick_needed(const struct spool_lane *l)
{
    return l->list.first || l->left_requests || l->unsynced || l->incomplete || l->mirror_retry_ms ||
           !open_batch_empty(l->filling);
}

static void on_tick(struct timer *t)
{
    struct spool_lane *l = CONTAINER_OF(t, struct spool_lane, tick_timer);
    uint64_t now = loop_now_ms(l->loop);
    open_batch_check(l->filling);
    /* Not when it is left: a scrape that did not fit is still to be moved out of it. */
    if (l->filling != &l->spare && l->spare.base)
        open_batch_trim(&l->spare, 0);
    l->hung = l->job_busy && now - l->job_since_ms >= HUNG_MS;
    if (l->hung) {
        queue_count_groups(l);
        queue_shed_memory(l);
    }
    queue_drop_aged(l);
    lane_publish_ledger(l);
    lane_kick(l);
    if (tick_needed(l))
        lane_tick_start(l);
}

void lane_tick_start(struct spool_lane *l)
{
    if (!timer_armed(&l->tick_timer) && !l->closing && l->s->o.mode == SPOOL_DISK)
        timer_start(l->loop, &l->tick_timer, TICK_MS, on_tick);
    else if (!timer_armed(&l->tick_timer) && !l->closing && l->s->o.budget->max_age_ms)
        timer_start(l->loop, &l->tick_timer, TICK_MS, on_tick);
}

/* ---- batches ---- */

static bool being_mirrored(const struct spool_lane *l, int i)
{
    return l->job_busy && l->job.mirror && l->job.mirror[i].fd >= 0;
}

static void fault_ahead(struct spool_lane *l, uint32_t ahead)
{
    /* One stretch per job; what is not asked for now is asked for at the next commit. */
    if (l->job.fault || l->job_busy)
        return;
    l->job.fault = open_batch_fault_next(l->filling, ahead, &l->job.fault_bytes);
    if (l->job.fault)
        lane_kick(l);
}

static void begin_batch(struct spool_lane *l)
{
    open_batch_begin(l->filling, l->next_seq);
    l->filling->slot.protocol = l->protocol;
}

static void fill_next(struct spool_lane *l)
{
    l->filling = NULL;
    for (int i = 0; i < BATCHES && !l->filling; i++)
        if (l->batches[i].base && !l->batches[i].busy && !being_mirrored(l, i))
            l->filling = &l->batches[i];
    if (!l->filling) {
        if (!l->spare.base)
            open_batch_create_anonymous(&l->spare, l->place.data_bytes);
        l->filling = &l->spare;
        if (!l->incomplete && l->place.dir >= 0 && l->want_batches < BATCHES) {
            l->want_batches++; /* the next burst finds one more */
            l->incomplete = true;
            l->retry_at_ms = 0;
        }
    }
    begin_batch(l);
    l->half_told = false;
    fault_ahead(l, l->recent_bytes);
}

void lane_release_batch(struct spool_lane *l, struct request *r)
{
    if (r->batch >= 0) {
        struct open_batch *b = &l->batches[r->batch];
        b->busy = false;
        /* Emptied for good, so that no start takes it for a request that waits. */
        open_batch_begin(b, 0);
        open_batch_publish(b, &l->totals);
        if (b->backed / 2 > l->recent_bytes + ROOM_SLACK)
            open_batch_trim(b, l->recent_bytes + ROOM_SLACK);
        r->batch = -1;
    }
    if (r->open_file >= 0) {
        l->remove_open |= 1u << r->open_file;
        l->open_files &= ~(1u << r->open_file);
        spool_hold_disk(l->s, -(int64_t)l->open_bytes[r->open_file], false);
        r->open_file = -1;
    }
}

static void remember_size(struct spool_lane *l, uint32_t bytes)
{
    l->recent_bytes -= l->recent_bytes / 8;
    if (l->recent_bytes < bytes)
        l->recent_bytes = bytes;
}

/* The sealer would not have it: emptied first, so that a kill in between leaves it dropped as well. */
static void drop_filling(struct spool_lane *l)
{
    struct open_batch *b = l->filling;
    uint32_t samples = b->slot.samples;
    log_error(l->s->o.log, "what was to be sent is not what was written; counted as dropped",
              F_C("destination", l->s->o.destination), F_INT("lane", l->index), F_INT("samples", samples));
    begin_batch(l);
    lane_publish_totals(l);
    l->cursor.now.dropped[DROP_CORRUPT] += samples;
    cursor_publish(&l->cursor);
    l->ledger.waiting -= samples;
    lane_publish_ledger(l);
}

void spool_lane_seal(struct spool_lane *l)
{
    struct open_batch *b = l->filling;
    timer_stop(&l->seal_timer);
    if (open_batch_empty(b))
        return;
    const struct open_slot *slot = &b->slot;
    struct request_source source = {.raw = str_from((char *)open_batch_data(b), slot->bytes),
                                    .borders = open_batch_borders(b),
                                    .n_borders = slot->n_borders,
                                    .samples = slot->samples,
                                    .first_ms = slot->first_ms,
                                    .last_ms = slot->last_ms,
                                    .sealed_ms = clock_wall_ms(),
                                    .seq = slot->seq,
                                    .protocol = l->protocol,
                                    .compression = l->compression,
                                    .sealer = l->s->o.sealer,
                                    .read = l->totals.read,
                                    .drops = l->totals.drops};
    struct request *r = request_seal(&l->compressor, &source);
    CHECK(r != NULL || source.sealer); /* a batch is far below every compressor's limit */
    if (!r) {
        drop_filling(l);
        return;
    }
    if (b != &l->spare) {
        b->busy = true;
        r->batch = (int)(b - l->batches);
    }
    remember_size(l, slot->bytes);
    l->next_seq = slot->seq + 1;
    fill_next(l);
    queue_add(l, r);
    queue_drop_aged(l);
    queue_shed_memory(l);
    lane_publish_ledger(l);
    lane_ready(l);
    lane_tick_start(l);
    lane_kick(l);
}

void spool_lane_set_encoding(struct spool_lane *l, uint32_t protocol, enum compression compression)
{
    if (l->protocol == protocol && l->compression == compression)
        return;
    spool_lane_seal(l);
    l->protocol = protocol;
    l->compression = compression;
    l->filling->slot.protocol = protocol;
}

/* ---- filling ---- */

struct spool_room spool_lane_room(struct spool_lane *l)
{
    struct open_batch *b = l->filling;
    size_t n = open_batch_data_bytes(b) - b->slot.bytes;
    size_t max = l->s->o.max_raw_bytes;
    return (struct spool_room){.p = open_batch_data(b) + b->slot.bytes,
                               .n = n,
                               .samples = b->slot.samples,
                               .joinable = open_batch_empty(b)   ? n
                                           : max > b->slot.bytes ? max - b->slot.bytes
                                                                 : 0};
}

static uint64_t dropped(const struct spool_counts *c)
{
    uint64_t sum = 0;
    for (int i = 0; i < DROPS_AT_COMMIT; i++)
        sum += c->dropped[i];
    return sum;
}

static void add_totals(struct spool_lane *l, const struct spool_counts *counts)
{
    l->totals.commit++;
    l->totals.read += counts->read;
    for (int i = 0; i < DROPS_AT_COMMIT; i++)
        l->totals.drops.n[i] += counts->dropped[i];
}

/* The n bytes after the batch do not fit with it: they begin the next one. */
static void split_before(struct spool_lane *l, size_t n)
{
    const uint8_t *from = open_batch_data(l->filling) + l->filling->slot.bytes;
    spool_lane_seal(l);
    memmove(open_batch_data(l->filling), from, n);
}

static bool batch_full(const struct spool_lane *l, uint32_t part)
{
    const struct open_slot *slot = &l->filling->slot;
    return slot->samples >= max_samples(l) / part || slot->bytes >= l->s->o.max_raw_bytes / part ||
           slot->n_borders >= OPEN_BORDERS_MAX / part;
}

void spool_lane_commit(struct spool_lane *l, size_t n, const struct spool_counts *counts)
{
    CHECK(!l->in_group && n <= spool_lane_room(l).n && (n || !counts->samples));
    CHECK(counts->read == (uint64_t)counts->samples + dropped(counts));
    if (n == 0) {
        add_totals(l, counts);
        lane_publish_totals(l);
        lane_publish_ledger(l);
        return;
    }
    const struct open_slot *slot = &l->filling->slot;
    CHECK(l->protocol < SPOOL_PROTOCOL_SEALED || n <= spool_lane_room(l).joinable);
    if (slot->bytes && l->protocol == 1 &&
        ((uint64_t)slot->samples + counts->samples > max_samples(l) || slot->bytes + n > l->s->o.max_raw_bytes))
        split_before(l, n);
    bool first = open_batch_empty(l->filling);
    add_totals(l, counts);
    open_batch_commit(l->filling, (uint32_t)n, counts, clock_wall_ms(), &l->totals);
    if (l->filling == &l->spare)
        lane_publish_totals(l);
    l->ledger.waiting += counts->samples;
    lane_publish_ledger(l);
    if (batch_full(l, 1) || !l->first_commit_done) {
        l->first_commit_done = true;
        spool_lane_seal(l);
        return;
    }
    if (first) {
        timer_start(l->loop, &l->seal_timer, atomic_load_explicit(&l->s->seal_after_ms, memory_order_relaxed), on_seal);
        lane_tick_start(l);
    }
    fault_ahead(l, (uint32_t)n);
    if (!l->half_told && batch_full(l, 2)) {
        l->half_told = true;
        lane_kick(l);
    }
}

/* ---- groups ---- */

void spool_lane_group_begin(struct spool_lane *l)
{
    CHECK(!l->in_group);
    spool_lane_seal(l);
    l->in_group = true;
    l->group_counts = (struct spool_counts){0};
}

void spool_lane_group_add(struct spool_lane *l, size_t n, const struct spool_counts *counts)
{
    CHECK(l->in_group && n <= spool_lane_room(l).n && (n || !counts->samples));
    CHECK(counts->read == (uint64_t)counts->samples + dropped(counts));
    l->group_counts.read += counts->read;
    l->group_counts.samples += counts->samples;
    for (int i = 0; i < DROPS_AT_COMMIT; i++)
        l->group_counts.dropped[i] += counts->dropped[i];
    if (n == 0)
        return;
    open_batch_touched(l->filling, (uint32_t)n);
    struct spool_border border = {.offset = 0, .bytes = (uint32_t)n, .samples = counts->samples};
    struct request_source source = {.raw = str_from((char *)open_batch_data(l->filling), n),
                                    .borders = &border,
                                    .n_borders = 1,
                                    .samples = counts->samples,
                                    .first_ms = counts->first_ms,
                                    .last_ms = counts->last_ms,
                                    .sealed_ms = clock_wall_ms(),
                                    .protocol = l->protocol,
                                    .compression = l->compression,
                                    .sealer = l->s->o.sealer};
    struct request *r = request_seal(&l->compressor, &source);
    CHECK(r != NULL);
    spool_hold_memory(l->s, (int64_t)request_memory(r));
    request_list_push(&l->group, r);
}

static void group_close(struct spool_lane *l)
{
    uint64_t group = l->next_group++;
    uint32_t part = 0, parts = l->group.n;
    for (struct request *r = l->group.first; r; r = r->next, part++) {
        struct record_header *h = &r->header;
        h->seq = l->next_seq++;
        h->read = l->totals.read;
        h->drops = l->totals.drops;
        h->group = group;
        h->group_part = part;
        h->group_parts = parts;
        if (part + 1 == parts) {
            h->group_read = l->group_counts.read;
            for (int i = 0; i < DROPS_AT_COMMIT; i++)
                h->group_dropped[i] = l->group_counts.dropped[i];
        }
        request_finish(r);
    }
    while (l->group.first) {
        struct request *r = l->group.first;
        request_list_remove(&l->group, r);
        spool_hold_memory(l->s, -(int64_t)request_memory(r));
        r->uncounted = true;
        queue_add(l, r);
    }
    if (l->s->o.mode == SPOOL_MEMORY || l->failing || l->hung || l->place.dir < 0)
        queue_count_group(l, group);
}

void spool_lane_group_end(struct spool_lane *l)
{
    CHECK(l->in_group);
    l->in_group = false;
    if (!l->group.first) {
        spool_lane_commit(l, 0, &l->group_counts);
        return;
    }
    l->first_commit_done = true;
    group_close(l);
    remember_size(l, l->filling->backed);
    begin_batch(l);
    queue_drop_aged(l);
    queue_shed_memory(l);
    lane_publish_ledger(l);
    lane_tick_start(l);
    lane_kick(l);
}

void spool_lane_group_abort(struct spool_lane *l)
{
    CHECK(l->in_group);
    l->in_group = false;
    while (l->group.first) {
        struct request *r = l->group.first;
        request_list_remove(&l->group, r);
        spool_hold_memory(l->s, -(int64_t)request_memory(r));
        request_free(r);
    }
}

/* ---- opening ---- */

static void take_found(struct spool_lane *l, struct lane_found *f)
{
    l->totals = f->totals;
    l->cursor.now = f->cursor;
    l->maybe_sent = f->cursor.inflight;
    l->next_seq = f->next_seq;
    l->last_on_disk = f->last_on_disk;
    l->disk.next_segment = f->next_segment;
    l->segments = f->segments;
    l->n_segments = f->n_segments;
    l->cap_segments = f->cap_segments;
    f->segments = NULL;
    for (size_t i = 0; i < l->n_segments; i++)
        l->left_requests += l->segments[i].requests_left;
    memcpy(l->open_bytes, f->open_bytes, sizeof(l->open_bytes));
    while (f->open.first) {
        struct request *r = f->open.first;
        request_list_remove(&f->open, r);
        l->open_files |= 1u << r->open_file;
        spool_hold_memory(l->s, (int64_t)request_memory(r));
        request_list_push(&l->list, r);
    }
    /* The others held nothing: the new ones take their places, or they go. */
    l->remove_open = f->open_files & ~l->open_files;
    for (int i = 0; i < OPEN_FILES_MAX; i++)
        if (l->remove_open & 1u << i)
            spool_hold_disk(l->s, -(int64_t)f->open_bytes[i], false);
}

static void take_from_disk(struct spool_lane *l)
{
    struct spool_lane_entry *entry = &l->s->lanes[l->index];
    l->next_seq = 1;
    l->cursor.now.head = 1;
    l->disk.next_segment = 1;
    if (entry->found) {
        ledger_of_found(entry->found, &l->ledger);
        take_found(l, entry->found);
        lane_found_release(entry->found);
        free(entry->found);
        entry->found = NULL;
    }
    l->next_group = l->totals.group + 1;
}

/* The open batches that hold requests are ours again: busy until those are appended or done. */
static void attach_recovered(struct spool_lane *l)
{
    char name[LANE_NAME_SIZE];
    lane_name(l->index, name);
    l->place.dir = openat(l->s->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int n = 0;
    for (struct request *r = l->list.first; r && n < BATCHES && l->place.dir >= 0; r = r->next) {
        struct open_batch *b = &l->batches[n];
        if (!open_batch_attach(b, &l->place, r->open_file, r->view.samples, &l->totals))
            continue;
        spool_hold_disk(l->s, -(int64_t)l->open_bytes[r->open_file], false);
        spool_hold_disk(l->s, (int64_t)b->size, true);
        b->busy = true;
        r->batch = n++;
        r->open_file = -1;
    }
    if (l->want_batches <= n)
        l->want_batches = n < BATCHES ? n + 1 : n;
}

static void set_up(struct spool_lane *l)
{
    struct lane_job *j = &l->job;
    l->totals.commit++;
    attach_recovered(l);
    l->incomplete = true;
    lane_io_prepare_setup(l);
    lane_setup(j);
    lane_adopt(l, j);
}

enum err spool_lane_open(struct spool *s, uint32_t lane, struct loop *loop, void (*ready)(void *ctx), void *ctx,
                         struct spool_lane **out, struct diag *d)
{
    if (lane >= SPOOL_LANES || s->lanes[lane].open)
        return diag_set(d, ERR_INTERNAL, "lane %u of spool %s cannot be opened twice", lane, s->o.directory);
    struct spool_lane *l = NEW(struct spool_lane);
    *l = (struct spool_lane){.s = s,
                             .index = lane,
                             .loop = loop,
                             .ready = ready,
                             .ctx = ctx,
                             .protocol = s->o.protocol,
                             .compression = s->o.compression};
    l->place = (struct lane_place){.dir = -1,
                                   .network = s->network,
                                   .lane = lane,
                                   .protocol = s->o.protocol,
                                   .data_bytes = s->o.max_raw_bytes + ROOM_SLACK,
                                   .boot_id = s->boot_id};
    struct counter_label labels[] = {{STR("destination"), str_c(s->o.destination)}};
    l->write_errors = counter_new(s->o.counters, COUNTER_TOTAL, "leadline_spool_write_errors_total",
                                  "Writes to the spool that failed; they are tried again.", labels, 1);
    l->corrupt_records = counter_new(s->o.counters, COUNTER_TOTAL, "leadline_spool_corrupt_records_total",
                                     "Records of the spool that failed their checksum.", labels, 1);
    l->disk.writer.fd = l->disk.read_fd = -1;
    for (int i = 0; i < BATCHES; i++)
        l->batches[i] = (struct open_batch){.file = -1, .fd = -1};
    l->spare = l->batches[0];
    cursor_init_anonymous(&l->cursor);
    l->recent_bytes = ROOM_SLACK;
    l->want_batches = BATCHES_AT_FIRST;
    take_from_disk(l);
    if (s->o.mode == SPOOL_DISK)
        set_up(l);
    s->lanes[lane].open = l;
    fill_next(l);
    lane_publish_ledger(l);
    if (l->ledger.requests_waiting)
        lane_ready(l);
    lane_tick_start(l);
    lane_kick(l);
    *out = l;
    return OK;
}

/* ---- closing ---- */

static void on_closed(struct timer *t)
{
    struct spool_lane *l = CONTAINER_OF(t, struct spool_lane, ready_timer);
    void (*closed)(void *ctx) = l->closed;
    void *ctx = l->closed_ctx;
    while (l->list.first)
        queue_forget(l, l->list.first);
    for (int i = 0; i < BATCHES; i++) {
        if (l->batches[i].base && l->batches[i].file >= 0)
            atomic_fetch_sub(&l->s->o.budget->mapping_bytes, l->batches[i].size);
        open_batch_release(&l->batches[i]);
    }
    open_batch_release(&l->spare);
    cursor_release(&l->cursor);
    compressor_release(&l->compressor);
    lane_job_release(&l->job);
    if (l->place.dir >= 0)
        close(l->place.dir);
    if (l->disk.read_fd >= 0)
        close(l->disk.read_fd);
    counter_release(l->s->o.counters, l->write_errors);
    counter_release(l->s->o.counters, l->corrupt_records);
    free(l->segments);
    free(l->remove);
    l->s->lanes[l->index].open = NULL;
    free(l);
    if (closed)
        closed(ctx);
}

void lane_closed(struct spool_lane *l)
{
    /* ready is told no more: its timer serves the last callback. */
    timer_start(l->loop, &l->ready_timer, 0, on_closed);
}

void spool_lane_close(struct spool_lane *l, void (*closed)(void *ctx), void *ctx)
{
    CHECK(!l->closing);
    if (l->in_group)
        spool_lane_group_abort(l);
    l->closed = closed;
    l->closed_ctx = ctx;
    l->closing = true;
    l->failing = false; /* one more attempt */
    /* Before the seal: without a disk that is the end already, and arms the last callback. */
    timer_stop(&l->ready_timer);
    timer_stop(&l->tick_timer);
    spool_lane_seal(l);
    lane_kick(l);
}
