/* rules: relabelling rules and label sets, written short in tests. */
#ifndef TEST_SHAPE_RULES_H
#define TEST_SHAPE_RULES_H

#include "model/label.h"
#include "plan/relabel_rules.h"

/* What is NULL gets the default of the configuration. */
struct rule_text {
    enum relabel_action action;
    const char *sources; /* "a b" */
    const char *regex, *target, *replacement, *separator;
    uint64_t modulus;
    bool legacy;
};

struct relabel_rules *rules_new(const struct rule_text *texts, uint32_t n);
void rules_free(struct relabel_rules *rules);
#define RULES(...)                                                                                                     \
    rules_new((const struct rule_text[]){__VA_ARGS__},                                                                 \
              sizeof((struct rule_text[]){__VA_ARGS__}) / sizeof(struct rule_text))

/* "a=1 b= c=x": sorted here; the text must outlive the labels. */
struct labels labels_of_text(const char *text, struct arena *a);
/* The way back. */
const char *text_of_labels(struct labels l, struct arena *a);

#endif
