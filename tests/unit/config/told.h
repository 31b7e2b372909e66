/* told: what the tests of the CloudWatch agent's JSON share: sources named a.json, b.json ... read in a task whose
 * cluster is "own", with an environment of a few variables.
 */
#ifndef TESTS_UNIT_CONFIG_TOLD_H
#define TESTS_UNIT_CONFIG_TOLD_H

#include "unit.h"

#include "config/config.h"

struct told {
    struct arena arena;
    struct config_errors errors;
    struct plan *plan; /* NULL: refused */
    bool debug;
};

extern const struct config_agent_options in_a_task;      /* region eu-west-1, in no container */
extern const struct config_agent_options in_a_container; /* the same in one, with a task's ARN */

struct told tell(const char *const *texts, uint32_t n, const struct config_agent_options *o);
void forget(struct told *t);
/* Of a text that must be taken; the caller unrefs it. */
struct plan *good_with(const char *text, const struct config_agent_options *o);
struct plan *good(const char *text); /* in a task */
/* Every error, "line:col: text\n" each, in front of it the file when it is not a.json, equals `expected`; all are of
 * this code. */
void refused(const char *text, const struct config_agent_options *o, enum err code, const char *expected);
void bad(const char *text, const char *expected); /* ERR_SYNTAX, in a task */
/* One of the warnings contains it. */
void assert_warned(const struct plan *p, const char *words);

#endif
