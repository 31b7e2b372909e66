/* oauth2: access tokens for requests (RFC 6749 section 4.4, RFC 7523), fetched when they are needed and kept.
 *
 * One source per client and set of options, shared by all peers that have these. On the client's loop.
 */
#ifndef NET_OAUTH2_H
#define NET_OAUTH2_H

#include "base/buf.h"
#include "base/err.h"
#include "net/http_client.h"

struct oauth2_source;

/* The client's source for these options, which are copied; one reference more. */
struct oauth2_source *oauth2_source_get(struct http_client *c, const struct oauth2_options *o);
void oauth2_source_unref(struct oauth2_source *s); /* NULL is fine */

/* Appends the value of Authorization ("Bearer x"). ERR_AGAIN: it is being fetched, oauth2_wait tells when. Files are
 * looked at as credentials.h does; another secret means another token. */
enum err oauth2_get(struct oauth2_source *s, struct buf *out, struct diag *d) MUST_USE;

struct oauth2_waiter;
/* OK: a token is there, and oauth2_take has it however short its life; or it cannot be had. May be called below
 * http_start of another peer. */
typedef void(oauth2_fn)(struct oauth2_waiter *w, enum err err, const struct diag *d);
struct oauth2_waiter {
    oauth2_fn *fn;
    struct oauth2_source *source; /* NULL when it does not wait */
    struct oauth2_waiter *next;
};
void oauth2_take(const struct oauth2_source *s, struct buf *out);
void oauth2_wait(struct oauth2_source *s, struct oauth2_waiter *w);
void oauth2_stop_waiting(struct oauth2_waiter *w); /* nothing when it does not wait */

/* A request with this value of Authorization was answered 401. True when it is worth another try: the token is
 * forgotten, and that at most once a minute. */
bool oauth2_refused(struct oauth2_source *s, struct str authorization);

#endif
