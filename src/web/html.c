/* html: what the pages share: server-rendered HTML that needs no script and no outside asset, reads on a phone (tables
 * become cards below 640 px) and follows the reader's light or dark setting.
 *
 *   header   the links to all pages, ready or not
 *   main     the page's own
 *
 * Everything that comes from outside (labels, URLs, the destinations' words) goes through html_text.
 */
#include "web/html_int.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/version.h"

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
    "overflow-wrap:anywhere}th{white-space:nowrap;border-top:0;color:var(--dim);font-weight:500}td.n,th.n{text-align:"
    "right;"
    "font-variant-numeric:tabular-nums}code{font-size:.85em}pre{background:var(--card);border:1px solid var(--line);"
    "border-radius:8px;padding:.7rem;overflow:auto}summary{cursor:pointer}"
    "@media(max-width:640px){.flow{flex-direction:column}.flow>.arrow{transform:rotate(90deg)}"
    "table,tbody,tr,td{display:block}thead{display:none}tr{border-top:1px solid var(--line);padding:.4rem 0}"
    "td,td.n{border:0;text-align:left;padding:.1rem "
    ".8rem}td:empty{display:none}td[data-l]::before{content:attr(data-l) \": \";"
    "color:var(--dim)}}";

void html_text(struct buf *out, struct str s)
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
void html_number(struct buf *out, uint64_t v)
{
    char digits[24];
    int n = snprintf(digits, sizeof(digits), "%" PRIu64, v);

    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0)
            buf_char(out, ',');
        buf_char(out, digits[i]);
    }
}

void html_age(struct buf *out, int64_t now_ms, int64_t then_ms)
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

void html_head(struct web *w, bool refresh, struct buf *out)
{
    static const struct {
        const char *path, *name;
    } links[] = {{"/", "Status"},         {"/targets", "Targets"}, {"/service-discovery", "Discovery"},
                 {"/relabel", "Relabel"}, {"/config", "Config"},   {"/flags", "Flags"},
                 {"/debug/", "Debug"},    {"/metrics", "Metrics"}};
    const struct str prefix = w->o.route_prefix;

    buf_c(out, "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
               "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">");
    if (refresh)
        buf_c(out, "<meta http-equiv=\"refresh\" content=\"5\">");
    buf_c(out, "<title>");
    html_text(out, w->title);
    buf_printf(out, "</title><style>%s</style></head><body><header><b>", style);
    html_text(out, w->title);
    buf_c(out, "</b>");
    for (size_t i = 0; i < COUNT_OF(links); i++)
        buf_printf(out, "<a href=\"%.*s%s\">%s</a>", STR_ARGS(prefix), links[i].path, links[i].name);
    buf_printf(out, "<span class=\"dim\">leadline %s, up since ", LEADLINE_VERSION);
    clock_print(out, w->o.start_ms);
    buf_printf(out, "</span>%s</header><main>",
               w->o.ready(w->o.ctx) ? "<span class=\"good\">ready</span>" : "<span class=\"warn\">not ready</span>");
}

void html_foot(struct buf *out)
{
    buf_c(out, "</main></body></html>\n");
}

void html_labels(struct labels l, struct buf *out)
{
    for (uint32_t i = 0; i < l.n; i++) {
        buf_c(out, i ? " <code>" : "<code>");
        html_text(out, l.v[i].name);
        buf_c(out, "=\"");
        html_text(out, l.v[i].value);
        buf_c(out, "\"</code>");
    }
}

/* 1536 -> 1.5 KiB */
void html_bytes(struct buf *out, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double v = (double)bytes;
    size_t unit = 0;

    for (; v >= 1024 && unit + 1 < COUNT_OF(units); unit++)
        v /= 1024;
    buf_printf(out, unit ? "%.1f %s" : "%.0f %s", v, units[unit]);
}
