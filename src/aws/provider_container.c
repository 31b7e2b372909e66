/* provider_container: keys of the task's role, from the ECS agent (or EKS Pod Identity, or anything that speaks like
 * them).
 *
 *   AWS_CONTAINER_CREDENTIALS_RELATIVE_URI  /v2/credentials/ID   -> http://169.254.170.2/v2/credentials/ID
 *   AWS_CONTAINER_CREDENTIALS_FULL_URI      as it is; http only to loopback and to the agents' own addresses, https
 *                                           anywhere: every address of the host's name must be such a one
 *   AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE  read again each time, as it is rotated; else .._TOKEN: sent as it is
 *
 *   GET -> {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"}, errors {"code", "message"}
 *
 * Source: Amazon ECS developer guide, "Task IAM role"; EKS user guide, "Pod Identities"; aws-sdk-go-v2's limits.
 */
#include <netdb.h>

#include "aws/fetch_int.h"
#include "base/file.h"
#include "net/resolver.h"

enum { TIMEOUT_MS = 3000, ATTEMPTS = 3 };

bool provider_container_trusts(const struct net_address *a)
{
    static const uint8_t eks6[16] = {0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x23};

    if (a->sa.sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr) || memcmp(&a->in6.sin6_addr, eks6, sizeof(eks6)) == 0;
    if (a->sa.sa_family != AF_INET)
        return false;
    uint32_t v4 = ntohl(a->in.sin_addr.s_addr);
    return v4 >> 24 == 127 || v4 == 0xa9feaa02 || v4 == 0xa9feaa17; /* 169.254.170.2, 169.254.170.23 */
}

/* Blocks: on the pool. */
static enum err check_host(const char *host, struct diag *d)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    bool good = true;

    if (getaddrinfo(host, NULL, &hints, &list))
        return diag_set(d, ERR_NET, "no such host %s", host);
    for (const struct addrinfo *i = list; i; i = i->ai_next) {
        struct net_address a = {0};
        if (i->ai_addrlen > sizeof(a))
            continue;
        memcpy(&a, i->ai_addr, i->ai_addrlen);
        good = good && provider_container_trusts(&a);
    }
    freeaddrinfo(list);
    return good ? OK
                : diag_set(d, ERR_AUTH,
                           "AWS_CONTAINER_CREDENTIALS_FULL_URI: http is for loopback and the container agent's "
                           "address: %s is neither; use https",
                           host);
}

/* On the pool: the session, and the chain with it, may be gone. */
static void run_prepare(struct fetch *f)
{
    buf_clear(&f->file);
    if (f->host)
        f->work_err = check_host(f->host, &f->work_diag);
    if (!f->work_err && f->path)
        f->work_err = file_read(f->path, FETCH_MAX_TOKEN_FILE, &f->file, &f->work_diag);
}

static void on_keys(struct fetch *f, const struct http_response *r, struct str body)
{
    struct answer_keys keys;
    struct diag d = {0};

    if (r->err || r->status != 200) {
        struct str why = fetch_why(f, r, body);
        fetch_fail(f, r->err ? r->err : ERR_AUTH, "container endpoint: %.*s", STR_ARGS(why));
        return;
    }
    enum err err = answer_metadata(body, &f->arena, &keys, &d);
    if (err)
        fetch_fail(f, err, "container endpoint: %s", d.text);
    else
        fetch_got(f, &keys);
}

static void on_prepared(struct fetch *f)
{
    const struct chain_container *c = &f->from.chain->container;
    struct str token = c->token_file.n ? str_trim(buf_view(&f->file)) : c->token;
    struct fetch_question q = {.method = "GET",
                               .url = c->url,
                               .headers = {{.name = STR("Accept"), .value = STR("application/json")},
                                           {.name = STR("Authorization"), .value = token, .secret = true}},
                               .n_headers = token.n ? 2 : 1,
                               .timeout_ms = TIMEOUT_MS,
                               .attempts = ATTEMPTS,
                               .max_answer = FETCH_MAX_ANSWER,
                               .answered = on_keys};

    if (f->work_err) {
        fetch_fail(f, f->work_err, "container endpoint: %s", f->work_diag.text);
        return;
    }
    for (size_t i = 0; i < token.n; i++) {
        if ((unsigned char)token.p[i] >= ' ' && token.p[i] != 0x7f)
            continue;
        fetch_fail(f, ERR_SYNTAX, "container endpoint: the authorization token has characters that cannot be sent");
        return;
    }
    fetch_ask(f, &q);
}

void provider_container(struct fetch *f)
{
    const struct chain_container *c = &f->from.chain->container;
    struct http_url url;
    struct diag d = {0};

    if (http_url_parse(c->url, &url, &d)) {
        fetch_fail(f, ERR_SYNTAX, "AWS_CONTAINER_CREDENTIALS_FULL_URI: not a URL");
        return;
    }
    bool check = !c->relative && str_eq_nocase(url.scheme, STR("http"));
    f->host = check ? str_dup(&f->arena, url.host).p : NULL;
    f->path = c->token_file.n ? str_dup(&f->arena, c->token_file).p : NULL;
    fetch_work(f, run_prepare, on_prepared);
}
