/* What a page becomes, given what the target exposed before. */
#include "unit/source/scrape/pages.h"

#define HELP_A "# HELP a Help of a.\n# TYPE a gauge\n"

static void the_first_page_is_taken_whole(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    assert_str_c(pages_scrape(&p, HELP_A "a{x=\"1\"} 5\na{x=\"2\"} 7\nb NaN\n"),
                 "a{job=\"j\",x=\"1\"} 5\na{job=\"j\",x=\"2\"} 7\nb{job=\"j\"} NaN\n");
    assert_int_equal(p.result.scraped, 3);
    assert_int_equal(p.result.relabelled, 3);
    assert_int_equal(p.result.added, 3);
    pages_close(&p);
}

static void the_same_page_again_is_predicted(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    pages_scrape(&p, HELP_A "a{x=\"1\"} 5\na{x=\"2\"} 7\n# HELP b B.\nb 1\n");
    unsigned before = pages_parsed(&p);
    assert_str_c(pages_scrape(&p, HELP_A "a{x=\"1\"} 6.5\na{x=\"2\"} -7e3\n# HELP b B.\nb +Inf\n"),
                 "a{job=\"j\",x=\"1\"} 6.5\na{job=\"j\",x=\"2\"} -7000\nb{job=\"j\"} +Inf\n");
    assert_int_equal(pages_parsed(&p), before);
    assert_int_equal(p.result.added, 0);
    pages_close(&p);
}

static void another_target_finds_the_metrics_of_the_first(void **state)
{
    static const struct label job = {{"job", 3}, {"k", 1}};
    struct pages p;
    struct page other;
    (void)state;
    pages_open(&p);
    pages_scrape(&p, "a{x=\"1\"} 5\nb 1\n");
    uint32_t metrics = intern_count(p.intern);
    struct scope *scope = scope_get(p.scopes, (struct labels){&job, 1});
    page_init(&p.predictor, &other, &p.config, scope);
    scope_unref(p.scopes, scope);
    struct page first = p.page;
    p.page = other;
    assert_str_c(pages_scrape(&p, "a{x=\"1\"} 5\nb 1\n"), "a{job=\"k\",x=\"1\"} 5\nb{job=\"k\"} 1\n");
    assert_int_equal(intern_count(p.intern), metrics);
    page_release(&p.predictor, &first);
    pages_close(&p);
}

static void a_line_inserted_costs_one_parse(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    pages_scrape(&p, HELP_A "a 1\nb 2\nc 3\n");
    unsigned before = pages_parsed(&p);
    assert_str_c(pages_scrape(&p, HELP_A "a 1\nn 9\nb 2\nc 3\n"),
                 "a{job=\"j\"} 1\nn{job=\"j\"} 9\nb{job=\"j\"} 2\nc{job=\"j\"} 3\n");
    assert_int_equal(pages_parsed(&p), before + 1);
    assert_int_equal(p.result.added, 1);
    pages_close(&p);
}

static void a_line_removed_gets_its_marker(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    pages_scrape(&p, "a 1\nb 2\nc 3\nd 4\n");
    unsigned before = pages_parsed(&p);
    assert_str_c(pages_scrape(&p, "a 1\nc 3\nd 4\n"),
                 "a{job=\"j\"} 1\nc{job=\"j\"} 3\nd{job=\"j\"} 4\nb{job=\"j\"} stale\n");
    assert_int_equal(pages_parsed(&p), before + 1);
    assert_str_c(pages_scrape(&p, "a 1\nc 3\nd 4\n"), "a{job=\"j\"} 1\nc{job=\"j\"} 3\nd{job=\"j\"} 4\n");
    assert_str_c(pages_scrape(&p, "a 1\n"), "a{job=\"j\"} 1\nc{job=\"j\"} stale\nd{job=\"j\"} stale\n");
    pages_close(&p);
}

static void another_order_is_no_news(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    pages_scrape(&p, "a 1\nb 2\nc 3\n");
    assert_str_c(pages_scrape(&p, "c 3\nb 2\na 1\n"), "c{job=\"j\"} 3\nb{job=\"j\"} 2\na{job=\"j\"} 1\n");
    assert_int_equal(p.result.added, 0);
    unsigned before = pages_parsed(&p);
    pages_scrape(&p, "c 3\nb 2\na 1\n");
    assert_int_equal(pages_parsed(&p), before);
    pages_close(&p);
}

static void labels_in_another_order_are_the_same_series(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    pages_scrape(&p, "a{x=\"1\",y=\"2\"} 1\n");
    assert_str_c(pages_scrape(&p, "a{y=\"2\",x=\"1\"} 2\n"), "a{job=\"j\",x=\"1\",y=\"2\"} 2\n");
    pages_close(&p);
}

static void a_name_that_begins_like_another_is_not_it(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    pages_scrape(&p, "a 1\n");
    assert_str_c(pages_scrape(&p, "a {x=\"1\"} 2\n"), "a{job=\"j\",x=\"1\"} 2\na{job=\"j\"} stale\n");
    assert_str_c(pages_scrape(&p, "ab 3\n"), "ab{job=\"j\"} 3\na{job=\"j\",x=\"1\"} stale\n");
    pages_close(&p);
}

/* `le` is normalized for histograms only: the same bytes are other labels under another type. */
static void a_type_in_force_is_part_of_a_bucket(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    assert_str_c(pages_scrape(&p, "# TYPE h histogram\nh_bucket{le=\"1\"} 4\nh_count 4\n"),
                 "h_bucket{job=\"j\",le=\"1.0\"} 4\nh_count{job=\"j\"} 4\n");
    assert_str_c(pages_scrape(&p, "# TYPE h gauge\nh_bucket{le=\"1\"} 5\nh_count 5\n"),
                 "h_bucket{job=\"j\",le=\"1\"} 5\nh_count{job=\"j\"} 5\nh_bucket{job=\"j\",le=\"1.0\"} stale\n");
    assert_str_c(pages_scrape(&p, "# TYPE h histogram\nh_bucket{le=\"1\"} 6\nh_count 6\n"),
                 "h_bucket{job=\"j\",le=\"1.0\"} 6\nh_count{job=\"j\"} 6\nh_bucket{job=\"j\",le=\"1\"} stale\n");
    pages_close(&p);
}

static void a_type_that_matters_to_no_label_changes_nothing(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    pages_scrape(&p, "# TYPE a counter\na 1\n");
    assert_str_c(pages_scrape(&p, "# TYPE a gauge\na 2\n"), "a{job=\"j\"} 2\n");
    assert_int_equal(p.result.added, 0);
    pages_close(&p);
}

static void another_help_changes_no_series(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    pages_scrape(&p, "# HELP a One.\na 1\nb 1\n");
    unsigned before = pages_parsed(&p);
    assert_str_c(pages_scrape(&p, "# HELP a Another.\na 2\nb 2\n"), "a{job=\"j\"} 2\nb{job=\"j\"} 2\n");
    assert_int_equal(p.result.added, 0);
    /* the comment, and the line behind it, by which the array is found again */
    assert_in_range(pages_parsed(&p), before + 1, before + 2);
    before = pages_parsed(&p);
    pages_scrape(&p, "# HELP a Another.\na 2\nb 2\n");
    assert_int_equal(pages_parsed(&p), before);
    pages_close(&p);
}

static void the_first_of_two_equal_lines_wins(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    for (int i = 0; i < 3; i++) {
        unsigned before = pages_parsed(&p);
        assert_str_c(pages_scrape(&p, "a 1\nb 2\na 3\n"), "a{job=\"j\"} 1\nb{job=\"j\"} 2\n");
        assert_int_equal(p.result.scraped, 3);
        assert_int_equal(p.result.relabelled, 3);
        assert_int_equal(p.result.added, i == 0 ? 2 : 0);
        assert_true(pages_counter(&p, "prometheus_target_scrapes_sample_duplicate_timestamp_total") == i + 1);
        assert_true(i == 0 || pages_parsed(&p) == before);
    }
    /* the first one goes: the other one is no duplicate any more */
    assert_str_c(pages_scrape(&p, "b 2\na 3\n"), "b{job=\"j\"} 2\na{job=\"j\"} 3\n");
    assert_str_c(pages_scrape(&p, "b 2\na 4\n"), "b{job=\"j\"} 2\na{job=\"j\"} 4\n");
    pages_close(&p);
}

static void equal_lines_with_timestamps_are_all_kept(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    assert_str_c(pages_scrape(&p, "a 1 500\na 2 600\n"), "a{job=\"j\"} 1 @500\na{job=\"j\"} 2 @600\n");
    assert_str_c(pages_scrape(&p, "a 3 700\na 4 800\n"), "a{job=\"j\"} 3 @700\na{job=\"j\"} 4 @800\n");
    pages_close(&p);
}

static void an_empty_page_marks_everything_once(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    pages_scrape(&p, "a 1\nb 2\n");
    assert_str_c(pages_scrape(&p, ""), "a{job=\"j\"} stale\nb{job=\"j\"} stale\n");
    assert_int_equal(p.err, OK);
    assert_str_c(pages_scrape(&p, ""), "");
    assert_str_c(pages_scrape(&p, "a 1\nb 2\n"), "a{job=\"j\"} 1\nb{job=\"j\"} 2\n");
    pages_close(&p);
}

static void two_lines_of_one_series_get_one_marker(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    pages_scrape(&p, "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1.0\"} 1\n");
    assert_str_c(pages_scrape(&p, ""), "h_bucket{job=\"j\",le=\"1.0\"} stale\n");
    pages_close(&p);
}

static void a_failed_page_adds_no_series(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    p.config.sample_limit = 1;
    pages_scrape(&p, "a 1\nb 2\n");
    assert_int_equal(p.err, ERR_LIMIT);
    assert_int_equal(p.result.relabelled, 2);
    assert_int_equal(p.result.added, 0);
    pages_close(&p);
}

static void a_page_that_does_not_parse_keeps_the_array(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    pages_scrape(&p, "a 1\nb 2\n");
    assert_str_c(pages_scrape(&p, "a 1\nn 1\nb two\n"), "a{job=\"j\"} stale\nb{job=\"j\"} stale\n");
    assert_int_equal(p.err, ERR_SYNTAX);
    assert_int_equal(p.result.scraped, 2);
    assert_str_c(pages_scrape(&p, "a{\n"), "");
    unsigned before = pages_parsed(&p);
    /* back again, without what was gone meanwhile: its marker was sent then */
    assert_str_c(pages_scrape(&p, "a 1\n"), "a{job=\"j\"} 1\n");
    assert_int_equal(p.result.added, 0);
    assert_int_equal(pages_parsed(&p), before);
    pages_close(&p);
}

static void a_cut_off_page_fails(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    pages_scrape(&p, "a 1\nb 2\n");
    assert_str_c(pages_scrape(&p, "a 1\nb"), "a{job=\"j\"} stale\nb{job=\"j\"} stale\n");
    p.kind = EXPOSITION_OPENMETRICS;
    pages_scrape(&p, "a 1\nb 2\n");
    assert_int_equal(p.err, ERR_SYNTAX);
    pages_scrape(&p, "a 1\nb 2\n# EOF\n");
    assert_int_equal(p.err, OK);
    pages_close(&p);
}

/* ---- timestamps -------------------------------------------------------------------------------------------------- */

static void explicit_timestamps_that_repeat_or_step_back_are_dropped(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    assert_str_c(pages_scrape(&p, "a 1 500\nb 1\n"), "a{job=\"j\"} 1 @500\nb{job=\"j\"} 1\n");
    assert_str_c(pages_scrape(&p, "a 1 500\nb 1\n"), "b{job=\"j\"} 1\n");
    assert_str_c(pages_scrape(&p, "a 1 499\nb 1\n"), "b{job=\"j\"} 1\n");
    assert_str_c(pages_scrape(&p, "a 1 501\nb 1\n"), "a{job=\"j\"} 1 @501\nb{job=\"j\"} 1\n");
    assert_true(pages_counter(&p, "prometheus_target_scrapes_sample_out_of_order_total") == 2);
    assert_int_equal(p.result.relabelled, 2);
    pages_close(&p);
}

static void timestamps_survive_the_absence_of_their_series(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    pages_scrape(&p, "a 1 500\nb 1\n");
    pages_scrape(&p, "b 1\n");
    assert_str_c(pages_scrape(&p, "a 1 500\nb 1\n"), "b{job=\"j\"} 1\n");
    pages_close(&p);
}

static void a_series_that_gets_a_timestamp_may_not_step_back(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    pages_scrape(&p, "a 1\nb 1\n");
    /* the batch was at 1000; the marker is what the original sends for a series that is tracked no more */
    assert_str_c(pages_scrape(&p, "a 1 900\nb 1\n"), "b{job=\"j\"} 1\na{job=\"j\"} stale\n");
    assert_str_c(pages_scrape(&p, "a 1 2500\nb 1\n"), "a{job=\"j\"} 1 @2500\nb{job=\"j\"} 1\n");
    pages_close(&p);
}

static void a_series_that_came_back_may_not_step_behind_its_marker(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    pages_scrape(&p, "a 1 500\nb 1\n");
    assert_str_c(pages_scrape(&p, "a 2 501\n"), "a{job=\"j\"} 2 @501\nb{job=\"j\"} stale\n");
    assert_str_c(pages_scrape(&p, "a 3 502\nb 4 1500\n"), "a{job=\"j\"} 3 @502\n");
    assert_str_c(pages_scrape(&p, "a 4 503\nb 5 2001\n"), "a{job=\"j\"} 4 @503\nb{job=\"j\"} 5 @2001\n");
    pages_close(&p);
}

static void timestamps_of_long_ago_are_out_of_bounds(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    p.now_ms = 10000000;
    assert_str_c(pages_scrape(&p, "a 1 0\nb 1 6399999\nc 1 6400000\n"), "c{job=\"j\"} 1 @6400000\n");
    assert_true(pages_counter(&p, "prometheus_target_scrapes_sample_out_of_bounds_total") == 2);
    pages_close(&p);
}

static void timestamps_far_ahead_are_out_of_bounds(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    assert_str_c(pages_scrape(&p, "a 1 1600001\nb 1 1600000\n"), "b{job=\"j\"} 1 @1600000\n");
    assert_true(pages_counter(&p, "prometheus_target_scrapes_sample_out_of_bounds_total") == 1);
    pages_close(&p);
}

static void series_with_timestamps_get_no_markers(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    pages_scrape(&p, "a 1 500\nb 1\n");
    assert_str_c(pages_scrape(&p, "b 1\n"), "b{job=\"j\"} 1\n");
    pages_scrape(&p, "a 1 600\nb 1\n");
    assert_str_c(pages_scrape(&p, "!\n"), "b{job=\"j\"} stale\n");
    pages_close(&p);
}

static void unless_their_staleness_is_tracked(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    p.config.track_timestamps_staleness = true;
    pages_scrape(&p, "a 1 500\nb 1\n");
    assert_str_c(pages_scrape(&p, "b 1\n"), "b{job=\"j\"} 1\na{job=\"j\"} stale\n");
    pages_close(&p);
}

static void timestamps_that_are_not_honored_do_not_exist(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    p.config.honor_timestamps = false;
    assert_str_c(pages_scrape(&p, "a 1 500\na 2 600\n"), "a{job=\"j\"} 1\n");
    assert_str_c(pages_scrape(&p, "a 1 500\na 2 600\n"), "a{job=\"j\"} 1\n");
    assert_str_c(pages_scrape(&p, "b 1\n"), "b{job=\"j\"} 1\na{job=\"j\"} stale\n");
    pages_close(&p);
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

static void a_page_over_the_sample_limit_is_refused_whole_and_counted_whole(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    p.config.sample_limit = 2;
    assert_str_c(pages_scrape(&p, "a 1\nb 2\n"), "a{job=\"j\"} 1\nb{job=\"j\"} 2\n");
    assert_str_c(pages_scrape(&p, "a 1\nb 2\nc 3\nd 4\n"), "a{job=\"j\"} stale\nb{job=\"j\"} stale\n");
    assert_string_equal(p.diag.text, "sample limit exceeded");
    assert_int_equal(p.result.scraped, 4);
    assert_int_equal(p.result.relabelled, 4);
    assert_true(pages_counter(&p, "prometheus_target_scrapes_exceeded_sample_limit_total") == 1);
    /* a duplicate does not count against the limit */
    assert_str_c(pages_scrape(&p, "a 1\nb 2\na 3\n"), "a{job=\"j\"} 1\nb{job=\"j\"} 2\n");
    pages_close(&p);
}

static void a_page_far_over_the_sample_limit_is_counted_without_being_kept(void **state)
{
    struct pages p;
    AUTO_BUF body = {0};
    (void)state;
    pages_open(&p);
    p.config.sample_limit = 10;
    for (int i = 0; i < 5000; i++)
        buf_printf(&body, "a{i=\"%d\"} 1\n", i);
    assert_str_c(pages_scrape(&p, body.p), "");
    assert_string_equal(p.diag.text, "sample limit exceeded");
    assert_int_equal(p.result.scraped, 5000);
    assert_int_equal(p.result.relabelled, 5000);
    assert_in_range(intern_count(p.intern), 1, 1100);
    pages_close(&p);
}

static void label_limits_look_at_new_series_only(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    pages_scrape(&p, "a{x=\"1\",y=\"2\"} 1\n");
    p.config.label_limit = 3; /* __name__ and job count */
    assert_str_c(pages_scrape(&p, "a{x=\"1\",y=\"2\"} 1\n"), "a{job=\"j\",x=\"1\",y=\"2\"} 1\n");
    assert_str_c(pages_scrape(&p, "a{x=\"1\",y=\"2\"} 1\nb{x=\"1\",y=\"2\"} 1\nc 1\n"),
                 "a{job=\"j\",x=\"1\",y=\"2\"} stale\n");
    assert_string_equal(p.diag.text, "label_limit exceeded (metric: b, number of labels: 4, limit: 3)");
    assert_int_equal(p.result.scraped, 2);
    assert_int_equal(p.result.relabelled, 1);
    assert_true(pages_counter(&p, "prometheus_target_scrape_pool_exceeded_label_limits_total") == 1);
    pages_close(&p);
}

static void names_and_values_have_limits_of_length(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    p.config.label_name_length_limit = 10;
    p.config.label_value_length_limit = 5;
    pages_scrape(&p, "abcde{n23456789a=\"12345\"} 1\n");
    assert_int_equal(p.err, OK);
    pages_scrape(&p, "a{n23456789ab=\"1\"} 1\n");
    assert_string_equal(p.diag.text,
                        "label_name_length_limit exceeded (metric: a, label name: n23456789ab, length: 11, limit: 10)");
    pages_scrape(&p, "a{b=\"123\\\"56\"} 1\n");
    assert_string_equal(p.diag.text, "label_value_length_limit exceeded (metric: a, label name: b, value: "
                                     "\"123\\\"56\", length: 6, limit: 5)");
    pages_close(&p);
}

static void a_limit_offended_before_the_page_breaks_is_what_is_told(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    p.config.label_limit = 2;
    pages_scrape(&p, "a 1\nb{x=\"1\"} 1\nc {\n");
    assert_string_equal(p.diag.text, "label_limit exceeded (metric: b, number of labels: 3, limit: 2)");
    pages_scrape(&p, "a 1\nc {\nb{x=\"1\"} 1\n");
    assert_int_equal(p.err, ERR_SYNTAX);
    pages_close(&p);
}

/* ---- the map ----------------------------------------------------------------------------------------------------- */

static void clashing_labels_are_renamed_or_honored(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    assert_str_c(pages_scrape(&p, "a{job=\"x\"} 1\n"), "a{exported_job=\"x\",job=\"j\"} 1\n");
    p.config.honor_labels = true;
    p.config.shape_hash = 2;
    page_shape(&p.predictor, &p.page, &p.config, true);
    /* the same bytes, another series: the old one ends */
    assert_str_c(pages_scrape(&p, "a{job=\"x\"} 1\n"), "a{job=\"x\"} 1\na{exported_job=\"x\",job=\"j\"} stale\n");
    assert_int_equal(p.result.added, 1);
    pages_close(&p);
}

static struct relabel_rule rule(enum relabel_action action, struct str *source, const char *target, const char *regex,
                                const char *replacement)
{
    struct relabel_rule r = {
        .action = action,
        .source_labels = source,
        .n_source_labels = source ? 1 : 0,
        .separator = STR(";"),
        .target_label = str_c(target),
        .replacement = str_c(replacement),
    };
    assert_int_equal(regex_new(str_c(regex), &r.regex, NULL), OK);
    return r;
}

static void dropped_series_are_scraped_but_not_sent(void **state)
{
    struct pages p;
    struct str source = STR("__name__");
    struct relabel_rule drop = rule(RELABEL_DROP, &source, "", "d.*", "$1");
    struct relabel_rules rules = {&drop, 1};
    (void)state;
    pages_open(&p);
    p.config.metric_relabel = &rules;
    page_shape(&p.predictor, &p.page, &p.config, false);
    for (int i = 0; i < 2; i++) {
        assert_str_c(pages_scrape(&p, "a 1\nd1 2\nd2 3\n"), "a{job=\"j\"} 1\n");
        assert_int_equal(p.result.scraped, 3);
        assert_int_equal(p.result.relabelled, 1);
    }
    assert_str_c(pages_scrape(&p, "a 1\n"), "a{job=\"j\"} 1\n");
    pages_close(&p);
    regex_free(drop.regex);
}

/* New rules: what they leave as it was goes on without a marker, the rest ends. */
static void a_relabel_change_ends_what_it_changes(void **state)
{
    struct pages p;
    struct str source = STR("__name__");
    struct relabel_rule set = rule(RELABEL_REPLACE, &source, "extra", "b", "yes");
    struct relabel_rules rules = {&set, 1};
    (void)state;
    pages_open(&p);
    pages_scrape(&p, "a 1\nb 2\n");
    p.config.metric_relabel = &rules;
    p.config.shape_hash = 2;
    page_shape(&p.predictor, &p.page, &p.config, true);
    assert_str_c(pages_scrape(&p, "a 1\nb 2\n"), "a{job=\"j\"} 1\nb{extra=\"yes\",job=\"j\"} 2\nb{job=\"j\"} stale\n");
    assert_int_equal(p.result.added, 2);
    pages_close(&p);
    regex_free(set.regex);
}

/* A rule that writes a constant label is folded into the scope: series stay shared, and a metric that exposes the label
 * itself goes the long way, in a run of its own. */
static void folded_rules_give_the_same_series(void **state)
{
    struct pages p;
    struct relabel_rule set = rule(RELABEL_REPLACE, NULL, "cluster", "(.*)", "c1");
    struct relabel_rules rules = {&set, 1};
    (void)state;
    pages_open(&p);
    p.config.metric_relabel = &rules;
    page_shape(&p.predictor, &p.page, &p.config, false);
    assert_non_null(p.page.fold);
    for (int i = 0; i < 2; i++)
        assert_str_c(pages_scrape(&p, "a 1\nb{cluster=\"own\"} 2\nc 3\n"),
                     "a{cluster=\"c1\",job=\"j\"} 1\nc{cluster=\"c1\",job=\"j\"} 3\nb{cluster=\"c1\",job=\"j\"} 2\n");
    assert_str_c(
        pages_scrape(&p, "c 3\n"),
        "c{cluster=\"c1\",job=\"j\"} 3\na{cluster=\"c1\",job=\"j\"} stale\nb{cluster=\"c1\",job=\"j\"} stale\n");
    pages_close(&p);
    regex_free(set.regex);
}

static void a_change_of_a_folded_rule_ends_the_old_series(void **state)
{
    struct pages p;
    struct relabel_rule set = rule(RELABEL_REPLACE, NULL, "cluster", "(.*)", "c1");
    struct relabel_rule other = rule(RELABEL_REPLACE, NULL, "cluster", "(.*)", "c2");
    struct relabel_rules rules = {&set, 1};
    struct relabel_rules other_rules = {&other, 1};
    (void)state;
    pages_open(&p);
    p.config.metric_relabel = &rules;
    page_shape(&p.predictor, &p.page, &p.config, false);
    pages_scrape(&p, "a 1\n");
    p.config.metric_relabel = &other_rules;
    p.config.shape_hash = 2;
    page_shape(&p.predictor, &p.page, &p.config, true);
    assert_str_c(pages_scrape(&p, "a 1\n"), "a{cluster=\"c2\",job=\"j\"} 1\na{cluster=\"c1\",job=\"j\"} stale\n");
    assert_str_c(pages_scrape(&p, "a 1\n"), "a{cluster=\"c2\",job=\"j\"} 1\n");
    /* and if the next scrape fails, the old series still end as themselves */
    p.config.metric_relabel = &rules;
    p.config.shape_hash = 1;
    page_shape(&p.predictor, &p.page, &p.config, true);
    assert_str_c(pages_scrape(&p, "{"), "a{cluster=\"c2\",job=\"j\"} stale\n");
    pages_close(&p);
    regex_free(set.regex);
    regex_free(other.regex);
}

/* A map that looks at a scope's value gives each target metrics of its own. */
static void a_scope_value_in_a_map_is_not_shared(void **state)
{
    static const struct label k = {{"job", 3}, {"k", 1}};
    struct pages p;
    struct str sources[2] = {STR("__name__"), STR("job")};
    struct relabel_rule join = rule(RELABEL_REPLACE, sources, "both", "(.*)", "$1");
    struct relabel_rules rules = {&join, 1};
    struct page other;
    (void)state;
    join.n_source_labels = 2;
    pages_open(&p);
    p.config.metric_relabel = &rules;
    page_shape(&p.predictor, &p.page, &p.config, false);
    assert_str_c(pages_scrape(&p, "a 1\n"), "a{both=\"a;j\",job=\"j\"} 1\n");
    struct scope *scope = scope_get(p.scopes, (struct labels){&k, 1});
    page_init(&p.predictor, &other, &p.config, scope);
    scope_unref(p.scopes, scope);
    struct page first = p.page;
    p.page = other;
    assert_str_c(pages_scrape(&p, "a 1\n"), "a{both=\"a;k\",job=\"k\"} 1\n");
    unsigned before = pages_parsed(&p);
    assert_str_c(pages_scrape(&p, "a 1\n"), "a{both=\"a;k\",job=\"k\"} 1\n");
    other = p.page;
    p.page = first;
    assert_str_c(pages_scrape(&p, "a 1\n"), "a{both=\"a;j\",job=\"j\"} 1\n");
    assert_int_equal(pages_parsed(&p), before);
    page_release(&p.predictor, &other);
    pages_close(&p);
    regex_free(join.regex);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void what_a_page_brought_goes_with_it(void **state)
{
    struct pages p;
    AUTO_BUF body = {0};
    (void)state;
    pages_open(&p);
    pages_scrape(&p, "a 1\n");
    for (int i = 0; i < 3000; i++)
        buf_printf(&body, "big{i=\"%d\"} 1\n", i);
    pages_scrape(&p, body.p);
    assert_int_equal(intern_count(p.intern), 3001);
    pages_scrape(&p, "a 1\n");
    assert_true(intern_wants_sweep(p.intern));
    intern_sweep(p.intern);
    assert_int_equal(intern_count(p.intern), 1);
    assert_str_c(pages_scrape(&p, "a 1\n"), "a{job=\"j\"} 1\n");
    pages_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_page_is_taken_whole),
        cmocka_unit_test(the_same_page_again_is_predicted),
        cmocka_unit_test(another_target_finds_the_metrics_of_the_first),
        cmocka_unit_test(a_line_inserted_costs_one_parse),
        cmocka_unit_test(a_line_removed_gets_its_marker),
        cmocka_unit_test(another_order_is_no_news),
        cmocka_unit_test(labels_in_another_order_are_the_same_series),
        cmocka_unit_test(a_name_that_begins_like_another_is_not_it),
        cmocka_unit_test(a_type_in_force_is_part_of_a_bucket),
        cmocka_unit_test(a_type_that_matters_to_no_label_changes_nothing),
        cmocka_unit_test(another_help_changes_no_series),
        cmocka_unit_test(the_first_of_two_equal_lines_wins),
        cmocka_unit_test(equal_lines_with_timestamps_are_all_kept),
        cmocka_unit_test(an_empty_page_marks_everything_once),
        cmocka_unit_test(two_lines_of_one_series_get_one_marker),
        cmocka_unit_test(a_failed_page_adds_no_series),
        cmocka_unit_test(a_page_that_does_not_parse_keeps_the_array),
        cmocka_unit_test(a_cut_off_page_fails),
        cmocka_unit_test(explicit_timestamps_that_repeat_or_step_back_are_dropped),
        cmocka_unit_test(timestamps_survive_the_absence_of_their_series),
        cmocka_unit_test(a_series_that_gets_a_timestamp_may_not_step_back),
        cmocka_unit_test(a_series_that_came_back_may_not_step_behind_its_marker),
        cmocka_unit_test(timestamps_of_long_ago_are_out_of_bounds),
        cmocka_unit_test(timestamps_far_ahead_are_out_of_bounds),
        cmocka_unit_test(series_with_timestamps_get_no_markers),
        cmocka_unit_test(unless_their_staleness_is_tracked),
        cmocka_unit_test(timestamps_that_are_not_honored_do_not_exist),
        cmocka_unit_test(a_page_over_the_sample_limit_is_refused_whole_and_counted_whole),
        cmocka_unit_test(a_page_far_over_the_sample_limit_is_counted_without_being_kept),
        cmocka_unit_test(label_limits_look_at_new_series_only),
        cmocka_unit_test(names_and_values_have_limits_of_length),
        cmocka_unit_test(a_limit_offended_before_the_page_breaks_is_what_is_told),
        cmocka_unit_test(clashing_labels_are_renamed_or_honored),
        cmocka_unit_test(dropped_series_are_scraped_but_not_sent),
        cmocka_unit_test(a_relabel_change_ends_what_it_changes),
        cmocka_unit_test(folded_rules_give_the_same_series),
        cmocka_unit_test(a_change_of_a_folded_rule_ends_the_old_series),
        cmocka_unit_test(a_scope_value_in_a_map_is_not_shared),
        cmocka_unit_test(what_a_page_brought_goes_with_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
