/* text_table: a table that fits a terminal, whatever is in it. */
#include "unit.h"

#include "base/mem.h"
#include "cmd/text_table.h"

static const char *const names[] = {"JOB", "WHAT", "WHY"};

static void add_row(struct text_table *t, const char *a, const char *b, const char *c)
{
    text_table_add(t, str_c(a));
    text_table_add(t, str_c(b));
    text_table_add(t, str_c(c));
}

static void test_narrow(void **state)
{
    struct text_table t;
    AUTO_BUF out = {0};

    (void)state;
    text_table_init(&t, names, 3);
    text_table_print(&t, 40, &out);
    assert_int_equal(out.n, 0);
    add_row(&t, "a", "", "because");
    add_row(&t, "long", "b", "");
    text_table_print(&t, 40, &out);
    assert_string_equal(out.p, "JOB   WHAT  WHY\n"
                               "a           because\n"
                               "long  b\n");
    text_table_release(&t);
}

static void test_a_column_without_text_is_left_out(void **state)
{
    struct text_table t;
    AUTO_BUF out = {0};

    (void)state;
    text_table_init(&t, names, 3);
    add_row(&t, "", "x", "y");
    text_table_print(&t, 40, &out);
    assert_string_equal(out.p, "WHAT  WHY\nx     y\n");
    text_table_release(&t);
}

static void test_breaks(void **state)
{
    struct text_table t;
    AUTO_BUF out = {0};

    (void)state;
    text_table_init(&t, names, 3);
    add_row(&t, "a", "http://10.0.0.1:9100/metrics", "one two three, four");
    text_table_print(&t, 31, &out);
    assert_string_equal(out.p, "JOB  WHAT          WHY\n"
                               "a    http://10.0.  one two\n"
                               "     0.1:9100/met  three, four\n"
                               "     rics\n");
    text_table_release(&t);
}

static void test_a_section(void **state)
{
    struct text_table t;
    AUTO_BUF out = {0};

    (void)state;
    text_table_init(&t, names, 3);
    text_table_end(&t, "FAILED", 40, &out);
    assert_int_equal(out.n, 0);
    text_table_init(&t, names, 3);
    add_row(&t, "a", "b", "c");
    text_table_end(&t, "FAILED", 40, &out);
    assert_string_equal(out.p, "FAILED\n"
                               "JOB  WHAT  WHY\n"
                               "a    b     c\n\n");
}

/* Every line fits, characters stay whole, and nothing but the room between words is lost. */
static void test_any_text(void **state)
{
    struct text_table t;
    AUTO_BUF out = {0};
    uint32_t width = 0, marks = 0;

    (void)state;
    text_table_init(&t, names, 3);
    for (int i = 0; i < 20; i++)
        add_row(&t, "ä ö ü ß ä ö ü ß ä ö ü ß", "€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€", "a\tb\x1b[31m\x7f");
    text_table_print(&t, 30, &out);
    assert_true(str_is_utf8(buf_view(&out)));
    for (size_t i = 0; i < out.n; i++) {
        unsigned char c = (unsigned char)out.p[i];
        width = c == '\n' ? 0 : width + ((c & 0xc0) != 0x80);
        assert_true(width <= 30);
        assert_true(c == '\n' || c >= ' ');
        marks += c == 0xe2;
    }
    assert_int_equal(marks, 20 * 36);
    assert_true(str_contains(buf_view(&out), STR("a?b?[31m?")));
    text_table_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_narrow),
        cmocka_unit_test(test_a_column_without_text_is_left_out),
        cmocka_unit_test(test_breaks),
        cmocka_unit_test(test_a_section),
        cmocka_unit_test(test_any_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
