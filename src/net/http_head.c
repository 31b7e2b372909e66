/* http_head: what both transports make of a response's first bytes.
 *
 *   HTTP/1.1 200 OK CRLF
 *   Content-Type: text/plain CRLF
 *    ; version=0.0.4 CRLF          a folded line: its break becomes spaces, in place
 *   CRLF
 *
 * libcurl hands over the lines of a head as it receives them (HTTP/2 fields rewritten to lines), the plain transport
 * collects them itself; both end up here, so that status, fields and errors are the same whatever carried them.
 * Lines may end in LF alone. A name must be a token and stand directly before its colon: accepting space there has been
 * used to smuggle requests. The words of errors are those of Go's net/http, which users of Prometheus know.
 *
 * Pure: no I/O, no state. At most HTTP_HEAD_MAX bytes and HTTP_HEAD_FIELDS_MAX fields come from the callers' limits.
 */
#include "net/http_head.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "net/http_client.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char b = (unsigned char)s.p[i];
        if (b <= ' ' || b >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", b)) {
            return false;
        }
    }
    return s.n > 0;
}

/* Takes a line off the front of *rest, without its CR LF or LF. */
static struct str take_line(struct str *rest)
{
    struct str line;
    str_cut(*rest, '\n', &line, rest);
    if (line.n && line.p[line.n - 1] == '\r') {
        line.n--;
    }
    return line;
}

static void unfold(struct buf *b)
{
    for (size_t i = 0; i + 1 < b->n; i++) {
        if (b->p[i] == '\n' && (b->p[i + 1] == ' ' || b->p[i + 1] == '\t')) {
            b->p[i] = ' ';
            if (i > 0 && b->p[i - 1] == '\r') {
                b->p[i - 1] = ' ';
            }
        }
    }
}

static int shown(struct str s)
{
    return s.n > 60 ? 60 : (int)s.n;
}

static enum err parse_status(struct str line, struct http_head *out, struct diag *d)
{
    struct str version, rest;
    str_cut(line, ' ', &version, &rest);
    bool ok = str_starts(version, STR("HTTP/")) && version.n >= 6 && is_digit(version.p[5]);
    if (ok && version.n > 6) {
        ok = version.n == 8 && version.p[6] == '.' && is_digit(version.p[7]);
    }
    if (!ok) {
        return diag_set(d, ERR_SYNTAX, "malformed HTTP response \"%.*s\"", shown(line), line.p);
    }
    out->major = version.p[5] - '0';
    out->minor = version.n == 8 ? version.p[7] - '0' : 0;
    bool code = rest.n >= 3 && is_digit(rest.p[0]) && is_digit(rest.p[1]) && is_digit(rest.p[2]) &&
                (rest.n == 3 || rest.p[3] == ' ') && rest.p[0] != '0';
    if (!code) {
        return diag_set(d, ERR_SYNTAX, "malformed HTTP status code \"%.*s\"", shown(rest), rest.p ? rest.p : "");
    }
    out->status = (rest.p[0] - '0') * 100 + (rest.p[1] - '0') * 10 + (rest.p[2] - '0');
    return OK;
}

enum err http_head_parse(struct buf *bytes, struct http_head *out, struct diag *d)
{
    out->n_fields = 0;
    unfold(bytes);
    struct str rest = buf_view(bytes);
    enum err err = parse_status(take_line(&rest), out, d);
    if (err) {
        return err;
    }
    while (rest.n) {
        struct str line = take_line(&rest);
        if (line.n == 0) {
            break;
        }
        struct http_header field = {0};
        if (!str_cut(line, ':', &field.name, &field.value) || !is_token(field.name) ||
            memchr(field.value.p, '\0', field.value.n)) {
            return diag_set(d, ERR_SYNTAX, "malformed MIME header line: %.*s", shown(line), line.p);
        }
        if (out->n_fields == HTTP_HEAD_FIELDS_MAX) {
            return diag_set(d, ERR_LIMIT, "server response has more than %d headers", HTTP_HEAD_FIELDS_MAX);
        }
        field.value = str_trim(field.value);
        out->fields = mem_grow(out->fields, &out->cap, out->n_fields + 1, sizeof(*out->fields));
        out->fields[out->n_fields++] = field;
    }
    return OK;
}

void http_head_release(struct http_head *h)
{
    free(h->fields);
    *h = (struct http_head){0};
}

struct str http_head_get(const struct http_head *h, struct str name)
{
    for (size_t i = 0; i < h->n_fields; i++) {
        if (str_eq_nocase(h->fields[i].name, name)) {
            return h->fields[i].value;
        }
    }
    return STR_NONE;
}

bool http_head_has_token(const struct http_head *h, struct str name, struct str token)
{
    for (size_t i = 0; i < h->n_fields; i++) {
        if (!str_eq_nocase(h->fields[i].name, name)) {
            continue;
        }
        struct str rest = h->fields[i].value, item;
        do {
            str_cut(rest, ',', &item, &rest);
            if (str_eq_nocase(str_trim(item), token)) {
                return true;
            }
        } while (rest.n);
    }
    return false;
}

enum { RETRY_AFTER_MAX_MS = 3600 * 1000 };

uint64_t http_retry_after_ms(struct str header, int64_t wall_ms)
{
    struct str s = str_trim(header);
    int64_t v;
    int64_t wait_ms;
    if (s.n == 0)
        return 0;
    if (num_parse_i64(s, &v) == OK)
        wait_ms = v > RETRY_AFTER_MAX_MS / 1000 ? RETRY_AFTER_MAX_MS : v * 1000;
    else if (clock_parse_http(s, &v))
        wait_ms = v - wall_ms;
    else
        return 0;
    if (wait_ms <= 0)
        return 0;
    return wait_ms > RETRY_AFTER_MAX_MS ? RETRY_AFTER_MAX_MS : (uint64_t)wait_ms;
}
