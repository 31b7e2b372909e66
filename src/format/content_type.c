/* content_type: which parser a response's Content-Type asks for, decided and worded as by Prometheus
 * (model/textparse/interface.go) on top of Go's mime.ParseMediaType:
 *
 *     type "/" subtype { ";" name "=" (token | "quoted \" string") } [";"]
 *
 * Types and parameter names are compared in lower case; a parameter that is not well-formed, or given twice with
 * different values, spoils the whole header. Only the media type chooses; the version counts in one case,
 * OpenMetrics 2.0.0, which Prometheus reads only behind a feature flag and otherwise treats as a type that it does not
 * know. RFC 2231 continuations (`name*0=`) are checked for form and otherwise ignored.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "base/quote.h"
#include "format/exposition.h"

enum { MEDIA_PARAMETERS_MAX = 16, MEDIA_TYPE_MAX = 256 };

static bool is_token_char(char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return true;
    return c && strchr("!#$%&'*+-.^_`{|}~", c);
}

static struct str take_token(struct str *s)
{
    size_t n = 0;
    while (n < s->n && is_token_char(s->p[n]))
        n++;
    struct str token = str_from(s->p, n);
    *s = str_from(s->p + n, s->n - n);
    return token;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_space(struct str *s)
{
    while (s->n > 0 && is_space(s->p[0]))
        *s = str_from(s->p + 1, s->n - 1);
}

static bool take_char(struct str *s, char c)
{
    skip_space(s);
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = str_from(s->p + 1, s->n - 1);
    skip_space(s);
    return true;
}

/* A quoted value with its quotes: compared as written, which differs from Go only for needless escapes. */
static bool take_value(struct str *s, struct str *out)
{
    if (s->n == 0 || s->p[0] != '"') {
        *out = take_token(s);
        return out->n > 0;
    }
    for (size_t i = 1; i < s->n; i++) {
        if (s->p[i] == '"') {
            *out = str_from(s->p + 1, i - 1);
            *s = str_from(s->p + i + 1, s->n - i - 1);
            return true;
        }
        if (s->p[i] == '\r' || s->p[i] == '\n')
            return false;
        if (s->p[i] == '\\' && i + 1 < s->n && strchr("()<>@,;:\\\"/[]?=", s->p[i + 1]) && s->p[i + 1])
            i++;
    }
    return false;
}

struct parameter {
    struct str name, value;
};

/* The parameters behind the media type; *version is that one's value. NULL, or Go's words for what is wrong. */
static const char *check_parameters(struct str s, struct str *version)
{
    struct parameter seen[MEDIA_PARAMETERS_MAX];
    size_t n = 0;
    for (skip_space(&s); s.n > 0; skip_space(&s)) {
        struct parameter p;
        if (str_eq(str_trim(s), STR(";")))
            return NULL;
        if (!take_char(&s, ';') || (p.name = take_token(&s)).n == 0 || !take_char(&s, '=') || !take_value(&s, &p.value))
            return "mime: invalid media parameter";
        for (size_t i = 0; i < n; i++)
            if (str_eq_nocase(seen[i].name, p.name) && !str_eq(seen[i].value, p.value))
                return "mime: duplicate parameter name";
        if (n == MEDIA_PARAMETERS_MAX)
            return "mime: invalid media parameter";
        seen[n++] = p;
        if (str_eq_nocase(p.name, STR("version")))
            *version = p.value;
    }
    return NULL;
}

/* Cuts the header into media type and parameters. NULL, or Go's words for what is wrong. */
static const char *parse_media_type(struct str s, struct str *type, struct str *version)
{
    struct str rest = s, word;
    while (rest.n > 0 && rest.p[0] != ';')
        rest = str_from(rest.p + 1, rest.n - 1);
    *type = word = str_trim(str_from(s.p, s.n - rest.n));
    *version = STR_NONE;
    if (take_token(&word).n == 0)
        return "mime: no media type";
    if (word.n > 0) {
        if (word.p[0] != '/')
            return "mime: expected slash after first token";
        word = str_from(word.p + 1, word.n - 1);
        if (take_token(&word).n == 0)
            return "mime: expected token after slash";
        if (word.n > 0)
            return "mime: unexpected content after media subtype";
    }
    return check_parameters(rest, version);
}

static bool kind_of(struct str type, enum exposition_kind *out)
{
    static const struct {
        const char *type;
        enum exposition_kind kind;
    } types[] = {
        {"text/plain", EXPOSITION_TEXT},
        {"application/openmetrics-text", EXPOSITION_OPENMETRICS},
        {"application/vnd.google.protobuf", EXPOSITION_PROTO},
    };
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (str_eq_nocase(type, str_c(types[i].type))) {
            *out = types[i].kind;
            return true;
        }
    }
    return false;
}

/* Says why the header does not do, and what follows from it. */
static enum err use_fallback(struct str fallback, enum exposition_kind *out, struct diag *d, const char *with,
                             const char *without, const char *detail)
{
    if (fallback.n == 0)
        return diag_set(d, ERR_UNSUPPORTED, "%s%s%s", without, detail ? "\n" : "", detail ? detail : "");
    (void)diag_set(d, ERR_UNSUPPORTED, "%s, using fallback_scrape_protocol \"%.*s\"%s%s", with, STR_ARGS(fallback),
                   detail ? "\n" : "", detail ? detail : "");
    return kind_of(fallback, out) ? OK : ERR_UNSUPPORTED;
}

enum err exposition_kind_of_content_type(struct str content_type, struct str fallback, enum exposition_kind *out,
                                         struct diag *d)
{
    struct diag unused;
    struct str type, version;
    if (!d)
        d = &unused;
    diag_reset(d);
    *out = EXPOSITION_TEXT;
    if (content_type.n == 0)
        return use_fallback(fallback, out, d, "non-compliant scrape target sending blank Content-Type",
                            "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol "
                            "specified for target",
                            NULL);
    AUTO_BUF quoted = {0};
    AUTO_BUF with = {0};
    AUTO_BUF without = {0};
    buf_quote(&quoted, str_from(content_type.p, content_type.n < MEDIA_TYPE_MAX ? content_type.n : MEDIA_TYPE_MAX));
    const char *wrong = parse_media_type(content_type, &type, &version);
    if (wrong) {
        buf_printf(&with, "could not parse received Content-Type %s", quoted.p);
        buf_printf(&without, "cannot parse Content-Type %s and no fallback_scrape_protocol for target", quoted.p);
        return use_fallback(fallback, out, d, with.p, without.p, wrong);
    }
    bool known = kind_of(type, out);
    if (known && *out == EXPOSITION_OPENMETRICS && str_eq(version, STR("2.0.0"))) {
        buf_printf(&with, "received OpenMetrics 2.0 Content-Type %s, but the openmetrics2 feature flag is not enabled",
                   quoted.p);
        buf_printf(&without, "%s and no fallback_scrape_protocol specified for target", with.p);
        return use_fallback(fallback, out, d, with.p, without.p, NULL);
    }
    if (known)
        return OK;
    buf_printf(&with, "received unsupported Content-Type %s", quoted.p);
    buf_printf(&without, "%s and no fallback_scrape_protocol specified for target", with.p);
    return use_fallback(fallback, out, d, with.p, without.p, NULL);
}
