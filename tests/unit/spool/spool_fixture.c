#include "spool_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/mem.h"

void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    snprintf(f->directory, sizeof(f->directory), "/tmp/spool-test-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->budget.max_bytes = 4ull << 30;
    f->budget.max_memory_bytes = 64 << 20;
    f->budget.max_age_ms = 0;
    f->options = (struct spool_options){.directory = f->directory,
                                        .destination = "test",
                                        .mode = SPOOL_DISK,
                                        .compression = COMPRESS_SNAPPY,
                                        .protocol = 1,
                                        .max_samples = 2000,
                                        .max_raw_bytes = 1 << 20,
                                        .seal_after_ms = 60000,
                                        .budget = &f->budget};
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void fixture_release(struct fixture *f)
{
    fixture_close(f);
    assert_true(io_thread_free(f->io, 10000)); /* none is made before the first fixture_open: a test may fork */
    loop_free(f->loop);
    nftw(f->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void fixture_open(struct fixture *f)
{
    struct diag d = {0};
    if (!f->loop) {
        f->loop = loop_new("test");
        f->io = io_thread_new();
        f->options.io = f->io;
    }
    enum err e = spool_open(&f->options, &f->spool, &d);
    if (e)
        fail_msg("spool_open: %s", d.text);
}

static void on_ready(void *ctx)
{
    struct fixture *f = ctx;
    f->ready++;
}

struct spool_lane *fixture_lane(struct fixture *f, uint32_t lane)
{
    struct diag d = {0};
    if (!f->lanes[lane])
        assert_int_equal(spool_lane_open(f->spool, lane, f->loop, on_ready, f, &f->lanes[lane], &d), OK);
    return f->lanes[lane];
}

void fixture_turn(struct fixture *f, int ms)
{
    uint64_t until = clock_mono_ms() + (uint64_t)ms;
    do {
        uv_run(loop_uv(f->loop), UV_RUN_NOWAIT);
        usleep(ms ? 100 : 10);
    } while (clock_mono_ms() < until);
}

void fixture_settle(struct fixture *f)
{
    uv_update_time(loop_uv(f->loop));
    for (int i = 0; i < SPOOL_LANES; i++) {
        for (int turns = 0; f->lanes[i] && (f->lanes[i]->job_busy || turns < 2); turns++) {
            uv_run(loop_uv(f->loop), UV_RUN_NOWAIT);
            usleep(50);
            assert_true(turns < 200000);
        }
    }
}

static void on_closed(void *ctx)
{
    bool *closed = ctx;
    *closed = true;
}

void fixture_close(struct fixture *f)
{
    for (int i = 0; i < SPOOL_LANES; i++) {
        if (!f->lanes[i])
            continue;
        bool closed = false;
        spool_lane_close(f->lanes[i], on_closed, &closed);
        assert_false(closed); /* never synchronously */
        int turns = 0;
        while (!closed) {
            fixture_turn(f, 0);
            assert_true(turns++ < 100000);
        }
        f->lanes[i] = NULL;
    }
    if (f->spool)
        spool_close(f->spool);
    f->spool = NULL;
    assert_int_equal(f->budget.disk_bytes, 0);
    assert_int_equal(f->budget.mapping_bytes, 0);
    assert_int_equal(f->budget.memory_bytes, 0);
}

static void ignore(struct io_job *job)
{
    struct spool_lane *l = CONTAINER_OF(job, struct lane_job, io)->lane;
    l->job_busy = false;
}

void fixture_abandon_unheard(struct fixture *f)
{
    for (int i = 0; i < SPOOL_LANES; i++)
        if (f->lanes[i])
            f->lanes[i]->job.io.done = ignore;
    fixture_abandon(f);
}

void fixture_abandon(struct fixture *f)
{
    fixture_settle(f);
    /* The lanes are leaked on purpose, but not their timers. */
    for (int i = 0; i < SPOOL_LANES; i++) {
        struct spool_lane *l = f->lanes[i];
        if (!l)
            continue;
        timer_stop(&l->ready_timer);
        timer_stop(&l->seal_timer);
        timer_stop(&l->tick_timer);
        /* Give memory and descriptors back without telling the disk. */
        l->closed = NULL;
        while (l->list.first) {
            struct request *r = l->list.first;
            request_list_remove(&l->list, r);
            request_free(r);
        }
        for (int b = 0; b < BATCHES; b++)
            open_batch_release(&l->batches[b]);
        open_batch_release(&l->spare);
        cursor_release(&l->cursor);
        compressor_release(&l->compressor);
        lane_job_release(&l->job);
        if (l->place.dir >= 0)
            close(l->place.dir);
        if (l->disk.read_fd >= 0)
            close(l->disk.read_fd);
        if (l->disk.writer.fd >= 0)
            close(l->disk.writer.fd);
        counter_release(l->s->o.counters, l->write_errors);
        counter_release(l->s->o.counters, l->corrupt_records);
        free(l->segments);
        free(l->remove);
        f->spool->lanes[i].open = NULL;
        free(l);
        f->lanes[i] = NULL;
    }
    spool_close(f->spool);
    f->spool = NULL;
    f->budget.disk_bytes = f->budget.mapping_bytes = f->budget.memory_bytes = 0;
}

/* ---- scrapes ---- */

void scrape_bytes(uint8_t *p, uint64_t id, size_t n)
{
    uint64_t x = id * 0x9e3779b97f4a7c15ull + n;
    for (size_t i = 0; i < n; i++) {
        if (i % 32 == 0)
            x = x * 6364136223846793005ull + 1442695040888963407ull;
        p[i] = i < 8 ? (uint8_t)(id >> (8 * i)) : (uint8_t)(x >> (24 + i % 8)); /* compresses a little */
    }
}

bool scrape_is(const char *p, size_t n, uint64_t *id)
{
    if (n < 8)
        return false;
    *id = 0;
    for (int i = 7; i >= 0; i--)
        *id = *id << 8 | (uint8_t)p[i];
    uint8_t *want = malloc(n);
    scrape_bytes(want, *id, n);
    bool same = memcmp(want, p, n) == 0;
    free(want);
    return same;
}

void fixture_commit(struct spool_lane *l, uint64_t id, size_t n, uint32_t samples)
{
    struct spool_room room = spool_lane_room(l);
    if (room.n < n) { /* as a sink does */
        spool_lane_seal(l);
        room = spool_lane_room(l);
    }
    assert_true(room.n >= n);
    scrape_bytes(room.p, id, n);
    struct spool_counts c = {
        .read = samples, .samples = samples, .first_ms = 1000 + (int64_t)id, .last_ms = 1000 + (int64_t)id};
    spool_lane_commit(l, n, &c);
}

bool fixture_peek(struct fixture *f, struct spool_lane *l, const struct spool_request **r)
{
    for (int turns = 0;; turns++) {
        enum err e = spool_lane_peek(l, r);
        if (e == OK)
            return true;
        if (e == ERR_EOF)
            return false;
        assert_int_equal(e, ERR_AGAIN);
        assert_true(turns < 100000);
        fixture_turn(f, 0);
    }
}

void fixture_deliver(struct spool_lane *l, const struct spool_request *r)
{
    struct spool_outcome o = {.delivered = r->samples};
    spool_lane_done(l, r->seq, &o);
}

size_t fixture_ids(const struct spool_request *r, uint64_t *ids, size_t max)
{
    struct compressor c = {0};
    struct buf raw = {0};
    assert_int_equal(compress_decode(&c, r->compression, r->body, 64 << 20, &raw), OK);
    assert_int_equal(raw.n, r->raw_bytes);
    uint64_t samples = 0, at = 0;
    for (uint32_t i = 0; i < r->n_borders; i++) {
        const struct spool_border *b = &r->borders[i];
        assert_int_equal(b->offset, at);
        assert_true(i < max);
        assert_true(scrape_is(raw.p + b->offset, b->bytes, &ids[i]));
        samples += b->samples;
        at += b->bytes;
    }
    assert_int_equal(at, raw.n);
    assert_int_equal(samples, r->samples);
    buf_release(&raw);
    compressor_release(&c);
    return r->n_borders;
}

size_t fixture_drain(struct fixture *f, struct spool_lane *l, uint64_t *ids, size_t max)
{
    size_t n = 0;
    uint64_t last = 0;
    const struct spool_request *r;
    while (fixture_peek(f, l, &r)) {
        assert_true(r->seq > last);
        last = r->seq;
        n += fixture_ids(r, ids + n, max - n);
        fixture_deliver(l, r);
    }
    return n;
}

uint64_t ledger_dropped(const struct spool_ledger *l)
{
    uint64_t sum = 0;
    for (int i = 0; i < DROP_REASONS; i++)
        sum += l->dropped[i];
    return sum;
}

struct spool_ledger fixture_balance(struct fixture *f)
{
    for (uint32_t i = 0; i < SPOOL_LANES; i++) {
        struct spool_ledger l;
        spool_ledger_lane(f->spool, i, &l);
        if (l.read != l.delivered + l.waiting + ledger_dropped(&l))
            fail_msg("lane %u: read %llu, delivered %llu, waiting %llu, dropped %llu", i, (unsigned long long)l.read,
                     (unsigned long long)l.delivered, (unsigned long long)l.waiting,
                     (unsigned long long)ledger_dropped(&l));
    }
    struct spool_ledger sum;
    spool_ledger(f->spool, &sum);
    return sum;
}

/* ---- files ---- */

const char *fixture_path(const struct fixture *f, uint32_t lane, const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/lane-%02u/%s", f->directory, lane, name);
    return path;
}

int fixture_count(const struct fixture *f, uint32_t lane, const char *prefix)
{
    DIR *d = opendir(fixture_path(f, lane, ""));
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        n += strncmp(e->d_name, prefix, strlen(prefix)) == 0 && e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

long file_size(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (long)st.st_size : -1;
}

void file_flip(const char *path, long at)
{
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    if (at < 0)
        at += file_size(path);
    unsigned char c;
    assert_int_equal(pread(fd, &c, 1, at), 1);
    c ^= 0x10;
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
    close(fd);
}

void file_cut(const char *path, long bytes_off_end)
{
    assert_int_equal(truncate(path, file_size(path) - bytes_off_end), 0);
}
