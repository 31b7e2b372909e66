/* http_head: the status line and the fields of a response, as views into its bytes (RFC 9112 sections 4 and 5). */
#ifndef NET_HTTP_HEAD_H
#define NET_HTTP_HEAD_H

#include "base/buf.h"
#include "base/err.h"
#include "net/http_options.h"

enum { HTTP_HEAD_MAX = 64 * 1024, HTTP_HEAD_FIELDS_MAX = 1000 };

struct http_head {
    int status;
    int major, minor;
    struct http_header *fields; /* views into the bytes parsed; owned array */
    size_t n_fields, cap;
};

/* `bytes` from the status line to the empty line or the end; folded lines are joined in place. Clears out first. */
enum err http_head_parse(struct buf *bytes, struct http_head *out, struct diag *d) MUST_USE;
void http_head_release(struct http_head *h);
/* The first field of that name; the empty view when there is none. */
struct str http_head_get(const struct http_head *h, struct str name);
/* True when any field of that name has this token in its comma-separated list; ASCII case does not matter. */
bool http_head_has_token(const struct http_head *h, struct str name, struct str token);

#endif
