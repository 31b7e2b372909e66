/* Failures as people read them: first message wins, places, system errors, cutting. */
#include "unit.h"

#include <errno.h>

#include "base/err.h"

static void first_message_wins(void **state)
{
    (void)state;
    struct diag d = {0};
    assert_int_equal(diag_set(&d, ERR_SYNTAX, "bad %s", "thing"), ERR_SYNTAX);
    assert_int_equal(diag_set(&d, ERR_IO, "later"), ERR_IO);
    assert_string_equal(d.text, "bad thing");
    diag_reset(&d);
    diag_set(&d, ERR_IO, "later");
    assert_string_equal(d.text, "later");
}

static void null_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(diag_set(NULL, ERR_LIMIT, "x"), ERR_LIMIT);
    assert_int_equal(diag_at(NULL, ERR_LIMIT, "f", 1, 2, "x"), ERR_LIMIT);
    assert_int_equal(diag_errno(NULL, ERR_IO, ENOENT, "x"), ERR_IO);
    diag_reset(NULL);
}

static void places_are_formatted(void **state)
{
    (void)state;
    struct diag d = {0};
    char out[64];
    diag_at(&d, ERR_SYNTAX, "a.yml", 3, 7, "odd");
    diag_format(&d, out, sizeof(out));
    assert_string_equal(out, "a.yml:3:7: odd");
    d.col = 0;
    diag_format(&d, out, sizeof(out));
    assert_string_equal(out, "a.yml:3: odd");
    d.line = 0;
    diag_format(&d, out, sizeof(out));
    assert_string_equal(out, "a.yml: odd");
    d.file[0] = '\0';
    diag_format(&d, out, sizeof(out));
    assert_string_equal(out, "odd");
    diag_format(&d, out, 3);
    assert_string_equal(out, "od");
}

static void system_errors_are_named(void **state)
{
    (void)state;
    struct diag d = {0};
    diag_errno(&d, ERR_IO, EACCES, "open %s", "/x");
    assert_string_equal(d.text, "open /x: Permission denied");
    assert_int_equal(d.sys_errno, EACCES);
}

static void long_texts_are_cut_between_characters(void **state)
{
    (void)state;
    struct diag d = {0};
    char text[2000];
    for (size_t i = 0; i + 2 < sizeof(text); i += 2)
        memcpy(text + i, "é", 2);
    text[sizeof(text) - 2] = '\0';
    diag_set(&d, ERR_SYNTAX, "%s", text);
    assert_true(strlen(d.text) >= sizeof(d.text) - 3);
    assert_true(str_ends(str_c(d.text), STR("...")));
    assert_true(str_is_utf8(str_c(d.text)));
    diag_reset(&d);
    diag_errno(&d, ERR_IO, ENOENT, "%s", text);
    assert_true(str_ends(str_c(d.text), STR("...")));
}

static void every_code_has_a_name(void **state)
{
    (void)state;
    for (int i = OK; i <= ERR_INTERNAL; i++)
        assert_true(err_name((enum err)i)[0] != '\0');
    assert_string_equal(err_name(ERR_TIMEOUT), "timeout");
    assert_string_equal(err_name((enum err)999), "unknown");
}

static void test_the_first_that_is_kept_stays(void **state)
{
    struct diag kept = {0}, one = {0}, two = {0};

    (void)state;
    diag_at(&one, ERR_SYNTAX, "a.yml", 3, 1, "one");
    diag_set(&two, ERR_IO, "two");
    diag_keep(&kept, &one);
    diag_keep(&kept, &two);
    assert_string_equal(kept.text, "one");
    assert_string_equal(kept.file, "a.yml");
    assert_int_equal(kept.line, 3);
    diag_reset(&kept);
    diag_keep(&kept, &two);
    assert_string_equal(kept.text, "two");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_message_wins),
        cmocka_unit_test(null_is_allowed),
        cmocka_unit_test(places_are_formatted),
        cmocka_unit_test(system_errors_are_named),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(every_code_has_a_name),
        cmocka_unit_test(test_the_first_that_is_kept_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
