/* buf: the one growable array of bytes.
 *
 * Used for bodies, requests, lines of text: anything built front to back. It grows by doubling, keeps a NUL behind its
 * last byte (not counted in n), and keeps its memory over buf_clear, so that a buf that serves a loop stops allocating.
 *
 *   p -> [ n bytes ............ | NUL | free ]   cap counts all of it
 *
 * Invariants: p == NULL exactly when cap == 0; n < cap otherwise. Appending bytes of the buf to itself is not allowed
 * (growing may move them). One owner, no locks; buf_take hands the memory on.
 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void buf_reserve(struct buf *b, size_t more)
{
    size_t need;
    CHECK(!__builtin_add_overflow(b->n + 1, more, &need));
    if (need <= b->cap)
        return;
    size_t cap = b->cap * 2 > 64 ? b->cap * 2 : 64;
    b->cap = cap > need ? cap : need;
    b->p = mem_realloc(b->p, b->cap);
    b->p[b->n] = '\0';
}

void buf_append(struct buf *b, const void *p, size_t n)
{
    buf_reserve(b, n);
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = '\0';
}

void buf_str(struct buf *b, struct str s)
{
    buf_append(b, s.p, s.n);
}

void buf_c(struct buf *b, const char *c)
{
    buf_append(b, c, strlen(c));
}

void buf_char(struct buf *b, char c)
{
    buf_reserve(b, 1);
    b->p[b->n++] = c;
    b->p[b->n] = '\0';
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    size_t room = b->cap - b->n;
    int n = vsnprintf(room ? b->p + b->n : NULL, room, fmt, args);
    va_end(args);
    CHECK(n >= 0);
    if ((size_t)n >= room) {
        buf_reserve(b, (size_t)n);
        vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    b->n += (size_t)n;
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    if (b->p)
        b->p[0] = '\0';
}

void buf_release(struct buf *b)
{
    free(b->p);
    *b = (struct buf){0};
}

void buf_take(struct buf *b, struct buf *out)
{
    CHECK(!out->p);
    *out = *b;
    *b = (struct buf){0};
}
