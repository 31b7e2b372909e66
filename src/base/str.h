/* str: a borrowed view of bytes. Passed by value, owns nothing, and is not NUL-terminated by contract. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct arena;

struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_NONE     ((struct str){NULL, 0})
/* For printf: "%.*s", STR_ARGS(s) */
#define STR_ARGS(s) (int)(s).n, (s).p

static inline struct str str_from(const char *p, size_t n)
{
    return (struct str){p, n};
}

/* NULL gives the empty view. */
static inline struct str str_c(const char *c)
{
    return (struct str){c, c ? strlen(c) : 0};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_eq_c(struct str a, const char *c)
{
    return str_eq(a, str_c(c));
}

/* Bytewise order, as Go compares strings and Prometheus sorts labels: <0, 0, >0. */
static inline int str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_eq_nocase(struct str a, struct str b); /* ASCII only */
bool str_contains(struct str s, struct str what);
/* Cuts s at the first `sep`: *head before it, *tail after it. False, head = s, tail empty, when there is none. */
bool str_cut(struct str s, char sep, struct str *head, struct str *tail);
struct str str_trim(struct str s);                 /* ASCII white space, both ends */
struct str str_dup(struct arena *a, struct str s); /* also NUL-terminates the copy, beyond n */
char *str_to_c(struct str s);                      /* malloc'd, NUL-terminated; the caller frees */
bool str_is_utf8(struct str s); /* as Go's utf8.Valid: no surrogates, no overlong forms, up to U+10FFFF */
size_t str_put_utf8(char out[4], uint32_t rune); /* how many bytes it has; up to U+10FFFF */

#endif
