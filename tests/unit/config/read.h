/* read: what the tests of the configuration dialects share. A configuration is given as text, directory "conf". */
#ifndef TESTS_UNIT_CONFIG_READ_H
#define TESTS_UNIT_CONFIG_READ_H

#include "unit.h"

#include "config/config.h"

struct reading {
    struct arena arena;
    struct config_errors errors;
    struct plan *plan; /* NULL: refused */
};

struct reading read_text(const char *text, bool agent);
void reading_release(struct reading *r);

/* The plan of a text that must be taken; the caller unrefs it. */
struct plan *read_good(const char *text);
/* Every error of the text, "line:col: text\n" each, equals `expected`. */
void assert_errors(const char *text, const char *expected);
/* The first error starts with `line:col: ` and contains `words`, and its code is `code`. */
void assert_error(const char *text, enum err code, const char *words);

#endif
