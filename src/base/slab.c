/* slab: blocks behind 32-bit handles, in pages that can be emptied.
 *
 *   handle = page number * 8192 + offset / 8        page 0 is never used: no handle is SLAB_NONE
 *
 *   page  | live | freed | live | live | not handed out yet |
 *           <------------- used ------------>
 *
 * Allocation bumps `used` of the page being filled; freeing only lowers `live`. A page whose live bytes reach 0 goes
 * back to the system at once (the one being filled starts over). What churn leaves behind is pages with a few
 * survivors, and those are what settling is for:
 *
 *   slab_settle_begin   marks pages of which a quarter or more is freed as sparse, and turns filling away from them
 *   slab_settle         for each live handle the owner has: a block in a sparse page is copied to the filling page
 *   slab_settle_end     takes the marks away; every sparse page whose blocks were all settled is gone by then
 *
 * Since slab_wants_settle asks for a quarter of all bytes, there is always a page that qualifies: a settle makes
 * progress. Space at the end of a page into which the next block did not fit is not "freed": settling could not win it
 * back.
 *
 * Pages are mapped, not malloc'd, so that giving one back really shrinks the process; under AddressSanitizer they are
 * malloc'd and freed blocks poisoned. Free page numbers form a list through `used`. One thread.
 */
#include "base/slab.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/poison_int.h"

enum {
    UNIT = SLAB_UNIT,
    UNITS_A_PAGE = SLAB_UNITS_A_PAGE,
    PAGE = UNIT * UNITS_A_PAGE, /* 64 KiB */
    LARGEST_SHARED = 16 * 1024,
    LEAST_WORTH_SETTLING = 256 * 1024,
    SYSTEM_PAGE = 4096,
};

static uint32_t round_up(size_t n, size_t to)
{
    CHECK(n <= 1U << 30);
    return (uint32_t)((n + to - 1) / to * to);
}

static uint32_t block_size(size_t n)
{
    return n ? round_up(n, UNIT) : UNIT;
}

static char *map_bytes_of_page(uint32_t size)
{
    if (HAVE_ASAN)
        return mem_alloc(size);
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(p != MAP_FAILED);
    return p;
}

static void unmap_page(struct slab_page *p)
{
    if (HAVE_ASAN)
        free(p->bytes);
    else if (munmap(p->bytes, p->size) != 0)
        madvise(p->bytes, p->size, MADV_DONTNEED); /* too many mappings to split one: at least the memory goes */
    p->bytes = NULL;
}

static uint32_t open_page(struct slab *s, uint32_t size, bool big)
{
    uint32_t number = s->free_page;
    if (number) {
        s->free_page = s->pages[number].used;
    } else {
        size_t first = s->n_pages ? s->n_pages : 1;
        CHECK(first < UINT32_MAX / UNITS_A_PAGE);
        s->pages = mem_grow(s->pages, &s->cap_pages, first + 1, sizeof(*s->pages));
        if (first == 1)
            s->pages[0] = (struct slab_page){0};
        s->n_pages = first + 1;
        number = (uint32_t)first;
    }
    s->pages[number] = (struct slab_page){.bytes = map_bytes_of_page(size), .size = size, .big = big};
    s->bytes += size;
    POISON(s->pages[number].bytes, size);
    return number;
}

static void close_page(struct slab *s, uint32_t number)
{
    struct slab_page *p = &s->pages[number];
    s->bytes -= p->size;
    s->used -= p->used;
    unmap_page(p);
    *p = (struct slab_page){.used = s->free_page};
    s->free_page = number;
}

static uint32_t page_for(struct slab *s, uint32_t size)
{
    if (size > LARGEST_SHARED)
        return open_page(s, round_up(size, SYSTEM_PAGE), true);
    if (s->fill && s->pages[s->fill].size - s->pages[s->fill].used >= size)
        return s->fill;
    s->fill = open_page(s, PAGE, false);
    return s->fill;
}

uint32_t slab_alloc(struct slab *s, size_t n, void **out)
{
    uint32_t size = block_size(n);
    uint32_t number = page_for(s, size);
    struct slab_page *p = &s->pages[number];
    uint32_t at = p->used;
    p->used += size;
    p->live += size;
    s->used += size;
    s->live += size;
    *out = p->bytes + at;
    UNPOISON(p->bytes + at, n);
    return number * UNITS_A_PAGE + at / UNIT;
}

static struct slab_page *page_of(const struct slab *s, uint32_t handle)
{
    uint32_t number = handle / UNITS_A_PAGE;
    CHECK(number && number < s->n_pages && s->pages[number].bytes);
    return &s->pages[number];
}

void slab_free(struct slab *s, uint32_t handle, size_t n)
{
    if (handle == SLAB_NONE)
        return;
    struct slab_page *p = page_of(s, handle);
    uint32_t size = block_size(n);
    CHECK(size <= p->live);
    p->live -= size;
    s->live -= size;
    POISON(slab_get(s, handle), size);
    if (p->live)
        return;
    if (s->fill != handle / UNITS_A_PAGE) {
        close_page(s, handle / UNITS_A_PAGE);
        return;
    }
    s->used -= p->used; /* the page being filled starts over: one block that comes and goes maps nothing */
    p->used = 0;
}

bool slab_wants_settle(const struct slab *s)
{
    return s->bytes >= LEAST_WORTH_SETTLING && s->used - s->live >= s->bytes / 4;
}

void slab_settle_begin(struct slab *s)
{
    for (size_t i = 1; i < s->n_pages; i++) {
        struct slab_page *p = &s->pages[i];
        p->sparse = p->bytes && !p->big && p->used - p->live >= p->used / 4 && p->live < p->used;
        if (p->sparse && s->fill == i)
            s->fill = 0;
    }
}

uint32_t slab_settle(struct slab *s, uint32_t handle, size_t n)
{
    if (handle == SLAB_NONE || !page_of(s, handle)->sparse)
        return handle;
    void *to;
    uint32_t moved = slab_alloc(s, n, &to);
    if (n)
        memcpy(to, slab_get(s, handle), n);
    slab_free(s, handle, n);
    return moved;
}

void slab_settle_end(struct slab *s)
{
    for (size_t i = 1; i < s->n_pages; i++)
        s->pages[i].sparse = false;
}

void slab_release(struct slab *s)
{
    for (size_t i = 1; i < s->n_pages; i++) {
        if (s->pages[i].bytes)
            unmap_page(&s->pages[i]);
    }
    free(s->pages);
    *s = (struct slab){0};
}
