/* agent_ours: what leadline offers beyond the CloudWatch agent (LEADLINE_* variables and flags of the same meaning),
 * and what follows from the task and the `agent` section: region, host name.
 *
 * Everything of ours is off until asked for, and its value is checked as strictly as the file's: a mistyped one is an
 * error that names the variable and what it may be.
 *
 * The host name is left out by default in a container (omit_hostname); where it is not, it is the one of `agent`, else
 * HOST_NAME of a container, else the machine's.
 */
#include "base/mem.h"
#include "base/num.h"
#include "config/agent_int.h"

/* A variable's value among words, NULL-terminated: its place; 0, the default, when it is not set or wrong. */
static int choose(struct agent_reader *a, const char *variable, struct str value, const char *const *words)
{
    AUTO_BUF list = {0};

    for (int i = 0; words[i] && value.n; i++) {
        if (str_eq_c(value, words[i]))
            return i;
        buf_printf(&list, i ? ", %s" : "%s", words[i]);
    }
    if (value.n)
        agent_error(a, (struct agent_at){NULL, variable}, ERR_SYNTAX, "%s is none of %s", reader_quote(&a->r, value),
                    list.p);
    return 0;
}

static bool choose_bool(struct agent_reader *a, const char *variable, struct str value)
{
    static const char *const words[] = {"false", "true", NULL};
    return choose(a, variable, value, words) == 1;
}

static void read_max_metrics(struct agent_reader *a, struct str text, struct agent_settings *s)
{
    uint64_t v = 0;

    if (text.n == 0)
        return;
    if (num_parse_u64(text, &v) || v > UINT32_MAX)
        agent_error(a, (struct agent_at){NULL, "LEADLINE_EMF_MAX_METRICS"}, ERR_SYNTAX,
                    "%s is no number from 0 (no limit) to %u", reader_quote(&a->r, text), UINT32_MAX);
    else
        s->max_metrics = (uint32_t)v;
}

/* PutRetentionPolicy takes these only (CloudWatch Logs API reference, retentionInDays). */
static void read_retention(struct agent_reader *a, struct str text, struct agent_settings *s)
{
    static const uint16_t allowed[] = {1,   3,   5,   7,   14,   30,   60,   90,   120,  150,  180,
                                       365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653};
    uint64_t v = 0;

    if (text.n == 0)
        return;
    if (num_parse_u64(text, &v) == OK)
        for (size_t i = 0; i < COUNT_OF(allowed); i++)
            if (v == allowed[i])
                s->retention_days = (int64_t)v;
    if (s->retention_days == 0)
        agent_error(a, (struct agent_at){NULL, "LEADLINE_LOG_RETENTION_DAYS"}, ERR_SYNTAX,
                    "%s is no retention that CloudWatch Logs has: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, "
                    "545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days",
                    reader_quote(&a->r, text));
}

static void read_emf(struct agent_reader *a, const struct config_agent_ours *o, struct agent_settings *s)
{
    static const char *const versions[] = {"0", "1", NULL};
    static const char *const histograms[] = {[EMF_HISTOGRAMS_NONE] = "none",
                                             [EMF_HISTOGRAMS_SUM_COUNT] = "sum_count",
                                             [EMF_HISTOGRAMS_BUCKETS] = "buckets",
                                             NULL};
    static const char *const untyped[] = {"drop", "gauge", NULL};
    static const char *const unselected[] = {"keep", "drop", NULL};
    static const char *const resolutions[] = {"60", "1", NULL};

    s->emf_version_1 = choose(a, "LEADLINE_EMF_VERSION", o->emf_version, versions) == 1;
    s->histograms = (enum emf_histograms)choose(a, "LEADLINE_EMF_HISTOGRAMS", o->emf_histograms, histograms);
    s->untyped_as_gauge = choose(a, "LEADLINE_EMF_UNTYPED", o->emf_untyped, untyped) == 1;
    s->first_values = choose_bool(a, "LEADLINE_EMF_FIRST_VALUES", o->emf_first_values);
    s->drop_unselected = choose(a, "LEADLINE_EMF_UNSELECTED", o->emf_unselected, unselected) == 1;
    s->high_resolution = choose(a, "LEADLINE_EMF_STORAGE_RESOLUTION", o->emf_storage_resolution, resolutions) == 1;
    read_max_metrics(a, o->emf_max_metrics, s);
    read_retention(a, o->log_retention_days, s);
}

static struct str read_region(struct agent_reader *a, const struct agent_draft *d)
{
    struct str region = agent_text(a, d->region, STR(""));
    return region.n ? region : str_dup(a->r.arena, a->o->region);
}

static struct str read_host(struct agent_reader *a, const struct agent_draft *d)
{
    struct str host;

    if (agent_truth(d->omit_hostname, a->o->in_container))
        return STR("");
    host = agent_text(a, d->host_name, STR(""));
    if (host.n == 0 && a->o->in_container)
        host = agent_environment(a, "HOST_NAME");
    return host.n ? host : str_dup(a->r.arena, a->o->host_name);
}

void agent_settings_read(struct agent_reader *a, const struct agent_draft *d, struct agent_settings *s)
{
    static const char *const to[] = {"logs", "metrics", "both", NULL};
    static const char *const labels[] = {"agent", "prometheus", "both", NULL};
    static const char *const values[] = {"centres", "exact", NULL};
    static const struct agent_at shadow = {NULL, "--shadow-log-group"};
    const struct config_agent_ours *o = &a->o->ours;

    read_emf(a, o, s);
    s->prometheus_to = choose(a, "LEADLINE_PROMETHEUS_TO", o->prometheus_to, to) + 1;
    s->amp_labels = choose(a, "LEADLINE_AMP_LABELS", o->amp_labels, labels) + 1;
    s->exact_values = choose(a, "LEADLINE_STATSD_VALUES", o->statsd_values, values) == 1;
    s->suffix = str_dup(a->r.arena, o->shadow_namespace_suffix);
    s->shadow_group = str_dup(a->r.arena, o->shadow_log_group);
    if (s->shadow_group.n)
        agent_check_log_group(a, shadow, s->shadow_group, true);
    s->region = read_region(a, d);
    s->host = read_host(a, d);
    s->dual_stack = agent_truth(d->dual_stack, false);
}
