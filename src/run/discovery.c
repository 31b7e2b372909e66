/* discovery: what the program's discoverers share: the HTTP client and the resolver of the control loop, and the counts
 * of the whole process.
 *
 *   pools.c -- program_discover_env --> {loop, log, counters, totals, HTTP client, resolver, AWS} -- to each discoverer
 *
 * Each is opened when a plan first needs it and stays: a reload that leaves it without users is no reason to close
 * connections that the next one wants again. The resolver is one of its own, with EDNS0 on: records of discovery may be
 * large, while the workers' lookups of addresses are better off without an extension that some servers drop.
 * Everything is closed after the last discoverer, when the loop still has a turn to go. Control loop.
 */
#include "net/http_client.h"
#include "net/poller.h"
#include "net/resolver.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/version.h"
#include "run/program_int.h"

enum { MAX_CONNECTING = 32 };

struct program_discovery {
    struct discover_totals totals;
    struct http_client *http;
    struct poller *poller;
    struct resolver *resolver;
};

void program_discovery_open(struct program *p)
{
    p->discovery = NEW(struct program_discovery);
    discover_totals_init(&p->discovery->totals, p->o.counters);
}

void program_discovery_close(struct program *p)
{
    struct program_discovery *d = p->discovery;

    if (!d)
        return;
    if (d->http)
        http_client_free(d->http);
    if (d->resolver) {
        resolver_free(d->resolver);
        poller_free(d->poller, NULL, NULL);
    }
    discover_totals_release(&d->totals, p->o.counters);
    free(d);
    p->discovery = NULL;
}

static struct http_client *open_http(struct program *p)
{
    struct http_client_limits limits = {.max_connecting = MAX_CONNECTING, .user_agent = LEADLINE_USER_AGENT};

    if (!p->discovery->http)
        p->discovery->http = http_client_new(p->loop, p->o.log, &limits);
    return p->discovery->http;
}

static struct resolver *open_resolver(struct program *p)
{
    struct program_discovery *d = p->discovery;

    if (!d->resolver) {
        d->poller = poller_new(p->loop);
        d->resolver = resolver_new(p->loop, d->poller);
        resolver_use_edns(d->resolver);
    }
    return d->resolver;
}

struct discover_env program_discover_env(struct program *p, const struct plan_scrape *config)
{
    static const struct plan_discovery none;
    const struct plan_discovery *d = config ? &config->discovery : &none;

    return (struct discover_env){
        .loop = p->loop,
        .log = p->o.log,
        .counters = p->o.counters,
        .totals = &p->discovery->totals,
        .http = d->n_http_sd || d->n_ecs_task_sd ? open_http(p) : NULL,
        .resolver = d->n_dns_sd ? open_resolver(p) : NULL,
        .aws = !config || d->n_aws_sd || d->n_cloudmap_sd ? program_aws_open(p) : NULL,
        .task_metadata_uri = getenv("ECS_CONTAINER_METADATA_URI_V4"),
        .feed = p->ecs_feed,
        .config = config ? config->job_name : STR("ecs_service_discovery"),
    };
}
