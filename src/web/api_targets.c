/* api_targets: /api/v1/targets, targets/metadata, targets/relabel_steps, scrape_pools, scrape_pools/config, metadata:
 * what is scraped, and what it says of itself, in the original's JSON (web/api/v1/api.go).
 *
 *   targets                 ?state=active|dropped|any &scrapePool=
 *   targets/metadata        ?match_target={job="x"} &metric= &limit=
 *   targets/relabel_steps   ?scrapePool= &labels={"__address__": "..."}
 *   metadata                ?metric= &limit= &limit_per_metric=
 *
 * The families are those of the comment lines of each target's last page; targets that expose the same lines share
 * them. Where the original's limit counts whole targets, ours counts entries.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/num.h"
#include "net/http_client.h"
#include "shape/relabel.h"
#include "web/api_int.h"
#include "web/relabel_steps.h"
#include "web/selector_int.h"
#include "wire/tree.h"

/* The target's URL as seen from elsewhere: a loopback host becomes that of --web.external-url, else this host's name.
 */
static void put_global_url(struct json *j, const struct web *w, struct str url)
{
    AUTO_BUF text = {0};
    struct http_url u, external;
    char host[256] = "";
    bool parsed = http_url_parse(url, &u, NULL) == OK;

    if (!parsed ||
        !(str_eq(u.host, STR("127.0.0.1")) || str_eq(u.host, STR("localhost")) || str_eq(u.host, STR("::1")))) {
        api_put_text(j, "globalUrl", url);
        return;
    }
    gethostname(host, sizeof(host) - 1);
    struct str outside = str_c(host);
    if (w->o.external_url.n && http_url_parse(w->o.external_url, &external, NULL) == OK)
        outside = external.host;
    buf_printf(&text, "%.*s://%.*s%s%.*s%.*s", STR_ARGS(u.scheme), STR_ARGS(outside), u.port.n ? ":" : "",
               STR_ARGS(u.port), STR_ARGS(u.path));
    if (u.query.n)
        buf_printf(&text, "?%.*s", STR_ARGS(u.query));
    api_put_text(j, "globalUrl", buf_view(&text));
}

static void put_target(struct json *j, const struct web *w, const struct scrape_status *s)
{
    static const char *const health[] = {"unknown", "up", "down"};
    const struct scrape_target *t = s->target;

    json_object(j);
    api_put_labels(j, "discoveredLabels", t->discovered);
    api_put_labels(j, "labels", t->labels);
    api_put_text(j, "scrapePool", t->scrape_pool);
    api_put_text(j, "scrapeUrl", t->url);
    put_global_url(j, w, t->url);
    api_put_text(j, "lastError", s->last_error);
    api_put_time(j, "lastScrape", s->last_scrape_ms);
    json_key_c(j, "lastScrapeDuration");
    json_double(j, s->last_duration_s);
    api_put_text(j, "health", str_c(health[s->health]));
    api_put_duration(j, "scrapeInterval", t->interval_ms);
    api_put_duration(j, "scrapeTimeout", t->timeout_ms);
    json_object_end(j);
}

static bool in_pool(struct http_call *call, const struct web_pool *p)
{
    struct str wanted = http_call_query(call, "scrapePool");
    return wanted.n == 0 || str_eq(wanted, p->name);
}

static bool state_shows(struct http_call *call, struct str state)
{
    struct str wanted = http_call_query(call, "state");
    return wanted.n == 0 || str_eq_nocase(wanted, STR("any")) || str_eq_nocase(wanted, state);
}

static void put_dropped(struct json *j, struct http_call *call, const struct web_snapshot *s)
{
    json_key_c(j, "droppedTargets");
    json_array(j);
    for (uint32_t i = 0; i < s->n_pools && state_shows(call, STR("dropped")); i++) {
        for (uint32_t k = 0; in_pool(call, &s->pools[i]) && k < s->pools[i].n_dropped; k++) {
            json_object(j);
            api_put_labels(j, "discoveredLabels", s->pools[i].dropped[k].discovered);
            api_put_text(j, "scrapePool", s->pools[i].name);
            json_object_end(j);
        }
    }
    json_array_end(j);
    json_key_c(j, "droppedTargetCounts");
    if (!state_shows(call, STR("dropped"))) {
        json_c(j, NULL);
        return;
    }
    json_object(j);
    for (uint32_t i = 0; i < s->n_pools;) {
        struct str name = s->pools[i].name;
        uint64_t total = 0;
        for (; i < s->n_pools && str_eq(s->pools[i].name, name); i++) /* one job in several pipelines */
            total += s->pools[i].dropped_total;
        json_key(j, name);
        json_u64(j, total);
    }
    json_object_end(j);
}

int api_targets(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    struct json j = json_to(out);

    api_open(&j);
    json_object(&j);
    json_key_c(&j, "activeTargets");
    json_array(&j);
    for (uint32_t i = 0; i < s->n_pools && state_shows(call, STR("active")); i++)
        for (uint32_t k = 0; in_pool(call, &s->pools[i]) && k < s->pools[i].n_targets; k++)
            put_target(&j, w, &s->pools[i].targets[k]);
    json_array_end(&j);
    put_dropped(&j, call, s);
    json_object_end(&j);
    json_object_end(&j);
    return 200;
}

int api_pools(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    struct json j = json_to(out);

    (void)w;
    (void)call;
    api_open(&j);
    json_object(&j);
    json_key_c(&j, "scrapePools");
    json_array(&j);
    for (uint32_t i = 0; i < s->n_pools; i++)
        if (i == 0 || !str_eq(s->pools[i].name, s->pools[i - 1].name))
            json_str(&j, s->pools[i].name);
    json_array_end(&j);
    json_object_end(&j);
    json_object_end(&j);
    return 200;
}

/* ---- scrape_pools/config ---- */

/* The pool's mapping in the configuration as it was read, secrets replaced. */
static bool print_pool_config(const struct web_snapshot *s, struct str pool, struct buf *out)
{
    struct arena a = {0};
    struct node *root = NULL, *jobs = NULL;
    bool found = false;

    if (tree_parse_yaml(s->plan->config_yaml, "configuration", &a, &root, NULL) == OK && root &&
        root->kind == NODE_MAPPING)
        jobs = node_find(root, "scrape_configs");
    for (struct node *n = jobs && jobs->kind == NODE_SEQUENCE ? jobs->first : NULL; n && !found; n = n->next) {
        struct node *name = n->kind == NODE_MAPPING ? node_find(n, "job_name") : NULL;
        found = name && str_eq(name->text, pool);
        if (found)
            tree_print_yaml(n, out);
    }
    arena_release(&a);
    return found;
}

static const struct plan_scrape *find_config(const struct web_snapshot *s, struct str pool)
{
    for (uint32_t i = 0; i < s->plan->n_scrapes; i++)
        if (str_eq(s->plan->scrapes[i].job_name, pool))
            return &s->plan->scrapes[i];
    return NULL;
}

static const struct plan_scrape *find_config_or_fail(struct http_call *call, const struct web_snapshot *s,
                                                     struct buf *out)
{
    AUTO_BUF text = {0};
    struct str pool = http_call_query(call, "scrapePool");
    const struct plan_scrape *c = find_config(s, pool);

    if (!c) {
        buf_c(&text, "error retrieving scrape config: scrape pool \"");
        buf_str(&text, pool);
        buf_c(&text, "\" not found");
        api_put_error(out, "bad_data", buf_view(&text));
    }
    return c;
}

int api_pool_config(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    struct json j = json_to(out);
    AUTO_BUF yaml = {0};

    (void)w;
    const struct plan_scrape *c = find_config_or_fail(call, s, out);
    if (!c)
        return 400;
    if (!print_pool_config(s, c->job_name, &yaml)) /* from a file of scrape_config_files: where to look */
        buf_printf(&yaml, "# %s:%u\njob_name: %s\nmetrics_path: %s\nscheme: %s\n", c->file.n ? c->file.p : "", c->line,
                   c->job_name.p, c->metrics_path.p, c->scheme.p);
    api_open(&j);
    json_object(&j);
    api_put_text(&j, "yaml", buf_view(&yaml));
    json_object_end(&j);
    json_object_end(&j);
    return 200;
}

/* ---- targets/relabel_steps ---- */

static void put_rule(struct json *j, const struct relabel_rule *r)
{
    json_object(j);
    if (r->n_source_labels) {
        json_key_c(j, "source_labels");
        json_array(j);
        for (uint32_t i = 0; i < r->n_source_labels; i++)
            json_str(j, r->source_labels[i]);
        json_array_end(j);
    }
    api_put_text(j, "separator", r->separator);
    api_put_text(j, "regex", r->regex ? regex_pattern(r->regex) : STR("(.*)"));
    if (r->modulus) {
        json_key_c(j, "modulus");
        json_u64(j, r->modulus);
    }
    if (r->target_label.n)
        api_put_text(j, "target_label", r->target_label);
    api_put_text(j, "replacement", r->replacement);
    api_put_text(j, "action", str_c(relabel_action_name(r->action)));
    json_object_end(j);
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

enum err api_read_labels(struct str text, struct arena *a, struct labels *out, struct diag *d)
{
    struct node *root = NULL;
    uint32_t n = 0;
    enum err err = tree_parse_json(text, "labels", a, &root, d);

    if (err)
        return err;
    if (!root || root->kind != NODE_MAPPING)
        return diag_set(d, ERR_SYNTAX, "expected an object of label names and values");
    struct label *v = ARENA_ARRAY(a, struct label, root->n + 1);
    for (struct node *c = root->first; c; c = c->next) {
        if (c->kind != NODE_STRING)
            return diag_set(d, ERR_SYNTAX, "the value of label \"%.*s\" is not a string", STR_ARGS(c->key));
        if (c->text.n)
            v[n++] = (struct label){c->key, c->text};
    }
    qsort(v, n, sizeof(*v), by_name);
    *out = (struct labels){v, n};
    return OK;
}

static void put_steps(struct json *j, const struct relabel_rules *rules, struct labels labels, struct arena *a)
{
    struct relabel_step *steps;
    uint32_t n = relabel_steps(rules, labels, a, &steps);

    api_open(j);
    json_object(j);
    json_key_c(j, "steps");
    json_array(j);
    for (uint32_t i = 0; i < n; i++) {
        json_object(j);
        json_key_c(j, "rule");
        put_rule(j, steps[i].rule);
        api_put_labels(j, "output", steps[i].after);
        json_key_c(j, "keep");
        json_bool(j, steps[i].keep);
        json_object_end(j);
    }
    json_array_end(j);
    json_object_end(j);
    json_object_end(j);
}

int api_relabel_steps(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    struct json j = json_to(out);
    struct arena a = {0};
    struct labels labels;
    struct diag d = {0};
    int status = 400;

    (void)w;
    if (api_read_labels(http_call_query(call, "labels"), &a, &labels, &d)) {
        AUTO_BUF text = {0};
        buf_printf(&text, "error parsing labels: %s", d.text);
        api_put_error(out, "bad_data", buf_view(&text));
    } else {
        const struct plan_scrape *c = find_config_or_fail(call, s, out);
        if (c) {
            put_steps(&j, c->relabel, labels, &a);
            status = 200;
        }
    }
    arena_release(&a);
    return status;
}

/* ---- metadata ---- */

/* -1 when it is absent; false when it is no number. */
static bool read_limit(struct http_call *call, const char *name, int64_t *out)
{
    struct str text = http_call_query(call, name);

    *out = -1;
    return text.n == 0 || num_parse_i64(text, out) == OK;
}

static int refuse_limit(struct buf *out, const char *name)
{
    AUTO_BUF text = {0};

    buf_printf(&text, "%s must be a number", name);
    api_put_error(out, "bad_data", buf_view(&text));
    return 400;
}

static void put_family(struct json *j, const struct family *f, bool help_first)
{
    api_put_text(j, "type", str_c(metric_type_name(f->type)));
    api_put_text(j, help_first ? "help" : "unit", help_first ? f->help : f->unit);
    api_put_text(j, help_first ? "unit" : "help", help_first ? f->unit : f->help);
}

/* One target's families, each name once: of several entries that follow each other the later stands. */
struct target_families {
    struct family *v;
    uint32_t n;
};

static int by_family(const void *a, const void *b)
{
    const struct family *x = a, *y = b;
    int c = str_cmp(x->name, y->name);

    if (!c)
        c = str_cmp(x->help, y->help);
    if (!c)
        c = str_cmp(x->unit, y->unit);
    return c ? c : (int)x->type - (int)y->type;
}

static void gather(const struct scrape_status *t, struct arena *a, struct target_families *out)
{
    uint32_t n = 0, kept = 0;

    for (uint32_t i = 0; i < t->n_blocks; i++)
        n += t->blocks[i]->n;
    out->v = ARENA_ARRAY(a, struct family, n + 1);
    out->n = 0;
    for (uint32_t i = 0; i < t->n_blocks; i++)
        for (uint32_t k = 0; k < t->blocks[i]->n; k++)
            out->v[out->n++] = t->blocks[i]->v[k];
    qsort(out->v, out->n, sizeof(*out->v), by_family);
    for (uint32_t i = 0; i < out->n; i++) {
        if (kept && str_eq(out->v[kept - 1].name, out->v[i].name))
            kept--;
        out->v[kept++] = out->v[i];
    }
    out->n = kept;
}

static void put_target_metadata(struct json *j, const struct scrape_status *t, struct str metric, int64_t *left)
{
    struct arena a = {0};
    struct target_families f;

    gather(t, &a, &f);
    for (uint32_t i = 0; i < f.n && *left; i++) {
        if (metric.n && !str_eq(metric, f.v[i].name))
            continue;
        json_object(j);
        api_put_labels(j, "target", t->target->labels);
        if (!metric.n)
            api_put_text(j, "metric", f.v[i].name);
        put_family(j, &f.v[i], true);
        json_object_end(j);
        --*left;
    }
    arena_release(&a);
}

int api_target_metadata(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    struct json j = json_to(out);
    struct selector selector = {0};
    struct diag d = {0};
    int64_t left;

    (void)w;
    if (!read_limit(call, "limit", &left))
        return refuse_limit(out, "limit");
    if (selector_parse(http_call_query(call, "match_target"), &selector, &d)) {
        AUTO_BUF text = {0};
        buf_printf(&text, "invalid parameter \"match_target\": %s", d.text);
        api_put_error(out, "bad_data", buf_view(&text));
        return 400;
    }
    api_open(&j);
    json_array(&j);
    for (uint32_t i = 0; i < s->n_pools; i++)
        for (uint32_t k = 0; k < s->pools[i].n_targets && left; k++)
            if (selector_matches(&selector, s->pools[i].targets[k].target->labels))
                put_target_metadata(&j, &s->pools[i].targets[k], http_call_query(call, "metric"), &left);
    json_array_end(&j);
    json_object_end(&j);
    selector_release(&selector);
    return 200;
}

static bool same_family(const struct family *a, const struct family *b)
{
    return by_family(a, b) == 0;
}

/* All families of all targets, sorted and distinct; each block once, however many targets share it. */
static struct family *all_families(const struct web_snapshot *s, struct str metric, struct arena *a, uint32_t *n_out)
{
    struct family *v = NULL;
    size_t n = 0, cap = 0, kept = 0;
    const struct scrape_block *last = NULL;

    for (uint32_t i = 0; i < s->n_pools; i++)
        for (uint32_t k = 0; k < s->pools[i].n_targets; k++)
            for (uint32_t b = 0; b < s->pools[i].targets[k].n_blocks; b++) {
                const struct scrape_block *block = s->pools[i].targets[k].blocks[b];
                if (k && b < s->pools[i].targets[k - 1].n_blocks && block == s->pools[i].targets[k - 1].blocks[b])
                    continue; /* the neighbour has the same block at the same place, nearly always */
                if (block == last)
                    continue;
                last = block;
                for (uint32_t f = 0; f < block->n; f++) {
                    if (metric.n && !str_eq(metric, block->v[f].name))
                        continue;
                    v = mem_grow(v, &cap, n + 1, sizeof(*v));
                    v[n++] = block->v[f];
                }
            }
    if (n)
        qsort(v, n, sizeof(*v), by_family);
    struct family *copy = ARENA_ARRAY(a, struct family, n + 1);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || !same_family(&copy[kept - 1], &v[i]))
            copy[kept++] = v[i];
    free(v);
    *n_out = (uint32_t)kept;
    return copy;
}

int api_metadata(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    struct json j = json_to(out);
    struct arena a = {0};
    int64_t limit, per_metric;
    uint32_t n;

    (void)w;
    if (!read_limit(call, "limit", &limit))
        return refuse_limit(out, "limit");
    if (!read_limit(call, "limit_per_metric", &per_metric))
        return refuse_limit(out, "limit_per_metric");
    struct family *v = all_families(s, http_call_query(call, "metric"), &a, &n);
    api_open(&j);
    json_object(&j);
    for (uint32_t i = 0; i < n && limit;) {
        struct str name = v[i].name;
        int64_t left = per_metric > 0 ? per_metric : INT64_MAX;
        json_key(&j, name);
        json_array(&j);
        for (; i < n && str_eq(v[i].name, name); i++) {
            if (left-- <= 0)
                continue;
            json_object(&j);
            put_family(&j, &v[i], false);
            json_object_end(&j);
        }
        json_array_end(&j);
        limit--;
    }
    json_object_end(&j);
    json_object_end(&j);
    arena_release(&a);
    return 200;
}
