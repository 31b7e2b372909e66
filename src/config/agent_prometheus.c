/* agent_prometheus: the Prometheus files that the CloudWatch agent's JSON names.
 *
 *   /etc/x/prometheus.yaml       a path
 *   file:/etc/x/prometheus.yaml  the same
 *   env:NAME                     the content of a variable
 *
 * The content of a variable stays in memory and is shown nowhere. The agent writes it to a file of its own, the same
 * for both sections that may name one, so that the second overwrites the first; here each section has its own. Relative
 * paths in it start where that file would be.
 *
 * logs.metrics_collected.prometheus has a default path. Where nothing is there, and no path is given, nothing is
 * scraped, with a warning: what is discovered can still be written for others. A file that is named must be there.
 */
#include <unistd.h>

#include "base/mem.h"
#include "config/agent_int.h"
#include "config/prometheus_int.h"

#define DEFAULT_PATH "/etc/cwagentconfig/prometheus.yaml"
#define AGENTS_ETC   "/opt/aws/amazon-cloudwatch-agent/etc"

static bool read_file(struct agent_reader *a, struct agent_at at, struct str path, const struct embedding *inside)
{
    if (path.n == 0) {
        agent_error(a, at, ERR_SYNTAX, "prometheus_config_path is empty");
        return false;
    }
    prometheus_read_embedded(&a->r, inside, STR_NONE, path.p, NULL, &a->r.cap_warnings);
    return true;
}

static bool read_variable(struct agent_reader *a, struct agent_at at, struct str name, const struct embedding *inside)
{
    const char *c = str_dup(a->r.arena, name).p;
    const char *content = a->o->getenv ? a->o->getenv(c) : NULL;

    if (!content) {
        agent_error(a, at, ERR_NOT_FOUND, "Failed to download config from ENV: %s. Reason: ENV does not exist", c);
        return false;
    }
    prometheus_read_embedded(&a->r, inside, str_c(content), arena_printf(a->r.arena, "env:%s", c), AGENTS_ETC,
                             &a->r.cap_warnings);
    return true;
}

uint32_t agent_prometheus_read(struct agent_reader *a, struct agent_at at, const struct embedding *inside)
{
    struct str path = agent_text(a, at, STR(""));
    const struct plan *p = a->r.plan;
    uint32_t before = p->n_scrapes, errors = a->r.errors->n;
    bool read;

    if (str_starts(path, STR("env:")))
        read = read_variable(a, at, str_from(path.p + 4, path.n - 4), inside);
    else if (str_starts(path, STR("file:")))
        read = read_file(a, at, str_from(path.p + 5, path.n - 5), inside);
    else
        read = read_file(a, at, path, inside);
    if (read && a->r.errors->n == errors && p->n_scrapes == before)
        agent_warn(a, at, "%s has no scrape_configs: nothing is scraped", reader_quote(&a->r, path));
    return p->n_scrapes - before;
}

uint32_t agent_logs_prometheus_read(struct agent_reader *a, const struct agent_draft *d)
{
    static const struct embedding inside = {.pipeline = 0, .external_labels = false};
    uint32_t before = a->r.plan->n_scrapes;

    if (d->config_path.node)
        return agent_prometheus_read(a, d->config_path, &inside);
    if (!d->prometheus.node)
        return 0;
    if (access(DEFAULT_PATH, F_OK) != 0) {
        agent_warn(a, d->prometheus, "there is no prometheus_config_path and no " DEFAULT_PATH ": nothing is scraped%s",
                   d->discovery.node ? ", targets are only written to sd_result_file" : "");
        return 0;
    }
    read_file(a, d->prometheus, STR(DEFAULT_PATH), &inside);
    return a->r.plan->n_scrapes - before;
}
