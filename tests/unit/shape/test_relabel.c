#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/mem.h"
#include "shape/letter_case.h"
#include "shape/relabel.h"
#include "unit/shape/rules.h"

struct one_case {
    const char *in;
    const char *want; /* NULL: dropped */
    struct rule_text rules[4];
};

static void run_cases(const struct one_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct arena a = {0};
        struct labels_builder b;
        uint32_t n_rules = 0;
        while (n_rules < 4 && (cases[i].rules[n_rules].action || cases[i].rules[n_rules].sources ||
                               cases[i].rules[n_rules].target))
            n_rules++;
        struct relabel_rules *rules = rules_new(cases[i].rules, n_rules);
        labels_builder_init(&b, &a);
        labels_builder_set_all(&b, labels_of_text(cases[i].in, &a), false);
        bool kept = relabel_run(rules, &b);
        if (kept != (cases[i].want != NULL))
            fail_msg("case %zu (%s): kept is %d", i, cases[i].in, kept);
        if (kept)
            assert_string_equal(text_of_labels(labels_builder_labels(&b), &a), cases[i].want);
        rules_free(rules);
        arena_release(&a);
    }
}

#define RUN(cases) run_cases(cases, COUNT_OF(cases))

static void replace_sets_and_deletes(void **state)
{
    (void)state;
    const struct one_case cases[] = {
        {"a=foo", "a=foo d=chfoo-", {{.sources = "a", .regex = "f(.*)", .target = "d", .replacement = "chf${1}-"}}},
        {"a=foo b=bar", "a=foo b=bar d=foo;bar", {{.sources = "a b", .target = "d"}}},
        {"a=foo", "a=foo d=foo//", {{.sources = "a b c", .target = "d", .separator = "/"}}},
        {"a=foo", "a=foo", {{.sources = "a", .regex = "no", .target = "a", .replacement = "x"}}},
        {"a=foo b=x", "a=foo", {{.sources = "a", .target = "b", .replacement = ""}}},
        {"a=foo b=x", "a=foo", {{.sources = "a", .regex = "f(x?)oo", .target = "b"}}},
        {"a=foo", "a=foo c=prod", {{.target = "c", .replacement = "prod"}}},
        {"a=foo", "", {{.target = "a"}}},
        /* two steps, the second on the first one's outcome */
        {"a=foo", "a=foo b=boobam d=boobamXX", {{.sources = "a", .target = "b", .replacement = "boobam"},
                                     {.sources = "b", .target = "d", .replacement = "${1}XX"}}},
        {"a=x\ny", "a=x\ny b=x\ny", {{.sources = "a", .regex = "(.+)", .target = "b", .replacement = "$0"}}},
        {"a=foo", "a=foo b=$1", {{.sources = "a", .target = "b", .replacement = "$$1"}}},
    };
    RUN(cases);
}

static void replace_expands_its_target(void **state)
{
    (void)state;
    const struct one_case cases[] = {
        {"a=some-name-value", "a=some-name-value name=value",
         {{.sources = "a", .regex = "some-([^-]+)-([^,]+)", .target = "${1}", .replacement = "${2}"}}},
        {"a=some-0name-value", "a=some-0name-value",
         {{.sources = "a", .regex = "some-([^-]+)-([^,]+)", .target = "${1}", .replacement = "${2}", .legacy = true}}},
        {"a=some-0name-value", "0name=value a=some-0name-value",
         {{.sources = "a", .regex = "some-([^-]+)-([^,]+)", .target = "${1}", .replacement = "${2}"}}},
        {"a=foo", "a=foo", {{.sources = "a", .regex = "f(.*)()", .target = "$2", .replacement = "x"}}},
        {"a=foo", "a=foo pre_foo=foo", {{.sources = "a", .target = "pre_${1}"}}},
        /* $1_x is a variable of that name, which there is not */
        {"a=foo", "a=foo", {{.sources = "a", .target = "$1_x"}}},
    };
    RUN(cases);
}

static void keep_and_drop(void **state)
{
    (void)state;
    const struct one_case cases[] = {
        {"a=foo", "a=foo", {{RELABEL_KEEP, .sources = "a", .regex = "f.*"}}},
        {"a=foo", NULL, {{RELABEL_KEEP, .sources = "a", .regex = "f"}}},
        {"a=foo", NULL, {{RELABEL_DROP, .sources = "a", .regex = ".*o.*"}}},
        {"a=foo", "a=foo", {{RELABEL_DROP, .sources = "a", .regex = "o"}}},
        {"a=foo", NULL, {{RELABEL_KEEP, .sources = "b", .regex = ".+"}}},
        {"a=foo", NULL, {{RELABEL_DROP, .sources = "b", .regex = ""}}},
        {"a=foo", NULL, {{RELABEL_DROP, .sources = "a"}}},
        {"a=foo", "a=foo", {{RELABEL_KEEP, .sources = "a"}}},
        {"a=foo b=bar", "a=foo b=bar", {{RELABEL_KEEP, .sources = "a b", .regex = "foo;bar"}}},
        {"a=foo", "a=foo", {{RELABEL_KEEPEQUAL, .sources = "a", .target = "a"}}},
        {"a=foo b=bar", NULL, {{RELABEL_KEEPEQUAL, .sources = "a", .target = "b"}}},
        {"a=foo b=foo", NULL, {{RELABEL_DROPEQUAL, .sources = "a", .target = "b"}}},
        {"a=foo b=bar", "a=foo b=bar", {{RELABEL_DROPEQUAL, .sources = "a", .target = "b"}}},
        {"a=foo", "a=foo", {{RELABEL_KEEPEQUAL, .sources = "x", .target = "y"}}},
        {"a=1 b=2 c=1;2", "a=1 b=2 c=1;2", {{RELABEL_KEEPEQUAL, .sources = "a b", .target = "c"}}},
    };
    RUN(cases);
}

static void names_are_mapped_dropped_and_kept(void **state)
{
    (void)state;
    const struct one_case cases[] = {
        {"a=foo b1=bar b2=baz", "a=foo b1=bar b2=baz bar_b1=bar bar_b2=baz",
         {{RELABEL_LABELMAP, .regex = "(b.*)", .replacement = "bar_${1}"}}},
        {"__meta_my_bar=aaa a=foo", "__meta_my_bar=aaa a=foo my_bar=aaa",
         {{RELABEL_LABELMAP, .regex = "__meta_(my.*)"}}},
        /* the last one by name wins; what was set by a rule comes after */
        {"b_x=1 a_x=2", "a_x=2 b_x=1 x=1", {{RELABEL_LABELMAP, .regex = "[a-z]_(.*)"}}},
        {"b_x=1 a_y=2", "a_x=3 a_y=2 b_x=1 x=3 y=2",
         {{.target = "a_x", .replacement = "3"}, {RELABEL_LABELMAP, .regex = "[a-z]_(.*)"}}},
        /* a snapshot: what the map makes is not mapped again */
        {"a=1 b=2", "a=1 ax=1 b=2 bx=2", {{RELABEL_LABELMAP, .regex = "(.*)", .replacement = "${1}x"}}},
        {"a=foo b1=bar b2=baz", "a=foo", {{RELABEL_LABELDROP, .regex = "b.*"}}},
        {"a=foo b1=bar b2=baz", "b1=bar b2=baz", {{RELABEL_LABELKEEP, .regex = "b.*"}}},
        {"a=foo", "", {{RELABEL_LABELDROP, .regex = ".*"}}},
    };
    RUN(cases);
}

static void hashes_and_cases(void **state)
{
    (void)state;
    const struct one_case cases[] = {
        {"c=baz", "c=baz d=976", {{RELABEL_HASHMOD, .sources = "c", .target = "d", .modulus = 1000}}},
        {"a=foo\nbar", "a=foo\nbar b=734", {{RELABEL_HASHMOD, .sources = "a", .target = "b", .modulus = 1000}}},
        {"a=x", "a=x b=0", {{RELABEL_HASHMOD, .sources = "a", .target = "b", .modulus = 1}}},
        {"f=Foo", "f=Foo l=foo u=FOO",
         {{RELABEL_LOWERCASE, .sources = "f", .target = "l"}, {RELABEL_UPPERCASE, .sources = "f", .target = "u"}}},
        {"f=x", "", {{RELABEL_LOWERCASE, .sources = "none", .target = "f"}}},
    };
    RUN(cases);
}

static void letters_beyond_ascii(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"\xc3\x89t\xc3\xa9", "\xc3\xa9t\xc3\xa9"},                        /* Latin-1 */
        {"\xce\xa3\xce\xac", "\xcf\x83\xce\xac"},                          /* Greek */
        {"\xd0\x96\xd1\x8f", "\xd0\xb6\xd1\x8f"},                          /* Cyrillic */
        {"\xc4\x80\xc4\x81\xc4\x82", "\xc4\x81\xc4\x81\xc4\x83"},          /* alternating */
        {"\xe2\x84\xaa", "k"},                                             /* Kelvin */
        {"\xf0\x90\x90\x80", "\xf0\x90\x90\xa8"},                          /* Deseret */
        {"A\xff" "B\xe2\x82", "a\xef\xbf\xbd" "b\xef\xbf\xbd\xef\xbf\xbd"}, /* not UTF-8 */
        {"", ""},
    };

    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        AUTO_BUF out = {0};
        letter_case_lower(str_c(pairs[i][0]), &out);
        assert_true(str_eq_c(buf_view(&out), pairs[i][1]));
    }
    AUTO_BUF out = {0};
    letter_case_upper(STR("\xc3\x9f\xc3\xbf\xd1\x8f" "aZ1"), &out);
    assert_true(str_eq_c(buf_view(&out), "\xc3\x9f\xc5\xb8\xd0\xaf" "AZ1"));
}

struct read_case {
    struct rule_text rule;
    bool reads;
};

static void notes_when_a_scope_value_is_read(void **state)
{
    (void)state;
    const struct read_case cases[] = {
        {{.sources = "instance", .target = "x"}, true},
        {{.sources = "instance", .regex = "nomatch", .target = "x"}, true},
        {{.sources = "own", .target = "instance"}, false},
        {{.target = "x", .replacement = "constant"}, false},
        {{.sources = "absent", .target = "x", .replacement = "constant"}, false},
        {{RELABEL_KEEP, .sources = "own", .regex = ".*"}, false},
        {{RELABEL_KEEP, .sources = "job own", .regex = ".*"}, true},
        {{RELABEL_KEEPEQUAL, .sources = "own", .target = "own"}, false},
        {{RELABEL_DROPEQUAL, .sources = "own", .target = "job"}, true},
        {{RELABEL_LABELDROP, .regex = "instance"}, false},
        {{RELABEL_LABELKEEP, .regex = "instance"}, false},
        {{RELABEL_LABELMAP, .regex = "own", .replacement = "x"}, false},
        {{RELABEL_LABELMAP, .regex = "job", .replacement = "x"}, true},
        {{RELABEL_HASHMOD, .sources = "instance", .target = "x", .modulus = 3}, true},
        {{RELABEL_UPPERCASE, .sources = "instance", .target = "x"}, true},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a = {0};
        struct labels_builder b;
        struct relabel_rules *rules = rules_new(&cases[i].rule, 1);
        labels_builder_init(&b, &a);
        labels_builder_set_all(&b, labels_of_text("__name__=up own=1", &a), false);
        labels_builder_set_all(&b, labels_of_text("instance=i job=j", &a), true);
        relabel_run(rules, &b);
        if (b.read_scope != cases[i].reads)
            fail_msg("case %zu: read_scope is %d", i, b.read_scope);
        rules_free(rules);
        arena_release(&a);
    }
}

static void a_rule_that_does_not_match_allocates_nothing(void **state)
{
    (void)state;
    struct arena a = {0};
    struct labels_builder b;
    struct relabel_rules *rules =
        RULES({RELABEL_DROP, .sources = "__name__", .regex = "go_.*"},
              {.sources = "a b", .regex = "x.*y", .target = "c"}, {RELABEL_LABELDROP, .regex = "zzz"},
              {RELABEL_LABELMAP, .regex = "zzz"}, {RELABEL_KEEP, .sources = "a", .regex = "1|2"});

    labels_builder_init(&b, &a);
    labels_builder_set_all(&b, labels_of_text("__name__=up a=1 b=2", &a), false);
    size_t used = a.used;
    assert_true(relabel_run(rules, &b));
    assert_int_equal(a.used, used);
    rules_free(rules);
    arena_release(&a);
}

static void long_values_are_joined(void **state)
{
    (void)state;
    struct arena a = {0};
    struct labels_builder b;
    char *value = arena_zalloc(&a, 601);
    struct relabel_rules *rules = RULES({.sources = "a a a", .target = "b", .separator = "::"});

    memset(value, 'v', 600);
    labels_builder_init(&b, &a);
    labels_builder_set(&b, STR("a"), str_c(value));
    assert_true(relabel_run(rules, &b));
    assert_true(str_eq_c(labels_builder_get(&b, STR("b")), arena_printf(&a, "%s::%s::%s", value, value, value)));
    rules_free(rules);
    arena_release(&a);
}

static void actions_have_names(void **state)
{
    (void)state;
    assert_string_equal(relabel_action_name(RELABEL_REPLACE), "replace");
    assert_string_equal(relabel_action_name(RELABEL_UPPERCASE), "uppercase");
    assert_string_equal(relabel_action_name(RELABEL_DROPEQUAL), "dropequal");
    assert_true(relabel_run(NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replace_sets_and_deletes),
        cmocka_unit_test(replace_expands_its_target),
        cmocka_unit_test(keep_and_drop),
        cmocka_unit_test(names_are_mapped_dropped_and_kept),
        cmocka_unit_test(hashes_and_cases),
        cmocka_unit_test(letters_beyond_ascii),
        cmocka_unit_test(notes_when_a_scope_value_is_read),
        cmocka_unit_test(a_rule_that_does_not_match_allocates_nothing),
        cmocka_unit_test(long_values_are_joined),
        cmocka_unit_test(actions_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
