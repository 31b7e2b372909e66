/* segment: segment files, read and written. format.c draws the bytes.
 *
 * Reading goes through a window of 16 KiB, so that many small records cost one system call, and the bodies of large
 * ones none. A header that is not sound starts a search: byte by byte for the magic, each hit verified by the
 * header's checksum; what was passed over is told to the caller, who knows how many samples should have been there.
 *
 *     record | record | ???????????? | record        damaged = 1, skipped = bytes of ????
 *
 * A record whose header says that it reaches beyond the end is treated as unsound: it is what a killed process left
 * of an append (or a length that was hit), and a search from there finds what may follow.
 *
 * Writing is by pwrite at an offset that is remembered, never by the file's position: a write that failed half way is
 * simply written over by the next attempt, and a reader never looks beyond what was completed.
 *
 * Everything here blocks: on the I/O thread, or on the control thread at start.
 */
#include "spool/segment_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"

enum { WINDOW = 16 << 10, SEARCH_WINDOW = 256 << 10 };

void segment_name(uint64_t number, char out[SEGMENT_NAME_SIZE])
{
    snprintf(out, SEGMENT_NAME_SIZE, "%08llu", (unsigned long long)number);
}

bool segment_parse_name(const char *name, uint64_t *out)
{
    size_t n = strlen(name);
    if (n < 8 || strspn(name, "0123456789") != n || num_parse_u64(str_from(name, n), out) != OK)
        return false;
    char same[SEGMENT_NAME_SIZE];
    segment_name(*out, same);
    return strcmp(name, same) == 0 && *out != 0;
}

enum err disk_read(struct disk *d, int fd, void *p, size_t n, uint64_t at, int *error)
{
    char *to = p;
    while (n) {
        ssize_t got = pread(fd, to, n, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            *error = got < 0 ? errno : ENODATA;
            return ERR_IO;
        }
        atomic_fetch_add_explicit(&d->bytes_read, (uint64_t)got, memory_order_relaxed);
        to += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return OK;
}

enum err disk_write(struct disk *d, int fd, const void *p, size_t n, uint64_t at, int *error)
{
    const char *from = p;
    while (n) {
        ssize_t (*other)(int, const void *, size_t, off_t) = d->pwrite;
        ssize_t put = other ? other(fd, from, n, (off_t)at) : pwrite(fd, from, n, (off_t)at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            *error = put < 0 ? errno : EIO;
            return ERR_IO;
        }
        from += put;
        at += (uint64_t)put;
        n -= (size_t)put;
    }
    return OK;
}

/* ---- reading ---- */

void segment_walk_init(struct segment_walk *w, struct disk *disk, int fd, uint64_t at, uint64_t end)
{
    *w = (struct segment_walk){.disk = disk, .fd = fd, .at = at, .end = end};
}

void segment_walk_release(struct segment_walk *w)
{
    buf_release(&w->window);
}

/* The bytes from `at` on: at least `least` of them unless the end is nearer. Reads `size` when they are not at hand. */
static enum err window_at(struct segment_walk *w, uint64_t at, size_t least, size_t size, struct str *out)
{
    uint64_t left = w->end - at;
    if (least > left)
        least = (size_t)left;
    if (at < w->window_at || at + least > w->window_at + w->window.n) {
        size_t n = size < left ? size : (size_t)left;
        buf_clear(&w->window);
        buf_reserve(&w->window, n);
        enum err e = disk_read(w->disk, w->fd, w->window.p, n, at, &w->error);
        if (e)
            return e;
        w->window.n = n;
        w->window_at = at;
    }
    size_t skip = (size_t)(at - w->window_at);
    *out = str_from(w->window.p + skip, w->window.n - skip);
    return OK;
}

/* Moves w->at to the next sound header after `from`, or to the end. */
static enum err search(struct segment_walk *w, uint64_t from)
{
    w->damaged++;
    w->damaged_at = w->at;
    uint64_t began = w->at;
    while (from < w->end) {
        struct str s;
        enum err e = window_at(w, from, sizeof(struct record_header), SEARCH_WINDOW, &s);
        if (e)
            return e;
        size_t hit = record_search(s, 0);
        uint64_t at = from + hit;
        if (hit < s.n && s.n - hit >= sizeof(struct record_header)) {
            w->skipped += at - began;
            w->at = at;
            return OK;
        }
        if (from + s.n >= w->end)
            break;
        /* A header, or its magic, may be cut by the window's end. */
        uint64_t overlap = sizeof(struct record_header) - 1;
        from = hit < s.n ? at : from + s.n - (s.n > overlap ? overlap : 0);
        w->window.n = 0;
    }
    w->skipped += w->end - began;
    w->at = w->end;
    return OK;
}

enum err segment_walk_next(struct segment_walk *w, struct record_header *h, uint64_t *offset)
{
    while (w->at < w->end) {
        struct str s;
        enum err e = window_at(w, w->at, sizeof(*h), WINDOW, &s);
        if (e)
            return e;
        if (record_parse_header(s, h) == OK && record_size(h) <= w->end - w->at) {
            *offset = w->at;
            w->at += record_size(h);
            return OK;
        }
        e = search(w, w->at + 1);
        if (e)
            return e;
    }
    return ERR_EOF;
}

/* ---- writing ---- */

enum err segment_writer_open(struct segment_writer *w, struct disk *disk, int dir, const struct segment_header *h,
                             int *error)
{
    char name[SEGMENT_NAME_SIZE];
    segment_name(h->number, name);
    struct segment_header header = *h;
    segment_header_finish(&header);
    int fd = openat(dir, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0) {
        *error = errno;
        return ERR_IO;
    }
    if (disk_write(disk, fd, &header, sizeof(header), 0, error)) {
        close(fd);
        unlinkat(dir, name, 0);
        return ERR_IO;
    }
    *w = (struct segment_writer){.fd = fd, .opened_ms = clock_mono_ms(), .dirty = true};
    w->footer.number = h->number;
    w->footer.end = sizeof(header);
    return OK;
}

static void footer_add(struct segment_footer *f, const struct record_header *h)
{
    if (f->requests == 0) {
        f->first_seq = h->seq;
        f->oldest_sealed_ms = h->sealed_ms;
    }
    f->last_seq = h->seq;
    f->newest_sealed_ms = h->sealed_ms;
    if (h->samples && (f->first_ms == 0 || h->first_ms < f->first_ms))
        f->first_ms = h->first_ms;
    if (h->last_ms > f->last_ms)
        f->last_ms = h->last_ms;
    f->requests++;
    f->samples += h->samples;
    if (h->group > f->group)
        f->group = h->group;
}

enum err segment_writer_append(struct segment_writer *w, struct disk *disk, struct segment_piece *pieces, size_t n,
                               int *error)
{
    uint64_t at = w->footer.end;
    for (size_t i = 0; i < n; i++) {
        if (disk_write(disk, w->fd, pieces[i].bytes.p, pieces[i].bytes.n, at, error)) {
            /* So that a start finds no whole part of it; if this fails too, a group that was cut is ignored there. */
            if (ftruncate(w->fd, (off_t)w->footer.end) != 0)
                w->dirty = true;
            return ERR_IO;
        }
        pieces[i].at = at;
        at += pieces[i].bytes.n;
    }
    for (size_t i = 0; i < n; i++)
        footer_add(&w->footer, pieces[i].header);
    w->footer.end = at;
    w->dirty = true;
    return OK;
}

void segment_writer_sync(struct segment_writer *w)
{
    if (w->fd < 0 || !w->dirty)
        return;
    /* A failed sync is not repeated: the kernel has dropped the pages or will write them; records are checked on read.
     */
    fdatasync(w->fd);
    w->dirty = false;
    w->synced_ms = clock_mono_ms();
}

void segment_writer_close(struct segment_writer *w, struct disk *disk)
{
    if (w->fd < 0)
        return;
    int error;
    if (w->footer.requests) {
        struct segment_footer f = w->footer;
        segment_footer_finish(&f);
        if (disk_write(disk, w->fd, &f, sizeof(f), f.end, &error) && ftruncate(w->fd, (off_t)f.end) != 0)
            w->dirty = true;
    }
    segment_writer_sync(w);
    close(w->fd);
    w->fd = -1;
}
