/* Caps, age, full and failing disks, network file systems, large spools; and the ledger seen from another thread. */
#include "spool_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

static int setup(void **state)
{
    static struct fixture f;
    fixture_init(&f);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fixture_release(*state);
    return 0;
}

/* One request each, of a size that hardly compresses. */
static void fill(struct fixture *f, struct spool_lane *l, uint64_t from, uint64_t to)
{
    for (uint64_t id = from; id <= to; id++) {
        fixture_commit(l, id, 20000, 100);
        spool_lane_seal(l);
        fixture_settle(f);
    }
}

static void a_full_spool_drops_the_oldest_but_not_the_one_in_flight(void **state)
{
    struct fixture *f = *state;
    f->budget.max_bytes = 3 << 20;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    fill(f, l, 1, 5);
    const struct spool_request *r;
    assert_true(fixture_peek(f, l, &r));
    fill(f, l, 6, 2000);
    struct spool_ledger sum = fixture_balance(f);
    assert_true(sum.dropped[DROP_CAP] > 0);
    assert_int_equal(sum.dropped[DROP_CAP], ledger_dropped(&sum));
    /* The open batches leave less than half: so much is for segments. */
    assert_true(f->budget.disk_bytes <= f->budget.mapping_bytes + (3 << 19) + (64 << 10));
    assert_true(sum.waiting > 100 * 50); /* the cap is used */
    uint64_t ids[2000], id;
    assert_int_equal(fixture_ids(r, &id, 1), 1);
    assert_int_equal(id, 1);
    fixture_deliver(l, r);
    size_t n = fixture_drain(f, l, ids, 2000);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ids[i], 2001 - n + i); /* the newest, without a gap */
    sum = fixture_balance(f);
    assert_int_equal(sum.delivered, (n + 1) * 100);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(fixture_balance(f).dropped[DROP_CAP], sum.dropped[DROP_CAP]);
}

static void old_requests_are_dropped_by_age(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    fill(f, l, 1, 30);
    fixture_close(f);
    f->budget.max_age_ms = 200;
    usleep(300000);
    fixture_open(f);
    l = fixture_lane(f, 0);
    fixture_turn(f, 1);
    fill(f, l, 31, 33);
    uint64_t ids[40];
    assert_int_equal(fixture_drain(f, l, ids, 40), 3);
    assert_int_equal(ids[0], 31);
    struct spool_ledger sum = fixture_balance(f);
    assert_int_equal(sum.dropped[DROP_AGE], 3000);
    assert_int_equal(sum.delivered, 300);
}

static _Atomic bool disk_full;

static ssize_t full_pwrite(int fd, const void *p, size_t n, off_t at)
{
    if (disk_full) {
        if (n > 1000)
            return pwrite(fd, p, 1000, at); /* what fits */
        errno = ENOSPC;
        return -1;
    }
    return pwrite(fd, p, n, at);
}

static void a_full_disk_stops_nothing_and_writing_resumes(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    fill(f, l, 1, 20);
    f->spool->disk.pwrite = full_pwrite;
    disk_full = true;
    fill(f, l, 21, 60);
    fixture_turn(f, 20);
    struct spool_ledger sum = fixture_balance(f);
    assert_int_equal(ledger_dropped(&sum), 0);
    assert_int_equal(sum.waiting, 6000);
    assert_true(l->failing);
    disk_full = false;
    l->retry_at_ms = 0;
    fill(f, l, 61, 80);
    fixture_turn(f, 20);
    assert_false(l->failing);
    uint64_t ids[100];
    assert_int_equal(fixture_drain(f, l, ids, 100), 80);
    for (uint64_t i = 0; i < 80; i++)
        assert_int_equal(ids[i], i + 1);
    fixture_balance(f);
}

static _Atomic bool disk_hangs;

static ssize_t hanging_pwrite(int fd, const void *p, size_t n, off_t at)
{
    while (disk_hangs)
        usleep(1000);
    return pwrite(fd, p, n, at);
}

/* Commits go on, groups count and are sent, memory is bounded; and all is in order when the disk answers again. */
static void a_disk_that_hangs_stops_nothing(void **state)
{
    struct fixture *f = *state;
    f->budget.max_memory_bytes = 400000;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    fixture_settle(f);
    f->spool->disk.pwrite = hanging_pwrite;
    disk_hangs = true;
    for (uint64_t id = 1; id <= 10; id++) {
        fixture_commit(l, id, 2000, 100);
        spool_lane_seal(l);
    }
    spool_lane_group_begin(l);
    scrape_bytes(spool_lane_room(l).p, 11, 2000);
    spool_lane_group_add(l, 2000, &(struct spool_counts){.read = 100, .samples = 100});
    spool_lane_group_end(l);
    fixture_turn(f, 20);
    assert_true(l->job_busy && l->job.n_append > 0);
    l->job_since_ms = 0; /* long ago */
    fixture_turn(f, 1100);
    assert_int_equal(fixture_balance(f).read, 1100);
    uint64_t ids[300];
    for (uint64_t id = 1; id <= 11; id++) {
        const struct spool_request *r;
        assert_true(fixture_peek(f, l, &r));
        assert_int_equal(fixture_ids(r, ids, 1), 1);
        assert_int_equal(ids[0], id);
        fixture_deliver(l, r);
    }
    for (uint64_t id = 12; id <= 200; id++) {
        fixture_commit(l, id, 20000, 100);
        spool_lane_seal(l);
    }
    struct spool_ledger sum = fixture_balance(f);
    assert_true(sum.dropped[DROP_MEMORY] > 0);
    assert_true(f->budget.memory_bytes < 450000); /* what is being written stays */
    disk_hangs = false;
    size_t n = fixture_drain(f, l, ids, 300);
    assert_int_equal(ids[n - 1], 200);
    fixture_balance(f);
}

static void memory_is_bounded_when_the_disk_is_full(void **state)
{
    struct fixture *f = *state;
    f->budget.max_memory_bytes = 300000;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    fill(f, l, 1, 10);
    f->spool->disk.pwrite = full_pwrite;
    disk_full = true;
    fill(f, l, 11, 200);
    assert_true(f->budget.memory_bytes <= 300000);
    struct spool_ledger sum = fixture_balance(f);
    assert_true(sum.dropped[DROP_MEMORY] > 0);
    uint64_t dropped = sum.dropped[DROP_MEMORY];
    /* A kill now takes what only memory held, and no more. */
    fixture_abandon(f);
    disk_full = false;
    fixture_open(f);
    sum = fixture_balance(f);
    assert_int_equal(sum.read, 20000);
    assert_int_equal(sum.dropped[DROP_MEMORY], dropped);
    assert_int_equal(sum.dropped[DROP_CRASH], 20000 - dropped - sum.waiting);
    assert_true(sum.waiting >= 1000);
    uint64_t ids[200];
    l = fixture_lane(f, 0);
    assert_int_equal(fixture_drain(f, l, ids, 200) * 100, sum.waiting);
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(ids[i], i + 1);
    fixture_balance(f);
}

static void a_disk_that_fails_until_the_end_is_counted(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    fill(f, l, 1, 3);
    f->spool->disk.pwrite = full_pwrite;
    disk_full = true;
    fill(f, l, 4, 40);
    fixture_close(f);
    disk_full = false;
    fixture_open(f);
    struct spool_ledger sum = fixture_balance(f);
    assert_int_equal(sum.read, 4000);
    assert_true(sum.dropped[DROP_STOP] > 0);
    assert_int_equal(sum.dropped[DROP_CRASH], 0);
    uint64_t ids[40];
    assert_int_equal(fixture_drain(f, fixture_lane(f, 0), ids, 40) * 100, sum.waiting);
    fixture_balance(f);
}

static void groups_count_once_also_without_a_disk(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    fill(f, l, 1, 2);
    f->spool->disk.pwrite = full_pwrite;
    disk_full = true;
    for (int round = 0; round < 2; round++) {
        spool_lane_group_begin(l);
        for (uint64_t id = 10; id < 14; id++) {
            scrape_bytes(spool_lane_room(l).p, id + (uint64_t)round * 10, 9000);
            spool_lane_group_add(l, 9000, &(struct spool_counts){.read = 100, .samples = 100});
        }
        spool_lane_group_end(l);
        fixture_turn(f, 5);
    }
    assert_int_equal(fixture_balance(f).read, 1000);
    disk_full = false;
    l->retry_at_ms = 0;
    fill(f, l, 30, 31);
    assert_int_equal(fixture_balance(f).read, 1200);
    fixture_abandon(f);
    fixture_open(f);
    assert_int_equal(fixture_balance(f).read, 1200);
    uint64_t ids[20];
    assert_int_equal(fixture_drain(f, fixture_lane(f, 0), ids, 20), 12);
    assert_int_equal(fixture_balance(f).delivered, 1200);
}

static void a_real_full_file_system_is_survived(void **state)
{
    struct fixture *f = *state;
    if (geteuid() != 0 || mount("spool-test", f->directory, "tmpfs", 0, "size=4m") != 0)
        skip();
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    fixture_turn(f, 2);
    fill(f, l, 1, 300);
    struct spool_ledger sum = fixture_balance(f);
    assert_int_equal(sum.read, 30000);
    uint64_t ids[300];
    size_t n = fixture_drain(f, l, ids, 300);
    assert_int_equal(ids[n - 1], 300);
    sum = fixture_balance(f);
    assert_int_equal(sum.delivered, n * 100);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(fixture_balance(f).delivered, n * 100);
    fixture_close(f);
    umount(f->directory);
}

static void a_start_on_a_file_system_without_room_keeps_to_memory(void **state)
{
    struct fixture *f = *state;
    if (geteuid() != 0 || mount("spool-test", f->directory, "tmpfs", 0, "size=200k") != 0)
        skip();
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    fill(f, l, 1, 20);
    uint64_t ids[20];
    assert_int_equal(fixture_drain(f, l, ids, 20), 20);
    fixture_balance(f);
    fixture_close(f);
    umount(f->directory);
}

static void a_network_file_system_is_written_without_mappings(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    f->spool->network = true;
    struct spool_lane *l = fixture_lane(f, 0);
    fill(f, l, 1, 10);
    const struct spool_request *r;
    assert_true(fixture_peek(f, l, &r));
    fixture_deliver(l, r);
    assert_true(fixture_peek(f, l, &r));
    fixture_commit(l, 11, 500, 100);
    fixture_turn(f, 1200); /* the tick notices */
    fixture_abandon(f);
    fixture_open(f);
    struct spool_ledger sum = fixture_balance(f);
    assert_int_equal(sum.read, 1100);
    assert_int_equal(sum.delivered, 100);
    assert_int_equal(sum.waiting, 1000);
    f->spool->network = true;
    l = fixture_lane(f, 0);
    assert_true(fixture_peek(f, l, &r));
    assert_true(r->maybe_sent);
    uint64_t ids[20];
    assert_int_equal(fixture_drain(f, l, ids, 20), 10);
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(ids[i], i + 2);
    fixture_balance(f);
}

static void a_start_reads_footers_and_not_segments(void **state)
{
    struct fixture *f = *state;
    f->budget.max_bytes = 2ull << 30;
    fixture_open(f);
    f->spool->segment_bytes = 256 << 10;
    struct spool_lane *l = fixture_lane(f, 0);
    for (uint64_t id = 1; id <= 600; id++) {
        fixture_commit(l, id, 100000, 1000);
        spool_lane_seal(l);
        fixture_settle(f);
    }
    fixture_close(f);
    struct spool_ledger sum;
    fixture_open(f);
    sum = fixture_balance(f);
    assert_int_equal(sum.waiting, 600000);
    assert_true(sum.bytes_waiting > 10 << 20);
    assert_true(fixture_count(f, 0, "0") > 40);
    assert_true(f->spool->disk.bytes_read < 200000);
    /* Half way through a segment its headers are walked, and only its. */
    static uint64_t ids[600];
    l = fixture_lane(f, 0);
    for (int i = 0; i < 101; i++) {
        const struct spool_request *r;
        assert_true(fixture_peek(f, l, &r));
        fixture_deliver(l, r);
    }
    fixture_close(f);
    fixture_open(f);
    assert_true(f->spool->disk.bytes_read < 400000);
    l = fixture_lane(f, 0);
    assert_int_equal(fixture_drain(f, l, ids, 600), 499);
    assert_int_equal(ids[0], 102);
    fixture_balance(f);
}

struct watcher {
    struct spool *s;
    _Atomic bool stop;
    uint64_t looks;
    bool balanced;
};

static void *watch(void *arg)
{
    struct watcher *w = arg;
    w->balanced = true;
    while (!w->stop) {
        struct spool_ledger l;
        spool_ledger(w->s, &l);
        w->balanced = w->balanced && l.read == l.delivered + l.waiting + ledger_dropped(&l);
        w->looks++;
    }
    return NULL;
}

static void every_picture_of_the_ledger_balances(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    struct watcher w = {.s = f->spool};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, watch, &w), 0);
    for (uint64_t id = 1; id <= 500; id++) {
        fixture_commit(l, id, 2000, 100);
        const struct spool_request *r;
        if (id % 5 == 0 && spool_lane_peek(l, &r) == OK)
            fixture_deliver(l, r);
        fixture_turn(f, 0);
    }
    w.stop = true;
    pthread_join(thread, NULL);
    assert_true(w.looks > 0);
    assert_true(w.balanced);
}

static void memory_follows_the_size_of_batches(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    fixture_turn(f, 1);
    for (uint64_t id = 1; id <= 20; id++) {
        fixture_commit(l, id, 100000, 500);
        spool_lane_seal(l);
        const struct spool_request *r;
        assert_true(fixture_peek(f, l, &r));
        fixture_deliver(l, r);
        fixture_turn(f, 1);
    }
    uint64_t backed = 0;
    for (int i = 0; i < BATCHES; i++)
        backed += l->batches[i].backed;
    assert_true(backed <= 768 << 10);
    assert_int_equal(f->budget.memory_bytes, 0);
    assert_int_equal(fixture_count(f, 0, "0"), 0); /* delivered in time: never written */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(a_full_spool_drops_the_oldest_but_not_the_one_in_flight),
        T(old_requests_are_dropped_by_age),
        T(a_full_disk_stops_nothing_and_writing_resumes),
        T(a_disk_that_hangs_stops_nothing),
        T(memory_is_bounded_when_the_disk_is_full),
        T(a_disk_that_fails_until_the_end_is_counted),
        T(groups_count_once_also_without_a_disk),
        T(a_real_full_file_system_is_survived),
        T(a_start_on_a_file_system_without_room_keeps_to_memory),
        T(a_network_file_system_is_written_without_mappings),
        T(a_start_reads_footers_and_not_segments),
        T(every_picture_of_the_ledger_balances),
        T(memory_follows_the_size_of_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
