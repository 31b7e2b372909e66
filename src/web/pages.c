/* pages: the status page and the list of targets: server-rendered HTML that needs no script and no outside asset, reads
 * on a phone (tables become cards below 640 px) and follows the reader's light or dark setting.
 *
 *   /         what is scraped -> leadline -> where it goes, with each destination's ledger; what is wrong comes first
 *   /targets  every target, by pool; ?pool=NAME one pool; ?health=down only those
 *
 * Everything that comes from outside (labels, URLs, the destinations' words) goes through put_escaped.
 */
#include <inttypes.h>

#include "base/clock.h"
#include "base/version.h"
#include "net/http_client.h"
#include "web/web_int.h"

enum { TARGETS_PER_POOL = 500 };

static const char style[] =
    ":root{color-scheme:light dark;--bg:#f7f8fa;--fg:#1c2430;--dim:#5c6879;--card:#fff;--line:#d9dee6;--good:#1a7f45;"
    "--bad:#c0392b;--warn:#9a6700;--accent:#1f5fbf}"
    "@media(prefers-color-scheme:dark){:root{--bg:#12161c;--fg:#e4e9f0;--dim:#97a3b4;--card:#1b212a;--line:#303946;"
    "--good:#4cc27f;--bad:#ff7b6b;--warn:#e3b341;--accent:#7fb2ff}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif}"
    "header{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;align-items:baseline;padding:.8rem 1rem;"
    "border-bottom:1px solid var(--line)}header b{font-size:1.15rem}a{color:var(--accent)}"
    "main{max-width:1200px;margin:0 auto;padding:1rem}h2{font-size:1.05rem;margin:1.6rem 0 .6rem}"
    ".dim{color:var(--dim)}.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}"
    ".flow{display:flex;gap:.6rem;align-items:stretch}.flow>div{flex:1;min-width:0}.flow>.arrow{flex:0 0 1.4rem;"
    "align-self:center;text-align:center;color:var(--dim)}"
    ".card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.7rem .9rem;"
    "margin-bottom:.6rem;overflow-wrap:anywhere}.big{font-size:1.3rem;font-weight:600}"
    ".bar{display:flex;height:.5rem;border-radius:4px;overflow:hidden;background:var(--line);margin:.4rem 0}"
    ".bar i{background:var(--good)}.bar i+i{background:var(--warn)}.bar i+i+i{background:var(--bad)}"
    "table{width:100%;border-collapse:collapse;background:var(--card);border:1px solid var(--line);border-radius:8px}"
    "th,td{text-align:left;padding:.4rem .6rem;border-top:1px solid var(--line);vertical-align:top;"
    "overflow-wrap:anywhere}th{border-top:0;color:var(--dim);font-weight:500}td.n,th.n{text-align:right;"
    "font-variant-numeric:tabular-nums}code{font-size:.85em}pre{background:var(--card);border:1px solid var(--line);"
    "border-radius:8px;padding:.7rem;overflow:auto}summary{cursor:pointer}"
    "@media(max-width:640px){.flow{flex-direction:column}.flow>.arrow{transform:rotate(90deg)}"
    "table,tbody,tr,td{display:block}thead{display:none}tr{border-top:1px solid var(--line);padding:.4rem 0}"
    "td,td.n{border:0;text-align:left;padding:.1rem "
    ".8rem}td:empty{display:none}td[data-l]::before{content:attr(data-l) \": \";"
    "color:var(--dim)}}";

static void put_escaped(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case '&':
            buf_c(out, "&amp;");
            break;
        case '<':
            buf_c(out, "&lt;");
            break;
        case '>':
            buf_c(out, "&gt;");
            break;
        case '"':
            buf_c(out, "&quot;");
            break;
        default:
            buf_char(out, s.p[i]);
        }
    }
}

/* 1234567 -> 1,234,567 */
static void put_number(struct buf *out, uint64_t v)
{
    char digits[24];
    int n = snprintf(digits, sizeof(digits), "%" PRIu64, v);

    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0)
            buf_char(out, ',');
        buf_char(out, digits[i]);
    }
}

static void put_age(struct buf *out, int64_t now_ms, int64_t then_ms)
{
    int64_t ms = now_ms - then_ms;

    if (then_ms == 0)
        buf_c(out, "never");
    else if (ms < 10000)
        buf_printf(out, "%.1f s ago", (double)(ms < 0 ? 0 : ms) / 1000);
    else if (ms < 120000)
        buf_printf(out, "%" PRId64 " s ago", ms / 1000);
    else if (ms < 7200000)
        buf_printf(out, "%" PRId64 " min ago", ms / 60000);
    else
        buf_printf(out, "%" PRId64 " h ago", ms / 3600000);
}

static void put_head(struct web *w, const struct web_snapshot *s, bool refresh, struct buf *out)
{
    const struct str prefix = w->o.route_prefix;

    buf_c(out, "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
               "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">");
    if (refresh)
        buf_c(out, "<meta http-equiv=\"refresh\" content=\"5\">");
    buf_c(out, "<title>");
    put_escaped(out, w->title);
    buf_printf(out, "</title><style>%s</style></head><body><header><b>", style);
    put_escaped(out, w->title);
    buf_printf(out,
               "</b><a href=\"%.*s/\">Status</a><a href=\"%.*s/targets\">Targets</a><a href=\"%.*s/metrics\">Metrics"
               "</a><span class=\"dim\">leadline %s, up since ",
               STR_ARGS(prefix), STR_ARGS(prefix), STR_ARGS(prefix), LEADLINE_VERSION);
    clock_print(out, w->o.start_ms);
    buf_printf(out, "</span>%s</header><main>",
               w->o.ready(w->o.ctx) ? "<span class=\"good\">ready</span>" : "<span class=\"warn\">stopping</span>");
    (void)s;
}

static void put_foot(struct buf *out)
{
    buf_c(out, "</main></body></html>\n");
}

/* ---- the picture: pools, the program, destinations ---- */

static uint32_t count_health(const struct web_pool *p, int health)
{
    uint32_t n = 0;

    for (uint32_t k = 0; k < p->n_targets; k++)
        n += (int)p->targets[k].health == health;
    return n;
}

static void put_pool_card(struct web *w, const struct web_pool *p, struct buf *out)
{
    uint32_t up = count_health(p, HEALTH_UP), down = count_health(p, HEALTH_DOWN);
    uint64_t samples = 0;

    for (uint32_t k = 0; k < p->n_targets; k++)
        samples += p->targets[k].samples;
    buf_printf(out, "<div class=\"card\"><a href=\"%.*s/targets?pool=", STR_ARGS(w->o.route_prefix));
    put_escaped(out, p->name);
    buf_c(out, "\">");
    put_escaped(out, p->name);
    buf_printf(out, "</a><br><span class=\"big\">%u</span> targets, <span class=\"good\">%u up</span>", p->n_targets,
               up);
    if (down)
        buf_printf(out, ", <span class=\"bad\">%u down</span>", down);
    if (p->n_targets > up + down)
        buf_printf(out, ", <span class=\"dim\">%u not scraped yet</span>", p->n_targets - up - down);
    buf_c(out, "<br><span class=\"dim\">");
    put_number(out, samples);
    buf_c(out, " samples in the last scrapes");
    if (p->dropped_total)
        buf_printf(out, ", %" PRIu64 " targets dropped by relabelling", p->dropped_total);
    buf_c(out, "</span></div>");
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
    const struct remote_write_status *st = &s->status;

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
    put_escaped(out, s->name);
    buf_printf(out, "</b> <span class=\"%s\">%s</span><br><code>", css, state);
    put_escaped(out, s->url);
    buf_c(out, "</code>");
    put_bar(l, out);
    buf_c(out, "read <b>");
    put_number(out, l->read);
    buf_c(out, "</b> = delivered <b class=\"good\">");
    put_number(out, l->delivered);
    buf_c(out, "</b> + waiting <b class=\"warn\">");
    put_number(out, l->waiting);
    buf_printf(out, "</b> + dropped <b class=\"%s\">", dropped ? "bad" : "dim");
    put_number(out, dropped);
    buf_c(out, "</b>");
    for (int r = 0; r < DROP_REASONS; r++) {
        if (!l->dropped[r])
            continue;
        buf_printf(out, "<br><span class=\"dim\">dropped, %s: ", spool_reason_name((enum spool_reason)r));
        put_number(out, l->dropped[r]);
        buf_c(out, "</span>");
    }
    buf_c(out, "<br><span class=\"dim\">last delivery ");
    put_age(out, now_ms, s->status.last_success_ms);
    if (l->oldest_ms && l->waiting) {
        buf_c(out, ", oldest waiting ");
        put_age(out, now_ms, l->oldest_ms);
    }
    buf_printf(out, ", %s</span>", s->mode == SPOOL_MEMORY ? "waits in memory only" : "waits on disk");
    if (s->status.last_error.n && s->status.last_error_ms > s->status.last_success_ms) {
        buf_c(out, "<br><span class=\"bad\">");
        put_escaped(out, s->status.last_error);
        buf_c(out, "</span>");
    }
    buf_c(out, "</div>");
}

static void put_flow(struct web *w, const struct web_snapshot *s, struct buf *out)
{
    buf_c(out, "<div class=\"flow\"><div><div class=\"dim\">scraped</div>");
    for (uint32_t i = 0; i < s->n_pools; i++)
        put_pool_card(w, &s->pools[i], out);
    if (s->n_pools == 0)
        buf_c(out, "<div class=\"card warn\">no scrape_configs</div>");
    buf_c(
        out,
        "</div><div class=\"arrow\">&#10132;</div><div><div class=\"dim\">shaped and spooled</div><div class=\"card\">"
        "<b>leadline</b><br><span class=\"big\">");
    put_number(out, s->series);
    buf_printf(out,
               "</span> metrics known<br><span class=\"dim\">%u worker%s</span></div></div>"
               "<div class=\"arrow\">&#10132;</div><div>",
               s->workers, s->workers == 1 ? "" : "s");
    for (uint32_t i = 0; i < s->n_sinks; i++)
        put_sink_card(&s->sinks[i], s->taken_ms, out);
    if (s->n_sinks == 0)
        buf_c(out, "<div class=\"card warn\">no remote_write: nothing is delivered</div>");
    buf_c(out, "</div></div>");
}

/* ---- targets ---- */

static void put_labels(struct labels l, struct buf *out)
{
    for (uint32_t i = 0; i < l.n; i++) {
        buf_c(out, i ? " <code>" : "<code>");
        put_escaped(out, l.v[i].name);
        buf_c(out, "=\"");
        put_escaped(out, l.v[i].value);
        buf_c(out, "\"</code>");
    }
}

static void put_target_row(const struct scrape_status *t, int64_t now_ms, struct buf *out)
{
    static const char *const words[] = {"unknown", "up", "down"}, *const css[] = {"dim", "good", "bad"};

    buf_c(out, "<tr><td data-l=\"Target\"><code>");
    put_escaped(out, t->target->url);
    buf_printf(out, "</code></td><td data-l=\"Health\" class=\"%s\">%s</td><td data-l=\"Labels\">", css[t->health],
               words[t->health]);
    put_labels(t->target->labels, out);
    buf_c(out, "</td><td data-l=\"Last scrape\">");
    put_age(out, now_ms, t->last_scrape_ms);
    buf_printf(out, "<span class=\"dim\"> in %.1f ms</span></td><td class=\"n\" data-l=\"Samples\">",
               t->last_duration_s * 1000);
    put_number(out, t->samples);
    buf_c(out, "</td><td data-l=\"Last error\" class=\"bad\">");
    put_escaped(out, t->last_error);
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
        put_escaped(out, s->plan->warnings[i]);
        buf_c(out, "</p>");
    }
    buf_c(out, "<details><summary>what the configuration compiles to</summary><pre>");
    put_escaped(out, buf_view(&text));
    buf_c(out, "</pre></details>");
}

void web_page_status(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    int64_t reload_ms = 0;

    (void)call;
    put_head(w, s, true, out);
    if (!w->o.last_reload(w->o.ctx, &reload_ms))
        buf_c(out,
              "<p class=\"card bad\">The last reload failed: the configuration before it is still in force. The log "
              "says why, as does <code>leadline check</code>.</p>");
    put_flow(w, s, out);
    put_down(w, s, out);
    put_plan(s, out);
    put_foot(out);
}

void web_page_targets(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    struct str wanted = http_call_query(call, "pool");
    bool down_only = str_eq(http_call_query(call, "health"), STR("down"));

    put_head(w, s, false, out);
    buf_printf(out, "<p><a href=\"%.*s/targets\">all</a> &middot; <a href=\"%.*s/targets?health=down\">down</a></p>",
               STR_ARGS(w->o.route_prefix), STR_ARGS(w->o.route_prefix));
    for (uint32_t i = 0; i < s->n_pools; i++) {
        const struct web_pool *p = &s->pools[i];
        if (wanted.n && !str_eq(wanted, p->name))
            continue;
        buf_c(out, "<h2>");
        put_escaped(out, p->name);
        buf_printf(out, " <span class=\"dim\">%u / %u up</span></h2>", count_health(p, HEALTH_UP), p->n_targets);
        uint32_t shown = put_targets(p, s->taken_ms, down_only, wanted.n ? UINT32_MAX : TARGETS_PER_POOL, out);
        if (!wanted.n && !down_only && shown < p->n_targets) {
            buf_printf(out, "<p><a href=\"%.*s/targets?pool=", STR_ARGS(w->o.route_prefix));
            http_query_escape(out, p->name);
            buf_printf(out, "\">all %u</a></p>", p->n_targets);
        }
    }
    put_foot(out);
}
