/* credentials: snapshots of keys, immutable and counted.
 *
 * The control loop makes one at each refresh and hands references to whoever signs: calls on the control loop, the
 * sinks of every worker. A snapshot is one block, so that wiping it is one call and nothing of a secret is left behind
 * in a freed string:
 *
 *   struct aws_credentials | access key NUL | secret key NUL | session token NUL | account NUL | source NUL
 *
 * The last user, on whatever thread, wipes and frees it.
 */
#include "aws/credentials.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/mem.h"

static struct str keep(char **at, struct str s)
{
    char *p = *at;

    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    *at += s.n + 1;
    return str_from(p, s.n);
}

struct aws_credentials *aws_credentials_new(struct str access_key, struct str secret_key, struct str session_token,
                                            struct str account, struct str source, int64_t expires_ms)
{
    size_t text = access_key.n + secret_key.n + session_token.n + account.n + source.n + 5;
    struct aws_credentials *c = mem_alloc(sizeof(*c) + text);
    char *at = (char *)(c + 1);

    *c = (struct aws_credentials){.expires_ms = expires_ms, .text_bytes = text};
    atomic_init(&c->refs, 1);
    c->access_key = keep(&at, access_key);
    c->secret_key = keep(&at, secret_key);
    c->session_token = keep(&at, session_token);
    c->account = keep(&at, account);
    c->source = keep(&at, source);
    return c;
}

struct aws_credentials *aws_credentials_ref(struct aws_credentials *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void aws_credentials_unref(struct aws_credentials *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    OPENSSL_cleanse(c, sizeof(*c) + c->text_bytes);
    free(c);
}
