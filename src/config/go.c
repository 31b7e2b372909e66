/* go: three functions of Go's library whose exact behaviour decides whether a configuration is taken, and what it
 * means.
 *
 *   net/url.Parse      which URLs are refused when the file is read, and for what reason; Redacted for showing them
 *   os.Expand          $x, ${x} and $$ in external labels, with its rules for what is not a name
 *   filepath.Join      how relative paths are resolved: "./targets/../x.json" in "conf" is "conf/x.json", which users
 * see again in __meta_filepath
 *
 * A URL is taken apart only as far as its errors need:
 *
 *   scheme ":" "//" [userinfo "@"] host [":" port] path ["?" query]
 *
 * The reasons are Go's words without the URL or the part of it, since a password with a stray slash in it is reported
 * as a wrong port. Checked against Go 1.26.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "config/reader_int.h"

/* ---- net/url ---- */

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool in_set(char c, const char *set)
{
    return c && strchr(set, c);
}

/* The bytes of the scheme, 0 when there is none, -1 for a colon without one. */
static int scheme_length(struct str url)
{
    for (size_t i = 0; i < url.n; i++) {
        char c = url.p[i];
        if (is_alpha(c))
            continue;
        if (c == ':')
            return i ? (int)i : -1;
        if (i == 0 || !(is_digit(c) || c == '+' || c == '-' || c == '.'))
            return 0;
    }
    return 0;
}

static const char *check_escapes(struct str s, bool host)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            if (i + 2 >= s.n || !is_hex(s.p[i + 1]) || !is_hex(s.p[i + 2]))
                return "invalid URL escape";
            /* A host may only escape bytes beyond ASCII, and the percent sign of an IPv6 zone. */
            if (host && s.p[i + 1] < '8' && !(s.p[i + 1] == '2' && s.p[i + 2] == '5'))
                return "invalid URL escape";
            i += 2;
        } else if (host && (unsigned char)c < 0x80 && !is_alpha(c) && !is_digit(c) &&
                   !in_set(c, "-._~!$&'()*+,;=:[]<>\"")) {
            return "invalid character in host name";
        }
    }
    return NULL;
}

static const char *check_port(struct str s)
{
    if (s.n == 0)
        return NULL;
    if (s.p[0] != ':')
        return "invalid port after host";
    for (size_t i = 1; i < s.n; i++) {
        if (!is_digit(s.p[i]))
            return "invalid port after host";
    }
    return NULL;
}

static const char *check_ip6(struct str s)
{
    struct str address = s;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%') {
            address.n = i;
            break;
        }
    }
    size_t colons = 0;
    for (size_t i = 0; i < address.n; i++) {
        colons += address.p[i] == ':';
        if (!is_hex(address.p[i]) && address.p[i] != ':' && address.p[i] != '.')
            return "invalid host";
    }
    return colons < 2 ? "invalid IP-literal" : check_escapes(s, true);
}

static const char *check_host(struct str host, bool http)
{
    const char *open = host.n ? memrchr(host.p, '[', host.n) : NULL;
    if (open && open != host.p)
        return "invalid IP-literal";
    if (open) {
        const char *close = memrchr(host.p, ']', host.n);
        if (!close)
            return "missing ']' in host";
        const char *why = check_port(str_from(close + 1, (size_t)(host.p + host.n - close - 1)));
        return why ? why : check_ip6(str_from(open + 1, (size_t)(close - open - 1)));
    }
    const char *colon = host.n ? (http ? memchr(host.p, ':', host.n) : memrchr(host.p, ':', host.n)) : NULL;
    if (colon) {
        const char *why = check_port(str_from(colon, (size_t)(host.p + host.n - colon)));
        if (why)
            return why;
    }
    return check_escapes(host, true);
}

static const char *check_userinfo(struct str user)
{
    for (size_t i = 0; i < user.n; i++) {
        char c = user.p[i];
        if (!is_alpha(c) && !is_digit(c) && !in_set(c, "-._:~!$&'()*+,;=%@"))
            return "net/url: invalid userinfo";
    }
    return check_escapes(user, false);
}

static const char *check_authority(struct str authority, bool http)
{
    const char *at = authority.n ? memrchr(authority.p, '@', authority.n) : NULL;
    struct str host = authority;
    if (at)
        host = str_from(at + 1, (size_t)(authority.p + authority.n - at - 1));
    const char *why = check_host(host, http);
    if (why || !at)
        return why;
    return check_userinfo(str_from(authority.p, (size_t)(at - authority.p)));
}

static const char *check_url(struct str url)
{
    for (size_t i = 0; i < url.n; i++) {
        if ((unsigned char)url.p[i] < 0x20 || url.p[i] == 0x7f)
            return "net/url: invalid control character in URL";
    }
    int scheme = scheme_length(url);
    if (scheme < 0)
        return "missing protocol scheme";
    struct str rest = scheme ? str_from(url.p + scheme + 1, url.n - (size_t)scheme - 1) : url;
    struct str head, tail;
    str_cut(rest, '?', &rest, &tail);
    bool rooted = rest.n && rest.p[0] == '/';
    if (!rooted && scheme)
        return NULL;
    if (!rooted) {
        str_cut(rest, '/', &head, &tail);
        if (head.n && memchr(head.p, ':', head.n))
            return "first path segment in URL cannot contain colon";
    }
    if (str_starts(rest, STR("//")) && (scheme || !str_starts(rest, STR("///")))) {
        struct str after = str_from(rest.p + 2, rest.n - 2);
        const char *slash = after.n ? memchr(after.p, '/', after.n) : NULL;
        struct str authority = slash ? str_from(after.p, (size_t)(slash - after.p)) : after;
        struct str name = str_from(url.p, (size_t)scheme);
        bool http = str_eq_nocase(name, STR("http")) || str_eq_nocase(name, STR("https"));
        const char *why = check_authority(authority, http);
        if (why)
            return why;
        rest = slash ? str_from(slash, (size_t)(after.p + after.n - slash)) : STR_NONE;
    }
    return check_escapes(rest, false);
}

enum err go_url_check(struct str url, const char **why)
{
    struct str head, tail;
    str_cut(url, '#', &head, &tail);
    *why = check_url(head);
    if (!*why)
        *why = check_escapes(tail, false);
    return *why ? ERR_SYNTAX : OK;
}

struct str go_url_redacted(struct arena *a, struct str url)
{
    int scheme = scheme_length(url);
    size_t start = scheme > 0 ? (size_t)scheme + 1 : 0;
    if (url.n < start + 2 || memcmp(url.p + start, "//", 2) != 0)
        return url;
    start += 2;
    size_t end = start;
    while (end < url.n && url.p[end] != '/' && url.p[end] != '?' && url.p[end] != '#')
        end++;
    const char *at = memrchr(url.p + start, '@', end - start);
    const char *colon = at ? memchr(url.p + start, ':', (size_t)(at - url.p) - start) : NULL;
    if (!colon)
        return url;
    AUTO_BUF b = {0};
    buf_append(&b, url.p, (size_t)(colon - url.p) + 1);
    buf_c(&b, "xxxxx");
    buf_append(&b, at, (size_t)(url.p + url.n - at));
    return str_dup(a, buf_view(&b));
}

/* ---- os.Expand ---- */

static bool is_special(char c)
{
    return is_digit(c) || in_set(c, "*#$@!?-");
}

/* The name behind a dollar sign and how many bytes it takes, braces included. An empty name with a width is bad syntax
 * that vanishes; with none, the dollar sign stands for itself. */
static struct str shell_name(struct str s, size_t *width)
{
    if (s.p[0] == '{') {
        if (s.n > 2 && is_special(s.p[1]) && s.p[2] == '}') {
            *width = 3;
            return str_from(s.p + 1, 1);
        }
        const char *close = memchr(s.p, '}', s.n);
        size_t inside = close ? (size_t)(close - s.p) - 1 : 0;
        *width = close ? inside + 2 : 1;
        return str_from(s.p + 1, inside);
    }
    if (is_special(s.p[0])) {
        *width = 1;
        return str_from(s.p, 1);
    }
    size_t i = 0;
    while (i < s.n && (is_alpha(s.p[i]) || is_digit(s.p[i]) || s.p[i] == '_'))
        i++;
    *width = i;
    return str_from(s.p, i);
}

static void expand_name(struct buf *b, struct str name, void (*empty)(void *ctx, struct str name), void *ctx)
{
    if (str_eq_c(name, "$")) {
        buf_char(b, '$');
        return;
    }
    char *c = str_to_c(name);
    const char *value = getenv(c);
    free(c);
    if (value && *value)
        buf_c(b, value);
    else
        empty(ctx, name);
}

struct str go_expand(struct arena *a, struct str s, void (*empty)(void *ctx, struct str name), void *ctx)
{
    AUTO_BUF b = {0};
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '$' || i + 1 == s.n) {
            buf_char(&b, s.p[i]);
            continue;
        }
        size_t width;
        struct str name = shell_name(str_from(s.p + i + 1, s.n - i - 1), &width);
        if (name.n)
            expand_name(&b, name, empty, ctx);
        else if (width == 0)
            buf_char(&b, '$');
        i += width;
    }
    return b.n ? str_dup(a, buf_view(&b)) : STR("");
}

/* ---- filepath.Join ---- */

/* Removes the last element of a cleaned path; false when that is not possible. */
static bool drop_last(struct buf *b)
{
    if (b->n == 0 || (b->n == 1 && b->p[0] == '/'))
        return b->n == 1;
    size_t i = b->n;
    while (i > 0 && b->p[i - 1] != '/')
        i--;
    if (str_eq_c(str_from(b->p + i, b->n - i), ".."))
        return false;
    b->n = i > 1 ? i - 1 : i;
    return true;
}

static void append_element(struct buf *b, struct str element)
{
    if (element.n == 0 || str_eq_c(element, "."))
        return;
    if (str_eq_c(element, "..") && drop_last(b))
        return;
    if (b->n && b->p[b->n - 1] != '/')
        buf_char(b, '/');
    buf_str(b, element);
}

struct str go_path_join(struct arena *a, const char *dir, struct str path)
{
    AUTO_BUF b = {0};
    struct str parts[2] = {str_c(dir), path};
    if (parts[0].n ? parts[0].p[0] == '/' : path.n && path.p[0] == '/')
        buf_char(&b, '/');
    for (int i = 0; i < 2; i++) {
        struct str rest = parts[i], element;
        while (rest.n) {
            str_cut(rest, '/', &element, &rest);
            append_element(&b, element);
        }
    }
    return b.n ? str_dup(a, buf_view(&b)) : STR(".");
}
