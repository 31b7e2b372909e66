/* relabel_configs, metric_relabel_configs, write_relabel_configs: defaults, and what each action asks for. */
#include "unit/config/read.h"

#define RULE(rule) "scrape_configs:\n- job_name: a\n  relabel_configs:\n  - " rule "\n"
#define LEGACY(rule)                                                                                                   \
    "scrape_configs:\n- job_name: a\n  metric_name_validation_scheme: legacy\n  relabel_configs:\n  - " rule "\n"

static void a_rule_starts_from_the_defaults(void **state)
{
    (void)state;
    struct plan *p = read_good(RULE("{target_label: x}"));
    const struct relabel_rule *rule = &p->scrapes[0].relabel->rules[0];
    assert_int_equal(p->scrapes[0].relabel->n, 1);
    assert_int_equal(rule->action, RELABEL_REPLACE);
    assert_str_c(rule->separator, ";");
    assert_str_c(rule->replacement, "$1");
    assert_str_c(regex_pattern(rule->regex), "(.*)");
    assert_int_equal(rule->n_source_labels, 0);
    assert_false(rule->legacy_names);
    plan_unref(p);
}

static void every_key_is_kept(void **state)
{
    (void)state;
    struct plan *p = read_good(LEGACY("{source_labels: [a, b], separator: '-', regex: 'x(.)', modulus: 7, "
                                      "target_label: t_$1, replacement: r, action: Replace}"));
    const struct relabel_rule *rule = &p->scrapes[0].relabel->rules[0];
    assert_int_equal(rule->n_source_labels, 2);
    assert_str_c(rule->source_labels[1], "b");
    assert_str_c(rule->separator, "-");
    assert_true(regex_match(rule->regex, STR("xy")));
    assert_false(regex_match(rule->regex, STR("xyz")));
    assert_int_equal(rule->modulus, 7);
    assert_str_c(rule->target_label, "t_$1");
    assert_true(rule->legacy_names);
    plan_unref(p);
}

static void good_rules_are_taken(void **state)
{
    (void)state;
    static const char *const texts[] = {
        RULE("{action: keep}"),
        RULE("{action: drop, regex: }"),
        RULE("{action: KeepEqual, source_labels: [a], target_label: b, separator: ;}"),
        RULE("{action: hashmod, modulus: 3, target_label: a.b}"),
        RULE("{action: labelmap, replacement: 'a b'}"),
        RULE("{action: labeldrop, regex: x, source_labels: }"),
        RULE("{action: uppercase, source_labels: [a], target_label: b, regex: c}"),
        LEGACY("{target_label: 'a${1}_$b'}"),
        LEGACY("{action: labelmap, replacement: '${1}x'}"),
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        plan_unref(read_good(texts[i]));
}

static void bad_rules_are_refused_in_the_original_words(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {RULE("{action: twist}"), "4:14: unknown relabel action \"twist\""},
        {RULE("{action: }"), "4:6: relabel action cannot be empty"},
        {RULE("{}"), "4:5: relabel configuration for replace action requires 'target_label' value"},
        {RULE("{action: hashmod, target_label: a}"), "relabel configuration for hashmod requires non-zero modulus"},
        {RULE("{action: hashmod, modulus: 1}"),
         "relabel configuration for hashmod action requires 'target_label' value"},
        {RULE("{action: lowercase, target_label: a, replacement: b}"),
         "'replacement' can not be set for lowercase action"},
        {RULE("{action: keepequal, target_label: a, regex: (.*)}"),
         "keepequal action requires only 'source_labels' and `target_label`, and no other fields"},
        {RULE("{action: dropequal, target_label: a, separator: ','}"), "dropequal action requires only"},
        {RULE("{action: labeldrop, source_labels: []}"), "labeldrop action requires only 'regex', and no other fields"},
        {RULE("{action: labelkeep, target_label: a}"), "labelkeep action requires only 'regex', and no other fields"},
        {RULE("{action: labelmap, replacement: ''}"), "\"\" is invalid 'replacement' for labelmap action"},
        {LEGACY("{target_label: a.b}"), "\"a.b\" is invalid 'target_label' for replace action"},
        {LEGACY("{target_label: '1$a'}"), "\"1$a\" is invalid 'target_label' for replace action"},
        {LEGACY("{target_label: 'a${b'}"), "is invalid 'target_label' for replace action"},
        {LEGACY("{action: hashmod, modulus: 2, target_label: $a}"), "is invalid 'target_label' for hashmod action"},
        {RULE("{target_label: a, regex: '('}"), "4:30: regex: error parsing regexp: missing closing )"},
        {RULE("{target_label: a, modulus: x}"), "modulus: cannot unmarshal !!str `x` into uint"},
        {RULE("{target_label: a, source_labels: ['']}"), "source_labels: \"\" is not a valid label name"},
        {RULE("{target_label: a, sources: [b]}"), "4:23: field sources not found in type relabel.plain"},
        {RULE("null"), "4:5: empty or null target relabeling rule in scrape config"},
        {"remote_write: [{url: 'http://x', write_relabel_configs: [~]}]",
         "empty or null relabeling rule in remote write config"},
        {"scrape_configs: [{job_name: a, metric_relabel_configs: [~]}]",
         "empty or null metric relabeling rule in scrape config"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_error(cases[i][0], ERR_SYNTAX, cases[i][1]);
}

static void shards_get_two_rules_behind_the_jobs_own(void **state)
{
    (void)state;
    static const char text[] = RULE("{target_label: x}") "- job_name: b\n";
    struct config_options o = {.agent = true, .shard_index = 11, .shard_count = 32};
    struct plan *p;
    struct diag d = {0};
    assert_int_equal(config_parse_prometheus(str_c(text), "f", ".", &o, &p, NULL, &d), OK);
    for (int job = 0; job < 2; job++) {
        const struct relabel_rules *rules = p->scrapes[job].relabel;
        assert_int_equal(rules->n, job ? 2 : 3);
        const struct relabel_rule *hash = &rules->rules[rules->n - 2], *keep = &rules->rules[rules->n - 1];
        assert_int_equal(hash->action, RELABEL_HASHMOD);
        assert_str_c(hash->source_labels[0], "__address__");
        assert_int_equal(hash->modulus, 32);
        assert_int_equal(keep->action, RELABEL_KEEP);
        assert_true(str_eq(keep->source_labels[0], hash->target_label));
        assert_true(regex_match(keep->regex, STR("11")));
        assert_false(regex_match(keep->regex, STR("1")));
        assert_false(regex_match(keep->regex, STR("111")));
    }
    plan_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_starts_from_the_defaults),
        cmocka_unit_test(every_key_is_kept),
        cmocka_unit_test(good_rules_are_taken),
        cmocka_unit_test(bad_rules_are_refused_in_the_original_words),
        cmocka_unit_test(shards_get_two_rules_behind_the_jobs_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
