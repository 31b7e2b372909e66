/* starts: since when counters, summaries and histograms of OpenMetrics count.
 *
 *   # TYPE a counter
 *   a_total{x="1"} 5        <- the samples of these labels between two such lines
 *   a_created{x="1"} 17e8      says it for them
 *   a_total{x="2"} 7        <- and for those behind it, up to the next one
 *
 * The line itself stays a series like any other, as in the original without its feature flags. Only asked for when a
 * destination takes start timestamps: each of them costs its sample a side.
 *
 * Whether a name ends in _created is a property of the bytes, noted when the line is interned; whether that is a start
 * depends on the TYPE in force.
 */
#include "source/scrape/predict_int.h"

void starts_block(struct reading *r)
{
    r->created = METRIC_NONE;
    r->since[INNER] = r->p->samples[RUN_INNER].n;
    r->since[OUTER] = r->p->samples[RUN_OUTER].n;
}

/* Of a converted histogram: its first line. */
static struct str line_of(const struct reading *r, uint32_t metric)
{
    struct str raw = intern_raw(&r->view, metric);

    if (intern_get(&r->view, metric)->flags & METRIC_CONVERTED)
        raw.n--;
    return raw;
}

void starts_created(struct reading *r, uint32_t metric, double value)
{
    struct predictor *p = r->p;
    struct str created = intern_raw(&r->view, metric);

    if (!exposition_is_created(created, r->e.type))
        return;
    int64_t start_ms = exposition_created_ms(value);
    for (int way = INNER; start_ms && way <= OUTER; way++) {
        for (size_t i = p->samples[way].n; i-- > r->since[way];) {
            struct sample *s = &p->samples[way].v[i];
            if (exposition_created_for(created, line_of(r, s->metric), r->e.type))
                sample_side(p, s)->start_ms = start_ms;
        }
    }
    starts_block(r);
    r->created = metric;
    r->created_ms = start_ms;
}

int64_t starts_of(struct reading *r, uint32_t metric)
{
    if (r->created == METRIC_NONE)
        return 0;
    return exposition_created_for(intern_raw(&r->view, r->created), line_of(r, metric), r->e.type) ? r->created_ms : 0;
}
