/* check_discovery: `leadline check discovery FILE` runs one cycle of every discovery of FILE and prints what would be
 * scraped, and for all that was looked at and would not be, why.
 *
 *   JOB    TARGET                        LABELS                  FOUND BY
 *   tasks  http://10.0.0.7:9100/metrics  cluster=demo, team=pay  ecs
 *
 *   LEFT OUT
 *   JOB    FOUND BY  WHAT           WHY
 *   tasks  ecs       10.0.0.8:9100  dropped by rule 1 of relabel_configs: {...}
 *
 *   FAILED
 *   JOB    DISCOVERY  ABOUT             ERROR
 *   tasks  ec2        region eu-west-1  ...
 *
 *   1 target, 1 left out; 1 of 2 discoveries failed
 *
 * Labels are those behind relabelling, without `job` and `instance` where these only repeat the other columns. Nothing
 * is scraped, no file is written. --format=json has everything whole, the labels before relabelling too. Exit status 0
 * when every discovery worked, else 1.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cmd/check.h"
#include "cmd/check_plan.h"
#include "cmd/text_table.h"
#include "run/cycle.h"
#include "wire/json.h"

enum { WIDTH = 100, LONG_VALUE = 48 };

static const struct flag_spec specs[] = {
    {"help", FLAG_BOOL, FLAG_USED, "false", NULL, "Show this help.", 'h', false},
    {"job", FLAG_TEXT, FLAG_USED, NULL, NULL, "Only the discoveries of this job.", 0, false},
    {"timeout", FLAG_DURATION, FLAG_USED, "30s", NULL, "How long to wait for answers.", 0, false},
    {"format", FLAG_CHOICE, FLAG_USED, "table", "table|json", "What to print.", 0, false},
    {"cluster", FLAG_TEXT, FLAG_USED, NULL, NULL,
     "The cluster of the CloudWatch agent's configuration, where it names none. Default: the task's own.", 0, false},
    {"region", FLAG_TEXT, FLAG_USED, NULL, NULL, "Its region, where it names none. Default: the task's own.", 0, false},
};

/* ---- for people ---- */

/* `instance` as it is by default: the address of the URL. */
static bool is_plain_instance(struct str url, struct str instance)
{
    struct str scheme, rest, host;

    if (!str_cut(url, '/', &scheme, &rest) || !str_starts(rest, STR("/")))
        return false;
    str_cut(str_from(rest.p + 1, rest.n - 1), '/', &host, &rest);
    return str_eq(host, instance);
}

static bool is_repeated(const struct cycle_target *t, const struct label *l)
{
    if (str_eq(l->name, STR("job")))
        return str_eq(l->value, t->job_name) || t->job == CYCLE_NO_JOB;
    if (str_eq(l->name, STR("instance")))
        return is_plain_instance(t->url, l->value);
    return t->job == CYCLE_NO_JOB && str_eq(l->name, STR("__metrics_path__"));
}

static void print_labels(const struct cycle_target *t, struct buf *out)
{
    for (uint32_t i = 0; i < t->labels.n; i++) {
        const struct label *l = &t->labels.v[i];
        bool is_long = l->value.n > LONG_VALUE;
        if (is_repeated(t, l))
            continue;
        buf_printf(out, "%s%.*s=%.*s%s", out->n ? ", " : "", STR_ARGS(l->name), is_long ? LONG_VALUE : (int)l->value.n,
                   l->value.p, is_long ? "..." : "");
    }
}

static struct str shown_job(const struct cycle_target *t)
{
    return t->job == CYCLE_NO_JOB ? labels_get(t->labels, STR("job")) : t->job_name;
}

static void print_targets(const struct cycle_findings *f, struct buf *out)
{
    static const char *const names[] = {"JOB", "TARGET", "LABELS", "FOUND BY"};
    struct text_table t;

    text_table_init(&t, names, COUNT_OF(names));
    for (uint32_t i = 0; i < f->n_targets; i++) {
        AUTO_BUF labels = {0};
        print_labels(&f->targets[i], &labels);
        text_table_add(&t, shown_job(&f->targets[i]));
        text_table_add(&t, f->targets[i].url);
        text_table_add(&t, buf_view(&labels));
        text_table_add(&t, f->targets[i].found_by);
    }
    text_table_end(&t, NULL, WIDTH, out);
}

static void print_skips(const struct cycle_findings *f, struct buf *out)
{
    static const char *const names[] = {"JOB", "FOUND BY", "WHAT", "WHY"};
    struct text_table t;

    text_table_init(&t, names, COUNT_OF(names));
    for (uint32_t i = 0; i < f->n_skips; i++) {
        text_table_add(&t, f->skips[i].job_name);
        text_table_add(&t, f->skips[i].found_by);
        text_table_add(&t, f->skips[i].what);
        text_table_add(&t, f->skips[i].why);
    }
    text_table_end(&t, "LEFT OUT", WIDTH, out);
}

static void print_failures(const struct cycle_findings *f, struct buf *out)
{
    static const char *const names[] = {"JOB", "DISCOVERY", "ABOUT", "ERROR"};
    struct text_table t;

    text_table_init(&t, names, COUNT_OF(names));
    for (uint32_t i = 0; i < f->n_discoveries; i++) {
        const struct cycle_discovery *d = &f->discoveries[i];
        if (!d->error.n)
            continue;
        text_table_add(&t, d->job_name);
        text_table_add(&t, d->mechanism);
        text_table_add(&t, d->about);
        text_table_add(&t, d->error);
    }
    text_table_end(&t, "FAILED", WIDTH, out);
}

static void print_table(const struct cycle_findings *f, struct buf *out)
{
    print_targets(f, out);
    print_skips(f, out);
    print_failures(f, out);
    buf_printf(out, "%u target%s, %u left out; %u of %u discoveries failed\n", f->n_targets,
               f->n_targets == 1 ? "" : "s", f->n_skips, f->n_failed, f->n_discoveries);
}

/* ---- for programs ---- */

static void put(struct json *j, const char *key, struct str value)
{
    json_key_c(j, key);
    json_str(j, value);
}

static void put_labels(struct json *j, const char *key, struct labels labels)
{
    json_key_c(j, key);
    json_object(j);
    for (uint32_t i = 0; i < labels.n; i++) {
        json_key(j, labels.v[i].name);
        json_str(j, labels.v[i].value);
    }
    json_object_end(j);
}

static void put_targets(struct json *j, const struct cycle_findings *f)
{
    json_key_c(j, "targets");
    json_array(j);
    for (uint32_t i = 0; i < f->n_targets; i++) {
        const struct cycle_target *t = &f->targets[i];
        json_object(j);
        put(j, "job", shown_job(t));
        put(j, "target", t->url);
        put(j, "found_by", t->found_by);
        put_labels(j, "labels", t->labels);
        put_labels(j, "discovered", t->discovered);
        json_object_end(j);
    }
    json_array_end(j);
}

static void print_json(const struct cycle_findings *f, struct buf *out)
{
    struct json j = json_to(out);

    json_object(&j);
    put_targets(&j, f);
    json_key_c(&j, "left_out");
    json_array(&j);
    for (uint32_t i = 0; i < f->n_skips; i++) {
        const struct cycle_skip *s = &f->skips[i];
        json_object(&j);
        put(&j, "job", s->job_name);
        put(&j, "found_by", s->found_by);
        put(&j, "what", s->what);
        put(&j, "why", s->why);
        json_object_end(&j);
    }
    json_array_end(&j);
    json_key_c(&j, "discoveries");
    json_array(&j);
    for (uint32_t i = 0; i < f->n_discoveries; i++) {
        const struct cycle_discovery *d = &f->discoveries[i];
        json_object(&j);
        put(&j, "job", d->job_name);
        put(&j, "discovery", d->mechanism);
        put(&j, "about", d->about);
        put(&j, "error", d->error);
        json_key_c(&j, "targets");
        json_u64(&j, d->targets);
        json_object_end(&j);
    }
    json_array_end(&j);
    json_object_end(&j);
    buf_char(out, '\n');
}

/* ---- the command ---- */

static bool has_job(const struct plan *plan, struct str job)
{
    for (uint32_t i = 0; i < plan->n_scrapes; i++)
        if (str_eq(plan->scrapes[i].job_name, job))
            return true;
    fprintf(stderr, "leadline check discovery: no job \"%.*s\"\n", STR_ARGS(job));
    return false;
}

static int check(const struct flags *f, struct plan *plan)
{
    struct cycle_findings found;
    struct arena a = {0};
    AUTO_BUF out = {0};

    cycle_run(plan, flags_text(f, "job"), getenv("ECS_CONTAINER_METADATA_URI_V4"),
              (uint32_t)flags_duration_ms(f, "timeout"), &a, &found);
    if (str_eq(flags_text(f, "format"), STR("json")))
        print_json(&found, &out);
    else
        print_table(&found, &out);
    fwrite(out.p, 1, out.n, stdout);
    arena_release(&a);
    return found.n_failed ? 1 : 0;
}

static int run(const struct flags *f)
{
    struct check_plan_options where = {.cluster = flags_text(f, "cluster"), .region = flags_text(f, "region")};

    if (f->n_rest == 0) {
        fprintf(stderr, "usage: leadline check discovery FILE [--job=JOB]\n");
        return 1;
    }
    struct plan *plan = check_plan_load(f->rest[0].p, &where);
    if (!plan)
        return 1;
    int status = flags_given(f, "job") && !has_job(plan, flags_text(f, "job")) ? 1 : check(f, plan);
    plan_unref(plan);
    return status;
}

int check_discovery(int argc, char **argv)
{
    static const struct flags_command command = {
        .program = "leadline check discovery",
        .summary = "Runs one cycle of every discovery of a configuration and prints what would be scraped.",
        .specs = specs,
        .n_specs = COUNT_OF(specs),
        .max_rest = 1,
        .bad_usage = 1,
        .run = run,
    };
    return flags_run(&command, argc, argv);
}
