/* openmetrics_line: see the header.
 *
 *   sample    = metricname ["{" [label *("," label)] "}"] SP number [SP timestamp] [" # " labels SP number [SP
 * timestamp]] label     = label-name "=" DQUOTE *(any but newline, quote, backslash / "\" any but newline) DQUOTE
 *   number    = realnumber / [sign] ("inf" / "infinity") / "nan"         in any case
 *   timestamp = realnumber = [sign] 1*DIGIT ["." *DIGIT] ["e" [sign] 1*DIGIT] / [sign] *DIGIT "." 1*DIGIT [exponent]
 *
 * There is one blank where SP stands and none anywhere else. A backslash before anything but n, a quote or a backslash
 * stands for itself. The labels and values of an exemplar have at most 128 characters together.
 */
#include "format/openmetrics_line_int.h"

#include <string.h>

#include "base/mem.h"
#include "base/num.h"

enum { MAX_LABELS = 10000, EXEMPLAR_CHARACTERS = 128 };

struct reader {
    struct str line;
    size_t i;
    struct arena *arena;
    const char *why;
};

static bool fail(struct reader *r, const char *why)
{
    r->why = why;
    return false;
}

static char at(const struct reader *r)
{
    return r->i < r->line.n ? r->line.p[r->i] : '\n'; /* a line holds no newline */
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool openmetrics_is_metric_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_letter(s.p[i]) && s.p[i] != ':' && !(i && is_digit(s.p[i])))
            return false;
    return s.n > 0;
}

static struct str take_name(struct reader *r, bool metric)
{
    size_t from = r->i;

    while (is_letter(at(r)) || (metric && at(r) == ':') || (r->i > from && is_digit(at(r))))
        r->i++;
    return str_from(r->line.p + from, r->i - from);
}

static struct str take_word(struct reader *r)
{
    size_t from = r->i;

    while (at(r) != '\n' && at(r) != ' ')
        r->i++;
    return str_from(r->line.p + from, r->i - from);
}

/* ---- numbers ---- */

static size_t skip_digits(struct str s, size_t i)
{
    while (i < s.n && is_digit(s.p[i]))
        i++;
    return i;
}

static bool is_real_number(struct str s)
{
    size_t i = s.n && (s.p[0] == '+' || s.p[0] == '-'), whole = i, digits;

    i = skip_digits(s, i);
    digits = i - whole;
    if (i < s.n && s.p[i] == '.') {
        size_t from = i + 1;
        i = skip_digits(s, from);
        digits += i - from;
    }
    if (digits == 0)
        return false;
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        i++;
        i += i < s.n && (s.p[i] == '+' || s.p[i] == '-');
        size_t from = i;
        i = skip_digits(s, i);
        if (i == from)
            return false;
    }
    return i == s.n;
}

static bool real_number(struct str s, double *out)
{
    enum err err = is_real_number(s) ? num_parse_double(s, out) : ERR_SYNTAX;
    return err == OK || err == ERR_LIMIT; /* beyond a double's range it is an infinity, and well-formed */
}

bool openmetrics_number(struct str s, double *out)
{
    struct str bare = s.n && (s.p[0] == '+' || s.p[0] == '-') ? str_from(s.p + 1, s.n - 1) : s;
    bool special =
        str_eq_nocase(bare, STR("inf")) || str_eq_nocase(bare, STR("infinity")) || str_eq_nocase(s, STR("nan"));

    return special ? num_parse_double(s, out) == OK : real_number(s, out);
}

/* ---- labels ---- */

static bool take_value(struct reader *r, struct str *out)
{
    char *text = arena_alloc(r->arena, r->line.n - r->i + 1);
    size_t n = 0;

    if (at(r) != '"')
        return fail(r, "a label's value begins with a quote");
    for (r->i++; at(r) != '"'; r->i++) {
        if (at(r) == '\n')
            return fail(r, "a label's value has no closing quote");
        if (at(r) == '\\') {
            r->i++;
            char c = at(r);
            if (c == '\n')
                return fail(r, "a label's value has no closing quote");
            if (c != '\\' && c != '"' && c != 'n')
                text[n++] = '\\';
            text[n++] = c == 'n' ? '\n' : c;
        } else {
            text[n++] = at(r);
        }
    }
    r->i++;
    *out = str_from(text, n);
    return true;
}

static bool take_label(struct reader *r, struct label *l)
{
    if (at(r) == '"')
        return fail(r, "quoted names are not part of OpenMetrics 1.0");
    l->name = take_name(r, false);
    if (l->name.n == 0)
        return fail(r, at(r) == ',' || at(r) == '}' ? "a comma too many" : "a label's name is [a-zA-Z_][a-zA-Z0-9_]*");
    if (at(r) != '=')
        return fail(r, "a label's name is followed by \"=\", without a blank");
    r->i++;
    return take_value(r, &l->value);
}

static bool is_repeated(const struct label *v, uint32_t n, struct str name)
{
    for (uint32_t i = 0; i < n; i++)
        if (str_eq(v[i].name, name))
            return true;
    return false;
}

/* From "{" through "}". */
static bool take_labels(struct reader *r, struct label **out, uint32_t *n_out)
{
    struct label *v = NULL;
    uint32_t n = 0, cap = 0;

    for (r->i++; at(r) != '}' || n;) {
        size_t from = r->i;
        if (n == cap) {
            struct label *grown = ARENA_ARRAY(r->arena, struct label, cap = cap ? cap * 2 : 8);
            if (n)
                memcpy(grown, v, n * sizeof(*v));
            v = grown;
        }
        if (!take_label(r, &v[n]))
            return false;
        if (is_repeated(v, n, v[n].name)) {
            r->i = from;
            return fail(r, "this label occurs twice");
        }
        if (++n >= MAX_LABELS)
            return fail(r, "more than 10000 labels");
        if (at(r) == '}')
            break;
        if (at(r) != ',')
            return fail(r, "labels are separated by one comma, without a blank");
        r->i++;
    }
    r->i++;
    *out = v;
    *n_out = n;
    return true;
}

/* ---- the rest of a line ---- */

static bool take_number(struct reader *r, double *out, const char *missing)
{
    size_t from = r->i + 1;

    if (at(r) != ' ')
        return fail(r, missing);
    r->i++;
    struct str word = take_word(r);
    if (openmetrics_number(word, out))
        return true;
    r->i = from;
    return fail(r, word.n ? "this is not a number of OpenMetrics" : "one blank separates, and a number follows it");
}

static bool take_timestamp(struct reader *r, double *out)
{
    size_t from = ++r->i;
    struct str word = take_word(r);

    if (real_number(word, out))
        return true;
    r->i = from;
    return fail(r, "a timestamp is a number of seconds");
}

static uint64_t characters(struct str s)
{
    uint64_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

/* Behind " # ". */
static bool take_exemplar(struct reader *r)
{
    struct label *labels;
    uint32_t n;
    uint64_t sum = 0;
    double ignored;
    size_t from = r->i;

    if (at(r) != '{')
        return fail(r, "an exemplar begins with its labels");
    if (!take_labels(r, &labels, &n))
        return false;
    for (uint32_t i = 0; i < n; i++)
        sum += characters(labels[i].name) + characters(labels[i].value);
    if (sum > EXEMPLAR_CHARACTERS) {
        r->i = from;
        return fail(r, "the names and values of an exemplar's labels have more than 128 characters");
    }
    if (!take_number(r, &ignored, "an exemplar has a value, after one blank"))
        return false;
    return at(r) != ' ' || take_timestamp(r, &ignored);
}

static bool take_sample(struct reader *r, struct openmetrics_line *out)
{
    if (at(r) == '{')
        return fail(r, "quoted names are not part of OpenMetrics 1.0");
    out->name = take_name(r, true);
    if (out->name.n == 0)
        return fail(r, "a metric's name is [a-zA-Z_:][a-zA-Z0-9_:]*");
    if (at(r) == '{' && !take_labels(r, &out->labels, &out->n_labels))
        return false;
    out->value_at = r->i + 1;
    if (!take_number(r, &out->value, "a blank and the value follow the name and labels"))
        return false;
    bool exemplar = at(r) == ' ' && r->i + 1 < r->line.n && r->line.p[r->i + 1] == '#';
    if (at(r) == ' ' && !exemplar) {
        out->timestamp_at = r->i + 1;
        out->has_timestamp = true;
        if (!take_timestamp(r, &out->timestamp))
            return false;
        exemplar = at(r) == ' ' && r->i + 1 < r->line.n && r->line.p[r->i + 1] == '#';
    }
    if (exemplar) {
        out->exemplar_at = r->i + 1;
        out->has_exemplar = true;
        r->i += 2;
        if (at(r) != ' ')
            return fail(r, "an exemplar is set off by \" # \"");
        r->i++;
        if (!take_exemplar(r))
            return false;
    }
    return r->i == r->line.n || fail(r, "something follows where the line should end");
}

bool openmetrics_line_parse(struct str line, struct arena *a, struct openmetrics_line *out, size_t *where,
                            const char **why)
{
    struct reader r = {.line = line, .arena = a};

    *out = (struct openmetrics_line){0};
    bool good = take_sample(&r, out);
    *where = r.i;
    *why = r.why;
    return good;
}
