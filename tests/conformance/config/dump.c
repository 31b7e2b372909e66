/* dump: reads one configuration as leadline does and prints what it says, for the comparison with promtool.
 *
 *   dump [--agent] [--warnings] FILE...
 *   dump --cloudwatch-agent [--warnings] FILE...    as the CloudWatch agent's JSON, in a task of cluster "own" in
 *                                                   eu-west-1, with a Prometheus file in the variable P
 *
 * One line a file and verdict, `ok FILE` or `CODE FILE`, then its errors or, if asked for, its warnings indented. Exit
 * status 0 whatever the verdicts are.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "config/config.h"

static const char *environment(const char *name)
{
    return strcmp(name, "P") == 0 ? "scrape_configs: [{job_name: one}]\n" : NULL;
}

static enum err load_agents(const char *path, struct plan **plan, struct config_errors *errors)
{
    static const struct config_agent_options task = {
        .cluster = STR("own"),
        .region = STR("eu-west-1"),
        .task_arn = STR("arn:aws:ecs:eu-west-1:1:task/own/x"),
        .host_name = STR("box"),
        .in_container = true,
        .getenv = environment,
    };
    struct config_agent_source *sources;
    struct diag odd, d = {0};
    uint32_t n;
    bool debug;
    enum err err = config_agent_files(path, errors->arena, &sources, &n, &odd, &d);

    return err ? err : config_parse_agent(sources, n, &task, plan, &debug, errors, &d);
}

static void dump(const char *path, const struct config_options *o, bool agents, bool warnings)
{
    struct arena arena = {0};
    struct config_errors errors = {.arena = &arena};
    struct plan *plan = NULL;
    enum err err = agents ? load_agents(path, &plan, &errors) : config_load_prometheus(path, o, &plan, &errors, NULL);
    if (err == OK) {
        printf("ok %s\n", path);
        for (uint32_t i = 0; warnings && i < plan->n_warnings; i++)
            printf("  warning: %.*s\n", STR_ARGS(plan->warnings[i]));
        plan_unref(plan);
    } else {
        /* Only what leadline understands and does not do: every error must be of that kind. */
        bool unsupported = true;
        for (uint32_t i = 0; i < errors.n; i++)
            unsupported = unsupported && errors.codes[i] == ERR_UNSUPPORTED;
        printf("%s %s\n", unsupported ? "unsupported" : "refused", path);
        for (uint32_t i = 0; i < errors.n; i++) {
            char text[1024];
            diag_format(&errors.v[i], text, sizeof(text));
            printf("  %s: %s\n", err_name(errors.codes[i]), text);
        }
    }
    arena_release(&arena);
}

int main(int argc, char **argv)
{
    struct config_options o = {0};
    bool warnings = false, agents = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--agent") == 0)
            o.agent = true;
        else if (strcmp(argv[i], "--cloudwatch-agent") == 0)
            agents = true;
        else if (strcmp(argv[i], "--warnings") == 0)
            warnings = true;
        else
            dump(argv[i], &o, agents, warnings);
    }
    return 0;
}
