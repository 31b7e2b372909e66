/* emf_survey: what batches would become as log events and metrics, told and not delivered: for `leadline check
 * --trial`. The layouts are those of the encoder; every declaration, its dimension sets and its near misses are
 * counted.
 *
 * One scrape of each target makes one cycle. A counter's first value counts as told, as the next one would be. On the
 * loop of the batches; sources as in cloudwatch.h.
 */
#ifndef SINK_CLOUDWATCH_EMF_SURVEY_H
#define SINK_CLOUDWATCH_EMF_SURVEY_H

#include "base/counter.h"
#include "model/batch.h"
#include "plan/plan.h"

struct emf_survey;

struct emf_survey_options {
    struct intern *intern;
    struct scope_table *scopes;
    int slot;                             /* of the scopes' forms */
    struct plan *plan;                    /* referenced by the survey; may be NULL */
    const struct plan_cloudwatch *config; /* with emf */
    struct counters *counters;            /* NULL: none */
};

struct emf_survey *emf_survey_new(const struct emf_survey_options *o);
void emf_survey_free(struct emf_survey *s);
struct batch_consumer *emf_survey_batches(struct emf_survey *s);

enum { EMF_SURVEY_EXAMPLES = 3 };

/* Why a set is left out of what is told, though its labels are all there. */
enum emf_survey_skip { EMF_SURVEY_EMPTY, EMF_SURVEY_TOO_LONG, EMF_SURVEY_NOT_ASCII, EMF_SURVEY_NAME, EMF_SURVEY_SKIPS };

struct emf_survey_set {
    const struct plan_dimensions *dimensions;
    uint64_t applied;          /* series that are told by it */
    uint64_t incomplete;       /* selected series that lack a label of it */
    const struct str *missing; /* the labels that some of these lack */
    uint32_t n_missing;
    uint64_t skipped[EMF_SURVEY_SKIPS]; /* series */
    struct str example;                 /* of a skip: name="value", cut when it is long; empty: none */
};

struct emf_survey_declaration {
    const struct plan_emf_declaration *declaration;
    uint32_t number;                   /* as in the label `declaration` of leadline_emf_unique_metrics */
    uint64_t series;                   /* whose labels the matcher finds something in */
    uint64_t selected;                 /* of these: whose name a selector finds something in */
    uint64_t told;                     /* of these: with a dimension set that is possible */
    uint64_t metrics;                  /* that CloudWatch makes of them */
    const struct emf_survey_set *sets; /* as in the declaration */
    const struct str *absent;          /* source_labels that no series has */
    uint32_t n_absent;
    struct str values[EMF_SURVEY_EXAMPLES]; /* of source_labels, joined, in which the matcher found nothing */
    uint32_t n_values;
    const uint32_t *names;  /* by selector: how many names it finds something in, among series that match */
    const struct str *like; /* by selector with none: EMF_SURVEY_EXAMPLES names that are nearest to it, or empty */
};

/* Samples that are told in no form. */
enum emf_survey_drop { EMF_SURVEY_HISTOGRAM, EMF_SURVEY_UNTYPED, EMF_SURVEY_OTHER_TYPE, EMF_SURVEY_DROPS };

struct emf_survey_report {
    const struct emf_survey_declaration *declarations; /* in the order of the configuration */
    uint32_t n_declarations;
    uint64_t samples;    /* without report series */
    uint64_t series;     /* values of events, whatever selects them */
    uint64_t unselected; /* of these: by no declaration */
    uint64_t incomplete; /* of these: selected, and without a set that is possible */
    uint64_t metrics;    /* that CloudWatch makes of all declarations */
    /* Events of one cycle; bytes as CloudWatch Logs counts them, 26 an event included. With drop_unselected both are of
     * what is declared. Kind METRICS: none. */
    uint64_t events, bytes;
    uint64_t undeclared_bytes;                  /* of `bytes`: what LEADLINE_EMF_UNSELECTED=drop would leave out */
    double month_bytes, undeclared_month_bytes; /* of 30 days, by the targets' intervals */
    uint64_t data;                              /* kind METRICS: values of a cycle by dimension set */
    uint64_t dropped[EMF_SURVEY_DROPS];
    struct str dropped_example[EMF_SURVEY_DROPS]; /* a name */
    uint64_t not_finite, left_out;                /* values; labels and metrics with names that EMF cannot carry */
};

/* In the arena, and views into the plan. */
void emf_survey_report(const struct emf_survey *s, struct arena *a, struct emf_survey_report *out);

#endif
