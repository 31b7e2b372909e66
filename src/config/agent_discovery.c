/* agent_discovery: ecs_service_discovery of the CloudWatch agent's JSON.
 *
 *   sd_frequency, sd_target_cluster, sd_cluster_region, sd_result_file
 *   docker_label: {}                  present: on; three names of docker labels
 *   task_definition_list: []          entries: a pattern, ports, and perhaps a container's pattern, path, job
 *   service_name_list_for_tasks: []   the same
 *
 * Patterns are Go's regular expressions, found anywhere in the text. What ends the agent at run time (a pattern that
 * does not compile, a frequency that is not above zero) is an error of the configuration here, with its position. What
 * leaves it running without discovery (a frequency that is none, no way of finding anything) does the same here, with a
 * warning. Ports beyond 65535 pass the agent's check and then match nothing: a warning too.
 */
#include "base/mem.h"
#include "base/num.h"
#include "base/units.h"
#include "config/agent_int.h"

enum { NS_PER_MS = 1000000, PORTS_TEXT_MAX = 64 << 10 };

struct draft {
    struct str frequency, cluster, region, file;
    struct node *docker_label, *definitions, *services;
};

#define DRAFT(name) offsetof(struct draft, name)

static const struct agent_key keys[] = {
    {.key = "sd_frequency", .type = AGENT_STRING, .read = agent_string, .offset = DRAFT(frequency)},
    {.key = "sd_target_cluster", .type = AGENT_STRING, .read = agent_string, .offset = DRAFT(cluster)},
    {.key = "sd_cluster_region", .type = AGENT_STRING, .read = agent_string, .offset = DRAFT(region)},
    {.key = "sd_result_file", .type = AGENT_STRING, .read = agent_string, .offset = DRAFT(file)},
    {.key = "docker_label", .type = AGENT_OBJECT, .read = agent_node, .offset = DRAFT(docker_label)},
    {.key = "task_definition_list", .type = AGENT_ARRAY, .read = agent_node, .offset = DRAFT(definitions)},
    {.key = "service_name_list_for_tasks", .type = AGENT_ARRAY, .read = agent_node, .offset = DRAFT(services)},
};
static const struct agent_object discovery = AGENT_OBJECT_OF(keys, OTHERS_REFUSED);

/* ---- docker_label ---- */

#define LABEL(name) offsetof(struct plan_ecs_agent_sd, name)

static const struct agent_key label_keys[] = {
    {.key = "sd_port_label", .type = AGENT_STRING, .read = agent_string, .offset = LABEL(port_label)},
    {.key = "sd_metrics_path_label", .type = AGENT_STRING, .read = agent_string, .offset = LABEL(metrics_path_label)},
    {.key = "sd_job_name_label", .type = AGENT_STRING, .read = agent_string, .offset = LABEL(job_name_label)},
};
static const struct agent_object label_object = AGENT_OBJECT_OF(label_keys, OTHERS_TOLD);

/* ---- entries of the lists ---- */

struct entry {
    struct str pattern, container, ports, path, job;
};

#define ENTRY(name) offsetof(struct entry, name)
#define ENTRY_KEYS(pattern_key)                                                                                        \
    {.key = (pattern_key), .type = AGENT_STRING, .read = agent_string, .offset = ENTRY(pattern)},                      \
        {.key = "sd_metrics_ports", .type = AGENT_STRING, .read = agent_string, .offset = ENTRY(ports)},               \
        {.key = "sd_container_name_pattern", .type = AGENT_STRING, .read = agent_string, .offset = ENTRY(container)},  \
        {.key = "sd_metrics_path", .type = AGENT_STRING, .read = agent_string, .offset = ENTRY(path)},                 \
    {                                                                                                                  \
        .key = "sd_job_name", .type = AGENT_STRING, .read = agent_string, .offset = ENTRY(job)                         \
    }

static const struct agent_key definition_keys[] = {ENTRY_KEYS("sd_task_definition_arn_pattern")};
static const struct agent_key service_keys[] = {ENTRY_KEYS("sd_service_name_pattern")};
static const struct agent_object definition_object = AGENT_OBJECT_OF(definition_keys, OTHERS_TOLD);
static const struct agent_object service_object = AGENT_OBJECT_OF(service_keys, OTHERS_TOLD);

static void free_regex(void *p)
{
    regex_free(p);
}

static struct regex *read_pattern(struct agent_reader *a, const struct node *entry, const char *key, struct str pattern)
{
    const struct node *at = node_find(entry, key);
    struct regex *re;
    struct diag d = {0};

    if (regex_new_search(pattern, &re, &d)) {
        reader_error(&a->r, at ? at : entry, ERR_SYNTAX, "%s: %s", key, d.text);
        return NULL;
    }
    plan_on_release(a->r.plan, free_regex, re);
    return re;
}

/* One to five digits, the first not 0; 0: something else. */
static uint32_t parse_port(struct str s)
{
    uint64_t port = 0;
    if (s.n < 1 || s.n > 5 || *s.p < '1' || *s.p > '9' || num_parse_u64(s, &port))
        return 0;
    return (uint32_t)port;
}

/* Blanks may follow a semicolon, and stand nowhere else. */
static struct str without_blanks(struct str s)
{
    while (s.n && (*s.p == ' ' || (*s.p >= '\t' && *s.p <= '\r' && *s.p != '\v')))
        s = str_from(s.p + 1, s.n - 1);
    return s;
}

static void read_ports(struct agent_reader *a, const struct node *entry, struct str text, struct plan_port_list *out)
{
    const struct node *at = node_find(entry, "sd_metrics_ports");
    struct str one, rest = text;
    bool more = true;

    if (!at) {
        reader_error(&a->r, entry, ERR_SYNTAX, "mandatory key: sd_metrics_ports is not defined.");
        return;
    }
    if (text.n > PORTS_TEXT_MAX) {
        reader_error(&a->r, at, ERR_LIMIT, "sd_metrics_ports: more than %d characters", PORTS_TEXT_MAX);
        return;
    }
    out->v = ARENA_ARRAY(a->r.arena, uint16_t, text.n / 2 + 1);
    for (bool first = true; more; first = false) {
        more = str_cut(rest, ';', &one, &rest);
        uint32_t port = parse_port(first ? one : without_blanks(one));
        if (port == 0) {
            reader_error(&a->r, at, ERR_SYNTAX, "sd_metrics_ports: %s does not follow pattern %s",
                         reader_quote(&a->r, text), "^[1-9][0-9]{0,4}(;[\\s]*[1-9][0-9]{0,4})*$");
            return;
        }
        if (port > UINT16_MAX)
            reader_warn(&a->r, at, "sd_metrics_ports: %u is beyond 65535: no container has this port", port);
        else
            out->v[out->n++] = (uint16_t)port;
    }
}

static void read_entry(struct agent_reader *a, const struct node *n, const struct agent_object *object,
                       struct plan_ecs_match *out)
{
    const char *pattern_key = object->keys[0].key;
    struct entry e = {STR(""), STR(""), STR(""), STR(""), STR("")};

    agent_read_object(a, n, object, &e);
    out->pattern_text = e.pattern;
    out->metrics_path = e.path;
    out->job_name = e.job;
    if (node_find(n, pattern_key))
        out->pattern = read_pattern(a, n, pattern_key, e.pattern);
    else
        reader_error(&a->r, n, ERR_SYNTAX, "%s is not defined.", pattern_key);
    if (e.container.n)
        out->container_pattern = read_pattern(a, n, "sd_container_name_pattern", e.container);
    read_ports(a, n, e.ports, &out->ports);
}

static void read_entries(struct agent_reader *a, const struct node *list, const struct agent_object *object,
                         struct plan_ecs_match **out, uint32_t *n_out)
{
    if (!list)
        return;
    *out = ARENA_ARRAY(a->r.arena, struct plan_ecs_match, list->n);
    for (const struct node *n = list->first; n; n = n->next)
        if (agent_is(a, n, AGENT_OBJECT))
            read_entry(a, n, object, &(*out)[(*n_out)++]);
}

/* ---- the whole ---- */

/* False: there is no discovery. */
static bool read_frequency(struct agent_reader *a, const struct node *n, struct str text, int64_t *out_ms)
{
    const struct node *at = node_find(n, "sd_frequency");
    struct diag d = {0};
    int64_t ns;

    if (units_parse_go_duration(text, &ns, &d)) {
        reader_warn(&a->r, at ? at : n, "Invalid ECS service discovery frequency: %s: nothing is discovered", d.text);
        return false;
    }
    if (ns <= 0)
        reader_error(&a->r, at ? at : n, ERR_SYNTAX, "Invalid ECS service discovery frequency: %s is not more than 0",
                     reader_quote(&a->r, text));
    *out_ms = (ns + NS_PER_MS - 1) / NS_PER_MS;
    return true;
}

/* False: there is no discovery. */
static bool finds_something(struct agent_reader *a, const struct node *n, const struct plan_ecs_agent_sd *sd)
{
    if (sd->by_docker_label || sd->n_definitions || sd->n_services)
        return true;
    reader_warn(&a->r, n,
                "Neither docker label based discovery, nor task definition based discovery, nor service name "
                "based discovery is enabled: nothing is discovered");
    return false;
}

void agent_discovery_read(struct agent_reader *a, struct agent_at at, struct str region, bool dual_stack)
{
    struct draft d = {STR("1m"), STR(""), STR(""), STR("/tmp/cwagent_ecs_auto_sd.yaml"), NULL, NULL, NULL};
    struct plan_ecs_agent_sd *sd = ARENA_NEW(a->r.arena, struct plan_ecs_agent_sd);
    const struct node *n = at.node;

    a->r.file = at.file;
    sd->port_label = STR("ECS_PROMETHEUS_EXPORTER_PORT");
    sd->metrics_path_label = STR("ECS_PROMETHEUS_METRICS_PATH");
    sd->job_name_label = STR("job");
    agent_read_object(a, n, &discovery, &d);
    sd->by_docker_label = d.docker_label != NULL;
    if (d.docker_label)
        agent_read_object(a, d.docker_label, &label_object, sd);
    read_entries(a, d.definitions, &definition_object, &sd->definitions, &sd->n_definitions);
    read_entries(a, d.services, &service_object, &sd->services, &sd->n_services);
    bool works = read_frequency(a, n, d.frequency, &sd->frequency_ms);
    sd->result_file = d.file;
    if (d.file.n == 0)
        reader_error_key(&a->r, n, "sd_result_file", ERR_SYNTAX, "sd_result_file must not be empty");
    works = finds_something(a, n, sd) && works;
    agent_clusters_read(a, n, d.cluster, d.region.n ? d.region : a->o->region.n ? a->o->region : region, sd);
    for (uint32_t i = 0; i < sd->n_clusters; i++)
        sd->clusters[i].aws.dual_stack = dual_stack;
    if (works)
        a->r.plan->ecs_agent = sd;
}
