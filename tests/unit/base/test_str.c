/* Views: comparing, cutting, trimming, and which bytes are UTF-8. */
#include "unit.h"

#include "base/mem.h"

static void comparing(void **state)
{
    (void)state;
    assert_true(str_eq(STR_NONE, STR("")));
    assert_true(str_eq_nocase(STR("Content-TYPE"), STR("content-type")));
    assert_false(str_eq_nocase(STR("a"), STR("ab")));
    assert_false(str_eq_nocase(STR("@"), STR("`"))); /* differ by 32, but are no letters */
    assert_true(str_cmp(STR("Z"), STR("a")) < 0);
    assert_true(str_cmp(STR("a"), STR("ab")) < 0);
    assert_true(str_cmp(STR("\xff"), STR("a")) > 0);
    assert_int_equal(str_cmp(STR_NONE, STR("")), 0);
    assert_true(str_starts(STR("abc"), STR("ab")) && str_starts(STR("abc"), STR_NONE) &&
                !str_starts(STR("a"), STR("ab")));
    assert_true(str_ends(STR("abc"), STR("bc")) && str_ends(STR("abc"), STR_NONE) && !str_ends(STR("c"), STR("bc")));
    assert_true(str_contains(STR("abc"), STR("b")) && str_contains(STR_NONE, STR("")) &&
                !str_contains(STR("ab"), STR("abc")));
}

static void cutting(void **state)
{
    (void)state;
    struct str head, tail;
    assert_true(str_cut(STR("a=b=c"), '=', &head, &tail));
    assert_str_c(head, "a");
    assert_str_c(tail, "b=c");
    assert_false(str_cut(STR("abc"), '=', &head, &tail));
    assert_str_c(head, "abc");
    assert_int_equal(tail.n, 0);
    assert_true(str_cut(STR("="), '=', &head, &tail));
    assert_int_equal(head.n + tail.n, 0);
    assert_false(str_cut(STR_NONE, '=', &head, &tail));
    assert_str_c(str_trim(STR(" \t\r\n a b \v\f")), "a b");
    assert_str_c(str_trim(STR("  ")), "");
    char *c = str_to_c(str_from("abcdef", 3));
    assert_string_equal(c, "abc");
    free(c);
}

static void utf8(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "plain ascii of more than eight bytes",
                                       "é",
                                       "߿",
                                       "ࠀ",
                                       "日本語",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xEF\xBF\xBF",
                                       "😀",
                                       "\xF4\x8F\xBF\xBF",
                                       "12345678é",
                                       "1234567é9"};
    static const char *const bad[] = {"\x80",
                                      "\xC0\x80",
                                      "\xC1\xBF",
                                      "\xC3",
                                      "\xE0\x9F\xBF",
                                      "\xE2\x82",
                                      "\xED\xA0\x80",
                                      "\xED\xBF\xBF",
                                      "\xF0\x8F\xBF\xBF",
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80",
                                      "\xFF",
                                      "12345678\xFF",
                                      "é\xE9",
                                      "\xC3(",
                                      "\xE2\x28\xA1",
                                      "\xF0\x9F\x98"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(str_is_utf8(str_c(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (str_is_utf8(str_c(bad[i])))
            fail_msg("bad[%zu] passed", i);
    }
}

static void characters_become_utf8(void **state)
{
    static const struct {
        uint32_t rune;
        const char *text;
    } cases[] = {
        {0x41, "A"},
        {0x7f, "\x7f"},
        {0x80, "\xc2\x80"},
        {0x7ff, "\xdf\xbf"},
        {0x800, "\xe0\xa0\x80"},
        {0xfffd, "\xef\xbf\xbd"},
        {0xffff, "\xef\xbf\xbf"},
        {0x10000, "\xf0\x90\x80\x80"},
        {0x10ffff, "\xf4\x8f\xbf\xbf"},
    };
    char text[5];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t n = str_put_utf8(text, cases[i].rune);
        text[n] = '\0';
        assert_int_equal(n, strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparing),
        cmocka_unit_test(cutting),
        cmocka_unit_test(utf8),
        cmocka_unit_test(characters_become_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
