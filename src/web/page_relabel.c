/* page_relabel: /relabel?pool=JOB&target=...: each relabelling rule of a job and what it does to one target.
 *
 *   target   the address, instance or URL of a target, kept or dropped; the discovered labels are taken from it
 *   labels   instead: {"__address__": "10.0.0.7:9100", ...}, as discovery would find them
 *
 * Without a target: which ones there are. The API has the same as JSON under targets/relabel_steps.
 */
#include "net/http_client.h"
#include "web/api_int.h"
#include "web/html_int.h"
#include "web/relabel_steps.h"

enum { CHOICES = 200 };

static void put_form(struct web *w, const struct web_snapshot *s, struct str pool, struct str target, struct buf *out)
{
    buf_printf(out, "<form class=\"card\" action=\"%.*s/relabel\">job <select name=\"pool\">",
               STR_ARGS(w->o.route_prefix));
    for (uint32_t i = 0; i < s->n_pools; i++) {
        buf_printf(out, "<option%s>", str_eq(s->pools[i].name, pool) ? " selected" : "");
        html_text(out, s->pools[i].name);
        buf_c(out, "</option>");
    }
    buf_c(out, "</select> target <input name=\"target\" size=\"30\" placeholder=\"address, instance or URL\" value=\"");
    html_text(out, target);
    buf_c(out, "\"> <button>show</button></form>");
}

static void put_change(void *ctx, struct str name, struct str before, struct str after)
{
    struct buf *out = ctx;

    buf_c(out, before.p && after.p ? "<div><code>"
               : after.p           ? "<div class=\"good\">+ <code>"
                                   : "<div class=\"bad\">- <code>");
    html_text(out, name);
    buf_c(out, "=\"");
    html_text(out, before.p ? before : after);
    buf_c(out, "\"</code>");
    if (before.p && after.p) {
        buf_c(out, " &rarr; <code>\"");
        html_text(out, after);
        buf_c(out, "\"</code>");
    }
    buf_c(out, "</div>");
}

static void put_step(const struct relabel_step *s, uint32_t number, struct buf *out)
{
    AUTO_BUF rule = {0};

    relabel_rule_print(s->rule, &rule);
    buf_printf(out, "<tr><td class=\"n\" data-l=\"Rule\">%u</td><td><code>", number);
    html_text(out, buf_view(&rule));
    buf_c(out, "</code></td><td>");
    size_t before = out->n;
    if (!s->ran)
        buf_c(out, "<span class=\"dim\">not reached</span>");
    else if (!s->keep)
        buf_c(out, "<b class=\"bad\">dropped</b>");
    else
        relabel_changes(s->before, s->after, put_change, out);
    if (out->n == before)
        buf_c(out, "<span class=\"dim\">no change</span>");
    buf_c(out, "</td></tr>");
}

static void put_steps(const struct plan_scrape *c, struct labels labels, struct buf *out)
{
    struct arena a = {0};
    struct relabel_step *steps;
    uint32_t n = relabel_steps(c->relabel, labels, &a, &steps);

    buf_c(out, "<h2>Discovered</h2><p>");
    html_labels(labels, out);
    buf_c(out, "</p><h2>Rules</h2>");
    if (n == 0)
        buf_c(out, "<p class=\"dim\">this job has no relabel_configs</p>");
    else
        buf_c(out, "<table><thead><tr><th class=\"n\"></th><th>Rule</th><th>Effect</th></tr></thead><tbody>");
    for (uint32_t i = 0; i < n; i++)
        put_step(&steps[i], i + 1, out);
    buf_c(out, n ? "</tbody></table>" : "");
    buf_c(out, "<h2>Outcome</h2><p>");
    if (n && !steps[n - 1].keep)
        buf_c(out, "<b class=\"bad\">dropped</b>");
    else
        html_labels(n ? steps[n - 1].after : labels, out);
    buf_c(out,
          "</p><p class=\"dim\">Then labels that begin with __ go, and instance is the address where no rule has set "
          "it.</p>");
    arena_release(&a);
}

static bool is_target(const struct scrape_target *t, struct str wanted)
{
    return str_eq(wanted, t->url) || str_eq(wanted, labels_get(t->labels, STR("instance"))) ||
           str_eq(wanted, labels_get(t->discovered, STR("__address__")));
}

static bool find_labels(const struct web_snapshot *s, struct str pool, struct str wanted, struct labels *out)
{
    for (uint32_t i = 0; i < s->n_pools; i++) {
        const struct web_pool *p = &s->pools[i];
        if (!str_eq(p->name, pool))
            continue;
        for (uint32_t k = 0; k < p->n_targets; k++) {
            *out = p->targets[k].target->discovered;
            if (is_target(p->targets[k].target, wanted))
                return true;
        }
        for (uint32_t k = 0; k < p->n_dropped; k++) {
            *out = p->dropped[k].discovered;
            if (str_eq(labels_get(*out, STR("__address__")), wanted))
                return true;
        }
    }
    return false;
}

static void put_choice(struct web *w, struct str pool, struct str address, bool kept, struct buf *out)
{
    buf_printf(out, "<li><a href=\"%.*s/relabel?pool=", STR_ARGS(w->o.route_prefix));
    http_query_escape(out, pool);
    buf_c(out, "&amp;target=");
    http_query_escape(out, address);
    buf_c(out, "\">");
    html_text(out, address);
    buf_c(out, kept ? "</a></li>" : "</a> <span class=\"warn\">dropped</span></li>");
}

static void put_choices(struct web *w, const struct web_snapshot *s, struct str pool, struct buf *out)
{
    uint32_t left = CHOICES;

    for (uint32_t i = 0; i < s->n_pools; i++) {
        const struct web_pool *p = &s->pools[i];
        if (pool.n && !str_eq(p->name, pool))
            continue;
        buf_c(out, "<h2>");
        html_text(out, p->name);
        buf_c(out, "</h2><ul>");
        for (uint32_t k = 0; k < p->n_targets && left; k++, left--)
            put_choice(w, p->name, labels_get(p->targets[k].target->discovered, STR("__address__")), true, out);
        for (uint32_t k = 0; k < p->n_dropped && left; k++, left--)
            put_choice(w, p->name, labels_get(p->dropped[k].discovered, STR("__address__")), false, out);
        buf_c(out, "</ul>");
    }
}

static const struct plan_scrape *find_job(const struct web_snapshot *s, struct str pool)
{
    for (uint32_t i = 0; i < s->plan->n_scrapes; i++)
        if (str_eq(s->plan->scrapes[i].job_name, pool))
            return &s->plan->scrapes[i];
    return NULL;
}

static void refuse(const char *text, struct str what, struct buf *out)
{
    buf_printf(out, "<p class=\"card bad\">%s <code>", text);
    html_text(out, what);
    buf_c(out, "</code></p>");
}

int web_page_relabel(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out)
{
    struct str pool = http_call_query(call, "pool"), target = http_call_query(call, "target");
    struct str given = http_call_query(call, "labels");
    const struct plan_scrape *job = find_job(s, pool);
    struct arena a = {0};
    struct labels labels = {0};
    struct diag d = {0};

    html_head(w, false, out);
    put_form(w, s, pool, target, out);
    if (pool.n && !job)
        refuse("no such job:", pool, out);
    else if (given.n && api_read_labels(given, &a, &labels, &d))
        refuse("labels cannot be read:", str_c(d.text), out);
    else if (job && target.n && !given.n && !find_labels(s, pool, target, &labels))
        refuse("this job has no such target, kept or dropped:", target, out);
    else if (job && (target.n || given.n))
        put_steps(job, labels, out);
    else
        put_choices(w, s, pool, out);
    html_foot(out);
    arena_release(&a);
    return 200;
}
