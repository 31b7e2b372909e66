/* The events that scrapes become: types, groups, declarations, labels, places, what is dropped and how it is counted. */
#include "unit/sink/cloudwatch/emf_world.h"

#define TS0 "1700000000000"

static void a_gauge_is_an_event(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    world_declare(&w, "job", "^web$", "ClusterName,job", "^go_");
    world_start(&w);
    struct scope *s = world_scope(&w, "job=web,instance=a:1");
    world_scrape(&w, s, "# TYPE go_threads gauge\ngo_threads 7\n");
    assert_str_c(world_text(&w, 0),
                 "{\"CloudWatchMetrics\":[{\"Namespace\":\"ECS/ContainerInsights/Prometheus\",\"Dimensions\":"
                 "[[\"ClusterName\",\"job\"]],\"Metrics\":[{\"Name\":\"go_threads\"}]}],\"Timestamp\":\"" TS0
                 "\",\"Version\":\"0\",\"ClusterName\":\"c1\",\"instance\":\"a:1\",\"job\":\"web\","
                 "\"prom_metric_type\":\"gauge\",\"go_threads\":7}\n");
    assert_str_c(buf_view(&w.c.lanes[0]->place), "/aws/ecs/containerinsights/c1/prometheus|web");
    scope_unref(w.scopes, s);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gauge_is_an_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
