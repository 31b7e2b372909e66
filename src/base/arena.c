/* arena: bump allocation for things that end together.
 *
 * A scrape, a request or a configuration makes hundreds of small objects and then needs none of them. They are cut from
 * blocks, one after the other, and given back all at once:
 *
 *   head -> [ header | aaaaa bb cccccc ....free.... ] -> [ header | full ] -> ... -> NULL
 *
 * Blocks start at 4 KiB (or what block_size says) and double up to 256 KiB, so that a small arena stays small and a
 * large one takes few mallocs. Something larger than a quarter of the next block gets a block of its own, hung in
 * behind the head, so that the head's free rest is not lost.
 *
 * A reset keeps the largest ordinary block, empty: an arena that serves the same target again and again settles on one
 * block and then never calls malloc. Everything is 16-byte aligned. Not thread-safe: one owner at a time.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/poison_int.h"
#include "base/str.h"

enum { FIRST_BLOCK = 4096, LAST_BLOCK = 256 * 1024, ALIGN = 16 };

struct arena_block {
    struct arena_block *next;
    size_t size, used; /* of bytes */
    bool own;          /* holds one large object */
    _Alignas(ALIGN) char bytes[];
};

static struct arena_block *new_block(size_t size, bool own)
{
    struct arena_block *b = mem_alloc(sizeof(*b) + size);
    *b = (struct arena_block){.size = size, .own = own};
    POISON(b->bytes, size);
    return b;
}

static struct arena_block *block_for(struct arena *a, size_t rounded)
{
    size_t size = a->block_size ? a->block_size : FIRST_BLOCK;
    if (rounded > size / 4 && a->head) {
        struct arena_block *b = new_block(rounded, true);
        b->next = a->head->next;
        a->head->next = b;
        return b;
    }
    while (size < rounded && size < LAST_BLOCK)
        size *= 2;
    struct arena_block *b = new_block(size < rounded ? rounded : size, size < rounded);
    b->next = a->head;
    a->head = b;
    a->block_size = size < LAST_BLOCK ? size * 2 : size;
    return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
    CHECK(n <= SIZE_MAX / 2);
    size_t rounded = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (!rounded)
        rounded = ALIGN;
    struct arena_block *b = a->head;
    if (!b || b->size - b->used < rounded)
        b = block_for(a, rounded);
    char *p = b->bytes + b->used;
    b->used += rounded;
    a->used += rounded;
    UNPOISON(p, n);
    return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
    return memset(arena_alloc(a, n), 0, n);
}

void *arena_memdup(struct arena *a, const void *p, size_t n)
{
    void *copy = arena_alloc(a, n);
    return n ? memcpy(copy, p, n) : copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    CHECK(n >= 0);
    char *text = arena_alloc(a, (size_t)n + 1);
    vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return text;
}

struct str str_dup(struct arena *a, struct str s)
{
    char *copy = arena_alloc(a, s.n + 1);
    if (s.n)
        memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return str_from(copy, s.n);
}

void arena_reset(struct arena *a)
{
    struct arena_block *keep = NULL;
    for (struct arena_block *b = a->head, *next; b; b = next) {
        next = b->next;
        if (b->own || (keep && keep->size >= b->size)) {
            free(b);
            continue;
        }
        free(keep);
        keep = b;
    }
    a->head = keep;
    a->used = 0;
    if (keep) {
        keep->next = NULL;
        keep->used = 0;
        POISON(keep->bytes, keep->size);
    }
}

void arena_release(struct arena *a)
{
    for (struct arena_block *b = a->head, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *a = (struct arena){0};
}
