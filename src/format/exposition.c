/* exposition: from tokens to entries, values and errors.
 *
 * This is the slow half of reading a page: what a scrape has not predicted (see exposition.h for how the halves meet).
 * It follows the grammar of Prometheus' two text parsers (model/textparse/{prom,openmetrics}parse.go, version 3.15),
 * which differ in their tokens (prom_text.c, openmetrics.c) and in little else:
 *
 *                             text                                    OpenMetrics
 *     input ends              anywhere, or at a NUL; a final          with # EOF and nothing behind it
 *                             newline is supplied
 *     comments                any                                     HELP, TYPE, UNIT only
 *     comma between labels    may be missing                          must be there
 *     timestamp               digits: milliseconds                    number: seconds
 *     exemplar                none                                    # {labels} value [timestamp]
 *     type words              5 of them                               8
 *
 * A metric's name begins where its line begins: in the text format blanks before a name are part of the name.
 *
 * Numbers are Go's ParseFloat without 'p', 'P' and '_'; out of range is an error. A timestamp that does not fit 64 bits
 * of milliseconds becomes INT64_MIN, as the conversion does on the original's platforms.
 *
 * Positions of an error: the text is the original's, the line is counted only when there is an error to report.
 */
#include "format/exposition.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/quote.h"
#include "format/exposition_int.h"
#include "model/batch.h"

enum { ERROR_QUOTE_MAX = 300 }; /* bytes of input in an error text: it is cut at 512 anyway */

const double exposition_pow10[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                     1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* ---- errors ---- */

const char *expo_token_name(enum expo_token t)
{
    static const char *const names[] = {
        [TOK_INVALID] = "INVALID",     [TOK_EOF] = "EOF",
        [TOK_LINEBREAK] = "LINEBREAK", [TOK_WHITESPACE] = "WHITESPACE",
        [TOK_HELP] = "HELP",           [TOK_TYPE] = "TYPE",
        [TOK_UNIT] = "UNIT",           [TOK_EOF_WORD] = "EOFWORD",
        [TOK_TEXT] = "TEXT",           [TOK_COMMENT] = "COMMENT",
        [TOK_METRIC_NAME] = "MNAME",   [TOK_QUOTED] = "QSTRING",
        [TOK_BRACE_OPEN] = "BOPEN",    [TOK_BRACE_CLOSE] = "BCLOSE",
        [TOK_LABEL_NAME] = "LNAME",    [TOK_LABEL_VALUE] = "LVALUE",
        [TOK_COMMA] = "COMMA",         [TOK_EQUAL] = "EQUAL",
        [TOK_TIMESTAMP] = "TIMESTAMP", [TOK_VALUE] = "VALUE",
    };
    return names[t];
}

static void set_line(struct expo_lexer *l)
{
    int line = 1;
    for (size_t i = 0; i < l->entry && i < l->n; i++)
        line += l->b[i] == '\n';
    l->diag->line = line;
}

enum err expo_fail(struct expo_lexer *l, const char *fmt, ...)
{
    char text[sizeof(l->diag->text) + 1];
    if (!l->diag)
        return ERR_SYNTAX;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    bool first = l->diag->text[0] == '\0';
    (void)diag_set(l->diag, ERR_SYNTAX, "%s", text);
    if (first)
        set_line(l);
    return ERR_SYNTAX;
}

static void quote_range(struct expo_lexer *l, struct buf *b, size_t from, size_t to)
{
    struct str s = expo_view(l, from, to);
    if (s.n > ERROR_QUOTE_MAX)
        s.n = ERROR_QUOTE_MAX;
    if (to <= l->n || l->kind != EXPOSITION_TEXT || s.n == ERROR_QUOTE_MAX) {
        buf_quote(b, s);
        return;
    }
    AUTO_BUF with_newline = {0}; /* the supplied one is part of the text */
    buf_str(&with_newline, s);
    buf_char(&with_newline, '\n');
    buf_quote(b, buf_view(&with_newline));
}

enum err expo_unexpected(struct expo_lexer *l, const char *expected, enum expo_token got)
{
    if (!l->diag)
        return ERR_SYNTAX;
    AUTO_BUF token = {0};
    AUTO_BUF entry = {0};
    size_t end = l->i + 1 < expo_size(l) ? l->i + 1 : expo_size(l);
    quote_range(l, &token, l->start, end);
    quote_range(l, &entry, l->entry, end);
    return expo_fail(l, "%s, got %s (\"%s\") while parsing: %s", expected, token.p, expo_token_name(got), entry.p);
}

enum err expo_fail_parsing(struct expo_lexer *l, const char *what)
{
    if (!l->diag)
        return ERR_SYNTAX;
    AUTO_BUF entry = {0};
    quote_range(l, &entry, l->entry, l->i);
    return expo_fail(l, "%s while parsing: %s", what, entry.p);
}

static enum err fail_quoted(struct expo_lexer *l, const char *before, struct str s, const char *after)
{
    if (!l->diag)
        return ERR_SYNTAX;
    AUTO_BUF quoted = {0};
    if (s.n > ERROR_QUOTE_MAX)
        s.n = ERROR_QUOTE_MAX;
    buf_quote(&quoted, s);
    return expo_fail(l, "%s%s%s", before, quoted.p, after);
}

/* ---- scanning, for both lexers ---- */

unsigned char expo_next_in_text(struct expo_lexer *l)
{
    size_t i = l->i;
    while (i < l->n && l->b[i] != '\n' && l->b[i] != 0)
        i++;
    l->i = i - 1;
    return expo_advance(l);
}

void expo_scan_name(struct expo_lexer *l, bool metric)
{
    unsigned char c;
    do
        c = expo_advance(l);
    while (expo_is_name_start(c) || expo_is_digit(c) || (metric && c == ':'));
}

bool expo_scan_quoted(struct expo_lexer *l, bool newlines)
{
    unsigned char c = expo_advance(l);
    while (c != '"') {
        if (c == 0 || (c == '\n' && !newlines))
            return false;
        if (c == '\\') {
            c = expo_advance(l);
            if (c == 0 || c == '\n')
                return false;
        }
        c = expo_advance(l);
    }
    expo_advance(l);
    return true;
}

bool expo_scan_word(struct expo_lexer *l, const char *word)
{
    for (unsigned char c = expo_at(l, l->i); *word; word++) {
        if (c != (unsigned char)*word)
            return false;
        c = expo_advance(l);
    }
    return true;
}

/* ---- labels ---- */

/* Without the first and the last byte, which usually are the quotes. */
static struct str inner(struct str s)
{
    return str_from(s.p + 1, s.n - 2);
}

static void keep_pair(struct expo_pairs *out, struct str name, struct str value)
{
    if (!out->arena)
        return;
    if (out->n == out->cap) {
        size_t cap = out->cap ? out->cap * 2 : 8;
        struct expo_pair *v = ARENA_ARRAY(out->arena, struct expo_pair, cap);
        if (out->n)
            memcpy(v, out->v, out->n * sizeof(*v));
        out->v = v;
        out->cap = cap;
    }
    out->v[out->n++] = (struct expo_pair){name, value};
}

/* A quoted string that is followed by a comma or the closing brace is the metric's name. */
static enum err take_metric_name(struct expo_lexer *l, bool exemplar, enum expo_token t, struct str name,
                                 struct expo_pairs *out)
{
    if (exemplar)
        return expo_unexpected(l, "expected label name", t);
    if (out->has_name) {
        if (!l->diag)
            return ERR_SYNTAX;
        AUTO_BUF entry = {0};
        quote_range(l, &entry, l->entry, l->i);
        return expo_fail(l, "metric name already set while parsing: %s", entry.p);
    }
    out->name = inner(name);
    out->has_name = true;
    return OK;
}

/* Behind a label's name: t is the token there, to be the equal sign. */
static enum err take_label_value(struct expo_lexer *l, enum expo_token t, struct str name, struct expo_pairs *out)
{
    if (t != TOK_EQUAL)
        return expo_unexpected(l, "expected equal", t);
    if ((t = expo_next_token(l)) != TOK_LABEL_VALUE)
        return expo_unexpected(l, "expected label value", t);
    struct str value = expo_lexeme(l);
    if (!str_is_utf8(value))
        return fail_quoted(l, "invalid UTF-8 label value: ", value, "");
    keep_pair(out, name.p[0] == '"' ? inner(name) : name, inner(value));
    return OK;
}

enum err expo_parse_pairs(struct expo_lexer *l, bool exemplar, struct expo_pairs *out)
{
    enum expo_token t = expo_next_token(l);
    while (t != TOK_BRACE_CLOSE) {
        struct str name = expo_lexeme(l);
        bool quoted = t == TOK_QUOTED;
        if (!quoted && t != TOK_LABEL_NAME)
            return expo_unexpected(l, "expected label name", t);
        t = expo_next_token(l);
        if (quoted && (t == TOK_COMMA || t == TOK_BRACE_CLOSE)) {
            enum err err = take_metric_name(l, exemplar, t, name, out);
            if (err)
                return err;
        } else {
            enum err err = take_label_value(l, t, name, out);
            if (err)
                return err;
            t = expo_next_token(l);
            if (l->kind == EXPOSITION_OPENMETRICS && t != TOK_COMMA && t != TOK_BRACE_CLOSE)
                return expo_unexpected(l, "expected comma or brace close", t);
        }
        if (t == TOK_COMMA)
            t = expo_next_token(l);
    }
    return OK;
}

/* ---- entries ---- */

static enum err parse_series(struct expo_lexer *l, enum expo_token t, struct expo_entry *out, struct expo_pairs *pairs)
{
    out->kind = ENTRY_SERIES;
    if (t == TOK_METRIC_NAME) {
        pairs->name = expo_view(l, l->entry, l->i);
        pairs->has_name = true;
        t = expo_next_token(l);
    }
    if (t == TOK_BRACE_OPEN) {
        enum err err = expo_parse_pairs(l, false, pairs);
        if (err)
            return err;
        size_t end = l->i;
        t = expo_next_token(l);
        if (!pairs->has_name) {
            if (!l->diag)
                return ERR_SYNTAX;
            AUTO_BUF entry = {0};
            quote_range(l, &entry, l->entry, t == TOK_EOF ? end : l->i);
            return expo_fail(l, "metric name not set while parsing: %s", entry.p);
        }
    }
    out->value = l->start + (l->kind == EXPOSITION_OPENMETRICS);
    if (t != TOK_VALUE)
        return expo_unexpected(l, "expected value after metric", t);
    return OK;
}

static enum err parse_type(struct expo_lexer *l, struct str word, enum metric_type *out)
{
    static const struct {
        const char *word;
        enum metric_type type;
        bool text, openmetrics;
    } types[] = {
        {"counter", TYPE_COUNTER, true, true},     {"gauge", TYPE_GAUGE, true, true},
        {"histogram", TYPE_HISTOGRAM, true, true}, {"summary", TYPE_SUMMARY, true, true},
        {"untyped", TYPE_UNKNOWN, true, false},    {"unknown", TYPE_UNKNOWN, false, true},
        {"info", TYPE_INFO, false, true},          {"gaugehistogram", TYPE_GAUGE_HISTOGRAM, false, true},
        {"stateset", TYPE_STATESET, false, true},
    };
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        bool there = l->kind == EXPOSITION_TEXT ? types[i].text : types[i].openmetrics;
        if (there && str_eq_c(word, types[i].word)) {
            *out = types[i].type;
            return OK;
        }
    }
    return fail_quoted(l, "invalid metric type ", word, "");
}

static enum err check_unit(struct expo_lexer *l, struct str name, struct str unit)
{
    if (unit.n == 0)
        return OK;
    if (str_ends(name, unit) && name.n > unit.n && name.p[name.n - unit.n - 1] == '_')
        return OK;
    AUTO_BUF metric = {0};
    if (name.n > ERROR_QUOTE_MAX)
        name.n = ERROR_QUOTE_MAX;
    buf_quote(&metric, name);
    AUTO_BUF after = {0};
    buf_printf(&after, " not a suffix of metric %s", metric.p);
    return fail_quoted(l, "unit ", unit, after.p);
}

/* Behind HELP, TYPE or UNIT. */
static enum err parse_meta(struct expo_lexer *l, enum expo_token what, struct expo_entry *out)
{
    char expected[40];
    enum expo_token t = expo_next_token(l);
    enum err err = OK;
    out->kind = what == TOK_HELP ? ENTRY_HELP : what == TOK_TYPE ? ENTRY_TYPE : ENTRY_UNIT;
    if (t != TOK_METRIC_NAME) {
        snprintf(expected, sizeof(expected), "expected metric name after %s", expo_token_name(what));
        return expo_unexpected(l, expected, t);
    }
    out->name = expo_lexeme(l);
    if (out->name.p[0] == '"')
        out->name = inner(out->name);
    t = expo_next_token(l);
    if (t != TOK_TEXT && l->kind == EXPOSITION_TEXT)
        return expo_fail(l, "expected text in %s, got %s", expo_token_name(what), expo_token_name(t));
    if (t != TOK_TEXT)
        return expo_fail(l, "expected text in %s", expo_token_name(what));
    out->text = expo_lexeme(l);
    if (l->kind == EXPOSITION_OPENMETRICS)
        out->text = inner(out->text);
    else if (out->text.n > 0)
        out->text = str_from(out->text.p + 1, out->text.n - 1);
    if (what == TOK_TYPE)
        err = parse_type(l, out->text, &out->type);
    else if (what == TOK_UNIT)
        err = check_unit(l, out->name, out->text);
    else if (!str_is_utf8(out->text))
        err = fail_quoted(l, "help text ", out->text, " is not a valid utf8 string");
    if (err)
        return err;
    if (l->kind == EXPOSITION_TEXT && (t = expo_next_token(l)) != TOK_LINEBREAK)
        return expo_unexpected(l, "linebreak expected after metadata", t);
    return OK;
}

/* The end of the input, or what looks like it. */
static enum err parse_end(struct expo_lexer *l, enum expo_token t, struct expo_entry *out)
{
    out->kind = ENTRY_EOF;
    if (l->kind == EXPOSITION_TEXT)
        return OK;
    if (t == TOK_EOF)
        return expo_fail(l, "data does not end with # EOF");
    return expo_next_token(l) == TOK_EOF ? OK : expo_fail(l, "unexpected data after # EOF");
}

enum err expo_parse_entry(struct expo_lexer *l, struct expo_entry *out, struct expo_pairs *pairs)
{
    enum expo_token t;
    do {
        l->entry = l->i;
        t = expo_next_token(l);
    } while (t == TOK_LINEBREAK && l->kind == EXPOSITION_TEXT);
    *out = (struct expo_entry){.start = l->entry};
    switch (t) {
    case TOK_EOF:
    case TOK_EOF_WORD:
        return parse_end(l, t, out);
    case TOK_HELP:
    case TOK_TYPE:
    case TOK_UNIT:
        return parse_meta(l, t, out);
    case TOK_METRIC_NAME:
    case TOK_BRACE_OPEN:
        return parse_series(l, t, out, pairs);
    case TOK_COMMENT:
        if (l->kind == EXPOSITION_TEXT) {
            out->kind = ENTRY_COMMENT;
            if ((t = expo_next_token(l)) != TOK_LINEBREAK)
                return expo_unexpected(l, "linebreak expected after comment", t);
            return OK;
        }
        break;
    default:
        break;
    }
    return expo_unexpected(l, "expected a valid start token", t);
}

/* ---- the cursor ---- */

static struct expo_lexer lexer_at(const struct exposition *e, const char *p, enum expo_state state, struct diag *d)
{
    return (struct expo_lexer){
        .b = (const unsigned char *)e->body,
        .n = (size_t)(e->end - e->body),
        .i = (size_t)(p - e->body),
        .entry = (size_t)(e->entry - e->body),
        .state = state,
        .kind = e->kind,
        .diag = d,
    };
}

void exposition_init(struct exposition *e, enum exposition_kind kind, struct str body)
{
    if (!body.p)
        body = str_from("", 0);
    assert(body.p[body.n] == '\0');
    *e = (struct exposition){.p = body.p, .end = body.p + body.n, .entry = body.p, .body = body.p, .kind = kind};
}

static bool begins_series(unsigned char c)
{
    return expo_is_name_start(c) || c == ':' || c == '{';
}

enum err exposition_next(struct exposition *e, struct exposition_entry *out, struct diag *d)
{
    struct expo_lexer l = lexer_at(e, e->p, IN_LINE_START, d);
    struct expo_pairs pairs = {0};
    struct expo_entry entry;
    size_t start = l.i;
    *out = (struct exposition_entry){.type = EXPOSITION_TYPE_KEPT};
    e->entry = e->p;
    do {
        if (l.i > start && begins_series(expo_at(&l, l.i))) {
            entry = (struct expo_entry){.kind = ENTRY_SERIES, .start = l.i};
            break; /* the block ends here; what follows is parsed when its turn comes */
        }
        pairs.has_name = false;
        enum err err = expo_parse_entry(&l, &entry, &pairs);
        if (err)
            return err;
        if (entry.kind == ENTRY_TYPE) {
            e->type = entry.type;
            out->type = (int)entry.type;
        }
    } while (entry.kind != ENTRY_SERIES && entry.kind != ENTRY_EOF);
    if (entry.start > l.n)
        entry.start = l.n;
    if (entry.start > start) {
        out->kind = EXPOSITION_COMMENTS;
        out->raw = expo_view(&l, start, entry.start);
        e->p = e->body + entry.start;
        return OK;
    }
    if (entry.kind == ENTRY_EOF) {
        out->kind = EXPOSITION_EOF;
        return OK;
    }
    out->kind = EXPOSITION_SERIES;
    out->raw = expo_view(&l, entry.start, entry.value);
    e->p = e->body + entry.value;
    return OK;
}

/* ---- values ---- */

enum err expo_parse_value(struct expo_lexer *l, struct str text, double *out)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == 'p' || text.p[i] == 'P' || text.p[i] == '_')
            return expo_fail_parsing(l, "unsupported character in float");
    enum err err = num_parse_double(text, out);
    if (err == OK) {
        if (isnan(*out))
            *out = sample_from_bits(SAMPLE_NAN_BITS);
        return OK;
    }
    if (!l->diag)
        return ERR_SYNTAX;
    AUTO_BUF what = {0};
    buf_c(&what, "strconv.ParseFloat: parsing ");
    buf_quote(&what, str_from(text.p, text.n < ERROR_QUOTE_MAX ? text.n : ERROR_QUOTE_MAX));
    buf_c(&what, err == ERR_LIMIT ? ": value out of range" : ": invalid syntax");
    return expo_fail_parsing(l, what.p);
}

static enum err parse_millis(struct expo_lexer *l, int64_t *out)
{
    struct str text = expo_lexeme(l);
    if (num_parse_i64(text, out) == OK)
        return OK;
    AUTO_BUF what = {0};
    buf_c(&what, "strconv.ParseInt: parsing ");
    buf_quote(&what, str_from(text.p, text.n < ERROR_QUOTE_MAX ? text.n : ERROR_QUOTE_MAX));
    buf_c(&what, ": value out of range");
    return expo_fail_parsing(l, what.p);
}

static enum err parse_seconds(struct expo_lexer *l, const char *what, int64_t *out)
{
    double seconds;
    struct str text = expo_lexeme(l);
    enum err err = expo_parse_value(l, str_from(text.p + 1, text.n - 1), &seconds);
    if (err)
        return err;
    if (!isfinite(seconds))
        return expo_fail(l, "invalid %s %s", what, isnan(seconds) ? "NaN" : seconds > 0 ? "+Inf" : "-Inf");
    seconds *= 1000;
    *out = seconds >= -9223372036854775808.0 && seconds < 9223372036854775808.0 ? (int64_t)seconds : INT64_MIN;
    return OK;
}

static enum err text_value(struct expo_lexer *l, struct exposition_sample *out)
{
    enum expo_token t = expo_next_token(l);
    if (t != TOK_VALUE)
        return expo_unexpected(l, "expected value after metric", t);
    enum err err = expo_parse_value(l, expo_lexeme(l), &out->value);
    if (err)
        return err;
    t = expo_next_token(l);
    if (t == TOK_TIMESTAMP) {
        out->has_ts = true;
        if ((err = parse_millis(l, &out->ts_ms)))
            return err;
        if ((t = expo_next_token(l)) != TOK_LINEBREAK)
            return expo_unexpected(l, "expected next entry after timestamp", t);
    }
    return t == TOK_LINEBREAK ? OK : expo_unexpected(l, "expected timestamp or new record", t);
}

enum err expo_parse_exemplar(struct expo_lexer *l, struct expo_pairs *pairs, struct exposition_exemplar *out)
{
    enum err err = expo_parse_pairs(l, true, pairs);
    if (err)
        return err;
    enum expo_token t = expo_next_token(l);
    if (t != TOK_VALUE)
        return expo_unexpected(l, "expected value after exemplar labels", t);
    struct str text = expo_lexeme(l);
    if ((err = expo_parse_value(l, str_from(text.p + 1, text.n - 1), &out->value)))
        return err;
    switch (t = expo_next_token(l)) {
    case TOK_EOF:
        return expo_fail(l, "data does not end with # EOF");
    case TOK_LINEBREAK:
        return OK;
    case TOK_TIMESTAMP:
        out->has_ts = true;
        if ((err = parse_seconds(l, "exemplar timestamp", &out->ts_ms)))
            return err;
        t = expo_next_token(l);
        return t == TOK_LINEBREAK ? OK : expo_unexpected(l, "expected next entry after exemplar timestamp", t);
    default:
        return expo_unexpected(l, "expected timestamp or comment", t);
    }
}

static enum err sample_exemplar(struct expo_lexer *l, struct exposition_sample *out)
{
    struct expo_pairs pairs = {0};
    struct exposition_exemplar exemplar = {0};
    size_t start = l->i - 1;
    enum err err = expo_parse_exemplar(l, &pairs, &exemplar);
    out->has_exemplar = true;
    out->exemplar = expo_view(l, start, l->i - 1);
    return err;
}

/* Prometheus takes any token behind a value, and stumbles over it when it looks for the next entry. */
static enum err stray_token(struct expo_lexer *l)
{
    l->entry = l->i;
    enum expo_token t = expo_next_token(l);
    if (t == TOK_EOF)
        return expo_fail(l, "data does not end with # EOF");
    return expo_unexpected(l, "expected a valid start token", t);
}

static enum err openmetrics_value(struct expo_lexer *l, struct exposition_sample *out)
{
    enum expo_token t = expo_next_token(l);
    if (t != TOK_VALUE)
        return expo_unexpected(l, "expected value after metric", t);
    struct str text = expo_lexeme(l);
    enum err err = expo_parse_value(l, str_from(text.p + 1, text.n - 1), &out->value);
    if (err)
        return err;
    switch (t = expo_next_token(l)) {
    case TOK_EOF:
        return expo_fail(l, "data does not end with # EOF");
    case TOK_LINEBREAK:
        return OK;
    case TOK_COMMENT:
        return sample_exemplar(l, out);
    case TOK_TIMESTAMP:
        out->has_ts = true;
        if ((err = parse_seconds(l, "timestamp", &out->ts_ms)))
            return err;
        break;
    default:
        return stray_token(l);
    }
    t = expo_next_token(l);
    if (t == TOK_COMMENT)
        return sample_exemplar(l, out);
    return t == TOK_LINEBREAK ? OK : expo_unexpected(l, "expected next entry after timestamp", t);
}

enum err exposition_value_slow(struct exposition *e, struct exposition_sample *out, struct diag *d)
{
    bool openmetrics = e->kind == EXPOSITION_OPENMETRICS;
    if (openmetrics && (e->p == e->body || e->p[-1] != ' '))
        return ERR_SYNTAX; /* raw bytes of another format */
    struct expo_lexer l = lexer_at(e, e->p - openmetrics, IN_VALUE, d);
    *out = (struct exposition_sample){0};
    enum err err = openmetrics ? openmetrics_value(&l, out) : text_value(&l, out);
    if (err == OK)
        e->p = e->body + (l.i < l.n ? l.i : l.n);
    return err;
}
