/* quote: text between double quotes, for messages and logs. */
#ifndef BASE_QUOTE_H
#define BASE_QUOTE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/* Go's strconv.Quote, what %q prints: "a\nb", invalid bytes as \xff, what is not printable as \u200b. */
void buf_quote(struct buf *b, struct str s);
/* A JSON string, quotes included; what is not UTF-8 becomes U+FFFD, U+2028 and U+2029 are escaped, '<' is not. */
void buf_quote_json(struct buf *b, struct str s);
/* The character that starts at s.p[i], i < s.n: its length, or 0 (and nothing in *rune) for a byte that is not UTF-8.
 */
size_t quote_rune(struct str s, size_t i, uint32_t *rune);
/* What Go's unicode.IsPrint says, but for a few unassigned characters. */
bool quote_is_printable(uint32_t rune);

#endif
