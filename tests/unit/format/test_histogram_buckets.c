/* Native histograms before they are stored: resolution, limits, empty buckets, what is refused. The numbers are worked
 * out by hand; tests/conformance/textparse asks the original for thousands of others. */
#include "unit.h"

#include <math.h>

#include "base/mem.h"
#include "base/num.h"
#include "format/histogram_buckets.h"

#define SPANS(...)                                                                                                     \
    (const struct histogram_span[])                                                                                    \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define DELTAS(...)                                                                                                    \
    (const int64_t[])                                                                                                  \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define COUNTS(...)                                                                                                    \
    (const double[])                                                                                                   \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

static struct arena arena;

static int tear_down(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static struct histogram integer(int32_t schema, uint64_t count, const struct histogram_span *spans, uint32_t n_spans,
                                const int64_t *deltas, uint32_t n)
{
    return (struct histogram){.schema = schema,
                              .count_int = count,
                              .sum = 1,
                              .positive = {.spans = spans, .n_spans = n_spans, .n = n, .deltas = deltas}};
}

/* "offset:length .. | bucket .." of a side */
static void expect_side(const struct histogram_buckets *b, bool is_float, const char *want)
{
    AUTO_BUF out = {0};
    for (uint32_t i = 0; i < b->n_spans; i++)
        buf_printf(&out, "%d:%u ", b->spans[i].offset, b->spans[i].length);
    buf_c(&out, "|");
    for (uint32_t i = 0; i < b->n; i++) {
        buf_char(&out, ' ');
        if (is_float)
            buf_double(&out, b->counts[i]);
        else
            buf_i64(&out, b->deltas[i]);
    }
    assert_string_equal(out.p, want);
}

static void empty_buckets_are_left_out(void **state)
{
    (void)state;
    /* counts 0 3 0 0 2, then a gap of 1, 0 1 */
    struct histogram h = integer(0, 6, SPANS({-2, 5}, {1, 2}), 2, DELTAS(0, 3, -3, 0, 2, -2, 1), 7);
    histogram_compact(&h, 0, &arena);
    expect_side(&h.positive, false, "-1:1 2:1 2:1 | 3 -1 -1");
    assert_int_equal(histogram_validate(&h, NULL), OK);
}

static void short_gaps_may_stay(void **state)
{
    (void)state;
    struct histogram h = integer(0, 6, SPANS({0, 1}, {2, 1}, {3, 1}), 3, DELTAS(1, 1, 1), 3);
    histogram_compact(&h, 2, &arena);
    expect_side(&h.positive, false, "0:4 3:1 | 1 -1 0 2 1");
}

static void nothing_is_left_of_nothing(void **state)
{
    (void)state;
    struct histogram h = integer(0, 0, SPANS({3, 0}, {1, 2}), 2, DELTAS(0, 0), 2);
    histogram_compact(&h, 0, &arena);
    expect_side(&h.positive, false, "|");
}

static void lower_resolution_joins_neighbours(void **state)
{
    (void)state;
    /* index -1 0 1 2 | 5: (i - 1 >> 1) + 1 is 0 0 1 1 | 3 */
    struct histogram h = integer(3, 16, SPANS({-1, 4}, {2, 1}), 2, DELTAS(1, 1, 1, 1, 2), 5);
    assert_int_equal(histogram_reduce_resolution(&h, 2, &arena, NULL), OK);
    assert_int_equal(h.schema, 2);
    expect_side(&h.positive, false, "0:2 1:1 | 3 4 -1");
    assert_int_equal(histogram_validate(&h, NULL), OK);
}

static void lower_resolution_of_floats(void **state)
{
    (void)state;
    struct histogram h = {.is_float = true, .schema = 1, .count_float = 4};
    h.negative =
        (struct histogram_buckets){.spans = SPANS({0, 3}), .n_spans = 1, .n = 3, .counts = COUNTS(0.5, 1.5, 2)};
    assert_int_equal(histogram_reduce_resolution(&h, 0, &arena, NULL), OK);
    expect_side(&h.negative, true, "0:2 | 0.5 3.5");
}

static void custom_buckets_have_one_resolution(void **state)
{
    (void)state;
    struct diag d = {0};
    struct histogram h = integer(HISTOGRAM_CUSTOM_BUCKETS, 1, SPANS({0, 1}), 1, DELTAS(1), 1);
    assert_int_equal(histogram_reduce_resolution(&h, 0, &arena, &d), ERR_SYNTAX);
    assert_string_equal(d.text, "cannot reduce resolution when there are custom buckets");
    diag_reset(&d);
    h.positive = (struct histogram_buckets){.spans = SPANS({0, 2}), .n_spans = 1, .n = 2, .deltas = DELTAS(1, 0)};
    h.count_int = 2;
    h.custom_values = COUNTS(1);
    h.n_custom_values = 1;
    assert_int_equal(histogram_prepare(&h, HISTOGRAM_SCHEMA_MAX, 1, &arena, &d), ERR_LIMIT);
    assert_string_equal(d.text, "histogram bucket limit exceeded");
    assert_int_equal(histogram_prepare(&h, HISTOGRAM_SCHEMA_MAX, 2, &arena, &d), OK);
}

static void the_limit_lowers_the_resolution_as_far_as_it_must(void **state)
{
    (void)state;
    struct diag d = {0};
    struct histogram h = integer(8, 8, SPANS({1, 8}), 1, DELTAS(1, 0, 0, 0, 0, 0, 0, 0), 8);
    assert_int_equal(histogram_prepare(&h, HISTOGRAM_SCHEMA_MAX, 3, &arena, &d), OK);
    assert_int_equal(h.schema, 6);
    expect_side(&h.positive, false, "1:2 | 4 0");
    /* far apart: no schema brings them together */
    struct histogram far = integer(-3, 2, SPANS({1, 1}, {1000, 1}), 2, DELTAS(1, 0), 2);
    assert_int_equal(histogram_prepare(&far, HISTOGRAM_SCHEMA_MAX, 1, &arena, &d), ERR_LIMIT);
}

static void the_bucket_factor_caps_the_schema(void **state)
{
    (void)state;
    static const struct {
        double factor;
        int32_t schema;
    } table[] = {{0, 8},    {1, 8},    {1.001, 8}, {1.002, 8}, {1.003, 7},  {1.005, 7},
                 {1.01, 6}, {1.02, 5}, {1.04, 4},  {1.08, 3},  {1.18, 2},   {1.4, 1},
                 {2, 0},    {4, -1},   {16, -2},   {256, -3},  {65536, -4}, {1e9, -4}};
    for (size_t i = 0; i < COUNT_OF(table); i++)
        assert_int_equal(histogram_schema_for_factor(table[i].factor), table[i].schema);
    struct histogram h = integer(4, 4, SPANS({0, 4}), 1, DELTAS(1, 0, 0, 0), 4);
    assert_int_equal(histogram_prepare(&h, 2, 0, &arena, NULL), OK);
    assert_int_equal(h.schema, 2);
    h.schema = 10; /* finer than can be stored */
    assert_int_equal(histogram_prepare(&h, HISTOGRAM_SCHEMA_MAX, 0, &arena, NULL), OK);
    assert_int_equal(h.schema, 8);
}

static void expect_refused(const struct histogram *h, const char *text)
{
    struct diag d = {0};
    assert_int_equal(histogram_validate(h, &d), ERR_SYNTAX);
    assert_string_equal(d.text, text);
}

static void what_may_not_be_stored(void **state)
{
    (void)state;
    struct histogram h = integer(0, 3, SPANS({0, 2}, {-1, 1}), 2, DELTAS(1, 0, 0), 3);
    expect_refused(&h, "positive side: span number 2 with offset -1: histogram has a span whose offset is negative");
    h = integer(0, 3, SPANS({0, 4}), 1, DELTAS(1, 0, 0), 3);
    expect_refused(&h,
                   "positive side: spans need 4 buckets, have 3 buckets: histogram spans specify different number of "
                   "buckets than provided");
    h = integer(0, 0, SPANS({0, 2}), 1, DELTAS(1, -2), 2);
    expect_refused(&h, "positive side: bucket number 2 has observation count of -1: histogram has a bucket whose "
                       "observation count is negative");
    h = integer(0, 5, SPANS({0, 2}), 1, DELTAS(1, 0), 2);
    expect_refused(&h,
                   "2 observations found in buckets, but the Count field is 5: histogram's observation count should "
                   "equal the number of observations found in the buckets (in absence of NaN)");
    h.sum = NAN; /* NaN observations are in no bucket */
    assert_int_equal(histogram_validate(&h, NULL), OK);
    h = integer(9, 2, SPANS({0, 2}), 1, DELTAS(1, 0), 2);
    expect_refused(&h,
                   "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 "
                   "for custom buckets, got schema 9");
    h = integer(HISTOGRAM_CUSTOM_BUCKETS, 2, SPANS({0, 2}), 1, DELTAS(1, 0), 2);
    expect_refused(&h,
                   "custom buckets: only 0 custom bounds defined which is insufficient to cover total span length of "
                   "2: histogram custom bounds are too few");
}

static void exemplars_are_in_order(void **state)
{
    (void)state;
    struct exemplar v[] = {{.value = 2, .ts_ms = 5}, {.value = 1, .ts_ms = 5}, {.value = 9, .ts_ms = 1}};
    exemplars_sort(v, 3);
    assert_true(v[0].value == 9 && v[1].value == 1 && v[2].value == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_buckets_are_left_out),
        cmocka_unit_test(short_gaps_may_stay),
        cmocka_unit_test(nothing_is_left_of_nothing),
        cmocka_unit_test(lower_resolution_joins_neighbours),
        cmocka_unit_test(lower_resolution_of_floats),
        cmocka_unit_test(custom_buckets_have_one_resolution),
        cmocka_unit_test(the_limit_lowers_the_resolution_as_far_as_it_must),
        cmocka_unit_test(the_bucket_factor_caps_the_schema),
        cmocka_unit_test(what_may_not_be_stored),
        cmocka_unit_test(exemplars_are_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
