/* aws_labels: what the discoverers of EC2, ECS and Cloud Map share.
 *
 * A session comes from the program's struct aws, by the configuration; programs without one (tests, small commands)
 * have NULL there, and then the refresh fails and says so: discovery of other kinds goes on.
 *
 * Labels are set from strings that live in an inventory or a scratch arena, so every value is copied into the arena of
 * the groups. What is empty makes no label. Tags may have any characters: all but ASCII letters and digits become
 * underscores, and of two tags that then have one name the later stands. Control loop.
 */
#include "discover/aws_labels_int.h"

enum err aws_sd_session(const struct discover_env *env, const struct aws_config *config, struct aws_session **out,
                        struct diag *d)
{
    *out = NULL;
    if (!env->aws)
        return diag_set(d, ERR_UNSUPPORTED, "this program has no access to AWS");
    return aws_session_get(env->aws, config, out, d);
}

const struct http_options *aws_sd_http(const struct http_options *block)
{
    const struct tls_options *t = &block->tls;
    bool tls = t->ca.n || t->ca_file.n || t->cert.n || t->cert_file.n || t->key.n || t->key_file.n ||
               t->server_name.n || t->insecure_skip_verify || t->min_version || t->max_version;

    return tls || block->proxy_url.n || block->proxy_from_environment ? block : NULL;
}

struct aws_queue_options aws_sd_queue(const struct refresh *r, struct aws_session *session,
                                      const struct http_options *http, uint32_t concurrency)
{
    return (struct aws_queue_options){
        .loop = r->env.loop,
        .session = session,
        .http = http,
        .counters = r->env.counters,
        .mechanism = r->mechanism,
        .config = r->env.config,
        .concurrency = concurrency,
    };
}

struct counter *aws_sd_calls(struct refresh *r)
{
    return refresh_counter(r, COUNTER_GAUGE, "leadline_sd_refresh_aws_calls",
                           "Requests to AWS that the last refresh took.");
}

struct counter *aws_sd_targets(struct refresh *r)
{
    return refresh_counter(r, COUNTER_GAUGE, "leadline_sd_targets", "Targets that the last refresh found.");
}

void aws_sd_describe(struct refresh *r, const struct aws_session *session, const struct aws_config *config)
{
    struct str region = session ? aws_session_region(session) : config->region;

    buf_clear(&r->about);
    buf_printf(&r->about, "region %.*s", STR_ARGS(region.n ? region : STR("(not known yet)")));
}

void aws_sd_label(struct labels_builder *b, struct arena *a, const char *name, struct str value)
{
    if (value.n)
        labels_builder_set(b, str_c(name), str_dup(a, value));
}

void aws_sd_tags(struct labels_builder *b, struct arena *a, const char *prefix, struct ecs_tags tags)
{
    AUTO_BUF name = {0};

    for (uint32_t i = 0; i < tags.n; i++) {
        buf_clear(&name);
        ecs_label_name(&name, prefix, tags.v[i].key);
        labels_builder_set(b, str_dup(a, buf_view(&name)), str_dup(a, tags.v[i].value));
    }
}

void aws_sd_address(struct labels_builder *b, struct arena *a, struct str host, uint16_t port)
{
    bool six = memchr(host.p, ':', host.n) != NULL;

    labels_builder_set(b, STR("__address__"),
                       str_c(six ? arena_printf(a, "[%.*s]:%u", STR_ARGS(host), port)
                                 : arena_printf(a, "%.*s:%u", STR_ARGS(host), port)));
}
