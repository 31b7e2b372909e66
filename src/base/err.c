/* err: codes, and the one text that goes with a failure.
 *
 * A failure is described where it is known, with everything a person needs (which file, which line, what the system
 * said), and then only its code travels upwards. The text lives in a struct diag on the stack of whoever started the
 * operation; layers in between pass the pointer along and never rewrite it: the first message wins. Who retries calls
 * diag_reset.
 *
 *   enum err e = file_read(path, limit, &bytes, d);
 *   if (e)
 *       return e;                       <- nothing to add: d already says "open /x: Permission denied"
 *
 * Long texts are cut at a character border and end in "...", so that a hostile input cannot make a message endless.
 * Nothing here allocates, and nothing is shared between threads.
 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
    [OK] = "ok",
    [ERR_AGAIN] = "again",
    [ERR_EOF] = "end",
    [ERR_SYNTAX] = "syntax",
    [ERR_LIMIT] = "limit",
    [ERR_NOT_FOUND] = "not found",
    [ERR_EXISTS] = "exists",
    [ERR_IO] = "io",
    [ERR_NET] = "network",
    [ERR_TLS] = "tls",
    [ERR_TIMEOUT] = "timeout",
    [ERR_AUTH] = "auth",
    [ERR_CORRUPT] = "corrupt",
    [ERR_CANCELED] = "canceled",
    [ERR_UNSUPPORTED] = "unsupported",
    [ERR_INTERNAL] = "internal",
};

const char *err_name(enum err err)
{
    size_t i = (size_t)err;
    return i < sizeof(names) / sizeof(names[0]) ? names[i] : "unknown";
}

void diag_reset(struct diag *d)
{
    if (!d)
        return;
    d->text[0] = d->file[0] = '\0';
    d->line = d->col = d->sys_errno = 0;
}

void diag_keep(struct diag *first, const struct diag *d)
{
    if (!first->text[0])
        *first = *d;
}

/* Ends out[size] in "..." and not within a UTF-8 sequence. */
static void mark_cut(char *out, size_t size)
{
    size_t at = size - 4;
    while (at > 0 && ((unsigned char)out[at] & 0xC0) == 0x80)
        at--;
    memcpy(out + at, "...", 4);
}

PRINTF_LIKE(3, 0) static void print_text(char *out, size_t size, const char *fmt, va_list args)
{
    int n = vsnprintf(out, size, fmt, args);
    if (n < 0)
        out[0] = '\0';
    else if ((size_t)n >= size)
        mark_cut(out, size);
}

enum err diag_set(struct diag *d, enum err code, const char *fmt, ...)
{
    if (d && !d->text[0]) {
        va_list args;
        va_start(args, fmt);
        print_text(d->text, sizeof(d->text), fmt, args);
        va_end(args);
    }
    return code;
}

enum err diag_at(struct diag *d, enum err code, const char *file, int line, int col, const char *fmt, ...)
{
    if (!d || d->text[0])
        return code;
    if ((size_t)snprintf(d->file, sizeof(d->file), "%s", file ? file : "") >= sizeof(d->file))
        mark_cut(d->file, sizeof(d->file));
    d->line = line;
    d->col = col;
    va_list args;
    va_start(args, fmt);
    print_text(d->text, sizeof(d->text), fmt, args);
    va_end(args);
    return code;
}

enum err diag_errno(struct diag *d, enum err code, int sys_errno, const char *fmt, ...)
{
    if (!d || d->text[0])
        return code;
    va_list args;
    va_start(args, fmt);
    print_text(d->text, sizeof(d->text), fmt, args);
    va_end(args);
    d->sys_errno = sys_errno;
    char reason[128];
    const char *text = strerror_r(sys_errno, reason, sizeof(reason));
    size_t used = strlen(d->text);
    if ((size_t)snprintf(d->text + used, sizeof(d->text) - used, ": %s", text) >= sizeof(d->text) - used)
        mark_cut(d->text, sizeof(d->text));
    return code;
}

void diag_format(const struct diag *d, char *out, size_t size)
{
    if (!d->file[0] && d->line)
        snprintf(out, size, "line %d: %s", d->line, d->text);
    else if (!d->file[0])
        snprintf(out, size, "%s", d->text);
    else if (!d->line)
        snprintf(out, size, "%s: %s", d->file, d->text);
    else if (!d->col)
        snprintf(out, size, "%s:%d: %s", d->file, d->line, d->text);
    else
        snprintf(out, size, "%s:%d:%d: %s", d->file, d->line, d->col, d->text);
}

void check_failed(const char *cond, const char *file, int line)
{
    fprintf(stderr, "leadline: internal error at %s:%d: %s\n", file, line, cond);
    abort();
}
