/* Files of failed scrapes. */
#include "unit.h"

#include <world.h> /* that of all tests, not the one beside this file */

#include "base/mem.h"
#include "source/scrape/failure_log.h"

static struct plan *plan_of(struct plan_scrape *scrapes, uint32_t n)
{
    struct plan *p = plan_new();

    p->scrapes = scrapes;
    p->n_scrapes = n;
    return p;
}

static char *content(const char *path)
{
    static char text[4096];
    FILE *f = fopen(path, "r");

    assert_non_null(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    return text;
}

static void jobs_share_a_file_and_a_reload_opens_it_anew(void **state)
{
    struct world_folder folder = world_folder_new();
    char *path = mem_strdup(world_path(&folder, "failures.json"));
    struct plan_scrape scrapes[3] = {{.scrape_failure_log_file = str_c(path)},
                                     {.scrape_failure_log_file = str_c(path)}};
    struct plan *plan = plan_of(scrapes, 3);
    struct failure_logs *first, *second;
    (void)state;

    assert_int_equal(failure_logs_open(plan, &first, NULL), OK);
    assert_null(failure_logs_get(first, STR("")));
    assert_null(failure_logs_get(first, STR("/other")));
    log_error(failure_logs_get(first, str_c(path)), "Get \"http://a\": no", F_C("job_name", "j"),
              F_C("target", "http://a"));
    rename(path, world_path(&folder, "rotated.json"));
    assert_int_equal(failure_logs_open(plan, &second, NULL), OK);
    failure_logs_unref(first);
    log_error(failure_logs_get(second, str_c(path)), "again", F_C("job_name", "j"));
    failure_logs_unref(second);

    const char *rotated = content(world_path(&folder, "rotated.json"));
    assert_memory_equal(rotated, "{\"time\":\"", 9);
    assert_non_null(strstr(rotated, "\"level\":\"ERROR\",\"source\":\"test_failure_log.c:"));
    assert_non_null(
        strstr(rotated, "\"msg\":\"Get \\\"http://a\\\": no\",\"job_name\":\"j\",\"target\":\"http://a\"}\n"));
    assert_non_null(strstr(content(path), "\"msg\":\"again\",\"job_name\":\"j\"}\n"));
    plan_unref(plan);
    free(path);
    world_folder_free(&folder);
}

static void a_file_that_cannot_be_opened_is_an_error(void **state)
{
    struct plan_scrape scrapes[2] = {{0}, {.scrape_failure_log_file = STR("/nonexistent/x.json")}};
    struct plan *plan = plan_of(scrapes, 2);
    struct failure_logs *logs;
    struct diag d = {0};
    (void)state;

    assert_int_equal(failure_logs_open(plan, &logs, &d), ERR_IO);
    assert_string_equal(d.text, "can't create json log file: open /nonexistent/x.json: No such file or directory");
    plan->n_scrapes = 1;
    assert_int_equal(failure_logs_open(plan, &logs, &d), OK);
    assert_null(logs);
    failure_logs_unref(failure_logs_ref(logs));
    plan_unref(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_share_a_file_and_a_reload_opens_it_anew),
        cmocka_unit_test(a_file_that_cannot_be_opened_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
