/* tree: looking at nodes; what plain scalars mean.
 *
 * YAML 1.1 lets a plain scalar be null, a boolean or a number by its looks. Which looks count differs from library to
 * library; ours are those of go-yaml v2 (resolve.go), since its users' files were written against it:
 *
 *     null    "" ~ null Null NULL
 *     bool    y yes true on, n no false off; lower case, capitalised or upper case
 *     number  .inf +.inf -.inf .nan (three cases each); integers of Go's ParseInt with base 0 (0x1f 0o17 017 0b11), in
 *             64 bits, signed or unsigned; decimal floats; '_' is ignored after a leading digit or sign
 *     string  everything else, dates too: 2001-01-01, 1:30, 0x1p4, 08 is the float 8
 *
 * A number's text is kept as written and converted when it is asked for.
 */
#include "wire/tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/num.h"
#include "wire/tree_int.h"

enum { NUMBER_TEXT_MAX = 400 }; /* the longest plain double has 330 digits or so; longer words are strings */

struct number {
    enum { NUMBER_NONE, NUMBER_I64, NUMBER_U64, NUMBER_DOUBLE } kind;
    int64_t i;
    uint64_t u;
    double f;
};

struct node *node_find(const struct node *mapping, const char *key)
{
    if (!mapping || mapping->kind != NODE_MAPPING)
        return NULL;
    for (struct node *n = mapping->first; n; n = n->next)
        if (str_eq_c(n->key, key))
            return n;
    return NULL;
}

struct node *node_member(const struct node *mapping, const char *key, enum node_kind kind)
{
    struct node *n = node_find(mapping, key);

    return n && n->kind == kind ? n : NULL;
}

struct str node_text(const struct node *mapping, const char *key)
{
    const struct node *n = node_member(mapping, key, NODE_STRING);

    return n ? n->text : STR("");
}

const char *node_kind_name(enum node_kind kind)
{
    static const char *const names[] = {"null", "boolean", "number", "string", "sequence", "mapping"};
    return names[kind];
}

/* ---- numbers ---- */

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 99;
}

static bool digits_u64(struct str s, unsigned base, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned d = (unsigned)digit_value(s.p[i]);
        uint64_t scaled, sum;
        if (d >= base || __builtin_mul_overflow(v, (uint64_t)base, &scaled) ||
            __builtin_add_overflow(scaled, (uint64_t)d, &sum))
            return false;
        v = sum;
    }
    *out = v;
    return s.n > 0;
}

/* Go's base 0: a prefix chooses the base, and a bare leading zero is octal. */
static bool parse_integer(struct str s, struct number *out)
{
    bool minus = s.n > 0 && s.p[0] == '-', sign = minus || (s.n > 0 && s.p[0] == '+');
    struct str digits = str_from(s.p + sign, s.n - sign);
    unsigned base = 10;
    uint64_t v;
    if (digits.n > 1 && digits.p[0] == '0') {
        char c = (char)(digits.p[1] | 32);
        base = c == 'x' ? 16 : c == 'o' || (c >= '0' && c <= '9') ? 8 : c == 'b' ? 2 : 10;
        size_t prefix = base == 8 && c != 'o' ? 1 : 2;
        if (base != 10)
            digits = str_from(digits.p + prefix, digits.n - prefix);
    }
    if (!digits_u64(digits, base, &v))
        return false;
    if (minus && v <= (uint64_t)INT64_MAX + 1) {
        *out = (struct number){.kind = NUMBER_I64, .i = (int64_t)(0 - v)};
        return true;
    }
    if (minus)
        return false;
    if (v <= INT64_MAX) {
        *out = (struct number){.kind = NUMBER_I64, .i = (int64_t)v};
        return true;
    }
    if (sign) /* ParseUint takes no sign */
        return false;
    *out = (struct number){.kind = NUMBER_U64, .u = v};
    return true;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool looks_like_float(struct str s)
{
    size_t i = 0, whole = 0, fraction = 0, power = 0;
    if (i < s.n && (s.p[i] == '-' || s.p[i] == '+'))
        i++;
    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
        whole++;
    if (i < s.n && s.p[i] == '.')
        for (i++; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
            fraction++;
    if (whole + fraction == 0)
        return false;
    if (i == s.n)
        return true;
    if ((s.p[i] | 32) != 'e')
        return false;
    if (++i < s.n && (s.p[i] == '-' || s.p[i] == '+'))
        i++;
    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
        power++;
    return power > 0 && i == s.n;
}

static bool special_double(struct str s, double *out)
{
    static const char *const inf[] = {".inf", ".Inf", ".INF"};
    static const char *const nan_[] = {".nan", ".NaN", ".NAN"};
    bool sign = s.n > 0 && (s.p[0] == '-' || s.p[0] == '+');
    for (int i = 0; i < 3; i++) {
        if (str_eq_c(str_from(s.p + sign, s.n - sign), inf[i])) {
            *out = sign && s.p[0] == '-' ? -HUGE_VAL : HUGE_VAL;
            return true;
        }
        if (str_eq_c(s, nan_[i])) {
            *out = (double)NAN;
            return true;
        }
    }
    return false;
}

static bool parse_double(struct str s, struct number *out)
{
    double f;
    if (!looks_like_float(s) || num_parse_double(s, &f) != OK)
        return false;
    *out = (struct number){.kind = NUMBER_DOUBLE, .f = f};
    return true;
}

static bool parse_number(struct str s, struct number *out)
{
    char plain[NUMBER_TEXT_MAX];
    size_t n = 0;
    if (s.n == 0 || s.n > sizeof(plain))
        return false;
    if (special_double(s, &out->f)) {
        out->kind = NUMBER_DOUBLE;
        return true;
    }
    if (s.p[0] == '.')
        return parse_double(s, out);
    if (s.p[0] != '-' && s.p[0] != '+' && (s.p[0] < '0' || s.p[0] > '9'))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '_')
            plain[n++] = s.p[i];
    struct str t = str_from(plain, n);
    return parse_integer(t, out) || parse_double(t, out);
}

/* ---- scalars ---- */

/* `word` in lower case; the capitalised and the upper-case form count too, mixtures do not. */
static bool is_word(struct str s, const char *word)
{
    size_t n = strlen(word), upper = 0;
    if (s.n != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s.p[i] == word[i])
            continue;
        if (s.p[i] != word[i] - 32)
            return false;
        upper++;
    }
    return upper == 0 || upper == n || (upper == 1 && s.p[0] != word[0]);
}

enum node_kind tree_resolve(struct str text, bool *truth)
{
    static const char *const yes[] = {"y", "yes", "true", "on"}, *const no[] = {"n", "no", "false", "off"};
    struct number number;
    *truth = false;
    if (text.n == 0 || str_eq_c(text, "~") || is_word(text, "null"))
        return NODE_NULL;
    for (size_t i = 0; i < COUNT_OF(yes); i++) {
        if (is_word(text, no[i]))
            return NODE_BOOL;
        if (is_word(text, yes[i])) {
            *truth = true;
            return NODE_BOOL;
        }
    }
    return parse_number(text, &number) ? NODE_NUMBER : NODE_STRING;
}

static bool node_number(const struct node *n, struct number *out)
{
    return n && n->kind == NODE_NUMBER && parse_number(n->text, out);
}

bool node_i64(const struct node *n, int64_t *out)
{
    struct number v;
    if (!node_number(n, &v) || v.kind == NUMBER_U64)
        return false;
    if (v.kind == NUMBER_DOUBLE) {
        if (!(v.f > -9223372036854777856.0 && v.f < 9223372036854775808.0))
            return false;
        v.i = (int64_t)v.f;
    }
    *out = v.i;
    return true;
}

bool node_u64(const struct node *n, uint64_t *out)
{
    struct number v;
    if (!node_number(n, &v))
        return false;
    if (v.kind == NUMBER_I64 && v.i < 0)
        return false;
    if (v.kind == NUMBER_DOUBLE && !(v.f > -1.0 && v.f < 18446744073709551616.0))
        return false;
    *out = v.kind == NUMBER_I64 ? (uint64_t)v.i : v.kind == NUMBER_U64 ? v.u : (uint64_t)v.f;
    return true;
}

bool node_double(const struct node *n, double *out)
{
    struct number v;
    if (!node_number(n, &v))
        return false;
    *out = v.kind == NUMBER_I64 ? (double)v.i : v.kind == NUMBER_U64 ? (double)v.u : v.f;
    return true;
}

/* ---- for the readers ---- */

enum err tree_weight_add(struct tree_weight *sum, struct tree_weight more, struct diag *d, const char *name,
                         uint32_t line, uint32_t col)
{
    sum->nodes += more.nodes;
    sum->bytes += more.bytes;
    if (sum->height < more.height + 1)
        sum->height = more.height + 1;
    if (sum->nodes > TREE_MAX_NODES)
        return diag_at(d, ERR_LIMIT, name, (int)line, (int)col, "document has more than %u values", TREE_MAX_NODES);
    if (sum->bytes > TREE_MAX_BYTES)
        return diag_at(d, ERR_LIMIT, name, (int)line, (int)col, "document holds more than %u bytes of values",
                       TREE_MAX_BYTES);
    return OK;
}

struct key_search {
    struct node **entries;
    struct str key;
};

static bool key_eq(const void *ctx, uint32_t index)
{
    const struct key_search *s = ctx;
    return str_eq(s->entries[index]->key, s->key);
}

void tree_unique_keys(struct node *mapping, bool strict, struct node **twice)
{
    *twice = NULL;
    if (mapping->n < 2)
        return;
    struct node **entries = mem_alloc(mapping->n * sizeof(*entries));
    struct map map = {0};
    uint32_t n = 0, kept = 0;
    for (struct node *e = mapping->first; e && !*twice; e = e->next, n++) {
        struct key_search search = {entries, e->key};
        uint64_t hash = hash_bytes(e->key);
        uint32_t old = map_find(&map, hash, key_eq, &search);
        entries[n] = e;
        if (old == MAP_NONE) {
            map_add(&map, hash, n);
            continue;
        }
        if (strict && !e->merged && !entries[old]->merged)
            *twice = e;
        map_replace(&map, hash, old, n);
        entries[old] = NULL;
    }
    if (!*twice) {
        struct node **tail = &mapping->first;
        for (uint32_t i = 0; i < n; i++) {
            if (!entries[i])
                continue;
            *tail = entries[i];
            tail = &entries[i]->next;
            kept++;
        }
        *tail = NULL;
        mapping->n = kept;
    }
    map_release(&map);
    free(entries);
}
