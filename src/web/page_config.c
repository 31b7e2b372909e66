/* page_config: /config, the configuration as it was read, secrets replaced, and /flags, the command line with its
 * defaults. What they are for: seeing what is in force, on the machine where it is in force.
 *
 *   /config   the file (configurations from the environment, too), then what it compiles to
 *   /flags    name and value, as /api/v1/status/flags has them
 */
#include "base/clock.h"
#include "web/html_int.h"

int web_page_config(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    AUTO_BUF plan = {0};
    int64_t reload_ms = 0;
    bool good = w->o.last_reload(w->o.ctx, &reload_ms);

    (void)call;
    html_head(w, false, out);
    buf_printf(out, "<p class=\"%s\">%s ", good ? "dim" : "card bad",
               good ? "read" : "The last reload failed; this one is still in force. It was tried");
    html_age(out, s->taken_ms, reload_ms);
    buf_c(out, "</p><h2>Configuration</h2><pre>");
    html_text(out, s->plan->config_yaml);
    buf_c(out, "</pre><h2>What it compiles to</h2><pre>");
    plan_print(s->plan, &plan);
    html_text(out, buf_view(&plan));
    buf_c(out, "</pre>");
    html_foot(out);
    return 200;
}

int web_page_flags(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    (void)call;
    (void)s;
    html_head(w, false, out);
    buf_c(out, "<h2>Flags</h2><table><thead><tr><th>Flag</th><th>Value</th></tr></thead><tbody>");
    for (uint32_t i = 0; i < w->o.n_flags; i++) {
        buf_c(out, "<tr><td><code>--");
        html_text(out, w->o.flags[i].name);
        buf_c(out, "</code></td><td data-l=\"Value\"><code>");
        html_text(out, w->o.flags[i].value);
        buf_c(out, "</code></td></tr>");
    }
    buf_c(out, "</tbody></table>");
    html_foot(out);
    return 200;
}
