/* num: numbers to and from text, exactly as Go reads and prints them, without locale.
 * Reading: a fast path in C (up to 15 digits, small powers of ten), std::from_chars behind it; correctly rounded.
 * Printing: std::to_chars gives the shortest digits that read back; the layout is Go's.
 */
#ifndef BASE_NUM_H
#define BASE_NUM_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Go's strconv.ParseFloat(s, 64) without hexadecimal floats and underscores: decimal, exponent, optional sign,
 * inf/infinity/nan in any case. The whole of s must be used. Out of range is +-Inf with ERR_LIMIT (Go: ErrRange). */
enum err num_parse_double(struct str s, double *out) MUST_USE;
enum err num_parse_i64(struct str s, int64_t *out) MUST_USE; /* optional sign, decimal digits, whole string */
enum err num_parse_u64(struct str s, uint64_t *out) MUST_USE;
enum err num_parse_port(struct str s, uint16_t *out) MUST_USE; /* decimal digits: 1 to 65535 */

/* strconv.FormatFloat(v, 'g', -1, 64): 1e+06, 0.0001, +Inf, -Inf, NaN. Returns the length; out holds at least 32. */
size_t num_print_double(double v, char out[32]);
/* strconv.FormatFloat(v, 'f', -1, 64), at most 350 characters. */
size_t num_print_double_plain(double v, char out[352]);
size_t num_print_u64(uint64_t v, char out[24]);
size_t num_print_i64(int64_t v, char out[24]);
void buf_double(struct buf *b, double v);
void buf_u64(struct buf *b, uint64_t v);
void buf_i64(struct buf *b, int64_t v);

#endif
