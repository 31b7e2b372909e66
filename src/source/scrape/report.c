/* report: the series that a scrape makes of itself (scrape/scrape.go: report, reportStale).
 *
 * They carry the target's labels and nothing else, are neither relabelled nor limited, and go with the batch that they
 * report on, so that a receiver sees both or neither. Their metrics are interned once for the worker, under a context
 * that no exposition has.
 */
#include "base/mem.h"
#include "source/scrape/scraper_int.h"

enum report_series {
    REPORT_UP,
    REPORT_DURATION,
    REPORT_SCRAPED,
    REPORT_RELABELLED,
    REPORT_ADDED,
    REPORT_TIMEOUT, /* from here on only with extra_scrape_metrics */
    REPORT_SAMPLE_LIMIT,
    REPORT_BODY_SIZE,
};

static const char *const names[REPORT_SERIES] = {
    [REPORT_UP] = "up",
    [REPORT_DURATION] = "scrape_duration_seconds",
    [REPORT_SCRAPED] = "scrape_samples_scraped",
    [REPORT_RELABELLED] = "scrape_samples_post_metric_relabeling",
    [REPORT_ADDED] = "scrape_series_added",
    [REPORT_TIMEOUT] = "scrape_timeout_seconds",
    [REPORT_SAMPLE_LIMIT] = "scrape_sample_limit",
    [REPORT_BODY_SIZE] = "scrape_body_size_bytes",
};

void report_init(struct scraper *s)
{
    for (int i = 0; i < REPORT_SERIES; i++) {
        struct str raw = str_c(names[i]);
        struct label name = {LABEL_NAME, raw};
        uint64_t hash = intern_hash(raw);
        uint32_t id = intern_find(s->o.intern, hash, raw, CONTEXT_REPORT);
        if (id == METRIC_NONE)
            id = intern_add(s->o.intern, hash, raw, CONTEXT_REPORT, (struct labels){&name, 1}, 0);
        struct intern_view view = intern_view(s->o.intern);
        intern_ref(&view, id);
        s->report_ids[i] = id;
    }
}

void report_release(struct scraper *s)
{
    struct intern_view view = intern_view(s->o.intern);

    for (int i = 0; i < REPORT_SERIES; i++)
        intern_unref(&view, s->report_ids[i]);
}

static int how_many(const struct plan_scrape *config)
{
    return config->extra_scrape_metrics ? REPORT_SERIES : REPORT_TIMEOUT;
}

void report_append(struct scraped *t, const struct outcome *o, double duration_s)
{
    const double values[REPORT_SERIES] = {
        [REPORT_UP] = o->err == OK,
        [REPORT_DURATION] = duration_s,
        [REPORT_SCRAPED] = o->result.scraped,
        [REPORT_RELABELLED] = o->result.relabelled,
        [REPORT_ADDED] = o->result.added,
        [REPORT_TIMEOUT] = (double)t->target->timeout_ms / 1000,
        [REPORT_SAMPLE_LIMIT] = (double)t->target->config->sample_limit,
        [REPORT_BODY_SIZE] = (double)o->body_size,
    };

    for (int i = 0; i < how_many(t->target->config); i++)
        predict_append(&t->s->predictor, &t->page, t->s->report_ids[i], values[i]);
}

void report_stale(struct scraper *s, const struct ghost *g)
{
    for (int i = 0; i < how_many(g->target->config); i++)
        predict_append(&s->predictor, &g->page, s->report_ids[i], sample_from_bits(SAMPLE_STALE_BITS));
}
