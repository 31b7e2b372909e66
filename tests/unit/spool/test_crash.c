/* kill -9 at random moments, again and again on the same directory, against a model in memory that both processes
 * share: every scrape whose commit returned is sent once, in order, byte for byte; the one request in flight may be
 * sent twice and is marked; the ledger balances and its `read` is exactly what is there.
 */
#include "spool_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"

enum { IDS = 30000, SENDS = 30000, SEND_IDS = 64 };

enum id_state { ID_UNUSED, ID_BEGUN, ID_COMMITTED, ID_IN_GROUP };

struct id_model {
    enum id_state state;
    uint32_t group;
    uint32_t samples, relabel, unsendable, bytes;
};

struct send_model {
    uint64_t seq;
    uint32_t crc, n;
    uint64_t ids[SEND_IDS];
    bool done;
};

struct model {
    struct id_model ids[IDS];
    uint64_t next_id;
    uint32_t next_group;
    struct send_model sends[SENDS];
    uint32_t n_sends;
    bool peeking, killed_peeking;       /* killed before the request was written down here */
    uint64_t counts_begun, counts_done; /* commits of counts alone */
    char violation[128];
};

struct player {
    struct fixture *f;
    struct model *m;
    struct unit_random random;
    struct spool_lane *l;
    bool patient;
};

static uint32_t pick(struct player *p, uint32_t n)
{
    return (uint32_t)(unit_random_u64(&p->random) % n);
}

static uint64_t begin_id(struct player *p, enum id_state end, struct spool_counts *c, size_t *n)
{
    struct model *m = p->m;
    uint64_t id = m->next_id;
    struct id_model *i = &m->ids[id];
    *n = 8 + pick(p, pick(p, 8) ? 400 : 20000);
    i->samples = 1 + pick(p, 40);
    i->relabel = pick(p, 3);
    i->unsendable = pick(p, 3);
    i->bytes = (uint32_t)*n;
    i->group = end == ID_IN_GROUP ? m->next_group : 0;
    i->state = end == ID_IN_GROUP ? ID_IN_GROUP : ID_BEGUN;
    m->next_id = id + 1;
    *c = (struct spool_counts){.read = i->samples + i->relabel + i->unsendable,
                               .samples = i->samples,
                               .dropped[DROP_RELABEL] = i->relabel,
                               .dropped[DROP_UNSENDABLE] = i->unsendable,
                               .first_ms = (int64_t)id,
                               .last_ms = (int64_t)id};
    return id;
}

static void play_commit(struct player *p)
{
    struct spool_counts c;
    size_t n;
    uint64_t id = begin_id(p, ID_COMMITTED, &c, &n);
    if (spool_lane_room(p->l).n < n)
        spool_lane_seal(p->l);
    scrape_bytes(spool_lane_room(p->l).p, id, n);
    spool_lane_commit(p->l, n, &c);
    p->m->ids[id].state = ID_COMMITTED;
}

static void play_counts(struct player *p)
{
    p->m->counts_begun++;
    spool_lane_commit(p->l, 0, &(struct spool_counts){.read = 1, .dropped[DROP_RELABEL] = 1});
    p->m->counts_done++;
}

static void play_group(struct player *p)
{
    uint32_t parts = 1 + pick(p, 4);
    bool abort = pick(p, 4) == 0;
    p->m->next_group++;
    spool_lane_group_begin(p->l);
    uint64_t ids[4];
    for (uint32_t i = 0; i < parts; i++) {
        struct spool_counts c;
        size_t n;
        ids[i] = begin_id(p, ID_IN_GROUP, &c, &n);
        scrape_bytes(spool_lane_room(p->l).p, ids[i], n);
        spool_lane_group_add(p->l, n, &c);
    }
    if (abort) {
        spool_lane_group_abort(p->l);
        for (uint32_t i = 0; i < parts; i++)
            p->m->ids[ids[i]].state = ID_UNUSED;
        return;
    }
    spool_lane_group_end(p->l);
}

static void play_send(struct player *p)
{
    struct model *m = p->m;
    const struct spool_request *r;
    m->peeking = true;
    if (spool_lane_peek(p->l, &r) != OK) {
        m->peeking = false;
        return;
    }
    struct send_model s = {.seq = r->seq, .crc = hash_crc32c(r->body, 0)};
    s.n = (uint32_t)fixture_ids(r, s.ids, SEND_IDS);
    struct send_model *last = m->n_sends ? &m->sends[m->n_sends - 1] : NULL;
    if (last && !last->done && last->seq == r->seq) {
        if (last->crc != s.crc || last->n != s.n)
            snprintf(m->violation, sizeof(m->violation), "seq %llu is not the same when sent again",
                     (unsigned long long)r->seq);
    } else {
        if (r->maybe_sent && !(last && !last->done) && !m->killed_peeking)
            snprintf(m->violation, sizeof(m->violation), "seq %llu was never in flight", (unsigned long long)r->seq);
        m->sends[m->n_sends] = s;
        m->n_sends++;
    }
    m->peeking = m->killed_peeking = false;
    if (pick(p, 3) == 0)
        return; /* stays in flight */
    fixture_deliver(p->l, r);
    m->sends[m->n_sends - 1].done = true;
}

/* A disk that keeps up: there is a mapping for what comes next. */
static void wait_for_disk(struct player *p)
{
    for (;;) {
        int unused = 0;
        for (int i = 0; i < BATCHES; i++)
            unused += p->l->batches[i].base && !p->l->batches[i].busy && p->l->filling != &p->l->batches[i];
        if (unused)
            break;
        fixture_turn(p->f, 0);
    }
    if (p->l->filling == &p->l->spare)
        snprintf(p->m->violation, sizeof(p->m->violation), "filled memory beside an idle disk");
}

static void play(struct player *p)
{
    struct model *m = p->m;
    uint32_t send = 1 + pick(p, 8);
    while (m->next_id + 8 < IDS && m->n_sends + 8 < SENDS && !m->violation[0]) {
        if (p->patient)
            wait_for_disk(p);
        uint32_t what = pick(p, 20);
        if (what < 10)
            play_commit(p);
        else if (what < 10 + send)
            play_send(p);
        else if (what == 18)
            play_group(p);
        else if (what == 19)
            play_counts(p);
        else if (what == 17)
            spool_lane_seal(p->l);
        if (pick(p, 3) == 0)
            fixture_turn(p->f, 0);
    }
    for (;;)
        pause();
}

/* Killed after done had counted the last one, and before that was written down in the model. */
static void complete_model(struct fixture *f, struct model *m)
{
    struct spool_ledger l;
    spool_ledger(f->spool, &l);
    uint64_t samples = 0;
    for (uint32_t i = 0; i < m->n_sends; i++)
        for (uint32_t k = 0; k < m->sends[i].n && m->sends[i].done; k++)
            samples += m->ids[m->sends[i].ids[k]].samples;
    if (m->n_sends && l.delivered > samples)
        m->sends[m->n_sends - 1].done = true;
}

static ssize_t failing_pwrite(int fd, const void *p, size_t n, off_t at)
{
    static _Atomic uint32_t calls;
    if (calls++ / 50 % 2) {
        errno = ENOSPC;
        return -1;
    }
    return pwrite(fd, p, n, at);
}

static void child(struct fixture *f, struct model *m, uint64_t seed, bool faulty)
{
    setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failed assertion ends this process, which its parent sees */
    struct player p = {.f = f, .m = m, .random = {seed}, .patient = !faulty};
    fixture_open(f);
    complete_model(f, m);
    f->spool->segment_bytes = 20000 + pick(&p, 100000);
    /* A lane needs its files once; later lives may begin on a full disk. */
    if (faulty && m->next_id > 1 && pick(&p, 2))
        f->spool->disk.pwrite = failing_pwrite;
    p.l = fixture_lane(f, 7);
    if (faulty)
        f->spool->disk.pwrite = failing_pwrite;
    play(&p);
}

/* One life: a process that works until it is killed. */
static void live(struct fixture *f, struct model *m, struct unit_random *random, bool faulty)
{
    uint64_t seed = unit_random_u64(random);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        child(f, m, seed, faulty);
        _exit(0);
    }
    usleep((useconds_t)(unit_random_u64(random) % 15000));
    kill(pid, SIGKILL);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    m->killed_peeking = m->peeking || m->killed_peeking;
    m->peeking = false;
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* it did not end by itself */
    assert_string_equal(m->violation, "");
}

struct verdict {
    uint8_t *seen; /* by id: how often it was delivered or waits */
    uint64_t last_id;
    uint64_t samples, relabel, unsendable;
};

static void see(struct verdict *v, const struct model *m, const uint64_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_true(ids[i] < m->next_id && m->ids[ids[i]].state != ID_UNUSED);
        assert_true(ids[i] > v->last_id); /* in order, and so not twice */
        v->last_id = ids[i];
        v->seen[ids[i]]++;
        v->samples += m->ids[ids[i]].samples;
        v->relabel += m->ids[ids[i]].relabel;
        v->unsendable += m->ids[ids[i]].unsendable;
    }
}

static void drain_into(struct fixture *f, struct model *m, struct verdict *v)
{
    struct spool_lane *l = fixture_lane(f, 7);
    struct send_model *last = m->n_sends ? &m->sends[m->n_sends - 1] : NULL;
    bool first = true;
    const struct spool_request *r;
    for (; fixture_peek(f, l, &r); first = false) {
        uint64_t ids[SEND_IDS];
        size_t n = fixture_ids(r, ids, SEND_IDS);
        if (r->maybe_sent)
            assert_true(first);
        if (first && last && !last->done && r->seq == last->seq) {
            assert_true(r->maybe_sent);
            assert_int_equal(hash_crc32c(r->body, 0), last->crc);
        }
        see(v, m, ids, n);
        fixture_deliver(l, r);
    }
}

static void judge(struct fixture *f, struct model *m, bool faulty)
{
    struct verdict v = {.seen = calloc(IDS, 1)};
    fixture_open(f);
    complete_model(f, m);
    struct spool_ledger l = fixture_balance(f);
    for (uint32_t i = 0; i < m->n_sends; i++)
        if (m->sends[i].done)
            see(&v, m, m->sends[i].ids, m->sends[i].n);
    drain_into(f, m, &v);
    uint64_t lost = 0;
    for (uint64_t id = 1; id < m->next_id; id++) {
        const struct id_model *i = &m->ids[id];
        if (i->state == ID_COMMITTED && !v.seen[id])
            lost += i->samples;
        for (uint64_t other = id + 1; i->group && other < m->next_id && m->ids[other].group == i->group && !faulty;
             other++)
            assert_int_equal(v.seen[id], v.seen[other]);
    }
    if (!faulty) {
        assert_int_equal(lost, 0);
        assert_int_equal(l.dropped[DROP_CRASH], 0);
        assert_int_equal(ledger_dropped(&l), l.dropped[DROP_RELABEL] + l.dropped[DROP_UNSENDABLE]);
        assert_int_equal(l.dropped[DROP_UNSENDABLE], v.unsendable);
        uint64_t counts = l.dropped[DROP_RELABEL] - v.relabel;
        assert_true(counts >= m->counts_done && counts <= m->counts_begun);
        assert_int_equal(l.read, v.samples + v.relabel + v.unsendable + counts);
    }
    assert_int_equal(l.dropped[DROP_CORRUPT], 0);
    assert_true(l.dropped[DROP_CRASH] >= lost);
    l = fixture_balance(f);
    assert_int_equal(l.waiting, 0);
    assert_int_equal(l.delivered, v.samples);
    free(v.seen);
}

static void survive(int rounds, int lives, bool faulty)
{
    struct unit_random random = unit_random_new();
    struct model *m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(m != MAP_FAILED);
    for (int round = 0; round < rounds; round++) {
        memset(m, 0, sizeof(*m));
        m->next_id = 1;
        struct fixture f;
        fixture_init(&f);
        f.options.max_samples = 50 + (uint32_t)(unit_random_u64(&random) % 200);
        for (int i = 0; i < lives; i++)
            live(&f, m, &random, faulty);
        judge(&f, m, faulty);
        fixture_release(&f);
    }
    munmap(m, sizeof(*m));
}

static void nothing_is_lost_over_kills(void **state)
{
    (void)state;
    survive(30, 5, false);
}

static void what_a_failing_disk_and_a_kill_take_is_counted(void **state)
{
    (void)state;
    survive(15, 4, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_over_kills),
        cmocka_unit_test(what_a_failing_disk_and_a_kill_take_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
