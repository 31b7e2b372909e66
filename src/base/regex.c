/* regex: what relabel rules match with.
 *
 * Prometheus compiles every pattern as ^(?s:PATTERN)$, and so does this. Most patterns that people write need no
 * engine:
 *
 *   LITERALS   node|kube-state-metrics|etcd\.main      the sorted alternatives, found by halving
 *   TAIL       .*   (.+)   kube_.*   go_(.*)           a literal in front, then anything (or at least one character),
 *                                                      perhaps captured as $1
 *   CONTAINS   .*foo.*
 *   ENGINE     everything else, through regex_shim.cc to RE2
 *
 * The forms above the engine are recognised only where they are beyond doubt: any metacharacter that is not part of the
 * form means ENGINE. They match bytes; a dot of the engine matches one character of valid UTF-8, and label values are
 * valid.
 *
 * A search (regex_new_search) is the same without the anchors: a literal is CONTAINS, everything else ENGINE.
 *
 * Go accepts (?<name>...) besides (?P<name>...) and refuses \C; this version of RE2 does the opposite of both, so the
 * pattern is adapted before it gets there. Templates of regex_expand follow Regexp.Expand: $1x is the group called "1x"
 * (there is none, hence empty), ${1}x the first group and an x, a $ that starts nothing stays.
 *
 * Immutable after regex_new; any thread may match.
 */
#include "base/regex.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/regex_int.h"

enum kind { LITERALS, TAIL, CONTAINS, ENGINE };

struct regex {
    struct str pattern;
    enum kind kind;
    struct buf text;      /* bytes of all literals, one after the other */
    struct str *literals; /* into text: LITERALS: sorted; TAIL, CONTAINS: one */
    size_t n_literals, cap_literals;
    size_t tail_min;         /* TAIL: 0 for .*, 1 for .+ */
    bool tail_captured;      /* TAIL: $1 is the tail */
    struct regex_shim *shim; /* ENGINE */
};

/* ---- recognising simple patterns ---- */

static bool is_plain(char c)
{
    return !strchr("\\.+*?()|[]{}^$", c) || c == '\0';
}

static bool is_punctuation(char c)
{
    unsigned char u = (unsigned char)c;
    return u < 0x80 && !(u >= '0' && u <= '9') && !(u >= 'a' && u <= 'z') && !(u >= 'A' && u <= 'Z') && u > ' ';
}

/* Appends the literal that s starts with to text, and gives what is behind it. */
static struct str take_literal(struct regex *re, struct str s)
{
    while (s.n) {
        size_t n = 1;
        if (s.p[0] == '\\' && s.n > 1 && is_punctuation(s.p[1]))
            n = 2;
        else if (!is_plain(s.p[0]))
            break;
        /* a* and a? belong to what follows, not to the literal */
        if (s.n > n && strchr("*+?{", s.p[n]) && s.p[n])
            break;
        buf_char(&re->text, s.p[n - 1]);
        s = str_from(s.p + n, s.n - n);
    }
    return s;
}

static void add_literal(struct regex *re, size_t start, size_t n)
{
    re->literals = mem_grow(re->literals, &re->cap_literals, re->n_literals + 1, sizeof(*re->literals));
    re->literals[re->n_literals++] = (struct str){(const char *)start, n}; /* an offset, until text stops moving */
}

static int by_bytes(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void finish_literals(struct regex *re)
{
    buf_reserve(&re->text, 0);
    for (size_t i = 0; i < re->n_literals; i++)
        re->literals[i].p = re->text.p + (size_t)re->literals[i].p;
    qsort(re->literals, re->n_literals, sizeof(*re->literals), by_bytes);
}

static bool find_literals(struct regex *re, struct str s)
{
    for (;;) {
        size_t start = re->text.n;
        s = take_literal(re, s);
        add_literal(re, start, re->text.n - start);
        if (!s.n)
            break;
        if (s.p[0] != '|')
            return false;
        s = str_from(s.p + 1, s.n - 1);
    }
    re->kind = LITERALS;
    return true;
}

static bool find_tail(struct regex *re, struct str s)
{
    s = take_literal(re, s);
    re->tail_captured = str_eq(s, STR("(.*)")) || str_eq(s, STR("(.+)"));
    if (re->tail_captured)
        s = str_from(s.p + 1, 2);
    if (!str_eq(s, STR(".*")) && !str_eq(s, STR(".+")))
        return false;
    re->tail_min = s.p[1] == '+';
    add_literal(re, 0, re->text.n);
    re->kind = TAIL;
    return true;
}

static bool find_contains(struct regex *re, struct str s)
{
    if (!str_starts(s, STR(".*")))
        return false;
    s = take_literal(re, str_from(s.p + 2, s.n - 2));
    if (!str_eq(s, STR(".*")))
        return false;
    add_literal(re, 0, re->text.n);
    re->kind = CONTAINS;
    return true;
}

static bool is_simple(struct regex *re)
{
    static bool (*const forms[])(struct regex *, struct str) = {find_literals, find_tail, find_contains};
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        if (forms[i](re, re->pattern)) {
            finish_literals(re);
            return true;
        }
        buf_clear(&re->text);
        re->n_literals = 0;
    }
    return false;
}

/* ---- the engine ---- */

/* Appends the pattern as RE2 wants it; false at \C. */
static bool adapt(struct str s, struct buf *out)
{
    bool in_class = false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        struct str rest = str_from(s.p + i, s.n - i);
        if (c == '\\' && i + 1 < s.n) {
            if (s.p[i + 1] == 'C')
                return false;
            if (s.p[i + 1] == 'Q' && !in_class) { /* \Q...\E: nothing inside means anything */
                const char *end = memmem(rest.p, rest.n, "\\E", 2);
                size_t n = end ? (size_t)(end - rest.p) + 2 : rest.n;
                buf_append(out, rest.p, n);
                i += n - 1;
                continue;
            }
            buf_append(out, rest.p, 2);
            i++;
            continue;
        }
        if (c == '[' && !in_class) {
            in_class = true;
            buf_char(out, c);
            if (i + 1 < s.n && s.p[i + 1] == '^')
                buf_char(out, s.p[++i]);
            if (i + 1 < s.n && s.p[i + 1] == ']')
                buf_char(out, s.p[++i]); /* the first ] is a member */
            continue;
        }
        if (c == ']')
            in_class = false;
        if (!in_class && str_starts(rest, STR("(?<"))) {
            buf_c(out, "(?P<");
            i += 2;
            continue;
        }
        buf_char(out, c);
    }
    return true;
}

/* Messages show the pattern as it was written. */
static void undo_adapt(char *text)
{
    for (char *at = text; (at = strstr(at, "(?P<")); at += 3)
        memmove(at + 2, at + 3, strlen(at + 3) + 1);
}

static enum err compile(struct regex *re, bool anchored, struct diag *d)
{
    char what[64], where[256];
    AUTO_BUF wrapped = {0};
    if (!str_is_utf8(re->pattern))
        return diag_set(d, ERR_SYNTAX, "error parsing regexp: invalid UTF-8");
    buf_c(&wrapped, anchored ? "^(?s:" : "");
    if (!adapt(re->pattern, &wrapped))
        return diag_set(d, ERR_SYNTAX, "error parsing regexp: invalid escape sequence: `\\C`");
    buf_c(&wrapped, anchored ? ")$" : "");
    re->shim = regex_shim_new(wrapped.p, wrapped.n, what, where);
    if (!re->shim) {
        if (!str_contains(re->pattern, STR("(?P<")))
            undo_adapt(where);
        return diag_set(d, ERR_SYNTAX, "error parsing regexp: %s: `%s`", what, where);
    }
    re->kind = ENGINE;
    return OK;
}

/* A literal without anything around it, to be found anywhere. */
static bool is_simple_search(struct regex *re)
{
    if (take_literal(re, re->pattern).n == 0) {
        add_literal(re, 0, re->text.n);
        finish_literals(re);
        re->kind = CONTAINS;
        return true;
    }
    buf_clear(&re->text);
    return false;
}

static enum err make(struct str pattern, bool anchored, struct regex **out, struct diag *d)
{
    struct regex *re = NEW(struct regex);
    re->pattern = str_from(mem_strndup(pattern.p, pattern.n), pattern.n);
    enum err e = OK;
    if (!str_is_utf8(pattern) || !(anchored ? is_simple(re) : is_simple_search(re)))
        e = compile(re, anchored, d);
    if (e) {
        regex_free(re);
        return e;
    }
    *out = re;
    return OK;
}

enum err regex_new(struct str pattern, struct regex **out, struct diag *d)
{
    return make(pattern, true, out, d);
}

enum err regex_new_search(struct str pattern, struct regex **out, struct diag *d)
{
    return make(pattern, false, out, d);
}

void regex_free(struct regex *re)
{
    if (!re)
        return;
    regex_shim_free(re->shim);
    buf_release(&re->text);
    free(re->literals);
    free((char *)re->pattern.p);
    free(re);
}

struct str regex_pattern(const struct regex *re)
{
    return re->pattern;
}

/* ---- matching ---- */

bool regex_match(const struct regex *re, struct str s)
{
    switch (re->kind) {
    case LITERALS:
        if (re->n_literals == 1)
            return str_eq(s, re->literals[0]);
        return bsearch(&s, re->literals, re->n_literals, sizeof(s), by_bytes) != NULL;
    case TAIL:
        return s.n >= re->literals[0].n + re->tail_min && str_starts(s, re->literals[0]);
    case CONTAINS:
        return str_contains(s, re->literals[0]);
    case ENGINE:
        break;
    }
    return regex_shim_match(re->shim, s.p, s.n, NULL, 0);
}

/* ---- expanding ---- */

/* What follows a $: a group's name (or number) and how much of the template that is. False: the $ means itself. */
static bool take_name(struct str t, struct str *name, size_t *used)
{
    bool brace = t.n && t.p[0] == '{';
    struct str s = brace ? str_from(t.p + 1, t.n - 1) : t;
    size_t n = 0;
    while (n < s.n &&
           (s.p[n] == '_' || (s.p[n] >= '0' && s.p[n] <= '9') || ((s.p[n] | 32) >= 'a' && (s.p[n] | 32) <= 'z')))
        n++;
    if (n < s.n && (unsigned char)s.p[n] >= 0x80) /* perhaps a letter of another script: rare, and RE2 knows */
        n = regex_shim_word(s.p, s.n);
    if (n == 0 || (brace && (n == s.n || s.p[n] != '}')))
        return false;
    *name = str_from(s.p, n);
    *used = n + (brace ? 2 : 0);
    return true;
}

/* The group's number, or -1 if the name is not a number. As in Go: no leading zeros, at most 9 digits. */
static int64_t group_number(struct str name)
{
    int64_t n = 0;
    if (name.p[0] == '0' && name.n > 1)
        return -1;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] < '0' || name.p[i] > '9' || n >= 100000000)
            return -1;
        n = n * 10 + (name.p[i] - '0');
    }
    return n;
}

static void expand_template(const struct regex *re, struct str t, const struct regex_span *spans, int n,
                            struct buf *out)
{
    struct str before, rest;
    while (str_cut(t, '$', &before, &rest)) {
        buf_str(out, before);
        t = rest;
        struct str name;
        size_t used;
        if (t.n && t.p[0] == '$') {
            buf_char(out, '$');
            t = str_from(t.p + 1, t.n - 1);
            continue;
        }
        if (!take_name(t, &name, &used)) {
            buf_char(out, '$');
            continue;
        }
        t = str_from(t.p + used, t.n - used);
        int64_t group = group_number(name);
        if (group < 0 && re->shim)
            group = regex_shim_group(re->shim, name.p, name.n);
        if (group >= 0 && group < n && spans[group].p)
            buf_append(out, spans[group].p, spans[group].n);
    }
    buf_str(out, t);
}

bool regex_expand(const struct regex *re, struct str s, struct str template, struct buf *out)
{
    enum { FEW = 16 };
    struct regex_span few[FEW], *spans = few, *many = NULL;
    int n = 0;
    if (template.n && memchr(template.p, '$', template.n))
        n = 1 + (re->shim ? regex_shim_groups(re->shim) : re->tail_captured);
    if (n > FEW)
        spans = many = mem_alloc((size_t)n * sizeof(*spans));
    bool matches = re->shim ? regex_shim_match(re->shim, s.p, s.n, spans, n) : regex_match(re, s);
    if (matches && !re->shim && n) {
        spans[0] = (struct regex_span){s.n ? s.p : "", s.n};
        if (n > 1)
            spans[1] = (struct regex_span){spans[0].p + re->literals[0].n, s.n - re->literals[0].n};
    }
    if (matches)
        expand_template(re, template, spans, n, out);
    free(many);
    return matches;
}
