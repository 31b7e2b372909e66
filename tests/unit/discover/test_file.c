/* file_sd and static_configs on a real loop, with files in a folder of the test's own: what becomes of targets when
 * files appear, change, break and go. */
#include "unit.h"

#include "discover/discoverer.h"
#include "discover/target_feed.h"
#include "unit/discover/recorder.h"
#include "world.h"

struct bench {
    struct loop *loop;
    struct counters *counters;
    struct discover_totals totals;
    struct world_folder folder;
    struct plan *plan;
    struct plan_file_sd config;
    struct str files[4];
    struct recorder seen;
    struct discoverer *d;
    struct target_feed *feed; /* NULL: none */
};

static struct bench open_bench(int64_t refresh_ms, const char *pattern, const char *second)
{
    struct bench b = {.loop = loop_new("test"), .counters = counters_new(), .folder = world_folder_new()};

    discover_totals_init(&b.totals, b.counters);
    b.plan = plan_new();
    b.seen = recorder_new();
    b.files[0] = str_dup(&b.plan->arena, str_c(world_path(&b.folder, pattern)));
    if (second)
        b.files[1] = str_dup(&b.plan->arena, str_c(world_path(&b.folder, second)));
    b.config = (struct plan_file_sd){.n_files = second ? 2 : 1, .refresh_ms = refresh_ms};
    return b;
}

static void start(struct bench *b)
{
    struct discover_env env = {.loop = b->loop, .counters = b->counters, .totals = &b->totals, .feed = b->feed};

    b->config.files = b->files;
    b->d = discover_file_new(&env, b->plan, &b->config, &b->seen.consumer);
    assert_int_equal(b->seen.updates, 0); /* always later, never from within */
}

static void close_bench(struct bench *b)
{
    if (b->d)
        b->d->stop(b->d);
    world_loop_free(b->loop);
    counters_free(b->counters);
    plan_unref(b->plan);
    buf_release(&b->seen.last);
    world_folder_free(&b->folder);
}

static double read_errors(struct bench *b)
{
    return counters_sum(b->counters, "prometheus_sd_file_read_errors_total", NULL, 0);
}

enum { RARELY = 3600 * 1000 };

static void test_reports_at_once(void **state)
{
    struct bench b = open_bench(RARELY, "*.json", "more.yml");

    (void)state;
    world_write(&b.folder, "a.json", "[{\"targets\": [\"x:1\", \"x:2\"], \"labels\": {\"k\": \"v\"}}]");
    world_write(&b.folder, "b.json", "[]");
    world_write(&b.folder, "c.txt", "none of ours");
    world_write(&b.folder, "more.yml", "- targets: [y]\n- targets: [z]\n");
    start(&b);
    world_until(b.loop, b.seen.updates == 1);
    assert_string_equal(b.seen.last.p, "a.json:0 k=v x:1,x:2\nmore.yml:0 y\nmore.yml:1 z\n");
    assert_true(read_errors(&b) == 0);
    AUTO_BUF shown = {0};
    counters_print(b.counters, &shown);
    assert_non_null(strstr(shown.p, "prometheus_sd_file_mtime_seconds{filename=\""));
    close_bench(&b);
}

static void test_no_files_is_no_targets(void **state)
{
    struct bench b = open_bench(RARELY, "*.json", NULL);

    (void)state;
    start(&b);
    world_until(b.loop, b.seen.updates == 1);
    assert_string_equal(b.seen.last.p, "");
    close_bench(&b);
}

static void test_a_file_appears_changes_and_goes(void **state)
{
    struct bench b = open_bench(RARELY, "*.json", NULL);

    (void)state;
    start(&b);
    world_until(b.loop, b.seen.updates == 1);
    world_write(&b.folder, "a.json", "[{\"targets\": [\"one\"]}]");
    world_until(b.loop, recorder_says(&b.seen, "a.json:0 one\n"));
    world_write(&b.folder, "a.json", "[{\"targets\": [\"two\"]}]");
    world_until(b.loop, recorder_says(&b.seen, "a.json:0 two\n"));
    assert_int_equal(unlink(world_path(&b.folder, "a.json")), 0);
    world_until(b.loop, recorder_says(&b.seen, ""));
    AUTO_BUF shown = {0};
    counters_print(b.counters, &shown);
    assert_null(strstr(shown.p, "filename=\"")); /* its modification time goes with it */
    close_bench(&b);
}

static void test_a_file_is_renamed_over_another(void **state)
{
    struct bench b = open_bench(RARELY, "a.json", NULL);

    (void)state;
    world_write(&b.folder, "a.json", "[{\"targets\": [\"one\"]}]");
    start(&b);
    world_until(b.loop, recorder_says(&b.seen, "a.json:0 one\n"));
    world_write(&b.folder, "a.tmp", "[{\"targets\": [\"two\"]}]");
    assert_int_equal(rename(world_path(&b.folder, "a.tmp"), world_path(&b.folder, "a.json")), 0);
    world_until(b.loop, recorder_says(&b.seen, "a.json:0 two\n"));
    close_bench(&b);
}

static void test_a_bad_file_keeps_its_last_targets(void **state)
{
    struct bench b = open_bench(RARELY, "*.json", NULL);

    (void)state;
    world_write(&b.folder, "a.json", "[{\"targets\": [\"one\"]}]");
    world_write(&b.folder, "b.json", "[{\"targets\": [\"other\"]}]");
    start(&b);
    world_until(b.loop, recorder_says(&b.seen, "a.json:0 one\nb.json:0 other\n"));
    world_write(&b.folder, "a.json", "[{\"targets\": [\"tw");
    world_write(&b.folder, "b.json", "[{\"targets\": [\"changed\"]}]");
    world_until(b.loop, read_errors(&b) > 0 && recorder_says(&b.seen, "a.json:0 one\nb.json:0 changed\n"));
    world_write(&b.folder, "a.json", "[{\"targets\": [\"two\"]}]");
    world_until(b.loop, recorder_says(&b.seen, "a.json:0 two\nb.json:0 changed\n"));
    close_bench(&b);
}

/* Programs that write in place truncate first: that moment must not cost the targets. */
static void test_an_empty_json_file_keeps_its_last_targets(void **state)
{
    struct bench b = open_bench(RARELY, "a.json", NULL);

    (void)state;
    world_write(&b.folder, "a.json", "[{\"targets\": [\"one\"]}]");
    start(&b);
    world_until(b.loop, recorder_says(&b.seen, "a.json:0 one\n"));
    int updates = b.seen.updates;
    world_write(&b.folder, "a.json", "");
    world_until(b.loop, b.seen.updates > updates);
    assert_string_equal(b.seen.last.p, "a.json:0 one\n");
    assert_true(read_errors(&b) >= 1);
    close_bench(&b);
}

static void test_a_file_that_was_never_good_has_no_targets(void **state)
{
    struct bench b = open_bench(RARELY, "*.json", NULL);

    (void)state;
    world_write(&b.folder, "a.json", "{");
    world_write(&b.folder, "b.json", "[{\"targets\": [\"good\"]}]");
    start(&b);
    world_until(b.loop, b.seen.updates == 1);
    assert_string_equal(b.seen.last.p, "b.json:0 good\n");
    assert_true(read_errors(&b) == 1);
    close_bench(&b);
}

static void test_a_folder_that_is_made_later(void **state)
{
    struct bench b = open_bench(100, "later/*.yml", NULL);

    (void)state;
    start(&b);
    world_until(b.loop, b.seen.updates == 1);
    assert_string_equal(b.seen.last.p, "");
    assert_true(counters_sum(b.counters, "prometheus_sd_file_watcher_errors_total", NULL, 0) >= 1);
    world_write(&b.folder, "later/a.yml", "- targets: [one]\n");
    world_until(b.loop, recorder_says(&b.seen, "a.yml:0 one\n"));
    close_bench(&b);
}

static void test_reads_again_each_refresh_interval(void **state)
{
    struct bench b = open_bench(50, "a.json", NULL);

    (void)state;
    world_write(&b.folder, "a.json", "[{\"targets\": [\"one\"]}]");
    start(&b);
    world_until(b.loop, b.seen.updates >= 4);
    assert_string_equal(b.seen.last.p, "a.json:0 one\n");
    close_bench(&b);
}

static void test_changes_during_a_read_lead_to_another(void **state)
{
    struct bench b = open_bench(RARELY, "*.json", NULL);
    char name[16];

    (void)state;
    start(&b);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "%02d.json", i);
        world_write(&b.folder, name, "[{\"targets\": [\"t\"]}]");
        world_turn(b.loop, 5);
    }
    world_until(b.loop, b.seen.last.p && strstr(b.seen.last.p, "19.json:0 t\n") && strstr(b.seen.last.p, "00.json"));
    close_bench(&b);
}

/* The job that reads borrows the discoverer: it goes when the job is back, and reports nothing more. */
static void test_stops_while_a_read_is_under_way(void **state)
{
    struct bench b = open_bench(RARELY, "*.json", NULL);

    (void)state;
    world_write(&b.folder, "a.json", "[{\"targets\": [\"one\"]}]");
    start(&b);
    b.d->stop(b.d);
    b.d = NULL;
    plan_ref(b.plan);
    world_until(b.loop, atomic_load(&b.plan->refs) == 2);
    plan_unref(b.plan);
    assert_int_equal(b.seen.updates, 0);
    close_bench(&b);
}

static void test_static_groups_come_once_and_later(void **state)
{
    struct bench b = open_bench(RARELY, "x", NULL);
    struct label zone = {STR("zone"), STR("a")}, address = {STR("__address__"), STR("h:1")};
    struct labels target = {&address, 1};
    struct target_group groups[] = {{STR("0"), {&zone, 1}, &target, 1}, {STR("1"), {NULL, 0}, NULL, 0}};
    struct plan_discovery config = {.static_groups = groups, .n_static = 2};
    struct discover_env env = {.loop = b.loop, .counters = b.counters, .totals = &b.totals};

    (void)state;
    b.d = discover_static_new(&env, b.plan, &config, &b.seen.consumer);
    assert_int_equal(b.seen.updates, 0);
    world_until(b.loop, b.seen.updates == 1);
    assert_string_equal(b.seen.last.p, "0 zone=a h:1\n1 \n");
    world_for(b.loop, 20);
    assert_int_equal(b.seen.updates, 1);
    close_bench(&b);
}

static void test_static_stops_before_its_report(void **state)
{
    struct bench b = open_bench(RARELY, "x", NULL);
    struct plan_discovery config = {0};
    struct discover_env env = {.loop = b.loop, .counters = b.counters, .totals = &b.totals};

    (void)state;
    struct discoverer *d = discover_static_new(&env, b.plan, &config, &b.seen.consumer);
    d->stop(d);
    world_for(b.loop, 20);
    assert_int_equal(b.seen.updates, 0);
    close_bench(&b);
}

/* ---- what a discoverer of this process finds ---- */

static void feed(struct bench *b, const char *address)
{
    struct target_groups *g = target_groups_new();
    struct labels *target = ARENA_ARRAY(&g->arena, struct labels, 1);
    struct label *at = ARENA_NEW(&g->arena, struct label), *job = ARENA_NEW(&g->arena, struct label);

    *at = (struct label){STR("__address__"), str_dup(&g->arena, str_c(address))};
    *job = (struct label){STR("job"), STR("j")};
    *target = (struct labels){at, 1};
    g->groups = ARENA_ARRAY(&g->arena, struct target_group, 1);
    g->groups[g->n++] =
        (struct target_group){.source = STR("x"), .labels = {job, 1}, .targets = target, .n_targets = 1};
    target_feed_input(b->feed)->update(target_feed_input(b->feed), g);
}

static void run_fed(const char *pattern)
{
    struct bench b = open_bench(100, pattern, "more.yml");

    b.feed = target_feed_new(world_path(&b.folder, "result.yaml"));
    world_write(&b.folder, "more.yml", "- targets: [y]\n");
    world_write(&b.folder, "result.yaml", "- targets: [before]\n");
    start(&b);
    world_until(b.loop, recorder_says(&b.seen, "more.yml:0 y\nresult.yaml:0 before\n"));
    feed(&b, "one:1");
    assert_true(recorder_says(&b.seen, "more.yml:0 y\nresult.yaml:0 job=j one:1\n"));
    world_write(&b.folder, "result.yaml", "- targets: [not read any more]\n");
    world_write(&b.folder, "more.yml", "- targets: [z]\n");
    world_until(b.loop, recorder_says(&b.seen, "more.yml:0 z\nresult.yaml:0 job=j one:1\n"));
    assert_int_equal(unlink(world_path(&b.folder, "result.yaml")), 0);
    int updates = (int)b.seen.updates;
    world_until(b.loop, (int)b.seen.updates > updates + 1);
    assert_true(recorder_says(&b.seen, "more.yml:0 z\nresult.yaml:0 job=j one:1\n"));
    b.d->stop(b.d);
    b.d = NULL;
    feed(&b, "nobody:1"); /* listens any more */
    target_feed_free(b.feed);
    close_bench(&b);
}

static void test_a_feed_takes_the_place_of_its_file(void **state)
{
    (void)state;
    run_fed("result.yaml");
    run_fed("res*.yaml");
}

static void test_without_files_the_first_word_is_the_feeds(void **state)
{
    struct bench b = open_bench(50, "result.yaml", NULL);

    (void)state;
    b.feed = target_feed_new(world_path(&b.folder, "result.yaml"));
    start(&b);
    struct discover_status status = {0};
    world_until(b.loop, (b.d->status(b.d, &status), status.refreshes >= 3));
    assert_int_equal(b.seen.updates, 0);
    feed(&b, "one:1");
    assert_true(recorder_says(&b.seen, "result.yaml:0 job=j one:1\n"));
    b.d->stop(b.d);
    b.d = NULL;
    target_feed_free(b.feed);
    close_bench(&b);
}

static void test_a_feed_of_another_path_is_nothing_to_it(void **state)
{
    struct bench b = open_bench(RARELY, "*.json", NULL);

    (void)state;
    b.feed = target_feed_new(world_path(&b.folder, "result.yaml"));
    start(&b);
    world_until(b.loop, b.seen.updates == 1);
    feed(&b, "one:1");
    assert_int_equal(b.seen.updates, 1);
    b.d->stop(b.d);
    b.d = NULL;
    target_feed_free(b.feed);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reports_at_once),
        cmocka_unit_test(test_no_files_is_no_targets),
        cmocka_unit_test(test_a_file_appears_changes_and_goes),
        cmocka_unit_test(test_a_file_is_renamed_over_another),
        cmocka_unit_test(test_a_bad_file_keeps_its_last_targets),
        cmocka_unit_test(test_an_empty_json_file_keeps_its_last_targets),
        cmocka_unit_test(test_a_file_that_was_never_good_has_no_targets),
        cmocka_unit_test(test_a_folder_that_is_made_later),
        cmocka_unit_test(test_reads_again_each_refresh_interval),
        cmocka_unit_test(test_changes_during_a_read_lead_to_another),
        cmocka_unit_test(test_stops_while_a_read_is_under_way),
        cmocka_unit_test(test_static_groups_come_once_and_later),
        cmocka_unit_test(test_static_stops_before_its_report),
        cmocka_unit_test(test_a_feed_takes_the_place_of_its_file),
        cmocka_unit_test(test_without_files_the_first_word_is_the_feeds),
        cmocka_unit_test(test_a_feed_of_another_path_is_nothing_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
