/* cw_world: a CloudWatch destination on the real spool, in front of an AWS in the test's own process that keeps what it
 * is given, and checks every limit of the two services. It takes the place of aws/ (sessions and calls) when linked.
 * Include it after unit.h, in one file of a program.
 */
#ifndef TESTS_CW_WORLD_H
#define TESTS_CW_WORLD_H

#include "world.h"

#include "base/mem.h"
#include "base/num.h"
#include "sink/cloudwatch/cloudwatch_int.h"
#include "wire/tree.h"

struct seen_event {
    char stream[64];
    int64_t ts_ms;
    char *text;
};

struct fake_reply {
    const char *code; /* NULL: success */
    const char *message, *body;
    enum err lost; /* no answer: what the call ends with */
    int status;    /* 0: 200, or 400 with a code */
    bool stored;   /* with lost: the service took it all the same */
    uint64_t retry_after_ms;
};

struct cw_world;
typedef void(cw_decide_fn)(struct cw_world *w, const char *operation, const struct node *body, struct fake_reply *out);

struct fake_call {
    struct timer timer;
    struct aws_call *call;
    struct fake_call *next;
};

struct cw_world {
    struct loop *loop;
    struct io_thread *io;
    struct world_folder folder;
    struct spool_budget budget;
    struct spool *spool;
    struct plan *plan;
    struct plan_cloudwatch *config;
    struct counters *counters;
    struct cloudwatch *c;
    bool drained, closed;

    cw_decide_fn *decide; /* NULL: a service that works */
    int number;           /* the test's own */
    bool hang;            /* calls are not answered */
    struct fake_call *calls;
    uint32_t n_calls, n_puts, n_running, most_running;
    struct buf operations; /* "PutLogEvents CreateLogStream ..." */
    struct buf last_body;
    bool group, stream; /* that exist, whatever their names */
    int64_t retention;
    struct seen_event *seen;
    size_t n_seen, cap_seen;
    struct compressor compressor;
};

static struct cw_world *cw_now;

/* ---- the service ---- */

static inline void cw_check_events(const struct node *body)
{
    const struct node *events = node_member(body, "logEvents", NODE_SEQUENCE);
    struct str stream = node_text(body, "logStreamName");
    size_t bytes = 0;
    int64_t first = 0, last = 0, ts;
    assert_non_null(events);
    assert_in_range(events->n, 1, 10000);
    assert_true(node_text(body, "logGroupName").n > 0 && stream.n > 0);
    for (const struct node *e = events->first; e; e = e->next) {
        struct str text = node_text(e, "message");
        assert_true(text.n > 0);
        assert_true(node_i64(node_member(e, "timestamp", NODE_NUMBER), &ts));
        assert_true(e == events->first || ts >= last);
        first = e == events->first ? ts : first;
        last = ts;
        bytes += text.n + 26;
    }
    assert_true(bytes <= 1048576);
    assert_true(last - first <= 24 * 3600 * 1000);
}

static inline void cw_check_data(const struct node *body, size_t bytes)
{
    const struct node *data = node_member(body, "MetricData", NODE_SEQUENCE);
    assert_non_null(data);
    assert_in_range(data->n, 1, 1000);
    assert_true(bytes <= 1000000);
    assert_true(node_text(body, "Namespace").n > 0);
}

static inline void cw_keep(struct cw_world *w, const struct node *body)
{
    const struct node *list = node_member(body, "logEvents", NODE_SEQUENCE);
    bool logs = list != NULL;
    struct str place = node_text(body, logs ? "logStreamName" : "Namespace");
    if (!logs)
        list = node_member(body, "MetricData", NODE_SEQUENCE);
    for (const struct node *e = list->first; e; e = e->next) {
        w->seen = mem_grow(w->seen, &w->cap_seen, w->n_seen + 1, sizeof(*w->seen));
        struct seen_event *s = &w->seen[w->n_seen++];
        *s = (struct seen_event){0};
        snprintf(s->stream, sizeof(s->stream), "%.*s", STR_ARGS(place));
        struct str text = node_text(e, logs ? "message" : "MetricName");
        s->text = mem_strndup(text.p, text.n);
        if (logs)
            assert_true(node_i64(node_member(e, "timestamp", NODE_NUMBER), &s->ts_ms));
    }
}

static inline void cw_default(struct cw_world *w, const char *operation, struct fake_reply *out)
{
    if (!strcmp(operation, "PutLogEvents") && !w->stream)
        *out = (struct fake_reply){.code = "ResourceNotFoundException",
                                   .message = "The specified log stream does not exist."};
    if (!strcmp(operation, "CreateLogStream")) {
        if (!w->group)
            *out = (struct fake_reply){.code = "ResourceNotFoundException"};
        else if (w->stream)
            *out = (struct fake_reply){.code = "ResourceAlreadyExistsException"};
        else
            w->stream = true;
    }
    if (!strcmp(operation, "CreateLogGroup")) {
        if (w->group)
            *out = (struct fake_reply){.code = "ResourceAlreadyExistsException"};
        w->group = true;
    }
}

static inline struct str cw_header(const struct aws_call *call, const char *name)
{
    for (int i = 0; i < call->n_headers; i++) {
        if (str_eq_nocase(call->headers[i].name, str_c(name)))
            return call->headers[i].value;
    }
    return STR_NONE;
}

static inline void cw_answer(struct timer *t)
{
    struct fake_call *f = CONTAINER_OF(t, struct fake_call, timer);
    struct cw_world *w = cw_now;
    struct aws_call *call = f->call;
    struct arena a = {0};
    struct node *body = NULL;
    AUTO_BUF text = {0};
    struct diag d = {0};
    struct fake_reply r = {0};
    bool put = str_starts(str_c(call->operation), STR("Put")) && strcmp(call->operation, "PutRetentionPolicy");

    if (w->hang) {
        timer_start(w->loop, &f->timer, 10, cw_answer);
        return;
    }
    struct fake_call **at = &w->calls;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    w->n_running--;
    free(f);

    assert_int_equal(call->max_attempts, 1);
    if (put) {
        assert_str_c(cw_header(call, "Content-Encoding"), "gzip");
        assert_int_equal(compress_decode(&w->compressor, COMPRESS_GZIP, call->body, 16 << 20, &text), OK);
        w->n_puts++;
    } else {
        buf_str(&text, call->body);
    }
    if (tree_parse_json(buf_view(&text), "", &a, &body, &d) != OK)
        fail_msg("%s: %s", d.text, text.p);
    if (!strcmp(call->operation, "PutLogEvents")) {
        assert_str_c(cw_header(call, "x-amzn-logs-format"), "json/emf");
        assert_ptr_equal(call->service, &aws_logs);
        cw_check_events(body);
    } else if (put) {
        assert_ptr_equal(call->service, &aws_cloudwatch);
        cw_check_data(body, text.n);
    }
    buf_clear(&w->last_body);
    buf_str(&w->last_body, buf_view(&text));
    buf_printf(&w->operations, "%s ", call->operation);
    if (w->decide)
        w->decide(w, call->operation, body, &r);
    else
        cw_default(w, call->operation, &r);
    if (put && ((!r.code && !r.lost) || r.stored))
        cw_keep(w, body);

    struct aws_answer answer = {.attempts = 1, .connected = true, .retry_after_ms = r.retry_after_ms};
    answer.status = r.lost ? 0 : r.status ? r.status : r.code ? 400 : 200;
    answer.code = str_c(r.lost ? NULL : r.code);
    answer.message = str_c(r.message);
    answer.body = str_c(r.body ? r.body : "{}");
    answer.throttled = r.code && !strcmp(r.code, "ThrottlingException");
    if (r.lost)
        answer.err = diag_set(&answer.diag, r.lost, "%s: no answer", call->operation);
    else if (r.code)
        answer.err = diag_set(&answer.diag, answer.status == 403 ? ERR_AUTH : ERR_SYNTAX, "%s: %s: %s", call->operation,
                              r.code, r.message ? r.message : "no");
    arena_release(&a);
    call->done(call, &answer);
}

/* ---- what stands in for aws/ ---- */

enum err aws_session_get(struct aws *a, const struct aws_config *config, struct aws_session **out, struct diag *d)
{
    (void)a, (void)config, (void)d;
    *out = (struct aws_session *)cw_now;
    return OK;
}

void aws_session_release(struct aws_session *s)
{
    assert_ptr_equal(s, cw_now);
}

struct str aws_session_region(const struct aws_session *s)
{
    (void)s;
    return STR("eu-west-1");
}

void aws_call_start(struct aws_session *s, struct aws_call *call)
{
    struct cw_world *w = cw_now;
    struct fake_call *f = NEW(struct fake_call);
    assert_ptr_equal(s, w);
    f->call = call;
    f->next = w->calls;
    w->calls = f;
    w->n_calls++;
    if (++w->n_running > w->most_running)
        w->most_running = w->n_running;
    timer_start(w->loop, &f->timer, 0, cw_answer);
}

void aws_call_cancel(struct aws_session *s, struct aws_call *call)
{
    struct cw_world *w = cw_now;
    struct fake_call **at = &w->calls;
    assert_ptr_equal(s, w);
    while (*at && (*at)->call != call)
        at = &(*at)->next;
    assert_non_null(*at);
    struct fake_call *f = *at;
    *at = f->next;
    w->n_running--;
    timer_stop(&f->timer);
    free(f);
}

/* ---- life ---- */

static inline struct spool_ledger cw_ledger(struct cw_world *w)
{
    struct spool_ledger l = {0};
    spool_ledger(w->spool, &l);
    uint64_t sum = l.delivered + l.waiting;
    for (int i = 0; i < DROP_REASONS; i++)
        sum += l.dropped[i];
    assert_int_equal(l.read, sum);
    return l;
}

static inline void cw_open(struct cw_world *w)
{
    struct diag d = {0};
    struct spool_options o = {.directory = w->folder.path,
                              .destination = "test",
                              .mode = SPOOL_DISK,
                              .budget = &w->budget,
                              .io = w->io,
                              .counters = w->counters};
    cloudwatch_spool_options(w->config, &o);
    if (spool_open(&o, &w->spool, &d) != OK)
        fail_msg("%s", d.text);
    struct cloudwatch_options co = {.loop = w->loop,
                                    .aws = (struct aws *)w,
                                    .spool = w->spool,
                                    .plan = w->plan,
                                    .config = w->config,
                                    .counters = w->counters};
    if (cloudwatch_new(&co, &w->c, &d) != OK)
        fail_msg("%s", d.text);
    w->c->longest_wait_ms = 5;
}

static inline struct cw_world *cw_world_new(enum cloudwatch_kind kind)
{
    struct cw_world *w = NEW(struct cw_world);
    cw_now = w;
    w->loop = loop_new("test");
    w->io = io_thread_new();
    w->counters = counters_new();
    w->budget = (struct spool_budget){.max_bytes = 1 << 30, .max_memory_bytes = 64 << 20};
    w->plan = plan_new();
    w->config = ARENA_NEW(&w->plan->arena, struct plan_cloudwatch);
    w->config->kind = kind;
    w->config->name = STR("test");
    w->config->flush_ms = 20;
    w->config->name_space = STR("CWAgent");
    w->group = w->stream = true;
    buf_c(&w->operations, "");
    snprintf(w->folder.path, sizeof(w->folder.path), "/tmp/leadline-cw-XXXXXX");
    assert_non_null(mkdtemp(w->folder.path));
    return w;
}

static inline void cw_flag(void *ctx)
{
    *(bool *)ctx = true;
}

static inline void cw_drain(struct cw_world *w)
{
    struct sink *s = cloudwatch_sink(w->c);
    w->drained = false;
    s->ops->drain(s, cw_flag, &w->drained);
    assert_false(w->drained);
    world_until(w->loop, (cw_ledger(w), w->drained));
}

static inline void cw_close(struct cw_world *w)
{
    struct sink *s = cloudwatch_sink(w->c);
    w->closed = false;
    s->ops->close(s, cw_flag, &w->closed);
    assert_false(w->closed);
    world_until(w->loop, w->closed);
    spool_close(w->spool);
    w->c = NULL;
}

static inline void cw_world_free(struct cw_world *w)
{
    char command[128];
    if (w->c)
        cw_close(w);
    assert_null(w->calls);
    assert_true(io_thread_free(w->io, 5000));
    world_loop_free(w->loop);
    counters_free(w->counters);
    plan_unref(w->plan);
    for (size_t i = 0; i < w->n_seen; i++)
        free(w->seen[i].text);
    free(w->seen);
    buf_release(&w->operations);
    buf_release(&w->last_body);
    compressor_release(&w->compressor);
    snprintf(command, sizeof(command), "rm -rf '%s'", w->folder.path);
    assert_int_equal(system(command), 0);
    free(w);
    cw_now = NULL;
}

/* ---- what goes in ---- */

static inline void cw_event(struct cw_world *w, const char *stream, int64_t ts_ms, const char *text)
{
    const struct log_event e = {STR("group"), str_c(stream), ts_ms, str_c(text)};
    struct log_event_consumer *consumer = cloudwatch_log_events(w->c);
    consumer->append(consumer, &e, 1);
}

/* n events of one time in one commit: "PREFIX0", "PREFIX1" ... */
static inline void cw_events(struct cw_world *w, const char *stream, int64_t ts_ms, const char *prefix, uint32_t n)
{
    struct log_event *v = mem_zalloc(n * sizeof(*v));
    struct arena a = {0};
    for (uint32_t i = 0; i < n; i++)
        v[i] = (struct log_event){STR("group"), str_c(stream), ts_ms, str_c(arena_printf(&a, "%s%u", prefix, i))};
    struct log_event_consumer *consumer = cloudwatch_log_events(w->c);
    consumer->append(consumer, v, n);
    arena_release(&a);
    free(v);
}

static inline uint32_t cw_times_seen(const struct cw_world *w, const char *text)
{
    uint32_t n = 0;
    for (size_t i = 0; i < w->n_seen; i++)
        n += strcmp(w->seen[i].text, text) == 0;
    return n;
}

#endif
