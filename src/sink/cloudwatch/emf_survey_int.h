/* emf_survey_int: what a survey keeps while batches come. Private to sink/cloudwatch/. */
#ifndef SINK_CLOUDWATCH_EMF_SURVEY_INT_H
#define SINK_CLOUDWATCH_EMF_SURVEY_INT_H

#include "sink/cloudwatch/emf_int.h"
#include "sink/cloudwatch/emf_survey.h"

/* A name of a series whose labels match. */
struct survey_name {
    struct str name;
    bool selected;
};

struct survey_set {
    uint64_t applied, incomplete, skipped[EMF_SURVEY_SKIPS];
    uint64_t *lacking; /* by label */
    struct str example;
};

/* Hashes, each once. */
struct survey_hashes {
    uint64_t *v;
    size_t n, cap;
    struct map map;
};

struct survey_declaration {
    const struct plan_emf_declaration *declaration;
    uint64_t series, selected, told;
    uint64_t *present; /* by source label: series that have it */
    struct survey_name *names;
    size_t n_names, cap_names;
    struct map by_name;
    uint32_t *by_selector; /* names that it finds something in */
    struct survey_set *sets;
    struct survey_hashes metrics;
    struct str values[EMF_SURVEY_EXAMPLES];
    uint32_t n_values;
};

struct emf_survey {
    struct batch_consumer consumer;
    struct plan_cloudwatch config; /* with `emf`: under which everything is in a layout */
    struct plan_emf emf;
    bool drop_unselected, data; /* of the configuration as it is; data: kind METRICS */
    struct emf *e;
    struct arena arena; /* names, examples */
    struct survey_declaration *declarations;
    uint32_t n_declarations;
    struct survey_hashes metrics;

    /* of one run */
    struct emf_out out;
    uint8_t *flags; /* by value of an event */
    size_t cap_flags;
    uint32_t *picked;
    size_t cap_picked;
    struct buf joined;
    struct arena scratch;

    struct emf_survey_report sum; /* its numbers; examples are in `arena` */
};

#endif
