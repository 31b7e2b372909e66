/* page_discovery: /service-discovery: for each pool how its discoverers do, what they found, and what relabelling made
 * of it: kept with its final labels, or dropped. ?pool=NAME shows one pool whole; else the first hundred of each.
 *
 *   pool            mechanism, what it looks at, last refresh, last error, targets
 *                   discovered labels -> labels of the target, or "dropped"
 *
 * Each row leads to /relabel, where the rules are shown one by one.
 */
#include <inttypes.h>

#include "net/http_client.h"
#include "web/html_int.h"

enum { ROWS_PER_POOL = 100 };

static void put_discoverer(const struct discover_status *d, int64_t now_ms, struct buf *out)
{
    buf_c(out, "<tr><td data-l=\"Mechanism\"><b>");
    buf_c(out, d->mechanism ? d->mechanism : "");
    buf_c(out, "</b> <code>");
    html_text(out, d->about);
    buf_c(out, "</code></td><td data-l=\"Last refresh\">");
    html_age(out, now_ms, d->last_refresh_ms);
    buf_printf(out,
               "</td><td class=\"n\" data-l=\"Refreshes\">%" PRIu64 "</td><td class=\"n\" data-l=\"Failed\">%" PRIu64
               "</td><td class=\"n\" data-l=\"Targets\">%u</td><td data-l=\"Last error\" class=\"bad\">",
               d->refreshes, d->failures, d->targets);
    html_text(out, d->last_error);
    buf_c(out, "</td></tr>");
}

static void put_discoverers(const struct web_pool *p, int64_t now_ms, struct buf *out)
{
    if (p->n_discoverers == 0) {
        buf_c(out, "<p class=\"dim\">nothing discovers targets for this job</p>");
        return;
    }
    buf_c(out, "<table><thead><tr><th>Mechanism</th><th>Last refresh</th><th class=\"n\">Refreshes</th>"
               "<th class=\"n\">Failed</th><th class=\"n\">Targets</th><th>Last error</th></tr></thead><tbody>");
    for (uint32_t i = 0; i < p->n_discoverers; i++)
        put_discoverer(&p->discoverers[i], now_ms, out);
    buf_c(out, "</tbody></table>");
}

static void put_relabel_link(struct web *w, struct str pool, struct str address, struct buf *out)
{
    buf_printf(out, " <a href=\"%.*s/relabel?pool=", STR_ARGS(w->o.route_prefix));
    http_query_escape(out, pool);
    buf_c(out, "&amp;target=");
    http_query_escape(out, address);
    buf_c(out, "\">step by step</a>");
}

static void put_row(struct web *w, const struct web_pool *p, struct labels discovered, const struct labels *labels,
                    struct buf *out)
{
    buf_c(out, "<tr><td data-l=\"Discovered\">");
    html_labels(discovered, out);
    buf_c(out, "</td><td data-l=\"Target\">");
    if (labels)
        html_labels(*labels, out);
    else
        buf_c(out, "<span class=\"warn\">dropped</span>");
    put_relabel_link(w, p->name, labels_get(discovered, STR("__address__")), out);
    buf_c(out, "</td></tr>");
}

static void put_items(struct web *w, const struct web_pool *p, uint32_t most, struct buf *out)
{
    uint32_t shown = 0;

    buf_c(out, "<table><thead><tr><th>Discovered labels</th><th>Labels of the target</th></tr></thead><tbody>");
    for (uint32_t i = 0; i < p->n_targets && shown < most; i++, shown++)
        put_row(w, p, p->targets[i].target->discovered, &p->targets[i].target->labels, out);
    for (uint32_t i = 0; i < p->n_dropped && shown < most; i++, shown++)
        put_row(w, p, p->dropped[i].discovered, NULL, out);
    buf_c(out, "</tbody></table>");
    if (shown < p->n_targets + p->n_dropped) {
        buf_printf(out, "<p><a href=\"%.*s/service-discovery?pool=", STR_ARGS(w->o.route_prefix));
        http_query_escape(out, p->name);
        buf_printf(out, "\">all %u</a></p>", p->n_targets + p->n_dropped);
    }
    if (p->dropped_total > p->n_dropped)
        buf_printf(out,
                   "<p class=\"dim\">%" PRIu64 " more were dropped; keep_dropped_targets says how many are kept to "
                   "be shown</p>",
                   p->dropped_total - p->n_dropped);
}

int web_page_discovery(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    struct str wanted = http_call_query(call, "pool");

    html_head(w, false, out);
    for (uint32_t i = 0; i < s->n_pools; i++) {
        const struct web_pool *p = &s->pools[i];
        if (wanted.n && !str_eq(wanted, p->name))
            continue;
        buf_c(out, "<h2>");
        html_text(out, p->name);
        buf_printf(out, " <span class=\"dim\">%u targets, %" PRIu64 " dropped</span></h2>", p->n_targets,
                   p->dropped_total);
        put_discoverers(p, s->taken_ms, out);
        buf_printf(out, "<details%s><summary>what was found</summary>",
                   wanted.n || p->n_targets + p->n_dropped <= 20 ? " open" : "");
        put_items(w, p, wanted.n ? UINT32_MAX : ROWS_PER_POOL, out);
        buf_c(out, "</details>");
    }
    if (s->n_pools == 0)
        buf_c(out, "<p class=\"warn\">no scrape_configs</p>");
    html_foot(out);
    return 200;
}
