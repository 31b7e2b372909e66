/* buf: growable bytes with exactly one owner.
 *
 * - {0} is an empty buf; buf_release makes it that again.
 * - p is NULL until something is appended; p[n] is NUL after any append, so p may be given to C functions.
 * - appends never fail: callers check what comes from outside against a limit before they append it.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct buf {
    char *p;
    size_t n, cap;
};

void buf_reserve(struct buf *b, size_t more); /* room for `more` bytes and the NUL beyond n */
void buf_append(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, struct str s);
void buf_c(struct buf *b, const char *c);
void buf_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_clear(struct buf *b);   /* n = 0, memory kept */
void buf_release(struct buf *b); /* memory given back */
/* Moves the bytes out to *out, which must be empty. */
void buf_take(struct buf *b, struct buf *out);

static inline struct str buf_view(const struct buf *b)
{
    return (struct str){b->p, b->n};
}

#define AUTO_BUF __attribute__((cleanup(buf_release))) struct buf

#endif
