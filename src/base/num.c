/* num: text to numbers and back, as Go does it.
 *
 * Reading a double is one scan that checks Go's grammar and gathers up to 19 significant digits and the decimal
 * exponent:
 *
 *   [+-] digits [. digits] [(e|E) [+-] digits]      at least one digit before or behind the point
 *   [+-] inf | [+-] infinity | nan                  in any case, no sign before nan
 *
 * If the digits make an integer up to 2^53 and the exponent is within +-22, both are exact as doubles and one
 * multiplication or division rounds once, correctly (Clinger 1990). That is nearly every value of a real page. The rest
 * goes to std::from_chars behind num_shim.cc. Too small is 0, too large is an infinity with ERR_LIMIT.
 *
 * Printing takes the shortest digits from the shim and lays them out as strconv.FormatFloat does: 'g' uses the exponent
 * form below 1e-4 and from 1e+06 on (Go's 21 is fmt's, not strconv's), two digits of exponent at least. Small integers
 * go the short way, without the shim. No locale, no allocation, any thread.
 */
#include "base/num.h"

#include <math.h>
#include <string.h>

#include "base/num_int.h"

/* ---- reading ---- */

struct decimal {
    uint64_t digits; /* of the first 19 significant ones */
    int n_digits;    /* significant, not counting leading zeros */
    int64_t exponent;
    bool negative;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void take_digit(struct decimal *d, char c, bool fraction)
{
    if (c != '0' || d->n_digits) {
        if (d->n_digits < 19)
            d->digits = d->digits * 10 + (uint64_t)(c - '0');
        else if (!fraction)
            d->exponent++;               /* a digit that is left out still counts ten */
        d->n_digits += d->n_digits < 20; /* more need not be told apart */
    }
    if (fraction && d->n_digits <= 19)
        d->exponent--;
}

/* The exponent's digits; false if there are none. Saturates far beyond what a double can hold. */
static bool scan_exponent(const char *p, const char *end, struct decimal *d)
{
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    if (p == end)
        return false;
    int64_t e = 0;
    for (; p < end && is_digit(*p); p++) {
        if (e < 1000000000)
            e = e * 10 + (*p - '0');
    }
    d->exponent += negative ? -e : e;
    return p == end;
}

static bool scan(const char *p, const char *end, struct decimal *d)
{
    const char *start = p;
    while (p < end && is_digit(*p))
        take_digit(d, *p++, false);
    size_t n = (size_t)(p - start);
    if (p < end && *p == '.') {
        start = ++p;
        while (p < end && is_digit(*p))
            take_digit(d, *p++, true);
        n += (size_t)(p - start);
    }
    if (n == 0)
        return false;
    if (p == end)
        return true;
    return (*p == 'e' || *p == 'E') && scan_exponent(p + 1, end, d);
}

static bool parse_special(struct str s, bool has_sign, bool negative, double *out)
{
    if (str_eq_nocase(s, STR("inf")) || str_eq_nocase(s, STR("infinity"))) {
        *out = negative ? -INFINITY : INFINITY;
        return true;
    }
    if (!has_sign && str_eq_nocase(s, STR("nan"))) {
        *out = NAN;
        return true;
    }
    return false;
}

static enum err parse_slowly(struct str s, const struct decimal *d, double *out)
{
    double v = 0;
    switch (num_shim_parse(s.p, s.n, &v)) {
    case NUM_SHIM_OK:
        break;
    case NUM_SHIM_RANGE:
        v = d->exponent + (d->n_digits < 19 ? d->n_digits : 19) > 0 ? INFINITY : 0;
        break;
    default:
        return ERR_SYNTAX;
    }
    *out = d->negative ? -v : v;
    return isinf(v) ? ERR_LIMIT : OK;
}

enum err num_parse_double(struct str s, double *out)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    struct decimal d = {0};
    bool has_sign = s.n && (s.p[0] == '-' || s.p[0] == '+');
    if (has_sign) {
        d.negative = s.p[0] == '-';
        s = str_from(s.p + 1, s.n - 1);
    }
    if (!s.n)
        return ERR_SYNTAX;
    if (!scan(s.p, s.p + s.n, &d))
        return parse_special(s, has_sign, d.negative, out) ? OK : ERR_SYNTAX;
    if (d.n_digits > 19 || d.digits > 1ULL << 53 || d.exponent < -22 || d.exponent > 22) {
        if (d.n_digits)
            return parse_slowly(s, &d, out);
        d.exponent = 0; /* zero, whatever its exponent */
    }
    double v = (double)d.digits;
    v = d.exponent < 0 ? v / powers[-d.exponent] : v * powers[d.exponent];
    *out = d.negative ? -v : v;
    return OK;
}

static enum err parse_magnitude(struct str s, uint64_t max, uint64_t *out)
{
    if (!s.n)
        return ERR_SYNTAX;
    uint64_t v = 0;
    bool over = false;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_digit(s.p[i]))
            return ERR_SYNTAX;
        over |= __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v);
    }
    over |= v > max;
    *out = over ? max : v;
    return over ? ERR_LIMIT : OK;
}

enum err num_parse_u64(struct str s, uint64_t *out)
{
    return parse_magnitude(s, UINT64_MAX, out);
}

enum err num_parse_port(struct str s, uint16_t *out)
{
    uint64_t v;
    enum err err = num_parse_u64(s, &v);

    if (err)
        return err;
    if (v == 0 || v > UINT16_MAX)
        return ERR_LIMIT;
    *out = (uint16_t)v;
    return OK;
}

enum err num_parse_i64(struct str s, int64_t *out)
{
    bool negative = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        s = str_from(s.p + 1, s.n - 1);
    uint64_t v = 0;
    enum err e = parse_magnitude(s, (uint64_t)INT64_MAX + negative, &v);
    if (e == OK || e == ERR_LIMIT)
        *out = (int64_t)(negative ? 0 - v : v);
    return e;
}

/* ---- printing ---- */

size_t num_print_u64(uint64_t v, char out[24])
{
    static const char pairs[] =
        "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243"
        "4445464748495051525354555657585960616263646566676869707172737475767778798081828384858687"
        "888990919293949596979899";
    char text[24];
    size_t at = sizeof(text);
    for (; v >= 100; v /= 100)
        memcpy(text + (at -= 2), pairs + v % 100 * 2, 2);
    if (v >= 10)
        memcpy(text + (at -= 2), pairs + v * 2, 2);
    else
        text[--at] = (char)('0' + v);
    memcpy(out, text + at, sizeof(text) - at);
    return sizeof(text) - at;
}

size_t num_print_i64(int64_t v, char out[24])
{
    if (v >= 0)
        return num_print_u64((uint64_t)v, out);
    out[0] = '-';
    char text[24];
    size_t n = num_print_u64(0 - (uint64_t)v, text);
    memcpy(out + 1, text, n);
    return n + 1;
}

static size_t put(char *out, const char *text)
{
    size_t n = strlen(text);
    memcpy(out, text, n);
    return n;
}

/* NaN, infinities, zeros and small integers: 0 if v is none of them. */
static size_t print_simple(double v, char *out)
{
    if (isnan(v))
        return put(out, "NaN");
    if (isinf(v))
        return put(out, v > 0 ? "+Inf" : "-Inf");
    if (v == 0)
        return put(out, signbit(v) ? "-0" : "0");
    if (v > -1e6 && v < 1e6 && v == (double)(int32_t)v)
        return num_print_i64((int32_t)v, out);
    return 0;
}

static size_t print_exponent(char *out, const char *digits, int n, int exponent)
{
    size_t at = 0;
    out[at++] = digits[0];
    if (n > 1) {
        out[at++] = '.';
        memcpy(out + at, digits + 1, (size_t)n - 1);
        at += (size_t)n - 1;
    }
    out[at++] = 'e';
    out[at++] = exponent < 0 ? '-' : '+';
    uint64_t magnitude = (uint64_t)(exponent < 0 ? -exponent : exponent);
    if (magnitude < 10)
        out[at++] = '0';
    char text[24];
    size_t len = num_print_u64(magnitude, text);
    memcpy(out + at, text, len);
    return at + len;
}

/* 0.DIGITS * 10^point without exponent. */
static size_t print_fixed(char *out, const char *digits, int n, int point)
{
    size_t at = 0;
    if (point <= 0) {
        at = put(out, "0.");
        memset(out + at, '0', (size_t)-point);
        at += (size_t)-point;
        memcpy(out + at, digits, (size_t)n);
        return at + (size_t)n;
    }
    int whole = n < point ? n : point;
    memcpy(out, digits, (size_t)whole);
    memset(out + whole, '0', (size_t)(point - whole));
    at = (size_t)point;
    if (n > point) {
        out[at++] = '.';
        memcpy(out + at, digits + point, (size_t)(n - point));
        at += (size_t)(n - point);
    }
    return at;
}

size_t num_print_double(double v, char out[32])
{
    size_t n = print_simple(v, out);
    if (n)
        return n;
    size_t sign = v < 0;
    if (sign)
        out[0] = '-';
    char digits[17];
    int point, n_digits = num_shim_digits(fabs(v), digits, &point), exponent = point - 1;
    if (exponent < -4 || exponent >= 6)
        return sign + print_exponent(out + sign, digits, n_digits, exponent);
    return sign + print_fixed(out + sign, digits, n_digits, point);
}

size_t num_print_double_plain(double v, char out[352])
{
    size_t n = print_simple(v, out);
    if (n)
        return n;
    size_t sign = v < 0;
    if (sign)
        out[0] = '-';
    char digits[17];
    int point, n_digits = num_shim_digits(fabs(v), digits, &point);
    return sign + print_fixed(out + sign, digits, n_digits, point);
}

void buf_double(struct buf *b, double v)
{
    char text[32];
    buf_append(b, text, num_print_double(v, text));
}

void buf_u64(struct buf *b, uint64_t v)
{
    char text[24];
    buf_append(b, text, num_print_u64(v, text));
}

void buf_i64(struct buf *b, int64_t v)
{
    char text[24];
    buf_append(b, text, num_print_i64(v, text));
}
