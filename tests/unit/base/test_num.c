/* Numbers: what Go prints and reads (data/numbers.txt, data/parse.txt), and that printing is read back. */
#include "unit.h"

#include <float.h>
#include <math.h>

#include "table.h"

#include "base/num.h"

static double double_of(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(v));
    return bits;
}

static void prints_as_go(void **state)
{
    (void)state;
    struct table t = table_open("numbers.txt");
    struct str f[3];
    int n = 0;
    for (; table_next(&t, ' ', f, 3) == 3; n++) {
        char text[352];
        double v = double_of(table_hex(f[0]));
        assert_str(str_from(text, num_print_double(v, text)), f[1]);
        assert_str(str_from(text, num_print_double_plain(v, text)), f[2]);
    }
    assert_true(n > 300);
    buf_release(&t.bytes);
}

static void reads_as_go(void **state)
{
    (void)state;
    struct table t = table_open("parse.txt");
    struct str f[3];
    int n = 0;
    for (; table_next(&t, '\t', f, 3) == 3; n++) {
        double v = 42;
        enum err e = num_parse_double(f[0], &v), want = str_eq_c(f[1], "ok")      ? OK
                                                        : str_eq_c(f[1], "range") ? ERR_LIMIT
                                                                                  : ERR_SYNTAX;
        if (e != want)
            fail_msg("%.*s: got %s, want %.*s", STR_ARGS(f[0]), err_name(e), STR_ARGS(f[1]));
        double expected = double_of(table_hex(f[2]));
        if (e != ERR_SYNTAX && !(isnan(v) && isnan(expected)) && bits_of(v) != bits_of(expected))
            fail_msg("%.*s: got %a, want %a", STR_ARGS(f[0]), v, expected);
    }
    assert_true(n > 250);
    buf_release(&t.bytes);
}

static void agrees_with_the_c_library(void **state)
{
    (void)state;
    struct unit_random r = unit_random_new();
    for (int i = 0; i < 200000; i++) {
        char text[64];
        double v = i % 2 ? double_of(unit_random_u64(&r))
                         : (double)(int64_t)unit_random_below(&r, 1000000000000) /
                               (double)(1 + unit_random_below(&r, 1000)),
               back, other;
        if (!isfinite(v))
            continue;
        size_t n = num_print_double(v, text);
        text[n] = '\0';
        assert_int_equal(num_parse_double(str_from(text, n), &back), OK);
        assert_int_equal(bits_of(v), bits_of(back));
        assert_int_equal(sscanf(text, "%lf", &other), 1);
        assert_int_equal(bits_of(v), bits_of(other));
        snprintf(text, sizeof(text), "%.*e", (int)unit_random_below(&r, 25), v);
        assert_int_equal(sscanf(text, "%lf", &other), 1);
        assert_int_equal(num_parse_double(str_c(text), &back), isinf(other) ? ERR_LIMIT : OK);
        assert_int_equal(bits_of(other), bits_of(back));
    }
}

static void integers(void **state)
{
    (void)state;
    int64_t i;
    uint64_t u;
    char text[24];
    assert_int_equal(num_parse_i64(STR("-9223372036854775808"), &i), OK);
    assert_true(i == INT64_MIN);
    assert_int_equal(num_parse_i64(STR("+9223372036854775807"), &i), OK);
    assert_true(i == INT64_MAX);
    assert_int_equal(num_parse_i64(STR("9223372036854775808"), &i), ERR_LIMIT);
    assert_int_equal(num_parse_i64(STR("-9223372036854775809"), &i), ERR_LIMIT);
    assert_int_equal(num_parse_u64(STR("18446744073709551615"), &u), OK);
    assert_true(u == UINT64_MAX);
    assert_int_equal(num_parse_u64(STR("18446744073709551616"), &u), ERR_LIMIT);
    static const char *const bad[] = {"", "-", "+", " 1", "1 ", "1.0", "0x1", "1_0", "--1"};
    for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++)
        assert_int_equal(num_parse_i64(str_c(bad[k]), &i), ERR_SYNTAX);
    assert_int_equal(num_parse_u64(STR("-1"), &u), ERR_SYNTAX);
    assert_str_c(str_from(text, num_print_u64(UINT64_MAX, text)), "18446744073709551615");
    assert_str_c(str_from(text, num_print_i64(INT64_MIN, text)), "-9223372036854775808");
    assert_str_c(str_from(text, num_print_i64(-10, text)), "-10");
    for (uint64_t v = 1, k = 0; k < 19; k++, v *= 10) {
        char want[24];
        snprintf(want, sizeof(want), "%llu", (unsigned long long)(v - 1));
        assert_str_c(str_from(text, num_print_u64(v - 1, text)), want);
        snprintf(want, sizeof(want), "%llu", (unsigned long long)v);
        assert_str_c(str_from(text, num_print_u64(v, text)), want);
    }
    AUTO_BUF b = {0};
    buf_double(&b, 1.5);
    buf_u64(&b, 7);
    buf_i64(&b, -3);
    assert_str_c(buf_view(&b), "1.57-3");
}

static void ports_are_from_1_to_65535(void **state)
{
    static const char *const bad[] = {"", "0", "65536", "-1", "+80", " 80", "80x", "18446744073709551696"};
    uint16_t port = 7;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_not_equal(num_parse_port(str_c(bad[i]), &port), OK);
    assert_int_equal(port, 7);
    assert_int_equal(num_parse_port(STR("1"), &port), OK);
    assert_int_equal(port, 1);
    assert_int_equal(num_parse_port(STR("65535"), &port), OK);
    assert_int_equal(port, 65535);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_as_go),
        cmocka_unit_test(reads_as_go),
        cmocka_unit_test(agrees_with_the_c_library),
        cmocka_unit_test(integers),
        cmocka_unit_test(ports_are_from_1_to_65535),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
