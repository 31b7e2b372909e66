/* fold_file: the pages of the fold state, and what a start makes of them.
 *
 *   state   | header page | page | page | ...       a page: used by one block, or free (fold_state.c draws it)
 *
 * On a local disk the file is mapped shared, allocated before it is mapped, and grown by chunks that are mapped one by
 * one, so that pages never move. When a chunk cannot be allocated, its pages are anonymous: the program goes on, and
 * what they hold begins anew after a restart.
 *
 * Which versions hold, at a start:
 *
 *   killed, same boot    The kernel kept every store up to the kill, of these pages as of the lanes' own. A version
 *                        holds when its commit is in the spool: its count is not above what the lane recovered as read.
 *                        Those above are cleared at once, before the lane counts on and reaches them.
 *   another boot         Pages of different ages may have met, and one that is merely old cannot be told from one that
 *                        is right: a value that is too old would tell an increment twice. So the pages count only if
 *                        the header says `whole`, with the very counts that the lane recovered: everything up to then
 *                        was synced together, as a stop in good order does. A page that was written later still obeys
 *                        the rule above. (A lane whose counts differ begins anew.)
 *   network file system  Likewise, whatever the boot.
 *
 * A version's check covers its series' id, so whatever was flipped, cut off or moved is left out. A check that fails
 * takes both versions of its series: the other one is older than what was told.
 *
 * On a network file system a job of the I/O thread writes, at most once a second: the header as not whole, the pages
 * that changed, the header as whole with the counts of the moment when the job was made. The owner may be storing into
 * these pages meanwhile: what it stores is of a later commit, and so above the counts; a version torn by that fails its
 * check.
 *
 * Blocking calls: at the open and the close, and for growth (one fallocate per 18 thousand series). One thread, but for
 * the mirror's job.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "spool/fold_int.h"

enum { MIRROR_MS = 1000 };

/* ---- header ---- */

static uint32_t header_crc(const struct fold_header *h)
{
    return hash_crc32c(str_from((const char *)&h->version, sizeof(*h) - offsetof(struct fold_header, version)), 0);
}

static void header_write(const struct fold_state *f, uint8_t *page)
{
    struct fold_header h = {.magic = FOLD_MAGIC, .version = FOLD_VERSION};
    memcpy(h.boot_id, f->s->boot_id, BOOT_ID_SIZE);
    h.crc = header_crc(&h);
    if (memcmp(page, &h, sizeof(h)) != 0)
        memcpy(page, &h, sizeof(h));
}

static void slot_write(struct fold_state *f, uint8_t *page, bool whole)
{
    struct fold_slot slot = {.whole = whole};
    for (uint32_t i = 0; i < SPOOL_LANES && whole; i++) {
        struct spool_ledger l;
        spool_ledger_lane(f->s, i, &l);
        slot.reads[i] = l.read;
    }
    slots_publish(page, &slot, sizeof(slot));
}

/* Up to which count the versions of each lane hold; 0: none. False: this is no state of ours. */
static bool decide(const struct fold_state *f, const uint8_t *page, uint64_t limits[SPOOL_LANES])
{
    struct fold_header h;
    struct fold_slot slot;
    memcpy(&h, page, sizeof(h));
    if (h.magic != FOLD_MAGIC || h.crc != header_crc(&h) || h.version != FOLD_VERSION ||
        slots_read(page, &slot, sizeof(slot)))
        return false;
    bool same_boot = memcmp(h.boot_id, f->s->boot_id, BOOT_ID_SIZE) == 0 && !f->network;
    for (uint32_t i = 0; i < SPOOL_LANES; i++) {
        struct spool_ledger l;
        const struct lane_found *found = f->s->lanes[i].found;
        spool_ledger_lane(f->s, i, &l);
        bool matches = same_boot || (slot.whole && slot.reads[i] == l.read);
        /* Counts that were put together from what was left say nothing about commits. */
        bool counted = !found || (!found->cursor_lost && !found->surplus);
        limits[i] = matches && counted ? l.read : 0;
    }
    return true;
}

/* ---- chunks ---- */

struct fold_page *fold_page_at(const struct fold_state *f, uint32_t number)
{
    size_t i = f->n_chunks;
    while (f->chunks[--i].first > number)
        ;
    return (struct fold_page *)(void *)(f->chunks[i].base + (uint64_t)(number - f->chunks[i].first) * PAGE);
}

static uint8_t *map_file(struct fold_state *f, uint64_t at, uint64_t bytes)
{
    if (f->fd < 0 || f->network)
        return NULL;
    f->error = at && spool_over_file_system(f->s, bytes) ? ENOSPC : posix_fallocate(f->fd, (off_t)at, (off_t)bytes);
    if (f->error)
        return NULL;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, (off_t)at);
    if (p != MAP_FAILED)
        return p;
    f->error = errno;
    return NULL;
}

void fold_file_free(struct fold_state *f, uint32_t number)
{
    f->free = mem_grow(f->free, &f->cap_free, f->n_free + 1, sizeof(*f->free));
    f->free[f->n_free++] = number;
}

static struct fold_chunk *add_chunk(struct fold_state *f, uint32_t pages)
{
    uint64_t bytes = (uint64_t)pages * PAGE;
    /* Numbers are places in the file as long as all of it is there. */
    uint8_t *base = f->file_pages == f->n_pages ? map_file(f, (uint64_t)f->n_pages * PAGE, bytes) : NULL;
    bool file = base || (f->network && f->fd >= 0);
    if (!base) {
        base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(base != MAP_FAILED);
    }
    f->chunks = mem_grow(f->chunks, &f->cap_chunks, f->n_chunks + 1, sizeof(*f->chunks));
    struct fold_chunk *c = &f->chunks[f->n_chunks++];
    *c = (struct fold_chunk){.base = base, .first = f->n_pages, .pages = pages, .file = file};
    f->n_pages += pages;
    if (file) {
        f->file_pages = f->n_pages;
        f->held_bytes += bytes;
        spool_hold_disk(f->s, (int64_t)bytes, true);
    }
    if (f->network) {
        f->dirty = mem_grow(f->dirty, &f->cap_dirty, f->n_pages, 1);
        memset(f->dirty + c->first, 0, pages);
    }
    return c;
}

static bool grow(struct fold_state *f)
{
    if (f->n_pages + FOLD_CHUNK_PAGES > FOLD_PAGES_MAX)
        return false;
    const struct fold_chunk *c = add_chunk(f, FOLD_CHUNK_PAGES);
    for (uint32_t i = c->pages; i-- > 0;)
        fold_file_free(f, c->first + i);
    uint32_t suppressed;
    if (!c->file && f->s->o.mode == SPOOL_DISK && spool_log_allow(f->s, &suppressed))
        log_error(f->s->o.log, "there is no room to keep more counters' last values; theirs begin anew after a restart",
                  F_C("destination", f->s->o.destination), F_C("spool", f->s->o.directory),
                  F_INT("suppressed", suppressed));
    return true;
}

/* ---- pages ---- */

static uint64_t page_mark(const struct fold_page *p)
{
    return (uint64_t)fold_check(p->key, p->lane, FOLD_PAGE_MARK, 0) << 32 | FOLD_PAGE_MARK;
}

static void set_mark(struct fold_page *p, uint64_t mark)
{
    fold_order();
    __atomic_store_n(&p->mark, mark, __ATOMIC_RELAXED);
    fold_order();
}

struct fold_page *fold_page_new(struct fold_state *f, uint64_t key, uint32_t lane, uint32_t *number)
{
    if (f->n_free == 0 && !grow(f))
        return NULL;
    *number = f->free[--f->n_free];
    struct fold_page *p = fold_page_at(f, *number);
    memset(p, 0, sizeof(*p));
    p->key = key;
    p->lane = lane;
    p->number = *number < f->file_pages ? *number : 0;
    set_mark(p, page_mark(p));
    fold_page_written(f, p);
    return p;
}

void fold_page_free(struct fold_state *f, struct fold_page *p, uint32_t number)
{
    set_mark(p, 0);
    fold_page_written(f, p);
    fold_file_free(f, number);
}

void fold_page_relabel(struct fold_page *p, uint32_t lane)
{
    set_mark(p, 0);
    p->lane = lane;
    set_mark(p, page_mark(p));
}

static bool judge_word(struct fold_state *f, uint64_t id, uint64_t value, uint64_t time, uint64_t *from, uint64_t limit)
{
    if (*from == 0)
        return true;
    if (!fold_intact(id, value, time, *from)) {
        f->damaged++;
        return false;
    }
    if (fold_version_from(*from) > limit)
        fold_clear_word(from);
    return true;
}

static void judge_entry(struct fold_state *f, struct fold_entry *e, uint64_t limit)
{
    bool sound = true;
    for (int i = 0; i < 2 && e->id; i++) {
        struct fold_version *v = &e->version[i];
        sound = judge_word(f, e->id, v->value, v->time, &v->from, limit) && sound;
    }
    for (int i = 0; i < 2 && (!sound || !e->id); i++)
        fold_clear_word(&e->version[i].from);
}

static void judge_page(struct fold_state *f, struct fold_page *p, const uint64_t limits[SPOOL_LANES])
{
    if (p->mark == 0)
        return;
    if (p->mark != page_mark(p) || p->lane >= SPOOL_LANES) {
        f->damaged++;
        set_mark(p, 0);
        return;
    }
    bool sound = true;
    for (int i = 0; i < 2; i++)
        sound = judge_word(f, p->key, 0, p->touch[i].time, &p->touch[i].from, limits[p->lane]) && sound;
    for (int i = 0; i < 2 && !sound; i++)
        fold_clear_word(&p->touch[i].from);
    for (int i = 0; i < FOLD_PAGE_SERIES; i++)
        judge_entry(f, &p->series[i], limits[p->lane]);
}

/* What lies free at the end of a large file goes back to the disk. */
static void cut_chunk(struct fold_state *f, struct fold_chunk *c, uint32_t used)
{
    uint32_t wanted = (used + FOLD_CHUNK_PAGES - 1) / FOLD_CHUNK_PAGES * FOLD_CHUNK_PAGES;
    uint64_t surplus = wanted < c->pages ? (uint64_t)(c->pages - wanted) * PAGE : 0;
    if (!surplus || (c->file && ftruncate(f->fd, (off_t)wanted * PAGE) != 0))
        return;
    munmap(c->base + (uint64_t)wanted * PAGE, surplus);
    c->pages = f->n_pages = wanted;
    if (!c->file)
        return;
    f->file_pages = wanted;
    f->held_bytes -= surplus;
    spool_hold_disk(f->s, -(int64_t)surplus, true);
}

static void take_pages(struct fold_state *f, const uint64_t limits[SPOOL_LANES])
{
    struct fold_chunk *c = &f->chunks[0];
    uint32_t used = 1;
    for (uint32_t i = 1; i < c->pages; i++) {
        struct fold_page *p = fold_page_at(f, i);
        judge_page(f, p, limits);
        if (!p->mark)
            continue;
        used = i + 1;
        p->number = c->file ? i : 0;
        fold_page_written(f, p);
    }
    cut_chunk(f, c, used);
}

/* ---- opening ---- */

/* The size that is to be taken over, in pages; 0: begin anew. */
static uint32_t found_pages(struct fold_state *f, uint64_t limits[SPOOL_LANES])
{
    struct stat st;
    _Alignas(8) uint8_t page[PAGE];
    int error;
    if (fstat(f->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(f->fd);
        f->fd = -1;
        f->error = EINVAL;
        return 0;
    }
    if (st.st_size == 0)
        return 0;
    if (st.st_size < PAGE || st.st_size / PAGE > FOLD_PAGES_MAX ||
        disk_read(&f->s->disk, f->fd, page, PAGE, 0, &error) || !decide(f, page, limits)) {
        f->damaged++;
        return 0;
    }
    return (uint32_t)(st.st_size / PAGE);
}

/* What an earlier process left must not be found again by a later one, when this one keeps nothing. */
static void leave_file(struct fold_state *f)
{
    if (ftruncate(f->fd, 0) != 0)
        unlinkat(f->s->dir, "state", 0);
    close(f->fd);
    f->fd = -1;
}

static void map_found(struct fold_state *f, uint32_t pages)
{
    /* A page that was cut in two would be met again when the file has grown. */
    if (f->fd >= 0 && ftruncate(f->fd, (off_t)pages * PAGE) != 0) {
        f->error = errno;
        leave_file(f);
    }
    struct fold_chunk *c = add_chunk(f, pages ? pages : FOLD_FIRST_PAGES);
    if (!c->file && f->fd >= 0)
        leave_file(f);
    if (!c->file || !f->network || !pages)
        return;
    uint64_t bytes = (uint64_t)pages * PAGE;
    int error;
    if (disk_read(&f->s->disk, f->fd, c->base, bytes, 0, &error)) {
        memset(c->base, 0, bytes);
        f->damaged++;
    }
}

static void warn(const struct fold_state *f, const char *what, int error)
{
    log_error(f->s->o.log, what, F_C("destination", f->s->o.destination), F_C("spool", f->s->o.directory),
              F_C("err", error ? strerror(error) : "none"));
}

bool fold_file_open(struct fold_state *f)
{
    uint64_t limits[SPOOL_LANES] = {0};
    f->fd = -1;
    f->network = f->s->network;
    if (f->s->o.mode == SPOOL_DISK)
        f->fd = openat(f->s->dir, "state", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    f->error = f->fd < 0 ? errno : 0;
    uint32_t pages = f->fd >= 0 ? found_pages(f, limits) : 0;
    map_found(f, pages);
    if (f->s->o.mode == SPOOL_DISK && !f->chunks[0].file)
        warn(f, "counters' last values cannot be kept: they begin anew after a restart", f->error);
    if (pages)
        take_pages(f, limits);
    /* The versions that do not hold are gone: from now on the pages are of this boot, and of no counts. */
    header_write(f, f->chunks[0].base);
    slot_write(f, f->chunks[0].base, false);
    if (f->damaged)
        log_error(f->s->o.log, "the state of counters is damaged; what is damaged begins anew",
                  F_C("destination", f->s->o.destination), F_C("spool", f->s->o.directory),
                  F_INT("damaged", f->damaged));
    return pages != 0;
}

void fold_file_rest(struct fold_state *f)
{
    const struct fold_chunk *c = &f->chunks[0];
    if (c->file && !f->network)
        madvise(c->base, (uint64_t)c->pages * PAGE, MADV_DONTNEED);
}

/* ---- network file systems ---- */

static enum err write_page(struct fold_mirror *m, const void *page, uint32_t number)
{
    return disk_write(m->disk, m->fd, page, PAGE, (uint64_t)number * PAGE, &m->error);
}

static void mirror_write(struct fold_mirror *m)
{
    _Alignas(8) uint8_t header[PAGE];
    struct fold_slot none = {.whole = 0};
    memcpy(header, m->header, PAGE);
    slots_publish(header, &none, sizeof(none));
    /* Both slots: one that fails its check makes the other current. */
    slots_publish(header, &none, sizeof(none));
    if (write_page(m, header, 0))
        return;
    for (size_t i = 0; i < m->n; i++)
        if (write_page(m, m->pages[i].page, m->pages[i].number))
            return;
    fdatasync(m->fd);
    if (write_page(m, m->header, 0) == OK)
        fdatasync(m->fd);
}

static void mirror_free(struct fold_mirror *m)
{
    close(m->fd);
    free(m->pages);
    free(m);
}

static void mirror_run(struct io_job *io)
{
    mirror_write(CONTAINER_OF(io, struct fold_mirror, io));
}

static void mirror_done(struct io_job *io)
{
    struct fold_mirror *m = CONTAINER_OF(io, struct fold_mirror, io);
    struct fold_state *f = m->f;
    if (f) {
        f->mirror = NULL;
        if (m->error) {
            uint32_t suppressed;
            if (spool_log_allow(f->s, &suppressed))
                warn(f, "counters' last values cannot be written; it is tried again", m->error);
            for (size_t i = 0; i < m->n; i++)
                f->dirty[m->pages[i].number] = 1;
        }
        if (m->error || f->any_dirty)
            fold_mirror_soon(f);
    }
    mirror_free(m);
}

/* The loop ended first. */
static void mirror_drop(struct message *message)
{
    mirror_free(CONTAINER_OF(CONTAINER_OF(message, struct io_job, message), struct fold_mirror, io));
}

static struct fold_mirror *mirror_gather(struct fold_state *f)
{
    int fd = dup(f->fd);
    if (fd < 0)
        return NULL;
    struct fold_mirror *m = NEW(struct fold_mirror);
    m->f = f;
    m->fd = fd;
    m->disk = &f->s->disk;
    for (uint32_t i = 1; i < f->file_pages; i++) {
        if (!f->dirty[i])
            continue;
        f->dirty[i] = 0;
        m->pages = mem_grow(m->pages, &m->cap, m->n + 1, sizeof(*m->pages));
        m->pages[m->n++] = (struct fold_mirrored){fold_page_at(f, i), i};
    }
    f->any_dirty = false;
    header_write(f, m->header);
    slot_write(f, m->header, true);
    slot_write(f, m->header, true);
    return m;
}

static void on_mirror(struct timer *t)
{
    struct fold_state *f = CONTAINER_OF(t, struct fold_state, mirror_timer);
    if (f->mirror)
        return; /* its end starts the next one */
    struct fold_mirror *m = mirror_gather(f);
    if (!m) {
        timer_start(f->loop, &f->mirror_timer, MIRROR_MS, on_mirror);
        return;
    }
    f->mirror = m;
    m->io = (struct io_job){.message = {.drop = mirror_drop}, .loop = f->loop, .run = mirror_run, .done = mirror_done};
    io_thread_post(f->s->o.io, &m->io);
}

void fold_mirror_soon(struct fold_state *f)
{
    f->any_dirty = true;
    if (!timer_armed(&f->mirror_timer))
        timer_start(f->loop, &f->mirror_timer, MIRROR_MS, on_mirror);
}

/* ---- closing ---- */

static void close_network(struct fold_state *f)
{
    if (f->mirror) { /* a disk that hangs: what it has is not whole, or of an earlier moment */
        f->mirror->f = NULL;
        return;
    }
    struct fold_mirror *m = f->fd >= 0 ? mirror_gather(f) : NULL;
    if (!m)
        return;
    mirror_write(m);
    mirror_free(m);
}

void fold_file_close(struct fold_state *f)
{
    timer_stop(&f->mirror_timer);
    bool left_behind = f->mirror != NULL; /* its job reads our pages */
    if (f->network) {
        close_network(f);
    } else if (f->chunks[0].file) {
        if (fsync(f->fd) == 0) /* the pages first */
            slot_write(f, f->chunks[0].base, true);
        fsync(f->fd);
    }
    for (size_t i = 0; i < f->n_chunks && !left_behind; i++)
        munmap(f->chunks[i].base, (uint64_t)f->chunks[i].pages * PAGE);
    if (f->fd >= 0)
        close(f->fd);
    spool_hold_disk(f->s, -(int64_t)f->held_bytes, true);
    free(f->chunks);
    free(f->free);
    free(f->dirty);
}
