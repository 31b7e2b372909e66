/* err: the one way to say what went wrong.
 *
 * Functions that can fail return `enum err`, are MUST_USE, and hand results out through their last parameters.
 * The text of a failure is written once, where it is known, into a `struct diag` that the caller supplies (NULL is
 * allowed); hot paths return only the code and an offset. AGAIN is a value, not an exception.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stddef.h>

#include "base/banned.h"

#define MUST_USE               __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

enum err {
    OK = 0,
    ERR_AGAIN,  /* not now: come back when told */
    ERR_EOF,    /* the input ended, in good order */
    ERR_SYNTAX, /* the input is malformed */
    ERR_LIMIT,  /* a configured or documented limit was reached */
    ERR_NOT_FOUND,
    ERR_EXISTS,
    ERR_IO,  /* a file or directory; diag.sys_errno says why */
    ERR_NET, /* name lookup, connect, read or write on a socket */
    ERR_TLS,
    ERR_TIMEOUT,
    ERR_AUTH,
    ERR_CORRUPT, /* our own bytes on disk are not what we wrote */
    ERR_CANCELED,
    ERR_UNSUPPORTED, /* understood, and not done by leadline */
    ERR_INTERNAL,
};

/* The code in one lower-case word or two, for log lines and labels: "timeout", "not found". */
const char *err_name(enum err err);

/* What a person is told. Lives on the caller's stack; the first message wins unless diag_reset is called. */
struct diag {
    char text[512]; /* no trailing newline; cut with "..." when longer */
    char file[256]; /* "" when there is none */
    int line, col;  /* from 1; 0 unknown */
    int sys_errno;  /* 0 when no system call failed */
};

void diag_reset(struct diag *d);
/* The first that is kept stays. */
void diag_keep(struct diag *first, const struct diag *d);
/* Both return `code`, so that a failure is one line: return diag_set(d, ERR_SYNTAX, "..."). NULL d is allowed. */
enum err diag_set(struct diag *d, enum err code, const char *fmt, ...) PRINTF_LIKE(3, 4);
enum err diag_at(struct diag *d, enum err code, const char *file, int line, int col, const char *fmt, ...)
    PRINTF_LIKE(6, 7);
/* As diag_set, with ": <strerror>" appended and sys_errno kept. */
enum err diag_errno(struct diag *d, enum err code, int sys_errno, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* "file:line:col: text", or what of it is known. Always NUL-terminated. */
void diag_format(const struct diag *d, char *out, size_t size);

/* Always on: stops the program where going on would corrupt data or memory. Never for input. */
#define CHECK(cond) ((cond) ? (void)0 : check_failed(#cond, __FILE__, __LINE__))
_Noreturn void check_failed(const char *cond, const char *file, int line);

#endif
