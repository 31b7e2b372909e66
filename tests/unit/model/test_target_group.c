#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "model/family.h"
#include "model/target_group.h"

static void groups_live_in_their_own_arena(void **state)
{
    (void)state;
    struct target_groups *g = target_groups_new();

    assert_int_equal(g->n, 0);
    g->groups = ARENA_ARRAY(&g->arena, struct target_group, 2);
    g->n = 2;
    g->groups[1].source = str_dup(&g->arena, STR("0"));
    assert_true(str_eq_c(g->groups[1].source, "0"));
    target_groups_free(g);
    target_groups_free(NULL);
}

static void types_have_the_names_of_the_metadata_api(void **state)
{
    (void)state;
    assert_string_equal(metric_type_name(TYPE_UNKNOWN), "unknown");
    assert_string_equal(metric_type_name(TYPE_COUNTER), "counter");
    assert_string_equal(metric_type_name(TYPE_GAUGE), "gauge");
    assert_string_equal(metric_type_name(TYPE_HISTOGRAM), "histogram");
    assert_string_equal(metric_type_name(TYPE_GAUGE_HISTOGRAM), "gaugehistogram");
    assert_string_equal(metric_type_name(TYPE_SUMMARY), "summary");
    assert_string_equal(metric_type_name(TYPE_INFO), "info");
    assert_string_equal(metric_type_name(TYPE_STATESET), "stateset");
    assert_string_equal(metric_type_name((enum metric_type)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_live_in_their_own_arena),
        cmocka_unit_test(types_have_the_names_of_the_metadata_api),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
