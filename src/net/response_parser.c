/* response_parser: responses byte by byte, from whoever happens to listen at a target's address.
 *
 *   HEAD --1xx--> HEAD
 *    |--204, 304, Content-Length: 0 -------------------------------> COMPLETE
 *    |--Content-Length: n--> BODY ---------------------------------> COMPLETE
 *    |--chunked--> CHUNK_SIZE -> CHUNK -> CHUNK_END -> CHUNK_SIZE
 *    |                 \--0--> TRAILER ----------------------------> COMPLETE
 *    \--neither--> UNTIL_CLOSE --the peer closes-------------------> COMPLETE
 *
 * Bytes may come in any portions; the state carries over. The head is collected until its empty line and parsed whole;
 * it is bounded, and so are chunk-size lines and trailers. What is announced (Content-Length, a chunk's size) is
 * compared with max_body before anything is allocated for it, and memory follows what has arrived, not what was
 * promised.
 *
 * Framing that two readers could understand differently is refused: Content-Length fields that disagree or are not
 * digits, transfer codings other than chunked. Transfer-Encoding goes before Content-Length, and is ignored in
 * HTTP/1.0, as in Go. A body that goes on until the connection ends cannot be told from a broken one; it is taken as
 * complete.
 *
 * For big bodies the caller may read straight into the body's buf: room() says how much, took() how much it was.
 *
 * Pure: no I/O. Fuzzed by tests/fuzz/fuzz_http_response.c.
 */
#include "net/response_parser.h"

#include "base/mem.h"
#include "base/num.h"

enum {
    HEAD_STEP = 4096, /* a head is searched in steps, so that little of the body is copied behind it */
    CHUNK_LINE_MAX = 4096,
    TRAILERS_MAX = HTTP_HEAD_MAX,
    INTERIM_MAX = 5,
    RESERVE_MAX = 1 << 20,
};

/* ---- the head ---- */

static enum err too_large(struct diag *d)
{
    return diag_set(d, ERR_LIMIT, "body size limit exceeded");
}

/* The index behind the empty line, or 0. */
static size_t find_head_end(const struct buf *b, size_t from)
{
    const char *at = b->p + from, *end = b->p + b->n;
    while ((at = memchr(at, '\n', (size_t)(end - at)))) {
        at++;
        if (at < end && *at == '\n') {
            return (size_t)(at + 1 - b->p);
        }
        if (at + 1 < end && at[0] == '\r' && at[1] == '\n') {
            return (size_t)(at + 2 - b->p);
        }
    }
    return 0;
}

static enum err content_length(struct response_parser *p, bool *present, struct diag *d)
{
    *present = false;
    for (size_t i = 0; i < p->fields->n_fields; i++) {
        const struct http_header *f = &p->fields->fields[i];
        uint64_t n;
        if (!str_eq_nocase(f->name, STR("Content-Length"))) {
            continue;
        }
        bool ok = f->value.n > 0 && f->value.p[0] >= '0' && f->value.p[0] <= '9' && num_parse_u64(f->value, &n) == OK;
        if (!ok || n > INT64_MAX) {
            return diag_set(d, ERR_SYNTAX, "bad Content-Length \"%.*s\"", f->value.n > 60 ? 60 : (int)f->value.n,
                            f->value.p ? f->value.p : "");
        }
        if (*present && n != p->remaining) {
            return diag_set(d, ERR_SYNTAX, "http: message cannot contain multiple Content-Length headers");
        }
        *present = true;
        p->remaining = n;
    }
    return OK;
}

static enum err transfer_encoding(const struct response_parser *p, bool *chunked, struct diag *d)
{
    *chunked = false;
    for (size_t i = 0; p->fields->minor >= 1 && i < p->fields->n_fields; i++) {
        const struct http_header *f = &p->fields->fields[i];
        if (!str_eq_nocase(f->name, STR("Transfer-Encoding"))) {
            continue;
        }
        if (*chunked || !str_eq_nocase(f->value, STR("chunked"))) {
            return diag_set(d, ERR_SYNTAX, "unsupported transfer encoding: \"%.*s\"",
                            f->value.n > 60 ? 60 : (int)f->value.n, f->value.p ? f->value.p : "");
        }
        *chunked = true;
    }
    return OK;
}

static enum err begin_length(struct response_parser *p, struct diag *d)
{
    if (p->remaining > p->max_body) {
        return too_large(d);
    }
    p->state = p->remaining ? RESPONSE_BODY : RESPONSE_COMPLETE;
    buf_reserve(p->body, p->remaining < RESERVE_MAX ? (size_t)p->remaining : RESERVE_MAX);
    return OK;
}

static enum err frame(struct response_parser *p, struct diag *d)
{
    const struct http_head *h = p->fields;
    bool chunked, length;
    p->keep_alive = h->minor >= 1 ? !http_head_has_token(h, STR("Connection"), STR("close"))
                                  : http_head_has_token(h, STR("Connection"), STR("keep-alive"));
    if (h->status == 204 || h->status == 304) {
        p->state = RESPONSE_COMPLETE;
        return OK;
    }
    enum err err = transfer_encoding(p, &chunked, d);
    if (err) {
        return err;
    }
    if (chunked) {
        p->state = RESPONSE_CHUNK_SIZE;
        return OK;
    }
    err = content_length(p, &length, d);
    if (err) {
        return err;
    }
    if (length) {
        return begin_length(p, d);
    }
    p->keep_alive = false;
    p->state = RESPONSE_UNTIL_CLOSE;
    return OK;
}

static enum err head_complete(struct response_parser *p, struct diag *d)
{
    enum err err = http_head_parse(p->head, p->fields, d);
    if (err) {
        return err;
    }
    if (p->fields->major != 1) {
        return diag_set(d, ERR_SYNTAX, "malformed HTTP version \"HTTP/%d\"", p->fields->major);
    }
    if (p->fields->status >= 200) {
        return frame(p, d);
    }
    if (p->fields->status == 101) {
        return diag_set(d, ERR_SYNTAX, "unexpected 101 Switching Protocols");
    }
    if (++p->n_interim > INTERIM_MAX) {
        return diag_set(d, ERR_LIMIT, "net/http: too many 1xx informational responses");
    }
    buf_clear(p->head);
    return OK;
}

static enum err feed_head(struct response_parser *p, struct str in, size_t *used, struct diag *d)
{
    struct buf *head = p->head;
    size_t before = head->n, n = in.n < HEAD_STEP ? in.n : HEAD_STEP;
    buf_append(head, in.p, n);
    *used = n;
    size_t end = find_head_end(head, before > 3 ? before - 3 : 0);
    size_t first = head->n < 5 ? head->n : 5;
    if (memcmp(head->p, "HTTP/", first) != 0) {
        size_t shown = strcspn(head->p, "\r\n");
        return diag_set(d, ERR_SYNTAX, "malformed HTTP response \"%.*s\"", shown > 60 ? 60 : (int)shown, head->p);
    }
    if (!end) {
        return head->n > HTTP_HEAD_MAX
                   ? diag_set(d, ERR_LIMIT, "server response headers exceeded %d bytes; aborted", HTTP_HEAD_MAX)
                   : OK;
    }
    *used = end - before;
    head->n = end;
    head->p[end] = '\0';
    return head_complete(p, d);
}

/* ---- the body ---- */

enum err response_parser_took(struct response_parser *p, size_t n, struct diag *d)
{
    p->body_n += n;
    if (p->state != RESPONSE_UNTIL_CLOSE) {
        p->remaining -= n;
        if (p->remaining == 0) {
            p->state = p->state == RESPONSE_BODY ? RESPONSE_COMPLETE : RESPONSE_CHUNK_END;
            p->line_break = 0;
        }
    }
    (void)d;
    return p->state == RESPONSE_COMPLETE ? OK : ERR_AGAIN;
}

size_t response_parser_room(const struct response_parser *p)
{
    switch (p->state) {
    case RESPONSE_BODY:
    case RESPONSE_CHUNK:
        return (size_t)p->remaining;
    case RESPONSE_UNTIL_CLOSE:
        return p->max_body - p->body_n;
    default:
        return 0;
    }
}

static enum err feed_body(struct response_parser *p, struct str in, size_t *used, struct diag *d)
{
    size_t n = in.n;
    if (p->state != RESPONSE_UNTIL_CLOSE && n > p->remaining) {
        n = (size_t)p->remaining;
    }
    if (n > p->max_body - p->body_n) {
        return too_large(d);
    }
    buf_append(p->body, in.p, n);
    *used = n;
    enum err err = response_parser_took(p, n, d);
    return err == ERR_AGAIN ? OK : err;
}

/* ---- chunks ---- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum err chunk_line_end(struct response_parser *p, struct diag *d)
{
    if (!p->seen_size) {
        return diag_set(d, ERR_SYNTAX, "malformed chunked encoding: no chunk size");
    }
    p->seen_size = p->in_extension = false;
    p->line_n = 0;
    p->line_break = 0;
    p->state = p->remaining ? RESPONSE_CHUNK : RESPONSE_TRAILER;
    return p->remaining > p->max_body - p->body_n ? too_large(d) : OK;
}

static enum err feed_chunk_size(struct response_parser *p, char c, struct diag *d)
{
    int digit = hex_value(c);
    if (++p->line_n > CHUNK_LINE_MAX) {
        return diag_set(d, ERR_LIMIT, "header line too long");
    }
    if (c == '\n') {
        return chunk_line_end(p, d);
    }
    if (p->in_extension) {
        return OK;
    }
    if (digit < 0) {
        p->in_extension = p->seen_size && (c == ';' || c == '\r' || c == ' ' || c == '\t');
        return p->in_extension ? OK : diag_set(d, ERR_SYNTAX, "invalid byte in chunk length");
    }
    if (!p->seen_size) {
        p->seen_size = true;
        p->remaining = 0;
    }
    if (p->remaining >> 58) {
        return diag_set(d, ERR_LIMIT, "http chunk length too large");
    }
    p->remaining = p->remaining * 16 + (uint64_t)digit;
    return OK;
}

static enum err feed_chunk_end(struct response_parser *p, char c, struct diag *d)
{
    if (c == '\r' && p->line_break == 0) {
        p->line_break = 1;
        return OK;
    }
    if (c != '\n') {
        return diag_set(d, ERR_SYNTAX, "malformed chunked encoding");
    }
    p->state = RESPONSE_CHUNK_SIZE;
    return OK;
}

/* line_break: 0 at the start of a line, 1 behind a CR there, 2 inside a line. */
static enum err feed_trailer(struct response_parser *p, char c, struct diag *d)
{
    if (++p->line_n > TRAILERS_MAX) {
        return diag_set(d, ERR_LIMIT, "http: suspiciously long trailer after chunked body");
    }
    if (c != '\n') {
        p->line_break = p->line_break == 0 && c == '\r' ? 1 : 2;
        return OK;
    }
    if (p->line_break != 2) {
        p->state = RESPONSE_COMPLETE;
    }
    p->line_break = 0;
    return OK;
}

/* ---- all of it ---- */

static enum err feed_step(struct response_parser *p, struct str in, size_t *used, struct diag *d)
{
    *used = 1;
    switch (p->state) {
    case RESPONSE_HEAD:
        return feed_head(p, in, used, d);
    case RESPONSE_BODY:
    case RESPONSE_UNTIL_CLOSE:
    case RESPONSE_CHUNK:
        return feed_body(p, in, used, d);
    case RESPONSE_CHUNK_SIZE:
        return feed_chunk_size(p, in.p[0], d);
    case RESPONSE_CHUNK_END:
        return feed_chunk_end(p, in.p[0], d);
    case RESPONSE_TRAILER:
        return feed_trailer(p, in.p[0], d);
    case RESPONSE_COMPLETE:
        break;
    }
    *used = 0;
    return OK;
}

enum err response_parser_feed(struct response_parser *p, struct str in, size_t *used, struct diag *d)
{
    *used = 0;
    p->any |= in.n > 0;
    while (*used < in.n && p->state != RESPONSE_COMPLETE) {
        size_t n = 0;
        enum err err = feed_step(p, str_from(in.p + *used, in.n - *used), &n, d);
        if (err) {
            return err;
        }
        *used += n;
    }
    return p->state == RESPONSE_COMPLETE ? OK : ERR_AGAIN;
}

enum err response_parser_eof(struct response_parser *p, struct diag *d)
{
    if (p->state == RESPONSE_COMPLETE || p->state == RESPONSE_UNTIL_CLOSE) {
        p->state = RESPONSE_COMPLETE;
        return OK;
    }
    return diag_set(d, ERR_NET, "%s", p->any ? "unexpected EOF" : "EOF");
}
