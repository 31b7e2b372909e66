/* prometheus_discovery: how a scrape configuration names its targets.
 *
 *   static_configs:  [ { targets: [host:port, ...], labels: {name: value} } ]
 *   file_sd_configs: [ { files: [glob, ...], refresh_interval: 5m } ]
 *
 *   http_sd_configs: [ { url: ..., refresh_interval: 60s, HTTP client block } ]
 *   dns_sd_configs:  [ { names: [...], type: SRV, port: 9100, refresh_interval: 30s } ]
 *   ec2_sd_configs, ecs_sd_configs, aws_sd_configs: prometheus_aws.c
 *
 * Each other discovery that the original has is known by its key and refused with a text that says what to use; an
 * empty list of it asks for nothing and is taken. Static groups are numbered over all static_configs of a pool, as the
 * original numbers them.
 */
#include <glob.h>
#include <stdlib.h>

#include "base/mem.h"
#include "config/prometheus_int.h"

#define OTHER_SD                                                                                                       \
    "targets come from static_configs, file_sd_configs, http_sd_configs, dns_sd_configs, ec2_sd_configs, "             \
    "ecs_sd_configs, aws_sd_configs, ecs_task_sd_configs and cloudmap_sd_configs; have a program write a file for "    \
    "file_sd_configs or answer http_sd_configs"
#define REFUSED_SD(name)                                                                                               \
    {                                                                                                                  \
        .key = name "_sd_configs", .kind = FIELD_REFUSED_LIST, .text = OTHER_SD                                        \
    }

#define NODES(name) offsetof(struct discovery_nodes, name)

static const struct field discovery_fields[] = {
    {.key = "static_configs", .kind = FIELD_NODE, .offset = NODES(static_configs)},
    {.key = "file_sd_configs", .kind = FIELD_NODE, .offset = NODES(file_sd)},
    {.key = "http_sd_configs", .kind = FIELD_NODE, .offset = NODES(http_sd)},
    {.key = "dns_sd_configs", .kind = FIELD_NODE, .offset = NODES(dns_sd)},
    {.key = "ec2_sd_configs", .kind = FIELD_NODE, .offset = NODES(ec2_sd)},
    {.key = "ecs_sd_configs", .kind = FIELD_NODE, .offset = NODES(ecs_sd)},
    {.key = "ecs_task_sd_configs", .kind = FIELD_NODE, .offset = NODES(ecs_task_sd)},
    {.key = "cloudmap_sd_configs", .kind = FIELD_NODE, .offset = NODES(cloudmap_sd)},
    {.key = "aws_sd_configs", .kind = FIELD_NODE, .offset = NODES(aws_sd)},
    REFUSED_SD("azure"),
    REFUSED_SD("consul"),
    REFUSED_SD("digitalocean"),
    REFUSED_SD("docker"),
    REFUSED_SD("dockerswarm"),
    REFUSED_SD("elasticache"),
    REFUSED_SD("eureka"),
    REFUSED_SD("gce"),
    REFUSED_SD("hetzner"),
    REFUSED_SD("ionos"),
    REFUSED_SD("kubernetes"),
    REFUSED_SD("kuma"),
    REFUSED_SD("lightsail"),
    REFUSED_SD("linode"),
    REFUSED_SD("marathon"),
    REFUSED_SD("msk"),
    REFUSED_SD("nerve"),
    REFUSED_SD("nomad"),
    REFUSED_SD("oci"),
    REFUSED_SD("openstack"),
    REFUSED_SD("outscale"),
    REFUSED_SD("ovhcloud"),
    REFUSED_SD("puppetdb"),
    REFUSED_SD("rds"),
    REFUSED_SD("scaleway"),
    REFUSED_SD("serverset"),
    REFUSED_SD("stackit"),
    REFUSED_SD("triton"),
    REFUSED_SD("uyuni"),
    REFUSED_SD("vultr"),
};
const struct schema discovery_schema = SCHEMA("config.ScrapeConfig", discovery_fields);

/* ---- labels ---- */

static int compare_labels(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

void labels_read(struct reader *r, struct node *n, bool check_names, struct labels *out)
{
    *out = (struct labels){0};
    if (reader_is_null(n))
        return;
    if (n->kind != NODE_MAPPING) {
        reader_type_error(r, n, check_names ? "model.LabelSet" : "map[string]string");
        return;
    }
    struct label *v = ARENA_ARRAY(r->arena, struct label, n->n + 1);
    uint32_t count = 0;
    for (struct node *c = n->first; c; c = c->next) {
        struct str value;
        if (check_names && (c->key.n == 0 || !str_is_utf8(c->key)))
            reader_error_key(r, c, NULL, ERR_SYNTAX, "%s is not a valid label name", reader_quote(r, c->key));
        else if (reader_string(r, c, &value))
            v[count++] = (struct label){.name = str_dup(r->arena, c->key), .value = value};
    }
    qsort(v, count, sizeof(*v), compare_labels);
    *out = (struct labels){.v = v, .n = count};
}

/* ---- static_configs ---- */

struct group_nodes {
    struct node *targets, *labels;
};

static const struct field group_fields[] = {
    {.key = "targets", .kind = FIELD_NODE, .offset = offsetof(struct group_nodes, targets)},
    {.key = "labels", .kind = FIELD_NODE, .offset = offsetof(struct group_nodes, labels)},
};
static const struct schema group_schema = SCHEMA("targetgroup.Group", group_fields);

static void read_targets(struct reader *r, struct node *list, bool check_hosts, struct target_group *g)
{
    struct str *names;
    uint32_t n;
    if (!reader_strings(r, list, "[]string", &names, &n))
        return;
    struct labels *targets = ARENA_ARRAY(r->arena, struct labels, n + 1);
    struct label *addresses = ARENA_ARRAY(r->arena, struct label, n + 1);
    const struct node *e = n ? list->first : NULL;
    for (uint32_t i = 0; i < n; i++, e = e->next) {
        addresses[i] = (struct label){.name = STR("__address__"), .value = names[i]};
        targets[i] = (struct labels){.v = &addresses[i], .n = 1};
        if (check_hosts && names[i].n && memchr(names[i].p, '/', names[i].n))
            reader_error(r, e, ERR_SYNTAX, "targets: %s is not a valid hostname", reader_quote(r, names[i]));
    }
    g->targets = targets;
    g->n_targets = n;
}

static void read_static(struct reader *r, struct node *list, bool check_hosts, struct plan_discovery *out)
{
    if (!list || !reader_sequence(r, list, "[]*targetgroup.Group"))
        return;
    out->static_groups = ARENA_ARRAY(r->arena, struct target_group, list->n);
    for (struct node *n = list->first; n; n = n->next) {
        struct group_nodes nodes = {0};
        if (reader_is_null(n)) {
            reader_error(r, n, ERR_SYNTAX, "empty or null section in static_configs");
            continue;
        }
        if (!reader_mapping(r, n, &group_schema, &nodes))
            continue;
        struct target_group *g = &out->static_groups[out->n_static];
        g->source = str_c(arena_printf(r->arena, "%u", out->n_static++));
        if (nodes.targets)
            read_targets(r, nodes.targets, check_hosts, g);
        if (nodes.labels)
            labels_read(r, nodes.labels, true, &g->labels);
    }
}

/* ---- file_sd_configs ---- */

struct file_draft {
    struct node *files;
    int64_t refresh_ms;
};

static const struct field file_fields[] = {
    {.key = "files", .kind = FIELD_NODE, .offset = offsetof(struct file_draft, files)},
    {.key = "refresh_interval", .kind = FIELD_DURATION, .offset = offsetof(struct file_draft, refresh_ms)},
};
static const struct schema file_schema = SCHEMA("file.plain", file_fields);

/* PATH.json, .yml or .yaml (all lower or all upper case), a star only in the last part of the path. */
static bool valid_file_name(struct str name)
{
    static const char *const endings[] = {".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"};
    for (size_t i = 0; i < COUNT_OF(endings); i++) {
        struct str ending = str_c(endings[i]);
        if (!str_ends(name, ending))
            continue;
        struct str before, after;
        return !str_cut(str_from(name.p, name.n - ending.n), '*', &before, &after) || after.n == 0 ||
               !memchr(after.p, '/', after.n);
    }
    return false;
}

/* What the original says at start-up and promtool in a check: not an error, the file may come later. */
static void warn_missing(struct reader *r, const struct node *at, struct str pattern, struct str job)
{
    glob_t found;
    if (glob(pattern.p, 0, NULL, &found) == GLOB_NOMATCH)
        reader_warn(r, at, "file %s for file_sd in scrape job %s does not exist", reader_quote(r, pattern),
                    reader_quote(r, job));
    globfree(&found);
}

static void read_file_sd(struct reader *r, struct node *n, struct str job, struct plan_file_sd *out)
{
    struct file_draft d = {.refresh_ms = 5 * 60 * 1000};
    if (!reader_mapping(r, n, &file_schema, &d))
        return;
    out->refresh_ms = d.refresh_ms;
    if (d.files && !reader_strings(r, d.files, "[]string", &out->files, &out->n_files))
        return;
    if (out->n_files == 0)
        reader_error_key(r, n, "files", ERR_SYNTAX,
                         "file service discovery config must contain at least one path name");
    const struct node *e = out->n_files ? d.files->first : NULL;
    for (uint32_t i = 0; i < out->n_files; i++, e = e->next) {
        if (!valid_file_name(out->files[i])) {
            reader_error(r, e, ERR_SYNTAX, "files: path name %s is not valid for file discovery",
                         reader_quote(r, out->files[i]));
            continue;
        }
        out->files[i] = reader_path(r, out->files[i]);
        if (r->options->check_files)
            warn_missing(r, e, out->files[i], job);
    }
}

/* ---- what several share ---- */

void refresh_read(struct reader *r, const struct node *n, int64_t default_ms, int64_t *refresh_ms)
{
    if (*refresh_ms > 0)
        return;
    reader_warn(r, node_find(n, "refresh_interval"),
                "refresh_interval: with 0s the original ends itself; taken as %llds", (long long)default_ms / 1000);
    *refresh_ms = default_ms;
}

bool port_check(struct reader *r, const struct node *mapping, int64_t port, uint16_t *out)
{
    *out = (uint16_t)port;
    if (port >= 0 && port <= UINT16_MAX)
        return true;
    reader_error_key(r, mapping, "port", ERR_UNSUPPORTED, "port: not supported by leadline: %lld is no port",
                     (long long)port);
    return false;
}

/* ---- http_sd_configs ---- */

struct http_sd_draft {
    struct plan_http_sd sd;
    struct http_draft http;
    struct node *url;
};

static const struct field http_sd_fields[] = {
    {.key = "url", .kind = FIELD_NODE, .offset = offsetof(struct http_sd_draft, url)},
    {.key = "refresh_interval", .kind = FIELD_DURATION, .offset = offsetof(struct http_sd_draft, sd.refresh_ms)},
    {.kind = FIELD_INLINE, .schema = &http_schema, .offset = offsetof(struct http_sd_draft, http)},
};
static const struct schema http_sd_schema = SCHEMA("http.plain", http_sd_fields);

/* What stands between // and the path, without the user's part. */
static struct str url_host(struct str rest)
{
    size_t n = 2;
    if (!str_starts(rest, STR("//")))
        return STR_NONE;
    while (n < rest.n && !strchr("/?#", rest.p[n]))
        n++;
    const char *at = memrchr(rest.p + 2, '@', n - 2);
    return at ? str_from(at + 1, n - (size_t)(at - rest.p) - 1) : str_from(rest.p + 2, n - 2);
}

static void read_sd_url(struct reader *r, struct node *list_element, struct node *n, struct str *out)
{
    static const struct field field = {.key = "url", .kind = FIELD_URL};
    uint32_t before = r->errors->n;
    struct str scheme, rest;
    if (n)
        reader_field(r, &field, n, out);
    if (r->errors->n > before)
        return;
    if (out->n == 0) {
        reader_error_key(r, list_element, "url", ERR_SYNTAX, "URL is missing");
        return;
    }
    bool has_scheme = str_cut(*out, ':', &scheme, &rest);
    if (!has_scheme || (!str_eq_nocase(scheme, STR("http")) && !str_eq_nocase(scheme, STR("https"))))
        reader_error(r, n, ERR_SYNTAX, "URL scheme must be 'http' or 'https'");
    else if (url_host(rest).n == 0)
        reader_error(r, n, ERR_SYNTAX, "host is missing in URL");
}

static bool read_http_sd(struct reader *r, struct node *n, struct plan_http_sd *out)
{
    struct http_sd_draft d = {.sd = {.refresh_ms = 60 * 1000, .url = STR("")}};
    uint32_t before = r->errors->n;
    http_draft_init(&d.http, true);
    if (!reader_mapping(r, n, &http_sd_schema, &d))
        return false;
    if (r->errors->n == before)
        http_draft_finish(r, n, &d.http, &d.sd.http);
    read_sd_url(r, n, d.url, &d.sd.url);
    refresh_read(r, n, 60 * 1000, &d.sd.refresh_ms);
    *out = d.sd;
    return true;
}

/* ---- dns_sd_configs ---- */

struct dns_sd_draft {
    struct node *names;
    struct str type;
    int64_t port, refresh_ms;
};

static const struct field dns_sd_fields[] = {
    {.key = "names", .kind = FIELD_NODE, .offset = offsetof(struct dns_sd_draft, names)},
    {.key = "type", .kind = FIELD_STRING, .offset = offsetof(struct dns_sd_draft, type)},
    {.key = "port", .kind = FIELD_INT, .offset = offsetof(struct dns_sd_draft, port)},
    {.key = "refresh_interval", .kind = FIELD_DURATION, .offset = offsetof(struct dns_sd_draft, refresh_ms)},
};
static const struct schema dns_sd_schema = SCHEMA("dns.plain", dns_sd_fields);

static bool find_dns_type(struct str name, enum dns_sd_type *out)
{
    static const char *const names[] = {
        [DNS_SD_SRV] = "SRV", [DNS_SD_A] = "A", [DNS_SD_AAAA] = "AAAA", [DNS_SD_MX] = "MX", [DNS_SD_NS] = "NS"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (str_eq_nocase(name, str_c(names[i]))) {
            *out = (enum dns_sd_type)i;
            return true;
        }
    }
    return false;
}

static bool read_dns_sd(struct reader *r, struct node *n, struct plan_dns_sd *out)
{
    struct dns_sd_draft d = {.type = STR("SRV"), .refresh_ms = 30 * 1000};
    uint32_t before = r->errors->n;
    if (!reader_mapping(r, n, &dns_sd_schema, &d))
        return false;
    if (d.names)
        reader_strings(r, d.names, "[]string", &out->names, &out->n_names);
    if (r->errors->n > before)
        return true;
    if (out->n_names == 0)
        reader_error_key(r, n, "names", ERR_SYNTAX, "DNS-SD config must contain at least one SRV record name");
    if (!find_dns_type(d.type, &out->type))
        reader_error_key(r, n, "type", ERR_SYNTAX, "invalid DNS-SD records type %s", reader_quote(r, d.type));
    else if (out->type != DNS_SD_SRV && d.port == 0)
        reader_error_key(r, n, "port", ERR_SYNTAX,
                         "a port is required in DNS-SD configs for all record types except SRV");
    port_check(r, n, d.port, &out->port);
    refresh_read(r, n, 30 * 1000, &d.refresh_ms);
    out->refresh_ms = d.refresh_ms;
    return true;
}

/* ---- the lists ---- */

/* How many elements there are to make room for; `key` and `type` as the original names them. */
static uint32_t list_size(struct reader *r, const struct node *list, const char *type)
{
    return list && reader_sequence(r, list, type) ? list->n : 0;
}

/* The next element from *n on that is there; NULL at the end. */
static struct node *next_element(struct reader *r, struct node **n, const char *key)
{
    while (*n) {
        struct node *e = *n;
        *n = e->next;
        if (!reader_is_null(e))
            return e;
        reader_error(r, e, ERR_SYNTAX, "empty or null section in %s", key);
    }
    return NULL;
}

static void read_aws_list(struct reader *r, struct node *list, const char *key, const char *type,
                          bool (*read)(struct reader *r, struct node *n, struct plan_aws_sd *out),
                          struct plan_discovery *out)
{
    struct node *n = list_size(r, list, type) ? list->first : NULL, *e;
    while ((e = next_element(r, &n, key)))
        out->n_aws_sd += read(r, e, &out->aws_sd[out->n_aws_sd]);
}

static void read_aws(struct reader *r, const struct discovery_nodes *nodes, struct plan_discovery *out)
{
    const struct node *lists[] = {nodes->ec2_sd, nodes->ecs_sd, nodes->aws_sd};
    uint32_t n = 0;
    for (size_t i = 0; i < COUNT_OF(lists); i++)
        n += lists[i] && lists[i]->kind == NODE_SEQUENCE ? lists[i]->n : 0;
    out->aws_sd = ARENA_ARRAY(r->arena, struct plan_aws_sd, n + 1);
    read_aws_list(r, nodes->ec2_sd, "ec2_sd_configs", "[]*aws.EC2SDConfig", ec2_sd_read, out);
    read_aws_list(r, nodes->ecs_sd, "ecs_sd_configs", "[]*aws.ECSSDConfig", ecs_sd_read, out);
    read_aws_list(r, nodes->aws_sd, "aws_sd_configs", "[]*aws.SDConfig", aws_sd_read, out);
}

void discovery_read(struct reader *r, const struct discovery_nodes *nodes, bool check_hosts, struct str job,
                    struct plan_discovery *out)
{
    struct node *n, *e;
    uint32_t size;
    read_static(r, nodes->static_configs, check_hosts, out);
    if ((size = list_size(r, nodes->file_sd, "[]*file.SDConfig"))) {
        out->file_sd = ARENA_ARRAY(r->arena, struct plan_file_sd, size);
        for (n = nodes->file_sd->first; (e = next_element(r, &n, "file_sd_configs"));)
            read_file_sd(r, e, job, &out->file_sd[out->n_file_sd++]);
    }
    if ((size = list_size(r, nodes->http_sd, "[]*http.SDConfig"))) {
        out->http_sd = ARENA_ARRAY(r->arena, struct plan_http_sd, size);
        for (n = nodes->http_sd->first; (e = next_element(r, &n, "http_sd_configs"));)
            out->n_http_sd += read_http_sd(r, e, &out->http_sd[out->n_http_sd]);
    }
    if ((size = list_size(r, nodes->dns_sd, "[]*dns.SDConfig"))) {
        out->dns_sd = ARENA_ARRAY(r->arena, struct plan_dns_sd, size);
        for (n = nodes->dns_sd->first; (e = next_element(r, &n, "dns_sd_configs"));)
            out->n_dns_sd += read_dns_sd(r, e, &out->dns_sd[out->n_dns_sd]);
    }
    read_aws(r, nodes, out);
    if ((size = list_size(r, nodes->ecs_task_sd, "[]ecs_task_sd_config"))) {
        out->ecs_task_sd = ARENA_ARRAY(r->arena, struct plan_ecs_task_sd, size);
        for (n = nodes->ecs_task_sd->first; (e = next_element(r, &n, "ecs_task_sd_configs"));)
            out->n_ecs_task_sd += ecs_task_sd_read(r, e, &out->ecs_task_sd[out->n_ecs_task_sd]);
    }
    if ((size = list_size(r, nodes->cloudmap_sd, "[]cloudmap_sd_config"))) {
        out->cloudmap_sd = ARENA_ARRAY(r->arena, struct plan_cloudmap_sd, size);
        for (n = nodes->cloudmap_sd->first; (e = next_element(r, &n, "cloudmap_sd_configs"));)
            out->n_cloudmap_sd += cloudmap_sd_read(r, e, &out->cloudmap_sd[out->n_cloudmap_sd]);
    }
}
