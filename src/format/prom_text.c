/* prom_text: the tokens of the text format (prometheus/docs instrumenting/exposition_formats.md), in the set that
 * Prometheus' scraper accepts (model/textparse/promlex.l, version 3.15).
 *
 *     LINE_START --name--> VALUE --{--> LABELS <--"v"-- LABEL_VALUE        blanks and tabs are skipped between tokens
 *         |                  ^------}----'   '----=--------^
 *         |                VALUE --1.5--> TIMESTAMP --123--> TIMESTAMP --newline--> LINE_START
 *         '--# --> COMMENT --HELP,TYPE--> META_NAME --name--> META_TEXT --rest of line--> LINE_START
 *
 * What surprises, and is kept because a page that works must go on working:
 *
 * - NUL at the beginning of a line, or in a comment whose # is not followed by a blank, ends the input in good order;
 * - NULs are invisible in label values, help texts and comments: a value's closing quote may be followed by some, and
 *   then the lexeme ends behind them (the parser above cuts one byte at each end, whatever it is);
 * - quoted names and label values may contain newlines, but no backslash before one;
 * - a name ends where its characters end: `a+1` is the metric a with the value 1;
 * - the text of HELP and TYPE lacks its first character, whatever it is; blanks before a type's name are part of it.
 */
#include "format/exposition_int.h"

static bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(struct expo_lexer *l)
{
    while (is_blank(expo_at(l, l->i)))
        expo_advance(l);
}

static enum expo_token rest_of_comment(struct expo_lexer *l)
{
    unsigned char c = expo_at(l, l->i);
    while (c != 0 && c != '\n')
        c = expo_next_in_text(l);
    if (c == 0)
        return TOK_EOF;
    l->state = IN_LINE_START;
    return TOK_COMMENT;
}

/* Behind `# `. */
static enum expo_token lex_comment(struct expo_lexer *l)
{
    unsigned char c = expo_at(l, l->i);
    const char *word = c == 'H' ? "HELP" : c == 'T' ? "TYPE" : NULL;
    l->state = IN_COMMENT;
    if (!word || !expo_scan_word(l, word) || !is_blank(expo_at(l, l->i)))
        return rest_of_comment(l);
    skip_blanks(l);
    l->state = IN_META_NAME;
    return c == 'H' ? TOK_HELP : TOK_TYPE;
}

static enum expo_token lex_line_start(struct expo_lexer *l, unsigned char c)
{
    if (expo_is_name_start(c) || c == ':') {
        expo_scan_name(l, true);
        l->state = IN_VALUE;
        return TOK_METRIC_NAME;
    }
    switch (c) {
    case 0:
        expo_advance(l);
        return TOK_EOF;
    case '\n':
        expo_advance(l);
        return TOK_LINEBREAK;
    case '{':
        expo_advance(l);
        l->state = IN_LABELS;
        return TOK_BRACE_OPEN;
    case '#':
        if (!is_blank(expo_advance(l)))
            return rest_of_comment(l);
        skip_blanks(l);
        return lex_comment(l);
    default:
        return TOK_INVALID;
    }
}

static enum expo_token lex_meta_name(struct expo_lexer *l, unsigned char c)
{
    if (c == '"') {
        if (!expo_scan_quoted(l, true))
            return TOK_INVALID;
    } else if (expo_is_name_start(c) || c == ':') {
        expo_scan_name(l, true);
    } else {
        return TOK_INVALID;
    }
    l->state = IN_META_TEXT;
    return TOK_METRIC_NAME;
}

static enum expo_token lex_meta_text(struct expo_lexer *l, unsigned char c)
{
    bool blank = is_blank(c);
    skip_blanks(l);
    for (c = expo_at(l, l->i); c != 0 && c != '\n'; c = expo_next_in_text(l))
        blank = false;
    if (blank)
        return TOK_WHITESPACE;
    l->state = IN_LINE_START;
    return TOK_TEXT;
}

static enum expo_token lex_labels(struct expo_lexer *l, unsigned char c)
{
    if (expo_is_name_start(c)) {
        expo_scan_name(l, false);
        return TOK_LABEL_NAME;
    }
    switch (c) {
    case '"':
        return expo_scan_quoted(l, true) ? TOK_QUOTED : TOK_INVALID;
    case ',':
        expo_advance(l);
        return TOK_COMMA;
    case '=':
        expo_advance(l);
        l->state = IN_LABEL_VALUE;
        return TOK_EQUAL;
    case '}':
        expo_advance(l);
        l->state = IN_VALUE;
        return TOK_BRACE_CLOSE;
    default:
        return TOK_INVALID;
    }
}

static enum expo_token lex_value(struct expo_lexer *l, unsigned char c)
{
    if (c == '{') {
        expo_advance(l);
        l->state = IN_LABELS;
        return TOK_BRACE_OPEN;
    }
    if (c == 0 || c == '\n')
        return TOK_INVALID;
    while (c != 0 && c != '\n' && c != '{' && !is_blank(c))
        c = expo_advance(l);
    l->state = IN_TIMESTAMP;
    return TOK_VALUE;
}

static enum expo_token lex_timestamp(struct expo_lexer *l, unsigned char c)
{
    if (c == '\n') {
        expo_advance(l);
        l->state = IN_LINE_START;
        return TOK_LINEBREAK;
    }
    if (!expo_is_digit(c))
        return TOK_INVALID;
    while (expo_is_digit(c))
        c = expo_advance(l);
    return TOK_TIMESTAMP;
}

enum expo_token prom_text_lex(struct expo_lexer *l)
{
    if (l->i >= expo_size(l))
        return TOK_EOF;
    unsigned char c = expo_at(l, l->i);
    l->start = l->i;
    if (is_blank(c) && l->state != IN_META_TEXT) {
        skip_blanks(l);
        return TOK_WHITESPACE;
    }
    switch (l->state) {
    case IN_LINE_START:
        return lex_line_start(l, c);
    case IN_META_NAME:
        return lex_meta_name(l, c);
    case IN_META_TEXT:
        return lex_meta_text(l, c);
    case IN_LABELS:
        return lex_labels(l, c);
    case IN_LABEL_VALUE:
        if (c != '"' || !expo_scan_quoted(l, true))
            return TOK_INVALID;
        l->state = IN_LABELS;
        return TOK_LABEL_VALUE;
    case IN_VALUE:
        return lex_value(l, c);
    case IN_TIMESTAMP:
        return lex_timestamp(l, c);
    default: /* the other states are OpenMetrics', or end within one call */
        return TOK_INVALID;
    }
}
