/* Regular expressions: match, expansion and error texts as Go gives them for Prometheus' wrapped patterns
 * (data/regex.txt). */
#include "unit.h"

#include <pthread.h>

#include "table.h"

#include "base/regex.h"

/* A Go string literal of the table. */
static void unquote(struct str s, struct buf *out)
{
    buf_clear(out);
    buf_c(out, "");
    for (size_t i = 1; i + 1 < s.n; i++) {
        if (s.p[i] != '\\') {
            buf_char(out, s.p[i]);
            continue;
        }
        i++;
        buf_char(out, s.p[i] == 'n' ? '\n' : s.p[i]);
    }
}

static void check_bad(struct str pattern, struct str message)
{
    struct regex *re = NULL;
    struct diag d = {0};
    enum err e = regex_new(pattern, &re, &d);
    if (e != ERR_SYNTAX)
        fail_msg("%.*s was accepted", STR_ARGS(pattern));
    assert_str(str_c(d.text), message);
}

static void check_match(struct str pattern, struct str text, struct str template, const struct str *result)
{
    struct regex *re = NULL;
    AUTO_BUF out = {0};
    assert_int_equal(regex_new(pattern, &re, NULL), OK);
    bool matches = regex_match(re, text);
    if (matches != !!result)
        fail_msg("%.*s on \"%.*s\": %d", STR_ARGS(pattern), STR_ARGS(text), matches);
    buf_c(&out, "before ");
    assert_int_equal(regex_expand(re, text, template, &out), matches);
    struct str got = buf_view(&out);
    got = str_from(got.p + 7, got.n - 7);
    if (!str_eq(got, result ? *result : STR_NONE))
        fail_msg("%.*s on \"%.*s\" with %.*s: %.*s", STR_ARGS(pattern), STR_ARGS(text), STR_ARGS(template),
                 STR_ARGS(got));
    regex_free(re);
}

static void behaves_as_go(void **state)
{
    (void)state;
    struct table t = table_open("regex.txt");
    struct buf b[4] = {0};
    struct str f[4];
    int n = 0, count;
    for (; (count = table_next(&t, '\t', f, 4)) > 0; n++) {
        for (int i = 0; i < count; i++)
            unquote(f[i], &b[i]);
        struct str result = buf_view(&b[3]);
        if (str_eq_c(f[1], "bad"))
            check_bad(buf_view(&b[0]), buf_view(&b[2]));
        else
            check_match(buf_view(&b[0]), buf_view(&b[1]), buf_view(&b[2]), str_eq_c(f[3], "no") ? NULL : &result);
    }
    assert_true(n > 800);
    for (int i = 0; i < 4; i++)
        buf_release(&b[i]);
    buf_release(&t.bytes);
}

static void keeps_its_pattern(void **state)
{
    (void)state;
    struct regex *re;
    char pattern[] = "(?<x>a.*)b";
    assert_int_equal(regex_new(str_c(pattern), &re, NULL), OK);
    memset(pattern, 'z', sizeof(pattern) - 1);
    assert_str_c(regex_pattern(re), "(?<x>a.*)b");
    assert_true(regex_match(re, STR("axxb")));
    regex_free(re);
    regex_free(NULL);
}

static void many_alternatives(void **state)
{
    (void)state;
    AUTO_BUF pattern = {0};
    for (int i = 0; i < 1000; i++)
        buf_printf(&pattern, "%skube_metric_%d_total", i ? "|" : "", i * 7 % 1000);
    struct regex *re;
    assert_int_equal(regex_new(buf_view(&pattern), &re, NULL), OK);
    for (int i = 0; i < 1100; i++) {
        AUTO_BUF text = {0};
        buf_printf(&text, "kube_metric_%d_total", i);
        assert_int_equal(regex_match(re, buf_view(&text)), i < 1000);
    }
    assert_false(regex_match(re, STR("kube_metric_")));
    regex_free(re);
}

static void *match_often(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        AUTO_BUF text = {0}, out = {0};
        buf_printf(&text, "host-%d:9100", i);
        if (!regex_expand(arg, buf_view(&text), STR("$1"), &out) || !str_starts(buf_view(&out), STR("host-")))
            return arg;
    }
    return NULL;
}

static void threads_share_one(void **state)
{
    (void)state;
    struct regex *re;
    assert_int_equal(regex_new(STR("([^:]+)(?::\\d+)?"), &re, NULL), OK);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, match_often, re), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    regex_free(re);
}

static void invalid_utf8_is_refused(void **state)
{
    (void)state;
    struct regex *re;
    struct diag d = {0};
    assert_int_equal(regex_new(STR("a\xff"), &re, &d), ERR_SYNTAX);
    assert_true(str_starts(str_c(d.text), STR("error parsing regexp: invalid UTF-8")));
}

static void long_text_with_nested_repeats_is_quick(void **state)
{
    (void)state;
    struct regex *re;
    AUTO_BUF text = {0};
    for (int i = 0; i < 50000; i++)
        buf_char(&text, 'a');
    buf_char(&text, 'b');
    assert_int_equal(regex_new(STR("(a+)+"), &re, NULL), OK);
    assert_false(regex_match(re, buf_view(&text)));
    regex_free(re);
}

static bool finds(const char *pattern, const char *text)
{
    struct regex *re = NULL;
    assert_int_equal(regex_new_search(str_c(pattern), &re, NULL), OK);
    bool found = regex_match(re, str_c(text));
    regex_free(re);
    return found;
}

static void a_search_finds_anywhere(void **state)
{
    (void)state;
    assert_true(finds("nginx", "my-nginx-service"));
    assert_false(finds("nginx", "my-Nginx-service"));
    assert_true(finds("", ""));
    assert_true(finds("a\\.b", "xa.by"));
    assert_true(finds("^nginx$", "nginx"));
    assert_false(finds("^nginx$", "nginx-2"));
    assert_true(finds("a|b", "xxb"));
    assert_true(finds(".*:task-definition/.*-(white|red):[0-9]+", "arn:aws:ecs:eu-west-1:1:task-definition/x-red:12"));
    assert_false(finds("a.b", "a\nb"));
    assert_true(finds("(?i)(?<who>NGINX)-", "my-nginx-service"));
    assert_true(finds("x*", "abc"));
    struct regex *re = NULL;
    struct diag d = {0};
    assert_int_equal(regex_new_search(STR("*memcached.*"), &re, &d), ERR_SYNTAX);
    assert_string_equal(d.text, "error parsing regexp: missing argument to repetition operator: `*`");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behaves_as_go),
        cmocka_unit_test(keeps_its_pattern),
        cmocka_unit_test(many_alternatives),
        cmocka_unit_test(a_search_finds_anywhere),
        cmocka_unit_test(threads_share_one),
        cmocka_unit_test(invalid_utf8_is_refused),
        cmocka_unit_test(long_text_with_nested_repeats_is_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
