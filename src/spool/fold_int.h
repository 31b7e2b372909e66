/* fold_int: the pages of the fold state, as fold_file.c keeps them and fold_state.c fills them; fold_state.c draws
 * them. Everything here is laid out as in the file and little-endian.
 */
#ifndef SPOOL_FOLD_INT_H
#define SPOOL_FOLD_INT_H

#include "base/hash.h"
#include "base/map.h"
#include "spool/fold_state.h"
#include "spool/format_int.h"
#include "spool/spool_int.h"

enum {
    FOLD_VERSION = 1,
    FOLD_PAGE_SERIES = 72,
    FOLD_FIRST_PAGES = 16,   /* of a new state: 64 KiB, of which untouched pages cost nothing but room on the disk */
    FOLD_CHUNK_PAGES = 256,  /* it grows by so many */
    FOLD_PAGES_MAX = 65536,  /* 256 MiB: 4.7 million series */
    FOLD_PAGE_MARK = 0x6c46, /* lower half of a used page's mark */
};
#define FOLD_MAGIC 0x313065746174736cULL /* "lstate01" */

/* A value as of one commit. `from` is stored last and cleared first: a version whose from is 0 is not there, so one
 * that a kill interrupts is never taken for another. */
struct fold_version {
    uint64_t value; /* the bits of a double */
    uint64_t time;  /* ts_ms << 16 | lower half of the check */
    uint64_t from;  /* the lane's read count << 16 | upper half */
};

struct fold_entry {
    uint64_t id; /* 0: none */
    struct fold_version version[2];
};

struct fold_touch {
    uint64_t time, from;
};

struct fold_page {
    uint64_t mark; /* FOLD_PAGE_MARK and the check of key and lane << 32; 0: the page is free. Stored last */
    uint64_t key;
    uint32_t lane;
    uint32_t number; /* where in the file; 0: only in memory. Ours alone, set anew at each start */
    int64_t keep_until_ms;
    struct fold_touch touch[2]; /* of the block, in its first page */
    struct fold_entry series[FOLD_PAGE_SERIES];
};
_Static_assert(sizeof(struct fold_page) == PAGE && sizeof(struct fold_entry) == 56, "on disk");

struct fold_header {
    uint64_t magic;
    uint32_t crc; /* of what follows it */
    uint32_t version;
    char boot_id[BOOT_ID_SIZE]; /* of the boot that the pages are from */
};
_Static_assert(sizeof(struct fold_header) == 56, "on disk");

/* The header page's slot (format.c). */
struct fold_slot {
    uint32_t crc;
    uint32_t whole;              /* the pages are as of these counts, all of them */
    uint64_t reads[SPOOL_LANES]; /* then */
};
_Static_assert(sizeof(struct fold_slot) <= SLOT_STRIDE, "on disk");

struct fold_chunk {
    uint8_t *base;
    uint32_t first, pages; /* numbers over all chunks; those of the file are where they lie in it */
    bool file;
};

struct fold_mirrored {
    const struct fold_page *page;
    uint32_t number; /* the page's own may change meanwhile */
};

struct fold_mirror {
    struct io_job io;
    struct fold_state *f; /* NULL: closed meanwhile */
    int fd;
    struct disk *disk;
    struct fold_mirrored *pages;
    size_t n, cap;
    _Alignas(8) uint8_t header[PAGE]; /* as of the counts when it was gathered */
    int error;
};

struct fold_state {
    struct spool *s;
    struct loop *loop;
    int fd;       /* -1: in memory only */
    bool network; /* pages are anonymous, and written to the file by the I/O thread */
    struct fold_chunk *chunks;
    size_t n_chunks, cap_chunks;
    uint32_t n_pages, file_pages; /* of all chunks; of the file, which come first */
    uint32_t *free;               /* numbers; the last one is taken next */
    size_t n_free, cap_free;
    uint64_t held_bytes; /* of the budget */
    uint32_t damaged;    /* pages and series that a start left out */
    int error;           /* errno of why there is no file; 0: it is there */

    uint8_t *dirty; /* network only, by number */
    size_t cap_dirty;
    bool any_dirty;
    struct fold_mirror *mirror; /* while it is with the I/O thread */
    struct timer mirror_timer;

    struct fold_block **blocks;
    size_t n_blocks, cap_blocks;
    struct map by_key;
    struct timer sweep_timer;
};

/* fold_file.c: where pages come from. */
/* Decides which versions hold; what cannot be kept is only in memory. True: there are pages from before. */
bool fold_file_open(struct fold_state *f);
/* Memory that only looking at the pages took. */
void fold_file_rest(struct fold_state *f);
void fold_file_free(struct fold_state *f, uint32_t number); /* it may be taken */
void fold_file_close(struct fold_state *f);
struct fold_page *fold_page_at(const struct fold_state *f, uint32_t number);
/* NULL: the limit is reached. *number: among all pages, for fold_page_free. */
struct fold_page *fold_page_new(struct fold_state *f, uint64_t key, uint32_t lane, uint32_t *number);
void fold_page_free(struct fold_state *f, struct fold_page *p, uint32_t number);
void fold_page_relabel(struct fold_page *p, uint32_t lane); /* its versions were cleared */
void fold_mirror_soon(struct fold_state *f);
static inline void fold_page_written(struct fold_state *f, const struct fold_page *p)
{
    if (!f->network || !p->number)
        return;
    f->dirty[p->number] = 1;
    if (!f->any_dirty)
        fold_mirror_soon(f);
}

/* ---- versions ---- */

static inline uint32_t fold_check(uint64_t id, uint64_t value, uint64_t ts, uint64_t from)
{
    const uint64_t all[4] = {id, value, ts, from};
    return hash_crc32c(str_from((const char *)all, sizeof(all)), 0);
}
static inline bool fold_time_fits(int64_t ts_ms)
{
    return (int64_t)((uint64_t)ts_ms << 16) >> 16 == ts_ms;
}
static inline int64_t fold_version_ms(uint64_t time)
{
    return (int64_t)time >> 16;
}
static inline uint64_t fold_version_from(uint64_t from)
{
    return from >> 16;
}
/* Which of the two is newer; 0 when neither is there. */
static inline int fold_newest(uint64_t from0, uint64_t from1)
{
    return fold_version_from(from1) > fold_version_from(from0);
}
/* Stores stay in the order of the program. That is enough against a kill, after which every store that was made is in
 * the page and none that was not; other threads read pages only for what their checks then refuse. */
static inline void fold_order(void)
{
    atomic_signal_fence(memory_order_seq_cst);
}
static inline void fold_clear_word(uint64_t *from)
{
    __atomic_store_n(from, 0, __ATOMIC_RELAXED);
    fold_order();
}
static inline uint64_t fold_time_word(int64_t ts_ms, uint32_t check)
{
    return (uint64_t)ts_ms << 16 | (check & 0xffff);
}
static inline uint64_t fold_from_word(uint64_t from, uint32_t check)
{
    return from << 16 | check >> 16;
}
static inline bool fold_intact(uint64_t id, uint64_t value, uint64_t time, uint64_t from)
{
    uint32_t check = (uint32_t)(time & 0xffff) | (uint32_t)(from & 0xffff) << 16;
    return check == fold_check(id, value, (uint64_t)fold_version_ms(time), fold_version_from(from));
}

#endif
