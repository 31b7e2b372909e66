/* emf_diff_int: what reading and comparing share. */
#ifndef FORMAT_EMF_DIFF_INT_H
#define FORMAT_EMF_DIFF_INT_H

#include <stdbool.h>

#include "base/map.h"
#include "format/emf_diff.h"

/* Strings by number, each once. */
struct emf_names {
    struct arena arena;
    struct map map;
    struct str *v;
    uint32_t n;
    size_t cap;
};

struct emf_point {
    int64_t ts_ms;
    double value;
};

/* A series as one side has it. */
struct emf_line {
    struct emf_point *points;
    size_t n, cap;
    uint32_t *directives; /* names, sorted, each once */
    size_t n_directives, cap_directives;
};

struct emf_series {
    uint32_t labels, metric; /* names */
    bool counter;
    struct emf_line sides[EMF_DIFF_SIDES];
};

struct emf_diff {
    struct emf_diff_options o;
    struct emf_names names;
    struct emf_series *series;
    uint32_t n;
    size_t cap;
    struct map by_key;
    struct emf_diff_side sides[EMF_DIFF_SIDES];
    struct emf_names label_names[EMF_DIFF_SIDES];
    struct arena scratch; /* of one event */
};

uint32_t emf_name(struct emf_names *t, struct str s);
bool emf_has_name(const struct emf_names *t, struct str s);

#endif
