/* Truncated, bit-flipped, reordered and power-cut spools: what is sound is sent, what is lost is counted, nothing else;
 * and what `leadline spool` shows of it.
 */
#include "spool_fixture.h"

#include <fcntl.h>
#include <unistd.h>

enum { REQUESTS = 40, SAMPLES = 100 };

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

/* REQUESTS requests of one scrape each, in several segments of lane 0, closed in good order. */
static void make_spool(struct fixture *f)
{
    fixture_open(f);
    f->spool->segment_bytes = 40000;
    struct spool_lane *l = fixture_lane(f, 0);
    for (uint64_t id = 1; id <= REQUESTS; id++) {
        fixture_commit(l, id, 10000, SAMPLES);
        spool_lane_seal(l);
        fixture_settle(f);
    }
    fixture_close(f);
    assert_true(fixture_count(f, 0, "0") >= 4);
}

/* Everything sound is sent in order, the rest is counted; returns how many requests were lost. */
static size_t send_all(struct fixture *f, const bool *may_miss)
{
    fixture_open(f);
    struct spool_ledger sum = fixture_balance(f);
    assert_int_equal(sum.read, REQUESTS * SAMPLES);
    uint64_t ids[REQUESTS + 1];
    size_t n = fixture_drain(f, fixture_lane(f, 0), ids, REQUESTS);
    bool seen[REQUESTS + 1] = {false};
    for (size_t i = 0; i < n; i++) {
        assert_true(i == 0 || ids[i] > ids[i - 1]);
        seen[ids[i]] = true;
    }
    for (size_t id = 1; id <= REQUESTS && may_miss; id++)
        assert_true(seen[id] || may_miss[id]);
    sum = fixture_balance(f);
    assert_int_equal(sum.delivered, n * SAMPLES);
    assert_int_equal(sum.waiting, 0);
    assert_int_equal(sum.dropped[DROP_CORRUPT] + sum.dropped[DROP_CRASH], (REQUESTS - n) * SAMPLES);
    return REQUESTS - n;
}

struct shown {
    uint32_t corrupt;
    uint64_t waiting_requests, waiting_samples, files, open;
};

static void on_file(void *ctx, const struct spool_file_info *info)
{
    struct shown *s = ctx;
    s->corrupt += info->corrupt;
    s->waiting_requests += info->waiting_requests;
    s->waiting_samples += info->waiting_samples;
    s->files += info->segment != UINT64_MAX;
    s->open += info->segment == UINT64_MAX && info->waiting_requests;
}

static struct shown show(struct fixture *f, bool deep)
{
    struct shown s = {0};
    struct spool_ledger l;
    struct diag d = {0};
    assert_int_equal(spool_inspect(f->directory, deep, on_file, &s, &l, &d), OK);
    assert_int_equal(l.read, l.delivered + l.waiting + ledger_dropped(&l));
    assert_int_equal(l.waiting, s.waiting_samples);
    return s;
}

/* The offset of the n-th record (from 0) of a segment. */
static long record_at(struct fixture *f, const char *name, int n)
{
    int fd = open(fixture_path(f, 0, name), O_RDONLY);
    struct disk disk = {0};
    struct segment_walk w;
    segment_walk_init(&w, &disk, fd, sizeof(struct segment_header), (uint64_t)file_size(fixture_path(f, 0, name)));
    struct record_header h;
    uint64_t at = 0;
    for (int i = 0; i <= n; i++)
        assert_int_equal(segment_walk_next(&w, &h, &at), OK);
    segment_walk_release(&w);
    close(fd);
    return (long)at;
}

static void an_untouched_spool_is_whole(void **state)
{
    struct fixture *f = *state;
    make_spool(f);
    struct shown s = show(f, true);
    assert_int_equal(s.corrupt, 0);
    assert_int_equal(s.waiting_requests, REQUESTS);
    assert_int_equal(send_all(f, NULL), 0);
    assert_int_equal(show(f, true).waiting_requests, 0);
}

static void a_flipped_body_costs_its_request_only(void **state)
{
    struct fixture *f = *state;
    make_spool(f);
    file_flip(fixture_path(f, 0, "00000002"), record_at(f, "00000002", 1) + 500);
    assert_int_equal(show(f, false).corrupt, 0);
    assert_int_equal(show(f, true).corrupt, 1);
    assert_int_equal(send_all(f, NULL), 1);
    assert_int_equal(fixture_balance(f).dropped[DROP_CORRUPT], SAMPLES);
}

static void a_flipped_header_costs_its_request_only(void **state)
{
    struct fixture *f = *state;
    make_spool(f);
    file_flip(fixture_path(f, 0, "00000002"), record_at(f, "00000002", 1) + 20);
    assert_true(show(f, true).corrupt >= 1);
    assert_int_equal(send_all(f, NULL), 1);
    assert_int_equal(fixture_balance(f).dropped[DROP_CORRUPT], SAMPLES);
}

static void a_flipped_segment_header_or_footer_costs_nothing(void **state)
{
    struct fixture *f = *state;
    make_spool(f);
    file_flip(fixture_path(f, 0, "00000002"), 10);
    file_flip(fixture_path(f, 0, "00000003"), -20);
    assert_int_equal(send_all(f, NULL), 0);
}

static void any_flipped_bit_is_survived(void **state)
{
    struct fixture *f = *state;
    struct unit_random random = unit_random_new();
    static const char *const files[] = {"00000001", "00000002", "00000003", "00000004", "open-0", "open-1"};
    for (int round = 0; round < 60; round++) {
        make_spool(f);
        const char *path = fixture_path(f, 0, files[unit_random_below(&random, 6)]);
        long size = file_size(path);
        if (strstr(path, "open-"))
            size = 2048;
        file_flip(path, (long)unit_random_below(&random, (uint64_t)size));
        show(f, true);
        assert_true(send_all(f, NULL) <= 1);
        fixture_release(f);
        fixture_init(f);
    }
}

static void a_truncated_segment_costs_what_was_cut(void **state)
{
    struct fixture *f = *state;
    struct unit_random random = unit_random_new();
    for (int round = 0; round < 40; round++) {
        make_spool(f);
        char name[SEGMENT_NAME_SIZE];
        segment_name(1 + unit_random_below(&random, 4), name);
        const char *path = fixture_path(f, 0, name);
        file_cut(path, (long)unit_random_below(&random, (uint64_t)file_size(path) + 1));
        show(f, true);
        send_all(f, NULL);
        fixture_release(f);
        fixture_init(f);
    }
}

static void a_lost_segment_is_counted(void **state)
{
    struct fixture *f = *state;
    make_spool(f);
    unlink(fixture_path(f, 0, "00000003"));
    size_t lost = send_all(f, NULL);
    assert_true(lost > 1 && lost < REQUESTS / 2);
}

static void exchanged_segments_are_sent_in_order(void **state)
{
    struct fixture *f = *state;
    make_spool(f);
    char a[256], b[256], c[256];
    snprintf(a, sizeof(a), "%s", fixture_path(f, 0, "00000002"));
    snprintf(b, sizeof(b), "%s", fixture_path(f, 0, "00000004"));
    snprintf(c, sizeof(c), "%s", fixture_path(f, 0, "away"));
    rename(a, c);
    rename(b, a);
    rename(c, b);
    assert_int_equal(send_all(f, NULL), 0);
}

static void exchanged_records_are_sent_at_most_once(void **state)
{
    struct fixture *f = *state;
    make_spool(f);
    long a = record_at(f, "00000002", 0), b = record_at(f, "00000002", 1), c = record_at(f, "00000002", 2);
    static uint8_t bytes[200000];
    int fd = open(fixture_path(f, 0, "00000002"), O_RDWR);
    assert_int_equal(pread(fd, bytes, (size_t)(c - a), a), c - a);
    assert_int_equal(pwrite(fd, bytes + (b - a), (size_t)(c - b), a), c - b);
    assert_int_equal(pwrite(fd, bytes, (size_t)(b - a), a + (c - b)), b - a);
    close(fd);
    assert_int_equal(send_all(f, NULL), 1);
}

static void a_copied_segment_is_sent_once(void **state)
{
    struct fixture *f = *state;
    make_spool(f);
    char command[600];
    snprintf(command, sizeof(command), "cp %s/lane-00/00000002 %s/lane-00/00000077", f->directory, f->directory);
    assert_int_equal(system(command), 0);
    fixture_open(f);
    uint64_t ids[REQUESTS];
    assert_int_equal(fixture_drain(f, fixture_lane(f, 0), ids, REQUESTS), REQUESTS);
    fixture_balance(f);
}

static void a_lost_cursor_repeats_but_loses_nothing(void **state)
{
    struct fixture *f = *state;
    make_spool(f);
    file_flip(fixture_path(f, 0, "cursor"), 3);
    fixture_open(f);
    struct spool_ledger sum = fixture_balance(f);
    assert_int_equal(sum.waiting, REQUESTS * SAMPLES);
    uint64_t ids[REQUESTS];
    assert_int_equal(fixture_drain(f, fixture_lane(f, 0), ids, REQUESTS), REQUESTS);
    fixture_balance(f);
}

static void one_torn_slot_of_the_cursor_is_survived(void **state)
{
    struct fixture *f = *state;
    make_spool(f);
    file_flip(fixture_path(f, 0, "cursor"), SLOT_AT + 30);
    fixture_open(f);
    fixture_balance(f);
    uint64_t ids[REQUESTS];
    assert_true(fixture_drain(f, fixture_lane(f, 0), ids, REQUESTS) == REQUESTS);
}

/* The boot id of open batches, as if the machine had been restarted since. */
static void another_boot(struct fixture *f, int file)
{
    char name[OPEN_NAME_SIZE];
    open_batch_name(file, name);
    int fd = open(fixture_path(f, 0, name), O_RDWR);
    struct open_header h;
    assert_int_equal(pread(fd, &h, sizeof(h), 0), sizeof(h));
    memset(h.boot_id, 'x', 8);
    open_header_finish(&h);
    assert_int_equal(pwrite(fd, &h, sizeof(h), 0), sizeof(h));
    close(fd);
}

static void after_power_loss_the_open_batch_counts_as_far_as_its_checksum(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    fixture_commit(l, 1, 500, 10);
    const struct spool_request *r;
    assert_true(fixture_peek(f, l, &r));
    fixture_deliver(l, r);
    fixture_commit(l, 2, 500, 10);
    fixture_commit(l, 3, 500, 10);
    int file = l->filling->file;
    fixture_turn(f, 1200); /* the checksum is taken */
    fixture_commit(l, 4, 500, 10);
    fixture_abandon(f);
    another_boot(f, file);
    fixture_open(f);
    struct spool_ledger sum = fixture_balance(f);
    assert_int_equal(sum.read, 40);
    assert_int_equal(sum.waiting, 20);
    assert_int_equal(sum.dropped[DROP_CRASH] + sum.dropped[DROP_CORRUPT], 10);
    uint64_t ids[4];
    assert_int_equal(fixture_drain(f, fixture_lane(f, 0), ids, 4), 2);
    assert_int_equal(ids[1], 3);
    fixture_balance(f);
}

static void after_power_loss_a_batch_with_stale_pages_is_not_sent(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    fixture_commit(l, 1, 500, 10);
    fixture_commit(l, 2, 9000, 10);
    int file = l->filling->file;
    fixture_turn(f, 1200);
    fixture_abandon(f);
    another_boot(f, file);
    char name[OPEN_NAME_SIZE];
    open_batch_name(file, name);
    file_flip(fixture_path(f, 0, name), OPEN_DATA_AT + 5000);
    fixture_open(f);
    uint64_t ids[4];
    assert_int_equal(fixture_drain(f, fixture_lane(f, 0), ids, 4), 1);
    assert_int_equal(ids[0], 1);
    struct spool_ledger sum = fixture_balance(f);
    assert_int_equal(sum.dropped[DROP_CRASH] + sum.dropped[DROP_CORRUPT], 10);
}

/* Without the loop: the I/O thread's answer is never heard. */
static void wait_for_segment(struct fixture *f)
{
    for (int i = 0; file_size(fixture_path(f, 0, "00000001")) < 4000; i++) {
        assert_true(i < 10000);
        usleep(1000);
    }
    usleep(20000);
}

/* A group whose closing part never reached the disk. */
static void an_unfinished_group_is_ignored_for_good(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    fixture_commit(l, 1, 500, 10);
    fixture_settle(f);
    spool_lane_group_begin(l);
    for (uint64_t id = 2; id < 5; id++) {
        scrape_bytes(spool_lane_room(l).p, id, 3000);
        spool_lane_group_add(l, 3000, &(struct spool_counts){.read = 10, .samples = 10});
    }
    spool_lane_group_end(l);
    /* Killed before the I/O thread's answer arrives; and its last write was cut short. */
    wait_for_segment(f);
    fixture_abandon_unheard(f);
    file_cut(fixture_path(f, 0, "00000001"), 100);
    for (int i = 0; i < 2; i++) {
        fixture_open(f);
        struct spool_ledger sum = fixture_balance(f);
        assert_int_equal(sum.read, 10);
        assert_int_equal(sum.dropped[DROP_CRASH], 0);
        if (i == 0)
            fixture_abandon(f);
    }
    uint64_t ids[4];
    l = fixture_lane(f, 0);
    fixture_commit(l, 9, 500, 10);
    assert_int_equal(fixture_drain(f, l, ids, 4), 2);
    assert_int_equal(ids[0], 1);
    assert_int_equal(ids[1], 9);
}

/* A finished one whose count was not written down any more. */
static void a_finished_group_is_counted_by_the_next_start_once(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    fixture_commit(l, 1, 500, 10);
    fixture_settle(f);
    spool_lane_group_begin(l);
    for (uint64_t id = 2; id < 5; id++) {
        scrape_bytes(spool_lane_room(l).p, id, 3000);
        spool_lane_group_add(l, 3000,
                             &(struct spool_counts){
                                 .read = 13, .samples = 10, .dropped[DROP_RELABEL] = 2, .dropped[DROP_UNSENDABLE] = 1});
    }
    spool_lane_group_end(l);
    wait_for_segment(f);
    struct spool_ledger sum = fixture_balance(f);
    assert_int_equal(sum.read, 10);
    fixture_abandon_unheard(f);
    for (int i = 0; i < 3; i++) {
        fixture_open(f);
        sum = fixture_balance(f);
        assert_int_equal(sum.read, 49);
        assert_int_equal(sum.waiting, 40);
        assert_int_equal(sum.dropped[DROP_RELABEL], 6);
        assert_int_equal(sum.dropped[DROP_UNSENDABLE], 3);
        if (i == 1)
            fixture_lane(f, 0);
        if (i < 2)
            fixture_abandon(f);
    }
    uint64_t ids[4];
    assert_int_equal(fixture_drain(f, fixture_lane(f, 0), ids, 4), 4);
    fixture_balance(f);
}

static enum err on_record(void *ctx, uint32_t lane, const struct spool_request *r)
{
    uint64_t *next = ctx, id;
    assert_int_equal(lane, 0);
    assert_int_equal(fixture_ids(r, &id, 1), 1);
    assert_int_equal(id, *next);
    assert_int_equal(r->maybe_sent, id == 3);
    (*next)++;
    return *next == 30 ? ERR_CANCELED : OK;
}

static void inspection_works_beside_a_process_and_replay_does_not(void **state)
{
    struct fixture *f = *state;
    make_spool(f);
    fixture_open(f);
    struct spool_lane *l = fixture_lane(f, 0);
    const struct spool_request *r;
    for (int i = 0; i < 2; i++) {
        assert_true(fixture_peek(f, l, &r));
        fixture_deliver(l, r);
    }
    assert_true(fixture_peek(f, l, &r));
    fixture_commit(l, 90, 500, 10);
    fixture_commit(l, 91, 500, 10);
    struct shown s = show(f, true);
    assert_int_equal(s.corrupt, 0);
    assert_int_equal(s.waiting_samples, 38 * SAMPLES + 20);
    assert_true(s.open >= 1);
    uint64_t next = 3;
    struct diag d = {0};
    assert_int_equal(spool_inspect_requests(f->directory, on_record, &next, &d), ERR_EXISTS);
    assert_non_null(strstr(d.text, "in use"));
    fixture_close(f);
    assert_int_equal(spool_inspect_requests(f->directory, on_record, &next, &d), ERR_CANCELED);
    assert_int_equal(next, 30);
    d = (struct diag){0};
    assert_int_equal(spool_inspect("/usr", false, on_file, &s, NULL, &d), ERR_NOT_FOUND);
    assert_non_null(strstr(d.text, "/usr"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(an_untouched_spool_is_whole),
        T(a_flipped_body_costs_its_request_only),
        T(a_flipped_header_costs_its_request_only),
        T(a_flipped_segment_header_or_footer_costs_nothing),
        T(any_flipped_bit_is_survived),
        T(a_truncated_segment_costs_what_was_cut),
        T(a_lost_segment_is_counted),
        T(exchanged_segments_are_sent_in_order),
        T(exchanged_records_are_sent_at_most_once),
        T(a_copied_segment_is_sent_once),
        T(a_lost_cursor_repeats_but_loses_nothing),
        T(one_torn_slot_of_the_cursor_is_survived),
        T(after_power_loss_the_open_batch_counts_as_far_as_its_checksum),
        T(after_power_loss_a_batch_with_stale_pages_is_not_sent),
        T(an_unfinished_group_is_ignored_for_good),
        T(a_finished_group_is_counted_by_the_next_start_once),
        T(inspection_works_beside_a_process_and_replay_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
