/* aws_queue: see the header.
 *
 *   start --> waiting --(a place and a token of its family)--> running --answer--> page --> more: waiting again
 *                                                                                   |
 *                                                                                   +--> end
 *
 * Rate: each family has a bucket of four seconds' worth of calls, one a second for each that may run at once; ten of
 * Cloud Map's DiscoverInstances and its revision, which AWS lets be asked a thousand times a second and more. What AWS
 * throttles nevertheless is repeated beneath us, in aws/, with jitter. The limits are those of an account and region,
 * shared with everyone, so a first refresh of thousands of tasks must not take all there is: beyond the bucket it goes
 * on at the sustained rate.
 */
#include "discover/aws_queue.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"

enum { CONCURRENCY = 20, BURST_SECONDS = 4, DISCOVER_FACTOR = 10, MAX_PAGES = 10000, MAX_OPERATIONS = 16 };

struct bucket {
    double tokens;
    uint64_t at_ns;
};

struct aws_queue {
    struct aws_queue_options o;
    struct aws_job *waiting, *last_waiting, *running;
    uint32_t n_running;
    struct bucket buckets[AWS_FAMILIES];
    struct timer kick;
    uint64_t calls;
    struct {
        const char *operation;
        struct counter *counter;
    } counters[MAX_OPERATIONS];
};

static void kick(struct timer *t);

static double calls_per_second(const struct aws_queue *q, enum aws_family family)
{
    return (double)q->o.concurrency * (family == AWS_CLOUDMAP_DISCOVER ? DISCOVER_FACTOR : 1);
}

struct aws_queue *aws_queue_new(const struct aws_queue_options *o)
{
    struct aws_queue *q = NEW(struct aws_queue);

    q->o = *o;
    if (q->o.concurrency == 0)
        q->o.concurrency = CONCURRENCY;
    for (int i = 0; i < AWS_FAMILIES; i++)
        q->buckets[i] = (struct bucket){calls_per_second(q, (enum aws_family)i) * BURST_SECONDS, clock_mono_ns()};
    return q;
}

uint64_t aws_queue_calls(const struct aws_queue *q)
{
    return q->calls;
}

static void unlink_running(struct aws_job *j)
{
    struct aws_queue *q = j->queue;

    *(j->prev ? &j->prev->next : &q->running) = j->next;
    if (j->next)
        j->next->prev = j->prev;
    j->next = j->prev = NULL;
    j->running = false;
    q->n_running--;
}

static void release_job(struct aws_job *j)
{
    buf_release(&j->body);
    buf_release(&j->token);
    free(j->tokens);
    j->tokens = NULL;
    j->n_tokens = j->cap_tokens = 0;
}

void aws_queue_free(struct aws_queue *q, void (*drop)(struct aws_job *j))
{
    timer_stop(&q->kick);
    while (q->running) {
        struct aws_job *j = q->running;
        aws_call_cancel(q->o.session, &j->call);
        unlink_running(j);
        release_job(j);
        drop(j);
    }
    while (q->waiting) {
        struct aws_job *j = q->waiting;
        q->waiting = j->next;
        release_job(j);
        drop(j);
    }
    if (q->o.http)
        aws_session_forget_http(q->o.session, q->o.http);
    for (int i = 0; i < MAX_OPERATIONS && q->counters[i].operation; i++)
        counter_release(q->o.counters, q->counters[i].counter);
    free(q);
}

static void count(struct aws_queue *q, const char *operation, uint32_t n)
{
    int i = 0;

    while (i < MAX_OPERATIONS - 1 && q->counters[i].operation && strcmp(q->counters[i].operation, operation) != 0)
        i++;
    if (!q->counters[i].operation) {
        const struct counter_label labels[] = {
            {STR("mechanism"), str_c(q->o.mechanism)}, {STR("config"), q->o.config}, {STR("call"), str_c(operation)}};
        q->counters[i].operation = operation;
        q->counters[i].counter =
            counter_new(q->o.counters, COUNTER_TOTAL, "leadline_sd_aws_calls_total",
                        "Requests that service discovery sent to AWS, repeats included.", labels, 3);
    }
    counter_add(q->counters[i].counter, n);
    q->calls += n;
}

static void wait_in_line(struct aws_queue *q, struct aws_job *j)
{
    j->next = NULL;
    *(q->waiting ? &q->last_waiting->next : &q->waiting) = j;
    q->last_waiting = j;
    timer_start(q->o.loop, &q->kick, 0, kick);
}

static void end_job(struct aws_job *j, enum err err, struct str code, const struct diag *d)
{
    struct aws_queue *q = j->queue;

    release_job(j);
    if (q->waiting)
        timer_start(q->o.loop, &q->kick, 0, kick);
    j->end(j, err, code, d);
}

/* The next page's token is in `token`. */
static enum err check_token(struct aws_job *j, struct diag *d)
{
    uint64_t hash = hash_bytes(buf_view(&j->token));

    for (size_t i = 0; i < j->n_tokens; i++)
        if (j->tokens[i] == hash)
            return diag_set(d, ERR_LIMIT, "%s: the token for page %zu is one that was given before", j->operation,
                            j->n_tokens + 2);
    if (j->n_tokens == MAX_PAGES)
        return diag_set(d, ERR_LIMIT, "%s: more than %d pages", j->operation, MAX_PAGES);
    j->tokens = mem_grow(j->tokens, &j->cap_tokens, j->n_tokens + 1, sizeof(*j->tokens));
    j->tokens[j->n_tokens++] = hash;
    return OK;
}

static void on_answer(struct aws_call *call, const struct aws_answer *a)
{
    struct aws_job *j = CONTAINER_OF(call, struct aws_job, call);
    struct aws_queue *q = j->queue;
    struct diag d = {0}, why = {0};

    count(q, j->operation, a->attempts ? a->attempts : 1);
    unlink_running(j);
    if (a->err) {
        end_job(j, a->err, a->code, &a->diag);
        return;
    }
    buf_clear(&j->token);
    enum err err = j->page(j, a->body, &j->token, &why);
    if (err)
        diag_set(&d, err, "%s: %s", j->operation, why.text);
    else if (j->token.n)
        err = check_token(j, &d);
    if (err || j->token.n == 0)
        end_job(j, err, STR_NONE, &d);
    else
        wait_in_line(q, j);
}

static void send(struct aws_queue *q, struct aws_job *j)
{
    buf_clear(&j->body);
    j->write(j, buf_view(&j->token), &j->body);
    j->call = (struct aws_call){
        .service = j->service,
        .operation = j->operation,
        .endpoint = j->endpoint,
        .http = q->o.http,
        .body = buf_view(&j->body),
        .done = on_answer,
    };
    j->running = true;
    j->prev = NULL;
    j->next = q->running;
    if (j->next)
        j->next->prev = j;
    q->running = j;
    q->n_running++;
    aws_call_start(q->o.session, &j->call);
}

/* 0 when a call of this family may go now (and then it counts), else how long to wait. */
static uint64_t wait_ms(struct aws_queue *q, enum aws_family family)
{
    struct bucket *b = &q->buckets[family];
    double rate = calls_per_second(q, family), most = rate * BURST_SECONDS;
    uint64_t now = clock_mono_ns();

    b->tokens += (double)(now - b->at_ns) / 1e9 * rate;
    b->tokens = b->tokens > most ? most : b->tokens;
    b->at_ns = now;
    if (b->tokens < 1)
        return (uint64_t)((1 - b->tokens) / rate * 1000) + 1;
    b->tokens -= 1;
    return 0;
}

static void kick(struct timer *t)
{
    struct aws_queue *q = CONTAINER_OF(t, struct aws_queue, kick);
    struct aws_job *rest = q->waiting;
    uint64_t soonest = UINT64_MAX;

    q->waiting = q->last_waiting = NULL;
    while (rest) {
        struct aws_job *j = rest;
        rest = j->next;
        j->next = NULL;
        uint64_t ms = q->n_running < q->o.concurrency ? wait_ms(q, j->family) : UINT64_MAX;
        if (ms == 0) {
            send(q, j);
            continue;
        }
        soonest = ms < soonest ? ms : soonest;
        *(q->waiting ? &q->last_waiting->next : &q->waiting) = j;
        q->last_waiting = j;
    }
    if (q->waiting && soonest != UINT64_MAX && !timer_armed(&q->kick))
        timer_start(q->o.loop, &q->kick, soonest, kick);
}

void aws_queue_start(struct aws_queue *q, struct aws_job *j)
{
    j->queue = q;
    wait_in_line(q, j);
}

bool aws_code_is_denied(struct str code)
{
    return str_eq(code, STR("AccessDenied")) || str_eq(code, STR("AccessDeniedException")) ||
           str_eq(code, STR("UnauthorizedOperation"));
}
