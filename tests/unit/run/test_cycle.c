/* cycle: one cycle of a plan's discoveries: what would be scraped, by whom it is found, and why the rest is not. */
#include "unit.h"

#include "base/mem.h"
#include "config/config.h"
#include "run/cycle.h"
#include "world.h"

struct bench {
    struct world_folder folder;
    struct arena arena;
    struct plan *plan;
    struct cycle_findings found;
};

static void run(struct bench *b, const char *text, const char *job)
{
    struct diag d = {0};

    if (config_parse_prometheus(str_c(text), "prometheus.yml", b->folder.path, &(struct config_options){0}, &b->plan,
                                NULL, &d))
        fail_msg("%s", d.text);
    cycle_run(b->plan, str_c(job), NULL, 20000, &b->arena, &b->found);
}

static void close_bench(struct bench *b)
{
    arena_release(&b->arena);
    plan_unref(b->plan);
    world_folder_free(&b->folder);
}

static void expect_target(const struct bench *b, uint32_t i, const char *job, const char *url, const char *by)
{
    assert_true(i < b->found.n_targets);
    assert_true(str_eq_c(b->found.targets[i].job_name, job));
    assert_true(str_eq_c(b->found.targets[i].url, url));
    assert_true(str_eq_c(b->found.targets[i].found_by, by));
}

static void expect_skip(const struct bench *b, const char *what, const char *why)
{
    for (uint32_t i = 0; i < b->found.n_skips; i++)
        if (str_eq_c(b->found.skips[i].what, what) && str_contains(b->found.skips[i].why, str_c(why)))
            return;
    fail_msg("not among what is left out: %s: %s", what, why);
}

static void test_two_discoveries_of_a_job(void **state)
{
    struct bench b = {.folder = world_folder_new()};

    (void)state;
    world_write(&b.folder, "t.yml", "- targets: [b:1, a:1, c:1]\n");
    run(&b,
        "scrape_configs:\n"
        "  - job_name: z\n"
        "    static_configs: [{targets: ['a:1', 'http://x/y']}]\n"
        "    file_sd_configs: [{files: [t.yml]}]\n"
        "    relabel_configs:\n"
        "      - {source_labels: [__address__], target_label: at}\n"
        "      - {source_labels: [__address__], regex: 'c:1', action: drop}\n"
        "  - job_name: a\n"
        "    static_configs: [{targets: ['a:1']}]\n",
        "");
    assert_int_equal(b.found.n_failed, 0);
    assert_int_equal(b.found.n_discoveries, 3);
    assert_int_equal(b.found.n_targets, 3);
    expect_target(&b, 0, "z", "http://a:1/metrics", "static");
    expect_target(&b, 1, "z", "http://b:1/metrics", "file");
    expect_target(&b, 2, "a", "http://a:1/metrics", "static");
    assert_true(str_eq_c(labels_get(b.found.targets[1].labels, STR("at")), "b:1"));
    assert_true(labels_get(b.found.targets[1].discovered, STR("__meta_filepath")).n > 0);
    assert_int_equal(b.found.n_skips, 3);
    expect_skip(&b, "c:1", "dropped by rule 2 of relabel_configs: {source_labels: [__address__], regex: ");
    expect_skip(&b, "http://a:1/metrics", "the same target as one found by static");
    expect_skip(&b, "instance 1 in group 0", "is not a valid hostname");
    close_bench(&b);
}

static void test_a_failure_is_its_own(void **state)
{
    struct bench b = {.folder = world_folder_new()};

    (void)state;
    run(&b,
        "scrape_configs:\n"
        "  - job_name: here\n"
        "    ecs_task_sd_configs: [{}]\n"
        "    static_configs: [{targets: ['a:1', 'b:1']}]\n"
        "    target_limit: 1\n"
        "  - job_name: nothing\n"
        "    file_sd_configs: [{files: ['none*.json']}]\n",
        "");
    assert_int_equal(b.found.n_failed, 1);
    assert_int_equal(b.found.n_targets, 2);
    expect_skip(&b, "2 targets", "target_limit is 1: none of them is scraped");
    assert_int_equal(b.found.n_skips, 2);
    assert_true(str_contains(b.found.skips[1].why, STR("finds nothing")));
    for (uint32_t i = 0; i < b.found.n_discoveries; i++)
        assert_int_equal(b.found.discoveries[i].error.n > 0,
                         str_eq(b.found.discoveries[i].mechanism, STR("ecs_task")));
    close_bench(&b);
}

static void test_one_job_alone(void **state)
{
    struct bench b = {.folder = world_folder_new()};

    (void)state;
    run(&b,
        "scrape_configs:\n"
        "  - {job_name: a, static_configs: [{targets: ['a:1']}]}\n"
        "  - {job_name: b, ecs_task_sd_configs: [{}]}\n",
        "a");
    assert_int_equal(b.found.n_failed, 0);
    assert_int_equal(b.found.n_discoveries, 1);
    expect_target(&b, 0, "a", "http://a:1/metrics", "static");
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_discoveries_of_a_job),
        cmocka_unit_test(test_a_failure_is_its_own),
        cmocka_unit_test(test_one_job_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
