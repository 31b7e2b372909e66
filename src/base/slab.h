/* slab: bytes of very different lives, in pages that can be emptied.
 *
 * Interned metrics and their prepared forms come and go with the targets that expose them. malloc would leave each page
 * pinned by a few survivors; here a block is reached by a 32-bit handle and its owner may be asked to move it:
 *
 *   page (64 KiB) | len bytes | len bytes | ...        live bytes are counted per page
 *
 * After a sweep the owner walks its live handles once through slab_settle, which moves the blocks of sparse pages to
 * dense ones; emptied pages are freed. Blocks larger than 16 KiB have a page of their own.
 * {0} is an empty slab. One thread. Blocks are 8-byte aligned, handles in units of 8 bytes: at most 32 GiB.
 */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLAB_NONE 0u
/* Every handle is at least this: an owner may give smaller numbers a meaning of its own. */
#define SLAB_FIRST ((uint32_t)SLAB_UNITS_A_PAGE)

enum {
    SLAB_UNIT = 8,
    SLAB_UNITS_A_PAGE = 8192,
};

struct slab_page {
    char *bytes; /* NULL: this number is free */
    uint32_t size;
    uint32_t used; /* handed out so far, from the front; of a free number: the next free number */
    uint32_t live; /* of used */
    bool big;      /* one block only */
    bool sparse;   /* being emptied by the settle that is under way */
};

struct slab {
    struct slab_page *pages;
    size_t n_pages, cap_pages;
    uint32_t fill;      /* the page being filled */
    size_t bytes;       /* memory of all pages, for the accounts */
    size_t live;        /* bytes of live blocks, each rounded up to 8 */
    size_t used;        /* bytes of live and of freed blocks: used - live is what a settle can win */
    uint32_t free_page; /* a free number, 0 for none */
};

uint32_t slab_alloc(struct slab *s, size_t n, void **out); /* n at most 1 GiB: checked by the caller */
void slab_free(struct slab *s, uint32_t handle, size_t n);
/* Valid until it is freed or settled. */
static inline void *slab_get(const struct slab *s, uint32_t handle)
{
    return s->pages[handle / SLAB_UNITS_A_PAGE].bytes + (size_t)(handle % SLAB_UNITS_A_PAGE) * SLAB_UNIT;
}
/* True when enough is dead that a settle is worth its walk (a quarter of at least 256 KiB). */
bool slab_wants_settle(const struct slab *s);
void slab_settle_begin(struct slab *s);
/* Gives the block's handle from now on (the same one unless its page is sparse). */
uint32_t slab_settle(struct slab *s, uint32_t handle, size_t n);
void slab_settle_end(struct slab *s);
void slab_release(struct slab *s);

#endif
