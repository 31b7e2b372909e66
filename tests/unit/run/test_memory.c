/* When the program gives way before the control group's limit, and when it stops giving way. */
#include "unit.h"

#include "run/memory.h"
#include "world.h"

enum { MIB = 1 << 20 };

static struct machine_memory use(uint64_t own, uint64_t group, uint64_t limit)
{
    return (struct machine_memory){.own_bytes = own * MIB, .group_bytes = group * MIB, .group_limit = limit * MIB};
}

static void test_without_a_bound_memory_is_plenty(void **state)
{
    struct machine_memory m = use(100000, 100000, 0);
    (void)state;
    assert_int_equal(memory_level_of(&m, 0, MEMORY_PLENTY), MEMORY_PLENTY);
}

static void test_the_ceiling_bounds_the_process(void **state)
{
    struct machine_memory low = use(79, 0, 0), mid = use(80, 0, 0), high = use(90, 0, 0);
    (void)state;
    assert_int_equal(memory_level_of(&low, 100 * MIB, MEMORY_PLENTY), MEMORY_PLENTY);
    assert_int_equal(memory_level_of(&mid, 100 * MIB, MEMORY_PLENTY), MEMORY_SPOOL);
    assert_int_equal(memory_level_of(&high, 100 * MIB, MEMORY_PLENTY), MEMORY_DELAY);
}

/* The killer looks at the group, whoever fills it. 90 % of 1000 MiB are the bound. */
static void test_the_group_counts_too(void **state)
{
    struct machine_memory low = use(10, 710, 1000), mid = use(10, 730, 1000), high = use(10, 820, 1000);
    (void)state;
    assert_int_equal(memory_level_of(&low, 0, MEMORY_PLENTY), MEMORY_PLENTY);
    assert_int_equal(memory_level_of(&mid, 0, MEMORY_PLENTY), MEMORY_SPOOL);
    assert_int_equal(memory_level_of(&high, 500 * MIB, MEMORY_PLENTY), MEMORY_DELAY);
}

static void test_a_level_ends_below_where_it_began(void **state)
{
    struct machine_memory m = use(86, 0, 0), n = use(77, 0, 0), o = use(74, 0, 0);
    (void)state;
    assert_int_equal(memory_level_of(&m, 100 * MIB, MEMORY_DELAY), MEMORY_DELAY);
    assert_int_equal(memory_level_of(&m, 100 * MIB, MEMORY_SPOOL), MEMORY_SPOOL);
    assert_int_equal(memory_level_of(&n, 100 * MIB, MEMORY_DELAY), MEMORY_SPOOL);
    assert_int_equal(memory_level_of(&o, 100 * MIB, MEMORY_SPOOL), MEMORY_PLENTY);
}

static void test_idle_page_cache_does_not_count(void **state)
{
    struct world_folder f = world_folder_new();
    (void)state;
    world_write(&f, "proc/self/status", "Name:\tx\nRssAnon:\t    2048 kB\nRssFile:\t 900 kB\nRssShmem:\t 1024 kB\n");
    world_write(&f, "sys/fs/cgroup/memory.max", "104857600\n");
    world_write(&f, "sys/fs/cgroup/memory.current", "90000000\n");
    world_write(&f, "sys/fs/cgroup/memory.stat", "anon 1\ninactive_file 60000000\nactive_file 5\n");
    struct machine_memory m = machine_memory(f.path);
    assert_true(m.own_bytes == 3 * MIB);
    assert_true(m.group_bytes == 30000000);
    assert_true(m.group_limit == 104857600);
    world_folder_free(&f);
}

static void test_version_1_says_it_in_other_words(void **state)
{
    struct world_folder f = world_folder_new();
    (void)state;
    world_write(&f, "sys/fs/cgroup/memory/memory.limit_in_bytes", "104857600\n");
    world_write(&f, "sys/fs/cgroup/memory/memory.usage_in_bytes", "90000000\n");
    world_write(&f, "sys/fs/cgroup/memory/memory.stat", "inactive_file 7\ntotal_inactive_file 50000000\n");
    struct machine_memory m = machine_memory(f.path);
    assert_true(m.group_bytes == 40000000);
    assert_true(m.group_limit == 104857600);
    world_folder_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_bound_memory_is_plenty),
        cmocka_unit_test(test_the_ceiling_bounds_the_process),
        cmocka_unit_test(test_the_group_counts_too),
        cmocka_unit_test(test_a_level_ends_below_where_it_began),
        cmocka_unit_test(test_idle_page_cache_does_not_count),
        cmocka_unit_test(test_version_1_says_it_in_other_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
