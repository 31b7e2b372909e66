/* open_batch: pages that outlive the process.
 *
 * What a worker commits must survive `kill -9`, and there may be no system call per scrape. So the batch being
 * filled is a file of fixed size mapped shared: the kernel owns its pages, and a store into one is as durable
 * against the end of the process as a completed write. format.c draws the file. The cursor is one page of the same
 * kind.
 *
 * - The file is allocated (posix_fallocate) before it is mapped: a store into a hole of a full disk would be a
 *   SIGBUS.
 * - It is made as NAME.new, given the lane's totals, and renamed: a start never meets a half-made one, and the totals
 *   are never without a home. When there is no room for a new file, one of the same name that an earlier process left
 *   is taken over in place: it is allocated already, so a start on a full disk is as safe as any.
 * - Memory is what counts against a container. Only touched pages are resident, so the I/O thread touches them a
 *   little ahead of the fill (open_batch_fault_next), and after an unusually large batch the surplus goes back to
 *   the page cache.
 * - The first touch of a page may stall for milliseconds; MADV_POPULATE_WRITE does it off the loop without a store of
 *   ours. Kernels before 5.14 do not have it: there the pages are touched with an atomic "or 0", which leaves what
 *   the owner is writing at the same time alone.
 * - On a network file system a mapping is no such promise (pages travel when the client likes, and a server that
 *   hangs stops the loop in a page fault): pages are anonymous there, and the lane's I/O job writes them to the
 *   same places.
 *
 * A batch of a lane belongs to its worker. open_batch_fault alone runs on the I/O thread beside it.
 */
#include "spool/open_batch_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/num.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum { FAULT_STEP = 64 << 10 };

void open_batch_name(int file, char out[OPEN_NAME_SIZE])
{
    snprintf(out, OPEN_NAME_SIZE, "open-%d", file);
}

bool open_batch_parse_name(const char *name, int *file)
{
    uint64_t n;
    if (strncmp(name, "open-", 5) != 0 || num_parse_u64(str_c(name + 5), &n) != OK || n > 99)
        return false;
    char same[OPEN_NAME_SIZE];
    open_batch_name((int)n, same);
    *file = (int)n;
    return strcmp(name, same) == 0;
}

static uint8_t *map_anonymous(uint64_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

static enum err fail(int *error, int code)
{
    *error = code;
    return ERR_IO;
}

/* A file NAME of this size whose first page is `page`; *base is its mapping, or NULL on a network file system, where
 * *fd stays open instead. */
static enum err make_file(struct disk *disk, const struct lane_place *place, const char *name, const uint8_t *page,
                          uint64_t size, uint8_t **base, int *fd_out, int *error)
{
    char temporary[OPEN_NAME_SIZE + 8];
    snprintf(temporary, sizeof(temporary), "%s.new", name);
    int fd = openat(place->dir, temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return fail(error, errno);
    *base = NULL;
    *fd_out = -1;
    int code = place->network ? 0 : posix_fallocate(fd, 0, (off_t)size);
    if (code) {
        *error = code;
        goto undo;
    }
    if (disk_write(disk, fd, page, PAGE, 0, error))
        goto undo;
    if (!place->network) {
        void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) {
            *error = errno;
            goto undo;
        }
        *base = p;
    }
    if (renameat(place->dir, temporary, place->dir, name) != 0) {
        *error = errno;
        if (*base)
            munmap(*base, size);
        *base = NULL;
        goto undo;
    }
    if (place->network)
        *fd_out = fd;
    else
        close(fd);
    return OK;
undo:
    close(fd);
    unlinkat(place->dir, temporary, 0);
    return ERR_IO;
}

/* The file that is there, if it has the right size: its allocation is all that is wanted. */
static uint8_t *take_over(const struct lane_place *place, const char *name, uint64_t size)
{
    if (place->network)
        return NULL;
    int fd = openat(place->dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return NULL;
    struct stat st;
    void *p = MAP_FAILED;
    /* Not one with holes: a store into them would be a SIGBUS on a full disk. */
    if (fstat(fd, &st) == 0 && (uint64_t)st.st_size == size && (uint64_t)st.st_blocks * 512 >= size)
        p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return p == MAP_FAILED ? NULL : p;
}

/* ---- open batches ---- */

static void slot_set_totals(struct open_slot *s, const struct lane_totals *t)
{
    s->commit = t->commit;
    s->read = t->read;
    s->drops = t->drops;
    s->group = t->group;
}

enum err open_batch_create(struct open_batch *b, struct disk *disk, const struct lane_place *place, int file,
                           const struct lane_totals *totals, int *error)
{
    *b = (struct open_batch){.file = file, .fd = -1};
    b->size = (OPEN_DATA_AT + place->data_bytes + PAGE - 1) / PAGE * PAGE;
    struct open_header h = {.lane = place->lane, .protocol = place->protocol, .data_bytes = b->size - OPEN_DATA_AT};
    memcpy(h.boot_id, place->boot_id, BOOT_ID_SIZE);
    open_header_finish(&h);
    _Alignas(8) uint8_t page[PAGE] = {0};
    memcpy(page, &h, sizeof(h));
    slot_set_totals(&b->slot, totals);
    slots_publish(page, &b->slot, sizeof(b->slot));
    char name[OPEN_NAME_SIZE];
    open_batch_name(file, name);
    enum err e = make_file(disk, place, name, page, b->size, &b->base, &b->fd, error);
    if (e) {
        b->base = take_over(place, name, b->size);
        if (!b->base)
            return e;
        /* Only another boot's header is written over, since that is no single store. */
        if (memcmp(b->base, &h, sizeof(h)) != 0)
            memcpy(b->base, &h, sizeof(h));
        slots_publish(b->base, &b->slot, sizeof(b->slot));
        return OK;
    }
    if (!b->base) {
        b->base = map_anonymous(b->size);
        memcpy(b->base, page, PAGE);
    }
    return OK;
}

bool open_batch_attach(struct open_batch *b, const struct lane_place *place, int file, uint32_t samples,
                       const struct lane_totals *totals)
{
    uint64_t size = (OPEN_DATA_AT + place->data_bytes + PAGE - 1) / PAGE * PAGE;
    char name[OPEN_NAME_SIZE];
    open_batch_name(file, name);
    uint8_t *base = take_over(place, name, size);
    if (!base)
        return false;
    *b = (struct open_batch){.base = base, .size = size, .file = file, .fd = -1};
    struct open_header h;
    struct open_slot *s = &b->slot;
    if (open_parse(base, size, &h, s) || (s->samples != samples && s->checked_samples != samples)) {
        open_batch_release(b);
        return false;
    }
    if (s->samples != samples) { /* from before the machine stopped: as far as the checksum goes */
        s->bytes = s->checked_bytes;
        s->samples = s->checked_samples;
        s->n_borders = s->checked_borders;
    }
    b->backed = s->bytes;
    open_batch_publish(b, totals);
    return true;
}

void open_batch_create_anonymous(struct open_batch *b, uint64_t data_bytes)
{
    *b = (struct open_batch){.file = -1, .fd = -1};
    b->size = (OPEN_DATA_AT + data_bytes + PAGE - 1) / PAGE * PAGE;
    b->base = map_anonymous(b->size);
}

void open_batch_release(struct open_batch *b)
{
    if (b->base)
        munmap(b->base, b->size);
    if (b->fd >= 0)
        close(b->fd);
    *b = (struct open_batch){.file = -1, .fd = -1};
}

void open_batch_begin(struct open_batch *b, uint64_t seq)
{
    struct open_slot old = b->slot;
    b->slot = (struct open_slot){.seq = seq,
                                 .commit = old.commit,
                                 .read = old.read,
                                 .drops = old.drops,
                                 .protocol = old.protocol,
                                 .group = old.group};
    b->written_bytes = 0;
}

void open_batch_commit(struct open_batch *b, uint32_t n, const struct spool_counts *counts, int64_t now_ms,
                       const struct lane_totals *totals)
{
    struct open_slot *s = &b->slot;
    CHECK(s->n_borders < OPEN_BORDERS_MAX && n <= open_batch_data_bytes(b) - s->bytes);
    open_batch_borders(b)[s->n_borders++] =
        (struct spool_border){.offset = s->bytes, .bytes = n, .samples = counts->samples};
    if (s->begun_ms == 0)
        s->begun_ms = now_ms;
    if (counts->samples) {
        if (s->samples == 0 || counts->first_ms < s->first_ms)
            s->first_ms = counts->first_ms;
        if (s->samples == 0 || counts->last_ms > s->last_ms)
            s->last_ms = counts->last_ms;
    }
    s->bytes += n;
    s->samples += counts->samples;
    open_batch_touched(b, 0);
    open_batch_publish(b, totals);
}

void open_batch_publish(struct open_batch *b, const struct lane_totals *totals)
{
    slot_set_totals(&b->slot, totals);
    slots_publish(b->base, &b->slot, sizeof(b->slot));
    b->unwritten = b->fd >= 0;
}

void open_batch_check(struct open_batch *b)
{
    struct open_slot *s = &b->slot;
    if (b->file < 0 || s->checked_bytes == s->bytes)
        return;
    s->checked_hash = hash_bytes(str_from((char *)open_batch_data(b), s->bytes));
    s->checked_bytes = s->bytes;
    s->checked_samples = s->samples;
    s->checked_borders = s->n_borders;
    slots_publish(b->base, s, sizeof(*s));
    b->unwritten = b->fd >= 0;
}

void open_batch_touched(struct open_batch *b, uint32_t n)
{
    if (b->backed < b->slot.bytes + n)
        b->backed = b->slot.bytes + n;
}

void *open_batch_fault_next(struct open_batch *b, uint32_t ahead, size_t *n)
{
    uint64_t want = (uint64_t)b->slot.bytes + ahead;
    if (b->file < 0 || b->fd >= 0 || b->backed >= want)
        return NULL;
    uint64_t from = b->backed / PAGE * PAGE;
    uint64_t to = (want + FAULT_STEP - 1) / FAULT_STEP * FAULT_STEP;
    if (to > open_batch_data_bytes(b))
        to = open_batch_data_bytes(b);
    if (from >= to)
        return NULL;
    b->backed = (uint32_t)to;
    *n = to - from;
    return open_batch_data(b) + from;
}

/* The owner may be storing into the same pages: an "or" of nothing changes nothing, whenever it happens. */
__attribute__((no_sanitize("thread"))) static void touch(volatile uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i += PAGE)
        __atomic_fetch_or(p + i, 0, __ATOMIC_RELAXED);
}

void open_batch_fault(void *p, size_t n)
{
    if (madvise(p, n, MADV_POPULATE_WRITE) != 0)
        touch(p, n);
}

void open_batch_trim(struct open_batch *b, uint32_t keep)
{
    keep = (keep + FAULT_STEP - 1) / FAULT_STEP * FAULT_STEP;
    if (b->backed <= keep || keep >= open_batch_data_bytes(b))
        return;
    uint64_t end = ((uint64_t)b->backed + PAGE - 1) / PAGE * PAGE;
    madvise(open_batch_data(b) + keep, end - keep, MADV_DONTNEED);
    b->backed = keep;
}

/* ---- cursor ---- */

static void cursor_page(const struct cursor *c, const struct lane_place *place, uint8_t page[PAGE])
{
    struct cursor_header h = {.lane = place->lane};
    cursor_header_finish(&h);
    memset(page, 0, PAGE);
    memcpy(page, &h, sizeof(h));
    struct cursor_slot now = c->now;
    slots_publish(page, &now, sizeof(now));
}

static void cursor_drop_page(struct cursor *c)
{
    if (c->page)
        munmap(c->page, PAGE);
    if (c->fd >= 0)
        close(c->fd);
    c->page = NULL;
    c->fd = -1;
}

enum err cursor_create(struct cursor *c, struct disk *disk, const struct lane_place *place, int *error)
{
    _Alignas(8) uint8_t page[PAGE];
    cursor_page(c, place, page);
    uint8_t *base;
    int fd;
    enum err e = make_file(disk, place, "cursor", page, PAGE, &base, &fd, error);
    if (e) {
        base = take_over(place, "cursor", PAGE);
        struct cursor_header h;
        struct cursor_slot old;
        if (!base)
            return e;
        if (cursor_parse(base, &h, &old))
            memcpy(base, page, PAGE);
        else
            slots_publish(base, &c->now, sizeof(c->now));
        fd = -1;
        e = OK;
    }
    if (!base) {
        base = map_anonymous(PAGE);
        memcpy(base, page, PAGE);
    }
    cursor_drop_page(c);
    c->page = base;
    c->fd = fd;
    c->file = true;
    return OK;
}

void cursor_init_anonymous(struct cursor *c)
{
    c->page = map_anonymous(PAGE);
    c->fd = -1;
    c->file = false;
}

void cursor_publish(struct cursor *c)
{
    slots_publish(c->page, &c->now, sizeof(c->now));
    c->unwritten = c->fd >= 0;
}

void cursor_release(struct cursor *c)
{
    cursor_drop_page(c);
}
