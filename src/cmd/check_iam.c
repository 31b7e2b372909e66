/* check_iam: `leadline check iam FILE` prints the smallest IAM policy that the plan of FILE needs.
 *
 *   one identity      the policy, alone on standard output: leadline check iam prometheus.yml > policy.json
 *   several           each policy behind a line `# NAME: what it is for`; --for=NAME prints one of them alone
 *   standard error    what no policy can say: who needs no permission, keys of one's own ...
 *
 * With --cloudmap-sd there is no file: the policy is that of the sidecar with the environment that it would have here.
 * AWS is not asked. Exit status 0; 1 when the file is not good or nobody is called NAME.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cmd/check.h"
#include "cmd/check_plan.h"
#include "cmd/cloudmap_sd_settings.h"
#include "cmd/service.h"
#include "run/iam.h"

static const struct flag_spec specs[] = {
    {"help", FLAG_BOOL, FLAG_USED, "false", NULL, "Show this help.", 'h', false},
    {"for", FLAG_TEXT, FLAG_USED, NULL, NULL,
     "Print one policy alone: `task` for the task's role, or the ARN of a role that is assumed.", 0, false},
    {"region", FLAG_TEXT, FLAG_USED, NULL, NULL, "The region, where the configuration names none.", 0, false},
    {"account", FLAG_TEXT, FLAG_USED, NULL, NULL, "The account, where the configuration names none.", 0, false},
    {"cluster", FLAG_TEXT, FLAG_USED, NULL, NULL,
     "The cluster of the CloudWatch agent's configuration, where it names none. Default: the task's own.", 0, false},
    {"fargate", FLAG_BOOL, FLAG_USED, "false", NULL,
     "Every task runs on Fargate: leave out what only tasks on EC2 instances need.", 0, false},
    {"cloudmap-sd", FLAG_BOOL, FLAG_USED, "false", NULL,
     "The policy of `leadline cloudmap-sd` with this environment; there is no FILE.", 0, false},
};

static int print(const struct iam_policies *p, struct str only)
{
    uint32_t printed = 0;

    for (uint32_t i = 0; i < p->n_notes; i++)
        fprintf(stderr, "%.*s\n", STR_ARGS(p->notes[i]));
    if (p->n_documents == 0)
        fprintf(stderr, "nothing here speaks to AWS: no policy is needed\n");
    for (uint32_t i = 0; i < p->n_documents; i++) {
        const struct iam_document *d = &p->documents[i];
        if (only.n && !str_eq(d->name, only))
            continue;
        if (!only.n && p->n_documents > 1)
            printf("%s# %.*s: %.*s\n", printed ? "\n" : "", STR_ARGS(d->name), STR_ARGS(d->about));
        fwrite(d->json.p, 1, d->json.n, stdout);
        printed++;
    }
    if (printed || !only.n)
        return 0;
    fprintf(stderr, "leadline check iam: no policy is for \"%.*s\"; there is:", STR_ARGS(only));
    for (uint32_t i = 0; i < p->n_documents; i++)
        fprintf(stderr, "%s %.*s", i ? "," : "", STR_ARGS(p->documents[i].name));
    fputc('\n', stderr);
    return 1;
}

static int print_sidecar(const struct flags *f, const struct iam_options *o)
{
    struct arena a = {0};
    struct cloudmap_sd_settings settings;
    struct iam_policies policies;
    struct diag d = {0};
    int status = 1;

    if (cloudmap_sd_settings_read(service_environment, &a, &settings, &d)) {
        fprintf(stderr, "leadline check iam: %s\n", d.text);
    } else {
        const struct str parameters[] = {settings.namespaces_parameter, settings.config_parameter};
        bool writes_config = !settings.http && !settings.otel;
        struct iam_sidecar s = {.region = flags_given(f, "region") ? o->region : settings.region,
                                .parameters = parameters,
                                .n_parameters = writes_config ? 2 : 1};
        iam_of_sidecar(&s, o, &a, &policies);
        status = print(&policies, flags_text(f, "for"));
    }
    arena_release(&a);
    return status;
}

static int run(const struct flags *f)
{
    struct iam_options o = {
        .region = flags_text(f, "region"), .account = flags_text(f, "account"), .fargate = flags_bool(f, "fargate")};
    struct check_plan_options where = {.cluster = flags_text(f, "cluster"), .region = o.region};
    struct arena a = {0};
    struct iam_policies policies;

    if (flags_bool(f, "cloudmap-sd") != (f->n_rest == 0)) {
        fprintf(stderr, "usage: leadline check iam FILE, or leadline check iam --cloudmap-sd\n");
        return 1;
    }
    if (flags_bool(f, "cloudmap-sd"))
        return print_sidecar(f, &o);
    struct plan *plan = check_plan_load(f->rest[0].p, &where);
    if (!plan)
        return 1;
    iam_of_plan(plan, &o, &a, &policies);
    int status = print(&policies, flags_text(f, "for"));
    arena_release(&a);
    plan_unref(plan);
    return status;
}

int check_iam(int argc, char **argv)
{
    static const struct flags_command command = {
        .program = "leadline check iam",
        .summary = "Prints the smallest IAM policy that a configuration needs.",
        .specs = specs,
        .n_specs = COUNT_OF(specs),
        .max_rest = 1,
        .bad_usage = 1,
        .run = run,
    };
    return flags_run(&command, argc, argv);
}
