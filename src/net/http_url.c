/* http_url: URLs taken apart, put together and escaped.
 *
 *   https://user:secret@[fd00::1]:9100/metrics?name=x#part
 *   scheme  userinfo     host     port path     query  (dropped)
 *
 * Splitting is strict where a mistake would send a request to another place than the reader thinks: the authority ends
 * at the first of / ? #, the user's part ends at its last @, a bracket must close, a port is a number. Bytes below a
 * space are refused anywhere. Nothing is decoded: views point into the text given. Joining a redirect's Location to the
 * URL it came from (RFC 3986 section 5.2) is left to libcurl's URL functions.
 */
#include <curl/curl.h>

#include "base/num.h"
#include "net/http_client_int.h"

static enum err split_host_port(struct str authority, struct str url, struct http_url *out, struct diag *d)
{
    struct str rest = authority;
    if (authority.n && authority.p[0] == '[') {
        const char *close = memchr(authority.p, ']', authority.n);
        if (!close) {
            return diag_set(d, ERR_SYNTAX, "parse \"%.*s\": missing ']' in host", STR_ARGS(url));
        }
        out->host = str_from(authority.p + 1, (size_t)(close - authority.p) - 1);
        rest = str_from(close + 1, authority.n - out->host.n - 2);
        if (rest.n && rest.p[0] != ':') {
            return diag_set(d, ERR_SYNTAX, "parse \"%.*s\": invalid port \"%.*s\" after host", STR_ARGS(url),
                            STR_ARGS(rest));
        }
        out->port = rest.n ? str_from(rest.p + 1, rest.n - 1) : STR_NONE;
    } else {
        str_cut(authority, ':', &out->host, &out->port);
    }
    uint64_t port = 1;
    bool digits = out->port.n == 0 || (num_parse_u64(out->port, &port) == OK && port >= 1 && port <= 65535);
    if (!digits && port > 65535) {
        return diag_set(d, ERR_SYNTAX, "dial tcp: address %.*s: invalid port", STR_ARGS(out->port));
    }
    if (!digits) {
        return diag_set(d, ERR_SYNTAX, "parse \"%.*s\": invalid port \":%.*s\" after host", STR_ARGS(url),
                        STR_ARGS(out->port));
    }
    if (out->host.n == 0) {
        return diag_set(d, ERR_SYNTAX, "\"%.*s\": no Host in request URL", STR_ARGS(url));
    }
    for (size_t i = 0; i < out->host.n; i++) {
        if (strchr(" <>\"\\^`{|}%[]", out->host.p[i]) &&
            !(out->host.p[i] == '%' && memchr(out->host.p, ':', out->host.n))) {
            return diag_set(d, ERR_SYNTAX, "parse \"%.*s\": invalid character \"%c\" in host name", STR_ARGS(url),
                            out->host.p[i]);
        }
    }
    return OK;
}

enum err http_url_parse(struct str url, struct http_url *out, struct diag *d)
{
    *out = (struct http_url){0};
    for (size_t i = 0; i < url.n; i++) {
        if ((unsigned char)url.p[i] < ' ' || url.p[i] == 0x7f) {
            return diag_set(d, ERR_SYNTAX, "invalid control character in URL");
        }
    }
    struct str rest;
    if (!str_cut(url, ':', &out->scheme, &rest) || !str_starts(rest, STR("//"))) {
        return diag_set(d, ERR_SYNTAX, "\"%.*s\" is not an absolute URL such as http://host:port/path", STR_ARGS(url));
    }
    if (!str_eq_nocase(out->scheme, STR("http")) && !str_eq_nocase(out->scheme, STR("https"))) {
        return diag_set(d, ERR_SYNTAX, "unsupported protocol scheme \"%.*s\"", STR_ARGS(out->scheme));
    }
    rest = str_from(rest.p + 2, rest.n - 2);
    size_t n = 0;
    while (n < rest.n && !strchr("/?#", rest.p[n])) {
        n++;
    }
    struct str authority = str_from(rest.p, n);
    struct str tail = str_from(rest.p + n, rest.n - n), unused;
    str_cut(tail, '#', &tail, &unused);
    str_cut(tail, '?', &out->path, &out->query);
    const char *at = n ? memrchr(authority.p, '@', authority.n) : NULL;
    if (at) {
        out->userinfo = str_from(authority.p, (size_t)(at - authority.p));
        authority = str_from(at + 1, authority.n - out->userinfo.n - 1);
    }
    return split_host_port(authority, url, out, d);
}

bool http_url_is_tls(const struct http_url *u)
{
    return u->scheme.n == 5;
}

uint16_t http_url_port(const struct http_url *u)
{
    uint64_t port = 0;
    if (u->port.n && num_parse_u64(u->port, &port) == OK) {
        return (uint16_t)port;
    }
    return http_url_is_tls(u) ? 443 : 80;
}

void http_url_print_host(struct buf *out, const struct http_url *u)
{
    bool v6 = memchr(u->host.p, ':', u->host.n) != NULL;
    buf_printf(out, v6 ? "[%.*s]" : "%.*s", STR_ARGS(u->host));
    if (u->port.n) {
        buf_printf(out, ":%.*s", STR_ARGS(u->port));
    }
}

static void append_part(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char b = (unsigned char)s.p[i];
        if (b <= ' ' || b >= 0x7f) {
            buf_printf(out, "%%%02X", b);
        } else {
            buf_char(out, (char)b);
        }
    }
}

void http_url_print_target(struct buf *out, const struct http_url *u)
{
    if (u->path.n == 0) {
        buf_char(out, '/');
    }
    append_part(out, u->path);
    if (u->query.n) {
        buf_char(out, '?');
        append_part(out, u->query);
    }
}

enum err http_url_join(struct str base, struct str location, struct buf *out, struct diag *d)
{
    CURLU *u = curl_url();
    CHECK(u);
    char *from = str_to_c(base), *to = str_to_c(location), *joined = NULL;
    unsigned flags = CURLU_PATH_AS_IS | CURLU_NON_SUPPORT_SCHEME;
    CURLUcode code = curl_url_set(u, CURLUPART_URL, from, flags);
    if (!code) {
        code = curl_url_set(u, CURLUPART_URL, to, flags | CURLU_URLENCODE);
    }
    if (!code) {
        code = curl_url_get(u, CURLUPART_URL, &joined, 0);
    }
    buf_clear(out);
    if (!code) {
        buf_c(out, joined);
    }
    curl_free(joined);
    free(from);
    free(to);
    curl_url_cleanup(u);
    return code ? diag_set(d, ERR_SYNTAX, "failed to parse Location header \"%.*s\"", STR_ARGS(location)) : OK;
}

void http_query_escape(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char b = (unsigned char)s.p[i];
        bool plain = (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') || b == '-' ||
                     b == '_' || b == '.' || b == '~';
        if (plain) {
            buf_char(out, (char)b);
        } else if (b == ' ') {
            buf_char(out, '+');
        } else {
            buf_printf(out, "%%%02X", b);
        }
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void http_percent_decode(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%' && i + 2 < s.n && hex_value(s.p[i + 1]) >= 0 && hex_value(s.p[i + 2]) >= 0) {
            buf_char(out, (char)(hex_value(s.p[i + 1]) * 16 + hex_value(s.p[i + 2])));
            i += 2;
        } else {
            buf_char(out, s.p[i]);
        }
    }
}
