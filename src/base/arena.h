/* arena: memory of one scrape, request, plan or cycle. Nothing in it is freed piecewise; arena_reset keeps one
 * block (the largest ordinary one), arena_release gives everything back. Not thread-safe: one owner at a time.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *head; /* the block being filled */
    size_t used;              /* bytes handed out since the last reset */
    size_t block_size;        /* of the next block; 0 means 4 KiB, doubles up to 256 KiB */
};

void *arena_alloc(struct arena *a, size_t n) __attribute__((alloc_size(2), returns_nonnull)); /* 16-byte aligned */
void *arena_zalloc(struct arena *a, size_t n) __attribute__((alloc_size(2), returns_nonnull));
void *arena_memdup(struct arena *a, const void *p, size_t n) __attribute__((returns_nonnull));
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3), returns_nonnull));
void arena_reset(struct arena *a);
void arena_release(struct arena *a);

#define ARENA_NEW(a, type)      ((type *)arena_zalloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_zalloc((a), sizeof(type) * (size_t)(n)))

#endif
