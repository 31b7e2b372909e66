/* check_metrics: `leadline check metrics`, promtool's form: an exposition on standard input (or from a file), judged.
 *
 *   --lint=all|none      promlint's rules, in its words; none with --extended: only counted
 *   --extended           which metric has how many series
 *   --format=openmetrics read as OpenMetrics, by the scraper's parser
 *   --strict             everything that the OpenMetrics specification forbids
 *
 * Findings go to standard error, a line each: LINE:COLUMN: metric text. Exit status 0: nothing found; 1: it cannot be
 * read, or --strict found something; 3: the rules found something.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cmd/check.h"
#include "format/lint.h"

enum { MAX_INPUT = 1 << 30, LINT_STATUS = 3 };

static const struct flag_spec specs[] = {
    {"help", FLAG_BOOL, FLAG_USED, "false", NULL, "Show this help.", 'h', false},
    {"lint", FLAG_CHOICE, FLAG_USED, "all", "all|none", "Rules to apply.", 0, false},
    {"extended", FLAG_BOOL, FLAG_USED, "false", NULL, "Print how many series each metric has.", 0, false},
    {"format", FLAG_CHOICE, FLAG_OURS, "text", "text|openmetrics", "How to read the input.", 0, false},
    {"strict", FLAG_BOOL, FLAG_OURS, "false", NULL,
     "Find everything that the OpenMetrics specification forbids; implies --format=openmetrics.", 0, false},
};

static enum err read_input(const struct flags *f, struct buf *out, struct diag *d)
{
    if (f->n_rest)
        return file_read(f->rest[0].p, MAX_INPUT, out, d);
    for (;;) {
        buf_reserve(out, 1 << 16);
        ssize_t n = read(0, out->p + out->n, 1 << 16);
        if (n < 0)
            return diag_set(d, ERR_IO, "standard input cannot be read");
        if (n == 0)
            break;
        out->n += (size_t)n;
        out->p[out->n] = '\0';
        if (out->n > MAX_INPUT)
            return diag_set(d, ERR_LIMIT, "the input is larger than 1 GiB");
    }
    buf_reserve(out, 1);
    out->p[out->n] = '\0';
    return OK;
}

static void print_findings(const struct lint_report *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct lint_finding *f = &r->v[i];
        fprintf(stderr, "%u:%u: %.*s%s%.*s\n", f->line, f->col, STR_ARGS(f->metric), f->metric.n ? " " : "",
                STR_ARGS(f->text));
    }
}

/* promtool's table: columns as wide as their longest cell and four blanks. */
static void print_families(const struct lint_report *r)
{
    char text[32];
    uint64_t total = 0;
    int name = 6 + 4, count = 11 + 4;

    for (size_t i = 0; i < r->n_families; i++) {
        int n = (int)r->families[i].name.n + 4;
        total += r->families[i].series;
        name = n > name ? n : name;
    }
    printf("%-*s%-*s%-*s\n", name, "Metric", count, "Cardinality", 14, "Percentage");
    for (size_t i = 0; i < r->n_families; i++) {
        snprintf(text, sizeof(text), "%.2f%%", 100 * (double)r->families[i].series / (double)total);
        printf("%-*.*s%-*llu%-*s\n", name, STR_ARGS(r->families[i].name), count,
               (unsigned long long)r->families[i].series, 14, text);
    }
    printf("%-*s%-*llu%-*s\n", name, "Total", count, (unsigned long long)total, 14, "100%");
}

static int check_strict(struct str body)
{
    struct arena a = {0};
    struct lint_report r;

    lint_strict(body, &a, &r);
    print_findings(&r);
    int status = r.n ? 1 : 0;
    lint_report_release(&r);
    arena_release(&a);
    return status;
}

static int check_rules(const struct flags *f, struct str body, bool openmetrics)
{
    bool rules = str_eq(flags_text(f, "lint"), STR("all")), extended = flags_bool(f, "extended");
    struct arena a = {0};
    struct lint_report r;
    struct diag d = {0};
    int status = 0;
    enum err err = openmetrics ? lint_openmetrics(body, &a, &r, &d) : lint_text(body, !rules, &a, &r, &d);

    if (err) {
        fprintf(stderr, "%s: %s parsing error in line %d, column %d: %s\n",
                rules ? "error while linting" : "error while parsing text to metric families",
                openmetrics ? "OpenMetrics" : "text format", d.line, d.col, d.text);
        status = 1;
    } else {
        if (rules)
            print_findings(&r);
        if (extended)
            print_families(&r);
        status = rules && r.n ? LINT_STATUS : 0;
    }
    lint_report_release(&r);
    arena_release(&a);
    return status;
}

static int run(const struct flags *f)
{
    bool strict = flags_bool(f, "strict");
    bool openmetrics = strict || str_eq(flags_text(f, "format"), STR("openmetrics"));
    AUTO_BUF body = {0};
    struct diag d = {0};
    int status = 0;

    if (!strict && !flags_bool(f, "extended") && str_eq(flags_text(f, "lint"), STR("none"))) {
        fprintf(stderr, "error: at least one of --extended or linting must be enabled\n"
                        "Use --extended for cardinality analysis, or remove --lint=none to enable linting\n");
        return 1;
    }
    if (strict && flags_given(f, "format") && str_eq(flags_text(f, "format"), STR("text"))) {
        fprintf(stderr, "error: --strict is about OpenMetrics: it does not go with --format=text\n");
        return 1;
    }
    if (read_input(f, &body, &d)) {
        fprintf(stderr, "error: %s\n", d.text);
        return 1;
    }
    if (strict)
        status = check_strict(buf_view(&body));
    if (strict && (status || (!flags_given(f, "lint") && !flags_bool(f, "extended"))))
        return status;
    return check_rules(f, buf_view(&body), openmetrics);
}

int check_metrics(int argc, char **argv)
{
    static const struct flags_command command = {
        .program = "leadline check metrics",
        .summary =
            "Judges an exposition from standard input, or a file: promlint's rules, or OpenMetrics by the letter.",
        .specs = specs,
        .n_specs = COUNT_OF(specs),
        .max_rest = 1,
        .bad_usage = 1,
        .run = run,
    };
    return flags_run(&command, argc, argv);
}
