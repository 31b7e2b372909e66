/* pages: the status page and the list of targets.
 *
 *   /         what is scraped -> leadline -> where it goes, with each destination's ledger; what is wrong comes first
 *   /targets  every target, by pool; ?pool=NAME one pool; ?health=down only those
 *
 * Everything that comes from outside (labels, URLs, the destinations' words) goes through html_text.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "base/version.h"
#include "net/http_client.h"
#include "web/html_int.h"

enum { TARGETS_PER_POOL = 500 };

/* ---- the picture: pools, the program, destinations ---- */

static uint32_t count_health(const struct web_pool *p, int health)
{
    uint32_t n = 0;

    for (uint32_t k = 0; k < p->n_targets; k++)
        n += (int)p->targets[k].health == health;
    return n;
}

static bool has_pipelines(const struct web_snapshot *s)
{
    for (uint32_t i = 0; i < s->n_pools; i++)
        if (s->pools[i].pipeline)
            return true;
    return false;
}

/* Where a pool's samples go; said only where not all go everywhere. */
static void put_destinations(const struct web_snapshot *s, uint32_t pipeline, struct buf *out)
{
    const char *between = "<br><span class=\"dim\">to ";

    for (uint32_t i = 0; i < s->n_sinks; i++) {
        const struct web_sink *sink = &s->sinks[i];
        if (sink->no_batches || (sink->pipelines && !(sink->pipelines >> pipeline & 1)))
            continue;
        buf_c(out, between);
        html_text(out, sink->name);
        between = ", ";
    }
    buf_c(out, *between == ',' ? "</span>" : "<br><span class=\"warn\">to no destination</span>");
}

static void put_listener_card(const struct push_status *p, int64_t now_ms, struct buf *out)
{
    buf_c(out, "<div class=\"card\"><b>");
    html_text(out, p->name);
    buf_c(out, "</b> <code>");
    html_text(out, p->address);
    buf_c(out, "</code><br><span class=\"big\">");
    html_number(out, p->received);
    buf_c(out, "</span> received");
    if (p->dropped) {
        buf_c(out, ", <span class=\"bad\">");
        html_number(out, p->dropped);
        buf_c(out, " dropped</span>");
    }
    buf_c(out, "<br><span class=\"dim\">last ");
    html_age(out, now_ms, p->last_ms);
    if (p->connections)
        buf_printf(out, ", %u connection%s", p->connections, p->connections == 1 ? "" : "s");
    buf_c(out, "</span>");
    if (p->last_error.n) {
        buf_c(out, "<br><span class=\"bad\">");
        html_text(out, p->last_error);
        buf_c(out, "</span>");
    }
    buf_c(out, "</div>");
}

static void put_discovery_card(const struct discover_status *d, int64_t now_ms, struct buf *out)
{
    buf_c(out, "<div class=\"card\"><b>");
    html_text(out, str_c(d->mechanism));
    buf_c(out, "</b> <code>");
    html_text(out, d->about);
    buf_printf(out, "</code><br><span class=\"big\">%u</span> targets found<br><span class=\"dim\">last refresh ",
               d->targets);
    html_age(out, now_ms, d->last_refresh_ms);
    buf_c(out, "</span>");
    if (d->last_error.n) {
        buf_c(out, "<br><span class=\"bad\">");
        html_text(out, d->last_error);
        buf_c(out, "</span>");
    }
    buf_c(out, "</div>");
}

static void put_pool_card(struct web *w, const struct web_snapshot *s, const struct web_pool *p, struct buf *out)
{
    uint32_t up = count_health(p, HEALTH_UP), down = count_health(p, HEALTH_DOWN);
    uint64_t samples = 0;

    for (uint32_t k = 0; k < p->n_targets; k++)
        samples += p->targets[k].samples;
    buf_printf(out, "<div class=\"card\"><a href=\"%.*s/targets?pool=", STR_ARGS(w->o.route_prefix));
    html_text(out, p->name);
    buf_c(out, "\">");
    html_text(out, p->name);
    buf_printf(out, "</a><br><span class=\"big\">%u</span> targets, <span class=\"good\">%u up</span>", p->n_targets,
               up);
    if (down)
        buf_printf(out, ", <span class=\"bad\">%u down</span>", down);
    if (p->n_targets > up + down)
        buf_printf(out, ", <span class=\"dim\">%u not scraped yet</span>", p->n_targets - up - down);
    buf_c(out, "<br><span class=\"dim\">");
    html_number(out, samples);
    buf_c(out, " samples in the last scrapes");
    if (p->dropped_total)
        buf_printf(out, ", %" PRIu64 " targets dropped by relabelling", p->dropped_total);
    buf_c(out, "</span>");
    if (has_pipelines(s))
        put_destinations(s, p->pipeline, out);
    for (uint32_t k = 0; k < p->n_discoverers; k++) {
        if (p->discoverers[k].last_error.n == 0)
            continue;
        buf_printf(out, "<br><span class=\"bad\">%s: ", p->discoverers[k].mechanism);
        html_text(out, p->discoverers[k].last_error);
        buf_c(out, "</span>");
    }
    buf_c(out, "</div>");
}

static uint64_t dropped_sum(const struct spool_ledger *l)
{
    uint64_t n = 0;

    for (int r = 0; r < DROP_REASONS; r++)
        n += l->dropped[r];
    return n;
}

static void put_bar(const struct spool_ledger *l, struct buf *out)
{
    double all = l->read ? (double)l->read : 1;

    buf_printf(
        out,
        "<div class=\"bar\" role=\"img\" aria-label=\"delivered, waiting, dropped\"><i style=\"width:%.2f%%\"></i>"
        "<i style=\"width:%.2f%%\"></i><i style=\"width:%.2f%%\"></i></div>",
        100 * (double)l->delivered / all, 100 * (double)l->waiting / all, 100 * (double)dropped_sum(l) / all);
}

static const char *sink_state(const struct web_sink *s, const char **css)
{
    const struct sink_status *st = &s->status;

    *css = "good";
    if (st->last_error_ms > st->last_success_ms) {
        *css = "bad";
        return "failing";
    }
    if (st->last_success_ms)
        return "delivering";
    *css = "dim";
    return "nothing sent yet";
}

static void put_sink_card(const struct web_sink *s, int64_t now_ms, struct buf *out)
{
    const struct spool_ledger *l = &s->ledger;
    uint64_t dropped = dropped_sum(l);
    const char *css, *state = sink_state(s, &css);

    buf_c(out, "<div class=\"card\"><b>");
    html_text(out, s->name);
    buf_printf(out, "</b> <span class=\"dim\">%s &middot;</span> <span class=\"%s\">%s</span><br><code>",
               s->kind ? s->kind : "", css, state);
    html_text(out, s->url);
    buf_c(out, "</code>");
    put_bar(l, out);
    buf_c(out, "read <b>");
    html_number(out, l->read);
    buf_c(out, "</b> = delivered <b class=\"good\">");
    html_number(out, l->delivered);
    buf_c(out, "</b> + waiting <b class=\"warn\">");
    html_number(out, l->waiting);
    buf_printf(out, "</b> + dropped <b class=\"%s\">", dropped ? "bad" : "dim");
    html_number(out, dropped);
    buf_c(out, "</b>");
    for (int r = 0; r < DROP_REASONS; r++) {
        if (!l->dropped[r])
            continue;
        buf_printf(out, "<br><span class=\"dim\">dropped, %s: ", spool_reason_name((enum spool_reason)r));
        html_number(out, l->dropped[r]);
        buf_c(out, "</span>");
    }
    buf_c(out, "<br><span class=\"dim\">last delivery ");
    html_age(out, now_ms, s->status.last_success_ms);
    if (l->oldest_ms && l->waiting) {
        buf_c(out, ", oldest waiting ");
        html_age(out, now_ms, l->oldest_ms);
    }
    buf_printf(out, ", %s</span>", s->mode == SPOOL_MEMORY ? "waits in memory only" : "waits on disk");
    if (s->status.fell_to_1)
        buf_c(out, "<br><span class=\"warn\">does not speak remote write 2.0: gets 1.0</span>");
    if (s->status.fell_to_snappy)
        buf_c(out, "<br><span class=\"warn\">does not take zstd: gets snappy</span>");
    if (s->status.last_error.n && s->status.last_error_ms > s->status.last_success_ms) {
        buf_c(out, "<br><span class=\"bad\">");
        html_text(out, s->status.last_error);
        buf_c(out, "</span>");
    }
    buf_c(out, "</div>");
}

static void put_flow(struct web *w, const struct web_snapshot *s, struct buf *out)
{
    buf_c(out, "<div class=\"flow\"><div><div class=\"dim\">scraped</div>");
    if (s->discovery)
        put_discovery_card(s->discovery, s->taken_ms, out);
    for (uint32_t i = 0; i < s->n_pools; i++)
        put_pool_card(w, s, &s->pools[i], out);
    if (s->n_pools == 0 && s->n_push == 0)
        buf_c(out, "<div class=\"card warn\">no scrape_configs</div>");
    if (s->n_push)
        buf_c(out, "<div class=\"dim\">received</div>");
    for (uint32_t i = 0; i < s->n_push; i++)
        put_listener_card(&s->push[i], s->taken_ms, out);
    buf_c(
        out,
        "</div><div class=\"arrow\">&#10132;</div><div><div class=\"dim\">shaped and spooled</div><div class=\"card\">"
        "<b>leadline</b><br><span class=\"big\">");
    html_number(out, s->series);
    buf_printf(out,
               "</span> metrics known<br><span class=\"dim\">%u worker%s</span></div></div>"
               "<div class=\"arrow\">&#10132;</div><div>",
               s->workers, s->workers == 1 ? "" : "s");
    for (uint32_t i = 0; i < s->n_sinks; i++)
        put_sink_card(&s->sinks[i], s->taken_ms, out);
    if (s->n_sinks == 0)
        buf_c(out, "<div class=\"card warn\">no destination: nothing is delivered</div>");
    buf_c(out, "</div></div>");
}

/* ---- targets ---- */

static void put_target_row(const struct scrape_status *t, int64_t now_ms, struct buf *out)
{
    static const char *const words[] = {"unknown", "up", "down"}, *const css[] = {"dim", "good", "bad"};

    buf_c(out, "<tr><td data-l=\"Target\"><code>");
    html_text(out, t->target->url);
    buf_printf(out, "</code></td><td data-l=\"Health\" class=\"%s\">%s</td><td data-l=\"Labels\">", css[t->health],
               words[t->health]);
    html_labels(t->target->labels, out);
    buf_c(out, "</td><td data-l=\"Last scrape\">");
    html_age(out, now_ms, t->last_scrape_ms);
    buf_printf(out, "<span class=\"dim\"> in %.1f ms</span></td><td class=\"n\" data-l=\"Samples\">",
               t->last_duration_s * 1000);
    html_number(out, t->samples);
    buf_c(out, "</td><td data-l=\"Last error\" class=\"bad\">");
    html_text(out, t->last_error);
    buf_c(out, "</td></tr>");
}

static void put_table_head(struct buf *out)
{
    buf_c(out,
          "<table><thead><tr><th>Target</th><th>Health</th><th>Labels</th><th>Last scrape</th><th class=\"n\">Samples"
          "</th><th>Last error</th></tr></thead><tbody>");
}

/* What is down first, then the rest, up to `most` rows. */
static uint32_t put_targets(const struct web_pool *p, int64_t now_ms, bool down_only, uint32_t most, struct buf *out)
{
    uint32_t shown = 0;

    put_table_head(out);
    for (int pass = 0; pass < (down_only ? 1 : 2); pass++)
        for (uint32_t k = 0; k < p->n_targets && shown < most; k++)
            if ((p->targets[k].health == HEALTH_DOWN) == (pass == 0)) {
                put_target_row(&p->targets[k], now_ms, out);
                shown++;
            }
    buf_c(out, "</tbody></table>");
    return shown;
}

static void put_down(struct web *w, const struct web_snapshot *s, struct buf *out)
{
    uint32_t down = 0;

    for (uint32_t i = 0; i < s->n_pools; i++)
        down += count_health(&s->pools[i], HEALTH_DOWN);
    if (!down)
        return;
    buf_printf(out, "<h2 class=\"bad\">%u target%s down</h2>", down, down == 1 ? "" : "s");
    put_table_head(out);
    uint32_t shown = 0;
    for (uint32_t i = 0; i < s->n_pools; i++)
        for (uint32_t k = 0; k < s->pools[i].n_targets && shown < 50; k++)
            if (s->pools[i].targets[k].health == HEALTH_DOWN) {
                put_target_row(&s->pools[i].targets[k], s->taken_ms, out);
                shown++;
            }
    buf_c(out, "</tbody></table>");
    if (shown < down)
        buf_printf(out, "<p><a href=\"%.*s/targets?health=down\">all %u</a></p>", STR_ARGS(w->o.route_prefix), down);
}

static void put_plan(const struct web_snapshot *s, struct buf *out)
{
    AUTO_BUF text = {0};

    plan_print(s->plan, &text);
    buf_c(out, "<h2>The plan</h2>");
    for (uint32_t i = 0; i < s->plan->n_warnings; i++) {
        buf_c(out, "<p class=\"warn\">");
        html_text(out, s->plan->warnings[i]);
        buf_c(out, "</p>");
    }
    buf_c(out, "<details><summary>what the configuration compiles to</summary><pre>");
    html_text(out, buf_view(&text));
    buf_c(out, "</pre></details>");
}

int web_page_status(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    int64_t reload_ms = 0;

    (void)call;
    html_head(w, true, out);
    if (!w->o.last_reload(w->o.ctx, &reload_ms))
        buf_c(out,
              "<p class=\"card bad\">The last reload failed: the configuration before it is still in force. The log "
              "says why, as does <code>leadline check</code>.</p>");
    put_flow(w, s, out);
    put_down(w, s, out);
    put_plan(s, out);
    html_foot(out);
    return 200;
}

int web_page_targets(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    struct str wanted = http_call_query(call, "pool");
    bool down_only = str_eq(http_call_query(call, "health"), STR("down"));

    html_head(w, false, out);
    buf_printf(out, "<p><a href=\"%.*s/targets\">all</a> &middot; <a href=\"%.*s/targets?health=down\">down</a></p>",
               STR_ARGS(w->o.route_prefix), STR_ARGS(w->o.route_prefix));
    for (uint32_t i = 0; i < s->n_pools; i++) {
        const struct web_pool *p = &s->pools[i];
        if (wanted.n && !str_eq(wanted, p->name))
            continue;
        buf_c(out, "<h2>");
        html_text(out, p->name);
        if (p->pipeline)
            buf_printf(out, " <span class=\"dim\">pipeline %u</span>", p->pipeline);
        buf_printf(out, " <span class=\"dim\">%u / %u up</span></h2>", count_health(p, HEALTH_UP), p->n_targets);
        uint32_t shown = put_targets(p, s->taken_ms, down_only, wanted.n ? UINT32_MAX : TARGETS_PER_POOL, out);
        if (!wanted.n && !down_only && shown < p->n_targets) {
            buf_printf(out, "<p><a href=\"%.*s/targets?pool=", STR_ARGS(w->o.route_prefix));
            http_query_escape(out, p->name);
            buf_printf(out, "\">all %u</a></p>", p->n_targets);
        }
    }
    html_foot(out);
    return 200;
}
