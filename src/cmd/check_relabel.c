/* check_relabel: `leadline check relabel FILE --job=J [label=value ...]`: what each relabelling rule of a job does.
 *
 *   in   {__address__="10.0.0.7:9100", __meta_ec2_tag_Name="db", ...}
 *    1   {source_labels: [__meta_ec2_tag_Name], target_label: name, action: replace}
 *          + name="db"
 *    2   {regex: __meta_.*, action: labeldrop}
 *          - __meta_ec2_tag_Name="db"
 *   out  {__address__="10.0.0.7:9100", job="J", name="db"}
 *
 * The labels are those that discovery finds; what every target gets from its job (job, __scheme__, __metrics_path__ and
 * so on) is added where it is missing. Without labels each target of the job's static_configs is shown. With --metric
 * the rules are metric_relabel_configs and the labels those of a series, nothing added. Exit status 0; 1 when the file
 * is not good, there is no such job, or a word is no label=value.
 */
#include <stdio.h>

#include "base/mem.h"
#include "base/quote.h"
#include "base/units.h"
#include "cmd/check.h"
#include "config/config.h"
#include "web/relabel_steps.h"

static const struct flag_spec specs[] = {
    {"help", FLAG_BOOL, FLAG_USED, "false", NULL, "Show this help.", 'h', false},
    {"job", FLAG_TEXT, FLAG_USED, NULL, NULL, "The job whose rules to follow; may be left out when there is one.", 0,
     false},
    {"metric", FLAG_BOOL, FLAG_USED, "false", NULL,
     "Follow metric_relabel_configs; the labels are those of a series, __name__ included.", 0, false},
    {"agent", FLAG_BOOL, FLAG_USED, "false", NULL, "Read the file as for agent mode.", 0, false},
};

static void put_change(void *ctx, struct str name, struct str before, struct str after)
{
    struct buf *out = ctx;
    char sign = !before.p ? '+' : !after.p ? '-' : '~';

    buf_printf(out, "        %c %.*s=", sign, STR_ARGS(name));
    if (before.p)
        buf_quote(out, before);
    if (before.p && after.p)
        buf_c(out, " -> ");
    if (after.p)
        buf_quote(out, after);
    buf_char(out, '\n');
}

static void print_steps(const struct relabel_rules *rules, struct labels labels)
{
    struct arena a = {0};
    struct relabel_step *steps;
    AUTO_BUF out = {0};
    bool kept = true;
    uint32_t n = relabel_steps(rules, labels, &a, &steps);

    buf_c(&out, "in    ");
    labels_print(labels, &out);
    buf_char(&out, '\n');
    for (uint32_t i = 0; i < n; i++) {
        size_t before;
        buf_printf(&out, "%4u  ", i + 1);
        relabel_rule_print(steps[i].rule, &out);
        buf_char(&out, '\n');
        before = out.n;
        if (!steps[i].ran)
            buf_c(&out, "        not reached\n");
        else if (!steps[i].keep)
            buf_c(&out, "        dropped\n");
        else
            relabel_changes(steps[i].before, steps[i].after, put_change, &out);
        if (out.n == before)
            buf_c(&out, "        no change\n");
        kept = steps[i].keep;
    }
    buf_c(&out, "out   ");
    if (!kept)
        buf_c(&out, "dropped");
    else
        labels_print(n ? steps[n - 1].after : labels, &out);
    buf_c(&out, "\n");
    fwrite(out.p, 1, out.n, stdout);
    arena_release(&a);
}

static void set_default(struct labels_builder *b, const char *name, struct str value)
{
    if (!labels_builder_has(b, str_c(name)))
        labels_builder_set(b, str_c(name), value);
}

static struct str duration(struct arena *a, int64_t ms)
{
    AUTO_BUF text = {0};
    units_print_duration(&text, ms);
    return str_dup(a, buf_view(&text));
}

static void add_job_labels(const struct plan_scrape *job, struct labels_builder *b, struct arena *a)
{
    set_default(b, "job", job->job_name);
    set_default(b, "__scrape_interval__", duration(a, job->interval_ms));
    set_default(b, "__scrape_timeout__", duration(a, job->timeout_ms));
    set_default(b, "__metrics_path__", job->metrics_path);
    set_default(b, "__scheme__", job->scheme);
    set_default(b, "__scrape_native_histograms__", job->scrape_native_histograms ? STR("true") : STR("false"));
    set_default(b, "__always_scrape_classic_histograms__",
                job->always_scrape_classic_histograms ? STR("true") : STR("false"));
    set_default(b, "__convert_classic_histograms_to_nhcb__",
                job->convert_classic_histograms_to_nhcb ? STR("true") : STR("false"));
    for (uint32_t i = 0; i < job->n_params; i++)
        if (job->params[i].n_values)
            set_default(b, arena_printf(a, "__param_%.*s", STR_ARGS(job->params[i].name)), job->params[i].values[0]);
}

static void follow(const struct plan_scrape *job, bool metric, struct labels_builder *b, struct arena *a)
{
    if (!metric)
        add_job_labels(job, b, a);
    print_steps(metric ? job->metric_relabel : job->relabel, labels_builder_labels(b));
}

static int follow_given(const struct flags *f, const struct plan_scrape *job)
{
    struct arena a = {0};
    struct labels_builder b;
    struct str name, value;
    int status = 0;

    labels_builder_init(&b, &a);
    for (uint32_t i = 1; i < f->n_rest && !status; i++) {
        if (str_cut(f->rest[i], '=', &name, &value) && name.n) {
            labels_builder_set(&b, name, value);
        } else {
            fprintf(stderr, "leadline check relabel: expected label=value, got \"%s\"\n", f->rest[i].p);
            status = 1;
        }
    }
    if (!status)
        follow(job, flags_bool(f, "metric"), &b, &a);
    arena_release(&a);
    return status;
}

static int follow_static(const struct plan_scrape *job)
{
    uint32_t shown = 0;

    for (uint32_t i = 0; i < job->discovery.n_static; i++) {
        const struct target_group *g = &job->discovery.static_groups[i];
        for (uint32_t k = 0; k < g->n_targets; k++) {
            struct arena a = {0};
            struct labels_builder b;
            labels_builder_init(&b, &a);
            labels_builder_set_all(&b, g->labels, false);
            labels_builder_set_all(&b, g->targets[k], false);
            if (shown++)
                putchar('\n');
            follow(job, false, &b, &a);
            arena_release(&a);
        }
    }
    if (!shown)
        fprintf(stderr,
                "leadline check relabel: job \"%s\" has no static_configs: give the labels that discovery finds, "
                "for example __address__=10.0.0.7:9100\n",
                job->job_name.p);
    return shown ? 0 : 1;
}

static const struct plan_scrape *find_job(const struct plan *plan, struct str name)
{
    if (!name.n && plan->n_scrapes == 1)
        return &plan->scrapes[0];
    for (uint32_t i = 0; name.n && i < plan->n_scrapes; i++)
        if (str_eq(plan->scrapes[i].job_name, name))
            return &plan->scrapes[i];
    fprintf(stderr,
            name.n ? "leadline check relabel: no job \"%s\"; there is:" : "leadline check relabel: which --job%s?",
            name.n ? name.p : "");
    for (uint32_t i = 0; i < plan->n_scrapes; i++)
        fprintf(stderr, " %s", plan->scrapes[i].job_name.p);
    fputc('\n', stderr);
    return NULL;
}

static int run(const struct flags *f)
{
    struct config_options o = {.agent = flags_bool(f, "agent")};
    struct plan *plan;
    struct diag d = {0};
    int status = 1;

    if (f->n_rest == 0) {
        fprintf(stderr, "usage: leadline check relabel FILE --job=JOB [label=value ...]\n");
        return 1;
    }
    if (config_load_prometheus(f->rest[0].p, &o, &plan, NULL, &d)) {
        char text[800];
        diag_format(&d, text, sizeof(text));
        fprintf(stderr, "%s\n", text);
        return 1;
    }
    const struct plan_scrape *job = find_job(plan, flags_text(f, "job"));
    if (job)
        status = f->n_rest > 1 || flags_bool(f, "metric") ? follow_given(f, job) : follow_static(job);
    plan_unref(plan);
    return status;
}

int check_relabel(int argc, char **argv)
{
    static const struct flags_command command = {
        .program = "leadline check relabel",
        .summary = "Shows what each relabelling rule of a job does to a target's, or a series', labels.",
        .specs = specs,
        .n_specs = COUNT_OF(specs),
        .max_rest = 10000,
        .bad_usage = 1,
        .run = run,
    };
    return flags_run(&command, argc, argv);
}
