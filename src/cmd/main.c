/* main: which program is meant: by the first word, or by the name under which the binary was called.
 *
 *   leadline COMMAND ...    a row of the table below
 *   prometheus ...          a link to the binary: the Prometheus agent
 *   promtool check ...      a link to the binary: the checks
 *   amazon-cloudwatch-agent, start-amazon-cloudwatch-agent: the CloudWatch agent
 *   config-reloader         a link to the binary: cloudmap-sd
 *
 * So a container image or a unit file that starts the original by its name starts leadline after a link was put there.
 * Exit status 2 when no program is meant.
 */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/cmd.h"
#include "base/version.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {"prometheus", cmd_prometheus, "scrape and deliver by remote write, as Prometheus in agent mode"},
    {"cloudwatch-agent", cmd_cloudwatch_agent,
     "scrape and deliver to CloudWatch and AMP, as the CloudWatch agent with Prometheus support"},
    {"cloudmap-sd", cmd_cloudmap_sd, "find targets in AWS Cloud Map for a scraper, as the config-reloader sidecar"},
    {"check", cmd_check, "check a configuration file and print what it means"},
    {"healthcheck", cmd_healthcheck, "ask a running leadline whether it is healthy (for container health checks)"},
    {"spool", cmd_spool, "look at what waits to be delivered: ls, verify, replay"},
};

static void print_help(FILE *to)
{
    fprintf(to, "usage: leadline COMMAND [<flags>]\n\nMetrics collection for containers on Amazon ECS.\n\nCommands:\n");
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        fprintf(to, "  %-16s %s\n", commands[i].name, commands[i].help);
    fprintf(to, "\n`leadline COMMAND --help` shows a command's flags. `leadline --version` shows the version.\n");
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* Large blocks are mappings of their own and go back to the system when they are freed. Left alone, glibc raises the
 * threshold with the first large block that is freed, and memory stays at its peak after a churn of series. Much lower,
 * and the buffers of every scrape are mapped anew: a tenth of all processor time at 1,000 targets. */
static void give_memory_back(void)
{
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    const char *self = slash ? slash + 1 : argv[0];

    give_memory_back();

    if (strcmp(self, "prometheus") == 0)
        return cmd_prometheus(argc - 1, argv + 1);
    if (strcmp(self, "amazon-cloudwatch-agent") == 0 || strcmp(self, "start-amazon-cloudwatch-agent") == 0)
        return cmd_cloudwatch_agent(argc - 1, argv + 1);
    if (strcmp(self, "promtool") == 0)
        return argc > 1 && strcmp(argv[1], "check") == 0 ? cmd_check(argc - 2, argv + 2)
                                                         : cmd_check(argc - 1, argv + 1);
    if (strcmp(self, "config-reloader") == 0)
        return cmd_cloudmap_sd(argc - 1, argv + 1);
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    const struct command *c = find(argv[1]);
    if (c)
        return c->run(argc - 2, argv + 2);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        printf("leadline, version %s (follows Prometheus %s)\n", LEADLINE_VERSION, LEADLINE_PROMETHEUS_VERSION);
        return 0;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return 0;
    }
    fprintf(stderr, "leadline: no command \"%s\"\n\n", argv[1]);
    print_help(stderr);
    return 2;
}
