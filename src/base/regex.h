/* regex: RE2 (Go's syntax and semantics) behind a small C face. Literals, literal prefixes and alternations of
 * literals never reach RE2. Immutable after regex_new; safe to match from several threads.
 */
#ifndef BASE_REGEX_H
#define BASE_REGEX_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct regex;

/* Compiles `^(?s:pattern)$`, as Prometheus anchors. The error text is Go's where RE2 gives it:
 * "error parsing regexp: missing closing ): `...`". */
enum err regex_new(struct str pattern, struct regex **out, struct diag *d) MUST_USE;
/* The pattern as Go's regexp.MatchString has it: found anywhere, and a dot is no newline. Same errors. */
enum err regex_new_search(struct str pattern, struct regex **out, struct diag *d) MUST_USE;
void regex_free(struct regex *re);
struct str regex_pattern(const struct regex *re); /* as given */
bool regex_match(const struct regex *re, struct str s);
/* Matches s and appends the template with $1, ${1}, $name, ${name} and $$ replaced as Go's Regexp.Expand does.
 * False, nothing appended, when there is no match. */
bool regex_expand(const struct regex *re, struct str s, struct str template, struct buf *out);

#endif
