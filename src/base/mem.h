/* mem: allocation that does not fail, for small structural things. Whatever is sized by input is checked against a
 * limit first and refused with ERR_LIMIT; then these are used. Out of memory ends the program with one line.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t n) __attribute__((malloc, alloc_size(1), returns_nonnull));
void *mem_zalloc(size_t n) __attribute__((malloc, alloc_size(1), returns_nonnull));
void *mem_realloc(void *p, size_t n) __attribute__((alloc_size(2), returns_nonnull));
/* Grows *p (of *cap elements of `size` bytes) so that it holds at least `need`; doubles. */
void *mem_grow(void *p, size_t *cap, size_t need, size_t size) __attribute__((returns_nonnull));
char *mem_strndup(const char *p, size_t n) __attribute__((returns_nonnull));
char *mem_strdup(const char *p) __attribute__((returns_nonnull));

#define NEW(type)                       ((type *)mem_zalloc(sizeof(type)))
#define COUNT_OF(a)                     (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define LIKELY(x)                       __builtin_expect(!!(x), 1)
#define UNLIKELY(x)                     __builtin_expect(!!(x), 0)

#endif
