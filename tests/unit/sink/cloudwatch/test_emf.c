/* The events that scrapes become: types, groups, declarations, labels, places, what is dropped and how it is counted.
 */
#include "unit/sink/cloudwatch/emf_world.h"

#define TS0 "1700000000000"
#define CF  "\"Namespace\":\"ECS/ContainerInsights/Prometheus\",\"Dimensions\":"

static struct world w;

static int setup(void **state)
{
    (void)state;
    world_open(&w);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_close(&w);
    return 0;
}

#define assert_has(text) assert_world_has(&w, text)
#define assert_has_not(text) assert_false(str_contains(world_text(&w, 0), str_c(text)))

static unsigned lines(uint32_t place)
{
    struct str s = world_text(&w, place);
    unsigned n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == '\n';
    return n;
}

static void a_gauge_is_an_event(void **state)
{
    (void)state;
    world_declare(&w, "job", "^web$", "ClusterName,job", "^go_");
    world_start(&w);
    w.web = world_scope(&w, "job=web,instance=a:1");
    world_scrape(&w, w.web, "# TYPE go_threads gauge\ngo_threads 7\n");
    assert_str_c(world_text(&w, 0),
                 "{\"CloudWatchMetrics\":[{" CF "[[\"ClusterName\",\"job\"]],\"Metrics\":[{\"Name\":\"go_threads\"}]}],"
                 "\"Timestamp\":\"" TS0 "\",\"Version\":\"0\",\"ClusterName\":\"c1\","
                 "\"instance\":\"a:1\",\"job\":\"web\",\"prom_metric_type\":\"gauge\","
                 "\"go_threads\":7}\n");
    assert_str_c(buf_view(&w.c.lanes[0]->place), "/aws/ecs/containerinsights/c1/prometheus|web");
}

static void types_decide(void **state)
{
    (void)state;
    world_start_web(&w);
    world_begin(&w);
    world_parse(&w, STR("# TYPE g gauge\ng 1\n# TYPE c counter\nc 5\n# TYPE u untyped\nu 3\nnobody_knows 4\n"
                        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n"));
    world_report(&w);
    world_deliver(&w, w.web);
    assert_int_equal(lines(0), 1);
    assert_has("\"g\":1}");
    assert_int_equal(world_dropped(&w, DROP_TYPE), 2 + 4 + 3);
    assert_int_equal(world_dropped(&w, DROP_NO_BASELINE), 1);
    world_scrape(&w, w.web, "# TYPE g gauge\ng 1\n# TYPE c counter\nc 9\n");
    assert_int_equal(lines(0), 2);
    assert_has("\"prom_metric_type\":\"counter\",\"c\":4}");
}

static void the_type_is_that_of_the_name_exposed(void **state)
{
    (void)state;
    world_start_web(&w);
    for (int i = 0; i < 2; i++) {
        world_begin(&w);
        world_parse(&w, STR("# TYPE http_requests counter\n"));
        world_add(&w, world_metric(&w, "http_requests_total{code=\"200\"}", "__name__=renamed,code=200"), 10 + i * 5);
        world_deliver(&w, w.web);
    }
    assert_has("\"job\":\"web\",\"code\":\"200\",\"prom_metric_type\":\"counter\",\"renamed\":5}");
}

static void labels_come_in_order(void **state)
{
    (void)state;
    world_start_web(&w);
    world_scrape(&w, w.web, "# TYPE g gauge\ng{zone=\"a\",app=\"b\"} 1\n");
    assert_has("\"Version\":\"0\",\"ClusterName\":\"c1\",\"job\":\"web\",\"app\":\"b\",\"prom_metric_type\":\"gauge\","
               "\"zone\":\"a\",\"g\":1}");
}

static void quantiles_are_gauges_whatever_the_name(void **state)
{
    static const char page[] = "# TYPE x_sum summary\nx_sum{quantile=\"0.5\"} %d\nx_sum_sum %d\nx_sum_count %d\n";
    char text[200];

    (void)state;
    world_start_web(&w);
    for (int i = 1; i <= 2; i++) {
        snprintf(text, sizeof(text), page, i, i * 10, i * 3);
        world_scrape(&w, w.web, text);
    }
    assert_int_equal(lines(0), 2);
    assert_has("\"prom_metric_type\":\"summary\",\"quantile\":\"0.5\",\"x_sum\":2}");
    assert_has("\"prom_metric_type\":\"summary\",\"x_sum_sum\":10,\"x_sum_count\":3}");
}

static void equal_labels_are_one_event(void **state)
{
    (void)state;
    world_start_web(&w);
    world_scrape(&w, w.web, "# TYPE a gauge\na{x=\"1\"} 1\na{x=\"2\"} 2\n# TYPE b gauge\nb{x=\"2\"} 3\nb{x=\"1\"} 4\n");
    assert_int_equal(lines(0), 2);
    assert_has("\"x\":\"1\",\"a\":1,\"b\":4}");
    assert_has("\"x\":\"2\",\"a\":2,\"b\":3}");
}

static void metrics_of_the_same_declarations_share_a_directive(void **state)
{
    (void)state;
    world_declare(&w, "job", ".*", "job|job,x|missing", "^a ^b");
    world_declare(&w, "job,nothing", "^web;$", "job|", "^b ^c");
    world_start_web(&w);
    world_scrape(&w, w.web,
                 "# TYPE a gauge\na{x=\"1\"} 1\n# TYPE b gauge\nb{x=\"1\"} 2\n# TYPE c gauge\nc{x=\"1\"} 3\n"
                 "# TYPE d gauge\nd{x=\"1\"} 4\n# TYPE ab gauge\nab{x=\"1\"} 5\n");
    assert_has("{\"CloudWatchMetrics\":[{" CF
               "[[\"job\"],[\"job\",\"x\"]],\"Metrics\":[{\"Name\":\"a\"},{\"Name\":\"ab\"}]},{" CF
               "[[\"job\"],[\"job\",\"x\"],[]],\"Metrics\":[{\"Name\":\"b\"}]},{" CF
               "[[\"job\"],[]],\"Metrics\":[{\"Name\":\"c\"}]}],");
    assert_has("\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"ab\":5}");
}

static void a_declaration_without_possible_sets_makes_no_directive(void **state)
{
    (void)state;
    world_declare(&w, "job", "web", "missing", "^a");
    world_start_web(&w);
    world_scrape(&w, w.web, "# TYPE a gauge\na 1\n");
    assert_has("{\"Timestamp\":\"" TS0 "\",\"Version\":\"0\",");
    assert_int_equal(w.c.lanes[0]->delivered, 1);
}

static void what_nothing_selects_stays_in_the_log(void **state)
{
    (void)state;
    world_declare(&w, "job", "web", "job", "^a$");
    world_start_web(&w);
    world_scrape(&w, w.web, "# TYPE a gauge\na 1\n# TYPE b gauge\nb{x=\"1\"} 1\n");
    assert_int_equal(lines(0), 2);
    struct counter_label no = {STR("declared"), STR("false")}, yes = {STR("declared"), STR("true")};
    double bytes = counters_sum(w.counters, "leadline_emf_bytes_total", NULL, 0);
    assert_true(counters_sum(w.counters, "leadline_emf_bytes_total", &no, 1) > 0);
    assert_true(counters_sum(w.counters, "leadline_emf_bytes_total", &yes, 1) > 0);
    assert_int_equal((size_t)bytes, w.c.bytes);
}

static void unless_it_is_to_be_dropped(void **state)
{
    (void)state;
    w.emf.drop_unselected = true;
    world_declare(&w, "job", "web", "job", "^a$");
    world_start_web(&w);
    world_scrape(&w, w.web, "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\nb{x=\"1\"} 1\n");
    assert_int_equal(lines(0), 1);
    assert_has_not("\"b\"");
    assert_int_equal(world_dropped(&w, DROP_UNDECLARED), 2);
}

static void a_bad_dimension_value_costs_its_set(void **state)
{
    char page[2000], longest[1100];

    (void)state;
    world_declare(&w, "job", "web", "job|job,x", "^a$");
    world_start_web(&w);
    memset(longest, 'v', sizeof(longest));
    longest[1025] = '\0';
    snprintf(page, sizeof(page), "# TYPE a gauge\na{x=\"caf\xc3\xa9\"} 1\na{x=\" \"} 2\na{x=\"%s\"} 3\na{x=\"ok\"} 4\n",
             longest);
    world_scrape(&w, w.web, page);
    assert_int_equal(lines(0), 4);
    assert_has(
        "[[\"job\"]],\"Metrics\":[{\"Name\":\"a\"}]}],\"Timestamp\":\"" TS0
        "\",\"Version\":\"0\",\"ClusterName\":\"c1\",\"job\":\"web\",\"prom_metric_type\":\"gauge\",\"x\":\"caf");
    assert_has("[[\"job\"],[\"job\",\"x\"]]");
    assert_int_equal(world_counter(&w, "leadline_emf_dimension_sets_skipped_total"), 3);
    struct counter_label why = {STR("reason"), STR("not_ascii")};
    assert_int_equal((int)counters_sum(w.counters, "leadline_emf_dimension_sets_skipped_total", &why, 1), 1);
}

static void and_so_does_a_scopes(void **state)
{
    struct scope *good, *bad;

    (void)state;
    world_declare(&w, "job", "web", "zone", "^a$");
    world_start_web(&w);
    good = world_scope(&w, "job=web,zone=z");
    bad = world_scope(&w, "job=web,zone=\xc3\xa9");
    world_scrape(&w, bad, "# TYPE a gauge\na 1\n");
    assert_has_not("CloudWatchMetrics");
    world_scrape(&w, good, "# TYPE a gauge\na 1\n");
    assert_has("[[\"zone\"]]");
    scope_unref(w.scopes, good);
    scope_unref(w.scopes, bad);
}

static void a_metrics_label_stands_over_the_scopes(void **state)
{
    struct scope *s;

    (void)state;
    w.emf.host = STR("h1");
    world_start_web(&w);
    s = world_scope(&w, "job=web,ClusterName=mine,zone=z");
    world_begin(&w);
    world_parse(&w, STR("# TYPE g gauge\ng{zone=\"own\",host=\"tomcat\"} 1\n"));
    world_add(&w, world_metric(&w, "g{}", "__name__=g2,job=,zone=,ClusterName="), 2);
    world_deliver(&w, s);
    assert_has("\"ClusterName\":\"mine\",\"job\":\"web\",\"host\":\"tomcat\",\"prom_metric_type\":\"gauge\",\"zone\":"
               "\"own\",\"g\":1}");
    assert_str_c(world_text(&w, 1),
                 "{\"Timestamp\":\"" TS0 "\",\"Version\":\"0\",\"host\":\"h1\",\"ClusterName\":\"c1\","
                 "\"JobName\":\"default\",\"prom_metric_type\":\"gauge\",\"g2\":2}\n");
    assert_str_c(buf_view(&w.c.lanes[1]->place), "/aws/ecs/containerinsights/c1/prometheus|default");
    scope_unref(w.scopes, s);
}

static void without_a_job_there_is_a_name_for_it(void **state)
{
    struct scope *s;

    (void)state;
    world_start_web(&w);
    s = world_scope(&w, "zone=z");
    world_scrape(&w, s, "# TYPE g gauge\ng 1\n# TYPE h gauge\nh{job=\"a:b\"} 2\n");
    assert_has("\"ClusterName\":\"c1\",\"JobName\":\"default\",\"zone\":\"z\",");
    assert_str_c(buf_view(&w.c.lanes[0]->place), "/aws/ecs/containerinsights/c1/prometheus|default");
    assert_str_c(buf_view(&w.c.lanes[1]->place), "/aws/ecs/containerinsights/c1/prometheus|a_b");
    assert_false(str_contains(world_text(&w, 1), STR("JobName")));
    scope_unref(w.scopes, s);
}

static void names_that_events_cannot_carry_are_left_out(void **state)
{
    struct scope *s;

    (void)state;
    world_declare(&w, "job", "web", "_aws,job|job", ".");
    world_start_web(&w);
    s = world_scope(&w, "job=web,Version=3,conflict=here");
    world_scrape(&w, s,
                 "# TYPE a gauge\na{Timestamp=\"1\",_aws=\"x\",other=\"y\"} 1\n"
                 "# TYPE conflict gauge\nconflict{conflict=\"b\"} 2\n# TYPE Timestamp gauge\nTimestamp 3\n"
                 "# TYPE value gauge\nvalue 4\n");
    assert_has("[[\"job\"]]");
    assert_has("\"conflict\":\"here\",\"job\":\"web\",\"other\":\"y\",\"prom_metric_type\":\"gauge\",\"a\":1}");
    assert_has("\"job\":\"web\",\"prom_metric_type\":\"gauge\",\"conflict\":2}");
    assert_has("\"prometheus\":4}");
    assert_int_equal(world_dropped(&w, DROP_UNSENDABLE), 1);
    assert_true(world_counter(&w, "leadline_emf_left_out_total") >= 5);
    scope_unref(w.scopes, s);
}

static void an_event_has_at_most_100_definitions(void **state)
{
    AUTO_BUF page = {0};

    (void)state;
    world_declare(&w, "job", "web", "job", "^m");
    world_start_web(&w);
    for (int i = 0; i < 250; i++)
        buf_printf(&page, "# TYPE m%d gauge\nm%d %d\n# TYPE n%d gauge\nn%d 1\n", i, i, i, i, i);
    world_scrape(&w, w.web, page.p);
    assert_int_equal(lines(0), 3);
    assert_int_equal(w.c.lanes[0]->delivered, 500);
    struct str rest = world_text(&w, 0), line;
    unsigned seen = 0;
    while (str_cut(rest, '\n', &line, &rest)) {
        unsigned n = 0;
        for (size_t i = 0; i + 8 < line.n; i++)
            n += memcmp(line.p + i, "{\"Name\":", 8) == 0;
        assert_true(n <= 100);
        seen += n;
    }
    assert_int_equal(seen, 250);
}

static void an_event_is_no_larger_than_the_service_takes(void **state)
{
    AUTO_BUF page = {0};
    AUTO_BUF value = {0};

    (void)state;
    world_start_web(&w);
    for (int i = 0; i < 400000; i++)
        buf_char(&value, 'v');
    for (int i = 0; i < 30000; i++)
        buf_printf(&page, "# TYPE some_metric_with_a_long_name_%d gauge\nsome_metric_with_a_long_name_%d{x=\"s\"} 1\n",
                   i, i);
    buf_printf(&page, "# TYPE a gauge\na{x=\"%s\",y=\"%s\",z=\"%s\"} 1\n", value.p, value.p, value.p);
    world_scrape(&w, w.web, page.p);
    assert_int_equal(lines(0), 2);
    assert_int_equal(w.c.lanes[0]->delivered, 30000);
    assert_int_equal(world_dropped(&w, DROP_UNSENDABLE), 1);
}

static void the_group_may_be_named_by_labels(void **state)
{
    struct scope *s;

    (void)state;
    w.emf.log_group = STR("/x/{ClusterName}/{TaskId}/{PodName}/{Other}");
    world_start_web(&w);
    s = world_scope(&w, "job=web,TaskId=a b,pod=p");
    world_scrape(&w, s, "# TYPE g gauge\ng 1\n");
    assert_str_c(buf_view(&w.c.lanes[0]->place), "/x/c1/a_b/p/{Other}|web");
    world_scrape(&w, w.web, "# TYPE g gauge\ng 1\n");
    assert_str_c(buf_view(&w.c.lanes[1]->place), "/x/c1/undefined/undefined/{Other}|web");
    scope_unref(w.scopes, s);
}

/* A gateway's jobs come and go: what was theirs goes with them. */
static void places_that_are_named_no_more_go(void **state)
{
    char page[200];

    (void)state;
    world_start_web(&w);
    for (int i = 0; i < 100; i++) {
        int next = i < 99 ? i + 1 : i;
        snprintf(page, sizeof(page), "# TYPE c counter\nc{job=\"j%d\"} %d\nc{job=\"j%d\"} %d\n", i, i, next + 1000, i);
        world_scrape(&w, w.web, page);
    }
    struct emf_form *f = w.e->forms;
    assert_in_range(f->n_targets, 3, 30);
    uint32_t kept = 0;
    for (size_t i = 0; i < w.c.folds.n; i++)
        kept += w.c.folds.v[i]->keep_until_ms == 0;
    assert_int_equal(kept, f->n_targets);
    for (int i = 0; i < 20; i++) { /* those that stay are told as before, whatever went */
        snprintf(page, sizeof(page), "# TYPE c counter\nc{job=\"j99\"} %d\nc{job=\"j1099\"} %d\n", 200 + i,
                 300 + 2 * i);
        world_scrape(&w, w.web, page);
    }
    assert_in_range(f->n_targets, 3, 4); /* the layout before is kept */
    bool one = false, other = false;
    for (uint32_t i = 0; i < w.c.n; i++) {
        one |= str_contains(world_text(&w, i), STR("\"job\":\"j99\",\"prom_metric_type\":\"counter\",\"c\":1}"));
        other |= str_contains(world_text(&w, i), STR("\"job\":\"j1099\",\"prom_metric_type\":\"counter\",\"c\":2}"));
    }
    assert_true(one && other);
}

static void version_1_units_and_resolution(void **state)
{
    static struct plan_unit unit = {{"a", 1}, {"Bytes", 5}};

    (void)state;
    w.emf.version_1 = w.emf.high_resolution = true;
    w.emf.units = &unit;
    w.emf.n_units = 1;
    world_declare(&w, "job", "web", "job", "^[ab]$");
    world_start_web(&w);
    world_scrape(&w, w.web, "# TYPE a gauge\na 1.5\n# TYPE b gauge\nb 2\n# TYPE c gauge\nc{x=\"1\"} 1e-7\n");
    assert_has(
        "{\"Version\":\"1\",\"_aws\":{\"CloudWatchMetrics\":[{" CF "[[\"job\"]],\"Metrics\":[{\"Name\":\"a\","
        "\"Unit\":\"Bytes\",\"StorageResolution\":1},{\"Name\":\"b\",\"StorageResolution\":1}]}],\"Timestamp\":" TS0
        "},\"ClusterName\":\"c1\",\"job\":\"web\",\"prom_metric_type\":\"gauge\",\"a\":1.5,\"b\":2}\n");
    assert_has("{\"Version\":\"1\",\"_aws\":{\"CloudWatchMetrics\":[],\"Timestamp\":" TS0 "},");
    assert_has("\"c\":1e-7}");
}

static void extraction_can_be_disabled(void **state)
{
    (void)state;
    w.emf.no_directives = true;
    world_declare(&w, "job", "web", "job", "^a$");
    world_start_web(&w);
    world_scrape(&w, w.web, "# TYPE a gauge\na 1\n");
    assert_has_not("CloudWatchMetrics");
    assert_has("\"a\":1}");
}

static void a_directive_names_only_what_is_there(void **state)
{
    (void)state;
    world_declare(&w, "job", "web", "job", "^[abc]$");
    world_start_web(&w);
    world_scrape(&w, w.web, "# TYPE a gauge\na NaN\n# TYPE b gauge\nb 2\n# TYPE c gauge\nc{x=\"1\"} +Inf\n");
    assert_int_equal(lines(0), 1);
    assert_has("\"Metrics\":[{\"Name\":\"b\"}]}],");
    assert_has("\"prom_metric_type\":\"gauge\",\"b\":2}");
    assert_int_equal(world_dropped(&w, DROP_NOT_FINITE), 2);
}

static void equal_scopes_share_a_layout(void **state)
{
    static const char page[] = "# TYPE a gauge\na 1\n# TYPE b gauge\nb{x=\"1\"} 2\n";
    struct scope *two, *other, *declared;

    (void)state;
    world_declare(&w, "job", "^db$", "job", "^a$");
    world_start_web(&w);
    two = world_scope(&w, "job=cache");
    other = world_scope(&w, "job=web,more=1");
    declared = world_scope(&w, "job=db");
    world_scrape(&w, w.web, page);
    world_scrape(&w, w.web, page);
    assert_int_equal(w.e->n_layouts, 1);
    world_scrape(&w, two, page); /* the declaration matches there no more than here */
    assert_int_equal(w.e->n_layouts, 1);
    world_scrape(&w, other, page);
    world_scrape(&w, declared, page);
    assert_int_equal(w.e->n_layouts, 3);
    scope_unref(w.scopes, two);
    scope_unref(w.scopes, other);
    scope_unref(w.scopes, declared);
}

static void and_so_do_a_hundred_instances(void **state)
{
    static const char page[] = "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# TYPE c gauge\nc 2\n";
    struct scope *scopes[100];
    char text[64];

    (void)state;
    world_declare(&w, "instance", "^10[.]", "job", "^a$");
    world_declare(&w, "job,instance", "^web;10[.]", "instance,job", "^a$ ^c$");
    world_declare(&w, "job", "^web$", "job", "^c$");
    world_start_web(&w);
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof(text), "job=web,instance=10.0.0.%d", i);
        scopes[i] = world_scope(&w, text);
        world_scrape(&w, scopes[i], page);
        assert_has("\"Dimensions\":[[\"job\"],[\"instance\",\"job\"]]");
    }
    assert_int_equal(w.e->n_layouts, 1);
    for (int i = 0; i < 100; i++)
        scope_unref(w.scopes, scopes[i]);
}

/* A metric's own label stands over one of two source labels: then the scope's value of the other one decides. */
static void unless_a_metric_mixes_what_is_read(void **state)
{
    static const char page[] = "# TYPE a gauge\na{job=\"db\"} 1\n";
    static const struct {
        const char *scope;
        bool declared;
    } cases[] = {
        {"job=web,instance=1", true},  {"job=api,instance=1", true},     {"job=web,instance=2", false},
        {"job=db,instance=2", false},  {"job=web,instance=1,x=1", true}, {"job=web", false},
        {"job=api,instance=3", false},
    };

    (void)state;
    world_declare(&w, "job,instance", "^db;1$", "job", "^a$");
    w.emf.log_stream = STR("one");
    world_start_web(&w);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT_OF(cases); i++) {
            struct scope *s = world_scope(&w, cases[i].scope);
            world_scrape(&w, s, page);
            if (str_contains(world_text(&w, 0), STR("CloudWatchMetrics")) != cases[i].declared)
                fail_msg("%s", cases[i].scope);
            scope_unref(w.scopes, s);
        }
    }
}

/* Pages that are others at each scrape do not pile up. */
static void layouts_of_changing_pages_go(void **state)
{
    AUTO_BUF page = {0};

    (void)state;
    world_start_web(&w);
    for (int i = 0; i < 200; i++) {
        buf_clear(&page);
        buf_c(&page, "# TYPE a gauge\n");
        for (int k = 0; k < 1000; k++)
            buf_printf(&page, "a{x=\"%d\"} 1\n", k + (k == 500 ? i + 1000 : 0));
        world_scrape(&w, w.web, page.p);
        assert_int_equal(lines(0), 1000);
    }
    assert_true(w.e->n_layouts < 40);
}

static void a_swept_number_may_be_another_metric(void **state)
{
    (void)state;
    world_start_web(&w);
    world_scrape(&w, w.web, "# TYPE a gauge\na 1\n");
    intern_sweep(w.intern);
    world_scrape(&w, w.web, "# TYPE b gauge\nb 1\n");
    assert_has("\"b\":1}");
    assert_has_not("\"a\"");
    assert_int_equal(w.e->n_layouts, 1);
}

static void stale_markers_are_dropped(void **state)
{
    static const char page[] = "# TYPE c counter\nc %d\n# TYPE g gauge\ng 1\n";
    char text[100];

    (void)state;
    world_start_web(&w);
    snprintf(text, sizeof(text), page, 5);
    world_scrape(&w, w.web, text);
    world_begin(&w);
    world_parse(&w, str_c(text));
    for (uint32_t i = 0; i < w.n; i++)
        w.samples[i].value = sample_from_bits(SAMPLE_STALE_BITS);
    w.n_blocks = 0;
    world_report(&w);
    world_deliver(&w, w.web);
    assert_int_equal(lines(0), 0);
    assert_int_equal(world_dropped(&w, DROP_NOT_FINITE), 2);
    assert_int_equal(world_dropped(&w, DROP_TYPE), 3);
    snprintf(text, sizeof(text), page, 8);
    world_scrape(&w, w.web, text); /* one failed scrape costs nothing */
    assert_has("\"c\":3}");
    assert_int_equal(w.c.folds.v[0]->last_ms, w.ts_ms - w.interval_ms);
}

static void a_lane_that_cannot_be_opened_loses(void **state)
{
    (void)state;
    world_start_web(&w);
    w.c.closed = true;
    world_scrape(&w, w.web, "# TYPE a gauge\na 1\n# TYPE c counter\nc 1\n");
    assert_int_equal(w.c.lost, 2);
    w.c.closed = false;
    world_scrape(&w, w.web, "# TYPE a gauge\na 1\n# TYPE c counter\nc 1\n");
    assert_int_equal(w.c.lost, 2);
    assert_has("\"a\":1}");
    world_scrape(&w, w.web, "# TYPE a gauge\na 1\n# TYPE c counter\nc 3\n");
    assert_has("\"c\":2}");
}

static void an_update_keeps_what_counters_were(void **state)
{
    struct plan_emf changed;
    struct plan_cloudwatch config;

    (void)state;
    world_start_web(&w);
    world_scrape(&w, w.web, "# TYPE c counter\nc 1\n");
    changed = w.emf;
    changed.cluster_name = STR("c2");
    changed.shape_hash = 7;
    config = w.config;
    config.emf = &changed;
    emf_update(w.e, NULL, &config);
    world_scrape(&w, w.web, "# TYPE c counter\nc 4\n");
    assert_has("\"ClusterName\":\"c2\"");
    assert_has("\"c\":3}");
    config.emf = &changed;
    emf_update(w.e, NULL, &config);
    assert_int_equal(w.e->n_layouts, 1); /* nothing changed: they stay */
    world_scrape(&w, w.web, "# TYPE c counter\nc 6\n");
    assert_has("\"c\":2}");
    emf_update(w.e, NULL, &w.config);
}

static void metrics_beyond_the_limit_go_to_the_log_alone(void **state)
{
    (void)state;
    w.emf.max_metrics = 2;
    world_declare(&w, "job", "web", "x", "^a$");
    world_start_web(&w);
    world_scrape(&w, w.web, "# TYPE a gauge\na{x=\"1\"} 1\na{x=\"2\"} 1\na{x=\"3\"} 1\n");
    assert_int_equal(lines(0), 3);
    struct str rest = world_text(&w, 0), line;
    for (int i = 0; i < 3; i++) {
        str_cut(rest, '\n', &line, &rest);
        assert_int_equal(str_contains(line, STR("CloudWatchMetrics")), i < 2);
    }
    assert_int_equal(world_counter(&w, "leadline_emf_unique_metrics"), 2);
    assert_int_equal(world_counter(&w, "leadline_emf_metrics_over_limit_total"), 1);
    struct scope *two = world_scope(&w, "job=web,y=1"); /* the same metrics of CloudWatch */
    world_scrape(&w, two, "# TYPE a gauge\na{x=\"1\"} 1\n");
    assert_has("CloudWatchMetrics");
    assert_int_equal(world_counter(&w, "leadline_emf_unique_metrics"), 2);
    scope_unref(w.scopes, two);
}

static void untyped_can_be_gauges(void **state)
{
    (void)state;
    w.emf.untyped_as_gauge = true;
    world_start_web(&w);
    world_begin(&w);
    world_parse(&w, STR("# TYPE u untyped\nu 1\nv 2\nv_created 3\n"));
    world_report(&w);
    world_deliver(&w, w.web);
    assert_has("\"prom_metric_type\":\"gauge\",\"u\":1,\"v\":2}");
    assert_int_equal(world_dropped(&w, DROP_TYPE), 4);
}

static void of_two_equal_series_the_last_is_told(void **state)
{
    (void)state;
    world_start_web(&w);
    for (int i = 1; i <= 2; i++) {
        world_begin(&w);
        world_parse(&w, STR("# TYPE a gauge\n# TYPE c counter\n"));
        world_add(&w, world_metric(&w, "a{x=\"1\"}", "__name__=a"), 1);
        world_add(&w, world_metric(&w, "c{x=\"1\"}", "__name__=c"), i);
        world_add(&w, world_metric(&w, "a{x=\"2\"}", "__name__=a"), 2);
        world_add(&w, world_metric(&w, "c{x=\"2\"}", "__name__=c"), i * 10);
        world_deliver(&w, w.web);
    }
    assert_has("\"prom_metric_type\":\"gauge\",\"a\":2}");
    assert_has("\"prom_metric_type\":\"counter\",\"c\":10}");
    assert_int_equal(world_dropped(&w, DROP_NOT_NEWER), 4);
}

/* Of a family's raw bytes in protobuf, and of names in quotes. */
static void original_names(void **state)
{
    struct arena a = {0};

    (void)state;
    assert_str_c(emf_original_name(STR("a_total{x=\"1\"}"), &a), "a_total");
    assert_str_c(emf_original_name(STR("a_total "), &a), "a_total");
    assert_str_c(emf_original_name(STR("a\xff\x01"), &a), "a");
    assert_str_c(emf_original_name(STR("{\"my.\\\"name\",x=\"1\"}"), &a), "my.\"name");
    assert_str_c(emf_original_name(STR("{x=\"1\"}"), &a), "");
    assert_str_c(emf_original_name(STR(""), &a), "");
    arena_release(&a);
    world_start(&w);
}

static void numbers_are_gos(void **state)
{
    static const struct {
        double v;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {-7, "-7"},
        {0.1, "0.1"},
        {1e6, "1000000"},
        {123456789.25, "123456789.25"},
        {1e20, "100000000000000000000"},
        {1e21, "1e+21"},
        {1e-6, "0.000001"},
        {1e-7, "1e-7"},
        {-2.5e-9, "-2.5e-9"},
        {1e-10, "1e-10"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {9007199254740993.0, "9007199254740992"},
        {4.0390928e7, "40390928"},
    };
    char text[EMF_NUMBER_MAX];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_str_c(str_from(text, (size_t)(emf_put_number(text, cases[i].v) - text)), cases[i].text);
    world_start(&w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_gauge_is_an_event),
        TEST(types_decide),
        TEST(the_type_is_that_of_the_name_exposed),
        TEST(labels_come_in_order),
        TEST(quantiles_are_gauges_whatever_the_name),
        TEST(equal_labels_are_one_event),
        TEST(metrics_of_the_same_declarations_share_a_directive),
        TEST(a_declaration_without_possible_sets_makes_no_directive),
        TEST(what_nothing_selects_stays_in_the_log),
        TEST(unless_it_is_to_be_dropped),
        TEST(a_bad_dimension_value_costs_its_set),
        TEST(and_so_does_a_scopes),
        TEST(a_metrics_label_stands_over_the_scopes),
        TEST(without_a_job_there_is_a_name_for_it),
        TEST(names_that_events_cannot_carry_are_left_out),
        TEST(an_event_has_at_most_100_definitions),
        TEST(an_event_is_no_larger_than_the_service_takes),
        TEST(the_group_may_be_named_by_labels),
        TEST(places_that_are_named_no_more_go),
        TEST(version_1_units_and_resolution),
        TEST(extraction_can_be_disabled),
        TEST(a_directive_names_only_what_is_there),
        TEST(equal_scopes_share_a_layout),
        TEST(and_so_do_a_hundred_instances),
        TEST(unless_a_metric_mixes_what_is_read),
        TEST(layouts_of_changing_pages_go),
        TEST(a_swept_number_may_be_another_metric),
        TEST(stale_markers_are_dropped),
        TEST(a_lane_that_cannot_be_opened_loses),
        TEST(an_update_keeps_what_counters_were),
        TEST(metrics_beyond_the_limit_go_to_the_log_alone),
        TEST(untyped_can_be_gauges),
        TEST(of_two_equal_series_the_last_is_told),
        TEST(original_names),
        TEST(numbers_are_gos),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
