/* lane_io: a lane's file work, one job in flight at a time.
 *
 * lane_kick gathers all that there is to do into the lane's one job and posts it; when it comes back, the results are
 * taken over and lane_kick looks again. So there is no queue of jobs to keep in order, a slow disk makes bigger jobs
 * instead of more, and everything a job points to (requests being written, batches being mirrored) is known to be in
 * use by looking at one struct.
 *
 *     on the I/O thread:  fault pages in -> make missing files -> read back -> append -> end segment -> remove ->
 *     mirror -> sync
 *
 * Appending waits for a second, unless no mapping is free any more to follow the one being filled, or that one is half
 * full: what the destination has acknowledged by then is never written at all, and until then the mapping keeps it. A
 * lane that keeps up therefore writes nothing but its mappings, and touches the pages of two: the third is there so
 * that a batch which follows two sealed ones closely has a place that survives the process, too.
 *
 * When a write fails, everything stays in memory (the first two also in their mappings), the groups count as read,
 * and the same requests are tried again every few seconds in the same order. When a job does not come back, the
 * same holds without the retry.
 *
 * On network file systems the job also writes what was published since the last one: data first, then borders, then
 * the page with the slots; then the cursor.
 */
#include "spool/lane_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

/* ---- making the files ---- */

/* Rather one that an earlier process left behind: it is allocated. -1: none is unused. */
static int unused_file(uint32_t used, uint32_t left_behind)
{
    if (left_behind & ~used)
        return __builtin_ctz(left_behind & ~used);
    int n = __builtin_ctz(~used);
    return n < OPEN_FILES_MAX ? n : -1;
}

void lane_io_prepare_setup(struct spool_lane *l)
{
    struct lane_job *j = &l->job;
    j->setup = true;
    j->spool = l->s;
    j->place = l->place;
    j->make_directory = l->place.dir < 0;
    j->want_cursor = !l->cursor.file;
    j->cursor = (struct cursor){.fd = -1, .now = l->cursor.now};
    j->totals = l->totals;
    j->setup_error = 0;
    uint32_t used = l->open_files;
    for (int i = 0; i < BATCHES; i++) {
        j->batches[i] = (struct open_batch){.file = -1, .fd = -1};
        bool wanted = i < l->want_batches && !l->batches[i].base;
        j->batch_files[i] = wanted ? unused_file(used, l->remove_open) : -1;
        if (j->batch_files[i] >= 0)
            used |= 1u << j->batch_files[i];
    }
}

static void setup_failed(struct lane_job *j, const char *what, int error)
{
    j->setup_what = what;
    j->setup_error = error;
}

void lane_setup(struct lane_job *j)
{
    int error = 0;
    if (j->make_directory) {
        char name[LANE_NAME_SIZE];
        lane_name(j->place.lane, name);
        if (mkdirat(j->spool->dir, name, 0750) != 0 && errno != EEXIST) {
            setup_failed(j, "make the lane's directory", errno);
            return;
        }
        j->place.dir = openat(j->spool->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (j->place.dir < 0) {
            setup_failed(j, "open the lane's directory", errno);
            return;
        }
    }
    /* The cursor first: a lane with data and without a cursor is a damaged one. */
    if (j->want_cursor && cursor_create(&j->cursor, &j->spool->disk, &j->place, &error)) {
        setup_failed(j, "make the cursor", error);
        return;
    }
    for (int i = 0; i < BATCHES; i++)
        if (j->batch_files[i] >= 0 &&
            open_batch_create(&j->batches[i], &j->spool->disk, &j->place, j->batch_files[i], &j->totals, &error))
            setup_failed(j, "make an open batch", error);
}

static void adopt_batch(struct spool_lane *l, int i, struct open_batch *made)
{
    l->batches[i] = *made;
    *made = (struct open_batch){.file = -1, .fd = -1};
    uint32_t bit = 1u << l->batches[i].file;
    l->open_files |= bit;
    l->remove_open &= ~bit;
    spool_hold_disk(l->s, (int64_t)l->batches[i].size, true);
    if (l->filling)
        open_batch_publish(&l->batches[i], &l->totals);
}

void lane_adopt(struct spool_lane *l, struct lane_job *j)
{
    l->place.dir = j->place.dir;
    if (j->cursor.file) {
        struct cursor_slot now = l->cursor.now;
        cursor_release(&l->cursor);
        l->cursor = j->cursor;
        l->cursor.now = now;
        cursor_publish(&l->cursor);
    }
    j->cursor = (struct cursor){.fd = -1};
    l->incomplete = !l->cursor.file;
    for (int i = 0; i < BATCHES; i++) {
        if (j->batches[i].base)
            adopt_batch(l, i, &j->batches[i]);
        l->incomplete = l->incomplete || (i < l->want_batches && !l->batches[i].base);
    }
    j->setup = false;
    uint32_t suppressed;
    if (l->incomplete) {
        l->retry_at_ms = loop_now_ms(l->loop) + RETRY_MS;
        counter_inc(l->write_errors);
        if (spool_log_allow(l->s, &suppressed))
            log_error(l->s->o.log, "the spool cannot be written; requests stay in memory, and it is tried again",
                      F_C("destination", l->s->o.destination), F_C("spool", l->s->o.directory),
                      F_C("what", j->setup_what ? j->setup_what : "no free open file"),
                      F_C("err", strerror(j->setup_error)), F_INT("suppressed", suppressed));
    }
}

/* ---- on the I/O thread ---- */

static bool record_wanted(const struct lane_job *j, const struct record_header *h)
{
    const struct request *last = j->got.last;
    return h->seq > j->read_after && cursor_waits(&j->read_cursor, h->seq) && (!last || h->seq > last->header.seq);
}

static void read_record(struct lane_job *j, const struct record_header *h, uint64_t at)
{
    struct disk *disk = &j->spool->disk;
    AUTO_BUF image = {0};
    buf_reserve(&image, record_size(h));
    int error = 0;
    enum err e = disk_read(disk, j->disk->read_fd, image.p, record_size(h), at, &error);
    image.n = record_size(h);
    if (!e)
        e = record_check_body(h, buf_view(&image));
    if (e == ERR_IO)
        j->read_error = error;
    if (e) {
        j->read_damaged++;
        j->read_damaged_at = at;
        return;
    }
    struct request *r = request_from_image(h, &image);
    r->segment = j->read_segment;
    r->at = at;
    request_list_push(&j->got, r);
}

static void open_for_reading(struct lane_job *j)
{
    struct lane_disk *k = j->disk;
    if (k->read_fd >= 0 && k->read_number == j->read_segment)
        return;
    if (k->read_fd >= 0)
        close(k->read_fd);
    char name[SEGMENT_NAME_SIZE];
    segment_name(j->read_segment, name);
    k->read_fd = openat(j->place.dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    k->read_number = j->read_segment;
    if (k->read_fd < 0)
        j->read_error = errno;
}

static void run_read(struct lane_job *j)
{
    open_for_reading(j);
    if (j->read_error)
        return;
    struct segment_walk w;
    segment_walk_init(&w, &j->spool->disk, j->disk->read_fd, j->read_at, j->read_end);
    struct record_header h;
    uint64_t at, bytes = 0;
    enum err e = OK;
    while (j->got.n < READ_REQUESTS && bytes < READ_BYTES && !j->read_error) {
        e = segment_walk_next(&w, &h, &at);
        if (e)
            break;
        if (record_wanted(j, &h)) {
            read_record(j, &h, at);
            bytes += record_size(&h);
        }
    }
    j->read_finished = e == ERR_EOF;
    if (e == ERR_IO)
        j->read_error = w.error;
    if (w.damaged) {
        j->read_damaged += w.damaged;
        j->read_damaged_at = w.damaged_at;
    }
    if (!j->read_error)
        j->read_at = w.at;
    segment_walk_release(&w);
}

static enum err writer_ready(struct lane_job *j)
{
    struct segment_writer *w = &j->disk->writer;
    bool full = w->fd >= 0 && (w->footer.end >= j->spool->segment_bytes || j->roll ||
                               clock_mono_ms() - w->opened_ms >= SEGMENT_AGE_MS);
    if (full) {
        segment_writer_close(w, &j->spool->disk);
        j->ended = true;
    }
    if (w->fd >= 0)
        return OK;
    struct segment_header h = {.number = j->disk->next_segment,
                               .first_seq = j->append[0]->header.seq,
                               .created_ms = clock_wall_ms(),
                               .lane = j->place.lane,
                               .protocol = j->place.protocol,
                               .compression = j->spool->o.compression};
    enum err e = segment_writer_open(w, &j->spool->disk, j->place.dir, &h, &j->append_error);
    if (!e)
        j->disk->next_segment++;
    return e;
}

/* A unit is one request or all parts of a group. */
static size_t unit_length(const struct lane_job *j, size_t from)
{
    uint64_t group = j->append[from]->header.group;
    size_t n = 1;
    while (group && from + n < j->n_append && j->append[from + n]->header.group == group)
        n++;
    return n;
}

static void run_append(struct lane_job *j)
{
    spool_look_at_file_system(j->spool);
    if (writer_ready(j))
        return;
    struct segment_writer *w = &j->disk->writer;
    while (j->written < j->n_append) {
        size_t n = unit_length(j, j->written);
        j->pieces = mem_grow(j->pieces, &j->cap_pieces, n, sizeof(*j->pieces));
        for (size_t i = 0; i < n; i++) {
            struct request *r = j->append[j->written + i];
            j->pieces[i] = (struct segment_piece){.header = &r->header, .bytes = buf_view(&r->image)};
        }
        if (segment_writer_append(w, &j->spool->disk, j->pieces, n, &j->append_error))
            return;
        for (size_t i = 0; i < n; i++) {
            j->append[j->written + i]->segment = w->footer.number;
            j->append[j->written + i]->at = j->pieces[i].at;
        }
        j->written += n;
    }
}

static void run_remove(struct lane_job *j)
{
    for (size_t i = 0; i < j->n_remove; i++) {
        char name[SEGMENT_NAME_SIZE];
        segment_name(j->remove[i], name);
        if (j->disk->read_fd >= 0 && j->disk->read_number == j->remove[i]) {
            close(j->disk->read_fd);
            j->disk->read_fd = -1;
        }
        unlinkat(j->place.dir, name, 0);
    }
    for (int i = 0; i < OPEN_FILES_MAX; i++) {
        char name[OPEN_NAME_SIZE];
        open_batch_name(i, name);
        if (j->remove_open & 1u << i)
            unlinkat(j->place.dir, name, 0);
    }
}

static void run_mirror(struct lane_job *j)
{
    int error;
    for (int i = 0; i <= BATCHES; i++) {
        struct lane_mirror *m = &j->mirror[i];
        if (m->fd < 0)
            continue;
        enum err e = OK;
        if (m->base && m->to > m->from)
            e = disk_write(&j->spool->disk, m->fd, m->base + OPEN_DATA_AT + m->from, m->to - m->from,
                           OPEN_DATA_AT + m->from, &error);
        if (!e && m->base && m->n_borders)
            e = disk_write(&j->spool->disk, m->fd, m->base + OPEN_BORDERS_AT,
                           m->n_borders * sizeof(struct spool_border), OPEN_BORDERS_AT, &error);
        if (!e)
            e = disk_write(&j->spool->disk, m->fd, m->page, PAGE, 0, &error);
        m->failed = e != OK;
        if (!e)
            fdatasync(m->fd);
        else if (!j->append_error)
            j->append_error = error;
    }
}

static void run(struct io_job *io)
{
    struct lane_job *j = CONTAINER_OF(io, struct lane_job, io);
    if (j->fault)
        open_batch_fault(j->fault, j->fault_bytes);
    if (j->setup)
        lane_setup(j);
    if (j->read)
        run_read(j);
    if (j->n_append)
        run_append(j);
    if (j->finish && j->disk->writer.fd >= 0) {
        segment_writer_close(&j->disk->writer, &j->spool->disk);
        j->ended = true;
    }
    run_remove(j);
    if (j->mirror)
        run_mirror(j);
    if (j->sync) {
        uint64_t began = clock_mono_ms();
        segment_writer_sync(&j->disk->writer);
        spool_synced(j->spool, clock_mono_ms() - began);
    }
}

/* ---- gathering ---- */

static uint64_t known_in(const struct spool_lane *l, uint64_t segment, uint64_t *samples)
{
    uint64_t n = 0;
    *samples = 0;
    for (const struct request *r = l->list.first; r && r->state == REQUEST_ON_DISK; r = r->next) {
        if (r->segment != segment)
            continue;
        n++;
        *samples += r->view.samples;
    }
    return n;
}

static bool gather_read(struct spool_lane *l, uint64_t now)
{
    struct lane_job *j = &l->job;
    if (!queue_wants_read(l) || now < l->read_retry_ms)
        return false;
    for (size_t i = 0; i < l->n_segments; i++) {
        const struct segment_info *g = &l->segments[i];
        uint64_t samples;
        if (g->requests_left <= known_in(l, g->number, &samples))
            continue;
        j->read = true;
        j->read_cursor = l->cursor.now;
        j->read_after = l->known_up_to;
        j->read_segment = g->number;
        j->read_at = l->read_segment == g->number ? l->read_at : g->next_at;
        j->read_end = g->end;
        return true;
    }
    return false;
}

/* The batch being filled has no other to follow it: what follows it would not survive the end of the process. */
static bool no_batch_free(const struct spool_lane *l)
{
    for (int i = 0; i < BATCHES; i++)
        if (l->batches[i].base && !l->batches[i].busy && &l->batches[i] != l->filling)
            return false;
    return true;
}

static bool append_due(const struct spool_lane *l, const struct request *r, uint64_t now)
{
    bool pressed = spool_pressed(l->s) || l->closing || l->half_told || no_batch_free(l) || l->list.n > KEEP_REQUESTS;
    return pressed || r->uncounted || r->open_file >= 0 || now - r->queued_ms >= APPEND_AFTER_MS;
}

static void write_failed(struct spool_lane *l, const char *why)
{
    l->failing = true;
    l->retry_at_ms = loop_now_ms(l->loop) + RETRY_MS;
    counter_inc(l->write_errors);
    uint32_t suppressed;
    if (spool_log_allow(l->s, &suppressed))
        log_error(l->s->o.log, "the spool cannot be written; requests stay in memory, and it is tried again",
                  F_C("destination", l->s->o.destination), F_C("spool", l->s->o.directory), F_INT("lane", l->index),
                  F_C("err", why), F_INT("waiting", l->ledger.waiting),
                  F_INT("dropped_memory", l->cursor.now.dropped[DROP_MEMORY]), F_INT("suppressed", suppressed));
    queue_count_groups(l);
    queue_shed_memory(l);
}

static bool gather_append(struct spool_lane *l, uint64_t now)
{
    struct lane_job *j = &l->job;
    if (l->failing || l->place.dir < 0)
        return false;
    bool due = false;
    uint64_t bytes = 0;
    for (struct request *r = l->list.first; r; r = r->next) {
        if (r->state != REQUEST_QUEUED)
            continue;
        due = due || append_due(l, r, now);
        bytes += r->image.n;
    }
    if (!due)
        return false;
    if (!queue_make_space(l, bytes < APPEND_BYTES ? bytes : APPEND_BYTES)) {
        write_failed(l, "the file system is nearly full; a tenth of it is left free");
        return false;
    }
    bytes = 0;
    uint64_t group = 0;
    for (struct request *r = l->list.first; r; r = r->next) {
        if (r->state != REQUEST_QUEUED)
            continue;
        bool inside = group && r->header.group == group;
        if (!inside && (j->n_append >= APPEND_REQUESTS || bytes >= APPEND_BYTES))
            break;
        group = r->header.group;
        bytes += r->image.n;
        r->state = REQUEST_WRITING;
        j->append = mem_grow(j->append, &j->cap_append, j->n_append + 1, sizeof(struct request *));
        j->append[j->n_append++] = r;
    }
    j->roll = l->roll;
    return j->n_append != 0;
}

static bool gather_mirror(struct spool_lane *l)
{
    struct lane_job *j = &l->job;
    if (!l->place.network)
        return false;
    if (!j->mirror)
        j->mirror = mem_zalloc(sizeof(*j->mirror) * (BATCHES + 1));
    bool any = false, later = !l->closing && loop_now_ms(l->loop) < l->mirror_retry_ms;
    for (int i = 0; i < BATCHES; i++) {
        struct open_batch *b = &l->batches[i];
        struct lane_mirror *m = &j->mirror[i];
        m->fd = -1;
        if (!b->base || !b->unwritten || later)
            continue;
        m->fd = b->fd;
        m->base = b->base;
        m->from = b->written_bytes;
        m->to = b->slot.bytes;
        m->n_borders = b->slot.n_borders;
        memcpy(m->page, b->base, PAGE);
        b->written_bytes = b->slot.bytes;
        b->unwritten = false;
        any = true;
    }
    struct lane_mirror *m = &j->mirror[BATCHES];
    m->fd = -1;
    m->base = NULL;
    if (l->cursor.file && l->cursor.unwritten && !later) {
        m->fd = l->cursor.fd;
        memcpy(m->page, l->cursor.page, PAGE);
        l->cursor.unwritten = false;
        any = true;
    }
    return any;
}

static bool gather_remove(struct spool_lane *l)
{
    struct lane_job *j = &l->job;
    j->n_remove = 0;
    for (size_t i = 0; i < l->n_remove; i++) {
        j->remove = mem_grow(j->remove, &j->cap_remove, j->n_remove + 1, sizeof(*j->remove));
        j->remove[j->n_remove++] = l->remove[i];
    }
    l->n_remove = 0;
    j->remove_open = l->place.dir >= 0 ? l->remove_open : 0;
    l->remove_open = 0;
    return j->n_remove || j->remove_open;
}

static void reset_job(struct spool_lane *l)
{
    struct lane_job *j = &l->job;
    j->lane = l;
    j->spool = l->s;
    j->disk = &l->disk;
    j->place = l->place;
    j->setup = j->read = j->read_finished = j->roll = j->finish = j->ended = j->sync = false;
    j->read_error = j->append_error = 0;
    j->read_damaged = 0;
    j->n_append = j->written = j->n_remove = 0;
    j->remove_open = 0;
}

/* ---- coming back ---- */

static void take_read(struct spool_lane *l)
{
    struct lane_job *j = &l->job;
    struct segment_info *g = queue_segment(l, j->read_segment);
    uint64_t known_samples, known = known_in(l, j->read_segment, &known_samples);
    while (j->got.first) {
        struct request *r = j->got.first;
        request_list_remove(&j->got, r);
        bool wanted = g && r->header.seq > l->known_up_to && cursor_waits(&l->cursor.now, r->header.seq) &&
                      known < g->requests_left && known_samples + r->view.samples <= g->samples_left;
        if (!wanted) {
            request_free(r);
            continue;
        }
        known++;
        known_samples += r->view.samples;
        spool_hold_memory(l->s, (int64_t)request_memory(r));
        request_list_insert(&l->list, r);
        l->known_requests++;
        l->known_bytes += r->image.n;
        l->known_up_to = r->header.seq;
    }
    l->read_segment = j->read_segment;
    l->read_at = j->read_at;
    if (j->read_damaged || j->read_error) {
        char name[SEGMENT_NAME_SIZE];
        segment_name(j->read_segment, name);
        counter_add(l->corrupt_records, j->read_damaged);
        log_error(l->s->o.log, "the spool is damaged; the rest of it is used", F_C("spool", l->s->o.directory),
                  F_INT("lane", l->index), F_C("file", name), F_INT("offset", j->read_damaged_at),
                  F_C("what", j->read_error ? strerror(j->read_error) : "a record fails its checksum"));
    }
    l->read_failures = j->read_error ? l->read_failures + 1 : 0;
    if (j->read_error)
        l->read_retry_ms = loop_now_ms(l->loop) + TICK_MS;
    if (g && (j->read_finished || l->read_failures >= READ_ATTEMPTS)) {
        l->read_failures = 0;
        if (l->known_up_to < g->last_seq)
            l->known_up_to = g->last_seq;
        queue_drop_missing(l, g, g->requests_left - known, g->samples_left - known_samples);
    }
    l->want_read = l->want_read && !l->list.first && queue_unread(l);
    lane_ready(l);
}

static struct segment_info *segment_for(struct spool_lane *l, const struct request *r)
{
    struct segment_info *g = queue_segment(l, r->segment);
    if (g)
        return g;
    l->segments = mem_grow(l->segments, &l->cap_segments, l->n_segments + 1, sizeof(*l->segments));
    g = &l->segments[l->n_segments++];
    *g = (struct segment_info){.number = r->segment,
                               .end = sizeof(struct segment_header),
                               .current = true,
                               .next_at = sizeof(struct segment_header),
                               .first_seq = r->header.seq,
                               .oldest_sealed_ms = r->view.sealed_ms};
    g->file_bytes = g->end;
    spool_hold_disk(l->s, (int64_t)g->file_bytes, false);
    return g;
}

/* The record is in its segment. */
static void take_written(struct spool_lane *l, struct request *r)
{
    struct segment_info *g = segment_for(l, r);
    spool_hold_disk(l->s, (int64_t)r->image.n, false);
    g->end = r->at + r->image.n;
    g->file_bytes = g->end;
    g->last_seq = l->last_on_disk = r->header.seq;
    g->newest_sealed_ms = r->view.sealed_ms;
    g->requests++;
    g->samples += r->view.samples;
    lane_release_batch(l, r);
    if (r->abandoned)
        return;
    r->state = REQUEST_ON_DISK;
    if (g->requests_left == 0)
        g->next_at = r->at;
    g->requests_left++;
    g->samples_left += r->view.samples;
    g->bytes_left += r->image.n;
    l->left_requests++;
    l->known_requests++;
    l->known_bytes += r->image.n;
    if (r->uncounted && r->header.group_part + 1 == r->header.group_parts)
        queue_count_group(l, r->header.group);
}

static void free_abandoned(struct spool_lane *l, struct request *r)
{
    spool_hold_memory(l->s, -(int64_t)request_memory(r));
    request_free(r);
}

/* Of what is on disk now, the first few stay in memory, if nothing unread lies before them. */
static void keep_some(struct spool_lane *l, bool unread)
{
    struct lane_job *j = &l->job;
    for (size_t i = 0; i < j->written; i++) {
        struct request *r = j->append[i];
        if (r->abandoned) {
            free_abandoned(l, r);
            continue;
        }
        bool keep =
            r == l->peeked || (!unread && !spool_pressed(l->s) &&
                               i + l->known_requests <= j->written + KEEP_REQUESTS - 1 && l->known_bytes <= KEEP_BYTES);
        if (keep) {
            l->known_up_to = r->header.seq;
            l->read_segment = r->segment;
            l->read_at = r->at + r->image.n;
            continue;
        }
        unread = true;
        queue_forget(l, r);
    }
}

static void take_append(struct spool_lane *l)
{
    struct lane_job *j = &l->job;
    bool unread = queue_unread(l) != 0;
    for (size_t i = 0; i < l->n_segments && j->ended; i++) {
        struct segment_info *g = &l->segments[i];
        if (!g->current)
            continue;
        g->current = false;
        g->file_bytes += sizeof(struct segment_footer);
        spool_hold_disk(l->s, sizeof(struct segment_footer), false);
        l->roll = false;
    }
    for (size_t i = 0; i < j->written; i++)
        take_written(l, j->append[i]);
    keep_some(l, unread);
    for (size_t i = j->written; i < j->n_append; i++) {
        struct request *r = j->append[i];
        r->state = REQUEST_QUEUED;
        if (!r->abandoned)
            continue;
        lane_release_batch(l, r);
        free_abandoned(l, r);
    }
    l->unsynced = l->unsynced || j->written;
    if (j->append_error)
        write_failed(l, strerror(j->append_error));
    j->n_append = j->written = 0;
}

/* What could not be written is written again, all of it. */
static void take_mirror(struct spool_lane *l)
{
    struct lane_mirror *m = l->job.mirror;
    bool failed = false;
    for (int i = 0; i <= BATCHES && m; i++)
        failed = failed || (m[i].fd >= 0 && m[i].failed);
    if (failed)
        l->mirror_retry_ms = loop_now_ms(l->loop) + TICK_MS;
    else if (loop_now_ms(l->loop) >= l->mirror_retry_ms)
        l->mirror_retry_ms = 0;
    for (int i = 0; i < BATCHES && failed; i++) {
        if (m[i].fd < 0 || !m[i].failed)
            continue;
        l->batches[i].unwritten = true;
        l->batches[i].written_bytes = 0;
    }
    if (failed && m[BATCHES].fd >= 0 && m[BATCHES].failed)
        l->cursor.unwritten = true;
}

static void done(struct io_job *io)
{
    struct lane_job *j = CONTAINER_OF(io, struct lane_job, io);
    struct spool_lane *l = j->lane;
    l->job_busy = false;
    l->hung = false;
    j->fault = NULL;
    if (j->setup)
        lane_adopt(l, j);
    if (j->read)
        take_read(l);
    take_append(l);
    take_mirror(l);
    queue_remove_done_segments(l);
    lane_publish_ledger(l);
    lane_tick_start(l);
    lane_kick(l);
}

/* The loop ended before a disk that hung gave the job back: it is part of the lane, which was left behind too. */
static void drop(struct message *m)
{
    (void)m;
}

/* ---- posting ---- */

/* Nothing is in flight and nothing is left to append, or it cannot be. True: the job is to be posted. */
static bool gather_close(struct spool_lane *l)
{
    struct lane_job *j = &l->job;
    if (l->close_step == CLOSE_APPEND) {
        for (size_t i = 0; i < l->n_segments; i++)
            if (l->segments[i].current && l->segments[i].requests_left == 0)
                l->segments[i].current = false;
        queue_remove_done_segments(l);
        gather_remove(l);
        gather_mirror(l);
        j->finish = j->sync = true;
        l->close_step = CLOSE_FINISH;
        return true;
    }
    if (l->close_step == CLOSE_FINISH) {
        queue_drop_rest(l);
        l->close_step = CLOSE_MIRROR;
        if (gather_mirror(l))
            return true;
    }
    if (l->close_step == CLOSE_MIRROR) {
        l->close_step = CLOSE_DONE;
        lane_closed(l);
    }
    return false;
}

static bool gather(struct spool_lane *l)
{
    struct lane_job *j = &l->job;
    uint64_t now = loop_now_ms(l->loop);
    bool any = j->fault != NULL;
    if (l->incomplete && !l->closing && now >= l->retry_at_ms) {
        lane_io_prepare_setup(l);
        any = true;
    }
    if (l->failing && !l->closing && now >= l->retry_at_ms)
        l->failing = false;
    any = gather_read(l, now) || any;
    bool append = l->close_step == CLOSE_APPEND && gather_append(l, now);
    any = append || any;
    if (l->closing && !append)
        return gather_close(l);
    any = gather_remove(l) || any;
    any = gather_mirror(l) || any;
    if (l->unsynced && now - l->synced_ms >= TICK_MS && spool_sync_allow(l->s)) {
        j->sync = any = true;
        l->synced_ms = now;
        l->unsynced = false;
    }
    return any;
}

void lane_kick(struct spool_lane *l)
{
    if (l->job_busy || l->close_step == CLOSE_DONE)
        return;
    if (l->s->o.mode == SPOOL_MEMORY) {
        l->job.fault = NULL;
        if (l->closing) {
            queue_drop_rest(l);
            l->close_step = CLOSE_DONE;
            lane_closed(l);
        }
        return;
    }
    reset_job(l);
    if (!gather(l))
        return;
    struct lane_job *j = &l->job;
    j->io = (struct io_job){.message = {.drop = drop}, .loop = l->loop, .run = run, .done = done};
    l->job_busy = true;
    l->job_since_ms = loop_now_ms(l->loop);
    io_thread_post(l->s->o.io, &j->io);
}

void lane_job_release(struct lane_job *j)
{
    while (j->got.first) {
        struct request *r = j->got.first;
        request_list_remove(&j->got, r);
        request_free(r);
    }
    free(j->append);
    free(j->pieces);
    free(j->remove);
    free(j->mirror);
}
