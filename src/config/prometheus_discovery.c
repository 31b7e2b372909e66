/* prometheus_discovery: how a scrape configuration names its targets.
 *
 *   static_configs:  [ { targets: [host:port, ...], labels: {name: value} } ]
 *   file_sd_configs: [ { files: [glob, ...], refresh_interval: 5m } ]
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
    "targets come from static_configs and file_sd_configs; have a program write a file for file_sd_configs instead"
#define REFUSED_SD(name)                                                                                               \
    {                                                                                                                  \
        .key = name "_sd_configs", .kind = FIELD_REFUSED_LIST, .text = OTHER_SD                                        \
    }

static const struct field discovery_fields[] = {
    {.key = "static_configs", .kind = FIELD_NODE, .offset = offsetof(struct discovery_nodes, static_configs)},
    {.key = "file_sd_configs", .kind = FIELD_NODE, .offset = offsetof(struct discovery_nodes, file_sd)},
    REFUSED_SD("aws"),
    REFUSED_SD("azure"),
    REFUSED_SD("consul"),
    REFUSED_SD("digitalocean"),
    REFUSED_SD("dns"),
    REFUSED_SD("docker"),
    REFUSED_SD("dockerswarm"),
    REFUSED_SD("ec2"),
    REFUSED_SD("ecs"),
    REFUSED_SD("elasticache"),
    REFUSED_SD("eureka"),
    REFUSED_SD("gce"),
    REFUSED_SD("hetzner"),
    REFUSED_SD("http"),
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

void discovery_read(struct reader *r, struct node *static_configs, struct node *file_sd, bool check_hosts,
                    struct str job, struct plan_discovery *out)
{
    read_static(r, static_configs, check_hosts, out);
    if (!file_sd || !reader_sequence(r, file_sd, "[]*file.SDConfig"))
        return;
    out->file_sd = ARENA_ARRAY(r->arena, struct plan_file_sd, file_sd->n);
    for (struct node *n = file_sd->first; n; n = n->next) {
        if (reader_is_null(n))
            reader_error(r, n, ERR_SYNTAX, "empty or null section in file_sd_configs");
        else
            read_file_sd(r, n, job, &out->file_sd[out->n_file_sd++]);
    }
}
