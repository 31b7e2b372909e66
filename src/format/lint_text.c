/* lint_text: the text format as prometheus/common's expfmt reads it, which is what promtool lints.
 *
 * That parser and the scraper's differ: this one demands a newline at the end, takes blanks in more places, knows
 * `gauge_histogram`, refuses a second HELP or TYPE, and gathers the lines of a histogram or summary into one metric.
 * Since its judgement is what people compare with, its set is followed, byte by byte, and so are its words.
 *
 *   line = [blanks] ( "#" comment | name [labels] value [timestamp] | "{" quoted name, labels "}" ... ) newline
 *
 * One cursor over the bytes; c is the byte last read, as in the original, and `ended` says that there was none. Each
 * function returns OK, or notes what is wrong at the cursor.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/quote.h"
#include "format/lint_int.h"

enum { MAX_LABELS = 10000 };

struct reader {
    const char *p, *end, *line_start;
    uint32_t line;
    char c; /* the byte before p */
    bool utf8_names, in_braces, name_in_braces;
    struct buf token;
    struct lint_groups *groups;
    size_t group; /* index; SIZE_MAX: none yet */
    bool is_count, is_sum;
    double part;          /* le or quantile; NaN: none */
    struct label *labels; /* of this line, those that count */
    size_t n_labels, labels_cap;
    uint32_t col; /* where this line's series begins */
    struct diag *d;
};

#define TRY(expr)                                                                                                      \
    do {                                                                                                               \
        enum err try_err_ = (expr);                                                                                    \
        if (try_err_)                                                                                                  \
            return try_err_;                                                                                           \
    } while (0)

static enum err fail(struct reader *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
static enum err fail(struct reader *r, const char *fmt, ...)
{
    char text[400];
    va_list args;
    int col = (int)(r->p - r->line_start);

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return diag_at(r->d, ERR_SYNTAX, NULL, (int)r->line, col > 0 ? col : 1, "%s", text);
}

static const char *quoted(struct reader *r, struct str s)
{
    AUTO_BUF text = {0};

    buf_quote(&text, str_from(s.p, s.n > 200 ? 200 : s.n));
    return str_dup(r->groups->arena, buf_view(&text)).p;
}

static const char *quoted_byte(struct reader *r)
{
    if (r->c == '\'' || r->c == '"') /* Go escapes what it puts around it, and only that */
        return r->c == '"' ? "'\"'" : "'\\''";
    const char *text = quoted(r, str_from(&r->c, 1));
    char *copy = arena_memdup(r->groups->arena, text, strlen(text) + 1);

    copy[0] = copy[strlen(copy) - 1] = '\'';
    return copy;
}

static const char *token_quoted(struct reader *r)
{
    return quoted(r, buf_view(&r->token));
}

static struct lint_group *group(struct reader *r)
{
    return r->group == SIZE_MAX ? NULL : &r->groups->v[r->group];
}

static const char *group_quoted(struct reader *r)
{
    return quoted(r, group(r) ? group(r)->name : STR(""));
}

/* ---- bytes ---- */

static enum err next(struct reader *r)
{
    if (r->p == r->end)
        return fail(r, "unexpected end of input stream");
    r->c = *r->p++;
    return OK;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static enum err skip_blanks(struct reader *r)
{
    do {
        TRY(next(r));
    } while (is_blank(r->c));
    return OK;
}

static enum err skip_blanks_if_at_one(struct reader *r)
{
    return is_blank(r->c) ? skip_blanks(r) : OK;
}

static enum err word(struct reader *r)
{
    buf_clear(&r->token);
    while (!is_blank(r->c) && r->c != '\n') {
        buf_char(&r->token, r->c);
        TRY(next(r));
    }
    return OK;
}

static enum err escape(struct reader *r)
{
    if (r->c != '\\' && r->c != 'n' && r->c != '"')
        return fail(r, "invalid escape sequence '\\%c'", r->c);
    buf_char(&r->token, r->c == 'n' ? '\n' : r->c);
    return OK;
}

static enum err rest_of_line(struct reader *r, bool escapes)
{
    bool escaped = false;

    for (buf_clear(&r->token);;) {
        if (escapes && escaped) {
            TRY(escape(r));
            escaped = false;
        } else if (r->c == '\n') {
            return OK;
        } else if (r->c == '\\') {
            escaped = true;
        } else {
            buf_char(&r->token, r->c);
        }
        TRY(next(r));
    }
}

static bool starts_label(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '"';
}

/* A name, bare or in quotes; `what` for messages. */
static enum err name(struct reader *r, bool metric, const char *what)
{
    bool in_quotes = false, escaped = false;

    buf_clear(&r->token);
    if (!starts_label(r->c) && !(metric && r->c == ':'))
        return OK;
    for (;;) {
        if (escaped) {
            TRY(escape(r));
            escaped = false;
        } else if (r->c == '"') {
            in_quotes = !in_quotes;
            if (!in_quotes)
                return next(r);
        } else if (r->c == '\n') {
            return fail(r, "%s name %s contains unescaped new-line", what, token_quoted(r));
        } else if (r->c == '\\') {
            escaped = true;
        } else {
            buf_char(&r->token, r->c);
        }
        TRY(next(r));
        if (!in_quotes && !starts_label(r->c) && !(r->c >= '0' && r->c <= '9') && r->c != (metric ? ':' : '_'))
            return OK;
    }
}

static enum err label_value(struct reader *r)
{
    bool escaped = false;

    for (buf_clear(&r->token);;) {
        TRY(next(r));
        if (escaped) {
            TRY(escape(r));
            escaped = false;
        } else if (r->c == '"') {
            return OK;
        } else if (r->c == '\n') {
            return fail(r, "label value %s contains unescaped new-line", token_quoted(r));
        } else if (r->c == '\\') {
            escaped = true;
        } else {
            buf_char(&r->token, r->c);
        }
    }
}

/* Go's ParseFloat without exponents of two and underscores. */
static bool parse_float(struct str s, double *out)
{
    return num_parse_double(s, out) == OK;
}

/* ---- families ---- */

static bool cut_end(struct str s, struct str end, struct str *out)
{
    if (s.n <= end.n || !str_ends(s, end))
        return false;
    *out = str_from(s.p, s.n - end.n);
    return true;
}

static bool is_histogram(const struct lint_group *g)
{
    return g && (g->type == LINT_HISTOGRAM || g->type == LINT_GAUGE_HISTOGRAM);
}

/* The histogram or summary that a line of this name belongs to, if it is one of it. */
static bool set_owner(struct reader *r, struct str full)
{
    struct str base;
    bool count = cut_end(full, STR("_count"), &base), sum = !count && cut_end(full, STR("_sum"), &base);
    struct lint_group *g = lint_groups_find(r->groups, count || sum ? base : full);

    if (g && g->has_type && g->type == LINT_SUMMARY)
        goto found;
    if (!count && !sum)
        g = cut_end(full, STR("_bucket"), &base) ? lint_groups_find(r->groups, base) : g;
    if (!is_histogram(g))
        return false;
found:
    r->group = (size_t)(g - r->groups->v);
    r->is_count = count;
    r->is_sum = sum;
    return true;
}

static enum err set_group(struct reader *r)
{
    struct str full = buf_view(&r->token);

    r->is_count = r->is_sum = false;
    if (r->utf8_names ? full.n == 0 || !str_is_utf8(full) : !metric_name_is_legacy(full))
        return fail(r, "invalid metric name %s", token_quoted(r));
    struct lint_group *g = lint_groups_find(r->groups, full);
    if (!g && set_owner(r, full))
        return OK;
    if (!g)
        g = lint_groups_add(r->groups, full, r->line, r->col);
    r->group = (size_t)(g - r->groups->v);
    return OK;
}

/* ---- comments ---- */

static enum err help_line(struct reader *r)
{
    if (group(r)->has_help)
        return fail(r, "second HELP line for metric name %s", group_quoted(r));
    TRY(rest_of_line(r, true));
    group(r)->has_help = true;
    return OK;
}

static enum err type_line(struct reader *r)
{
    static const struct {
        const char *name;
        enum lint_type type;
    } types[] = {{"counter", LINT_COUNTER},
                 {"gauge", LINT_GAUGE},
                 {"summary", LINT_SUMMARY},
                 {"untyped", LINT_UNTYPED},
                 {"histogram", LINT_HISTOGRAM},
                 {"gauge_histogram", LINT_GAUGE_HISTOGRAM},
                 {"gaugehistogram", LINT_GAUGE_HISTOGRAM}};

    if (group(r)->has_type)
        return fail(r, "second TYPE line for metric name %s, or TYPE reported after samples", group_quoted(r));
    TRY(rest_of_line(r, false));
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (str_eq_nocase(buf_view(&r->token), str_c(types[i].name))) {
            group(r)->type = types[i].type;
            group(r)->has_type = true;
            return OK;
        }
    }
    return fail(r, "unknown metric type %s", token_quoted(r));
}

static enum err comment(struct reader *r)
{
    TRY(skip_blanks(r));
    if (r->c == '\n')
        return OK;
    TRY(word(r));
    if (r->c == '\n')
        return OK;
    bool help = str_eq(buf_view(&r->token), STR("HELP"));
    if (!help && !str_eq(buf_view(&r->token), STR("TYPE"))) {
        while (r->c != '\n')
            TRY(next(r));
        return OK;
    }
    TRY(skip_blanks(r));
    TRY(name(r, true, "metric"));
    if (r->c == '\n')
        return OK;
    if (!is_blank(r->c))
        return fail(r, "invalid metric name in comment");
    TRY(set_group(r));
    TRY(skip_blanks(r));
    if (r->c == '\n')
        return OK;
    return help ? help_line(r) : type_line(r);
}

/* ---- series ---- */

/* A line's first word about a family settles its type. */
static enum err begin_series(struct reader *r)
{
    TRY(set_group(r));
    group(r)->has_type = true;
    return OK;
}

static enum err add_label(struct reader *r, struct str label_name, struct str value)
{
    if (r->n_labels >= MAX_LABELS)
        return fail(r, "more than %d labels", MAX_LABELS);
    r->labels = mem_grow(r->labels, &r->labels_cap, r->n_labels + 1, sizeof(*r->labels));
    r->labels[r->n_labels++] = (struct label){label_name, value};
    return OK;
}

static bool is_part(const struct lint_group *g, struct str label_name)
{
    if (!g)
        return false;
    return (g->type == LINT_SUMMARY && str_eq(label_name, STR("quantile"))) ||
           (is_histogram(g) && str_eq(label_name, STR("le")));
}

static enum err check_label(struct reader *r, struct str label_name)
{
    if (str_eq(label_name, STR("__name__")))
        return fail(r, "label name \"__name__\" is reserved");
    if (r->utf8_names ? !str_is_utf8(label_name) : !label_name_is_legacy(label_name))
        return fail(r, "invalid label name %s", quoted(r, label_name));
    for (size_t i = 0; i < r->n_labels; i++)
        if (str_eq(r->labels[i].name, label_name))
            return fail(r, "duplicate label names for metric %s", group_quoted(r));
    return OK;
}

/* Behind "=". The cursor ends behind the value's closing quote and the blanks that follow. */
static enum err read_label(struct reader *r, struct str label_name)
{
    bool part = is_part(group(r), label_name);

    TRY(check_label(r, label_name));
    TRY(skip_blanks(r));
    if (r->c != '"')
        return fail(r, "expected '\"' at start of label value, found %s", quoted_byte(r));
    TRY(label_value(r));
    if (!str_is_utf8(buf_view(&r->token)))
        return fail(r, "invalid label value %s", token_quoted(r));
    if (part && !parse_float(buf_view(&r->token), &r->part))
        return fail(r, "expected float as value for '%s' label, got %s",
                    group(r)->type == LINT_SUMMARY ? "quantile" : "le", token_quoted(r));
    if (!part)
        TRY(add_label(r, label_name, str_dup(r->groups->arena, buf_view(&r->token))));
    return skip_blanks(r);
}

/* A name that stands among the labels: the metric's. */
static enum err name_in_braces(struct reader *r)
{
    if (r->name_in_braces)
        return fail(r, "multiple metric names for metric %s", group_quoted(r));
    if (r->c != ',' && r->c != '}')
        return fail(r, "unexpected end of metric name %s", quoted_byte(r));
    TRY(begin_series(r));
    r->name_in_braces = true;
    return OK;
}

/* At "{". */
static enum err read_labels(struct reader *r)
{
    for (;;) {
        TRY(skip_blanks(r));
        if (r->c == '}')
            break;
        TRY(name(r, false, "label"));
        if (r->token.n == 0)
            return fail(r, "invalid label name for metric %s", group_quoted(r));
        TRY(skip_blanks_if_at_one(r));
        if (r->c == '=') {
            TRY(read_label(r, str_dup(r->groups->arena, buf_view(&r->token))));
            if (r->c != ',' && r->c != '}')
                return fail(r, "unexpected end of label value %s", token_quoted(r));
        } else if (r->in_braces) {
            TRY(name_in_braces(r));
        } else {
            return fail(r, "expected '=' after label name, found %s", quoted_byte(r));
        }
        if (r->c == '}')
            break;
    }
    if (!group(r) || (r->in_braces && !r->name_in_braces))
        return fail(r, "invalid metric name");
    return skip_blanks(r);
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

/* Of a histogram or summary, the metric that this line is a part of; else a new one. */
static struct lint_metric *find_metric(struct reader *r)
{
    struct arena *a = r->groups->arena;
    struct lint_group *g = group(r);
    struct labels labels = {r->n_labels ? arena_memdup(a, r->labels, r->n_labels * sizeof(*r->labels)) : NULL,
                            (uint32_t)r->n_labels};

    if (g->type != LINT_SUMMARY && !is_histogram(g))
        return lint_group_add(r->groups, g, labels, NULL, r->line, r->col);
    struct label *sorted = r->n_labels ? arena_memdup(a, r->labels, r->n_labels * sizeof(*r->labels)) : NULL;
    if (sorted)
        qsort(sorted, r->n_labels, sizeof(*sorted), by_name);
    struct labels in_order = {sorted, labels.n};
    struct lint_metric *m = lint_group_find(g, in_order);
    return m ? m : lint_group_add(r->groups, g, labels, &in_order, r->line, r->col);
}

static enum err take_value(struct reader *r, double value)
{
    struct lint_metric *m = find_metric(r);
    bool histogram = is_histogram(group(r)), part = !r->is_count && !r->is_sum && !isnan(r->part);

    if (histogram && r->is_count && value < 0)
        return fail(r, "negative count for histogram %s", group_quoted(r));
    if (histogram && part && value < 0)
        return fail(r, "negative bucket population for histogram %s", group_quoted(r));
    if ((histogram || group(r)->type == LINT_SUMMARY) && part)
        m->parts++;
    if (r->groups->n_metrics > LINT_MAX_METRICS)
        return diag_at(r->d, ERR_LIMIT, NULL, (int)r->line, 1, "more than %d series", LINT_MAX_METRICS);
    return OK;
}

static enum err read_timestamp(struct reader *r)
{
    int64_t ms;

    TRY(skip_blanks(r));
    TRY(word(r));
    if (num_parse_i64(buf_view(&r->token), &ms))
        return fail(r, "expected integer as timestamp, got %s", token_quoted(r));
    TRY(rest_of_line(r, false));
    if (r->token.n)
        return fail(r, "spurious string after timestamp: %s", token_quoted(r));
    return OK;
}

/* From the first byte of the value. */
static enum err read_value(struct reader *r)
{
    double value;

    TRY(word(r));
    if (!parse_float(buf_view(&r->token), &value))
        return fail(r, "expected float as value, got %s", token_quoted(r));
    TRY(take_value(r, value));
    return r->c == '\n' ? OK : read_timestamp(r);
}

static enum err series(struct reader *r)
{
    r->in_braces = r->c == '{';
    r->name_in_braces = false;
    r->part = NAN;
    r->n_labels = 0;
    if (!r->in_braces) {
        TRY(name(r, true, "metric"));
        if (r->token.n == 0)
            return fail(r, "invalid metric name");
        TRY(begin_series(r));
        TRY(skip_blanks_if_at_one(r));
    }
    if (r->c == '{')
        TRY(read_labels(r));
    return read_value(r);
}

static enum err read_lines(struct reader *r)
{
    for (;;) {
        r->line++;
        r->line_start = r->p;
        do {
            if (r->p == r->end)
                return OK;
            r->c = *r->p++;
        } while (is_blank(r->c));
        r->col = (uint32_t)(r->p - r->line_start);
        if (r->c != '\n')
            TRY(r->c == '#' ? comment(r) : series(r));
    }
}

enum err lint_text(struct str body, bool utf8_names, struct arena *a, struct lint_report *out, struct diag *d)
{
    struct lint_groups groups = {.arena = a};
    struct reader r = {.p = body.p,
                       .end = body.p + body.n,
                       .line_start = body.p,
                       .utf8_names = utf8_names,
                       .groups = &groups,
                       .group = SIZE_MAX,
                       .d = d};
    enum err err = read_lines(&r);

    *out = (struct lint_report){0};
    if (!err)
        lint_rules(&groups, a, out);
    buf_release(&r.token);
    free(r.labels);
    lint_groups_release(&groups);
    return err;
}
