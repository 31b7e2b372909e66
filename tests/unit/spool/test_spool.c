/* The spool in ordinary life: fill, seal, send, close, start again. */
#include "spool_fixture.h"

#include <stdio.h>
#include <unistd.h>

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

static void what_is_committed_is_sent_once_and_in_order(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 3);
    for (uint64_t id = 1; id <= 50; id++)
        fixture_commit(l, id, 500 + id, 10);
    spool_lane_seal(l);
    uint64_t ids[100];
    assert_int_equal(fixture_drain(f, l, ids, 100), 50);
    for (uint64_t i = 0; i < 50; i++)
        assert_int_equal(ids[i], i + 1);
    struct spool_ledger sum = fixture_balance(f);
    assert_int_equal(sum.read, 500);
    assert_int_equal(sum.delivered, 500);
    assert_int_equal(sum.requests_waiting, 0);
    assert_int_equal(sum.bytes_waiting, 0);
}

static void the_first_commit_after_a_start_seals_at_once(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    fixture_commit(l, 1, 100, 5);
    const struct spool_request *r;
    assert_true(fixture_peek(f, l, &r));
    assert_int_equal(r->n_borders, 1);
    fixture_deliver(l, r);
    fixture_commit(l, 2, 100, 5);
    assert_false(fixture_peek(f, l, &r));
    assert_int_equal(spool_lane_room(l).samples, 5);
}

static void a_request_ends_at_a_scrapes_border(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    fixture_commit(l, 99, 100, 1);
    for (uint64_t id = 1; id <= 8; id++)
        fixture_commit(l, id, 57000, 507);
    spool_lane_seal(l);
    const struct spool_request *r;
    uint64_t ids[8];
    assert_true(fixture_peek(f, l, &r));
    fixture_deliver(l, r);
    static const uint32_t want[] = {3, 3, 2};
    for (int i = 0; i < 3; i++) {
        assert_true(fixture_peek(f, l, &r));
        assert_int_equal(fixture_ids(r, ids, 8), want[i]);
        assert_int_equal(ids[0], i * 3 + 1);
        assert_int_equal(r->first_ms, 1000 + i * 3 + 1);
        fixture_deliver(l, r);
    }
    fixture_balance(f);
}

static void a_request_stays_within_its_raw_bytes(void **state)
{
    struct fixture *f = *state;
    f->options.max_samples = 0;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    assert_true(spool_lane_room(l).n >= (1 << 20) + (64 << 10));
    fixture_commit(l, 1, 8, 1);
    for (uint64_t id = 2; id <= 9; id++)
        fixture_commit(l, id, 400000, 10);
    spool_lane_seal(l);
    const struct spool_request *r;
    uint64_t ids[8];
    while (fixture_peek(f, l, &r)) {
        assert_true(r->raw_bytes <= 1 << 20);
        assert_true(fixture_ids(r, ids, 8) <= 2);
        fixture_deliver(l, r);
    }
    assert_int_equal(fixture_balance(f).delivered, 81);
}

static void the_deadline_seals(void **state)
{
    struct fixture *f = *state;
    f->options.seal_after_ms = 30;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    fixture_commit(l, 1, 100, 1);
    const struct spool_request *r;
    assert_true(fixture_peek(f, l, &r));
    fixture_deliver(l, r);
    fixture_turn(f, 1);
    int ready = f->ready;
    fixture_commit(l, 2, 100, 1);
    assert_false(fixture_peek(f, l, &r));
    fixture_turn(f, 100);
    assert_true(f->ready > ready);
    assert_true(fixture_peek(f, l, &r));
    fixture_deliver(l, r);
}

static void counts_alone_and_dropped_series_are_in_the_ledger(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    struct spool_counts none = {.read = 9, .dropped[DROP_RELABEL] = 7, .dropped[DROP_UNSENDABLE] = 2};
    spool_lane_commit(l, 0, &none);
    struct spool_counts some = {.read = 11,
                                .samples = 6,
                                .dropped[DROP_RELABEL] = 4,
                                .dropped[DROP_UNSENDABLE] = 1,
                                .first_ms = 5,
                                .last_ms = 9};
    scrape_bytes(spool_lane_room(l).p, 1, 64);
    spool_lane_commit(l, 64, &some);
    struct spool_ledger sum = fixture_balance(f);
    assert_int_equal(sum.read, 20);
    assert_int_equal(sum.waiting, 6);
    assert_int_equal(sum.dropped[DROP_RELABEL], 11);
    assert_int_equal(sum.dropped[DROP_UNSENDABLE], 3);
    fixture_close(f);
    fixture_open(f);
    sum = fixture_balance(f);
    assert_int_equal(sum.read, 20);
    assert_int_equal(sum.waiting, 6);
    assert_int_equal(sum.dropped[DROP_RELABEL], 11);
    assert_int_equal(sum.dropped[DROP_UNSENDABLE], 3);
}

static void outcomes_are_counted_by_reason_and_kept(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 5);
    fixture_commit(l, 1, 100, 10);
    const struct spool_request *r;
    assert_true(fixture_peek(f, l, &r));
    struct spool_outcome o = {.delivered = 4, .possible_duplicates = 3};
    o.dropped[DROP_REFUSED] = 5;
    o.dropped[DROP_MAYBE_DELIVERED] = 1;
    spool_lane_done(l, r->seq, &o);
    for (int i = 0; i < 2; i++) {
        struct spool_ledger sum = fixture_balance(f);
        assert_int_equal(sum.delivered, 4);
        assert_int_equal(sum.dropped[DROP_REFUSED], 5);
        assert_int_equal(sum.dropped[DROP_MAYBE_DELIVERED], 1);
        assert_int_equal(sum.possible_duplicates, 3);
        assert_int_equal(sum.waiting, 0);
        fixture_close(f);
        fixture_open(f);
    }
}

static void what_waits_at_the_end_is_sent_after_a_start(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    for (uint32_t lane = 0; lane < 4; lane++)
        for (uint64_t id = 1; id <= 20; id++)
            fixture_commit(fixture_lane(f, lane), lane * 100 + id, 300, 400);
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(fixture_balance(f).waiting, 4 * 20 * 400);
    for (uint32_t lane = 0; lane < SPOOL_LANES; lane++)
        assert_int_equal(spool_lane_has_data(f->spool, lane), lane < 4);
    for (uint32_t lane = 0; lane < 4; lane++) {
        uint64_t ids[32];
        struct spool_lane *l = fixture_lane(f, lane);
        fixture_turn(f, 1);
        fixture_commit(l, lane * 100 + 21, 300, 400);
        spool_lane_seal(l);
        assert_int_equal(fixture_drain(f, l, ids, 32), 21);
        for (uint64_t i = 0; i < 21; i++)
            assert_int_equal(ids[i], lane * 100 + i + 1);
    }
    assert_true(f->ready >= 4);
    assert_int_equal(fixture_balance(f).delivered, 4 * 21 * 400);
    fixture_close(f);
    for (uint32_t lane = 0; lane < 4; lane++)
        assert_int_equal(fixture_count(f, lane, "0"), 0); /* nothing waits: no segment is left */
}

static void a_backlog_is_read_back_and_memory_stays_small(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    uint64_t most = 0;
    for (uint64_t id = 1; id <= 400; id++) {
        fixture_commit(l, id, 60000, 1000);
        fixture_settle(f);
        if (f->budget.memory_bytes > most)
            most = f->budget.memory_bytes;
    }
    fixture_turn(f, 1);
    fixture_settle(f);
    assert_true(most < 2 << 20);
    static uint64_t ids[500];
    spool_lane_seal(l);
    assert_int_equal(fixture_drain(f, l, ids, 500), 400);
    for (uint64_t i = 0; i < 400; i++)
        assert_int_equal(ids[i], i + 1);
    fixture_balance(f);
}

static void a_request_is_the_same_until_it_is_done(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    fixture_commit(l, 1, 100, 1);
    const struct spool_request *a, *b;
    assert_true(fixture_peek(f, l, &a));
    for (uint64_t id = 2; id < 40; id++) {
        fixture_commit(l, id, 5000, 1000);
        fixture_settle(f);
    }
    assert_true(fixture_peek(f, l, &b));
    assert_ptr_equal(a, b);
    uint64_t id;
    assert_int_equal(fixture_ids(b, &id, 1), 1);
    assert_int_equal(id, 1);
    fixture_deliver(l, b);
}

static void a_group_is_all_or_nothing(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    fixture_commit(l, 1, 100, 5);
    fixture_commit(l, 2, 100, 5);
    spool_lane_group_begin(l);
    for (uint64_t id = 10; id < 13; id++) {
        scrape_bytes(spool_lane_room(l).p, id, 3000);
        spool_lane_group_add(l, 3000, &(struct spool_counts){.read = 120, .samples = 100, .dropped[DROP_RELABEL] = 20});
    }
    assert_int_equal(fixture_balance(f).read, 10);
    spool_lane_group_abort(l);
    assert_int_equal(fixture_balance(f).read, 10);
    spool_lane_group_begin(l);
    for (uint64_t id = 20; id < 23; id++) {
        scrape_bytes(spool_lane_room(l).p, id, 3000);
        spool_lane_group_add(l, 3000, &(struct spool_counts){.read = 120, .samples = 100, .dropped[DROP_RELABEL] = 20});
    }
    spool_lane_group_end(l);
    fixture_commit(l, 30, 100, 5);
    spool_lane_seal(l);
    uint64_t ids[8];
    assert_int_equal(fixture_drain(f, l, ids, 8), 6);
    static const uint64_t want[] = {1, 2, 20, 21, 22, 30};
    for (int i = 0; i < 6; i++)
        assert_int_equal(ids[i], want[i]);
    struct spool_ledger sum = fixture_balance(f);
    assert_int_equal(sum.read, 15 + 360);
    assert_int_equal(sum.dropped[DROP_RELABEL], 60);
    assert_int_equal(sum.delivered, 315);
}

static void memory_mode_needs_no_directory_and_counts_the_rest_at_the_end(void **state)
{
    struct fixture *f = *state;
    f->options.mode = SPOOL_MEMORY;
    f->options.directory = "/proc/nowhere";
    f->budget.max_memory_bytes = 200000;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    for (uint64_t id = 1; id <= 100; id++)
        fixture_commit(l, id, 10000, 1000);
    spool_lane_seal(l);
    struct spool_ledger sum = fixture_balance(f);
    assert_true(sum.dropped[DROP_MEMORY] > 0);
    assert_true(f->budget.memory_bytes <= 200000);
    uint64_t ids[100];
    const struct spool_request *r;
    assert_true(fixture_peek(f, l, &r));
    assert_true(fixture_ids(r, ids, 100) > 0);
    assert_true(ids[0] > 1); /* the oldest went */
    fixture_deliver(l, r);
    struct spool *s = f->spool;
    f->spool = NULL;
    fixture_close(f);
    spool_ledger(s, &sum);
    assert_int_equal(sum.waiting, 0);
    assert_true(sum.dropped[DROP_STOP] > 0);
    assert_int_equal(sum.read, sum.delivered + ledger_dropped(&sum));
    spool_close(s);
}

static void a_second_process_is_told_who_holds_the_directory(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct spool *second;
    struct diag d = {0};
    assert_int_equal(spool_open(&f->options, &second, &d), ERR_EXISTS);
    char pid[24];
    snprintf(pid, sizeof(pid), "pid %d", (int)getpid());
    assert_non_null(strstr(d.text, pid));
    assert_non_null(strstr(d.text, f->directory));
}

static void an_unknown_format_is_an_error_that_says_what_to_do(void **state)
{
    struct fixture *f = *state;
    char path[128];
    snprintf(path, sizeof(path), "%s/meta", f->directory);
    FILE *meta = fopen(path, "w");
    fputs("leadline spool\nversion 9\nlanes 16\n", meta);
    fclose(meta);
    struct diag d = {0};
    assert_int_equal(spool_open(&f->options, &f->spool, &d), ERR_UNSUPPORTED);
    assert_non_null(strstr(d.text, "version 9"));
    assert_non_null(strstr(d.text, "--spool.path"));
    f->spool = NULL;
}

static void an_unwritable_directory_is_a_clear_error(void **state)
{
    struct fixture *f = *state;
    char path[128];
    snprintf(path, sizeof(path), "%s/meta", f->directory);
    fclose(fopen(path, "w"));
    struct diag d = {0};
    struct spool_options o = f->options;
    o.directory = path; /* a file */
    assert_int_equal(spool_open(&o, &f->spool, &d), ERR_IO);
    assert_non_null(strstr(d.text, path));
    o.directory = "/proc/self/spool";
    d = (struct diag){0};
    assert_int_equal(spool_open(&o, &f->spool, &d), ERR_IO);
    assert_non_null(strstr(d.text, "/proc/self/spool"));
    f->spool = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(what_is_committed_is_sent_once_and_in_order),
        T(the_first_commit_after_a_start_seals_at_once),
        T(a_request_ends_at_a_scrapes_border),
        T(a_request_stays_within_its_raw_bytes),
        T(the_deadline_seals),
        T(counts_alone_and_dropped_series_are_in_the_ledger),
        T(outcomes_are_counted_by_reason_and_kept),
        T(what_waits_at_the_end_is_sent_after_a_start),
        T(a_backlog_is_read_back_and_memory_stays_small),
        T(a_request_is_the_same_until_it_is_done),
        T(a_group_is_all_or_nothing),
        T(memory_mode_needs_no_directory_and_counts_the_rest_at_the_end),
        T(a_second_process_is_told_who_holds_the_directory),
        T(an_unknown_format_is_an_error_that_says_what_to_do),
        T(an_unwritable_directory_is_a_clear_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
