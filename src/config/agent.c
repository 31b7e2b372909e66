/* agent: the CloudWatch agent's JSON, as far as discovery goes.
 *
 *   {"agent": {...}, "logs": {"metrics_collected": {"prometheus": {"ecs_service_discovery": {...}}}}}
 *
 * Several sources (files of a directory, or a variable) make one configuration, as the agent merges them: the sections
 * down to `prometheus` key by key, what is below as a whole: where two sources have the same key they must say the
 * same. An unknown key at the top is passed over as the agent does it, with a warning; `agent` is an open object;
 * `logs` and `prometheus` are closed.
 *
 * What the agent does and this leadline does not is an error that names the key: scraping, delivery to CloudWatch, and
 * every other section. `agent` is taken whole, since nothing in it changes what is found: roles in it are those of
 * delivery, discovery uses the task's own.
 *
 * One tree per source, all in one arena until the plan is made. The thread that loads the configuration.
 */
#include "base/mem.h"
#include "config/agent_int.h"

enum { MAX_SECONDS = 172800, MAX_ONCE = 8 };

#define NOT_HERE "leadline cloudwatch-agent finds targets and writes sd_result_file, and does nothing else yet"

/* A key that may stand in several sources, if they agree. */
struct once {
    const char *key, *file;
    struct node *node;
};

struct sections {
    struct agent_surroundings around;
    struct str cluster_name;
    bool debug;
    struct once once[MAX_ONCE];
    uint32_t n_once;
};

/* ---- merging ---- */

static bool is_equal(const struct node *x, const struct node *y)
{
    const struct node *c, *other;

    if (x->kind != y->kind || x->n != y->n || x->truth != y->truth)
        return false;
    if (x->kind == NODE_MAPPING) {
        for (c = x->first; c; c = c->next) {
            for (other = y->first; other && !str_eq(other->key, c->key);)
                other = other->next;
            if (!other || !is_equal(c, other))
                return false;
        }
        return true;
    }
    if (x->kind != NODE_SEQUENCE)
        return str_eq(x->text, y->text);
    for (c = x->first, other = y->first; c && other; c = c->next, other = other->next)
        if (!is_equal(c, other))
            return false;
    return true;
}

/* The node's place among those noted; NULL when another source says something else. */
static struct once *note(struct agent_reader *a, struct sections *s, const char *key, struct node *n)
{
    for (uint32_t i = 0; i < s->n_once; i++) {
        struct once *o = &s->once[i];
        if (strcmp(o->key, key) != 0)
            continue;
        if (is_equal(o->node, n))
            return o;
        reader_error(&a->r, n, ERR_SYNTAX, "Different values are specified for %s: the other is in %s:%u", key, o->file,
                     o->node->line);
        return NULL;
    }
    CHECK(s->n_once < MAX_ONCE);
    s->once[s->n_once] = (struct once){key, a->r.file, n};
    return &s->once[s->n_once++];
}

static const struct once *noted(const struct sections *s, const char *key)
{
    for (uint32_t i = 0; i < s->n_once; i++)
        if (strcmp(s->once[i].key, key) == 0)
            return &s->once[i];
    return NULL;
}

/* ---- sections ---- */

static void read_discovery(struct agent_reader *a, struct node *n, void *out)
{
    note(a, out, "ecs_service_discovery", n);
}

static void read_cluster_name(struct agent_reader *a, struct node *n, void *out)
{
    struct sections *s = out;
    if (note(a, s, "cluster_name", n))
        agent_string(a, n, &s->cluster_name);
}

static void read_region(struct agent_reader *a, struct node *n, void *out)
{
    struct sections *s = out;
    if (note(a, s, "region", n))
        agent_string(a, n, &s->around.region);
}

static void read_debug(struct agent_reader *a, struct node *n, void *out)
{
    struct sections *s = out;
    if (note(a, s, "debug", n))
        agent_bool(a, n, &s->debug);
}

#define REFUSED(name)                                                                                                  \
    {                                                                                                                  \
        .key = (name), .refused = NOT_HERE                                                                             \
    }

static const struct agent_key prometheus_keys[] = {
    {.key = "ecs_service_discovery", .type = AGENT_OBJECT, .read = read_discovery},
    {.key = "cluster_name", .type = AGENT_STRING, .read = read_cluster_name},
    REFUSED("prometheus_config_path"),
    REFUSED("log_group_name"),
    REFUSED("emf_processor"),
    REFUSED("disable_metric_extraction"),
};
static const struct agent_object prometheus_object = AGENT_OBJECT_OF(prometheus_keys, OTHERS_REFUSED);

/* A section that is null is as one that is not there. */
static void read_section(struct agent_reader *a, struct node *n, const struct agent_object *object, void *out)
{
    if (!reader_is_null(n) && agent_is(a, n, AGENT_OBJECT))
        agent_read_object(a, n, object, out);
}

static void read_prometheus(struct agent_reader *a, struct node *n, void *out)
{
    read_section(a, n, &prometheus_object, out);
}

static const struct agent_key collected_keys[] = {
    {.key = "prometheus", .read = read_prometheus},
    REFUSED("emf"),
    REFUSED("ecs"),
    REFUSED("kubernetes"),
    REFUSED("app_signals"),
    REFUSED("application_signals"),
    REFUSED("otlp"),
};
static const struct agent_object collected_object = AGENT_OBJECT_OF(collected_keys, OTHERS_TOLD);

static void read_collected(struct agent_reader *a, struct node *n, void *out)
{
    read_section(a, n, &collected_object, out);
}

static const struct agent_key logs_keys[] = {
    {.key = "metrics_collected", .read = read_collected},
    REFUSED("logs_collected"),
    REFUSED("force_flush_interval"),
    REFUSED("endpoint_override"),
    REFUSED("credentials"),
    REFUSED("log_stream_name"),
    REFUSED("concurrency"),
    REFUSED("service.name"),
    REFUSED("deployment.environment"),
};
static const struct agent_object logs_object = AGENT_OBJECT_OF(logs_keys, OTHERS_REFUSED);

static void read_logs(struct agent_reader *a, struct node *n, void *out)
{
    read_section(a, n, &logs_object, out);
}

static const struct agent_key credentials_keys[] = {
    {.key = "role_arn", .type = AGENT_STRING, .min = 20, .max = 2048},
};
static const struct agent_object credentials_object = AGENT_OBJECT_OF(credentials_keys, OTHERS_REFUSED);

static void read_credentials(struct agent_reader *a, struct node *n, void *out)
{
    agent_read_object(a, n, &credentials_object, out);
}

static void read_dual_stack(struct agent_reader *a, struct node *n, void *out)
{
    (void)out;
    if (n->truth)
        reader_error(&a->r, n, ERR_UNSUPPORTED,
                     "use_dualstack_endpoint: not supported by leadline: set AWS_USE_DUALSTACK_ENDPOINT=true instead");
}

static const struct agent_key agent_keys[] = {
    {.key = "region", .type = AGENT_STRING, .min = 1, .max = 64, .read = read_region},
    {.key = "credentials", .type = AGENT_OBJECT, .read = read_credentials},
    {.key = "debug", .type = AGENT_BOOL, .read = read_debug},
    {.key = "use_dualstack_endpoint", .type = AGENT_BOOL, .read = read_dual_stack},
    {.key = "metrics_collection_interval", .type = AGENT_INTEGER, .min = 1, .max = MAX_SECONDS},
    {.key = "logfile", .type = AGENT_STRING, .min = 0, .max = 4096},
    {.key = "omit_hostname", .type = AGENT_BOOL},
};
static const struct agent_object agent_object = AGENT_OBJECT_OF(agent_keys, OTHERS_IGNORED);

static void read_agent(struct agent_reader *a, struct node *n, void *out)
{
    read_section(a, n, &agent_object, out);
}

static const struct agent_key top_keys[] = {
    {.key = "agent", .read = read_agent},
    {.key = "logs", .read = read_logs},
    REFUSED("metrics"),
    REFUSED("traces"),
    REFUSED("opentelemetry"),
};
static const struct agent_object top_object = AGENT_OBJECT_OF(top_keys, OTHERS_TOLD);

/* ---- the whole ---- */

static void read_source(struct agent_reader *a, const struct config_agent_source *source, struct sections *out)
{
    struct node *root;
    struct diag d = {0};

    a->r.file = source->name;
    enum err err = tree_parse_json(source->text, source->name, a->r.tree, &root, &d);
    if (err)
        reader_add_diag(&a->r, &d, err);
    else if (!root)
        reader_error(&a->r, NULL, ERR_SYNTAX, "there is no JSON in it");
    else if (agent_is(a, root, AGENT_OBJECT))
        agent_read_object(a, root, &top_object, out);
}

static void compile(struct agent_reader *a, const struct config_agent_source *sources, uint32_t n, bool *debug)
{
    struct sections s = {0};

    for (uint32_t i = 0; i < n; i++)
        read_source(a, &sources[i], &s);
    *debug = s.debug;
    const struct once *discovery = noted(&s, "ecs_service_discovery");
    if (!discovery)
        return;
    a->r.file = discovery->file;
    agent_discovery_read(a, discovery->node, &s.around);
}

enum err config_parse_agent(const struct config_agent_source *sources, uint32_t n, const struct config_agent_options *o,
                            struct plan **out, bool *debug, struct config_errors *errors, struct diag *d)
{
    static const struct config_agent_options none = {0};
    struct agent_reader a = {.r = {.file = "", .dir = ""}, .o = o ? o : &none};
    struct reading reading;

    reader_open(&a.r, &reading, errors);
    compile(&a, sources, n, debug);
    return reader_close(&a.r, &reading, out, d);
}
