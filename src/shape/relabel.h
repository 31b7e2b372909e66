/* relabel: Prometheus' relabelling, all eleven actions (docs/configuration: relabel_config), RE2 semantics.
 *
 * Rules are compiled once, with the plan, and immutable. They run on a labels_builder, which notes whether a scope
 * label's value was read: then the outcome belongs to this scope alone, else to every scope with the same label names.
 *
 * What config/ has seen to, as the original does when it loads a file: hashmod has a modulus, target_label is there and
 * valid where it is literal, defaults are filled in (separator ";", replacement "$1"), regex is set (for "(.*)" NULL
 * will do with keep, drop, and with replace where target_label is literal and replacement is literal or "$1").
 */
#ifndef SHAPE_RELABEL_H
#define SHAPE_RELABEL_H

#include <stdbool.h>

#include "base/err.h"
#include "model/label.h"
#include "plan/relabel_rules.h"

const char *relabel_action_name(enum relabel_action a); /* as the configuration spells it */

/* Changes b; false: the target or sample is dropped (b is then half done and of no use). Thread-safe on the rules.
 * Afterwards names and values in b may point into the rules. NULL rules change nothing. */
bool relabel_run(const struct relabel_rules *rules, struct labels_builder *b);
/* One rule, for the step-by-step display. */
bool relabel_run_one(const struct relabel_rule *rule, struct labels_builder *b);

#endif
