/* A batch that a sealer makes into a request: the same body live, after a kill and read back from disk. */
#include "spool_fixture.h"

#include "base/mem.h"

enum { SEALED = 16 };

/* '[' raw ']', and what begins with the mark is none of ours. */
static enum err bracket(const struct spool_sealer *self, struct compressor *c, struct str raw, struct buf *out)
{
    (void)self, (void)c;
    if (raw.n == 0 || raw.p[0] == '!')
        return ERR_CORRUPT;
    buf_char(out, '[');
    buf_str(out, raw);
    buf_char(out, ']');
    return OK;
}

static const struct spool_sealer sealer = {bracket};

static void begin(struct fixture *f)
{
    fixture_init(f);
    f->options.protocol = SEALED;
    f->options.compression = COMPRESS_GZIP;
    f->options.sealer = &sealer;
    fixture_open(f);
}

static void commit(struct spool_lane *l, const char *text, uint32_t samples)
{
    size_t n = strlen(text);
    memcpy(spool_lane_room(l).p, text, n);
    spool_lane_commit(l, n, &(struct spool_counts){.read = samples, .samples = samples, .first_ms = 1, .last_ms = 2});
}

/* The first commit after a start is sealed at once: it is let go. */
static struct spool_lane *warm_lane(struct fixture *f)
{
    struct spool_lane *l = fixture_lane(f, 1);
    const struct spool_request *r;
    commit(l, "w", 1);
    assert_true(fixture_peek(f, l, &r));
    fixture_deliver(l, r);
    return l;
}

static struct spool_lane *begin_lane(struct fixture *f)
{
    begin(f);
    return warm_lane(f);
}

static struct spool_lane *after_a_kill(struct fixture *f)
{
    fixture_abandon(f);
    fixture_open(f);
    return fixture_lane(f, 1);
}

static const struct spool_request *assert_next(struct fixture *f, struct spool_lane *l, const char *text, uint32_t raw)
{
    const struct spool_request *r;
    assert_true(fixture_peek(f, l, &r));
    assert_int_equal(r->body.n, strlen(text));
    assert_memory_equal(r->body.p, text, r->body.n);
    assert_int_equal(r->compression, COMPRESS_NONE);
    assert_int_equal(r->protocol, SEALED);
    assert_int_equal(r->raw_bytes, raw);
    return r;
}

static void the_body_is_what_the_sealer_makes(void **state)
{
    (void)state;
    struct fixture f;
    struct spool_lane *l = begin_lane(&f);
    commit(l, "ab", 3);
    commit(l, "cde", 4);
    spool_lane_seal(l);
    const struct spool_request *r = assert_next(&f, l, "[abcde]", 5);
    assert_int_equal(r->samples, 7);
    assert_int_equal(r->n_borders, 2);
    fixture_balance(&f);
    fixture_release(&f);
}

static void a_start_seals_what_a_kill_left_open_alike(void **state)
{
    (void)state;
    struct fixture f;
    struct spool_lane *l = begin_lane(&f);
    commit(l, "ab", 3);
    commit(l, "cde", 4);
    l = after_a_kill(&f);
    assert_next(&f, l, "[abcde]", 5);
    fixture_close(&f); /* and it is the same from its segment */
    fixture_open(&f);
    const struct spool_request *r = assert_next(&f, fixture_lane(&f, 1), "[abcde]", 5);
    assert_true(r->maybe_sent);
    struct spool_ledger ledger = fixture_balance(&f);
    assert_int_equal(ledger.waiting, 7);
    assert_int_equal(ledger_dropped(&ledger), 0);
    fixture_release(&f);
}

static void what_the_sealer_refuses_after_a_kill_is_dropped_corrupt(void **state)
{
    (void)state;
    struct fixture f;
    struct spool_lane *l = begin_lane(&f);
    commit(l, "!b", 3);
    l = after_a_kill(&f);
    struct spool_ledger ledger = fixture_balance(&f);
    assert_int_equal(ledger.dropped[DROP_CORRUPT], 3);
    assert_int_equal(ledger.waiting, 0);
    commit(l, "fine", 2); /* the lane goes on */
    spool_lane_seal(l);
    assert_next(&f, l, "[fine]", 4);
    fixture_release(&f);
}

static void what_the_sealer_refuses_at_once_is_dropped_corrupt(void **state)
{
    (void)state;
    struct fixture f;
    struct spool_lane *l = begin_lane(&f);
    commit(l, "!b", 3);
    spool_lane_seal(l);
    struct spool_ledger ledger = fixture_balance(&f);
    assert_int_equal(ledger.dropped[DROP_CORRUPT], 3);
    assert_int_equal(ledger.waiting, 0);
    assert_int_equal(spool_lane_room(l).samples, 0);
    commit(l, "fine", 2);
    l = after_a_kill(&f);
    assert_next(&f, l, "[fine]", 4);
    ledger = fixture_balance(&f);
    assert_int_equal(ledger.dropped[DROP_CORRUPT], 3); /* once */
    assert_int_equal(ledger_dropped(&ledger), 3);
    fixture_release(&f);
}

static void parts_of_a_group_are_sealed_too(void **state)
{
    (void)state;
    struct fixture f;
    struct spool_lane *l = begin_lane(&f);
    spool_lane_group_begin(l);
    for (int i = 0; i < 2; i++) {
        memcpy(spool_lane_room(l).p, "part", 4);
        spool_lane_group_add(l, 4, &(struct spool_counts){.read = 1, .samples = 1});
    }
    spool_lane_group_end(l);
    for (int i = 0; i < 2; i++)
        fixture_deliver(l, assert_next(&f, l, "[part]", 4));
    fixture_balance(&f);
    fixture_release(&f);
}

/* The sink fills up to what is joinable, and a batch that is full then is sealed with all of it. */
static void a_commit_stays_in_the_batch_that_it_was_written_for(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    f.options.max_raw_bytes = 10000;
    fixture_close(&f);
    fixture_open(&f);
    struct spool_lane *l = warm_lane(&f);
    spool_set_limits(f.spool, 10, 60000);
    commit(l, "head", 8);
    commit(l, "tail", 8); /* beyond the limit of samples: it stays, and the batch is full */
    assert_int_equal(spool_lane_room(l).samples, 0);
    assert_next(&f, l, "[headtail]", 8);
    fixture_release(&f);
}

static void a_directory_is_for_one_kind_of_requests(void **state)
{
    (void)state;
    struct fixture f;
    begin_lane(&f);
    fixture_close(&f);
    struct diag d = {0};
    uint32_t protocol;
    assert_int_equal(spool_inspect_protocol(f.directory, &protocol, &d), OK);
    assert_string_equal(spool_protocol_name(protocol), "CloudWatch Logs");
    static const uint32_t others[] = {1, 2, 17};
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        f.options.protocol = others[i];
        assert_int_equal(spool_open(&f.options, &f.spool, &d), ERR_UNSUPPORTED);
        assert_non_null(strstr(d.text, "CloudWatch Logs"));
        f.spool = NULL;
    }
    fixture_release(&f);
}

static void count_files(void *ctx, const struct spool_file_info *i)
{
    uint64_t *waiting = ctx;
    assert_int_equal(i->corrupt, 0);
    *waiting += i->waiting_samples;
}

static void it_is_shown_without_its_sealer(void **state)
{
    (void)state;
    struct fixture f;
    struct spool_lane *l = begin_lane(&f);
    commit(l, "in a segment", 3);
    fixture_close(&f);
    fixture_open(&f);
    l = fixture_lane(&f, 1);
    commit(l, "sealed", 3);
    commit(l, "open", 4);
    fixture_abandon(&f);
    uint64_t waiting = 0;
    struct spool_ledger ledger;
    struct diag d = {0};
    assert_int_equal(spool_inspect(f.directory, true, count_files, &waiting, &ledger, &d), OK);
    assert_int_equal(waiting, 10);
    assert_int_equal(ledger.waiting, 10);
    fixture_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_body_is_what_the_sealer_makes),
        cmocka_unit_test(a_start_seals_what_a_kill_left_open_alike),
        cmocka_unit_test(what_the_sealer_refuses_after_a_kill_is_dropped_corrupt),
        cmocka_unit_test(what_the_sealer_refuses_at_once_is_dropped_corrupt),
        cmocka_unit_test(parts_of_a_group_are_sealed_too),
        cmocka_unit_test(a_commit_stays_in_the_batch_that_it_was_written_for),
        cmocka_unit_test(a_directory_is_for_one_kind_of_requests),
        cmocka_unit_test(it_is_shown_without_its_sealer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
