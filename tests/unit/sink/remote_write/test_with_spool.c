/* A destination in front of the real spool: what one process could not deliver, the next one does. */
#define SEND_WORLD_REAL_SPOOL
#include "unit.h"

#include "unit/sink/remote_write/send_world.h"

#include <unistd.h>

static void open_spool(struct world *w, enum spool_mode mode)
{
    struct diag d = {0};
    struct spool_options o = {.directory = w->directory,
                              .destination = "test",
                              .mode = mode,
                              .compression = COMPRESS_SNAPPY,
                              .protocol = 1,
                              .max_samples = 2000,
                              .max_raw_bytes = 1 << 20,
                              .seal_after_ms = 50,
                              .budget = &w->budget,
                              .io = w->io};
    if (spool_open(&o, &w->spool, &d) != OK)
        fail_msg("%s", d.text);
}

static struct world *start(enum spool_mode mode)
{
    struct world *w = world_new();
    w->budget.max_bytes = 1 << 30;
    w->budget.max_memory_bytes = 64 << 20;
    w->budget.max_age_ms = 4 * 3600 * 1000;
    w->io = io_thread_new();
    snprintf(w->directory, sizeof(w->directory), "/tmp/leadline-sink-XXXXXX");
    assert_non_null(mkdtemp(w->directory));
    open_spool(w, mode);
    return w;
}

static void end(struct world *w)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", w->directory);
    world_free(w);
    assert_int_equal(system(command), 0);
}

static void in_memory(void **state)
{
    (void)state;
    struct world *w = start(SPOOL_MEMORY);
    w->decide = decide_bad;
    snprintf(w->bad, sizeof(w->bad), "t7");
    world_start(w);
    for (int i = 0; i < 20; i++)
        world_scrape(w, (uint32_t)i % LANES, i, clock_wall_ms(), 100);
    world_scrape(w, 3, 50, clock_wall_ms(), 4321); /* a group */
    world_drain(w);
    struct spool_ledger l = world_ledger(w);
    assert_int_equal(l.read, 20 * 100 + 4321);
    assert_int_equal(l.delivered, 19 * 100 + 4321);
    assert_int_equal(l.dropped[DROP_REFUSED], 100);
    end(w);
}

static void across_a_restart(void **state)
{
    (void)state;
    struct world *w = start(SPOOL_DISK);
    http_server_free(w->server);
    world_run_for(w, 5);
    world_start(w);
    int64_t t0 = clock_wall_ms() - 100000;
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 20; i++)
            world_scrape(w, (uint32_t)i % LANES, i, t0 + 1000 * round, 100);
        world_run_for(w, 2);
    }
    world_scrape(w, 3, 50, t0 + 20000, 4321);
    world_run_for(w, 100);
    world_close(w);
    spool_close(w->spool);

    open_spool(w, SPOOL_DISK);
    assert_int_equal(world_ledger(w).waiting, 20000 + 4321);
    world_listen(w);
    world_start(w);
    world_scrape(w, 3, 3, t0 + 30000, 100); /* new, behind the old */
    world_drain(w);
    struct spool_ledger l = world_ledger(w);
    assert_int_equal(l.read, 20000 + 4321 + 100);
    assert_int_equal(l.delivered, l.read);
    assert_int_equal(w->accepted, l.read);
    assert_true(w->seen[w->n_seen - 1].first_ts_ms > 0);
    end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_memory),
        cmocka_unit_test(across_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
