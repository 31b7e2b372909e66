/* What prom_text.c, openmetrics.c and exposition.c share: tokens, the lexer's cursor, one parsed entry.
 *
 * The two lexers walk the states of Prometheus' own (promlex.l, openmetricslex.l); the parser above them is shared as
 * far as theirs agree. Positions are offsets into the input; the text format has one more byte than was received, a
 * newline.
 */
#ifndef FORMAT_EXPOSITION_INT_H
#define FORMAT_EXPOSITION_INT_H

#include "base/buf.h"
#include "base/mem.h"
#include "format/exposition.h"

enum expo_token {
    TOK_INVALID,
    TOK_EOF,
    TOK_LINEBREAK,
    TOK_WHITESPACE,
    TOK_HELP,
    TOK_TYPE,
    TOK_UNIT,
    TOK_EOF_WORD,
    TOK_TEXT,
    TOK_COMMENT,
    TOK_METRIC_NAME,
    TOK_QUOTED,
    TOK_BRACE_OPEN,
    TOK_BRACE_CLOSE,
    TOK_LABEL_NAME,
    TOK_LABEL_VALUE,
    TOK_COMMA,
    TOK_EQUAL,
    TOK_TIMESTAMP,
    TOK_VALUE,
};

enum expo_state {
    IN_LINE_START,
    IN_COMMENT,
    IN_META_NAME, /* behind HELP, TYPE, UNIT */
    IN_META_TEXT,
    IN_LABELS,
    IN_LABEL_VALUE,
    IN_VALUE,
    IN_TIMESTAMP,
    IN_EXEMPLAR,
    IN_EXEMPLAR_VALUE,
    IN_EXEMPLAR_TIMESTAMP,
};

struct expo_lexer {
    const unsigned char *b;
    size_t n;     /* bytes of b */
    size_t i;     /* the cursor */
    size_t start; /* of the current token */
    size_t entry; /* of the current entry */
    enum expo_state state;
    enum exposition_kind kind;
    struct diag *diag;
};

/* The input with the newline that the text format is given at its end. */
static inline size_t expo_size(const struct expo_lexer *l)
{
    return l->n + (l->kind == EXPOSITION_TEXT);
}

/* The byte at i; 0 beyond the end, where the lexers see the same as for a NUL. */
static inline unsigned char expo_at(const struct expo_lexer *l, size_t i)
{
    if (i < l->n)
        return l->b[i];
    return i == l->n && l->kind == EXPOSITION_TEXT ? '\n' : 0;
}

/* The view of [from, to), without the supplied newline. */
static inline struct str expo_view(const struct expo_lexer *l, size_t from, size_t to)
{
    if (to > l->n)
        to = l->n;
    return from < to ? str_from((const char *)l->b + from, to - from) : str_from((const char *)l->b, 0);
}

static inline struct str expo_lexeme(const struct expo_lexer *l)
{
    return expo_view(l, l->start, l->i);
}

static inline bool expo_is_name_start(unsigned char c) /* of a label; of a metric with ':' */
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static inline bool expo_is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

/* Moves on by one byte, and over NULs where they are invisible: in label values, help texts and comments. */
static inline unsigned char expo_advance(struct expo_lexer *l)
{
    l->i++;
    unsigned char c = expo_at(l, l->i);
    if (LIKELY(c != 0) || (l->state != IN_LABEL_VALUE && l->state != IN_META_TEXT && l->state != IN_COMMENT))
        return c;
    while (l->i < l->n && l->b[l->i] == 0)
        l->i++;
    return expo_at(l, l->i);
}

/* As expo_advance, again and again until a newline, or a NUL that is visible. */
unsigned char expo_next_in_text(struct expo_lexer *l);
/* [A-Za-z_:][A-Za-z0-9_:]*, the colons only for metrics; the cursor stands at the first character. */
void expo_scan_name(struct expo_lexer *l, bool metric);
/* A string in quotes, the cursor at the first; false if it does not end or has what it must not. */
bool expo_scan_quoted(struct expo_lexer *l, bool newlines);
/* The letters of `word`, the cursor at its first: true and behind it, or false and at the first difference. */
bool expo_scan_word(struct expo_lexer *l, const char *word);

enum expo_token prom_text_lex(struct expo_lexer *l);
enum expo_token openmetrics_lex(struct expo_lexer *l);

/* The next token that is not white space. */
static inline enum expo_token expo_next_token(struct expo_lexer *l)
{
    enum expo_token t;
    if (l->kind == EXPOSITION_OPENMETRICS)
        return openmetrics_lex(l);
    while ((t = prom_text_lex(l)) == TOK_WHITESPACE)
        ;
    return t;
}

struct expo_pair {
    struct str name, value; /* still escaped */
};

/* The labels of a series or exemplar; they are collected only if there is an arena. */
struct expo_pairs {
    struct arena *arena;
    struct str name; /* of the metric */
    bool has_name;
    struct expo_pair *v;
    size_t n, cap;
};

struct expo_entry {
    enum { ENTRY_EOF, ENTRY_COMMENT, ENTRY_HELP, ENTRY_TYPE, ENTRY_UNIT, ENTRY_SERIES } kind;
    size_t start;          /* where it begins, behind blank lines */
    struct str name, text; /* HELP, TYPE, UNIT: still escaped */
    enum metric_type type; /* TYPE */
    size_t value;          /* SERIES: where the value begins */
};

/* One entry from the beginning of a line; a series up to its value. */
enum err expo_parse_entry(struct expo_lexer *l, struct expo_entry *out, struct expo_pairs *pairs) MUST_USE;
/* What stands behind an opening brace, through the closing one. */
enum err expo_parse_pairs(struct expo_lexer *l, bool exemplar, struct expo_pairs *out) MUST_USE;
/* An exemplar behind its opening brace, through the newline. */
enum err expo_parse_exemplar(struct expo_lexer *l, struct expo_pairs *pairs, struct exposition_exemplar *out) MUST_USE;
/* A value of a sample or exemplar, as text. ERR_SYNTAX for what Prometheus refuses; NaN is made canonical. */
enum err expo_parse_value(struct expo_lexer *l, struct str text, double *out) MUST_USE;

/* v[0..*n) by name; entries of one name of which one is empty become one that is empty. ERR_SYNTAX: a name twice. */
enum err expo_sort_labels(struct label *v, uint32_t *n, struct diag *d) MUST_USE;
/* labels.FormatOpenMetricsFloat: "1.0", "+Inf", "1e+06". */
struct str expo_print_label_number(double v, struct arena *a);

/* `<expected>, got "..." ("TOKEN") while parsing: "..."`; returns ERR_SYNTAX. */
enum err expo_unexpected(struct expo_lexer *l, const char *expected, enum expo_token got);
/* `<what>: "..."` with the entry up to the cursor; returns ERR_SYNTAX. */
enum err expo_fail_parsing(struct expo_lexer *l, const char *what);
enum err expo_fail(struct expo_lexer *l, const char *fmt, ...) PRINTF_LIKE(2, 3);
const char *expo_token_name(enum expo_token t);

#endif
