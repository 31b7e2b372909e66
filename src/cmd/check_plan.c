/* check_plan: see the header. Which dialect a file is in shows in its first level:
 *
 *   {"agent": ..., "logs": ..., "metrics": ...}      a JSON mapping with one of these keys: the CloudWatch agent's;
 *                                                    one that is broken too, so that what is wrong with it is said
 *   a directory                                      the same, as the agent takes one
 *   anything else                                    prometheus.yml (which may be JSON too: YAML is a superset)
 */
#include "cmd/check_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cmd/cloudwatch_settings.h"
#include "cmd/service.h"
#include "config/config.h"
#include "run/own_task.h"
#include "wire/tree.h"

enum { MAX_FILE = 64 << 20 };

static const char *const sections[] = {"agent", "logs", "metrics", "traces", "opentelemetry"};

static bool has_section(const struct node *root)
{
    for (size_t i = 0; root->kind == NODE_MAPPING && i < COUNT_OF(sections); i++)
        if (node_find(root, sections[i]))
            return true;
    return false;
}

/* What a broken text was meant to be. */
static bool names_section(struct str text)
{
    for (size_t i = 0; i < COUNT_OF(sections); i++) {
        char quoted[32];
        int n = snprintf(quoted, sizeof(quoted), "\"%s\"", sections[i]);
        if (str_contains(text, str_from(quoted, (size_t)n)))
            return !str_contains(text, STR("scrape_configs"));
    }
    return false;
}

static bool looks_like_agents(struct str text, const char *path)
{
    struct arena a = {0};
    struct node *root = NULL;
    struct str s = str_trim(text);
    bool found = false;

    if (str_starts(s, STR("{")) || str_starts(s, STR("//")) || str_starts(s, STR("/*")))
        found = tree_parse_json(text, path, &a, &root, NULL) == OK && root ? has_section(root) : names_section(s);
    arena_release(&a);
    return found;
}

void check_input_open(struct check_input *in, const char *path)
{
    struct stat st;
    bool there = stat(path, &st) == 0, directory = there && S_ISDIR(st.st_mode);

    *in =
        (struct check_input){.path = path, .agents = directory, .is_pipe = there && !directory && !S_ISREG(st.st_mode)};
    if (directory)
        return;
    if (file_read(path, MAX_FILE, &in->text, NULL))
        in->is_pipe = false; /* whoever reads it again says why it cannot be read */
    else
        in->agents = looks_like_agents(buf_view(&in->text), path);
}

void check_input_release(struct check_input *in)
{
    buf_release(&in->text);
}

enum err check_input_prometheus(const struct check_input *in, const struct config_options *o, struct plan **out,
                                struct config_errors *errors, struct diag *d)
{
    const char *slash = strrchr(in->path, '/');

    if (!in->is_pipe)
        return config_load_prometheus(in->path, o, out, errors, d);
    char *directory = slash ? mem_strndup(in->path, (size_t)(slash - in->path)) : mem_strdup(".");
    enum err err = config_parse_prometheus(buf_view(&in->text), in->path, directory, o, out, errors, d);
    free(directory);
    return err;
}

/* What is not given is that of the task in which the check runs. */
static struct own_task find_task(const struct check_plan_options *o, struct arena *a)
{
    struct own_task task = {STR(""), STR(""), STR("")};
    struct diag d = {0};
    AUTO_BUF url = {0};

    if ((!o->cluster.n || !o->region.n) && own_task_ask(a, &task, &url, &d))
        fprintf(stderr, "%.*s: %s\n", STR_ARGS(buf_view(&url)), d.text);
    if (o->cluster.n)
        task.cluster = o->cluster;
    if (o->region.n)
        task.region = o->region;
    return task;
}

static enum err load_agents(const struct check_input *in, const struct check_plan_options *o, struct plan **plan,
                            struct config_errors *errors, struct diag *d)
{
    struct config_agent_source *sources;
    struct own_task task = find_task(o, errors->arena);
    char host[256] = "";
    struct config_agent_options options = {.cluster = task.cluster,
                                           .region = task.region,
                                           .task_arn = task.arn,
                                           .in_container = o->container == CHECK_CONTAINER_HERE
                                                               ? own_task_in_container()
                                                               : o->container == CHECK_CONTAINER_YES,
                                           .getenv = service_environment,
                                           .check_files = !o->syntax_only,
                                           .strict = o->strict};
    struct diag odd = {0};
    uint32_t n;
    bool debug;

    gethostname(host, sizeof(host) - 1);
    options.host_name = str_c(host);
    cloudwatch_settings_read(NULL, &options.ours);
    if (in->is_pipe)
        return config_parse_agent(&(struct config_agent_source){in->path, buf_view(&in->text)}, 1, &options, plan,
                                  &debug, errors, d);
    enum err err = config_agent_files(in->path, errors->arena, &sources, &n, &odd, d);

    if (err)
        return err;
    if (odd.text[0]) {
        *d = odd;
        return ERR_SYNTAX;
    }
    return config_parse_agent(sources, n, &options, plan, &debug, errors, d);
}

/* Errors that the task's cluster or region would do away with. */
static bool wants_task(const struct config_errors *errors)
{
    for (uint32_t i = 0; i < errors->n; i++) {
        struct str text = str_c(errors->v[i].text);
        if (str_contains(text, STR("ClusterName is not defined")) || str_contains(text, STR("log group name")) ||
            str_contains(text, STR("region")))
            return true;
    }
    return false;
}

struct plan *check_plan_of(const struct check_input *in, const struct check_plan_options *o)
{
    struct arena a = {0};
    struct config_errors errors = {.arena = &a};
    struct plan *plan = NULL;
    struct diag d = {0};
    char text[1024];
    enum err err = in->agents
                       ? load_agents(in, o, &plan, &errors, &d)
                       : check_input_prometheus(in, &(struct config_options){.agent = false}, &plan, &errors, &d);

    for (uint32_t i = 0; err && i < errors.n; i++) {
        diag_format(&errors.v[i], text, sizeof(text));
        fprintf(stderr, "%s\n", text);
    }
    if (err && errors.n == 0) {
        diag_format(&d, text, sizeof(text));
        fprintf(stderr, "%s\n", text);
    }
    if (err && (!o->cluster.n || !o->region.n) && wants_task(&errors))
        fprintf(stderr, "note: outside of a task, --cluster and --region say which one the file is for\n");
    if (o->n_errors)
        *o->n_errors = !err ? 0 : errors.n ? errors.n : 1;
    arena_release(&a);
    return err ? NULL : plan;
}

struct plan *check_plan_load(const char *path, const struct check_plan_options *o)
{
    struct check_input in;

    check_input_open(&in, path);
    struct plan *plan = check_plan_of(&in, o);
    check_input_release(&in);
    return plan;
}
