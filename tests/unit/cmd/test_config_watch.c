/* What counts as a changed configuration: the file, and what its scrape_config_files find. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "unit.h"

#include "base/file.h"
#include "cmd/config_watch.h"

static char directory[] = "/tmp/leadline-watch-XXXXXX";
static char config[64], one[64], two[64];

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(config, sizeof(config), "%s/prometheus.yml", directory);
    snprintf(one, sizeof(one), "%s/one.yml", directory);
    snprintf(two, sizeof(two), "%s/two.yml", directory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(config);
    unlink(one);
    unlink(two);
    return rmdir(directory);
}

static void put(const char *path, const char *text)
{
    assert_int_equal(file_replace(path, str_c(text), NULL), OK);
}

static void test_changes(void **state)
{
    (void)state;
    assert_int_equal(config_watch_hash(config), 0);
    put(config, "scrape_config_files: ['o*.yml', 't*.yml']\n");
    uint64_t bare = config_watch_hash(config);
    assert_int_not_equal(bare, 0);
    assert_int_equal(config_watch_hash(config), bare);
    put(one, "a");
    uint64_t with_one = config_watch_hash(config);
    assert_int_not_equal(with_one, bare);
    put(one, "b");
    assert_int_not_equal(config_watch_hash(config), with_one);
    put(one, "a");
    assert_int_equal(config_watch_hash(config), with_one);
    assert_int_equal(rename(one, two), 0);
    assert_int_not_equal(config_watch_hash(config), with_one);
    unlink(two);
    assert_int_equal(config_watch_hash(config), bare);
    put(config, "scrape_config_files: ['o*.yml', 't*.yml'] # changed\n");
    assert_int_not_equal(config_watch_hash(config), bare);
    put(config, "this: is [ no YAML");
    assert_int_not_equal(config_watch_hash(config), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_changes)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
