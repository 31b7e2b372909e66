/* exposition: what the raw bytes of an entry mean: labels of a series, families of a comment block, an exemplar.
 *
 * All of this runs once per distinct entry, when it is interned, and lexes the bytes again; nothing is kept from the
 * first time. Results are in the caller's arena or point into the raw bytes.
 *
 * `le` of a histogram and `quantile` of a summary are numbers that exporters write differently ("1", "1.0", "1e0");
 * they are brought to OpenMetrics' form, always with a point or an exponent, if they parse as Go's ParseFloat does with
 * all its forms: hexadecimal floats and digits separated by '_' too, which values of samples may not use. Since the
 * TYPE in force decides whether that happens, two equal lines may be two series; `typed` tells that the type is part of
 * a line's identity: it has such a label and its value is not in the normal form already.
 */
#include <math.h>
#include <stdlib.h>

#include "base/num.h"
#include "base/quote.h"
#include "format/exposition_int.h"
#include "format/prom_proto.h"

/* ---- escapes ---- */

/* \\ and \n, and \" unless it is the text format's HELP; any other backslash stays. */
static struct str unescape(struct str s, bool quotes, struct arena *a)
{
    if (s.n == 0 || !memchr(s.p, '\\', s.n))
        return s;
    char *out = arena_alloc(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char next = s.p[i] == '\\' && i + 1 < s.n ? s.p[i + 1] : 0;
        if (next == '\\' || next == 'n' || (next == '"' && quotes)) {
            out[n++] = next == 'n' ? '\n' : next;
            i++;
            continue;
        }
        out[n++] = s.p[i];
    }
    out[n] = '\0';
    return str_from(out, n);
}

/* ---- numbers in labels ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Go: an underscore stands between digits, or between a base prefix and a digit. Removes them from text[0..*n). */
static bool drop_underscores(char *text, size_t *n)
{
    size_t i = *n > 0 && (text[0] == '-' || text[0] == '+'), out = i;
    bool hex = *n - i >= 2 && text[i] == '0' && (text[i + 1] | 32) == 'x';
    char before = '^';
    if (hex) {
        i += 2;
        out += 2;
        before = '0';
    }
    for (; i < *n; i++) {
        char c = text[i];
        bool digit = (c >= '0' && c <= '9') || (hex && hex_digit(c) >= 0);
        if (c == '_' ? before != '0' : !digit && before == '_')
            return false;
        before = digit ? '0' : c == '_' ? '_' : '!';
        if (c != '_')
            text[out++] = c;
    }
    *n = out;
    return before != '_';
}

/* [+-] 0x hex digits [. hex digits] p [+-] digits. The long double holds 64 bits of it, the last of which remembers
 * whether anything was cut off, so the one rounding is the conversion to double. */
static bool parse_hex_float(struct str s, double *out)
{
    size_t i = s.n > 0 && (s.p[0] == '-' || s.p[0] == '+');
    uint64_t m = 0;
    long power = 0, written = 0;
    bool digits = false, point = false;
    if (s.n < i + 2 || s.p[i] != '0' || (s.p[i + 1] | 32) != 'x')
        return false;
    for (i += 2; i < s.n && ((s.p[i] == '.' && !point) || hex_digit(s.p[i]) >= 0); i++) {
        if (s.p[i] == '.') {
            point = true;
            continue;
        }
        digits = true;
        power -= point ? 4 : 0;
        if (m >> 60) {
            m |= hex_digit(s.p[i]) != 0;
            power += 4;
        } else {
            m = m << 4 | (uint64_t)hex_digit(s.p[i]);
        }
    }
    if (!digits || i + 1 >= s.n || (s.p[i] | 32) != 'p')
        return false;
    bool down = s.p[++i] == '-';
    i += down || s.p[i] == '+';
    if (i == s.n)
        return false;
    for (; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        written = written < 100000 ? written * 10 + (s.p[i] - '0') : written;
    }
    double v = (double)ldexpl((long double)m, (int)(power + (down ? -written : written)));
    *out = s.p[0] == '-' ? -v : v;
    return isfinite(v);
}

enum { LABEL_NUMBER_MAX = 1024 }; /* a number longer than this is left as it is */

static bool parse_label_number(struct str s, double *out)
{
    char text[LABEL_NUMBER_MAX];
    if (num_parse_double(s, out) == OK)
        return true;
    if (s.n == 0 || s.n > sizeof(text))
        return false;
    memcpy(text, s.p, s.n);
    size_t n = s.n;
    if (memchr(text, '_', n) && !drop_underscores(text, &n))
        return false;
    s = str_from(text, n);
    return num_parse_double(s, out) == OK || parse_hex_float(s, out);
}

struct str expo_print_label_number(double v, struct arena *a)
{
    char text[40];
    size_t n = num_print_double(v == 0 ? 0.0 : v, text);
    if (isfinite(v) && !memchr(text, '.', n) && !memchr(text, 'e', n)) {
        memcpy(text + n, ".0", 2);
        n += 2;
    }
    return str_dup(a, str_from(text, n));
}

static struct str normal_number(struct str value, struct arena *a)
{
    double v;
    return parse_label_number(value, &v) ? expo_print_label_number(v, a) : value;
}

/* ---- labels ---- */

static int compare_names(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static struct label make_label(struct expo_pair pair, enum metric_type type, struct arena *a, bool *typed)
{
    struct label l = {unescape(pair.name, true, a), unescape(pair.value, true, a)};
    bool le = str_eq(l.name, STR("le"));
    if (!le && !str_eq(l.name, STR("quantile")))
        return l;
    struct str normal = normal_number(l.value, a);
    if (str_eq(normal, l.value))
        return l;
    *typed = true;
    if (type == (le ? TYPE_HISTOGRAM : TYPE_SUMMARY))
        l.value = normal;
    return l;
}

enum err expo_sort_labels(struct label *v, uint32_t *n, struct diag *d)
{
    uint32_t out = 0;
    qsort(v, *n, sizeof(*v), compare_names);
    for (uint32_t i = 0, end; i < *n; i = end) {
        bool empty = v[i].value.n == 0;
        for (end = i + 1; end < *n && str_eq(v[end].name, v[i].name); end++)
            empty |= v[end].value.n == 0;
        if (end > i + 1 && !empty)
            return diag_set(d, ERR_SYNTAX, "label name \"%.*s\" is not unique: invalid sample", STR_ARGS(v[i].name));
        v[out] = v[i];
        if (empty)
            v[out].value = STR("");
        out++;
    }
    *n = out;
    return OK;
}

enum err exposition_labels(struct str raw, enum exposition_kind kind, enum metric_type type, struct arena *a,
                           struct labels *out, bool *typed, struct diag *d)
{
    /* OpenMetrics' separating blank belongs to the value's token. */
    size_t size = raw.n - (kind == EXPOSITION_OPENMETRICS && raw.n > 0);
    struct expo_lexer l = {.b = (const unsigned char *)raw.p, .n = size, .kind = kind};
    struct expo_pairs pairs = {.arena = a};
    struct expo_entry entry;
    *typed = false;
    *out = (struct labels){0};
    /* It must fail for want of a value, and for nothing else. */
    if (expo_parse_entry(&l, &entry, &pairs) == OK || l.i < size || l.state != IN_VALUE || !pairs.has_name)
        return diag_set(d, ERR_SYNTAX, "not the raw bytes of a series");
    struct label *v = ARENA_ARRAY(a, struct label, pairs.n + 1);
    uint32_t n = 0;
    v[n++] = (struct label){LABEL_NAME, unescape(pairs.name, true, a)};
    for (size_t i = 0; i < pairs.n; i++)
        v[n++] = make_label(pairs.v[i], type, a, typed);
    enum err err = expo_sort_labels(v, &n, d);
    *out = (struct labels){v, n};
    return err;
}

/* ---- exemplars ---- */

enum err exposition_exemplar(struct str exemplar, struct arena *a, struct exposition_exemplar *out)
{
    *out = (struct exposition_exemplar){0};
    if (exemplar.n == 0 || exemplar.p[0] != '{')
        return ERR_SYNTAX;
    char *line = arena_alloc(a, exemplar.n + 1);
    memcpy(line, exemplar.p, exemplar.n);
    line[exemplar.n] = '\n';
    struct expo_lexer l = {
        .b = (unsigned char *)line, .n = exemplar.n + 1, .i = 1, .state = IN_EXEMPLAR, .kind = EXPOSITION_OPENMETRICS};
    struct expo_pairs pairs = {.arena = a};
    enum err err = expo_parse_exemplar(&l, &pairs, out);
    if (err)
        return err;
    struct label *v = ARENA_ARRAY(a, struct label, pairs.n + 1);
    for (size_t i = 0; i < pairs.n; i++)
        v[i] = (struct label){pairs.v[i].name, pairs.v[i].value};
    qsort(v, pairs.n, sizeof(*v), compare_names);
    out->labels = (struct labels){v, (uint32_t)pairs.n};
    return OK;
}

/* ---- families ---- */

struct family_list {
    struct arena *arena;
    struct family *v;
    uint32_t n, cap;
};

static struct family *family_named(struct family_list *list, struct str name)
{
    if (list->n > 0 && str_eq(list->v[list->n - 1].name, name))
        return &list->v[list->n - 1];
    if (list->n == list->cap) {
        uint32_t cap = list->cap ? list->cap * 2 : 4;
        struct family *v = ARENA_ARRAY(list->arena, struct family, cap);
        if (list->n)
            memcpy(v, list->v, list->n * sizeof(*v));
        list->v = v;
        list->cap = cap;
    }
    list->v[list->n] = (struct family){.name = name, .type = TYPE_UNKNOWN};
    return &list->v[list->n++];
}

void exposition_families(struct str block, enum exposition_kind kind, struct arena *a, struct family **out, uint32_t *n)
{
    if (kind == EXPOSITION_PROTO) {
        *out = ARENA_NEW(a, struct family);
        *n = 1;
        prom_proto_family(block, *out);
        return;
    }
    struct expo_lexer l = {.b = (const unsigned char *)block.p, .n = block.n, .kind = kind};
    struct family_list list = {.arena = a};
    struct expo_pairs pairs = {0};
    struct expo_entry entry;
    while (l.i < l.n && expo_parse_entry(&l, &entry, &pairs) == OK && entry.kind != ENTRY_EOF) {
        if (entry.kind == ENTRY_COMMENT || entry.kind == ENTRY_SERIES)
            continue;
        struct family *f = family_named(&list, entry.name);
        if (entry.kind == ENTRY_TYPE)
            f->type = entry.type;
        else if (entry.kind == ENTRY_UNIT)
            f->unit = entry.text;
        else
            f->help = unescape(entry.text, kind == EXPOSITION_OPENMETRICS, a);
    }
    *out = list.v;
    *n = list.n;
}
