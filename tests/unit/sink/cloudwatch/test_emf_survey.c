/* What is told of declarations before anything is delivered: counts, near misses, bytes as the encoder makes them. */
#include "unit/sink/cloudwatch/emf_world.h"

#include "sink/cloudwatch/emf_survey.h"

static const char page[] = "# TYPE http_requests_total counter\n"
                           "http_requests_total{code=\"200\"} 5\n"
                           "http_requests_total{code=\"500\"} 1\n"
                           "# TYPE go_threads gauge\ngo_threads 7\n"
                           "# TYPE jvm_threads_current gauge\njvm_threads_current 9\n";

static struct world w;
static struct emf_survey *survey;
static struct emf_survey_report r;

static int setup(void **state)
{
    (void)state;
    world_open(&w);
    w.web = world_scope(&w, "job=web,instance=a:1,odd=\xc3\xa9");
    survey = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    emf_survey_free(survey);
    world_close(&w);
    return 0;
}

/* As world_declare, and the texts that messages name. */
static void declare(const char *source_labels, const char *matcher, const char *sets, const char *selectors)
{
    world_declare(&w, source_labels, matcher, sets, selectors);
    struct plan_emf_declaration *d = &w.declarations[w.emf.n_declarations - 1];
    d->label_matcher_text = str_c(matcher);
}

static void scrape_as(struct scope *scope, const char *text)
{
    if (!survey) {
        w.config.emf = &w.emf;
        survey = emf_survey_new(&(struct emf_survey_options){
            .intern = w.intern, .scopes = w.scopes, .slot = 3, .config = &w.config, .counters = w.counters});
    }
    world_begin(&w);
    world_parse(&w, str_c(text));
    world_report(&w);
    world_append(&w, scope, emf_survey_batches(survey));
    emf_survey_report(survey, &w.arena, &r);
}

static void scrape(const char *text)
{
    scrape_as(w.web, text);
}

static void a_declaration_is_counted(void **state)
{
    (void)state;
    declare("job", "^web$", "ClusterName,job|code|instance", "^http_ ^go_");
    scrape(page);
    const struct emf_survey_declaration *d = &r.declarations[0];
    assert_int_equal(r.n_declarations, 1);
    assert_int_equal(d->series, 4);
    assert_int_equal(d->selected, 3);
    assert_int_equal(d->told, 3);
    /* [ClusterName, job] and [instance] do not tell the two codes apart */
    assert_int_equal(d->metrics, 2 + 2 + 2);
    assert_int_equal(r.metrics, 6);
    assert_int_equal(d->sets[0].applied, 3);
    assert_int_equal(d->sets[1].applied, 2);
    assert_int_equal(d->sets[1].incomplete, 1);
    assert_int_equal(d->sets[1].n_missing, 1);
    assert_str_c(d->sets[1].missing[0], "code");
    assert_int_equal(r.series, 4);
    assert_int_equal(r.unselected, 1);
    assert_int_equal(r.samples, 4);
}

static void metrics_of_two_targets_are_two_only_by_their_dimensions(void **state)
{
    (void)state;
    struct scope *other = world_scope(&w, "job=web,instance=b:1");
    declare("job", "^web$", "job|instance", "^go_");
    declare("job", "^web$", "job", "^go_");
    scrape(page);
    scrape_as(other, page);
    assert_int_equal(r.declarations[0].metrics, 1 + 2);
    assert_int_equal(r.declarations[1].metrics, 1);
    assert_int_equal(r.metrics, 3); /* both declarations name one of them */
    scope_unref(w.scopes, other);
}

static void absent_source_labels_are_named(void **state)
{
    (void)state;
    declare("jbo", "^web$", "job", "^go_");
    declare("job,jbo", "^wbe;$", "job", "^go_");
    scrape(page);
    assert_int_equal(r.declarations[0].series, 0);
    assert_int_equal(r.declarations[0].n_absent, 1);
    assert_str_c(r.declarations[0].absent[0], "jbo");
    assert_int_equal(r.declarations[1].n_values, 1);
    assert_str_c(r.declarations[1].values[0], "web;");
    assert_int_equal(r.unselected, 4);
    assert_int_equal(r.metrics, 0);
}

static void names_near_a_selector_are_told(void **state)
{
    (void)state;
    declare("job", "web", "job", "^jvm_thread_curent$ ^nothing_like_it$ ^go_");
    scrape(page);
    const struct emf_survey_declaration *d = &r.declarations[0];
    assert_int_equal(d->names[0], 0);
    assert_str_c(d->like[0], "jvm_threads_current");
    assert_int_equal(d->like[1].n, 0);
    assert_int_equal(d->like[EMF_SURVEY_EXAMPLES].n, 0);
    assert_int_equal(d->names[2], 1);
}

static void nearest_names_come_first(void **state)
{
    (void)state;
    declare("job", "web", "job", "^abcdef$");
    scrape("# TYPE abcdxx gauge\nabcdxx 1\n# TYPE abcdex gauge\nabcdex 1\n# TYPE zabcdefz gauge\nzabcdefz 1\n"
           "# TYPE abxdex gauge\nabxdex 1\n# TYPE qqqqqq gauge\nqqqqqq 1\n");
    const struct str *like = r.declarations[0].like;
    assert_str_c(like[0], "zabcdefz");
    assert_str_c(like[1], "abcdex");
    assert_str_c(like[2], "abcdxx");
}

static void values_that_are_no_dimensions_are_told(void **state)
{
    (void)state;
    declare("job", "web", "odd|TaskId", "^go_");
    scrape(page);
    const struct emf_survey_declaration *d = &r.declarations[0];
    assert_int_equal(d->selected, 1);
    assert_int_equal(d->told, 0);
    assert_int_equal(d->sets[0].skipped[EMF_SURVEY_NOT_ASCII], 1);
    assert_str_c(d->sets[0].example, "odd=\"\xc3\xa9\"");
    assert_int_equal(d->sets[1].incomplete, 1);
    assert_int_equal(r.incomplete, 1);
    assert_int_equal(r.unselected, 3);
}

static void types_that_are_dropped_are_counted(void **state)
{
    static const char histogram[] = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\n"
                                    "h_count 2\nuntyped_thing 4\n";

    (void)state;
    scrape(histogram);
    assert_int_equal(r.dropped[EMF_SURVEY_HISTOGRAM], 4);
    assert_str_c(r.dropped_example[EMF_SURVEY_HISTOGRAM], "h_bucket");
    assert_int_equal(r.dropped[EMF_SURVEY_UNTYPED], 1);
    assert_int_equal(r.series, 0);
    assert_int_equal(r.samples, 5);
}

static void histograms_are_told_where_they_are_asked_for(void **state)
{
    (void)state;
    w.emf.histograms = EMF_HISTOGRAMS_BUCKETS;
    declare("job", "web", "job", "^h$");
    scrape("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n");
    assert_int_equal(r.dropped[EMF_SURVEY_HISTOGRAM], 0);
    assert_int_equal(r.series, 1);
    assert_int_equal(r.declarations[0].told, 1);
    assert_int_equal(r.events, 1);
    assert_int_equal(r.not_finite, 0);
}

/* The encoder's events of the second scrape, whose differences are the values of the first, are the survey's. */
static void bytes_are_those_of_the_events(void **state)
{
    static const char zero[] = "# TYPE http_requests_total counter\nhttp_requests_total{code=\"200\"} 0\n"
                               "http_requests_total{code=\"500\"} 0\n";
    uint64_t bytes = 0, lines = 0;

    (void)state;
    declare("job", "^web$", "ClusterName,job|code", "^http_");
    scrape(page);
    world_start(&w);
    world_scrape(&w, w.web, zero);
    world_scrape(&w, w.web, page);
    struct str text = world_text(&w, 0);
    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    bytes = text.n - lines + lines * CW_EVENT_OVERHEAD;
    assert_int_equal(r.events, lines);
    assert_int_equal(r.events, 3);
    assert_int_equal(r.bytes, bytes);
    assert_true(r.undeclared_bytes > 0 && r.undeclared_bytes < r.bytes);
    assert_true(r.month_bytes == (double)bytes * 43200);
}

static void what_is_dropped_costs_nothing(void **state)
{
    (void)state;
    uint64_t all;
    declare("job", "^web$", "ClusterName,job", "^http_");
    scrape(page);
    all = r.bytes - r.undeclared_bytes;
    emf_survey_free(survey);
    survey = NULL;
    w.emf.drop_unselected = true;
    scrape(page);
    assert_int_equal(r.bytes, all);
    assert_int_equal(r.undeclared_bytes, 0);
    assert_int_equal(r.unselected, 2);
    assert_int_equal(r.events, 2);
}

static void data_are_counted_in_place_of_events(void **state)
{
    (void)state;
    w.config.kind = CLOUDWATCH_METRICS;
    declare("job", "^web$", "ClusterName,job|code", "^http_ ^go_");
    scrape(page);
    assert_int_equal(r.data, 2 + 2 + 1);
    assert_int_equal(r.bytes, 0);
    assert_int_equal(r.metrics, 1 + 2 + 1);
    assert_int_equal(r.unselected, 1);
}

static void without_extraction_there_are_no_metrics(void **state)
{
    (void)state;
    w.emf.no_directives = true;
    declare("job", "^web$", "ClusterName,job", "^http_");
    scrape(page);
    assert_int_equal(r.declarations[0].selected, 2);
    assert_int_equal(r.metrics, 0);
    assert_true(r.bytes > 0);
}

static void a_failed_scrape_says_nothing(void **state)
{
    (void)state;
    declare("job", "^web$", "job", "^http_");
    scrape("");
    assert_int_equal(r.samples, 0);
    assert_int_equal(r.series, 0);
    assert_int_equal(r.dropped[EMF_SURVEY_UNTYPED], 0);
    assert_int_equal(r.declarations[0].n_values, 0);
}

static void values_that_are_not_finite_are_counted(void **state)
{
    (void)state;
    scrape("# TYPE g gauge\ng NaN\n# TYPE c counter\nc +Inf\n# TYPE d counter\nd 3\n");
    assert_int_equal(r.not_finite, 2);
    assert_int_equal(r.events, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_declaration_is_counted),
        TEST(metrics_of_two_targets_are_two_only_by_their_dimensions),
        TEST(absent_source_labels_are_named),
        TEST(names_near_a_selector_are_told),
        TEST(nearest_names_come_first),
        TEST(values_that_are_no_dimensions_are_told),
        TEST(types_that_are_dropped_are_counted),
        TEST(histograms_are_told_where_they_are_asked_for),
        TEST(bytes_are_those_of_the_events),
        TEST(what_is_dropped_costs_nothing),
        TEST(data_are_counted_in_place_of_events),
        TEST(without_extraction_there_are_no_metrics),
        TEST(a_failed_scrape_says_nothing),
        TEST(values_that_are_not_finite_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
