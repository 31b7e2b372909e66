/* check_agent: `leadline check FILE` of the CloudWatch agent's JSON: the plan, the warnings, and what holds without
 * anyone having written it.
 *
 *   CloudWatch logs (PutLogEvents)
 *     ...
 *   warning: agent.json:7: label_separator has no effect: ...
 *   note: what no declaration selects becomes log events too, billed by the byte; ...
 *
 * The environment counts as for the program: LEADLINE_* variables, ${NAME} in the JSON. Cluster and region are those of
 * the command line, else of the task in which the check runs. Where the program only warns, of dimension sets that
 * CloudWatch cannot take, the check fails.
 *
 * Standard output has the plan, standard error the errors, one a line, as file:line:column: text.
 */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd/check.h"
#include "cmd/check_plan.h"

static enum check_container container_of(const struct flags *f)
{
    const char *variable = getenv("RUN_IN_CONTAINER");

    if (!flags_given(f, "container") && variable)
        return str_eq(str_c(variable), STR("True")) ? CHECK_CONTAINER_YES : CHECK_CONTAINER_NO;
    return str_eq(flags_text(f, "container"), STR("true")) ? CHECK_CONTAINER_YES : CHECK_CONTAINER_NO;
}

/* ---- what nobody wrote and holds all the same ---- */

static void note(struct buf *out, const char *text)
{
    buf_printf(out, "note: %s\n", text);
}

static void note_types(struct buf *out, const struct plan_emf *e)
{
    if (e->histograms == EMF_HISTOGRAMS_NONE)
        note(out, "histograms are dropped, as by the agent; LEADLINE_EMF_HISTOGRAMS=sum_count or buckets tells them");
    if (!e->untyped_as_gauge)
        note(out, "metrics without a type are dropped, as by the agent; LEADLINE_EMF_UNTYPED=gauge tells them");
}

static void note_events(struct buf *out, const struct plan_emf *e)
{
    if (e->no_directives)
        note(out, "disable_metric_extraction: what is scraped is only logged; no metrics are made of it");
    else if (e->n_declarations == 0)
        note(out, "there is no metric_declaration that counts: what is scraped is only logged; no metrics are made of "
                  "it");
    else if (!e->drop_unselected)
        note(out, "what no declaration selects becomes log events too, which are billed by the byte; "
                  "LEADLINE_EMF_UNSELECTED=drop leaves it out");
}

static void note_targets(struct buf *out, const struct plan *plan)
{
    bool first = false, second = false;

    for (uint32_t i = 0; i < plan->n_scrapes; i++) {
        first |= plan->scrapes[i].pipeline == 0;
        second |= plan->scrapes[i].pipeline == 1;
    }
    if (first && second)
        note(out, "logs.metrics_collected.prometheus and metrics.metrics_collected.prometheus scrape apart: each asks "
                  "its targets itself");
}

/* The discovery writes its file; whether a job reads it is the Prometheus file's affair. */
static void note_result_file(struct buf *out, const struct plan *plan)
{
    if (!plan->ecs_agent)
        return;
    for (uint32_t i = 0; i < plan->n_scrapes; i++) {
        const struct plan_discovery *d = &plan->scrapes[i].discovery;
        for (uint32_t k = 0; k < d->n_file_sd; k++)
            for (uint32_t n = 0; n < d->file_sd[k].n_files; n++)
                if (fnmatch(d->file_sd[k].files[n].p, plan->ecs_agent->result_file.p, 0) == 0)
                    return;
    }
    buf_printf(out, "note: no job names %.*s in file_sd_configs: what ecs_service_discovery finds is not scraped\n",
               STR_ARGS(plan->ecs_agent->result_file));
}

static void print_notes(struct buf *out, const struct plan *plan)
{
    const struct plan_emf *e = NULL;

    for (uint32_t i = 0; i < plan->n_cloudwatch; i++) {
        e = plan->cloudwatch[i].emf ? plan->cloudwatch[i].emf : e;
        if (plan->cloudwatch[i].emf && plan->cloudwatch[i].kind == CLOUDWATCH_LOGS)
            note_events(out, plan->cloudwatch[i].emf);
    }
    if (e)
        note_types(out, e);
    note_targets(out, plan);
    note_result_file(out, plan);
}

/* ---- the check ---- */

static bool does_nothing(const char *path, const struct plan *plan)
{
    if (plan->n_scrapes || plan->ecs_agent || plan->statsd || plan->emf_input)
        return false;
    fprintf(stderr,
            "%s: there is nothing to do: neither logs.metrics_collected.prometheus or emf, nor "
            "metrics.metrics_collected.prometheus or statsd\n",
            path);
    return true;
}

bool check_agent(const struct flags *f, const struct check_input *in)
{
    uint32_t n_errors = 0;
    struct check_plan_options o = {.cluster = flags_text(f, "cluster"),
                                   .region = flags_text(f, "region"),
                                   .container = container_of(f),
                                   .strict = true,
                                   .syntax_only = flags_bool(f, "syntax-only"),
                                   .n_errors = &n_errors};
    struct plan *plan = check_plan_of(in, &o);
    AUTO_BUF text = {0};

    if (!plan) {
        fprintf(stderr, "%s: %u error%s\n", in->path, n_errors, n_errors == 1 ? "" : "s");
        return false;
    }
    plan_print(plan, &text);
    print_notes(&text, plan);
    fwrite(text.p, 1, text.n, stdout);
    fflush(stdout);
    bool good = !does_nothing(in->path, plan);
    if (good && flags_bool(f, "trial"))
        good = check_trial(plan, (uint32_t)flags_duration_ms(f, "timeout"));
    plan_unref(plan);
    return good;
}
