#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/mem.h"
#include "shape/metric_map.h"
#include "unit/shape/rules.h"

struct map_case {
    const char *metric, *scope;
    const char *own; /* NULL: dropped; "!text": an error */
    bool honor, read_scope;
    struct rule_text rule; /* none when all is NULL */
};

static struct relabel_rules *rules_of(const struct rule_text *t)
{
    return t->sources || t->target || t->regex ? rules_new(t, 1) : NULL;
}

static void run_cases(const struct map_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct arena a = {0};
        struct diag d = {0};
        struct metric_mapped out;
        struct relabel_rules *rules = rules_of(&cases[i].rule);
        struct metric_map map = {.honor_labels = cases[i].honor, .rules = rules};
        enum metric_map_result r = metric_map_run(&map, labels_of_text(cases[i].metric, &a),
                                                  labels_of_text(cases[i].scope, &a), &a, &out, &d);
        const char *got = r == MAP_DROPPED ? "dropped"
                          : r == MAP_ERROR ? arena_printf(&a, "!%s", d.text)
                                           : text_of_labels(out.labels, &a);
        const char *want = cases[i].own ? cases[i].own : "dropped";
        if (strcmp(got, want) != 0 || out.read_scope != cases[i].read_scope)
            fail_msg("case %zu: %s beside %s gives `%s` (read_scope %d), not `%s`", i, cases[i].metric, cases[i].scope,
                     got, out.read_scope, want);
        if (rules)
            rules_free(rules);
        arena_release(&a);
    }
}

#define RUN(cases) run_cases(cases, COUNT_OF(cases))
#define SCOPE "instance=i job=j"

static void the_scope_is_left_out(void **state)
{
    (void)state;
    const struct map_case cases[] = {
        {"__name__=up a=1", SCOPE, .own = "__name__=up a=1"},
        {"__name__=up a=1 b=", SCOPE, .own = "__name__=up a=1"},
        {"__name__=up a=1", "", .own = "__name__=up a=1"},
        {"Z=1 __name__=up", SCOPE, .own = "Z=1 __name__=up"},
    };
    RUN(cases);
}

static void the_target_wins_and_the_exposed_label_is_renamed(void **state)
{
    (void)state;
    const struct map_case cases[] = {
        {"__name__=up job=mine", SCOPE, .own = "__name__=up exported_job=mine"},
        {"__name__=up job=", SCOPE, .own = "__name__=up"},
        {"__name__=up exported_job=x job=mine", SCOPE, .own = "__name__=up exported_exported_job=mine exported_job=x"},
        /* shorter names first: job takes exported_job, the other one goes further */
        {"__name__=up exported_job=x job=y", "exported_job=e job=j",
         .own = "__name__=up exported_exported_exported_job=x exported_exported_job=y"},
        {"__name__=up exported_job= job=y", SCOPE, .own = "__name__=up exported_job=y"},
    };
    RUN(cases);
}

static void an_honored_label_wins_even_when_empty(void **state)
{
    (void)state;
    const struct map_case cases[] = {
        {"__name__=up job=mine", SCOPE, .own = "__name__=up job=mine", .honor = true},
        {"__name__=up job=", SCOPE, .own = "__name__=up job=", .honor = true},
        {"__name__=up a=", SCOPE, .own = "__name__=up", .honor = true},
        {"__name__=up job=j", SCOPE, .own = "__name__=up job=j", .honor = true},
    };
    RUN(cases);
}

static void rules_leave_their_traces(void **state)
{
    (void)state;
    const struct map_case cases[] = {
        {"__name__=up", SCOPE, NULL, .rule = {RELABEL_DROP, .sources = "__name__", .regex = "up"}},
        {"__name__=up", SCOPE, NULL, .rule = {RELABEL_LABELDROP, .regex = ".*"}},
        {"__name__=up", SCOPE, NULL, .read_scope = true, .rule = {RELABEL_DROP, .sources = "job", .regex = "j"}},
        {"__name__=up", SCOPE, .own = "__name__=up job=", .rule = {RELABEL_LABELDROP, .regex = "job"}},
        {"__name__=up", SCOPE, .own = "__name__=up instance=", .rule = {.target = "instance", .replacement = ""}},
        {"__name__=up", SCOPE, .own = "__name__=up job=x", .rule = {.target = "job", .replacement = "x"}},
        {"__name__=up", SCOPE, .own = "__name__=up job=up", .rule = {.sources = "__name__", .target = "job"}},
        {"__name__=up", SCOPE, .own = "__name__=up z=j", .read_scope = true, .rule = {.sources = "job", .target = "z"}},
        {"__name__=up", SCOPE, .own = "__name__=up job=j", .read_scope = true,
         .rule = {.sources = "job", .target = "job"}},
        {"__name__=up job=m", SCOPE, .own = "__name__=up exported_job=m z=m",
         .rule = {.sources = "exported_job", .target = "z"}},
        {"__name__=up job=m", SCOPE, .own = "__name__=up job=m z=m", .honor = true,
         .rule = {.sources = "job", .target = "z"}},
    };
    RUN(cases);
}

static void what_the_original_refuses_is_refused(void **state)
{
    (void)state;
    const struct map_case cases[] = {
        {"a=1", SCOPE, .own = "!missing metric name (__name__ label)"},
        {"__name__=up", SCOPE, .own = "!missing metric name (__name__ label)",
         .rule = {RELABEL_LABELDROP, .regex = "__.*"}},
        {"__name__=u\xff", "", .own = "!invalid metric name or label names: {__name__=\"u\\xff\"}"},
        {"__name__=up a=1", "", .own = "!invalid metric name or label names: {\"\"=\"1\", __name__=\"up\", a=\"1\"}",
         .rule = {RELABEL_LABELMAP, .regex = "a", .replacement = "$2"}},
        {"__name__=up a=1 a=2", "", .own = "!label name \"a\" is not unique: invalid sample"},
        {"__name__=up a=1 a=2", "", .own = "__name__=up", .rule = {RELABEL_LABELDROP, .regex = "a"}},
        {"__name__=up a=1 a=2", "", .own = "__name__=up a=3", .rule = {.target = "a", .replacement = "3"}},
    };
    RUN(cases);
}

static void classic_names_can_be_required(void **state)
{
    (void)state;
    static const char *const metrics[][2] = {
        {"__name__=a:b c=1", NULL}, {"__name__=a.b", "a.b"}, {"__name__=a c.d=1", "c.d"}, {"__name__=a c:d=1", "c:d"},
    };

    for (size_t i = 0; i < COUNT_OF(metrics); i++) {
        for (int legacy = 0; legacy < 2; legacy++) {
            struct arena a = {0};
            struct diag d = {0};
            struct metric_mapped out;
            struct metric_map map = {.legacy_names = legacy};
            enum metric_map_result r = metric_map_run(&map, labels_of_text(metrics[i][0], &a),
                                                      (struct labels){NULL, 0}, &a, &out, &d);
            assert_int_equal(r, legacy && metrics[i][1] ? MAP_ERROR : MAP_KEPT);
            arena_release(&a);
        }
    }
}

static void merging_hides_and_covers(void **state)
{
    (void)state;
    struct arena a = {0};
    struct labels merged = metric_map_merged(labels_of_text("A=1 __name__=up job= zone=own", &a),
                                             labels_of_text("instance=i job=j zone=z", &a), &a);

    assert_string_equal(text_of_labels(merged, &a), "A=1 __name__=up instance=i zone=own");
    arena_release(&a);
}

struct fold_case {
    struct rule_text rules[3];
    const char *scope, *names;
    uint32_t remaining;
};

static void folds_what_speaks_of_the_target_only(void **state)
{
    (void)state;
    const struct fold_case cases[] = {
        {{{.sources = "instance", .regex = "([^:]+):.*", .target = "instance"}}, "instance=h job=j", "instance", 0},
        {{{.target = "cluster", .replacement = "c"}}, "cluster=c instance=h:1 job=j", "cluster", 0},
        {{{.sources = "job", .target = "instance", .replacement = ""}}, "job=j", "job instance", 0},
        {{{RELABEL_KEEP, .sources = "job", .regex = "j"}}, "instance=h:1 job=j", "job", 0},
        /* reads the metric */
        {{{.sources = "__name__ job", .target = "z"}}, "instance=h:1 job=j", "", 1},
        {{{.sources = "absent", .target = "z"}}, "instance=h:1 job=j", "", 1},
        {{{.sources = "job", .target = "$1"}}, "instance=h:1 job=j", "", 1},
        {{{.sources = "job", .target = "__name__"}}, "instance=h:1 job=j", "", 1},
        {{{.sources = "job", .target = "exported_x"}}, "instance=h:1 job=j", "", 1},
        /* stops everything, and must go on doing so */
        {{{RELABEL_DROP, .sources = "job", .regex = "j"}}, "instance=h:1 job=j", "", 1},
        /* names maps see everything */
        {{{.sources = "job", .target = "a"}, {RELABEL_LABELMAP, .regex = "x"}}, "instance=h:1 job=j", "", 2},
        /* past a rule that has nothing to do with it, but not past one that has */
        {{{RELABEL_DROP, .sources = "__name__", .regex = "x"}, {.sources = "job", .target = "a"}},
         "a=j instance=h:1 job=j", "job a", 1},
        {{{RELABEL_DROP, .sources = "__name__ a", .regex = "x"}, {.sources = "job", .target = "a"}},
         "instance=h:1 job=j", "", 2},
        {{{.sources = "__name__", .target = "job"}, {.sources = "job", .target = "a"}}, "instance=h:1 job=j", "", 2},
        {{{RELABEL_LABELDROP, .regex = "a"}, {.sources = "job", .target = "a"}}, "instance=h:1 job=j", "", 2},
        {{{RELABEL_LABELDROP, .regex = "b"}, {.sources = "job", .target = "a"}},
         "a=j instance=h:1 job=j", "job a", 1},
        {{{RELABEL_LABELKEEP, .regex = "a|job"}, {.sources = "job", .target = "a"}},
         "a=j instance=h:1 job=j", "job a", 1},
        {{{RELABEL_LABELKEEP, .regex = "job"}, {.sources = "job", .target = "a"}}, "instance=h:1 job=j", "", 2},
        /* one folded rule feeds the next */
        {{{.sources = "instance", .regex = "(.*):.*", .target = "host"}, {.sources = "host job", .target = "a"}},
         "a=h;j host=h instance=h:1 job=j", "instance host job a", 0},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a = {0};
        struct metric_fold f;
        uint32_t n = 0;
        while (n < 3 && (cases[i].rules[n].sources || cases[i].rules[n].target || cases[i].rules[n].regex))
            n++;
        struct relabel_rules *rules = rules_new(cases[i].rules, n);
        metric_map_fold(rules, labels_of_text("instance=h:1 job=j", &a), &a, &f);
        const char *names = "";
        for (uint32_t k = 0; k < f.n_names; k++)
            names = arena_printf(&a, "%s%s%.*s", names, k ? " " : "", STR_ARGS(f.names[k]));
        print_message("case %zu\n", i);
        assert_string_equal(text_of_labels(f.scope, &a), cases[i].scope);
        assert_string_equal(names, cases[i].names);
        assert_int_equal(f.remaining.n, cases[i].remaining);
        rules_free(rules);
        arena_release(&a);
    }
}

static void a_metric_that_has_an_involved_name_goes_the_long_way(void **state)
{
    (void)state;
    struct arena a = {0};
    struct metric_fold f;
    struct relabel_rules *rules = RULES({.sources = "instance", .target = "host"});

    metric_map_fold(rules, labels_of_text(SCOPE, &a), &a, &f);
    assert_true(metric_map_folds(&f, labels_of_text("__name__=up job=x", &a)));
    assert_false(metric_map_folds(&f, labels_of_text("__name__=up host=x", &a)));
    assert_false(metric_map_folds(&f, labels_of_text("__name__=up instance=", &a)));
    metric_map_fold(NULL, labels_of_text(SCOPE, &a), &a, &f);
    assert_string_equal(text_of_labels(f.scope, &a), SCOPE);
    assert_true(metric_map_folds(&f, labels_of_text("__name__=up host=x", &a)));
    rules_free(rules);
    arena_release(&a);
}

/* ---- properties over random rules and labels ---- */

struct dice {
    uint64_t x;
};

static uint32_t roll(struct dice *d, uint32_t below)
{
    d->x ^= d->x << 13;
    d->x ^= d->x >> 7;
    d->x ^= d->x << 17;
    return (uint32_t)(d->x % below);
}

static const char *const names[] = {"a", "b", "instance", "job", "zone", "exported_job", "__name__", "exported_a"};
static const char *const values[] = {"", "x", "x", "y", "h:1", "j"};
static const char *const patterns[] = {"(.*)", "x", "(.+):(.*)", "j|y", "(a|b).*", "exported_(.*)", "(.*);(.*)", ""};
static const char *const replacements[] = {"$1", "", "x", "${2}n", "$0"};
static const char *const targets[] = {"a", "b", "instance", "zone", "new", "exported_a", "n_$1", "job", "__name__"};
#define PICK(d, of) ((of)[roll((d), COUNT_OF(of))])

static struct relabel_rules *random_rules(struct dice *d, struct arena *a)
{
    struct rule_text t[5];
    uint32_t n = 1 + roll(d, 5);

    for (uint32_t i = 0; i < n; i++) {
        /* Names maps end all folding: they are left to a few. */
        enum relabel_action action = (enum relabel_action)roll(d, 11);
        if (action == RELABEL_LABELMAP && roll(d, 4))
            action = RELABEL_REPLACE;
        const char *sources = PICK(d, names);
        if (roll(d, 3) == 0)
            sources = arena_printf(a, "%s %s", sources, PICK(d, names));
        t[i] = (struct rule_text){.action = action, .sources = sources, .regex = PICK(d, patterns),
                                  .target = PICK(d, targets), .replacement = PICK(d, replacements), .modulus = 3};
        if (t[i].action != RELABEL_REPLACE && strchr(t[i].target, '$'))
            t[i].target = "a";
    }
    return rules_new(t, n);
}

static struct labels random_labels(struct dice *d, struct arena *a, bool metric)
{
    const char *text = metric ? arena_printf(a, "__name__=%s", values[1 + roll(d, 5)]) : "";

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const char *value = metric ? PICK(d, values) : values[1 + roll(d, 5)];
        if (roll(d, 3) == 0 && strcmp(names[i], "__name__") != 0)
            text = arena_printf(a, "%s%s%s=%s", text, *text ? " " : "", names[i], value);
    }
    return labels_of_text(text, a);
}

static const char *visible(const struct metric_map *map, struct labels metric, struct labels scope,
                           struct arena *a, struct metric_mapped *out)
{
    struct diag diag = {0};
    enum metric_map_result r = metric_map_run(map, metric, scope, a, out, &diag);

    if (r == MAP_DROPPED)
        return "dropped";
    if (r == MAP_ERROR)
        return arena_printf(a, "!%s", diag.text);
    return text_of_labels(metric_map_merged(out->labels, scope, a), a);
}

static uint64_t seed_of_environment(void)
{
    const char *given = getenv("SEED");
    uint64_t seed = 0;

    for (const char *c = given ? given : "20261121"; *c >= '0' && *c <= '9'; c++)
        seed = seed * 10 + (uint64_t)(*c - '0');
    printf("seed %llu (SEED=n repeats)\n", (unsigned long long)seed);
    return seed * 2654435761u + 1;
}

static void folding_changes_nothing_visible(void **state)
{
    (void)state;
    struct dice d = {seed_of_environment()};
    int short_ways = 0;

    for (int round = 0; round < 20000; round++) {
        struct arena a = {0};
        struct metric_fold f;
        struct metric_mapped out;
        struct relabel_rules *rules = random_rules(&d, &a);
        struct labels scope = random_labels(&d, &a, false);
        struct metric_map full = {.honor_labels = roll(&d, 2), .rules = rules};
        metric_map_fold(rules, scope, &a, &f);
        struct metric_map rest = {.honor_labels = full.honor_labels, .rules = &f.remaining};
        for (int k = 0; k < 4; k++) {
            struct labels metric = random_labels(&d, &a, true);
            if (!metric_map_folds(&f, metric))
                continue;
            short_ways += f.remaining.n < rules->n;
            const char *want = visible(&full, metric, scope, &a, &out);
            const char *got = visible(&rest, metric, f.scope, &a, &out);
            if (strcmp(got, want) != 0)
                fail_msg("round %d: %s beside %s: `%s` folded, else `%s`", round, text_of_labels(metric, &a),
                         text_of_labels(scope, &a), got, want);
        }
        rules_free(rules);
        arena_release(&a);
    }
    assert_true(short_ways > 5000);
}

static struct labels with_other_values(struct labels scope, struct arena *a)
{
    struct label *v = ARENA_ARRAY(a, struct label, scope.n + 1);

    for (uint32_t i = 0; i < scope.n; i++)
        v[i] = (struct label){scope.v[i].name, str_c(arena_printf(a, "other:%u", i))};
    return (struct labels){v, scope.n};
}

static void a_form_is_shared_by_scopes_of_equal_names(void **state)
{
    (void)state;
    struct dice d = {seed_of_environment()};
    int shared = 0;

    for (int round = 0; round < 20000; round++) {
        struct arena a = {0};
        struct metric_mapped one;
        struct metric_mapped two;
        struct relabel_rules *rules = random_rules(&d, &a);
        struct labels scope = random_labels(&d, &a, false);
        struct labels other = with_other_values(scope, &a);
        struct labels metric = random_labels(&d, &a, true);
        struct metric_map map = {.honor_labels = roll(&d, 2), .rules = rules};
        struct diag diag = {0};
        enum metric_map_result r = metric_map_run(&map, metric, scope, &a, &one, &diag);
        if (!one.read_scope) {
            assert_int_equal(metric_map_run(&map, metric, other, &a, &two, &diag), r);
            assert_false(two.read_scope);
            assert_true(labels_eq(one.labels, two.labels));
            shared++;
        }
        rules_free(rules);
        arena_release(&a);
    }
    assert_true(shared > 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_scope_is_left_out),
        cmocka_unit_test(the_target_wins_and_the_exposed_label_is_renamed),
        cmocka_unit_test(an_honored_label_wins_even_when_empty),
        cmocka_unit_test(rules_leave_their_traces),
        cmocka_unit_test(what_the_original_refuses_is_refused),
        cmocka_unit_test(classic_names_can_be_required),
        cmocka_unit_test(merging_hides_and_covers),
        cmocka_unit_test(folds_what_speaks_of_the_target_only),
        cmocka_unit_test(a_metric_that_has_an_involved_name_goes_the_long_way),
        cmocka_unit_test(folding_changes_nothing_visible),
        cmocka_unit_test(a_form_is_shared_by_scopes_of_equal_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
