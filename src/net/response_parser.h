/* response_parser: an HTTP/1.x response, incrementally, from bytes that are not trusted (RFC 9112).
 *
 * The head goes to a buf of the caller's, body bytes go to another; memory is bounded by HTTP_HEAD_MAX and max_body.
 * A zeroed struct with `head`, `body` and `max_body` set begins a response.
 */
#ifndef NET_RESPONSE_PARSER_H
#define NET_RESPONSE_PARSER_H

#include <stdint.h>

#include "net/http_head.h"

enum response_state {
    RESPONSE_HEAD,
    RESPONSE_BODY, /* Content-Length bytes */
    RESPONSE_UNTIL_CLOSE,
    RESPONSE_CHUNK_SIZE,
    RESPONSE_CHUNK,
    RESPONSE_CHUNK_END, /* the line break after a chunk */
    RESPONSE_TRAILER,
    RESPONSE_COMPLETE,
};

struct response_parser {
    struct buf *head;
    struct http_head *fields;
    struct buf *body;
    size_t max_body;

    enum response_state state;
    bool keep_alive;    /* the connection can be used again after a complete response */
    bool any;           /* at least a byte has arrived */
    uint8_t n_interim;  /* 1xx responses skipped */
    uint64_t remaining; /* of the body or chunk */
    size_t body_n;
    uint32_t line_n; /* bytes of the chunk-size line or the trailers so far */
    bool seen_size, in_extension;
    uint8_t line_break; /* of the trailers: what has been seen of an empty line */
};

/* Takes bytes; *used < in.n only when the response is complete. OK: complete; ERR_AGAIN: more is needed; ERR_SYNTAX and
 * ERR_LIMIT end it. */
enum err response_parser_feed(struct response_parser *p, struct str in, size_t *used, struct diag *d) MUST_USE;
/* The peer closed. OK when that ends the response; ERR_NET "EOF" or "unexpected EOF" otherwise. */
enum err response_parser_eof(struct response_parser *p, struct diag *d) MUST_USE;
/* How many body bytes may be read straight into the body's buf now; 0: bytes must go through feed. */
size_t response_parser_room(const struct response_parser *p);
/* n bytes (at most room) were appended to the body by the caller. As feed. */
enum err response_parser_took(struct response_parser *p, size_t n, struct diag *d) MUST_USE;

#endif
