/* prometheus: prometheus.yml to a plan.
 *
 *   text --tree_parse_yaml--> positioned tree --schemas--> plan
 *                                  |
 *                                  +-- secrets replaced --> config_yaml
 *
 * `global` is read first wherever it stands, since jobs and destinations take defaults from it; then scrape_configs,
 * the files that scrape_config_files finds (each with its own scrape_configs, paths relative to itself), then
 * remote_write. What belongs to a server is read by prometheus_server.c. What an agent reads and does not use
 * (evaluation_interval and the like) becomes a warning.
 *
 * The errors of a file are sorted by position; those of included files follow. A plan comes out only if there is none.
 * External labels are expanded from the environment here, once: a reload expands them again.
 *
 * A file that the CloudWatch agent's configuration names is read the same way into that configuration's plan; where it
 * says something that is not about scraping, there is a warning.
 *
 * Blocking (files are read): at start, or on the control thread at a reload. The tree lives in an arena of this call,
 * all that the plan keeps is copied into the plan's.
 */
#include <errno.h>
#include <glob.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "config/prometheus_int.h"

enum { MAX_FILE_BYTES = 16 << 20, MAX_INCLUDED = 10000 };

/* Where jobs are collected: the plan's array grows in its arena. */
struct jobs {
    struct map names;
    uint32_t cap;
};

struct top {
    struct node *global, *scrape_configs, *scrape_files, *remote_write;
    struct server_nodes server;
};

/* ---- global ---- */

struct global_draft {
    struct global g;
    int64_t evaluation_ms, rule_offset_ms;
    struct str query_log;
    struct node *external, *validation, *protocols;
};

#define GLOBAL(name) offsetof(struct global_draft, g.name)
#define DRAFT(name)  offsetof(struct global_draft, name)

static const struct field global_fields[] = {
    {.key = "scrape_interval", .kind = FIELD_DURATION, .offset = GLOBAL(scrape_interval_ms)},
    {.key = "scrape_timeout", .kind = FIELD_DURATION, .offset = GLOBAL(scrape_timeout_ms)},
    {.key = "scrape_protocols", .kind = FIELD_NODE, .offset = DRAFT(protocols)},
    {.key = "evaluation_interval", .kind = FIELD_DURATION, .offset = DRAFT(evaluation_ms)},
    {.key = "rule_query_offset", .kind = FIELD_DURATION, .offset = DRAFT(rule_offset_ms)},
    {.key = "query_log_file", .kind = FIELD_STRING, .offset = DRAFT(query_log)},
    {.key = "scrape_failure_log_file", .kind = FIELD_PATH, .offset = GLOBAL(scrape_failure_log_file)},
    {.key = "external_labels", .kind = FIELD_NODE, .offset = DRAFT(external)},
    {.key = "body_size_limit", .kind = FIELD_SIZE, .offset = GLOBAL(body_size_limit)},
    {.key = "sample_limit", .kind = FIELD_UINT, .offset = GLOBAL(sample_limit)},
    {.key = "target_limit", .kind = FIELD_UINT, .offset = GLOBAL(target_limit)},
    {.key = "label_limit", .kind = FIELD_UINT, .offset = GLOBAL(label_limit)},
    {.key = "label_name_length_limit", .kind = FIELD_UINT, .offset = GLOBAL(label_name_length_limit)},
    {.key = "label_value_length_limit", .kind = FIELD_UINT, .offset = GLOBAL(label_value_length_limit)},
    {.key = "keep_dropped_targets", .kind = FIELD_UINT, .offset = GLOBAL(keep_dropped_targets)},
    {.key = "metric_name_validation_scheme", .kind = FIELD_NODE, .offset = DRAFT(validation)},
    {.key = "metric_name_escaping_scheme", .kind = FIELD_STRING, .offset = GLOBAL(escaping)},
    {.key = "scrape_native_histograms", .kind = FIELD_TRISTATE, .offset = GLOBAL(scrape_native_histograms)},
    {.key = "convert_classic_histograms_to_nhcb",
     .kind = FIELD_BOOL,
     .offset = GLOBAL(convert_classic_histograms_to_nhcb)},
    {.key = "always_scrape_classic_histograms", .kind = FIELD_BOOL, .offset = GLOBAL(always_scrape_classic_histograms)},
    {.key = "extra_scrape_metrics", .kind = FIELD_TRISTATE, .offset = GLOBAL(extra_scrape_metrics)},
};
static const struct schema global_schema = SCHEMA("config.plain", global_fields);

struct expansion {
    struct reader *r;
    const struct node *at;
};

static void warn_empty_variable(void *ctx, struct str name)
{
    struct expansion *e = ctx;
    reader_warn(e->r, e->at, "external_labels: the environment variable %s is empty or not set",
                reader_quote(e->r, name));
}

static int compare_labels(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static void read_external(struct reader *r, struct node *n, bool legacy)
{
    if (!n)
        return;
    if (n->kind != NODE_MAPPING) {
        reader_type_error(r, n, "map[string]string");
        return;
    }
    struct label *v = ARENA_ARRAY(r->arena, struct label, n->n + 1);
    uint32_t count = 0;
    for (struct node *c = n->first; c; c = c->next) {
        struct str value;
        if (!reader_string(r, c, &value))
            continue;
        if (legacy ? !label_name_is_legacy(c->key) : c->key.n == 0 || !str_is_utf8(c->key)) {
            reader_error_key(r, c, NULL, ERR_SYNTAX, "external_labels: %s is not a valid label name",
                             reader_quote(r, c->key));
            continue;
        }
        if (!str_is_utf8(value)) {
            reader_error(r, c, ERR_SYNTAX, "external_labels: %s is not a valid label value", reader_quote(r, value));
            continue;
        }
        struct expansion e = {r, c};
        struct str expanded = go_expand(r->arena, value, warn_empty_variable, &e);
        if (!str_eq(expanded, value))
            reader_show(r, c, expanded);
        if (expanded.n)
            v[count++] = (struct label){.name = str_dup(r->arena, c->key), .value = expanded};
    }
    qsort(v, count, sizeof(*v), compare_labels);
    r->plan->external_labels = (struct labels){.v = v, .n = count};
}

static void set_global_intervals(struct reader *r, const struct node *n, struct global *g)
{
    if (g->scrape_interval_ms == 0)
        g->scrape_interval_ms = 60 * 1000;
    if (g->scrape_timeout_ms > g->scrape_interval_ms)
        reader_error_key(r, n, "scrape_timeout", ERR_SYNTAX, "global scrape timeout greater than scrape interval");
    if (g->scrape_timeout_ms == 0)
        g->scrape_timeout_ms = g->scrape_interval_ms < 10 * 1000 ? g->scrape_interval_ms : 10 * 1000;
}

static void check_escaping(struct reader *r, const struct node *n, struct str escaping)
{
    static const char *const names[] = {"", "allow-utf-8", "underscores", "dots", "values"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (str_eq_c(escaping, names[i]))
            return;
    }
    reader_error_key(r, n, "metric_name_escaping_scheme", ERR_SYNTAX,
                     "unknown global name escaping method specified, must be one of 'allow-utf-8', 'underscores', "
                     "'dots', or 'values', got %s",
                     reader_quote(r, escaping));
}

static void warn_unused(struct reader *r, const struct node *n, const struct global_draft *d)
{
    const char *text = "has no effect: leadline evaluates no rules and answers no queries";
    if (d->evaluation_ms)
        reader_warn(r, node_find(n, "evaluation_interval"), "evaluation_interval %s", text);
    if (d->rule_offset_ms)
        reader_warn(r, node_find(n, "rule_query_offset"), "rule_query_offset %s", text);
    if (d->query_log.n)
        reader_warn(r, node_find(n, "query_log_file"), "query_log_file %s", text);
}

static void read_global(struct reader *r, struct node *n, bool has_jobs, struct global *out)
{
    struct global_draft d = {.g = {.validation = STR(""),
                                   .escaping = STR(""),
                                   .scrape_failure_log_file = STR(""),
                                   .extra_scrape_metrics = r->options->extra_scrape_metrics ? 1 : -1,
                                   .scrape_native_histograms = -1}};
    if (n) {
        reader_mapping(r, n, &global_schema, &d);
        set_global_intervals(r, n, &d.g);
        if (d.validation)
            scrape_validation(r, d.validation, &d.g.validation);
        if (d.protocols)
            d.g.n_protocols = scrape_protocols_read(r, d.protocols, "global config", d.g.protocols);
        if (has_jobs) /* the original looks at it only then */
            check_escaping(r, n, d.g.escaping);
        if (!r->inside || r->inside->external_labels)
            read_external(r, d.external, str_eq_c(d.g.validation, "legacy"));
        else if (d.external)
            reader_warn(r, d.external, "external_labels has no effect: the agent adds them to nothing on this way");
        if (n->kind == NODE_MAPPING)
            warn_unused(r, n, &d);
    } else {
        set_global_intervals(r, NULL, &d.g);
    }
    r->plan->scrape_interval_ms = d.g.scrape_interval_ms;
    r->plan->scrape_timeout_ms = d.g.scrape_timeout_ms;
    *out = d.g;
}

/* ---- scrape configurations ---- */

struct job_key {
    const struct plan *plan;
    struct str name;
};

static bool same_job(const void *ctx, uint32_t index)
{
    const struct job_key *k = ctx;
    return str_eq(k->plan->scrapes[index].job_name, k->name);
}

static struct plan_scrape *next_job(struct reader *r, struct jobs *jobs)
{
    struct plan *p = r->plan;
    if (p->n_scrapes == jobs->cap) {
        uint32_t cap = jobs->cap ? jobs->cap * 2 : 8;
        struct plan_scrape *v = ARENA_ARRAY(r->arena, struct plan_scrape, cap);
        if (p->n_scrapes)
            memcpy(v, p->scrapes, p->n_scrapes * sizeof(*v));
        p->scrapes = v;
        jobs->cap = cap;
    }
    return &p->scrapes[p->n_scrapes];
}

static void add_job(struct reader *r, struct node *n, const struct global *g, bool included, struct jobs *jobs)
{
    struct plan_scrape *s = next_job(r, jobs);
    if (!scrape_read(r, n, g, s) || s->job_name.n == 0)
        return;
    uint64_t hash = hash_bytes(s->job_name);
    struct job_key key = {r->plan, s->job_name};
    uint32_t first = map_find(&jobs->names, hash, same_job, &key);
    if (first == MAP_NONE) {
        map_add(&jobs->names, hash, r->plan->n_scrapes++);
        return;
    }
    const char *name = reader_quote(r, s->job_name);
    if (included)
        reader_error_key(r, n, "job_name", ERR_SYNTAX,
                         "found multiple scrape configs with job name %s, first found in %.*s", name,
                         STR_ARGS(r->plan->scrapes[first].file));
    else
        reader_error_key(r, n, "job_name", ERR_SYNTAX, "found multiple scrape configs with job name %s", name);
}

static void read_jobs(struct reader *r, struct node *list, const struct global *g, bool included, struct jobs *jobs)
{
    if (!list || !reader_sequence(r, list, "[]*config.ScrapeConfig"))
        return;
    for (struct node *n = list->first; n; n = n->next)
        add_job(r, n, g, included, jobs);
}

/* ---- files ---- */

/* Reads and parses; a failure is one error in the list. False then. */
static bool parse_text(struct reader *r, struct str text, struct node **out)
{
    struct diag d;
    diag_reset(&d);
    enum err err = tree_parse_yaml(text, r->file, r->tree, out, &d);
    if (err == OK)
        return true;
    reader_add_diag(r, &d, err);
    return false;
}

static bool read_file(struct reader *r, struct buf *text)
{
    struct diag d;
    diag_reset(&d);
    enum err err = file_read(r->file, MAX_FILE_BYTES, text, &d);
    if (err == OK)
        return true;
    reader_add_diag(r, &d, err);
    return false;
}

static const char *directory_of(struct arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? go_path_join(a, "", str_from(path, slash == path ? 1 : (size_t)(slash - path))).p : ".";
}

static int compare_errors(const void *a, const void *b)
{
    const struct diag *x = a, *y = b;
    return x->line != y->line ? x->line - y->line : x->col - y->col;
}

/* An insertion sort that moves both arrays: there are at most a thousand, nearly sorted. */
static void sort_errors(struct config_errors *e, uint32_t from)
{
    for (uint32_t i = from + 1; i < e->n; i++) {
        struct diag d = e->v[i];
        enum err code = e->codes[i];
        uint32_t k = i;
        for (; k > from && compare_errors(&e->v[k - 1], &d) > 0; k--) {
            e->v[k] = e->v[k - 1];
            e->codes[k] = e->codes[k - 1];
        }
        e->v[k] = d;
        e->codes[k] = code;
    }
}

static const struct field included_fields[] = {{.key = "scrape_configs", .kind = FIELD_NODE}};
static const struct schema included_schema = SCHEMA("config.ScrapeConfigs", included_fields);

static void read_included(struct reader *outer, const char *path, const struct global *g, struct jobs *jobs)
{
    struct arena tree = {0};
    struct reader r = *outer;
    AUTO_BUF text = {0};
    struct node *root = NULL, *list = NULL;
    r.file = path;
    r.dir = directory_of(r.arena, path);
    r.tree = &tree;
    r.shown = NULL;
    uint32_t before = r.errors->n;
    if (read_file(&r, &text) && parse_text(&r, buf_view(&text), &root) && root &&
        reader_mapping(&r, root, &included_schema, &list))
        read_jobs(&r, list, g, true, jobs);
    sort_errors(r.errors, before);
    outer->cap_warnings = r.cap_warnings;
    arena_release(&tree);
}

/* A star only in the last part of the path. */
static bool valid_pattern(struct str pattern)
{
    struct str before, after;
    return !str_cut(pattern, '*', &before, &after) || after.n == 0 || !memchr(after.p, '/', after.n);
}

static bool is_dot_entry(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static void include_pattern(struct reader *r, const struct node *at, struct str pattern, const struct global *g,
                            struct jobs *jobs)
{
    glob_t found;
    struct str path = reader_path(r, pattern);
    int rc = glob(path.p, GLOB_PERIOD, NULL, &found);
    if (rc == GLOB_NOSPACE)
        reader_error(r, at, ERR_LIMIT, "error retrieving scrape config files for %s: out of memory",
                     reader_quote(r, pattern));
    else if (rc == 0 && found.gl_pathc > MAX_INCLUDED)
        reader_error(r, at, ERR_LIMIT, "scrape_config_files: %s finds more than %d files", reader_quote(r, pattern),
                     MAX_INCLUDED);
    else if (rc == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            if (!is_dot_entry(found.gl_pathv[i]))
                read_included(r, found.gl_pathv[i], g, jobs);
        }
    }
    globfree(&found);
}

struct includes {
    struct node *list;
    struct str *patterns;
    uint32_t n;
};

static void read_patterns(struct reader *r, struct node *list, struct includes *out)
{
    out->list = list;
    if (!list || !reader_strings(r, list, "[]string", &out->patterns, &out->n))
        return;
    const struct node *e = out->n ? list->first : NULL;
    for (uint32_t i = 0; i < out->n; i++, e = e->next) {
        if (!valid_pattern(out->patterns[i]))
            reader_error(r, e, ERR_SYNTAX, "invalid scrape config file path %s", reader_quote(r, out->patterns[i]));
    }
}

static void include_all(struct reader *r, const struct includes *in, const struct global *g, struct jobs *jobs)
{
    const struct node *e = in->n ? in->list->first : NULL;
    for (uint32_t i = 0; i < in->n; i++, e = e->next) {
        if (valid_pattern(in->patterns[i]) && in->patterns[i].n)
            include_pattern(r, e, in->patterns[i], g, jobs);
    }
}

/* ---- the whole ---- */

#define TOP(name) offsetof(struct top, name)

static const struct field top_fields[] = {
    {.key = "global", .kind = FIELD_NODE, .offset = TOP(global)},
    {.key = "scrape_config_files", .kind = FIELD_NODE, .offset = TOP(scrape_files)},
    {.key = "scrape_configs", .kind = FIELD_NODE, .offset = TOP(scrape_configs)},
    {.key = "remote_write", .kind = FIELD_NODE, .offset = TOP(remote_write)},
    {.kind = FIELD_INLINE, .schema = &server_schema, .offset = TOP(server)},
};
static const struct schema top_schema = SCHEMA("config.plain", top_fields);

static void print_config(struct reader *r, const struct node *root)
{
    for (const struct shown *s = r->shown; s; s = s->next)
        s->node->text = s->text;
    AUTO_BUF b = {0};
    tree_print_yaml(root, &b);
    r->plan->config_yaml = b.n ? str_dup(r->arena, buf_view(&b)) : STR("");
}

/* What is not about scraping, where another program scrapes with the file. */
static void warn_others(struct reader *r, const struct top *top)
{
    const struct server_nodes *s = &top->server;
    const struct node *const others[] = {top->remote_write, s->storage,    s->otlp,   s->remote_read,
                                         s->alerting,       s->rule_files, s->runtime};
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (others[i])
            reader_warn(r, others[i],
                        "%.*s has no effect: the agent scrapes with this file and uses nothing else of it",
                        STR_ARGS(others[i]->key));
}

static void compile(struct reader *r, struct node *root)
{
    struct top top = {0};
    struct global g;
    struct jobs jobs = {.cap = r->plan->n_scrapes};
    struct includes includes = {0};
    uint32_t before = r->errors->n;
    if (root)
        reader_mapping(r, root, &top_schema, &top);
    read_global(r, top.global, top.scrape_configs || top.scrape_files, &g);
    if (r->inside)
        warn_others(r, &top);
    else
        server_read(r, &top.server, str_eq_c(g.validation, "legacy"));
    read_jobs(r, top.scrape_configs, &g, false, &jobs);
    if (!r->inside)
        remote_writes_read(r, top.remote_write, str_eq_c(g.validation, "legacy"));
    read_patterns(r, top.scrape_files, &includes);
    sort_errors(r->errors, before);
    include_all(r, &includes, &g, &jobs);
    map_release(&jobs.names);
    if (!r->inside && r->plan->n_remote_writes == 0)
        reader_warn(r, NULL, "no remote_write: what is scraped is sent nowhere");
    if (!r->inside && r->errors->n == before)
        print_config(r, root);
}

/* A receiver's configuration of a collector has the Prometheus file under `config`, which the agent takes too. */
static bool is_wrapped(struct reader *r, const struct node *root)
{
    static const char *const keys[] = {"config", "target_allocator"};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        const struct node *n = root && root->kind == NODE_MAPPING ? node_find(root, keys[i]) : NULL;
        if (!n)
            continue;
        reader_error_key(r, n, NULL, ERR_UNSUPPORTED,
                         "%s: not supported by leadline: this is a collector's receiver; write the Prometheus file "
                         "itself, with global and scrape_configs at its top",
                         keys[i]);
        return true;
    }
    return false;
}

void prometheus_read_embedded(const struct reader *outer, const struct embedding *inside, struct str text,
                              const char *name, const char *directory, uint32_t *cap_warnings)
{
    struct arena tree = {0};
    struct reader r = *outer;
    AUTO_BUF file = {0};
    struct node *root = NULL;
    r.file = name;
    r.dir = text.p ? directory : directory_of(r.arena, name);
    r.inside = inside;
    r.tree = &tree;
    r.shown = NULL;
    if ((text.p || read_file(&r, &file)) && parse_text(&r, text.p ? text : buf_view(&file), &root) &&
        !is_wrapped(&r, root))
        compile(&r, root);
    *cap_warnings = r.cap_warnings;
    arena_release(&tree);
}

/* `path` NULL: parse `text`. */
static enum err load(const char *path, struct str text, const char *name, const char *directory,
                     const struct config_options *o, struct plan **out, struct config_errors *errors, struct diag *d)
{
    static const struct config_options defaults = {0};
    struct reader r = {.file = name, .dir = directory, .options = o ? o : &defaults};
    struct reading reading;
    AUTO_BUF file = {0};
    struct node *root = NULL;
    reader_open(&r, &reading, errors);
    if (path)
        r.dir = directory_of(r.arena, path);
    if ((!path || read_file(&r, &file)) && parse_text(&r, path ? buf_view(&file) : text, &root))
        compile(&r, root);
    return reader_close(&r, &reading, out, d);
}

enum err config_load_prometheus(const char *path, const struct config_options *o, struct plan **out,
                                struct config_errors *errors, struct diag *d)
{
    return load(path, STR_NONE, path, NULL, o, out, errors, d);
}

enum err config_parse_prometheus(struct str text, const char *name, const char *directory,
                                 const struct config_options *o, struct plan **out, struct config_errors *errors,
                                 struct diag *d)
{
    return load(NULL, text, name, directory, o, out, errors, d);
}
