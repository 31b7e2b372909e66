/* Counters' last values: found again after a stop and a kill exactly as far as their commits, and never a wrong one. */
#include "spool_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "spool/fold_int.h"

enum { LANE = 3, OTHER_LANE = 4 };

struct bench {
    struct fixture f;
    struct fold_state *state;
    struct fold_block *block;
    struct buf copy;
};

static void open_state(struct bench *b)
{
    struct diag d = {0};
    assert_int_equal(fold_state_open(b->f.spool, b->f.loop, &b->state, &d), OK);
    b->block = fold_state_block(b->state, 77, LANE);
}

static void begin(struct bench *b)
{
    *b = (struct bench){0};
    fixture_init(&b->f);
    fixture_open(&b->f);
    open_state(b);
}

static void end(struct bench *b)
{
    if (b->state)
        fold_state_close(b->state);
    fixture_release(&b->f);
    buf_release(&b->copy);
}

static const char *state_path(const struct bench *b)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/state", b->f.directory);
    return path;
}

static void read_state(struct bench *b)
{
    int fd = open(state_path(b), O_RDONLY);
    assert_true(fd >= 0);
    b->copy.n = 0;
    buf_reserve(&b->copy, (size_t)file_size(state_path(b)));
    b->copy.n = (size_t)file_size(state_path(b));
    assert_int_equal(pread(fd, b->copy.p, b->copy.n, 0), b->copy.n);
    close(fd);
}

static void write_state(struct bench *b)
{
    int fd = open(state_path(b), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, b->copy.p, b->copy.n), b->copy.n);
    close(fd);
}

static void restart(struct bench *b)
{
    fixture_close(&b->f); /* lanes first; the spool again below */
    fixture_open(&b->f);
    open_state(b);
}

/* In good order. */
static void stop(struct bench *b)
{
    for (int i = 0; i < SPOOL_LANES; i++) {
        if (!b->f.lanes[i])
            continue;
        spool_lane_close(b->f.lanes[i], NULL, NULL);
        while (b->f.spool->lanes[i].open)
            fixture_turn(&b->f, 0);
        b->f.lanes[i] = NULL;
    }
    fold_state_close(b->state);
    b->state = NULL;
}

/* The file is as it was, whatever a close writes. */
static void kill_state(struct bench *b)
{
    read_state(b);
    fold_state_close(b->state);
    b->state = NULL;
    write_state(b);
    fixture_abandon(&b->f);
    fixture_open(&b->f);
    open_state(b);
}

static uint64_t next_read(struct bench *b, uint32_t lane, uint32_t samples)
{
    struct spool_ledger l;
    spool_lane_ledger(fixture_lane(&b->f, lane), &l);
    return l.read + samples;
}

static void set(struct bench *b, uint64_t id, double value, int64_t ts_ms, uint64_t from)
{
    uint32_t n = fold_block_find(b->block, id);
    if (n == FOLD_NONE)
        n = fold_block_add(b->block, id);
    fold_block_set(b->block, n, (struct fold_value){value, ts_ms}, from);
}

/* One series and its commit. */
static void tell(struct bench *b, uint64_t id, double value, int64_t ts_ms)
{
    set(b, id, value, ts_ms, next_read(b, LANE, 1));
    fold_block_touch(b->block, ts_ms, next_read(b, LANE, 1));
    fixture_commit(fixture_lane(&b->f, LANE), id, 50, 1);
}

static bool known(struct bench *b, uint64_t id, struct fold_value *v)
{
    uint32_t n = fold_block_find(b->block, id);
    return n != FOLD_NONE && fold_block_get(b->block, n, v);
}

static void assert_value(struct bench *b, uint64_t id, double value, int64_t ts_ms)
{
    struct fold_value v;
    if (!known(b, id, &v))
        fail_msg("series %llu is unknown", (unsigned long long)id);
    assert_true(v.value == value);
    assert_int_equal(v.ts_ms, ts_ms);
}

static void assert_unknown(struct bench *b, uint64_t id)
{
    struct fold_value v;
    assert_false(known(b, id, &v));
}

static void values_survive_a_stop(void **state)
{
    (void)state;
    struct bench b;
    begin(&b);
    assert_int_equal(fold_block_last_ms(b.block), 0);
    tell(&b, 1, 10.5, 1000);
    tell(&b, 2, -0.0, 1500);
    tell(&b, 1, 11.5, 2000);
    tell(&b, 0, 3, 2500);
    assert_value(&b, 1, 11.5, 2000);
    stop(&b);
    restart(&b);
    assert_value(&b, 1, 11.5, 2000);
    assert_value(&b, 2, -0.0, 1500);
    assert_value(&b, 0, 3, 2500);
    assert_unknown(&b, 5);
    assert_int_equal(fold_block_last_ms(b.block), 2500);
    assert_int_equal(fold_block_series(b.block), 3);
    end(&b);
}

static void a_kill_before_the_commit_leaves_the_value_before(void **state)
{
    (void)state;
    struct bench b;
    begin(&b);
    tell(&b, 1, 10, 1000);
    tell(&b, 1, 11, 2000);
    set(&b, 1, 12, 3000, next_read(&b, LANE, 1));
    set(&b, 9, 5, 3000, next_read(&b, LANE, 1));
    fold_block_touch(b.block, 3000, next_read(&b, LANE, 1));
    assert_value(&b, 1, 12, 3000); /* at once, for the process itself */
    kill_state(&b);
    assert_value(&b, 1, 11, 2000);
    assert_unknown(&b, 9);
    assert_int_equal(fold_block_last_ms(b.block), 2000);
    /* Commits that follow reach its count: it stays gone. */
    fixture_commit(fixture_lane(&b.f, LANE), 1, 50, 5);
    kill_state(&b);
    assert_value(&b, 1, 11, 2000);
    tell(&b, 1, 13, 4000);
    kill_state(&b);
    assert_value(&b, 1, 13, 4000);
    end(&b);
}

static void two_values_before_one_commit_are_one(void **state)
{
    (void)state;
    struct bench b;
    begin(&b);
    tell(&b, 1, 10, 1000);
    set(&b, 1, 11, 2000, next_read(&b, LANE, 1));
    set(&b, 1, 12, 2500, next_read(&b, LANE, 1));
    kill_state(&b);
    assert_value(&b, 1, 10, 1000);
    set(&b, 1, 11, 2000, next_read(&b, LANE, 1));
    tell(&b, 1, 12, 2500);
    kill_state(&b);
    assert_value(&b, 1, 12, 2500);
    end(&b);
}

static void a_large_block_grows_and_is_found_whole(void **state)
{
    (void)state;
    struct bench b;
    begin(&b);
    enum { N = 40000 };
    uint64_t from = next_read(&b, LANE, 1);
    for (uint64_t id = 1; id <= N; id++) {
        uint32_t n = fold_block_add(b.block, id * 0x9e3779b97f4a7c15ull);
        assert_int_equal(n, id - 1);
        fold_block_set(b.block, n, (struct fold_value){(double)id, 1000}, from);
    }
    fixture_commit(fixture_lane(&b.f, LANE), 1, 50, 1);
    assert_true(file_size(state_path(&b)) < N * 57 + 2 * FOLD_CHUNK_PAGES * PAGE);
    kill_state(&b);
    assert_int_equal(fold_block_series(b.block), N);
    for (uint64_t id = 1; id <= N; id++)
        assert_value(&b, id * 0x9e3779b97f4a7c15ull, (double)id, 1000);
    /* Half of it goes, and its room with it at the next start. */
    from = next_read(&b, LANE, 1);
    for (uint64_t id = 1; id <= N; id += 40)
        set(&b, id * 0x9e3779b97f4a7c15ull, 5, 9000, from);
    fixture_commit(fixture_lane(&b.f, LANE), 1, 50, 1);
    assert_true(fold_block_compact(b.block, 9000));
    assert_false(fold_block_compact(b.block, 9000));
    assert_int_equal(fold_block_series(b.block), N / 40);
    assert_value(&b, 41 * 0x9e3779b97f4a7c15ull, 5, 9000);
    assert_unknown(&b, 42 * 0x9e3779b97f4a7c15ull);
    kill_state(&b);
    assert_value(&b, 41 * 0x9e3779b97f4a7c15ull, 5, 9000);
    assert_unknown(&b, 42 * 0x9e3779b97f4a7c15ull);
    assert_true(file_size(state_path(&b)) <= FOLD_CHUNK_PAGES * PAGE);
    end(&b);
}

static void values_go_with_a_change_of_lane(void **state)
{
    (void)state;
    struct bench b;
    begin(&b);
    for (uint64_t id = 1; id <= 100; id++)
        tell(&b, id, 1, 1000);
    b.block = fold_state_block(b.state, 77, OTHER_LANE);
    assert_value(&b, 1, 1, 1000);
    assert_value(&b, 100, 1, 1000);
    assert_int_equal(fold_block_last_ms(b.block), 1000);
    set(&b, 2, 7, 2000, next_read(&b, OTHER_LANE, 1));
    fixture_commit(fixture_lane(&b.f, OTHER_LANE), 1, 50, 1);
    set(&b, 3, 9, 3000, next_read(&b, OTHER_LANE, 1)); /* its commit does not happen */
    kill_state(&b);
    assert_value(&b, 1, 1, 1000);
    assert_value(&b, 2, 7, 2000);
    assert_value(&b, 3, 1, 1000);
    assert_int_equal(fold_block_last_ms(b.block), 1000);
    end(&b);
}

static void what_is_forgotten_is_kept_until_its_time(void **state)
{
    (void)state;
    struct bench b;
    begin(&b);
    tell(&b, 1, 10, 1000);
    fold_block_forget(b.block, clock_wall_ms() + 3600000);
    b.block = fold_state_block(b.state, 77, LANE);
    assert_value(&b, 1, 10, 1000);
    fold_block_forget(b.block, clock_wall_ms() + 3600000);
    kill_state(&b);
    assert_value(&b, 1, 10, 1000);
    fold_block_forget(b.block, clock_wall_ms() - 1);
    kill_state(&b);
    assert_unknown(&b, 1);
    assert_int_equal(fold_block_last_ms(b.block), 0);
    end(&b);
}

static void sweeping_gives_room_back(void **state)
{
    (void)state;
    struct bench b;
    begin(&b);
    tell(&b, 1, 10, 1000);
    size_t before = b.state->n_free;
    for (uint64_t key = 1000; key < 1010; key++)
        fold_block_forget(fold_state_block(b.state, key, LANE), key % 2 ? 1 : INT64_MAX);
    assert_int_equal(b.state->n_free, before - 10);
    assert_true(timer_armed(&b.state->sweep_timer));
    timer_fn *sweep = b.state->sweep_timer.fn;
    timer_stop(&b.state->sweep_timer);
    sweep(&b.state->sweep_timer);
    assert_int_equal(b.state->n_free, before - 5);
    assert_value(&b, 1, 10, 1000);
    end(&b);
}

/* ---- another boot ---- */

static void change_boot(struct bench *b)
{
    struct fold_header h;
    memcpy(&h, b->copy.p, sizeof(h));
    h.boot_id[0] ^= 1;
    h.crc = hash_crc32c(str_from((const char *)&h.version, sizeof(h) - offsetof(struct fold_header, version)), 0);
    memcpy(b->copy.p, &h, sizeof(h));
}

static void after_a_reboot_a_stop_in_good_order_holds(void **state)
{
    (void)state;
    struct bench b;
    begin(&b);
    tell(&b, 1, 10, 1000);
    stop(&b);
    read_state(&b);
    change_boot(&b);
    write_state(&b);
    restart(&b);
    assert_value(&b, 1, 10, 1000);
    /* And not again, when it was in use in between. */
    tell(&b, 1, 11, 2000);
    read_state(&b);
    stop(&b);
    change_boot(&b);
    write_state(&b);
    restart(&b);
    assert_unknown(&b, 1);
    end(&b);
}

static void after_a_reboot_counts_that_went_on_do_not_hold(void **state)
{
    (void)state;
    struct bench b;
    begin(&b);
    tell(&b, 1, 10, 1000);
    b.block = fold_state_block(b.state, 78, OTHER_LANE);
    set(&b, 5, 50, 1000, next_read(&b, OTHER_LANE, 1));
    fixture_commit(fixture_lane(&b.f, OTHER_LANE), 1, 50, 1);
    stop(&b);
    read_state(&b);
    change_boot(&b);
    restart(&b);
    tell(&b, 1, 11, 2000);
    stop(&b);
    write_state(&b); /* the pages of before */
    restart(&b);
    assert_unknown(&b, 1);
    b.block = fold_state_block(b.state, 78, OTHER_LANE);
    assert_value(&b, 5, 50, 1000);
    end(&b);
}

/* ---- damage ---- */

static void a_flipped_byte_never_makes_another_value(void **state)
{
    (void)state;
    struct bench b;
    begin(&b);
    for (int round = 1; round <= 2; round++)
        for (uint64_t id = 1; id <= 3; id++)
            tell(&b, id, (double)(10 * round) + (double)id, 1000 * round);
    stop(&b);
    read_state(&b);
    AUTO_BUF sound = {0};
    buf_str(&sound, buf_view(&b.copy));
    uint32_t lost = 0;
    for (size_t at = 0; at < 2 * PAGE; at += at < PAGE + 64 + 3 * 56 && (at < 1024 || at >= PAGE) ? 1 : 61) {
        memcpy(b.copy.p, sound.p, sound.n);
        b.copy.p[at] ^= 0x21;
        write_state(&b);
        restart(&b);
        for (uint64_t id = 1; id <= 3; id++) {
            struct fold_value v;
            if (!known(&b, id, &v)) {
                lost++;
                continue;
            }
            assert_true(v.value == 20 + (double)id);
            assert_int_equal(v.ts_ms, 2000);
        }
        int64_t last = fold_block_last_ms(b.block);
        assert_true(last == 0 || last == 2000);
        fold_state_close(b.state);
        b.state = NULL;
    }
    assert_true(lost > 100);
    end(&b);
}

static void a_file_that_is_none_begins_anew(void **state)
{
    (void)state;
    static const long cuts[] = {1, 5000, 15 * PAGE, 16 * PAGE - 600, 16 * PAGE - 1};
    for (size_t i = 0; i < COUNT_OF(cuts) + 2; i++) {
        bool directory = i > COUNT_OF(cuts);
        struct bench b;
        begin(&b);
        tell(&b, 1, 10, 1000);
        stop(&b);
        assert_int_equal(file_size(state_path(&b)), 16 * PAGE);
        if (i < COUNT_OF(cuts))
            file_cut(state_path(&b), cuts[i]);
        else if (!directory)
            file_flip(state_path(&b), 12); /* its version */
        else
            assert_int_equal(unlink(state_path(&b)) + mkdir(state_path(&b), 0700), 0);
        restart(&b);
        if (i < 2) /* what was cut off was free */
            assert_value(&b, 1, 10, 1000);
        else
            assert_unknown(&b, 1);
        tell(&b, 1, 11, 2000); /* and it goes on */
        for (uint64_t id = 100; id < 2000; id++)
            tell(&b, id, 1, 2000);
        assert_value(&b, 1, 11, 2000);
        stop(&b);
        restart(&b);
        if (directory)
            assert_unknown(&b, 1);
        else
            assert_value(&b, 1, 11, 2000);
        assert_int_equal(fold_block_series(b.block), directory ? 0 : 1901);
        end(&b);
    }
}

static void two_entries_of_one_series_are_one(void **state)
{
    (void)state;
    struct bench b;
    begin(&b);
    tell(&b, 1, 10, 1000);
    tell(&b, 2, 20, 1000);
    tell(&b, 1, 11, 2000);
    /* As a kill leaves it while an entry is being moved. */
    struct fold_page *p = fold_page_at(b.state, 1);
    p->series[5] = p->series[0];
    p->series[0].version[0].from = 0; /* the newer one */
    p->series[9] = p->series[1];
    kill_state(&b);
    assert_value(&b, 1, 11, 2000);
    assert_value(&b, 2, 20, 1000);
    assert_int_equal(fold_block_series(b.block), 2);
    end(&b);
}

/* ---- where pages are not shared ---- */

static void restart_on_network(struct bench *b)
{
    fixture_close(&b->f);
    fixture_open(&b->f);
    b->f.spool->network = true;
    open_state(b);
}

static void a_network_file_system_keeps_what_was_written_with_the_same_counts(void **state)
{
    (void)state;
    struct bench b;
    begin(&b);
    fold_state_close(b.state);
    restart_on_network(&b);
    tell(&b, 1, 10, 1000);
    stop(&b);
    restart_on_network(&b);
    assert_value(&b, 1, 10, 1000); /* in good order */
    tell(&b, 1, 11, 2000);
    fixture_turn(&b.f, 1200); /* written meanwhile */
    while (b.state->mirror)
        fixture_turn(&b.f, 1);
    read_state(&b);
    stop(&b);
    write_state(&b);
    restart_on_network(&b);
    assert_value(&b, 1, 11, 2000);
    read_state(&b);
    tell(&b, 1, 12, 3000); /* counted, and not in the copy */
    stop(&b);
    write_state(&b);
    restart_on_network(&b);
    assert_unknown(&b, 1);
    end(&b);
}

static ssize_t no_write(int fd, const void *p, size_t n, off_t at)
{
    (void)fd, (void)p, (void)n, (void)at;
    errno = EIO;
    return -1;
}

static void a_network_file_system_that_fails_is_tried_again(void **state)
{
    (void)state;
    struct bench b;
    begin(&b);
    fold_state_close(b.state);
    restart_on_network(&b);
    tell(&b, 1, 10, 1000);
    b.f.spool->disk.pwrite = no_write;
    fixture_turn(&b.f, 1200);
    while (b.state->mirror)
        fixture_turn(&b.f, 1);
    b.f.spool->disk.pwrite = NULL;
    assert_true(b.state->any_dirty);
    stop(&b);
    restart_on_network(&b);
    assert_value(&b, 1, 10, 1000);
    end(&b);
}

static void in_memory_mode_it_ends_with_the_process(void **state)
{
    (void)state;
    struct bench b = {0};
    fixture_init(&b.f);
    b.f.options.mode = SPOOL_MEMORY;
    fixture_open(&b.f);
    open_state(&b);
    for (uint64_t id = 1; id < 5000; id++)
        tell(&b, id, (double)id, 1000);
    assert_value(&b, 4321, 4321, 1000);
    assert_int_equal(access(state_path(&b), F_OK), -1);
    stop(&b);
    restart(&b);
    assert_unknown(&b, 4321);
    end(&b);
}

static void times_that_no_clock_shows_are_not_kept(void **state)
{
    (void)state;
    struct bench b;
    begin(&b);
    tell(&b, 1, 10, 1000);
    tell(&b, 1, 11, INT64_MAX);
    assert_unknown(&b, 1);
    tell(&b, 1, 12, -5000);
    assert_value(&b, 1, 12, -5000);
    fold_block_set(b.block, FOLD_NONE, (struct fold_value){1, 1}, 1);
    assert_false(fold_block_get(b.block, FOLD_NONE, &(struct fold_value){0}));
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_survive_a_stop),
        cmocka_unit_test(a_kill_before_the_commit_leaves_the_value_before),
        cmocka_unit_test(two_values_before_one_commit_are_one),
        cmocka_unit_test(a_large_block_grows_and_is_found_whole),
        cmocka_unit_test(values_go_with_a_change_of_lane),
        cmocka_unit_test(what_is_forgotten_is_kept_until_its_time),
        cmocka_unit_test(sweeping_gives_room_back),
        cmocka_unit_test(after_a_reboot_a_stop_in_good_order_holds),
        cmocka_unit_test(after_a_reboot_counts_that_went_on_do_not_hold),
        cmocka_unit_test(a_flipped_byte_never_makes_another_value),
        cmocka_unit_test(a_file_that_is_none_begins_anew),
        cmocka_unit_test(two_entries_of_one_series_are_one),
        cmocka_unit_test(a_network_file_system_keeps_what_was_written_with_the_same_counts),
        cmocka_unit_test(a_network_file_system_that_fails_is_tried_again),
        cmocka_unit_test(in_memory_mode_it_ends_with_the_process),
        cmocka_unit_test(times_that_no_clock_shows_are_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
