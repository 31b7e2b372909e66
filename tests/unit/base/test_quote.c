/* Quoting as Go does it (data/quotes.txt), and JSON strings. */
#include "unit.h"

#include "table.h"

#include "base/quote.h"

static void quotes_as_go(void **state)
{
    (void)state;
    struct table t = table_open("quotes.txt");
    struct str f[2];
    int n = 0;
    for (; table_next(&t, ' ', f, 2) == 2; n++) {
        AUTO_BUF bytes = {0}, quoted = {0};
        for (size_t i = 0; i + 1 < f[0].n; i += 2)
            buf_char(&bytes, (char)table_hex(str_from(f[0].p + i, 2)));
        buf_quote(&quoted, buf_view(&bytes));
        assert_str(buf_view(&quoted), f[1]);
    }
    assert_true(n > 20);
    buf_release(&t.bytes);
}

static void json_strings(void **state)
{
    (void)state;
    AUTO_BUF b = {0};
    buf_quote_json(&b, STR("a\"b\\c\n\r\t\x01<é\xff\xe2\x80\xa8"));
    assert_string_equal(b.p, "\"a\\\"b\\\\c\\n\\r\\t\\u0001<é\\ufffd\\u2028\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotes_as_go),
        cmocka_unit_test(json_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
