/* selector_int: PromQL's metric selector, for ?match_target=: name{label="value", other!~"re.*"}. */
#ifndef WEB_SELECTOR_INT_H
#define WEB_SELECTOR_INT_H

#include "base/regex.h"
#include "model/label.h"

struct matcher {
    struct str name, value;
    struct regex *regex; /* of =~ and !~ */
    bool negative;
};

struct selector {
    struct arena arena;
    struct matcher *v;
    uint32_t n;
};

/* Empty text matches everything. On an error there is nothing to release. */
enum err selector_parse(struct str text, struct selector *out, struct diag *d) MUST_USE;
bool selector_matches(const struct selector *s, struct labels l);
void selector_release(struct selector *s);

#endif
