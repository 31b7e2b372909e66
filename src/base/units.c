/* units: durations and sizes in the three notations that configuration files and flags of the replaced programs use.
 *
 *   Prometheus duration   1h30m        whole numbers, units y w d h m s ms in falling order, each once; 0 alone
 *   size, base 2          1KiB512B     fractions allowed, [K M G T P E]iB or [K..E]B (both 1024), not mixed; 0 alone
 *   Go duration           1.5h, -2m    fractions, sign, units h m s ms us ns in any order; 0 alone
 *
 * They agree with prometheus/common/model.ParseDuration, alecthomas/units.ParseBase2Bytes and time.ParseDuration on
 * what is accepted, on the value, and on the words of an error, since people paste those into search fields. Sizes are
 * summed in double precision as in the original, so that even the rounding is the same. Pure functions; any thread.
 */
#include "base/units.h"

#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/quote.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static struct str take_while(struct str *s, bool digits, bool point_ends)
{
    size_t n = 0;
    while (n < s->n && is_digit(s->p[n]) == digits && !(point_ends && s->p[n] == '.'))
        n++;
    struct str taken = str_from(s->p, n);
    *s = str_from(s->p + n, s->n - n);
    return taken;
}

struct unit {
    const char *name;
    uint64_t ns;
};

static const struct unit *find_unit(const struct unit *units, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq_c(name, units[i].name))
            return &units[i];
    }
    return NULL;
}

static enum err fail(struct diag *d, const char *before, struct str what, const char *between, struct str whole)
{
    AUTO_BUF b = {0};
    buf_c(&b, before);
    if (what.p)
        buf_quote(&b, what);
    buf_c(&b, between);
    buf_quote(&b, whole);
    return diag_set(d, ERR_SYNTAX, "%s", b.p);
}

/* ---- Prometheus durations ---- */

enum err units_parse_duration(struct str s, int64_t *out_ms, struct diag *d)
{
    static const struct unit units[] = {
        {"y", 365ULL * 24 * 3600 * 1000000000},
        {"w", 7ULL * 24 * 3600 * 1000000000},
        {"d", 24ULL * 3600 * 1000000000},
        {"h", 3600ULL * 1000000000},
        {"m", 60ULL * 1000000000},
        {"s", 1000000000ULL},
        {"ms", 1000000ULL},
    };
    const char *invalid = "not a valid duration string: ";
    struct str whole = s;
    if (!s.n)
        return diag_set(d, ERR_SYNTAX, "empty duration string");
    uint64_t ns = 0;
    const struct unit *least = units;
    if (str_eq_c(s, "0"))
        s = STR_NONE;
    while (s.n) {
        uint64_t v;
        struct str number = take_while(&s, true, false), name = take_while(&s, false, false);
        if (num_parse_u64(number, &v) != OK || !name.n)
            return fail(d, invalid, STR_NONE, "", whole);
        const struct unit *u = find_unit(units, COUNT_OF(units), name);
        if (!u)
            return fail(d, "unknown unit ", name, " in duration ", whole);
        if (u < least)
            return fail(d, invalid, STR_NONE, "", whole);
        least = u + 1;
        if (v > (1ULL << 63) / u->ns || (ns += v * u->ns) > INT64_MAX)
            return diag_set(d, ERR_SYNTAX, "duration out of range");
    }
    *out_ms = (int64_t)(ns / 1000000);
    return OK;
}

void units_print_duration(struct buf *b, int64_t ms)
{
    static const struct {
        const char *name;
        uint64_t ms;
        bool exact; /* years and weeks only where nothing is left over: 90d reads better than 12w6d */
    } units[] = {
        {"y", 365ULL * 24 * 3600 * 1000, true},
        {"w", 7ULL * 24 * 3600 * 1000, true},
        {"d", 24ULL * 3600 * 1000, false},
        {"h", 3600ULL * 1000, false},
        {"m", 60ULL * 1000, false},
        {"s", 1000, false},
        {"ms", 1, false},
    };
    if (ms == 0) {
        buf_c(b, "0s");
        return;
    }
    if (ms < 0)
        buf_char(b, '-');
    uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (left < units[i].ms || (units[i].exact && left % units[i].ms))
            continue;
        buf_u64(b, left / units[i].ms);
        buf_c(b, units[i].name);
        left %= units[i].ms;
    }
}

/* ---- sizes ---- */

static const char prefixes[] = "KMGTPE";

/* 1024^k for "KiB" (suffix "iB") or "KB" (suffix "B"); 1 for "B"; 0 for anything else. */
static double size_unit(struct str name, struct str suffix)
{
    if (str_eq_c(name, "B"))
        return 1;
    if (name.n != suffix.n + 1 || !str_ends(name, suffix))
        return 0;
    const char *at = memchr(prefixes, name.p[0], sizeof(prefixes) - 1);
    return at ? (double)(1ULL << (10 * (at - prefixes + 1))) : 0;
}

/* Digits as a double, with the original's limit. */
static bool size_digits(struct str digits, double *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < digits.n; i++) {
        if (v >= ((1ULL << 63) - 10) / 10)
            return false;
        v = v * 10 + (uint64_t)(digits.p[i] - '0');
    }
    *out = (double)v;
    return true;
}

static enum err parse_size(struct str s, struct str suffix, double *out, struct diag *d)
{
    struct str whole = s;
    *out = 0;
    if (s.n && s.p[0] == '+')
        s = str_from(s.p + 1, s.n - 1);
    if (str_eq_c(s, "0"))
        return OK;
    if (!s.n)
        return diag_set(d, ERR_SYNTAX, "units: invalid %.*s", STR_ARGS(whole));
    while (s.n) {
        struct str before = take_while(&s, true, false), behind = STR_NONE;
        if (s.n && s.p[0] == '.') {
            s = str_from(s.p + 1, s.n - 1);
            behind = take_while(&s, true, false);
        }
        double v, fraction = 0, scale = 1;
        if (before.n + behind.n == 0 || !size_digits(before, &v) || !size_digits(behind, &fraction))
            return diag_set(d, ERR_SYNTAX, "units: invalid %.*s", STR_ARGS(whole));
        for (size_t i = 0; i < behind.n; i++)
            scale *= 10;
        struct str name = take_while(&s, false, true);
        double unit = size_unit(name, suffix);
        if (unit == 0)
            return diag_set(d, ERR_SYNTAX, "units: unknown unit %.*s in %.*s", STR_ARGS(name), STR_ARGS(whole));
        *out += (v + fraction / scale) * unit;
    }
    return OK;
}

enum err units_parse_size(struct str s, uint64_t *out, struct diag *d)
{
    double v;
    if (parse_size(s, STR("iB"), &v, NULL)) {
        enum err e = parse_size(s, STR("B"), &v, d);
        if (e)
            return e;
    }
    if (v >= 9223372036854775808.0)
        return diag_set(d, ERR_SYNTAX, "units: overflow parsing unit");
    *out = (uint64_t)v;
    return OK;
}

void units_print_size(struct buf *b, uint64_t bytes)
{
    if (bytes == 0) {
        buf_c(b, "0B");
        return;
    }
    for (int i = 6; i >= 0; i--) {
        uint64_t part = bytes >> (10 * i);
        if (i < 6)
            part &= 1023;
        if (!part)
            continue;
        buf_u64(b, part);
        if (i)
            buf_printf(b, "%ci", prefixes[i - 1]);
        buf_char(b, 'B');
    }
}

/* ---- Go durations ---- */

/* [0-9]* up to 2^63. */
static bool go_whole(struct str digits, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < digits.n; i++) {
        if (*out > (1ULL << 63) / 10)
            return false;
        *out = *out * 10 + (uint64_t)(digits.p[i] - '0');
        if (*out > 1ULL << 63)
            return false;
    }
    return true;
}

/* Digits behind the point, as many as fit; the rest is too small to matter. */
static uint64_t go_fraction(struct str digits, double *scale)
{
    uint64_t v = 0;
    *scale = 1;
    for (size_t i = 0; i < digits.n; i++) {
        if (v > INT64_MAX / 10 || v * 10 + (uint64_t)(digits.p[i] - '0') > 1ULL << 63)
            break;
        v = v * 10 + (uint64_t)(digits.p[i] - '0');
        *scale *= 10;
    }
    return v;
}

enum err units_parse_go_duration(struct str s, int64_t *out_ns, struct diag *d)
{
    static const struct unit units[] = {
        {"ns", 1},          {"us", 1000},         {"\xC2\xB5s", 1000},       {"\xCE\xBCs", 1000},
        {"ms", 1000000ULL}, {"s", 1000000000ULL}, {"m", 60ULL * 1000000000}, {"h", 3600ULL * 1000000000},
    };
    const char *invalid = "time: invalid duration ";
    struct str whole = s;
    bool negative = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        s = str_from(s.p + 1, s.n - 1);
    if (!s.n)
        return fail(d, invalid, STR_NONE, "", whole);
    uint64_t total = 0;
    if (str_eq_c(s, "0"))
        s = STR_NONE;
    while (s.n) {
        uint64_t v, fraction = 0;
        double scale = 1;
        struct str before = take_while(&s, true, false), behind = STR_NONE;
        if (s.n && s.p[0] == '.') {
            s = str_from(s.p + 1, s.n - 1);
            behind = take_while(&s, true, false);
            fraction = go_fraction(behind, &scale);
        }
        if (before.n + behind.n == 0 || !go_whole(before, &v))
            return fail(d, invalid, STR_NONE, "", whole);
        struct str name = take_while(&s, false, true);
        if (!name.n)
            return fail(d, "time: missing unit in duration ", STR_NONE, "", whole);
        const struct unit *u = find_unit(units, COUNT_OF(units), name);
        if (!u)
            return fail(d, "time: unknown unit ", name, " in duration ", whole);
        if (v > (1ULL << 63) / u->ns)
            return fail(d, invalid, STR_NONE, "", whole);
        v = v * u->ns + (uint64_t)((double)fraction * ((double)u->ns / scale));
        if (v > 1ULL << 63 || (total += v) > 1ULL << 63)
            return fail(d, invalid, STR_NONE, "", whole);
    }
    if (total > INT64_MAX && !negative)
        return fail(d, invalid, STR_NONE, "", whole);
    *out_ns = (int64_t)(negative ? 0 - total : total);
    return OK;
}
