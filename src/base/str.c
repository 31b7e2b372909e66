/* str: the functions on views that are too long for the header.
 *
 * A view borrows: it is good for as long as the buf, arena or mapping it points into. It may hold any bytes, NUL
 * included, and an empty view may have a NULL pointer; every function here copes with both. White space and case are
 * ASCII only: nothing depends on the locale.
 *
 * str_is_utf8 decides what Go's utf8.Valid decides, since label values that Prometheus refuses must be refused here
 * too:
 *
 *   lead byte   next byte    more    code points
 *   00..7F                           U+0000..007F
 *   C2..DF      80..BF               U+0080..07FF      (C0, C1: overlong)
 *   E0          A0..BF       1       U+0800..0FFF
 *   E1..EC,EE,EF 80..BF      1       U+1000..FFFF
 *   ED          80..9F       1       U+D000..D7FF      (A0..: surrogates)
 *   F0          90..BF       2       U+10000..3FFFF
 *   F1..F3      80..BF       2       U+40000..FFFFF
 *   F4          80..8F       2       U+100000..10FFFF
 */
#include "base/str.h"

#include <string.h>

#include "base/mem.h"

bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n && (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    }
    return true;
}

bool str_contains(struct str s, struct str what)
{
    return what.n == 0 || (s.n >= what.n && memmem(s.p, s.n, what.p, what.n) != NULL);
}

bool str_cut(struct str s, char sep, struct str *head, struct str *tail)
{
    const char *at = s.n ? memchr(s.p, sep, s.n) : NULL;
    if (!at) {
        *head = s;
        *tail = STR_NONE;
        return false;
    }
    size_t before = (size_t)(at - s.p);
    *head = str_from(s.p, before);
    *tail = str_from(at + 1, s.n - before - 1);
    return true;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_trim(struct str s)
{
    while (s.n && is_space(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

char *str_to_c(struct str s)
{
    return mem_strndup(s.p, s.n);
}

/* The length of the sequence that starts at p, or 0 when it is not one. */
static size_t sequence(const unsigned char *p, size_t n)
{
    unsigned char lead = p[0], low = 0x80, high = 0xBF;
    size_t len;
    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF)
        len = 2;
    else if ((lead & 0xF0) == 0xE0)
        len = 3;
    else if (lead >= 0xF0 && lead <= 0xF4)
        len = 4;
    else
        return 0;
    if (lead == 0xE0)
        low = 0xA0;
    else if (lead == 0xED)
        high = 0x9F;
    else if (lead == 0xF0)
        low = 0x90;
    else if (lead == 0xF4)
        high = 0x8F;
    if (n < len || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    }
    return len;
}

bool str_is_utf8(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t n = s.n;
    while (n) {
        uint64_t eight;
        if (n >= 8 && (memcpy(&eight, p, 8), (eight & 0x8080808080808080ULL) == 0)) {
            p += 8;
            n -= 8;
            continue;
        }
        size_t len = sequence(p, n);
        if (!len)
            return false;
        p += len;
        n -= len;
    }
    return true;
}

size_t str_put_utf8(char out[4], uint32_t rune)
{
    static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t n = rune < 0x80 ? 1 : rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;

    for (size_t i = n; i-- > 1; rune >>= 6)
        out[i] = (char)(0x80 | (rune & 0x3f));
    out[0] = (char)(leads[n] | rune);
    return n;
}
