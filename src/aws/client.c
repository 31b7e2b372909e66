/* client: one service at one place: its URL, its idle connections, and what is remembered from call to call: the day's
 * key, the retry quota, the rate, and what is counted.
 *
 * As many connections as calls ran at once, of which a few are kept. All protocols but REST ask the same path again and
 * again; a REST call makes a peer of its own.
 *
 * What is counted has the service's own words as a label: bounded, since services must not be able to fill our memory.
 */
#include "aws/call_int.h"

#include <openssl/crypto.h>

#include "base/mem.h"

enum { MAX_IDLE = 8, MAX_OUTCOMES = 200 };

static const double bounds_s[] = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};

static char *host_of(const struct http_url *u)
{
    struct buf b = {0};
    bool v6 = memchr(u->host.p, ':', u->host.n) != NULL;

    buf_printf(&b, v6 ? "[%.*s]" : "%.*s", STR_ARGS(u->host));
    if (u->port.n)
        buf_printf(&b, ":%.*s", STR_ARGS(u->port));
    return b.p;
}

struct aws_client *aws_client_new(const struct aws_env *env, const struct aws_service *service, struct str url,
                                  struct diag *d)
{
    struct aws_client *c = NEW(struct aws_client);
    struct counter_label label = {STR("service"), str_c(service->name)};

    c->env = env;
    c->service = service;
    c->url = str_to_c(url);
    if (http_url_parse(str_c(c->url), &c->parts, d) != OK) {
        free(c->url);
        free(c);
        return NULL;
    }
    c->host = host_of(&c->parts);
    c->retries = counter_new(env->counters, COUNTER_TOTAL, "leadline_aws_call_retries_total",
                             "Requests to AWS that were sent again", &label, 1);
    c->seconds = counter_histogram_new(env->counters, "leadline_aws_call_seconds",
                                       "How long calls to AWS took, retries and waits included", bounds_s,
                                       COUNT_OF(bounds_s), &label, 1);
    return c;
}

void aws_peer_free(struct aws_peer *p)
{
    http_peer_free(p->http);
    free(p);
}

void aws_client_free(struct aws_client *c)
{
    while (c->idle) {
        struct aws_peer *p = c->idle;
        c->idle = p->next;
        aws_peer_free(p);
    }
    for (size_t i = 0; i < c->n_outcomes; i++) {
        counter_release(c->env->counters, c->outcomes[i].n);
        free(c->outcomes[i].code);
    }
    free(c->outcomes);
    counter_release(c->env->counters, c->retries);
    counter_histogram_release(c->env->counters, c->seconds);
    OPENSSL_cleanse(&c->key, sizeof(c->key));
    free(c->asked_for);
    free(c->url);
    free(c->host);
    free(c);
}

enum err aws_client_take(struct aws_client *c, struct str path, struct aws_peer **out, struct diag *d)
{
    if (!path.n && c->idle) {
        *out = c->idle;
        c->idle = c->idle->next;
        c->n_idle--;
        return OK;
    }
    struct aws_peer *p = NEW(struct aws_peer);
    AUTO_BUF url = {0};

    p->shared = !path.n;
    buf_c(&url, c->url);
    if (path.n) {
        while (url.n && url.p[url.n - 1] == '/')
            url.n--;
        buf_str(&url, path);
    }
    enum err err = http_peer_new(c->env->http, buf_view(&url), c->options, &p->http, d);
    if (err) {
        free(p);
        return err;
    }
    *out = p;
    return OK;
}

bool aws_client_give(struct aws_client *c, struct aws_peer *p)
{
    if (!p->shared || c->n_idle == MAX_IDLE)
        return false;
    p->next = c->idle;
    c->idle = p;
    c->n_idle++;
    return true;
}

static struct counter *outcome(struct aws_client *c, const char *operation, struct str code)
{
    if (c->n_outcomes >= MAX_OUTCOMES)
        code = STR("other");
    for (size_t i = 0; i < c->n_outcomes; i++) {
        struct aws_outcome *o = &c->outcomes[i];
        if (!strcmp(o->operation, operation) && str_eq_c(code, o->code))
            return o->n;
    }
    if (c->n_outcomes >= 2 * MAX_OUTCOMES)
        return NULL;
    struct counter_label labels[] = {
        {STR("service"), str_c(c->service->name)}, {STR("operation"), str_c(operation)}, {STR("code"), code}};
    c->outcomes = mem_grow(c->outcomes, &c->cap_outcomes, c->n_outcomes + 1, sizeof(*c->outcomes));
    struct aws_outcome *o = &c->outcomes[c->n_outcomes++];
    *o = (struct aws_outcome){.operation = operation, .code = mem_strndup(code.p, code.n)};
    o->n = counter_new(c->env->counters, COUNTER_TOTAL, "leadline_aws_calls_total",
                       "Calls to AWS by how they ended: the HTTP status, the code of the error, or why there was no "
                       "answer",
                       labels, COUNT_OF(labels));
    return o->n;
}

void aws_client_count(struct aws_client *c, const char *operation, struct str code, double seconds)
{
    struct counter *n = outcome(c, operation, code);

    if (n)
        counter_inc(n);
    counter_histogram_observe(c->seconds, seconds);
}
