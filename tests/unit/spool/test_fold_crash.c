/* Counters told as increases over kill -9 at random moments, again and again on the same directory: what was delivered
 * and what waits sum up to the last value of each counter that the state knows: no increase is lost or told twice.
 */
#include "spool_fixture.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "spool/fold_int.h"

enum { COUNTERS = 300, BLOCKS = 4, PER_BLOCK = COUNTERS / BLOCKS, LANES_USED = 2 };

/* A commit: so many of these. A first value is told as such, so that the sum begins there. */
struct told {
    uint32_t counter, first;
    uint64_t increase; /* or the first value */
};

/* What the outside knows: the counters, which go on whatever becomes of us. */
struct world {
    uint64_t value[COUNTERS];
    uint64_t committed[COUNTERS]; /* the value of the last commit that returned */
    uint64_t commits;
};

struct player {
    struct fixture f;
    struct world *w;
    struct fold_state *state;
    struct fold_block *blocks[BLOCKS];
    struct unit_random random;
    int64_t now_ms;
};

static uint32_t lane_of(uint32_t block)
{
    return 3 + block % LANES_USED;
}

static uint64_t id_of(uint32_t counter)
{
    return (counter + 1) * 0x9e3779b97f4a7c15ull;
}

static void open_all(struct player *p)
{
    struct diag d = {0};
    fixture_open(&p->f);
    assert_int_equal(fold_state_open(p->f.spool, p->f.loop, &p->state, &d), OK);
    for (uint32_t i = 0; i < BLOCKS; i++)
        p->blocks[i] = fold_state_block(p->state, 1000 + i, lane_of(i));
}

static uint32_t series_of(struct player *p, uint32_t counter)
{
    struct fold_block *b = p->blocks[counter / PER_BLOCK];
    uint32_t n = fold_block_find(b, id_of(counter));
    return n != FOLD_NONE ? n : fold_block_add(b, id_of(counter));
}

/* Some counters of one block, in one commit. */
static void play_commit(struct player *p)
{
    uint32_t block = (uint32_t)unit_random_below(&p->random, BLOCKS), n = 0;
    struct spool_lane *l = fixture_lane(&p->f, lane_of(block));
    struct told told[PER_BLOCK];
    for (uint32_t i = 0; i < PER_BLOCK; i++)
        if (unit_random_below(&p->random, 3) == 0)
            told[n++].counter = block * PER_BLOCK + i;
    if (n == 0)
        return;
    struct spool_ledger ledger;
    spool_lane_ledger(l, &ledger);
    p->now_ms++;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t counter = told[i].counter, series = series_of(p, counter);
        uint64_t now = p->w->value[counter] += unit_random_below(&p->random, 100);
        struct fold_value before;
        bool known = fold_block_get(p->blocks[block], series, &before);
        told[i].first = !known;
        told[i].increase = known ? now - (uint64_t)before.value : now;
        fold_block_set(p->blocks[block], series, (struct fold_value){(double)now, p->now_ms}, ledger.read + n);
    }
    fold_block_touch(p->blocks[block], p->now_ms, ledger.read + n);
    memcpy(spool_lane_room(l).p, told, n * sizeof(*told));
    spool_lane_commit(l, n * sizeof(*told), &(struct spool_counts){.read = n, .samples = n});
    for (uint32_t i = 0; i < n; i++)
        p->w->committed[told[i].counter] = (uint64_t)p->w->value[told[i].counter];
    p->w->commits++;
}

/* A disk that keeps up: what is committed has a mapping. (What a kill takes from memory is counted as dropped.) */
static void wait_for_disk(struct player *p)
{
    for (uint32_t i = 0; i < LANES_USED; i++) {
        struct spool_lane *l = fixture_lane(&p->f, lane_of(i));
        for (bool unused = false; !unused;) {
            for (int b = 0; b < BATCHES; b++)
                unused = unused || (l->batches[b].base && !l->batches[b].busy && l->filling != &l->batches[b]);
            if (!unused)
                fixture_turn(&p->f, 0);
        }
    }
}

static void play(struct player *p)
{
    for (int i = 0;; i++) {
        uint64_t what = unit_random_below(&p->random, 100);
        wait_for_disk(p);
        if (what < 80)
            play_commit(p);
        else if (what < 85)
            spool_lane_seal(fixture_lane(&p->f, lane_of((uint32_t)what)));
        else if (what < 88)
            fold_block_compact(p->blocks[what % BLOCKS], INT64_MIN);
        else
            fixture_turn(&p->f, 0);
    }
}

static void live(struct player *p)
{
    uint64_t seed = unit_random_u64(&p->random), us = unit_random_below(&p->random, 15000);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        setenv("CMOCKA_TEST_ABORT", "1", 1);
        p->random = (struct unit_random){seed};
        open_all(p);
        play(p);
    }
    usleep((useconds_t)us);
    kill(pid, SIGKILL);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* it did not end by itself */
}

struct sums {
    uint64_t value[COUNTERS];
    uint32_t firsts[COUNTERS];
};

static void add_request(struct sums *s, const struct spool_request *r)
{
    struct compressor c = {0};
    AUTO_BUF raw = {0};
    assert_int_equal(compress_decode(&c, r->compression, r->body, 64 << 20, &raw), OK);
    for (size_t at = 0; at < raw.n; at += sizeof(struct told)) {
        struct told t;
        memcpy(&t, raw.p + at, sizeof(t));
        assert_true(t.counter < COUNTERS);
        assert_int_equal(t.first, s->firsts[t.counter] == 0);
        s->firsts[t.counter] += t.first;
        s->value[t.counter] += t.increase;
    }
    compressor_release(&c);
}

static void judge(struct player *p)
{
    struct sums *s = NEW(struct sums);
    open_all(p);
    assert_int_equal(p->state->damaged, 0);
    struct spool_ledger ledger = fixture_balance(&p->f);
    assert_int_equal(ledger_dropped(&ledger), 0);
    for (uint32_t i = 0; i < LANES_USED; i++) {
        struct spool_lane *l = fixture_lane(&p->f, lane_of(i));
        const struct spool_request *r;
        while (fixture_peek(&p->f, l, &r)) {
            add_request(s, r);
            fixture_deliver(l, r);
        }
    }
    for (uint32_t i = 0; i < COUNTERS; i++) {
        struct fold_value v = {0};
        bool known = fold_block_get(p->blocks[i / PER_BLOCK], series_of(p, i), &v);
        assert_int_equal(known, s->firsts[i]);
        assert_int_equal((uint64_t)v.value, s->value[i]);
        assert_true(s->value[i] >= p->w->committed[i] && s->value[i] <= p->w->value[i]);
    }
    fold_state_close(p->state);
    free(s);
}

static void no_increase_is_lost_or_told_twice(void **state)
{
    (void)state;
    struct unit_random random = unit_random_new();
    uint64_t commits = 0;
    for (int round = 0; round < 25; round++) {
        struct player p = {.random = {unit_random_u64(&random)}};
        p.w = mmap(NULL, sizeof(*p.w), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_true(p.w != MAP_FAILED);
        fixture_init(&p.f);
        p.f.options.max_samples = 2000;
        for (int i = 0; i < 6; i++)
            live(&p);
        commits += p.w->commits;
        judge(&p);
        fixture_release(&p.f);
        munmap(p.w, sizeof(*p.w));
    }
    assert_true(commits > 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_increase_is_lost_or_told_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
