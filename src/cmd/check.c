/* check: `leadline check FILE` prints the compiled plan, or every error of the file; `leadline check config FILE...` is
 * promtool's form and speaks its words. Other first words are commands of their own: the table at the end.
 *
 * FILE is prometheus.yml, or the CloudWatch agent's JSON or a directory of such (check_agent.c), as its text tells.
 *
 *   standard output   the plan (ours), `Checking` and `SUCCESS` lines (promtool's)
 *   standard error    errors, one a line, as file:line:column: text
 *   exit status       0: every file is good; 1: one is not, or the command line is not
 *
 * The files that a configuration names (certificates, credentials) are looked at too, unless --syntax-only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/check.h"
#include "cmd/check_plan.h"
#include "cmd/cmd.h"
#include "config/config.h"

static const struct flag_spec specs[] = {
    {"help", FLAG_BOOL, FLAG_USED, "false", NULL, "Show this help.", 'h', false},
    {"agent", FLAG_BOOL, FLAG_USED, "false", NULL, "Check as for agent mode.", 0, false},
    {"syntax-only", FLAG_BOOL, FLAG_USED, "false", NULL, "Do not look at the files that the configuration names.", 0,
     false},
    {"trial", FLAG_BOOL, FLAG_USED, "false", NULL,
     "Of the CloudWatch agent's file: try one cycle. This asks AWS for targets and scrapes each of them once; it "
     "delivers nothing and writes nothing. Tells what each metric_declaration makes of what came.",
     0, false},
    {"timeout", FLAG_DURATION, FLAG_USED, "30s", NULL, "How long the trial may take.", 0, false},
    {"cluster", FLAG_TEXT, FLAG_USED, NULL, NULL,
     "The cluster that the CloudWatch agent's file is for. Default: the task's own.", 0, false},
    {"region", FLAG_TEXT, FLAG_USED, NULL, NULL, "Its region. Default: the task's own.", 0, false},
    {"container", FLAG_CHOICE, FLAG_USED, "true", "true|false",
     "Whether the CloudWatch agent's defaults are those of its container. RUN_IN_CONTAINER says so too.", 0, false},
    {"lint", FLAG_TEXT, FLAG_NO_EFFECT, "duplicate-rules", NULL, "Lint rules of the original, about rule files.", 0,
     false},
    {"lint-fatal", FLAG_BOOL, FLAG_NO_EFFECT, "false", NULL, "Lint rules of the original, about rule files.", 0, false},
};

static void print_errors(const struct config_errors *errors, const char *indent)
{
    for (uint32_t i = 0; i < errors->n; i++) {
        char text[1024];
        diag_format(&errors->v[i], text, sizeof(text));
        fprintf(stderr, "%s%s\n", indent, text);
    }
}

static bool check_file(const struct flags *f, const struct check_input *in, bool promtool)
{
    struct config_options o = {.agent = flags_bool(f, "agent"), .check_files = !flags_bool(f, "syntax-only")};
    struct arena arena = {0};
    struct config_errors errors = {.arena = &arena};
    struct diag d = {0};
    struct plan *plan = NULL;
    AUTO_BUF text = {0};
    enum err err = check_input_prometheus(in, &o, &plan, &errors, &d);

    if (promtool)
        printf("Checking %s\n", in->path);
    fflush(stdout);
    if (err) {
        if (promtool)
            fprintf(stderr, "  FAILED:\n");
        if (errors.n == 0) {
            char line[1024];
            diag_format(&d, line, sizeof(line));
            fprintf(stderr, "%s%s\n", promtool ? "    " : "", line);
        }
        print_errors(&errors, promtool ? "    " : "");
        if (!promtool)
            fprintf(stderr, "%s: %u error%s\n", in->path, errors.n ? errors.n : 1, errors.n > 1 ? "s" : "");
    } else if (promtool) {
        printf(" SUCCESS: %s is valid prometheus config file syntax\n\n", in->path);
    } else {
        plan_print(plan, &text);
        fwrite(text.p, 1, text.n, stdout);
    }
    if (plan)
        plan_unref(plan);
    arena_release(&arena);
    return err == OK;
}

static bool check_one(const struct flags *f, const char *path, bool promtool)
{
    struct check_input in;
    bool good = false;

    check_input_open(&in, path);
    if (!promtool && in.agents)
        good = check_agent(f, &in);
    else if (flags_bool(f, "trial"))
        fprintf(stderr, "%s: --trial is for the CloudWatch agent's file, which this is not\n", path);
    else
        good = check_file(f, &in, promtool);
    check_input_release(&in);
    return good;
}

/* promtool's other checks. A file of that name is reached as ./rules. */
static bool is_of_server(struct str word)
{
    return str_eq(word, STR("rules")) || str_eq(word, STR("service-discovery")) || str_eq(word, STR("healthy")) ||
           str_eq(word, STR("ready"));
}

static int run(const struct flags *f)
{
    bool promtool = f->n_rest > 1 && str_eq(f->rest[0], STR("config"));
    uint32_t first = promtool ? 1 : 0;
    int status = 0;

    if (f->n_rest <= first) {
        fprintf(stderr, "leadline check: which file? For example: leadline check prometheus.yml\n");
        return 1;
    }
    if (!promtool && f->n_rest > 1 && is_of_server(f->rest[0])) {
        fprintf(
            stderr,
            str_eq(f->rest[0], STR("service-discovery"))
                ? "leadline check %s: use `leadline check discovery FILE --job=JOB`, which also says why something is "
                  "not found\n"
                : "leadline check %s: this is about a server's rules and queries, which leadline does not have\n",
            f->rest[0].p);
        return 1;
    }
    for (uint32_t i = first; i < f->n_rest; i++)
        if (!check_one(f, f->rest[i].p, promtool))
            status = 1;
    return status;
}

int cmd_check(int argc, char **argv)
{
    static const struct flags_command command = {
        .program = "leadline check",
        .summary = "Checks a configuration file and prints the plan that it compiles to: prometheus.yml, or the "
                   "CloudWatch agent's JSON (a file or a directory), with the LEADLINE_* variables of the environment."
                   "\n\n"
                   "Other checks, each with its own --help: leadline check discovery, relabel, metrics, web-config, "
                   "aws, iam, diff.",
        .specs = specs,
        .n_specs = COUNT_OF(specs),
        .max_rest = 1000,
        .bad_usage = 1,
        .run = run,
    };
    static const struct {
        const char *word;
        int (*run)(int argc, char **argv);
    } parts[] = {
        {"aws", cmd_check_aws},     {"diff", check_diff},       {"discovery", check_discovery},  {"iam", check_iam},
        {"metrics", check_metrics}, {"relabel", check_relabel}, {"web-config", check_web_config}};

    for (size_t i = 0; argc > 0 && i < COUNT_OF(parts); i++)
        if (strcmp(argv[0], parts[i].word) == 0)
            return parts[i].run(argc - 1, argv + 1);
    return flags_run(&command, argc, argv);
}
