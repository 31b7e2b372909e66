/* Which comments the samples of a batch stand under. */
#include "unit/source/scrape/pages.h"

#define ABOUT_A "# TYPE a gauge\n"
#define ABOUT_B "# TYPE b counter\n# HELP b B.\n"

static struct str blocks(struct pages *p, const char *body)
{
    pages_scrape(p, body);
    assert_int_equal(p->err, OK);
    return buf_view(&p->blocks);
}

static void samples_stand_under_the_comments_above_them(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    for (int i = 0; i < 3; i++)
        assert_str_c(blocks(&p, "z 1\n" ABOUT_A "a{x=\"1\"} 1\na{x=\"2\"} 2\n" ABOUT_B "b 3\n"),
                     "z < -\na < # TYPE a gauge\na < # TYPE a gauge\nb < # TYPE b counter\n");
    pages_close(&p);
}

static void stale_markers_stand_under_none(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    pages_scrape(&p, ABOUT_A "a 1\n" ABOUT_B "b 3\nc 4\n");
    assert_str_c(blocks(&p, ABOUT_A "a 1\n" ABOUT_B "b 3\n"), "a < # TYPE a gauge\nb < # TYPE b counter\nc < -\n");
    assert_str_c(blocks(&p, ABOUT_A "a 1\n" ABOUT_B), "a < # TYPE a gauge\nb < -\n");
    assert_str_c(blocks(&p, ""), "a < -\n");
    pages_close(&p);
}

static void report_series_stand_under_none(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    pages_scrape(&p, ABOUT_A "a 1\n");
    uint32_t id = p.page.positions[1] & POSITION_ID;
    struct buf body = {0};
    buf_c(&body, ABOUT_A "a 1\n");
    struct predict_input in = {.page = &p.page, .config = &p.config, .body = buf_view(&body), .ts_ms = 5000};
    predict_begin(&p.predictor);
    assert_int_equal(predict_page(&p.predictor, &in, &p.result, NULL), OK);
    predict_append(&p.predictor, &p.page, id, 1);
    pages_take_batch(&p);
    assert_str_c(buf_view(&p.blocks), "a < # TYPE a gauge\na < -\n");
    buf_release(&body);
    pages_close(&p);
}

static void samples_left_out_move_no_border(void **state)
{
    struct pages p;
    (void)state;
    pages_open(&p);
    for (int i = 0; i < 2; i++)
        assert_str_c(blocks(&p, ABOUT_A "a 1\na 2\na{x=\"1\"} 1\n" ABOUT_B "b 3\nb 3\nb{x=\"1\"} 3\n"),
                     "a < # TYPE a gauge\na < # TYPE a gauge\nb < # TYPE b counter\nb < # TYPE b counter\n");
    pages_close(&p);
    pages_open(&p);
    for (int i = 0; i < 2; i++)
        assert_str_c(blocks(&p, ABOUT_A "a 1 500\na 2 400\na 1 300\n" ABOUT_B "b 3\n"),
                     i == 0 ? "a < # TYPE a gauge\nb < # TYPE b counter\n" : "b < # TYPE b counter\n");
    pages_close(&p);
}

/* A rule folded into the scope makes two runs of one page. */
static void each_run_has_its_blocks(void **state)
{
    struct pages p;
    struct relabel_rule set = {
        .action = RELABEL_REPLACE, .target_label = STR("cluster"), .separator = STR(";"), .replacement = STR("c1")};
    struct relabel_rules rules = {&set, 1};
    (void)state;
    assert_int_equal(regex_new(STR("(.*)"), &set.regex, NULL), OK);
    pages_open(&p);
    p.config.metric_relabel = &rules;
    page_shape(&p.predictor, &p.page, &p.config, false);
    assert_non_null(p.page.fold);
    for (int i = 0; i < 2; i++)
        assert_str_c(blocks(&p, ABOUT_A "a 1\na{cluster=\"own\"} 2\n" ABOUT_B "b{cluster=\"own\"} 3\nb 4\n"),
                     "a < # TYPE a gauge\nb < # TYPE b counter\na < # TYPE a gauge\nb < # TYPE b counter\n");
    pages_close(&p);
    regex_free(set.regex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_stand_under_the_comments_above_them),
        cmocka_unit_test(stale_markers_stand_under_none),
        cmocka_unit_test(report_series_stand_under_none),
        cmocka_unit_test(samples_left_out_move_no_border),
        cmocka_unit_test(each_run_has_its_blocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
