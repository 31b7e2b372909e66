/* relabel_steps: what each rule of a relabel_configs list does to one label set, for pages and `leadline check
 * relabel`. Any thread; everything lives in the caller's arena.
 */
#ifndef WEB_RELABEL_STEPS_H
#define WEB_RELABEL_STEPS_H

#include "base/arena.h"
#include "base/buf.h"
#include "model/label.h"
#include "plan/relabel_rules.h"

struct relabel_step {
    const struct relabel_rule *rule;
    bool ran;  /* an earlier rule had not dropped it */
    bool keep; /* it is still there behind this rule */
    struct labels before, after;
};

/* Sorted labels in; NULL rules are none. */
uint32_t relabel_steps(const struct relabel_rules *rules, struct labels labels, struct arena *a,
                       struct relabel_step **out);
/* The rule as a configuration writes it, in one line: {source_labels: [a, b], regex: x, action: keep} without what is
 * as by default. */
void relabel_rule_print(const struct relabel_rule *rule, struct buf *out);
/* What differs between two label sets, called in the order of names: removed (after empty), added (before empty) or
 * changed. */
typedef void(relabel_change_fn)(void *ctx, struct str name, struct str before, struct str after);
void relabel_changes(struct labels before, struct labels after, relabel_change_fn *fn, void *ctx);

#endif
