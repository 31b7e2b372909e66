/* openmetrics: the tokens of OpenMetrics text 0.0.1 and 1.0.0, in the set that Prometheus' scraper accepts
 * (model/textparse/openmetricslex.l, version 3.15).
 *
 *     LINE_START --name--> VALUE --{--> LABELS <--"v"-- LABEL_VALUE
 *                VALUE --" 1.5"--> TIMESTAMP --" 123.5"--> TIMESTAMP --newline--> LINE_START
 *                                  TIMESTAMP --" # {"--> EXEMPLAR <-> EXEMPLAR_VALUE --" 1"--> EXEMPLAR_TIMESTAMP
 *     LINE_START --"# "--> COMMENT --HELP,TYPE,UNIT--> META_NAME --name--> META_TEXT --" rest\n"--> LINE_START
 *                                  --EOF--> end
 *
 * One blank is a separator and part of the token behind it; there is no other white space and no empty line. What
 * surprises: NULs are invisible in label values, texts and comments, also directly behind the newline that ends a HELP
 * line (they then belong to its text) and behind `# EOF`; label values, unlike quoted names, hold no newline.
 */
#include "format/exposition_int.h"

static enum expo_token single(struct expo_lexer *l, enum expo_token t, enum expo_state next)
{
    expo_advance(l);
    l->state = next;
    return t;
}

static enum expo_token quoted(struct expo_lexer *l, bool newlines, enum expo_token t, enum expo_state next)
{
    if (!expo_scan_quoted(l, newlines))
        return TOK_INVALID;
    l->state = next;
    return t;
}

/* A blank and at least one character, up to the next blank or the end of the line. */
static enum expo_token word(struct expo_lexer *l, enum expo_token t, enum expo_state next)
{
    unsigned char c = expo_advance(l);
    if (c == 0 || c == ' ' || c == '\n')
        return TOK_INVALID;
    while (c != 0 && c != ' ' && c != '\n')
        c = expo_advance(l);
    l->state = next;
    return t;
}

/* Behind `# `. */
static enum expo_token lex_comment(struct expo_lexer *l)
{
    static const struct {
        const char *word;
        enum expo_token token;
    } words[] = {{"HELP", TOK_HELP}, {"TYPE", TOK_TYPE}, {"UNIT", TOK_UNIT}};
    unsigned char c = expo_at(l, l->i);
    l->state = IN_COMMENT;
    if (c == 'E') {
        if (!expo_scan_word(l, "EOF"))
            return TOK_INVALID;
        if (expo_at(l, l->i) == '\n')
            expo_advance(l);
        l->state = IN_LINE_START;
        return TOK_EOF_WORD;
    }
    for (int i = 0; i < 3; i++) {
        if (c != (unsigned char)words[i].word[0])
            continue;
        if (!expo_scan_word(l, words[i].word) || expo_at(l, l->i) != ' ')
            return TOK_INVALID;
        return single(l, words[i].token, IN_META_NAME);
    }
    return TOK_INVALID;
}

static enum expo_token lex_line_start(struct expo_lexer *l, unsigned char c)
{
    if (expo_is_name_start(c) || c == ':') {
        expo_scan_name(l, true);
        l->state = IN_VALUE;
        return TOK_METRIC_NAME;
    }
    if (c == '{')
        return single(l, TOK_BRACE_OPEN, IN_LABELS);
    if (c != '#' || expo_advance(l) != ' ')
        return TOK_INVALID;
    expo_advance(l);
    return lex_comment(l);
}

static enum expo_token lex_meta_name(struct expo_lexer *l, unsigned char c)
{
    if (c == '"')
        return quoted(l, true, TOK_METRIC_NAME, IN_META_TEXT);
    if (!expo_is_name_start(c) && c != ':')
        return TOK_INVALID;
    expo_scan_name(l, true);
    l->state = IN_META_TEXT;
    return TOK_METRIC_NAME;
}

static enum expo_token lex_meta_text(struct expo_lexer *l, unsigned char c)
{
    if (c != ' ')
        return TOK_INVALID;
    while (c != 0 && c != '\n')
        c = expo_next_in_text(l);
    return c == 0 ? TOK_INVALID : single(l, TOK_TEXT, IN_LINE_START);
}

static enum expo_token lex_labels(struct expo_lexer *l, unsigned char c)
{
    bool exemplar = l->state == IN_EXEMPLAR;
    if (expo_is_name_start(c)) {
        expo_scan_name(l, false);
        return TOK_LABEL_NAME;
    }
    switch (c) {
    case '"':
        return quoted(l, !exemplar, TOK_QUOTED, l->state);
    case ',':
        return single(l, TOK_COMMA, l->state);
    case '=':
        return single(l, TOK_EQUAL, exemplar ? IN_EXEMPLAR_VALUE : IN_LABEL_VALUE);
    case '}':
        return single(l, TOK_BRACE_CLOSE, exemplar ? IN_EXEMPLAR_VALUE : IN_VALUE);
    default:
        return TOK_INVALID;
    }
}

/* Behind a value: a timestamp, an exemplar or the end of the line. */
static enum expo_token lex_timestamp(struct expo_lexer *l, unsigned char c)
{
    if (c == '\n')
        return single(l, TOK_LINEBREAK, IN_LINE_START);
    if (c != ' ')
        return TOK_INVALID;
    if (expo_at(l, l->i + 1) != '#' || expo_at(l, l->i + 2) != ' ')
        return word(l, TOK_TIMESTAMP, IN_TIMESTAMP);
    l->i += 2;
    if (expo_advance(l) != '{')
        return TOK_INVALID;
    return single(l, TOK_COMMENT, IN_EXEMPLAR);
}

enum expo_token openmetrics_lex(struct expo_lexer *l)
{
    if (l->i >= expo_size(l))
        return TOK_EOF;
    unsigned char c = expo_at(l, l->i);
    l->start = l->i;
    switch (l->state) {
    case IN_LINE_START:
        return lex_line_start(l, c);
    case IN_META_NAME:
        return lex_meta_name(l, c);
    case IN_META_TEXT:
        return lex_meta_text(l, c);
    case IN_LABELS:
    case IN_EXEMPLAR:
        return lex_labels(l, c);
    case IN_LABEL_VALUE:
        return c == '"' ? quoted(l, false, TOK_LABEL_VALUE, IN_LABELS) : TOK_INVALID;
    case IN_VALUE:
        if (c == '{')
            return single(l, TOK_BRACE_OPEN, IN_LABELS);
        return c == ' ' ? word(l, TOK_VALUE, IN_TIMESTAMP) : TOK_INVALID;
    case IN_TIMESTAMP:
        return lex_timestamp(l, c);
    case IN_EXEMPLAR_VALUE:
        if (c == '"')
            return quoted(l, false, TOK_LABEL_VALUE, IN_EXEMPLAR);
        return c == ' ' ? word(l, TOK_VALUE, IN_EXEMPLAR_TIMESTAMP) : TOK_INVALID;
    case IN_EXEMPLAR_TIMESTAMP:
        if (c == '\n')
            return single(l, TOK_LINEBREAK, IN_LINE_START);
        return c == ' ' ? word(l, TOK_TIMESTAMP, IN_EXEMPLAR_TIMESTAMP) : TOK_INVALID;
    default: /* ends within one call */
        return TOK_INVALID;
    }
}
