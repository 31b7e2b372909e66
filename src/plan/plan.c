/* plan: the compiled configuration's life, and its picture for people.
 *
 * A plan is made by one thread (config/), then only read. References are counted atomically: workers, pools and pages
 * hold one each, and the last to let go frees it, whichever thread that is. Everything is in the plan's arena but what
 * brings its own memory (compiled regular expressions); those are released through the list, latest first.
 *
 * The printed tree is for `leadline check`: one line per fact, defaults included where they matter, two spaces a level.
 * Passwords, credentials and header values are never printed, only that they are there. The warnings close it.
 */
#include "plan/plan.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/quote.h"
#include "base/units.h"

struct plan *plan_new(void)
{
    struct plan *p = NEW(struct plan);
    atomic_init(&p->refs, 1);
    return p;
}

struct plan *plan_ref(struct plan *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void plan_unref(struct plan *p)
{
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (const struct plan_release *r = p->releases; r; r = r->next)
        r->fn(r->p);
    struct arena arena = p->arena;
    free(p);
    arena_release(&arena);
}

void plan_on_release(struct plan *p, void (*fn)(void *p), void *ptr)
{
    struct plan_release *r = ARENA_NEW(&p->arena, struct plan_release);
    *r = (struct plan_release){.fn = fn, .p = ptr, .next = p->releases};
    p->releases = r;
}

/* ---- printing ---- */

static void indent(struct buf *out, int level)
{
    for (int i = 0; i < level; i++)
        buf_c(out, "  ");
}

static void line_text(struct buf *out, int level, const char *key, struct str value)
{
    indent(out, level);
    buf_printf(out, "%s: ", key);
    buf_str(out, value);
    buf_char(out, '\n');
}

static void line_duration(struct buf *out, int level, const char *key, int64_t ms)
{
    indent(out, level);
    buf_printf(out, "%s: ", key);
    units_print_duration(out, ms);
    buf_char(out, '\n');
}

static void line_limit(struct buf *out, int level, const char *key, uint64_t limit)
{
    if (limit == 0)
        return;
    indent(out, level);
    buf_printf(out, "%s: ", key);
    buf_u64(out, limit);
    buf_char(out, '\n');
}

static void print_label_set(struct buf *out, struct labels l)
{
    buf_char(out, '{');
    for (uint32_t i = 0; i < l.n; i++) {
        if (i)
            buf_c(out, ", ");
        buf_str(out, l.v[i].name);
        buf_char(out, '=');
        buf_quote(out, l.v[i].value);
    }
    buf_char(out, '}');
}

static const char *const actions[] = {
    [RELABEL_REPLACE] = "replace",     [RELABEL_KEEP] = "keep",           [RELABEL_DROP] = "drop",
    [RELABEL_KEEPEQUAL] = "keepequal", [RELABEL_DROPEQUAL] = "dropequal", [RELABEL_HASHMOD] = "hashmod",
    [RELABEL_LABELMAP] = "labelmap",   [RELABEL_LABELDROP] = "labeldrop", [RELABEL_LABELKEEP] = "labelkeep",
    [RELABEL_LOWERCASE] = "lowercase", [RELABEL_UPPERCASE] = "uppercase",
};

static void print_rule(struct buf *out, int level, const struct relabel_rule *rule)
{
    indent(out, level);
    buf_c(out, actions[rule->action]);
    if (rule->n_source_labels) {
        buf_c(out, " [");
        for (uint32_t i = 0; i < rule->n_source_labels; i++) {
            buf_c(out, i ? " " : "");
            buf_str(out, rule->source_labels[i]);
        }
        buf_char(out, ']');
    }
    if (rule->regex && !str_eq_c(regex_pattern(rule->regex), "(.*)")) {
        buf_c(out, " =~ ");
        buf_quote(out, regex_pattern(rule->regex));
    }
    if (rule->modulus) {
        buf_c(out, " mod ");
        buf_u64(out, rule->modulus);
    }
    if (rule->target_label.n) {
        buf_c(out, " -> ");
        buf_str(out, rule->target_label);
    }
    if (rule->action == RELABEL_REPLACE || rule->action == RELABEL_LABELMAP) {
        buf_c(out, " = ");
        buf_quote(out, rule->replacement);
    }
    buf_char(out, '\n');
}

static void print_rules(struct buf *out, int level, const char *key, const struct relabel_rules *rules)
{
    if (!rules || rules->n == 0)
        return;
    indent(out, level);
    buf_printf(out, "%s:\n", key);
    for (uint32_t i = 0; i < rules->n; i++)
        print_rule(out, level + 1, &rules->rules[i]);
}

static void print_http(struct buf *out, int level, const struct http_options *o)
{
    if (o->basic_username.n || o->basic_username_file.n)
        line_text(out, level, "basic_auth user", o->basic_username.n ? o->basic_username : o->basic_username_file);
    if (o->authorization_type.n)
        line_text(out, level, "authorization", o->authorization_type);
    if (o->authorization_credentials_file.n)
        line_text(out, level, "credentials file", o->authorization_credentials_file);
    if (o->tls.ca_file.n)
        line_text(out, level, "CA", o->tls.ca_file);
    if (o->tls.cert_file.n)
        line_text(out, level, "client certificate", o->tls.cert_file);
    if (o->tls.insecure_skip_verify)
        line_text(out, level, "certificates", STR("not verified"));
    if (o->proxy_url.n)
        line_text(out, level, "proxy", STR("as configured"));
    if (o->proxy_from_environment)
        line_text(out, level, "proxy", STR("from the environment"));
    for (int i = 0; i < o->n_headers; i++)
        line_text(out, level, "header", o->headers[i].name);
}

static const char *const protocol_names[] = {
    [PROTOCOL_PROTO] = "PrometheusProto",
    [PROTOCOL_TEXT_0_0_4] = "PrometheusText0.0.4",
    [PROTOCOL_TEXT_1_0_0] = "PrometheusText1.0.0",
    [PROTOCOL_OPENMETRICS_0_0_1] = "OpenMetricsText0.0.1",
    [PROTOCOL_OPENMETRICS_1_0_0] = "OpenMetricsText1.0.0",
    [PROTOCOL_NONE] = "none",
};

static void print_discovery(struct buf *out, int level, const struct plan_discovery *d)
{
    for (uint32_t i = 0; i < d->n_static; i++) {
        const struct target_group *g = &d->static_groups[i];
        indent(out, level);
        buf_printf(out, "static targets: %u ", g->n_targets);
        print_label_set(out, g->labels);
        buf_char(out, '\n');
        for (uint32_t k = 0; k < g->n_targets; k++) {
            indent(out, level + 1);
            buf_str(out, labels_get(g->targets[k], STR("__address__")));
            buf_char(out, '\n');
        }
    }
    for (uint32_t i = 0; i < d->n_file_sd; i++) {
        line_duration(out, level, "targets from files, every", d->file_sd[i].refresh_ms);
        for (uint32_t k = 0; k < d->file_sd[i].n_files; k++) {
            indent(out, level + 1);
            buf_str(out, d->file_sd[i].files[k]);
            buf_char(out, '\n');
        }
    }
}

static void print_scrape(struct buf *out, const struct plan_scrape *s)
{
    buf_c(out, "scrape ");
    buf_quote(out, s->job_name);
    buf_printf(out, " (%.*s:%u)\n", STR_ARGS(s->file), s->line);
    line_duration(out, 1, "every", s->interval_ms);
    line_duration(out, 1, "timeout", s->timeout_ms);
    indent(out, 1);
    buf_printf(out, "url: %.*s://<address>%.*s\n", STR_ARGS(s->scheme), STR_ARGS(s->metrics_path));
    indent(out, 1);
    buf_c(out, "formats:");
    for (uint32_t i = 0; i < s->n_protocols; i++)
        buf_printf(out, " %s", protocol_names[s->protocols[i]]);
    buf_char(out, '\n');
    if (s->fallback_protocol != PROTOCOL_NONE)
        line_text(out, 1, "fallback format", str_c(protocol_names[s->fallback_protocol]));
    if (s->honor_labels)
        line_text(out, 1, "honor_labels", STR("true"));
    if (!s->honor_timestamps)
        line_text(out, 1, "honor_timestamps", STR("false"));
    line_limit(out, 1, "body_size_limit", s->body_size_limit);
    line_limit(out, 1, "sample_limit", s->sample_limit);
    line_limit(out, 1, "target_limit", s->target_limit);
    line_limit(out, 1, "label_limit", s->label_limit);
    line_limit(out, 1, "label_name_length_limit", s->label_name_length_limit);
    line_limit(out, 1, "label_value_length_limit", s->label_value_length_limit);
    print_http(out, 1, &s->http);
    print_discovery(out, 1, &s->discovery);
    print_rules(out, 1, "relabel targets", s->relabel);
    print_rules(out, 1, "relabel metrics", s->metric_relabel);
}

/* user:password@ is left out. */
static void print_url(struct buf *out, struct str url)
{
    const char *start = url.n > 2 ? memmem(url.p, url.n, "//", 2) : NULL;
    size_t from = start ? (size_t)(start - url.p) + 2 : 0, end = from;
    while (end < url.n && url.p[end] != '/' && url.p[end] != '?' && url.p[end] != '#')
        end++;
    const char *at = end > from ? memrchr(url.p + from, '@', end - from) : NULL;
    buf_append(out, url.p, from);
    size_t rest = at ? (size_t)(at - url.p) + 1 : from;
    buf_append(out, url.p + rest, url.n - rest);
}

static void print_remote_write(struct buf *out, const struct plan_remote_write *w)
{
    buf_c(out, "remote write ");
    buf_quote(out, w->name);
    buf_c(out, " -> ");
    print_url(out, w->url);
    buf_char(out, '\n');
    line_duration(out, 1, "timeout", w->remote_timeout_ms);
    indent(out, 1);
    buf_printf(out, "batch: %u samples, at most ", w->queue.max_samples_per_send);
    units_print_duration(out, w->queue.batch_send_deadline_ms);
    buf_char(out, '\n');
    indent(out, 1);
    buf_c(out, "retry: after ");
    units_print_duration(out, w->queue.min_backoff_ms);
    buf_c(out, " to ");
    units_print_duration(out, w->queue.max_backoff_ms);
    buf_c(out, w->queue.retry_on_http_429 ? ", also on 429\n" : ", not on 429\n");
    if (w->queue.sample_age_limit_ms)
        line_duration(out, 1, "samples older than this are dropped", w->queue.sample_age_limit_ms);
    if (w->metadata_send)
        line_duration(out, 1, "metadata every", w->metadata_interval_ms);
    print_http(out, 1, &w->http);
    print_rules(out, 1, "relabel", w->write_relabel);
}

void plan_print(const struct plan *p, struct buf *out)
{
    buf_c(out, "external labels ");
    print_label_set(out, p->external_labels);
    buf_char(out, '\n');
    for (uint32_t i = 0; i < p->n_scrapes; i++)
        print_scrape(out, &p->scrapes[i]);
    for (uint32_t i = 0; i < p->n_remote_writes; i++)
        print_remote_write(out, &p->remote_writes[i]);
    for (uint32_t i = 0; i < p->n_warnings; i++)
        line_text(out, 0, "warning", p->warnings[i]);
}
