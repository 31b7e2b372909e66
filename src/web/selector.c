/* selector: see the header.
 *
 *   selector = [name] [ "{" [matcher *("," matcher) [","]] "}" ]
 *   matcher  = name ("=" | "!=" | "=~" | "!~") string        string: '...' or "..." with escapes, `...` without
 *
 * A label that is absent counts as empty, as in PromQL. At most 100 matchers.
 */
#include "web/selector_int.h"

#include "base/mem.h"

enum { MAX_MATCHERS = 100 };

struct reader {
    struct str text;
    size_t i;
    struct diag *d;
};

static char at(const struct reader *r)
{
    return r->i < r->text.n ? r->text.p[r->i] : '\0';
}

static void skip_blanks(struct reader *r)
{
    while (at(r) == ' ' || at(r) == '\t' || at(r) == '\n')
        r->i++;
}

static enum err fail(const struct reader *r, const char *what)
{
    return diag_set(r->d, ERR_SYNTAX, "1:%zu: parse error: %s", r->i + 1,
                    r->i >= r->text.n ? "unexpected end of input" : what);
}

static struct str take_name(struct reader *r)
{
    size_t from = r->i;
    char c = at(r);

    while ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
           (r->i > from && c >= '0' && c <= '9')) {
        r->i++;
        c = at(r);
    }
    return str_from(r->text.p + from, r->i - from);
}

static enum err take_string(struct reader *r, struct arena *a, struct str *out)
{
    char quote = at(r), *text = arena_alloc(a, r->text.n + 1);
    size_t n = 0;

    if (quote != '"' && quote != '\'' && quote != '`')
        return fail(r, "expected a string");
    for (r->i++; at(r) != quote; r->i++) {
        if (r->i >= r->text.n)
            return fail(r, "unterminated string");
        if (at(r) == '\\' && quote != '`') {
            r->i++;
            char c = at(r);
            if (c != '\\' && c != 'n' && c != 't' && c != '"' && c != '\'')
                return fail(r, "unknown escape sequence");
            text[n++] = c == 'n' ? '\n' : c == 't' ? '\t' : c;
        } else {
            text[n++] = at(r);
        }
    }
    r->i++;
    *out = str_from(text, n);
    return OK;
}

static enum err take_operator(struct reader *r, bool *negative, bool *regex)
{
    char c = at(r), next = r->i + 1 < r->text.n ? r->text.p[r->i + 1] : '\0';

    *negative = c == '!';
    *regex = next == '~';
    if (c == '=' && next != '~')
        r->i++;
    else if ((c == '=' || c == '!') && (next == '~' || next == '='))
        r->i += 2;
    else
        return fail(r, "expected one of =, !=, =~, !~");
    return OK;
}

static enum err take_matcher(struct reader *r, struct selector *s)
{
    struct matcher *m = &s->v[s->n];
    bool regex;

    m->name = take_name(r);
    if (m->name.n == 0)
        return fail(r, "expected a label name");
    skip_blanks(r);
    enum err err = take_operator(r, &m->negative, &regex);
    skip_blanks(r);
    if (!err)
        err = take_string(r, &s->arena, &m->value);
    if (!err && regex)
        err = regex_new(m->value, &m->regex, r->d);
    if (!err)
        s->n++;
    return err;
}

static enum err take_matchers(struct reader *r, struct selector *s)
{
    for (r->i++, skip_blanks(r); at(r) != '}'; skip_blanks(r)) {
        if (s->n + 1 >= MAX_MATCHERS)
            return diag_set(r->d, ERR_LIMIT, "more than %d matchers", MAX_MATCHERS);
        enum err err = take_matcher(r, s);
        if (err)
            return err;
        skip_blanks(r);
        if (at(r) == ',')
            r->i++;
        else if (at(r) != '}')
            return fail(r, "expected \",\" or \"}\"");
    }
    r->i++;
    return OK;
}

enum err selector_parse(struct str text, struct selector *out, struct diag *d)
{
    struct reader r = {.text = text, .d = d};
    enum err err = OK;

    *out = (struct selector){0};
    if (text.n == 0)
        return OK;
    out->v = ARENA_ARRAY(&out->arena, struct matcher, MAX_MATCHERS);
    skip_blanks(&r);
    struct str name = take_name(&r);
    if (name.n)
        out->v[out->n++] = (struct matcher){.name = LABEL_NAME, .value = name};
    skip_blanks(&r);
    if (at(&r) == '{')
        err = take_matchers(&r, out);
    else if (!name.n)
        err = fail(&r, "expected a metric selector");
    skip_blanks(&r);
    if (!err && r.i < text.n)
        err = fail(&r, "unexpected input behind the selector");
    if (err)
        selector_release(out);
    return err;
}

bool selector_matches(const struct selector *s, struct labels l)
{
    for (uint32_t i = 0; i < s->n; i++) {
        const struct matcher *m = &s->v[i];
        struct str value = labels_get(l, m->name);
        bool same = m->regex ? regex_match(m->regex, value) : str_eq(value, m->value);
        if (same == m->negative)
            return false;
    }
    return true;
}

void selector_release(struct selector *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (s->v[i].regex)
            regex_free(s->v[i].regex);
    arena_release(&s->arena);
    *s = (struct selector){0};
}
