/* relabel_rules: compiled relabelling rules as plain data (Prometheus: relabel_config). config/ makes them with the
 * plan, shape/relabel.h runs them. Immutable; any thread.
 */
#ifndef PLAN_RELABEL_RULES_H
#define PLAN_RELABEL_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/regex.h"
#include "base/str.h"

enum relabel_action {
    RELABEL_REPLACE,
    RELABEL_KEEP,
    RELABEL_DROP,
    RELABEL_KEEPEQUAL,
    RELABEL_DROPEQUAL,
    RELABEL_HASHMOD,
    RELABEL_LABELMAP,
    RELABEL_LABELDROP,
    RELABEL_LABELKEEP,
    RELABEL_LOWERCASE,
    RELABEL_UPPERCASE,
};

struct relabel_rule {
    enum relabel_action action;
    struct str *source_labels;
    uint32_t n_source_labels;
    struct str separator, target_label, replacement;
    struct regex *regex;
    uint64_t modulus;
    bool legacy_names; /* metric_name_validation_scheme: legacy */
};

struct relabel_rules {
    struct relabel_rule *rules;
    uint32_t n;
};

#endif
