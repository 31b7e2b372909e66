/* lint: what is wrong, or only unusual, with an exposition, for the person who wrote it. Not on any hot path.
 *
 *   lint_text         text 0.0.4 as promtool reads it (prometheus/common expfmt), then promlint's rules
 *   lint_openmetrics  the scraper's parser, then the same rules
 *   lint_strict       everything that the OpenMetrics 1.0 specification forbids, each with its position
 *
 * Findings, names and texts live in the caller's arena. Pure functions; any thread.
 */
#ifndef FORMAT_LINT_H
#define FORMAT_LINT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct lint_finding {
    uint32_t line, col; /* from 1, in bytes */
    struct str metric;  /* the family; empty when there is none */
    struct str text;    /* promlint's words, or for lint_strict our own */
};

/* How many series a family has, as `promtool check metrics --extended` counts them. */
struct lint_family {
    struct str name;
    uint64_t series;
};

struct lint_report {
    struct lint_finding *v;
    size_t n, cap;
    struct lint_family *families; /* the largest first */
    size_t n_families;
};

/* ERR_SYNTAX with line, column and the reason when the text cannot be read; ERR_LIMIT beyond four million series. */
/* utf8_names: quoted names may hold anything; promtool allows it only where it counts and does not lint. */
enum err lint_text(struct str body, bool utf8_names, struct arena *a, struct lint_report *out, struct diag *d) MUST_USE;
/* body.p[body.n] must be readable and NUL. */
enum err lint_openmetrics(struct str body, struct arena *a, struct lint_report *out, struct diag *d) MUST_USE;
/* Never fails: what cannot be read is a finding too. */
void lint_strict(struct str body, struct arena *a, struct lint_report *out);
void lint_report_release(struct lint_report *r);

#endif
