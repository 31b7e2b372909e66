/* mem: malloc that does not come back empty-handed.
 *
 * leadline allocates small structural things all over the place: list nodes, tables, connections. Checking each for
 * NULL would triple the error paths with code that no test reaches, and Linux kills a process rather than refuse it
 * memory anyway. So these end the program with one line. What an outsider can make large (a body, a label value, a
 * batch) has a limit that is checked before it comes here; going beyond it is ERR_LIMIT, never a failed allocation.
 *
 * Sizes that overflow are programming errors and stop the program too. Thread-safe as malloc is.
 */
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

_Noreturn static void out_of_memory(size_t n)
{
    /* No stdio buffer: it might have to allocate. */
    char line[96];
    int len = snprintf(line, sizeof(line), "leadline: out of memory (%zu bytes wanted)\n", n);
    ssize_t ignored = write(STDERR_FILENO, line, (size_t)len);
    (void)ignored;
    abort();
}

void *mem_alloc(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p)
        out_of_memory(n);
    return p;
}

void *mem_zalloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (!p)
        out_of_memory(n);
    return p;
}

void *mem_realloc(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);
    if (!q)
        out_of_memory(n);
    return q;
}

void *mem_grow(void *p, size_t *cap, size_t need, size_t size)
{
    CHECK(size > 0);
    if (p && need <= *cap)
        return p;
    size_t grown = *cap * 2 > 8 ? *cap * 2 : 8;
    if (grown < need)
        grown = need;
    size_t bytes;
    CHECK(!__builtin_mul_overflow(grown, size, &bytes));
    p = mem_realloc(p, bytes);
    *cap = grown;
    return p;
}

char *mem_strndup(const char *p, size_t n)
{
    char *copy = mem_alloc(n + 1);
    if (n)
        memcpy(copy, p, n);
    copy[n] = '\0';
    return copy;
}

char *mem_strdup(const char *p)
{
    return mem_strndup(p, strlen(p));
}
