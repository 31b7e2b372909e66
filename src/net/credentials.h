/* credentials: the Authorization field of a request, from options, files or the URL. One per client, on its loop. */
#ifndef NET_CREDENTIALS_H
#define NET_CREDENTIALS_H

#include "base/buf.h"
#include "base/err.h"
#include "net/http_client.h"

struct credentials;

struct credentials *credentials_new(void);
void credentials_free(struct credentials *c);
/* Appends the value ("Bearer x", "Basic x"), or nothing when neither the options nor the URL has any. Files are looked
 * at once a second at most and read again when they have changed. */
enum err credentials_print(struct credentials *c, const struct http_options *o, const struct http_url *u,
                           uint64_t now_ms, struct buf *out, struct diag *d) MUST_USE;

/* The trimmed text of a file, known in the same way; valid until the next call for that file. */
enum err credentials_file(struct credentials *c, struct str path, uint64_t now_ms, struct str *out,
                          struct diag *d) MUST_USE;

/* `text`, or the trimmed content of the file when there is no text; `what` for messages. Both empty: empty. */
enum err credentials_secret(struct credentials *c, struct str text, struct str path, uint64_t now_ms, const char *what,
                            struct str *out, struct diag *d) MUST_USE;

/* How often the file at `path` was seen to change, for those who have others read it. ERR_AUTH when there is none. */
enum err credentials_changes(struct credentials *c, struct str path, uint64_t now_ms, const char *what, uint32_t *n,
                             struct diag *d) MUST_USE;

#endif
