/* found: what a lane's directory holds.
 *
 * After a kill at any moment the lane is put together from three kinds of files, each consistent in itself:
 *
 *   open-N     totals (the newest commit of all of them), and perhaps a batch that never reached a segment
 *   segments   sealed requests in order; all but the last one summed up by a footer
 *   cursor     done up to head, but inflight; delivered and dropped
 *
 *   a record waits        when the cursor says that its seq is not done
 *   an open batch waits   when moreover its seq is beyond everything in the segments, and it was not dropped from
 *   memory a group counts        when its closing part is there: once, for the open batches remember the last group
 *   counted
 *
 * What is waiting was counted where it lies (footers, record headers, slots); read comes from the open batches,
 * delivered and dropped from the cursor. After a mere kill these agree. After power loss or damage something may be
 * missing, and the difference is dropped{crash}, or dropped{corrupt} when damage was seen; that is the only place
 * where one term of the ledger is derived from the others, and it is zero when all went well.
 *
 * After power loss pages of an open batch may be older than its header. The boot's id tells: a batch of another
 * boot is taken only as far as a checksum covers it.
 *
 * Only one thing is ever changed here, and only by the process that holds the lock: the end of the last segment is
 * cut back to the last whole record or group, so that what was ignored once can never come back.
 *
 * Blocking; on the control thread before the lane is opened, or in `leadline spool`.
 */
#include "spool/found_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"

struct finder {
    struct lane_found *f;
    const struct found_options *o;
    int dir;
    struct diag *d;
};

static void PRINTF_LIKE(4, 5) note(struct finder *x, const char *file, uint64_t at, const char *fmt, ...)
{
    struct lane_found *f = x->f;
    f->damaged = true;
    if (f->n_notes++ >= COUNT_OF(f->notes))
        return;
    struct found_note *n = &f->notes[f->n_notes - 1];
    n->at = at;
    snprintf(n->file, sizeof(n->file), "%s", file);
    va_list args;
    va_start(args, fmt);
    vsnprintf(n->text, sizeof(n->text), fmt, args);
    va_end(args);
}

static int open_file(struct finder *x, const char *name, int flags, uint64_t *size)
{
    struct stat st;
    int fd = openat(x->dir, name, flags | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        errno = EINVAL;
        return -1;
    }
    *size = (uint64_t)st.st_size;
    x->f->file_bytes += *size;
    return fd;
}

/* ---- the cursor ---- */

static enum err find_cursor(struct finder *x)
{
    struct lane_found *f = x->f;
    f->cursor = (struct cursor_slot){.head = 1};
    uint64_t size;
    int fd = open_file(x, "cursor", O_RDONLY, &size);
    if (fd < 0 && errno == ENOENT) {
        f->cursor_lost = true; /* unless the lane turns out to be new */
        return OK;
    }
    if (fd < 0)
        return diag_errno(x->d, ERR_IO, errno, "open the cursor of lane %u", x->o->lane);
    _Alignas(8) uint8_t page[PAGE];
    struct cursor_header h;
    int error;
    enum err e = size < PAGE ? ERR_CORRUPT : disk_read(x->o->disk, fd, page, PAGE, 0, &error);
    if (!e)
        e = cursor_parse(page, &h, &f->cursor);
    close(fd);
    if (e == ERR_UNSUPPORTED)
        return diag_set(x->d, e, "the cursor of lane %u has format %u, this program reads format %d", x->o->lane,
                        h.version, SPOOL_VERSION);
    if (e) {
        note(x, "cursor", 0, "damaged: what was acknowledged is unknown, and the lane's counts start again");
        f->cursor = (struct cursor_slot){.head = 1};
        f->cursor_lost = true;
    }
    return OK;
}

/* ---- open batches ---- */

struct open_found {
    int file;
    int fd;
    struct open_header header;
    struct open_slot slot;
};

static enum err find_open(struct finder *x, int file, struct open_found *o)
{
    char name[OPEN_NAME_SIZE];
    open_batch_name(file, name);
    uint64_t size;
    *o = (struct open_found){.file = file, .fd = open_file(x, name, O_RDONLY, &size)};
    if (o->fd < 0)
        return OK;
    x->f->open_files |= 1u << file;
    x->f->open_bytes[file] = size;
    _Alignas(8) uint8_t page[PAGE];
    int error = 0;
    enum err e = size < PAGE ? ERR_CORRUPT : disk_read(x->o->disk, o->fd, page, PAGE, 0, &error);
    if (!e)
        e = open_parse(page, size, &o->header, &o->slot);
    if (e == ERR_UNSUPPORTED)
        return diag_set(x->d, e, "%s of lane %u has format %u, this program reads format %d", name, x->o->lane,
                        o->header.version, SPOOL_VERSION);
    if (e) {
        note(x, name, 0, "damaged: what it held is lost");
        close(o->fd);
        o->fd = -1;
    }
    return OK;
}

static void take_totals(struct lane_totals *t, const struct open_slot *s)
{
    if (s->commit < t->commit)
        return;
    *t = (struct lane_totals){.commit = s->commit, .read = s->read, .drops = s->drops, .group = s->group};
}

/* How much of the batch can be trusted; its borders are complete and fit. */
static bool open_trusted(struct finder *x, struct open_found *o, struct str raw)
{
    if (memcmp(o->header.boot_id, x->o->boot_id, BOOT_ID_SIZE) == 0)
        return true;
    struct open_slot *s = &o->slot;
    if (s->checked_bytes == 0 || hash_bytes(str_from(raw.p, s->checked_bytes)) != s->checked_hash)
        return false;
    s->bytes = s->checked_bytes;
    s->samples = s->checked_samples;
    s->n_borders = s->checked_borders;
    return true;
}

static struct request *open_request(struct finder *x, struct open_found *o, const struct buf *bytes)
{
    struct open_slot *s = &o->slot;
    const struct spool_border *borders = (const struct spool_border *)(const void *)bytes->p;
    size_t table = s->n_borders * sizeof(*borders);
    struct str raw = str_from(bytes->p + table, s->bytes);
    char name[OPEN_NAME_SIZE];
    open_batch_name(o->file, name);
    if (!open_trusted(x, o, raw)) {
        note(x, name, OPEN_DATA_AT, "from before the machine stopped, and not complete: %u samples", s->samples);
        return NULL;
    }
    uint64_t samples = 0;
    for (uint32_t i = 0; i < s->n_borders; i++)
        samples += borders[i].samples;
    if (samples != s->samples || !open_borders_valid(borders, s->n_borders, s->bytes)) {
        note(x, name, OPEN_BORDERS_AT, "borders do not fit the message: %u samples", s->samples);
        return NULL;
    }
    struct request_source source = {.raw = str_from(raw.p, s->bytes),
                                    .borders = borders,
                                    .n_borders = s->n_borders,
                                    .samples = s->samples,
                                    .first_ms = s->first_ms,
                                    .last_ms = s->last_ms,
                                    .sealed_ms = s->begun_ms,
                                    .seq = s->seq,
                                    .protocol = s->protocol ? s->protocol : o->header.protocol,
                                    .compression = x->o->compression,
                                    .sealer = x->o->sealer,
                                    .read = s->read,
                                    .drops = s->drops};
    struct request *r = request_seal(x->o->compressor, &source);
    if (!r)
        note(x, name, OPEN_DATA_AT, "not what is written there: %u samples", s->samples);
    return r;
}

static bool open_waits(const struct lane_found *f, const struct open_slot *s)
{
    if ((s->bytes == 0 && s->samples == 0) || s->seq <= f->last_on_disk)
        return false;
    if (f->cursor.inflight && s->seq == f->cursor.inflight)
        return true;
    return s->seq >= f->cursor.head && !(f->cursor.gone_from <= s->seq && s->seq <= f->cursor.gone_to);
}

static void recover_open(struct finder *x, struct open_found *o)
{
    struct lane_found *f = x->f;
    if (o->fd < 0 || !open_waits(f, &o->slot))
        return;
    struct open_slot *s = &o->slot;
    size_t table = s->n_borders * sizeof(struct spool_border);
    AUTO_BUF bytes = {0};
    buf_reserve(&bytes, table + s->bytes);
    int error;
    enum err e = disk_read(x->o->disk, o->fd, bytes.p, table, OPEN_BORDERS_AT, &error);
    if (!e)
        e = disk_read(x->o->disk, o->fd, bytes.p + table, s->bytes, OPEN_DATA_AT, &error);
    char name[OPEN_NAME_SIZE];
    open_batch_name(o->file, name);
    if (e) {
        note(x, name, OPEN_BORDERS_AT, "cannot be read: %s", strerror(error));
        return;
    }
    bytes.n = table + s->bytes;
    struct request *r = open_request(x, o, &bytes);
    if (!r)
        return;
    r->open_file = o->file;
    request_list_insert(&f->open, r);
    f->requests_waiting++;
    f->samples_waiting += r->view.samples;
    if (s->seq >= f->next_seq)
        f->next_seq = s->seq + 1;
}

/* ---- segments ---- */

static void info_add(struct segment_info *g, const struct cursor_slot *c, const struct record_header *h, uint64_t at)
{
    if (g->requests == 0)
        g->first_seq = h->seq;
    if (h->seq > g->last_seq)
        g->last_seq = h->seq;
    g->requests++;
    g->samples += h->samples;
    if (h->samples && (g->first_ms == 0 || h->first_ms < g->first_ms))
        g->first_ms = h->first_ms;
    if (h->last_ms > g->last_ms)
        g->last_ms = h->last_ms;
    if (h->group > g->last_group)
        g->last_group = h->group;
    if (h->sealed_ms > g->newest_sealed_ms)
        g->newest_sealed_ms = h->sealed_ms;
    if (!cursor_waits(c, h->seq))
        return;
    if (g->requests_left == 0) {
        g->next_at = at;
        g->oldest_sealed_ms = h->sealed_ms;
    }
    g->requests_left++;
    g->samples_left += h->samples;
    g->bytes_left += record_size(h);
}

/* A group that is being walked through. */
struct group_walk {
    uint64_t group, at;
    uint32_t parts;             /* seen */
    struct segment_info before; /* as it was when the group began */
};

static void group_step(struct finder *x, struct group_walk *g, const struct segment_info *before,
                       const struct record_header *h, uint64_t at)
{
    if (h->group_parts == 0 || h->group_part == 0)
        *g = (struct group_walk){.group = h->group, .at = at, .before = *before};
    if (h->group_parts == 0)
        return;
    bool follows = h->group == g->group && h->group_part == g->parts;
    g->parts = follows ? g->parts + 1 : 0;
    if (g->parts == h->group_parts) {
        if (h->group > x->f->totals.group) {
            x->f->totals.group = h->group;
            x->f->totals.read += h->group_read;
            for (int i = 0; i < COMMIT_DROP_SLOTS; i++)
                x->f->totals.drops.n[i] += h->group_dropped[i];
        }
        *g = (struct group_walk){0};
    }
}

/* Walks the records of a segment that has no footer, or is half done. `whole`: groups in it may not be counted yet. */
static enum err walk_segment(struct finder *x, int fd, const char *name, struct segment_info *g, bool whole,
                             uint64_t from)
{
    struct segment_walk w;
    segment_walk_init(&w, x->o->disk, fd, from, g->end);
    struct record_header h;
    struct group_walk group = {0};
    uint64_t at, sound_end = sizeof(struct segment_header);
    uint32_t damaged = 0;
    uint64_t damaged_at = 0;
    enum err e;
    while ((e = segment_walk_next(&w, &h, &at)) == OK) {
        if (w.damaged > damaged) { /* followed by something sound: not merely a torn end */
            damaged = w.damaged;
            damaged_at = w.damaged_at;
        }
        struct segment_info before = *g;
        info_add(g, &x->f->cursor, &h, at);
        if (whole)
            group_step(x, &group, &before, &h, at);
        sound_end = w.at;
        if (h.read > x->f->totals.read && x->f->totals.commit == 0) {
            x->f->totals.read = h.read;
            x->f->totals.drops = h.drops;
        }
    }
    if (e == ERR_IO)
        note(x, name, w.at, "cannot be read: %s", strerror(w.error));
    else if (damaged)
        note(x, name, damaged_at, "damaged: %llu bytes were passed over", (unsigned long long)w.skipped);
    segment_walk_release(&w);
    if (!whole)
        return OK;
    if (group.group > x->f->totals.group) {
        uint64_t end = group.at;
        struct segment_info before = group.before;
        *g = before;
        sound_end = end;
    }
    g->end = sound_end;
    return OK;
}

static enum err read_footer(struct finder *x, int fd, struct segment_info *g)
{
    char tail[sizeof(struct segment_footer)];
    struct segment_footer f;
    int error;
    if (g->file_bytes < sizeof(struct segment_header) + sizeof(f) ||
        disk_read(x->o->disk, fd, tail, sizeof(tail), g->file_bytes - sizeof(tail), &error) ||
        segment_footer_parse(str_from(tail, sizeof(tail)), g->file_bytes, &f))
        return ERR_NOT_FOUND;
    const struct cursor_slot *c = &x->f->cursor;
    g->footer = true;
    g->end = f.end;
    g->next_at = sizeof(struct segment_header);
    bool partly = f.first_seq < c->head &&
                  (f.last_seq >= c->head || (c->inflight && f.first_seq <= c->inflight && c->inflight <= f.last_seq));
    if (partly)
        return ERR_AGAIN;
    g->first_seq = f.first_seq;
    g->last_seq = f.last_seq;
    g->requests = f.requests;
    g->samples = f.samples;
    g->last_group = f.group;
    g->first_ms = f.first_ms;
    g->last_ms = f.last_ms;
    g->oldest_sealed_ms = f.oldest_sealed_ms;
    g->newest_sealed_ms = f.newest_sealed_ms;
    if (f.first_seq >= c->head) {
        g->requests_left = f.requests;
        g->samples_left = f.samples;
        g->bytes_left = f.end - sizeof(struct segment_header);
    }
    return OK;
}

static enum err find_segment(struct finder *x, uint64_t number, struct segment_info *g)
{
    char name[SEGMENT_NAME_SIZE];
    segment_name(number, name);
    *g = (struct segment_info){.number = number};
    int fd = open_file(x, name, x->o->beside ? O_RDONLY : O_RDWR, &g->file_bytes);
    if (fd < 0 && errno == ENOENT && x->o->beside)
        return OK;
    if (fd < 0) {
        note(x, name, 0, "cannot be opened: %s", strerror(errno));
        return OK;
    }
    char head[sizeof(struct segment_header)];
    struct segment_header h;
    int error;
    enum err e = g->file_bytes < sizeof(head) ? ERR_EOF : disk_read(x->o->disk, fd, head, sizeof(head), 0, &error);
    uint64_t from = sizeof(head);
    if (e == OK) {
        enum err parsed = segment_header_parse(str_from(head, sizeof(head)), &h);
        if (parsed == ERR_UNSUPPORTED) {
            close(fd);
            return diag_set(x->d, parsed, "segment %s of lane %u has format %u, this program reads format %d", name,
                            x->o->lane, h.version, SPOOL_VERSION);
        }
        if (parsed || h.number != number || h.lane != x->o->lane) {
            note(x, name, 0, parsed ? "the header is damaged" : "belongs elsewhere: the file was moved");
            from = parsed ? 0 : from;
        }
        g->end = g->file_bytes;
        g->next_at = from;
        e = read_footer(x, fd, g);
        if (e == ERR_NOT_FOUND)
            e = walk_segment(x, fd, name, g, true, from);
        else if (e == ERR_AGAIN)
            e = walk_segment(x, fd, name, g, false, from);
        if (!g->footer && !x->o->beside && g->end < g->file_bytes && ftruncate(fd, (off_t)g->end) == 0)
            g->file_bytes = g->end;
    }
    close(fd);
    return e == ERR_EOF ? OK : e;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int by_seq(const void *a, const void *b)
{
    const struct segment_info *x = a, *y = b;
    if (x->first_seq != y->first_seq)
        return x->first_seq < y->first_seq ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

static enum err find_segments(struct finder *x, uint64_t *numbers, size_t n)
{
    struct lane_found *f = x->f;
    if (n)
        qsort(numbers, n, sizeof(*numbers), by_number);
    for (size_t i = 0; i < n; i++) {
        f->segments = mem_grow(f->segments, &f->cap_segments, f->n_segments + 1, sizeof(*f->segments));
        struct segment_info *g = &f->segments[f->n_segments];
        enum err e = find_segment(x, numbers[i], g);
        if (e)
            return e;
        f->n_segments++;
        if (numbers[i] >= f->next_segment)
            f->next_segment = numbers[i] + 1;
        if (i + 1 < n && !g->footer && g->requests == 0 && g->file_bytes > sizeof(struct segment_header) &&
            !x->o->beside)
            f->damaged = true;
    }
    if (f->n_segments)
        qsort(f->segments, f->n_segments, sizeof(*f->segments), by_seq);
    for (size_t i = 0; i < f->n_segments; i++) {
        struct segment_info *g = &f->segments[i];
        f->requests_waiting += g->requests_left;
        f->samples_waiting += g->samples_left;
        if (g->last_seq > f->last_on_disk)
            f->last_on_disk = g->last_seq;
        if (g->last_group > f->totals.group)
            f->totals.group = g->last_group;
    }
    return OK;
}

/* ---- all of it ---- */

struct listing {
    uint64_t *numbers;
    size_t n, cap;
    uint32_t open_files;
};

static enum err list_files(struct finder *x, struct listing *l)
{
    int fd = openat(x->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        enum err e = diag_errno(x->d, ERR_IO, errno, "read the directory of lane %u", x->o->lane);
        if (fd >= 0)
            close(fd);
        return e;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        uint64_t number;
        int file;
        if (segment_parse_name(entry->d_name, &number)) {
            l->numbers = mem_grow(l->numbers, &l->cap, l->n + 1, sizeof(*l->numbers));
            l->numbers[l->n++] = number;
        } else if (open_batch_parse_name(entry->d_name, &file) && file < OPEN_FILES_MAX) {
            l->open_files |= 1u << file;
        } else if (!x->o->beside && str_ends(str_c(entry->d_name), STR(".new"))) {
            unlinkat(x->dir, entry->d_name, 0);
        }
    }
    closedir(dir);
    return OK;
}

/* A lane whose cursor is gone sends everything that is there, and its ledger starts with that. */
static void start_counts_again(struct lane_found *f)
{
    uint64_t first = 0;
    for (size_t i = 0; i < f->n_segments && !first; i++)
        first = f->segments[i].requests_left ? f->segments[i].first_seq : 0;
    if (!first && f->open.first)
        first = f->open.first->header.seq;
    if (!first)
        first = f->next_seq;
    f->cursor = (struct cursor_slot){.head = first};
    f->totals.read = f->samples_waiting;
    f->totals.drops = (struct commit_drops){{0}};
}

static void balance(struct lane_found *f)
{
    uint64_t sum = f->cursor.delivered + f->samples_waiting;
    for (int i = 0; i < DROP_REASONS; i++)
        sum += f->cursor.dropped[i];
    for (int i = 0; i < DROPS_AT_COMMIT; i++)
        sum += f->totals.drops.n[i];
    if (f->totals.read < sum) {
        f->surplus = sum - f->totals.read;
        f->totals.read = sum;
        return;
    }
    uint64_t missing = f->totals.read - sum;
    if (f->damaged)
        f->corrupt = missing;
    else
        f->crash = missing;
    f->cursor.dropped[f->damaged ? DROP_CORRUPT : DROP_CRASH] += missing;
}

static void find_next_seq(struct lane_found *f)
{
    uint64_t next = f->cursor.head;
    if (f->last_on_disk >= next)
        next = f->last_on_disk + 1;
    if (f->cursor.gone_to >= next)
        next = f->cursor.gone_to + 1;
    f->next_seq = next;
}

enum err lane_find(struct lane_found *f, const struct found_options *o, int dir, struct diag *d)
{
    *f = (struct lane_found){.exists = true, .next_segment = 1};
    struct finder x = {f, o, dir, d};
    struct listing files = {0};
    struct open_found open[OPEN_FILES_MAX];
    for (int i = 0; i < OPEN_FILES_MAX; i++)
        open[i].fd = -1;
    enum err e = list_files(&x, &files);
    if (!e)
        e = find_cursor(&x);
    for (int i = 0; i < OPEN_FILES_MAX && !e; i++)
        e = files.open_files & 1u << i ? find_open(&x, i, &open[i]) : OK;
    for (int i = 0; i < OPEN_FILES_MAX && !e; i++)
        if (open[i].fd >= 0)
            take_totals(&f->totals, &open[i].slot);
    if (f->totals.commit == 0) {
        f->totals.read = f->cursor.read;
        f->totals.drops = f->cursor.drops;
    }
    if (!e)
        e = find_segments(&x, files.numbers, files.n);
    if (!e) {
        find_next_seq(f);
        for (int i = 0; i < OPEN_FILES_MAX; i++)
            recover_open(&x, &open[i]);
        if (f->cursor_lost && (f->n_segments || f->open_files))
            start_counts_again(f);
        else
            f->cursor_lost = false;
        balance(f);
    }
    for (int i = 0; i < OPEN_FILES_MAX; i++)
        if (open[i].fd >= 0)
            close(open[i].fd);
    free(files.numbers);
    if (e)
        lane_found_release(f);
    return e;
}

void lane_found_release(struct lane_found *f)
{
    while (f->open.first) {
        struct request *r = f->open.first;
        request_list_remove(&f->open, r);
        request_free(r);
    }
    free(f->segments);
    *f = (struct lane_found){0};
}
