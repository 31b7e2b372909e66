/* dns: dns_sd_configs. Each record of a name is a target (Prometheus discovery/dns).
 *
 *   refresh --> one query per name, side by side --> all answered: one group per name --> report
 *
 *   SRV   target:port of the record, __meta_dns_srv_record_target and _port
 *   MX    host:port of the configuration, __meta_dns_mx_record_target
 *   NS    host:port of the configuration, __meta_dns_ns_record_target
 *   A, AAAA   address:port of the configuration
 *
 * What a record names keeps its final dot in the label and loses it in the address. Records of other types than the one
 * asked for count too, by their own rules, as in the original; CNAMEs are on the way to them.
 *
 * A name that is known not to exist, under every search domain, has no targets; a name that could not be looked up
 * keeps its last ones, and then the refresh counts as failed (the original counts only the lookup). Control loop only.
 */
#include "discover/refresh.h"
#include "net/resolver.h"

#include "base/mem.h"

enum { INVALID_RECORD_LOG_MS = 10 * 60 * 1000 };

struct dns_name {
    struct dns_discoverer *of;
    struct str name;
    struct resolver_query query;
    struct target_groups *groups; /* one group, the last good; NULL: never looked up well */
};

struct dns_discoverer {
    struct refresh refresh;
    const struct plan_dns_sd *config;
    struct dns_name *names;
    uint32_t n_pending, n_failed;
    struct diag error; /* of the first name that failed in this refresh */
    struct log_limit invalid;
};

static const uint16_t record_types[] = {
    [DNS_SD_SRV] = DNS_SRV, [DNS_SD_A] = DNS_A, [DNS_SD_AAAA] = DNS_AAAA, [DNS_SD_MX] = DNS_MX, [DNS_SD_NS] = DNS_NS};

static struct str join_host_port(struct arena *a, struct str host, uint16_t port)
{
    bool six = host.n && memchr(host.p, ':', host.n);

    return str_c(six ? arena_printf(a, "[%.*s]:%u", STR_ARGS(host), port)
                     : arena_printf(a, "%.*s:%u", STR_ARGS(host), port));
}

/* False: not a record that can be a target. */
static bool make_target(const struct dns_name *name, const struct dns_record *r, struct arena *a, struct labels *out)
{
    struct labels_builder b;
    struct str host = r->target;
    uint16_t port = name->of->config->port;

    labels_builder_init(&b, a);
    labels_builder_set(&b, STR("__meta_dns_name"), str_dup(a, name->name));
    switch (r->type) {
    case DNS_A:
    case DNS_AAAA:
        break;
    case DNS_SRV:
        port = r->port;
        labels_builder_set(&b, STR("__meta_dns_srv_record_target"), str_dup(a, r->target));
        labels_builder_set(&b, STR("__meta_dns_srv_record_port"), str_c(arena_printf(a, "%u", port)));
        break;
    case DNS_MX:
        labels_builder_set(&b, STR("__meta_dns_mx_record_target"), str_dup(a, r->target));
        break;
    case DNS_NS:
        labels_builder_set(&b, STR("__meta_dns_ns_record_target"), str_dup(a, r->target));
        break;
    default:
        return false;
    }
    while (host.n && host.p[host.n - 1] == '.')
        host.n--;
    labels_builder_set(&b, STR("__address__"), join_host_port(a, host, port));
    *out = labels_builder_labels(&b);
    return true;
}

static void take_answer(struct dns_name *name, const struct dns_answer *answer)
{
    struct target_groups *g = target_groups_new();
    struct labels *targets = ARENA_ARRAY(&g->arena, struct labels, answer->n);
    uint32_t suppressed;

    g->groups = ARENA_NEW(&g->arena, struct target_group);
    g->n = 1;
    g->groups[0] = (struct target_group){.source = str_dup(&g->arena, name->name), .targets = targets};
    for (uint32_t i = 0; i < answer->n; i++) {
        const struct dns_record *r = &answer->records[i];
        if (make_target(name, r, &g->arena, &targets[g->groups[0].n_targets]))
            g->groups[0].n_targets++;
        else if (r->type != DNS_CNAME && log_allow(&name->of->invalid, INVALID_RECORD_LOG_MS, &suppressed))
            log_warn(name->of->refresh.env.log, "Invalid record", F_C("discovery", "dns"), F_STR("name", name->name),
                     F_INT("type", r->type), F_INT("suppressed", suppressed));
    }
    target_groups_free(name->groups);
    name->groups = g;
}

static struct target_groups *gather(const struct dns_discoverer *d)
{
    struct target_groups *all = target_groups_new();

    all->groups = ARENA_ARRAY(&all->arena, struct target_group, d->config->n_names);
    for (uint32_t i = 0; i < d->config->n_names; i++)
        if (d->names[i].groups)
            all->groups[all->n++] = target_group_copy(&d->names[i].groups->groups[0], &all->arena);
    return all;
}

static void finish(struct dns_discoverer *d)
{
    struct target_groups *all = gather(d);
    struct diag error = {0};

    if (d->n_failed == 0) {
        refresh_done(&d->refresh, all);
        return;
    }
    if (d->n_failed > 1)
        diag_set(&error, ERR_NET, "%s (and %u more of %u names)", d->error.text, d->n_failed - 1, d->config->n_names);
    else
        error = d->error;
    if (all->n) {
        refresh_partly(&d->refresh, all, &error);
        return;
    }
    target_groups_free(all);
    refresh_failed(&d->refresh, &error);
}

static void on_records(struct resolver_query *q, enum err err, const struct dns_answer *answer, const struct diag *diag)
{
    struct dns_name *name = CONTAINER_OF(q, struct dns_name, query);
    struct dns_discoverer *d = name->of;

    counter_inc(d->refresh.env.totals->dns_lookups);
    if (err) {
        counter_inc(d->refresh.env.totals->dns_failures);
        if (d->n_failed++ == 0)
            d->error = *diag;
    } else {
        take_answer(name, answer);
    }
    if (--d->n_pending == 0)
        finish(d);
}

static void begin(struct refresh *r)
{
    struct dns_discoverer *d = CONTAINER_OF(r, struct dns_discoverer, refresh);

    d->n_failed = 0;
    d->n_pending = d->config->n_names;
    diag_reset(&d->error);
    for (uint32_t i = 0; i < d->config->n_names; i++) {
        struct dns_name *name = &d->names[i];
        name->query.fn = on_records;
        resolver_records_start(r->env.resolver, name->name, record_types[d->config->type], &name->query);
    }
    if (d->config->n_names == 0)
        finish(d);
}

static void stop(struct discoverer *self)
{
    struct dns_discoverer *d = CONTAINER_OF(self, struct dns_discoverer, refresh.base);

    for (uint32_t i = 0; i < d->config->n_names; i++) {
        resolver_records_cancel(&d->names[i].query);
        target_groups_free(d->names[i].groups);
    }
    free(d->names);
    refresh_stop(&d->refresh);
    free(d);
}

struct discoverer *discover_dns_new(const struct discover_env *env, struct plan *plan, const struct plan_dns_sd *config,
                                    struct target_consumer *consumer)
{
    static const char *const words[] = {
        [DNS_SD_SRV] = "SRV", [DNS_SD_A] = "A", [DNS_SD_AAAA] = "AAAA", [DNS_SD_MX] = "MX", [DNS_SD_NS] = "NS"};
    static const struct refresh_kind kind = {"dns", begin, stop};
    struct dns_discoverer *d = NEW(struct dns_discoverer);

    refresh_start(&d->refresh, &kind, env, plan, config->refresh_ms, consumer);
    d->config = config;
    d->names = mem_zalloc(sizeof(*d->names) * (config->n_names + 1));
    buf_c(&d->refresh.about, words[config->type]);
    for (uint32_t i = 0; i < config->n_names; i++) {
        d->names[i] = (struct dns_name){.of = d, .name = config->names[i]};
        buf_printf(&d->refresh.about, "%s%.*s", i ? ", " : " ", STR_ARGS(config->names[i]));
    }
    return &d->refresh.base;
}
