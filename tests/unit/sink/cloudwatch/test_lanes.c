/* Places and their lanes, and the borders of requests: whatever comes in goes out once, in order, within the limits
 * that cw_world.h asserts of every request. */
#include "unit.h"

#include <sys/wait.h>

#include "unit/sink/cloudwatch/cw_world.h"

#define DAY ((int64_t)24 * 3600 * 1000)

/* ---- a property ---- */

struct maker {
    struct unit_random random;
    struct buf text;
    struct cw_record *records;
    size_t cap;
    uint32_t n, next_id;
    uint64_t samples;
};

/* "ID PLACE", padded with what has to be escaped and what has not. */
static void make_record(struct maker *m, const char *place, int64_t now)
{
    static const char filler[] = "\"\\\n\x01 plain text that is long {}[]:,0123456789 \xc3\xa9";
    uint32_t from = (uint32_t)m->text.n;
    uint64_t kind = unit_random_below(&m->random, 1000);
    uint64_t size = kind < 900   ? unit_random_below(&m->random, 600)
                    : kind < 998 ? unit_random_below(&m->random, 60000)
                                 : unit_random_below(&m->random, CW_EVENT_MAX - 64);
    buf_printf(&m->text, "%u %s ", m->next_id++, place);
    while (m->text.n - from < size)
        buf_append(&m->text, filler, sizeof(filler) - 1);
    m->records = mem_grow(m->records, &m->cap, m->n + 1, sizeof(*m->records));
    int64_t back = kind % 20 ? (int64_t)unit_random_below(&m->random, 3)
                             : (int64_t)unit_random_below(&m->random, 10 * 24) * 3600000;
    m->records[m->n++] = (struct cw_record){.ts_ms = now - back,
                                            .offset = from,
                                            .bytes = (uint32_t)m->text.n - from,
                                            .samples = (uint32_t)unit_random_below(&m->random, 50)};
    m->samples += m->records[m->n - 1].samples;
}

static uint32_t make_scrape(struct maker *m, const char *place, int64_t now)
{
    uint32_t read = 0, n = (uint32_t)unit_random_below(&m->random, unit_random_below(&m->random, 20) ? 40 : 12000);
    buf_clear(&m->text);
    m->n = 0;
    for (uint32_t i = 0; i < n && m->text.n < (6 << 20); i++)
        make_record(m, place, now);
    for (uint32_t i = 0; i < m->n; i++)
        read += m->records[i].samples;
    return read;
}

struct id_and_place {
    uint32_t id;
    int place;
    int64_t ts_ms;
};

static void check_order(const struct cw_world *w, uint32_t n_ids)
{
    uint8_t *times = mem_zalloc(n_ids + 1);
    struct id_and_place *v = mem_zalloc((w->n_seen + 1) * sizeof(*v));
    assert_int_equal(w->n_seen, n_ids);
    for (size_t i = 0; i < w->n_seen; i++) {
        assert_int_equal(sscanf(w->seen[i].text, "%u s%d", &v[i].id, &v[i].place), 2);
        v[i].ts_ms = w->seen[i].ts_ms;
        assert_true(v[i].id < n_ids);
        assert_int_equal(times[v[i].id]++, 0);
        char stream[16];
        snprintf(stream, sizeof(stream), "s%d", v[i].place);
        assert_string_equal(stream, w->seen[i].stream);
    }
    /* of one place and time, in the order in which they came */
    for (size_t i = 0; i < w->n_seen; i++) {
        for (size_t k = i + 1; k < w->n_seen && k < i + 50; k++)
            if (v[k].place == v[i].place && v[k].ts_ms == v[i].ts_ms)
                assert_true(v[k].id > v[i].id);
    }
    free(times);
    free(v);
}

static void what_goes_in_comes_out_within_the_limits(void **state)
{
    (void)state;
    struct maker m = {.random = unit_random_new()};
    for (int round = 0; round < 3; round++) {
        struct cw_world *w = cw_world_new(CLOUDWATCH_LOGS);
        int n_places = round == 0 ? 1 : round == 1 ? 5 : 23;
        m.next_id = 0;
        m.samples = 0;
        cw_open(w);
        for (int i = 0; i < 60; i++) {
            char stream[16];
            snprintf(stream, sizeof(stream), "s%d", (int)unit_random_below(&m.random, (uint64_t)n_places));
            uint32_t read = make_scrape(&m, stream, clock_wall_ms() / 4 * 4);
            const struct cw_place place = {STR("group"), str_c(stream)};
            const struct cw_scrape s = {.text = buf_view(&m.text),
                                        .records = m.records,
                                        .n_records = m.n,
                                        .read = read + 3,
                                        .dropped = {[DROP_TYPE] = 3}};
            cw_commit(cw_lane_of(w->c, &place), &place, &s);
            cw_ledger(w);
            if (unit_random_below(&m.random, 4) == 0)
                world_turn(w->loop, 1);
        }
        cw_drain(w);
        check_order(w, m.next_id);
        struct spool_ledger l = cw_ledger(w);
        assert_int_equal(l.delivered, m.samples);
        assert_int_equal(l.dropped[DROP_TYPE], 60 * 3);
        assert_int_equal(l.read, m.samples + 60 * 3);
        cw_world_free(w);
    }
    buf_release(&m.text);
    free(m.records);
}

/* ---- places ---- */

static void places_have_lanes_of_their_own(void **state)
{
    (void)state;
    struct cw_world *w = cw_world_new(CLOUDWATCH_LOGS);
    bool used[SPOOL_LANES] = {false};
    struct cw_lane *lanes[SPOOL_LANES];
    char stream[16];
    cw_open(w);
    for (int i = 0; i < SPOOL_LANES; i++) {
        snprintf(stream, sizeof(stream), "stream %d", i);
        lanes[i] = cw_lane_of(w->c, &(struct cw_place){STR("group"), str_c(stream)});
        assert_false(used[cw_lane_number(lanes[i])]);
        used[cw_lane_number(lanes[i])] = true;
    }
    for (int i = 0; i < SPOOL_LANES; i++) {
        snprintf(stream, sizeof(stream), "stream %d", i);
        assert_ptr_equal(cw_lane_of(w->c, &(struct cw_place){STR("group"), str_c(stream)}), lanes[i]);
    }
    /* after that they share, and each request is still of one place */
    for (int i = 0; i < 200; i++) {
        snprintf(stream, sizeof(stream), "stream %d", i % 40);
        cw_events(w, stream, clock_wall_ms(), stream, 3);
    }
    cw_drain(w);
    assert_int_equal(w->n_seen, 600);
    for (size_t i = 0; i < w->n_seen; i++)
        assert_memory_equal(w->seen[i].text, w->seen[i].stream, strlen(w->seen[i].stream));
    cw_world_free(w);
}

static void streams_do_not_wait_for_each_other(void **state)
{
    (void)state;
    struct cw_world *w = cw_world_new(CLOUDWATCH_LOGS);
    char stream[16];
    cw_open(w);
    w->hang = true;
    for (int i = 0; i < 10; i++) {
        snprintf(stream, sizeof(stream), "s%d", i);
        cw_event(w, stream, clock_wall_ms(), "x");
        cw_event(w, stream, clock_wall_ms(), "y");
    }
    world_until(w->loop, w->n_running == 10);
    world_for(w->loop, 40);
    assert_int_equal(w->n_running, 10); /* one in flight each */
    w->hang = false;
    cw_drain(w);
    assert_int_equal(w->n_seen, 20);
    cw_world_free(w);
}

static void decide_nothing(struct cw_world *w, const char *operation, const struct node *body, struct fake_reply *out)
{
    (void)w, (void)operation, (void)body;
    *out = (struct fake_reply){.code = "ThrottlingException"};
}

static void lanes_with_data_belong_to_its_place(void **state)
{
    (void)state;
    struct cw_world *w = cw_world_new(CLOUDWATCH_LOGS);
    uint32_t number[12];
    char stream[16];
    cw_open(w);
    w->decide = decide_nothing;
    for (int i = 0; i < 12; i++) {
        snprintf(stream, sizeof(stream), "s%d", i);
        cw_event(w, stream, clock_wall_ms(), "x");
        number[i] = cw_lane_number(cw_lane_of(w->c, &(struct cw_place){STR("group"), str_c(stream)}));
    }
    cw_close(w);
    cw_open(w);
    world_for(w->loop, 30);
    for (int i = 11; i >= 0; i--) { /* in another order */
        snprintf(stream, sizeof(stream), "s%d", i);
        assert_int_equal(cw_lane_number(cw_lane_of(w->c, &(struct cw_place){STR("group"), str_c(stream)})), number[i]);
    }
    w->decide = NULL;
    cw_drain(w);
    assert_int_equal(w->n_seen, 12);
    cw_world_free(w);
}

static void names_are_checked(void **state)
{
    (void)state;
    static const struct {
        enum cloudwatch_kind kind;
        const char *group, *stream;
        bool good;
    } t[] = {
        {CLOUDWATCH_LOGS, "/aws/ecs/containerinsights/a_b-c.d#1/prometheus", "job one|two[3]", true},
        {CLOUDWATCH_LOGS, "", "s", false},
        {CLOUDWATCH_LOGS, "g", "", false},
        {CLOUDWATCH_LOGS, "a b", "s", false},
        {CLOUDWATCH_LOGS, "g", "a:b", false},
        {CLOUDWATCH_LOGS, "g", "a*", false},
        {CLOUDWATCH_LOGS, "g", "a\xff", false},
        {CLOUDWATCH_METRICS, "CWAgent/Prometheus x", "", true},
        {CLOUDWATCH_METRICS, "", "", false},
        {CLOUDWATCH_METRICS, ":x", "", false},
    };
    for (size_t i = 0; i < COUNT_OF(t); i++) {
        const struct cw_place place = {str_c(t[i].group), str_c(t[i].stream)};
        struct diag d = {0};
        assert_int_equal(cw_place_check(t[i].kind, &place, &d) == OK, t[i].good);
        assert_int_equal(d.text[0] == '\0', t[i].good);
    }
    char long_name[514];
    memset(long_name, 'x', sizeof(long_name));
    struct cw_place place = {str_from(long_name, 512), str_from(long_name, 512)};
    assert_int_equal(cw_place_check(CLOUDWATCH_LOGS, &place, NULL), OK);
    place.group.n++;
    assert_int_equal(cw_place_check(CLOUDWATCH_LOGS, &place, NULL), ERR_SYNTAX);
}

static void samples_without_a_place_are_in_the_ledger(void **state)
{
    (void)state;
    struct cw_world *w = cw_world_new(CLOUDWATCH_LOGS);
    cw_open(w);
    cw_drop(w->c, 5, DROP_UNDECLARED);
    cw_event(w, "one", clock_wall_ms(), "x");
    cw_drop(w->c, 2, DROP_UNSENDABLE);
    cw_drain(w);
    struct spool_ledger l = cw_ledger(w);
    assert_int_equal(l.read, 8);
    assert_int_equal(l.dropped[DROP_UNDECLARED], 5);
    assert_int_equal(l.dropped[DROP_UNSENDABLE], 2);
    cw_world_free(w);
}

/* ---- folds ---- */

enum { FOLDS = 3000, COMMITS = 4 };

/* What was delivered leaves no data behind, and the places come back in another order. */
static void places_have_the_same_lanes_after_a_restart(void **state)
{
    (void)state;
    struct cw_world *w = cw_world_new(CLOUDWATCH_LOGS);
    uint32_t number[14], other[SPOOL_LANES];
    char stream[16];
    cw_open(w);
    for (int i = 0; i < 14; i++) {
        snprintf(stream, sizeof(stream), "s%d", i);
        cw_event(w, stream, clock_wall_ms(), "x");
        number[i] = cw_lane_number(cw_lane_of(w->c, &(struct cw_place){STR("group"), str_c(stream)}));
    }
    cw_drain(w);
    cw_close(w);
    cw_open(w);
    for (int i = 0; i < 2; i++) { /* new ones leave theirs alone */
        snprintf(stream, sizeof(stream), "new%d", i);
        other[i] = cw_lane_number(cw_lane_of(w->c, &(struct cw_place){STR("group"), str_c(stream)}));
    }
    for (int i = 13; i >= 0; i--) {
        snprintf(stream, sizeof(stream), "s%d", i);
        assert_int_equal(cw_lane_number(cw_lane_of(w->c, &(struct cw_place){STR("group"), str_c(stream)})), number[i]);
        assert_true(number[i] != other[0] && number[i] != other[1]);
    }
    cw_close(w);

    /* those that do not come back give way */
    bool used[SPOOL_LANES] = {false};
    cw_open(w);
    for (int i = 0; i < SPOOL_LANES; i++) {
        snprintf(stream, sizeof(stream), "third%d", i);
        uint32_t n = cw_lane_number(cw_lane_of(w->c, &(struct cw_place){STR("group"), str_c(stream)}));
        assert_false(used[n]);
        used[n] = true;
    }
    cw_world_free(w);
}

/* More places than lanes: those that share one find it again too, whoever comes first. */
static void shared_lanes_are_the_same_after_a_restart(void **state)
{
    enum { PLACES = 3 * SPOOL_LANES };
    (void)state;
    struct cw_world *w = cw_world_new(CLOUDWATCH_LOGS);
    uint32_t number[PLACES];
    char stream[16];
    for (int round = 0; round < 3; round++) {
        cw_open(w);
        for (int i = 0; i < PLACES; i++) {
            int which = (i * 7 + round * 11) % PLACES;
            snprintf(stream, sizeof(stream), "s%d", which);
            const struct cw_place place = {STR("group"), str_c(stream)};
            uint32_t n = cw_lane_number(cw_lane_of(w->c, &place));
            cw_event(w, stream, clock_wall_ms(), "x");
            assert_int_equal(cw_lane_number(cw_lane_of(w->c, &place)), n);
            if (round > 0)
                assert_int_equal(n, number[which]);
            number[which] = n;
        }
        cw_drain(w);
        cw_close(w);
    }
    assert_int_equal(w->n_seen, 3 * PLACES);
    cw_world_free(w);
}

/* A scrape of several requests, days apart, each record with one fold; then killed. */
static void killed_after_commits(struct cw_world *w)
{
    static const struct cw_place place = {{"group", 5}, {"one", 3}};
    AUTO_BUF text = {0};
    struct cw_record *records = mem_zalloc(FOLDS * sizeof(*records));
    struct cw_fold *folds = mem_zalloc((FOLDS + 1) * sizeof(*folds));
    w->loop = loop_new("child");
    w->io = io_thread_new();
    cw_open(w);
    w->hang = true;
    struct cw_lane *l = cw_lane_of(w->c, &place);
    struct fold_block *block = fold_state_block(cw_folds(w->c), 77, cw_lane_number(l));
    for (int round = 0; round < COMMITS; round++) {
        buf_clear(&text);
        for (uint32_t i = 0; i < FOLDS; i++) {
            uint32_t from = (uint32_t)text.n, series = fold_block_find(block, 1000 + i);
            if (series == FOLD_NONE)
                series = fold_block_add(block, 1000 + i);
            buf_printf(&text, "%d %u %0200d", round, i, 0);
            records[i] = (struct cw_record){.ts_ms = clock_wall_ms() - DAY * (i % 3),
                                            .offset = from,
                                            .bytes = (uint32_t)text.n - from,
                                            .samples = 1,
                                            .n_folds = 1};
            folds[i] = (struct cw_fold){block, series, {.value = round * FOLDS + i, .ts_ms = 1 + round}};
        }
        const struct cw_scrape s = {.text = buf_view(&text),
                                    .records = records,
                                    .n_records = FOLDS,
                                    .folds = folds,
                                    .n_folds = FOLDS,
                                    .read = FOLDS,
                                    .touch = block,
                                    .touch_ms = 5 + round};
        cw_commit(l, &place, &s);
        world_for(w->loop, 200); /* more than the mappings hold: the disk takes it */
    }
    _exit(0);
}

static void folds_hold_with_their_records(void **state)
{
    (void)state;
    struct cw_world *w = cw_world_new(CLOUDWATCH_LOGS);
    struct fold_value v;
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        killed_after_commits(w);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    cw_open(w);
    struct cw_lane *l = cw_lane_of(w->c, &(struct cw_place){STR("group"), STR("one")});
    struct fold_block *block = fold_state_block(cw_folds(w->c), 77, cw_lane_number(l));
    assert_int_equal(fold_block_last_ms(block), 5 + COMMITS - 1);
    for (uint32_t i = 0; i < FOLDS; i++) {
        uint32_t series = fold_block_find(block, 1000 + i);
        assert_true(series != FOLD_NONE && fold_block_get(block, series, &v));
        assert_true(v.value == (COMMITS - 1) * FOLDS + i);
    }
    cw_drain(w);
    assert_int_equal(cw_ledger(w).delivered, COMMITS * FOLDS);
    cw_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out_within_the_limits),
        cmocka_unit_test(places_have_lanes_of_their_own),
        cmocka_unit_test(streams_do_not_wait_for_each_other),
        cmocka_unit_test(lanes_with_data_belong_to_its_place),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(samples_without_a_place_are_in_the_ledger),
        cmocka_unit_test(folds_hold_with_their_records),
        cmocka_unit_test(places_have_the_same_lanes_after_a_restart),
        cmocka_unit_test(shared_lanes_are_the_same_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
