/* told: see told.h. */
#include "unit/config/told.h"

#include "base/mem.h"

/* What a Prometheus file is in the environment, for env:NAME. */
static const char *fake_env(const char *name)
{
    static const struct {
        const char *name, *value;
    } set[] = {
        {"STAGE", "blue"},
        {"HOST_NAME", "box"},
        {"EMPTY", ""},
        {"ONE", "scrape_configs:\n- job_name: one\n  static_configs: [{targets: ['h:1']}]\n"},
        {"TWO", "scrape_configs:\n- job_name: two\n  static_configs: [{targets: ['h:2']}]\n"},
        {"WHOLE",
         "alerting: {alertmanagers: [{static_configs: [{targets: ['a:1']}]}]}\nrule_files: [r.yml]\n"
         "remote_write: [{url: 'http://x'}]\nglobal: {scrape_interval: 30s, external_labels: {ext: e1}}\n"
         "scrape_configs:\n- job_name: a\n  relabel_configs:\n  - {source_labels: [x], target_label: y, "
         "replacement: '$1'}\n- job_name: b\n  fallback_scrape_protocol: OpenMetricsText1.0.0\n  scheme: https\n"},
        {"BROKEN", "scrape_configs:\n- job_name: a\n  sample_limit: many\n"},
        {"WRAPPED", "config:\n  scrape_configs: []\n"},
        {"NOTHING", "global: {}\n"},
        {"PROMETHEUS_CONFIG_CONTENT", "global: {scrape_interval: 1m, scrape_timeout: 10s}\nscrape_configs:\n"
                                      "  - job_name: cwagent-ecs-file-sd-config\n    sample_limit: 10000\n"
                                      "    file_sd_configs: [{files: [\"/tmp/cwagent_ecs_auto_sd.yaml\"]}]\n"},
    };
    for (size_t i = 0; i < COUNT_OF(set); i++)
        if (strcmp(set[i].name, name) == 0)
            return set[i].value;
    return NULL;
}

const struct config_agent_options in_a_task = {.cluster = STR("own"), .region = STR("eu-west-1"), .getenv = fake_env};
const struct config_agent_options in_a_container = {
    .cluster = STR("own"),
    .region = STR("eu-west-1"),
    .task_arn = STR("arn:aws:ecs:eu-west-1:123456789012:task/own/abc"),
    .host_name = STR("ip-10-0-0-1"),
    .in_container = true,
    .getenv = fake_env,
};

struct told tell(const char *const *texts, uint32_t n, const struct config_agent_options *o)
{
    static const char *const names[] = {"a.json", "b.json", "c.json"};
    struct config_agent_source sources[3];
    struct told t = {0};
    struct diag d = {0};

    for (uint32_t i = 0; i < n; i++)
        sources[i] = (struct config_agent_source){names[i], str_c(texts[i])};
    t.errors.arena = &t.arena;
    enum err err = config_parse_agent(sources, n, o, &t.plan, &t.debug, &t.errors, &d);
    assert_true((err == OK) == (t.plan != NULL));
    return t;
}

void forget(struct told *t)
{
    plan_unref(t->plan);
    arena_release(&t->arena);
}

static void print_errors(const struct told *t, struct buf *out)
{
    for (uint32_t i = 0; i < t->errors.n; i++) {
        const struct diag *d = &t->errors.v[i];
        if (strcmp(d->file, "a.json") != 0)
            buf_printf(out, "%s:", d->file);
        buf_printf(out, "%d:%d: %s\n", d->line, d->col, d->text);
    }
}

struct plan *good_with(const char *text, const struct config_agent_options *o)
{
    struct told t = tell(&text, 1, o);
    AUTO_BUF all = {0};

    print_errors(&t, &all);
    if (!t.plan)
        fail_msg("refused: %s\n%s", all.p, text);
    struct plan *plan = plan_ref(t.plan);
    forget(&t);
    return plan;
}

struct plan *good(const char *text)
{
    return good_with(text, &in_a_task);
}

void refused(const char *text, const struct config_agent_options *o, enum err code, const char *expected)
{
    AUTO_BUF all = {0};
    struct told t = tell(&text, 1, o);

    buf_c(&all, "");
    print_errors(&t, &all);
    assert_str(buf_view(&all), str_c(expected));
    for (uint32_t i = 0; i < t.errors.n; i++)
        assert_int_equal(t.errors.codes[i], code);
    assert_null(t.plan);
    forget(&t);
}

void bad(const char *text, const char *expected)
{
    refused(text, &in_a_task, ERR_SYNTAX, expected);
}

void assert_warned(const struct plan *p, const char *words)
{
    AUTO_BUF all = {0};

    for (uint32_t i = 0; i < p->n_warnings; i++) {
        if (str_contains(p->warnings[i], str_c(words)))
            return;
        buf_printf(&all, "%.*s\n", STR_ARGS(p->warnings[i]));
    }
    fail_msg("no warning says \"%s\":\n%s", words, all.p ? all.p : "");
}
