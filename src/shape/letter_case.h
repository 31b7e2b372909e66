/* letter_case: upper and lower case as Go's strings.ToUpper and strings.ToLower, without a locale.
 *
 * All simple (one letter to one letter) mappings of Unicode are covered. As in Go, mappings to several letters are not
 * made: the German sharp s has no upper case here. Bytes that are not UTF-8 become U+FFFD, as there.
 */
#ifndef SHAPE_LETTER_CASE_H
#define SHAPE_LETTER_CASE_H

#include "base/buf.h"
#include "base/str.h"

void letter_case_lower(struct str s, struct buf *out); /* appends */
void letter_case_upper(struct str s, struct buf *out);

#endif
