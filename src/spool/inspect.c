/* inspect: a spool directory seen from outside, for `leadline spool ls|verify|replay`.
 *
 * The same reading as at a start (found.c), with nothing repaired or removed, so it may run beside the process that
 * owns the directory: files that vanish or grow in between are not damage. `deep` reads every body; the walk also
 * finds what a footer promised and the file does not hold.
 *
 * Going through the waiting requests takes the lock, since a running process would send them as well. Nothing is
 * changed by it: what was replayed elsewhere is still there, and waiting.
 *
 * Blocking, one thread, memory bounded by one record and the totals of the segments.
 */
#include "spool/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/mem.h"
#include "spool/spool_int.h"

struct inspection {
    const char *directory;
    int dir;
    bool beside, deep;
    struct disk disk;
    struct compressor compressor;
    char boot_id[BOOT_ID_SIZE];
    spool_file_fn *fn;
    enum err (*record)(void *ctx, uint32_t lane, const struct spool_request *r);
    void *ctx;
    struct diag *d;
};

static enum err open_inspection(struct inspection *x)
{
    uint32_t protocol;
    enum err e = meta_read(x->directory, &protocol, x->d);
    if (e == ERR_NOT_FOUND)
        return diag_set(x->d, ERR_NOT_FOUND, "%s is no spool: there is no file `meta` in it", x->directory);
    if (e)
        return e;
    x->dir = open(x->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (x->dir < 0)
        return diag_errno(x->d, ERR_IO, errno, "open %s", x->directory);
    read_boot_id(x->boot_id);
    return OK;
}

static void close_inspection(struct inspection *x)
{
    if (x->dir >= 0)
        close(x->dir);
    compressor_release(&x->compressor);
}

/* Is a process using it? Then what changes under our eyes is no damage. */
static bool in_use(int dir)
{
    int fd = openat(dir, "lock", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool used = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return used;
}

/* ---- one segment ---- */

struct segment_scan {
    const struct lane_found *found;
    uint32_t lane;
    uint64_t requests, waiting, last_seq;
    uint32_t corrupt;
    struct str note;
};

static enum err hand_out(struct inspection *x, struct segment_scan *s, const struct record_header *h, struct buf *image)
{
    struct request *r = request_from_image(h, image);
    r->view.maybe_sent = h->seq == s->found->cursor.inflight;
    enum err e = x->record(x->ctx, s->lane, &r->view);
    request_free(r);
    return e;
}

static enum err scan_record(struct inspection *x, struct segment_scan *s, int fd, const struct record_header *h,
                            uint64_t at)
{
    AUTO_BUF image = {0};
    buf_reserve(&image, record_size(h));
    int error;
    image.n = record_size(h);
    if (disk_read(&x->disk, fd, image.p, image.n, at, &error) || record_check_body(h, buf_view(&image))) {
        s->corrupt++;
        s->note = STR("records that fail their checksum");
        return OK;
    }
    s->requests++;
    /* Out of order: a start passes over it. */
    bool waits = cursor_waits(&s->found->cursor, h->seq) && h->seq > s->last_seq;
    if (!waits)
        return OK;
    s->last_seq = h->seq;
    s->waiting++;
    return x->record ? hand_out(x, s, h, &image) : OK;
}

static enum err scan_segment(struct inspection *x, struct segment_scan *s, int lane_dir, const struct segment_info *g)
{
    char name[SEGMENT_NAME_SIZE];
    segment_name(g->number, name);
    int fd = openat(lane_dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && x->beside)
        return OK;
    if (fd < 0) {
        s->corrupt++;
        s->note = STR("cannot be opened");
        return OK;
    }
    struct segment_walk w;
    segment_walk_init(&w, &x->disk, fd, sizeof(struct segment_header), g->end);
    struct record_header h;
    uint64_t at;
    enum err e, stop = OK;
    while (!stop && (e = segment_walk_next(&w, &h, &at)) == OK)
        stop = scan_record(x, s, fd, &h, at);
    if (w.damaged) {
        s->corrupt += w.damaged;
        s->note = STR("damaged: records cannot be found where they should be");
    } else if (!stop && e == ERR_IO) {
        s->corrupt++;
        s->note = STR("cannot be read");
    } else if (!stop && !s->corrupt && s->requests < g->requests) {
        s->corrupt += (uint32_t)(g->requests - s->requests);
        s->note = STR("fewer requests than the footer says");
    }
    segment_walk_release(&w);
    close(fd);
    return stop;
}

static enum err show_segment(struct inspection *x, const struct lane_found *f, uint32_t lane, int lane_dir,
                             const struct segment_info *g, uint64_t *last_seq)
{
    struct segment_scan s = {.found = f, .lane = lane, .last_seq = *last_seq};
    if (x->deep || x->record) {
        enum err e = scan_segment(x, &s, lane_dir, g);
        if (e)
            return e;
        *last_seq = s.last_seq;
    }
    if (!s.corrupt && !g->footer)
        s.note = x->beside ? STR("being written") : STR("no footer: the process that wrote it was killed");
    struct spool_file_info info = {.lane = lane,
                                   .segment = g->number,
                                   .bytes = g->file_bytes,
                                   .requests = g->requests,
                                   .samples = g->samples,
                                   .waiting_requests = g->requests_left,
                                   .waiting_samples = g->samples_left,
                                   .first_ms = g->first_ms,
                                   .last_ms = g->last_ms,
                                   .corrupt = s.corrupt,
                                   .note = s.note};
    if (x->fn)
        x->fn(x->ctx, &info);
    return OK;
}

/* ---- a lane ---- */

static enum err show_open(struct inspection *x, const struct lane_found *f, uint32_t lane)
{
    for (const struct request *r = f->open.first; r; r = r->next) {
        struct spool_file_info info = {.lane = lane,
                                       .segment = UINT64_MAX,
                                       .bytes = f->open_bytes[r->open_file],
                                       .requests = 1,
                                       .samples = r->view.samples,
                                       .waiting_requests = 1,
                                       .waiting_samples = r->view.samples,
                                       .first_ms = r->view.first_ms,
                                       .last_ms = r->view.last_ms,
                                       .note = STR("open batch")};
        if (x->fn)
            x->fn(x->ctx, &info);
        struct spool_request view = r->view;
        view.maybe_sent = view.seq == f->cursor.inflight;
        enum err e = x->record ? x->record(x->ctx, lane, &view) : OK;
        if (e)
            return e;
    }
    return OK;
}

/* Damage that is not in a segment is shown as a line of the open batch. */
static void show_notes(struct inspection *x, const struct lane_found *f, uint32_t lane)
{
    for (uint32_t i = 0; x->fn && i < f->n_notes && i < COUNT_OF(f->notes); i++) {
        AUTO_BUF text = {0};
        buf_printf(&text, "%s: %s", f->notes[i].file, f->notes[i].text);
        struct spool_file_info info = {.lane = lane, .segment = UINT64_MAX, .corrupt = 1, .note = buf_view(&text)};
        x->fn(x->ctx, &info);
    }
}

static enum err show_lane(struct inspection *x, uint32_t lane, struct spool_ledger *ledger)
{
    char name[LANE_NAME_SIZE];
    lane_name(lane, name);
    int dir = openat(x->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return errno == ENOENT ? OK : diag_errno(x->d, ERR_IO, errno, "open %s/%s", x->directory, name);
    struct found_options o = {.disk = &x->disk,
                              .lane = lane,
                              .boot_id = x->boot_id,
                              .compression = COMPRESS_SNAPPY,
                              .compressor = &x->compressor,
                              .beside = true};
    struct lane_found f;
    struct diag local = {0};
    enum err e = lane_find(&f, &o, dir, &local);
    if (e) {
        close(dir);
        return diag_set(x->d, e, "spool %s: %s", x->directory, local.text);
    }
    struct spool_ledger l;
    ledger_of_found(&f, &l);
    if (ledger)
        ledger_add(ledger, &l);
    show_notes(x, &f, lane);
    uint64_t last_seq = 0;
    for (size_t i = 0; i < f.n_segments && !e; i++)
        e = show_segment(x, &f, lane, dir, &f.segments[i], &last_seq);
    if (!e)
        e = show_open(x, &f, lane);
    lane_found_release(&f);
    close(dir);
    return e;
}

enum err spool_inspect_protocol(const char *directory, uint32_t *protocol, struct diag *d)
{
    enum err e = meta_read(directory, protocol, d);
    return e == ERR_NOT_FOUND ? diag_set(d, e, "%s is no spool: there is no file `meta` in it", directory) : e;
}

enum err spool_inspect(const char *directory, bool deep, spool_file_fn *fn, void *ctx, struct spool_ledger *ledger,
                       struct diag *d)
{
    struct inspection x = {.directory = directory, .dir = -1, .deep = deep, .fn = fn, .ctx = ctx, .d = d};
    if (ledger)
        *ledger = (struct spool_ledger){0};
    enum err e = open_inspection(&x);
    if (!e)
        x.beside = in_use(x.dir);
    for (uint32_t i = 0; i < SPOOL_LANES && !e; i++)
        e = show_lane(&x, i, ledger);
    close_inspection(&x);
    return e;
}

enum err spool_inspect_requests(const char *directory,
                                enum err (*fn)(void *ctx, uint32_t lane, const struct spool_request *r), void *ctx,
                                struct diag *d)
{
    struct inspection x = {.directory = directory, .dir = -1, .record = fn, .ctx = ctx, .d = d};
    int lock = -1;
    enum err e = open_inspection(&x);
    if (!e)
        e = lock_take(directory, x.dir, &lock, d);
    for (uint32_t i = 0; i < SPOOL_LANES && !e; i++)
        e = show_lane(&x, i, NULL);
    if (lock >= 0)
        close(lock);
    close_inspection(&x);
    return e;
}
