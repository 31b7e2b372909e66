/* open_batch_int: the batch being filled, and the cursor: pages that outlive the process. Owned by a lane. */
#ifndef SPOOL_OPEN_BATCH_INT_H
#define SPOOL_OPEN_BATCH_INT_H

#include "spool/format_int.h"
#include "spool/segment_int.h"

/* Running totals of a lane; they travel in every commit. */
struct lane_totals {
    uint64_t commit; /* number of the last commit */
    uint64_t read;
    struct commit_drops drops;
    uint64_t group; /* the last group that is in read */
};

/* Where a lane's pages live. */
struct lane_place {
    int dir;      /* of the lane; -1: nowhere, everything is anonymous memory */
    bool network; /* pages are anonymous, and written to the files by the I/O thread */
    uint32_t lane, protocol;
    uint64_t data_bytes;
    const char *boot_id; /* BOOT_ID_SIZE bytes */
};

struct open_batch {
    uint8_t *base;          /* NULL: not there */
    uint64_t size;          /* of base */
    int file;               /* N of open-N; -1: anonymous */
    int fd;                 /* network file systems: where the pages are written to; else -1 */
    bool busy;              /* sealed, and its request is neither on disk nor done */
    bool unwritten;         /* network file systems: published since the last write */
    uint32_t written_bytes; /* network file systems: of the data, of this batch */
    uint32_t backed;        /* bytes of data that are backed by memory, or asked for */
    struct open_slot slot;  /* what was published, or is next */
};

#define OPEN_NAME_SIZE 24
void open_batch_name(int file, char out[OPEN_NAME_SIZE]);
bool open_batch_parse_name(const char *name, int *file);

/* Makes open-N with these totals in it and maps it; blocking. The file appears whole or not at all. */
enum err open_batch_create(struct open_batch *b, struct disk *disk, const struct lane_place *place, int file,
                           const struct lane_totals *totals, int *error) MUST_USE;
/* Maps open-N as an earlier process left it, with the batch in it, of which the first `samples` are taken; its totals
 * are replaced. False: its size or place does not allow it. */
bool open_batch_attach(struct open_batch *b, const struct lane_place *place, int file, uint32_t samples,
                       const struct lane_totals *totals);
void open_batch_create_anonymous(struct open_batch *b, uint64_t data_bytes);
void open_batch_release(struct open_batch *b); /* unmaps; the file stays */

static inline uint8_t *open_batch_data(const struct open_batch *b)
{
    return b->base + OPEN_DATA_AT;
}
static inline struct spool_border *open_batch_borders(const struct open_batch *b)
{
    return (struct spool_border *)(void *)(b->base + OPEN_BORDERS_AT);
}
static inline uint64_t open_batch_data_bytes(const struct open_batch *b)
{
    return b->size - OPEN_DATA_AT;
}
static inline bool open_batch_empty(const struct open_batch *b)
{
    return b->slot.bytes == 0 && b->slot.samples == 0;
}

void open_batch_begin(struct open_batch *b, uint64_t seq); /* empty again; nothing is published */
/* One more scrape: n bytes at the end of what is there. */
void open_batch_commit(struct open_batch *b, uint32_t n, const struct spool_counts *counts, int64_t now_ms,
                       const struct lane_totals *totals);
/* The totals alone. */
void open_batch_publish(struct open_batch *b, const struct lane_totals *totals);
/* Takes the checksum that a start after power loss trusts. */
void open_batch_check(struct open_batch *b);
/* n bytes beyond what is committed were written to. */
void open_batch_touched(struct open_batch *b, uint32_t n);
/* The next stretch of data to fault in so that `ahead` bytes beyond what is used are backed; NULL: nothing. */
void *open_batch_fault_next(struct open_batch *b, uint32_t ahead, size_t *n);
void open_batch_fault(void *p, size_t n); /* any thread, beside the owner */
/* Gives memory beyond `keep` bytes of data back to the page cache. */
void open_batch_trim(struct open_batch *b, uint32_t keep);

/* ---- cursor ---- */

struct cursor {
    uint8_t *page;
    int fd;         /* network file systems; else -1 */
    bool file;      /* page is the file's */
    bool unwritten; /* network file systems: published since the last write */
    struct cursor_slot now;
};

/* Makes the file `cursor` with now in it (blocking), and moves to it. */
enum err cursor_create(struct cursor *c, struct disk *disk, const struct lane_place *place, int *error) MUST_USE;
void cursor_init_anonymous(struct cursor *c);
void cursor_publish(struct cursor *c);
void cursor_release(struct cursor *c);

#endif
