/* fuzz_base: the readers of src/base over one input: numbers, durations, sizes, UTF-8, quoting, regular expressions.
 *
 * Besides not crashing: what is printed reads back as the same number, quoting yields valid UTF-8, and a pattern that
 * compiles matches a text the same way with and without expansion. The input is PATTERN NUL TEMPLATE NUL TEXT for the
 * expressions, and the whole of it for the rest.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "base/quote.h"
#include "base/regex.h"
#include "base/units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void numbers(struct str s)
{
    double v, back;
    int64_t i;
    uint64_t u;
    char text[352];
    if (num_parse_double(s, &v) == OK && !isnan(v)) {
        CHECK(num_parse_double(str_from(text, num_print_double(v, text)), &back) == OK && back == v);
        CHECK(num_parse_double(str_from(text, num_print_double_plain(v, text)), &back) == OK && back == v);
    }
    if (num_parse_i64(s, &i) == OK && i >= 0)
        CHECK(num_parse_u64(s.p[0] == '+' || s.p[0] == '-' ? str_from(s.p + 1, s.n - 1) : s, &u) == OK &&
              u == (uint64_t)i);
}

static void units(struct str s)
{
    AUTO_BUF b = {0};
    int64_t v, back;
    uint64_t bytes;
    struct diag d = {0};
    if (units_parse_duration(s, &v, &d) == OK) {
        units_print_duration(&b, v);
        CHECK(units_parse_duration(buf_view(&b), &back, NULL) == OK && back == v);
    } else {
        CHECK(d.text[0]);
    }
    if (units_parse_size(s, &bytes, NULL) == OK)
        units_print_size(&b, bytes);
    if (units_parse_go_duration(s, &v, NULL) == OK)
        buf_i64(&b, v);
}

static void text(struct str s)
{
    AUTO_BUF quoted = {0}, json = {0};
    buf_quote(&quoted, s);
    buf_quote_json(&json, s);
    CHECK(str_is_utf8(buf_view(&quoted)) && str_is_utf8(buf_view(&json)));
}

static void expressions(struct str s)
{
    struct str pattern, template;
    struct regex *re;
    AUTO_BUF out = {0};
    str_cut(s, '\0', &pattern, &s);
    str_cut(s, '\0', &template, &s);
    if (pattern.n > 200 || regex_new(pattern, &re, NULL))
        return;
    CHECK(regex_match(re, s) == regex_expand(re, s, template, &out));
    CHECK(str_eq(regex_pattern(re), pattern));
    regex_free(re);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_from((const char *)data, size);
    numbers(s);
    units(s);
    text(s);
    expressions(s);
    return 0;
}
