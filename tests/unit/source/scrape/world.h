/* world: clock, timers and HTTP under the test's thumb. Included once by a test program: it defines the functions of
 * base/clock.h, of loop/loop.h that concern timers, and of net/http_client.h, in place of the real ones.
 */
#ifndef TESTS_UNIT_SOURCE_SCRAPE_WORLD_H
#define TESTS_UNIT_SOURCE_SCRAPE_WORLD_H

#include "unit.h"

#include "base/clock.h"
#include "base/mem.h"
#include "net/http_client.h"

#define WORLD_MAX 64

struct http_peer {
    char *url;
    const struct http_options *options;
    struct http_request *request; /* NULL: idle */
    unsigned requests;
    bool used;
};

static struct world {
    int64_t wall_ns;
    uint64_t mono_ns;
    struct timer *timers[WORLD_MAX];
    size_t n_timers;
    struct http_peer peers[WORLD_MAX];
    unsigned peers_made;
} world;

/* Wall clock at an even hour: ticks of an offset of 0 are easy to tell. */
#define WORLD_START_MS 1700002800000

static inline void world_reset(void)
{
    world = (struct world){.wall_ns = (int64_t)WORLD_START_MS * 1000000, .mono_ns = 5000000000};
}

int64_t clock_wall_ns(void)
{
    return world.wall_ns;
}

int64_t clock_wall_ms(void)
{
    return world.wall_ns / 1000000;
}

uint64_t clock_mono_ns(void)
{
    return world.mono_ns;
}

uint64_t clock_mono_ms(void)
{
    return world.mono_ns / 1000000;
}

void clock_print(struct buf *b, int64_t wall_ms)
{
    buf_printf(b, "%lld", (long long)wall_ms);
}

uint64_t loop_now_ms(const struct loop *loop)
{
    (void)loop;
    return world.mono_ns / 1000000;
}

void timer_stop(struct timer *t)
{
    for (size_t i = 0; i < world.n_timers; i++) {
        if (world.timers[i] != t)
            continue;
        world.timers[i] = world.timers[--world.n_timers];
        t->position = 0;
        return;
    }
}

void timer_start_at_ns(struct loop *loop, struct timer *t, uint64_t mono_ns, timer_fn *fn)
{
    timer_stop(t);
    assert_true(world.n_timers < WORLD_MAX);
    t->loop = loop;
    t->fn = fn;
    t->due_ns = mono_ns;
    world.timers[world.n_timers++] = t;
    t->position = 1;
}

void timer_start(struct loop *loop, struct timer *t, uint64_t delay_ms, timer_fn *fn)
{
    timer_start_at_ns(loop, t, world.mono_ns + delay_ms * 1000000, fn);
}

static inline void world_pass_ns(uint64_t ns)
{
    world.mono_ns += ns;
    world.wall_ns += (int64_t)ns;
}

/* Time passes; timers fire at their time, `late_us` behind it. */
static inline void world_run_late(uint64_t ms, uint64_t late_us)
{
    uint64_t end = world.mono_ns + ms * 1000000;

    for (;;) {
        struct timer *next = NULL;
        for (size_t i = 0; i < world.n_timers; i++) {
            if (world.timers[i]->due_ns <= end && (!next || world.timers[i]->due_ns < next->due_ns))
                next = world.timers[i];
        }
        if (!next)
            break;
        uint64_t at = next->due_ns + late_us * 1000;
        if (at > world.mono_ns)
            world_pass_ns(at - world.mono_ns);
        timer_stop(next);
        next->fn(next);
    }
    if (end > world.mono_ns)
        world_pass_ns(end - world.mono_ns);
}

static inline void world_run(uint64_t ms)
{
    world_run_late(ms, 0);
}

enum err http_peer_new(struct http_client *c, struct str url, const struct http_options *options,
                       struct http_peer **out, struct diag *d)
{
    (void)c;
    if (!str_starts(url, STR("http")))
        return diag_set(d, ERR_SYNTAX, "unsupported protocol scheme \"\"");
    for (size_t i = 0; i < WORLD_MAX; i++) {
        struct http_peer *p = &world.peers[i];
        if (p->used)
            continue;
        *p = (struct http_peer){.url = mem_strndup(url.p, url.n), .options = options, .used = true};
        world.peers_made++;
        *out = p;
        return OK;
    }
    return diag_set(d, ERR_LIMIT, "too many peers for a test");
}

void http_peer_free(struct http_peer *p)
{
    assert_true(p->used);
    free(p->url);
    *p = (struct http_peer){0};
}

void http_start(struct http_peer *p, struct http_request *r)
{
    assert_true(p->used);
    assert_null(p->request);
    buf_clear(r->response_body);
    p->request = r;
    p->requests++;
}

void http_cancel(struct http_peer *p, struct http_request *r)
{
    assert_ptr_equal(p->request, r);
}

static inline struct http_peer *world_peer(const char *url)
{
    for (size_t i = 0; i < WORLD_MAX; i++) {
        if (world.peers[i].used && strcmp(world.peers[i].url, url) == 0)
            return &world.peers[i];
    }
    fail_msg("no peer for %s", url);
    return NULL;
}

static inline size_t world_peers(void)
{
    size_t n = 0;
    for (size_t i = 0; i < WORLD_MAX; i++)
        n += world.peers[i].used;
    return n;
}

static inline void world_finish(struct http_peer *p, struct http_response *response)
{
    struct http_request *r = p->request;

    assert_non_null(r);
    p->request = NULL;
    response->body = r->response_body;
    r->done(r, response);
}

static inline struct str world_header(const struct http_peer *p, const char *name)
{
    for (int i = 0; i < p->request->n_headers; i++) {
        if (str_eq_nocase(p->request->headers[i].name, str_c(name)))
            return p->request->headers[i].value;
    }
    return STR_NONE;
}

#endif
