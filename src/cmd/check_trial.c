/* check_trial: `leadline check FILE --trial`: what one cycle would make of the CloudWatch agent's file, before anything
 * is billed for it.
 *
 *   TRIAL: 2 targets, 2 scraped, 0 failed
 *
 *   logs: namespace ECS/ContainerInsights/Prometheus
 *   NO           LABELS            SERIES  SELECTED  TOLD  METRICS
 *   0 (line 12)  [job] =~ "^web$"  40      3         3     6
 *   1 (line 19)  [job] =~ "^wbe$"  0       0         0     0
 *   warning: declaration 1 (line 19) matches nothing: label_matcher "^wbe$" finds nothing in the values of [job], such
 * as "web" a cycle: 40 series in 9 events, 3120 bytes ...
 *
 *   no        as in the label `declaration` of leadline_emf_unique_metrics
 *   series    whose labels the matcher finds something in
 *   selected  of these, whose name a selector finds something in
 *   told      of these, with a dimension set that is possible
 *   metrics   that CloudWatch makes of them: each is billed for a month
 *
 * Bytes, not money. What matches nothing is a warning; a discovery or a scrape that fails makes the check fail.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/quote.h"
#include "cmd/check.h"
#include "cmd/text_table.h"
#include "run/trial.h"

enum { WIDTH = 120 };

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

static void put_names(struct buf *out, const struct str *v, uint32_t n)
{
    buf_char(out, '[');
    for (uint32_t i = 0; i < n; i++)
        buf_printf(out, "%s%.*s", i ? ", " : "", STR_ARGS(v[i]));
    buf_char(out, ']');
}

/* ---- what failed ------------------------------------------------------------------------------------------------- */

static void print_failures(const struct trial_findings *f, struct buf *out)
{
    static const char *const names[] = {"JOB", "WHAT", "ERROR"};
    struct text_table t;

    text_table_init(&t, names, COUNT_OF(names));
    for (uint32_t i = 0; i < f->n_discoveries; i++) {
        const struct cycle_discovery *d = &f->discoveries[i];
        if (!d->error.n)
            continue;
        AUTO_BUF what = {0};
        buf_printf(&what, "discovery %.*s, %.*s", STR_ARGS(d->mechanism), STR_ARGS(d->about));
        text_table_add(&t, d->job_name);
        text_table_add(&t, buf_view(&what));
        text_table_add(&t, d->error);
    }
    for (uint32_t i = 0; i < f->n_targets; i++) {
        if (!f->targets[i].error.n)
            continue;
        text_table_add(&t, f->targets[i].job_name);
        text_table_add(&t, f->targets[i].url);
        text_table_add(&t, f->targets[i].error);
    }
    text_table_end(&t, "FAILED", WIDTH, out);
}

/* ---- declarations ------------------------------------------------------------------------------------------------ */

static void add_number(struct text_table *t, uint64_t n)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, n);
    text_table_add(t, str_c(text));
}

static void print_declarations(const struct emf_survey_report *r, struct buf *out)
{
    static const char *const names[] = {"NO", "LABELS", "SERIES", "SELECTED", "TOLD", "METRICS"};
    struct text_table t;

    text_table_init(&t, names, COUNT_OF(names));
    for (uint32_t i = 0; i < r->n_declarations; i++) {
        const struct emf_survey_declaration *d = &r->declarations[i];
        AUTO_BUF text = {0};
        buf_printf(&text, "%u (line %u)", d->number, d->declaration->line);
        text_table_add(&t, buf_view(&text));
        buf_clear(&text);
        put_names(&text, d->declaration->source_labels, d->declaration->n_source_labels);
        buf_c(&text, " =~ ");
        buf_quote(&text, d->declaration->label_matcher_text);
        text_table_add(&t, buf_view(&text));
        add_number(&t, d->series);
        add_number(&t, d->selected);
        add_number(&t, d->told);
        add_number(&t, d->metrics);
    }
    text_table_print(&t, WIDTH, out);
    text_table_release(&t);
}

/* ---- what matches nothing ---------------------------------------------------------------------------------------- */

static void warn_of(const struct emf_survey_declaration *d, struct buf *out)
{
    buf_printf(out, "warning: declaration %u (line %u) ", d->number, d->declaration->line);
}

static void print_labels_missed(const struct emf_survey_declaration *d, struct buf *out)
{
    warn_of(d, out);
    if (d->n_absent == d->declaration->n_source_labels) {
        buf_printf(out, "matches nothing: no series has the label%s ", plural(d->n_absent));
        put_names(out, d->absent, d->n_absent);
        buf_char(out, '\n');
        return;
    }
    buf_c(out, "matches nothing: label_matcher ");
    buf_quote(out, d->declaration->label_matcher_text);
    buf_c(out, " finds nothing in the values of ");
    put_names(out, d->declaration->source_labels, d->declaration->n_source_labels);
    for (uint32_t i = 0; i < d->n_values; i++) {
        buf_c(out, i ? ", " : ", such as ");
        buf_quote(out, d->values[i]);
    }
    if (d->n_absent) {
        buf_c(out, "; no series has ");
        put_names(out, d->absent, d->n_absent);
    }
    buf_char(out, '\n');
}

static void print_selector(const struct emf_survey_declaration *d, uint32_t i, struct buf *out)
{
    const struct str *like = &d->like[i * EMF_SURVEY_EXAMPLES];

    buf_quote(out, d->declaration->selector_texts[i]);
    for (int k = 0; k < EMF_SURVEY_EXAMPLES && like[k].n; k++)
        buf_printf(out, "%s%.*s", k ? ", " : " (near: ", STR_ARGS(like[k]));
    buf_c(out, like[0].n ? ")" : "");
}

/* Of series whose labels match. */
static void print_selectors_missed(const struct emf_survey_declaration *d, struct buf *out)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < d->declaration->n_selectors; i++) {
        if (d->names[i])
            continue;
        if (n++ == 0) {
            warn_of(d, out);
            if (d->selected == 0)
                buf_printf(out,
                           "matches nothing: the labels of %" PRIu64 " series match, and the name of none is found "
                           "by ",
                           d->series);
            else
                buf_c(out, "has selectors that find no name: ");
        } else {
            buf_c(out, ", ");
        }
        print_selector(d, i, out);
    }
    if (n)
        buf_char(out, '\n');
}

static void print_set(const struct emf_survey_declaration *d, const struct emf_survey_set *set, struct buf *out)
{
    static const char *const reasons[EMF_SURVEY_SKIPS] = {
        [EMF_SURVEY_EMPTY] = "is empty",
        [EMF_SURVEY_TOO_LONG] = "has more than 1024 characters",
        [EMF_SURVEY_NOT_ASCII] = "is not printable ASCII",
        [EMF_SURVEY_NAME] = "has a name of more than 250 characters",
    };

    if (set->applied == 0 && set->incomplete) {
        warn_of(d, out);
        buf_c(out, "never uses dimensions ");
        put_names(out, set->dimensions->names, set->dimensions->n);
        buf_printf(out, " (line %u): %" PRIu64 " series do not have all of it, missing is ", set->dimensions->line,
                   set->incomplete);
        put_names(out, set->missing, set->n_missing);
        buf_char(out, '\n');
    }
    for (int i = 0; i < EMF_SURVEY_SKIPS; i++) {
        if (!set->skipped[i])
            continue;
        warn_of(d, out);
        buf_c(out, "leaves out dimensions ");
        put_names(out, set->dimensions->names, set->dimensions->n);
        buf_printf(out, " (line %u) for %" PRIu64 " series, of which a value %s: %.*s\n", set->dimensions->line,
                   set->skipped[i], reasons[i], STR_ARGS(set->example));
    }
}

static void print_near_misses(const struct emf_survey_declaration *d, const struct plan_emf *e, struct buf *out)
{
    if (d->series == 0) {
        print_labels_missed(d, out);
        return;
    }
    print_selectors_missed(d, out);
    if (d->selected && d->told == 0 && d->declaration->n_dimensions) {
        warn_of(d, out);
        buf_printf(out,
                   "makes no metrics: of %" PRIu64 " series that it selects none has a dimension set that is "
                   "possible\n",
                   d->selected);
    }
    for (uint32_t i = 0; d->selected && i < d->declaration->n_dimensions; i++)
        print_set(d, &d->sets[i], out);
    if (e->max_metrics && d->metrics > e->max_metrics) {
        warn_of(d, out);
        buf_printf(out,
                   "has %" PRIu64 " metrics, more than LEADLINE_EMF_MAX_METRICS: those beyond %u are only logged\n",
                   d->metrics, e->max_metrics);
    }
}

/* ---- sums -------------------------------------------------------------------------------------------------------- */

static void print_drops(const struct emf_survey_report *r, struct buf *out)
{
    static const struct {
        const char *what, *flag;
    } kinds[EMF_SURVEY_DROPS] = {
        [EMF_SURVEY_HISTOGRAM] = {"of histograms", "; LEADLINE_EMF_HISTOGRAMS=sum_count or buckets tells them"},
        [EMF_SURVEY_UNTYPED] = {"without a type", "; LEADLINE_EMF_UNTYPED=gauge tells them"},
        [EMF_SURVEY_OTHER_TYPE] = {"of types that events have no place for", ""},
    };

    for (int i = 0; i < EMF_SURVEY_DROPS; i++) {
        if (r->dropped[i])
            buf_printf(out, "dropped: %" PRIu64 " sample%s %s, such as %.*s%s\n", r->dropped[i], plural(r->dropped[i]),
                       kinds[i].what, STR_ARGS(r->dropped_example[i]), kinds[i].flag);
    }
    if (r->not_finite)
        buf_printf(out, "not told now: %" PRIu64 " value%s that %s not finite\n", r->not_finite, plural(r->not_finite),
                   r->not_finite == 1 ? "is" : "are");
    if (r->left_out)
        buf_printf(out, "left out: %" PRIu64 " label%s or metrics whose names an event cannot carry\n", r->left_out,
                   plural(r->left_out));
}

static void print_sums(const struct trial_survey *s, struct buf *out)
{
    const struct emf_survey_report *r = &s->report;
    uint64_t undeclared = r->unselected + r->incomplete;

    if (s->config->kind == CLOUDWATCH_METRICS) {
        buf_printf(out, "a cycle: %" PRIu64 " values by PutMetricData\n", r->data);
    } else {
        buf_printf(out,
                   "a cycle: %" PRIu64 " series in %" PRIu64 " event%s, %" PRIu64 " bytes, of which %" PRIu64
                   " are of what makes no metrics\n",
                   r->series, r->events, plural(r->events), r->bytes, r->undeclared_bytes);
        buf_printf(out, "30 days: about %.0f bytes, of which %.0f are of what makes no metrics", r->month_bytes,
                   r->undeclared_month_bytes);
        buf_c(out,
              r->undeclared_bytes && r->n_declarations ? "; LEADLINE_EMF_UNSELECTED=drop leaves that out\n" : "\n");
    }
    buf_printf(out,
               "makes no metrics: %" PRIu64 " series: %" PRIu64 " that no declaration selects, %" PRIu64
               " without a dimension set that is possible\n",
               undeclared, r->unselected, r->incomplete);
    buf_printf(out, "metrics of CloudWatch: %" PRIu64 "\n", r->metrics);
    print_drops(r, out);
}

static void print_survey(const struct trial_survey *s, struct buf *out)
{
    const struct emf_survey_report *r = &s->report;

    buf_printf(out, "%.*s: namespace %.*s\n", STR_ARGS(s->config->name), STR_ARGS(s->config->emf->name_space));
    print_declarations(r, out);
    if (r->samples == 0) {
        buf_c(out, "warning: no sample came: nothing can be said of declarations\n");
        return;
    }
    for (uint32_t i = 0; i < r->n_declarations; i++)
        print_near_misses(&r->declarations[i], s->config->emf, out);
    print_sums(s, out);
}

/* ---- the trial --------------------------------------------------------------------------------------------------- */

static void print_rest(const struct plan *plan, const struct trial_findings *f, struct buf *out)
{
    if (plan->n_remote_writes)
        buf_printf(out, "AMP: %u target%s, not scraped here\n", f->n_targets - f->n_scraped,
                   plural(f->n_targets - f->n_scraped));
    if (plan->statsd)
        buf_printf(out, "StatsD on %.*s: nothing to try\n", STR_ARGS(plan->statsd->address));
    if (plan->emf_input)
        buf_c(out, "EMF events: nothing to try\n");
}

bool check_trial(struct plan *plan, uint32_t timeout_ms)
{
    struct trial_findings f;
    struct arena a = {0};
    AUTO_BUF out = {0};

    trial_run(plan, getenv("ECS_CONTAINER_METADATA_URI_V4"), timeout_ms, &a, &f);
    buf_printf(&out, "\nTRIAL: %u target%s, %u scraped, %u failed; %u of %u discoveries failed\n\n", f.n_targets,
               plural(f.n_targets), f.n_scraped - f.n_failed, f.n_failed, f.n_discoveries_failed, f.n_discoveries);
    print_failures(&f, &out);
    for (uint32_t i = 0; i < f.n_surveys; i++)
        print_survey(&f.surveys[i], &out);
    print_rest(plan, &f, &out);
    fwrite(out.p, 1, out.n, stdout);
    fflush(stdout);
    bool good = f.n_failed + f.n_discoveries_failed == 0;
    arena_release(&a);
    return good;
}
