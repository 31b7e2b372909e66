/* send: what waits in a lane, request by request, in order, one in flight.
 *
 *            peek                     turn                    done                     wait
 *   IDLE ----------> (request) ---> [WAITING_TURN] ---> IN_FLIGHT ---> retry ---> BACKING_OFF --+
 *    ^                  ^   ^                               |                                   |
 *    |                  |   +-- next part, or the same <----+-----------------------------------+
 *    +--- spool_lane_done <---- taken, refused, too old
 *
 * What is sent is the request as it was sealed, or a part of it: without the samples that sample_age_limit no
 * longer admits, or one border (one scrape) of it after the whole was refused with an answer that may be about one
 * target (retry.c). Parts are sent in their order, each until it gets an answer; parts that are taken count as
 * delivered, parts that are refused are dropped. A refusal of the whole counts for nothing then: it says that
 * nothing was stored. A request of one border, or a part, is not sent again after a refusal. If no part was taken
 * the destination objects to something that all share, and splitting pauses for a minute for this lane: else its
 * load would grow with its refusals.
 *
 * A refusal is dropped{refused}, unless an earlier attempt may have been carried out (an answer was lost, or the
 * process ended while it was in flight): a receiver that has the samples refuses them as duplicates, so they are
 * dropped{maybe_delivered}. A repeat that is taken stores the same samples once, so it counts as delivered and
 * nothing else.
 *
 * Outcomes are gathered in the lane until every sample of the request has one, and handed to the spool in one go.
 * Stopping in between leaves the request waiting: it is sent again, whole, by the next process.
 *
 * max_shards below 16 bounds the requests in flight of a destination. Workers share nothing, so each has its part
 * of the number, and at least one: with more workers than max_shards it is as many as workers. Of the lanes that
 * wait for their turn the one with the oldest request goes first.
 *
 * On the worker's thread. Callbacks may end the lane: nothing is touched after lane_wake.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "sink/remote_write/cut_int.h"
#include "sink/remote_write/remote_write_int.h"
#include "sink/remote_write/retry_int.h"

enum {
    SPLIT_PAUSE_MS = 60 * 1000,
    KEEP_BUFFER_BYTES = 64 * 1024,
};

static void lane_go(struct lane *l);
static void request_done(struct http_request *http, const struct http_response *response);

/* ---- bodies ------------------------------------------------------------------------------------------------------ */

static uint32_t part_samples(const struct lane *l)
{
    return l->split ? l->request->borders[l->part].samples : l->request->samples;
}

/* Samples older than this are not sent any more; INT64_MIN: there is no limit. */
static int64_t oldest_allowed_ms(const struct remote_write *rw)
{
    int64_t limit = rw->config->queue.sample_age_limit_ms;
    return limit > 0 ? clock_wall_ms() - limit : INT64_MIN;
}

static bool inflate(struct lane *l)
{
    if (l->raw.n)
        return true;
    const struct spool_request *r = l->request;
    return compress_decode(&l->rw->compressor, r->compression, r->body, r->raw_bytes, &l->raw) == OK;
}

/* The bytes of the part in the inflated message; borders were checked before the split. */
static struct str part_bytes(const struct lane *l)
{
    if (!l->split)
        return buf_view(&l->raw);
    const struct spool_border *b = &l->request->borders[l->part];
    return str_from(l->raw.p + b->offset, b->bytes);
}

/* Sets body, sent and too_old of the part. False: nothing of it is left to send. */
static bool make_body(struct lane *l)
{
    int64_t oldest = oldest_allowed_ms(l->rw);
    uint32_t all = part_samples(l);
    bool some_old = l->request->first_ms < oldest;
    l->sent = all;
    l->too_old = 0;
    l->body = l->request->body;
    if (some_old && l->request->last_ms < oldest) {
        l->sent = 0;
        l->too_old = all;
        return false;
    }
    if (!some_old && !l->split)
        return true;

    AUTO_BUF young = {0};
    if (!inflate(l))
        return !l->split; /* a whole one may as well go as it is */
    struct str bytes = part_bytes(l);
    if (some_old) {
        uint32_t kept;
        if (cut_by_age(bytes, oldest, &young, &kept) != OK || kept > all)
            return !l->split;
        l->sent = kept;
        l->too_old = all - kept;
        bytes = buf_view(&young);
    }
    if (l->too_old == 0 && !l->split)
        return true;
    buf_clear(&l->cut);
    if (l->sent == 0 || compress_encode(&l->rw->compressor, l->request->compression, bytes, &l->cut) != OK)
        return false;
    l->body = buf_view(&l->cut);
    return true;
}

static void trim(struct buf *b)
{
    if (b->cap > KEEP_BUFFER_BYTES)
        buf_release(b);
    buf_clear(b);
}

/* ---- what the log says ------------------------------------------------------------------------------------------- */

/* The first line of an answer, at most ERROR_WORDS_MAX bytes. */
static struct str words_of(struct str body)
{
    struct str line, rest;
    if (body.n > ERROR_WORDS_MAX)
        body.n = ERROR_WORDS_MAX;
    str_cut(str_trim(body), '\n', &line, &rest);
    return str_trim(line);
}

static void note_failure(struct remote_write *rw, const struct http_response *r)
{
    buf_clear(&rw->last_error);
    if (r->err) {
        buf_c(&rw->last_error, r->diag.text);
    } else {
        struct str words = r->body ? words_of(buf_view(r->body)) : STR_NONE;
        buf_printf(&rw->last_error, "server returned HTTP status %d%s", r->status, words.n ? ": " : "");
        buf_str(&rw->last_error, words);
    }
    rw->last_status = r->err ? 0 : r->status;
    rw->last_error_ms = clock_wall_ms();
}

static void note_success(struct remote_write *rw, const struct http_response *r)
{
    rw->last_status = r->status;
    rw->last_success_ms = clock_wall_ms();
    if (!rw->failing)
        return;
    rw->failing = false;
    rw->log_retry = (struct log_limit){0};
    log_info(rw->log, "The destination takes samples again", F_STR("remote_name", rw->config->name),
             F_STR("url", buf_view(&rw->url)));
}

static void log_retry(struct lane *l, uint64_t wait_ms)
{
    struct remote_write *rw = l->rw;
    uint32_t suppressed;
    rw->failing = true;
    if (!log_allow(&rw->log_retry, LOG_PERIOD_MS, &suppressed))
        return;
    log_warn(rw->log, "Failed to send batch, retrying", F_STR("remote_name", rw->config->name),
             F_STR("url", buf_view(&rw->url)), F_STR("err", buf_view(&rw->last_error)), F_INT("samples", l->sent),
             F_INT("attempt", l->attempt), F_INT("next_ms", wait_ms), F_INT("suppressed", suppressed));
}

static void log_refusal(struct lane *l, const char *next)
{
    struct remote_write *rw = l->rw;
    uint32_t suppressed;
    if (!log_allow(&rw->log_refused, LOG_PERIOD_MS, &suppressed))
        return;
    log_error(rw->log, "The destination refused samples", F_STR("remote_name", rw->config->name),
              F_STR("url", buf_view(&rw->url)), F_STR("err", buf_view(&rw->last_error)), F_INT("samples", l->sent),
              F_INT("lane", l->number), F_C("next", next), F_INT("suppressed", suppressed));
}

static void log_too_old(struct lane *l)
{
    struct remote_write *rw = l->rw;
    uint32_t suppressed;
    if (!log_allow(&rw->log_too_old, LOG_PERIOD_MS, &suppressed))
        return;
    log_warn(rw->log, "Dropped samples older than sample_age_limit", F_STR("remote_name", rw->config->name),
             F_STR("url", buf_view(&rw->url)), F_INT("samples", l->too_old), F_INT("lane", l->number),
             F_INT("suppressed", suppressed));
}

static void log_pause(struct lane *l)
{
    struct remote_write *rw = l->rw;
    uint32_t suppressed;
    if (!log_allow(&rw->log_other, LOG_PERIOD_MS, &suppressed))
        return;
    log_warn(rw->log, "No scrape of a refused request was taken alone; refused requests are dropped whole for a minute",
             F_STR("remote_name", rw->config->name), F_STR("url", buf_view(&rw->url)), F_INT("lane", l->number),
             F_INT("suppressed", suppressed));
}

/* ---- one part ---------------------------------------------------------------------------------------------------- */

int remote_write_headers(enum compression kind, uint32_t attempt, char text[12], struct http_header headers[4])
{
    headers[0] = (struct http_header){.name = STR("Content-Encoding"), .value = str_c(compression_name(kind))};
    headers[1] = (struct http_header){.name = STR("Content-Type"), .value = STR("application/x-protobuf")};
    headers[2] = (struct http_header){.name = STR("X-Prometheus-Remote-Write-Version"), .value = STR("0.1.0")};
    if (!attempt)
        return 3;
    size_t n = (size_t)snprintf(text, 12, "%u", attempt);
    headers[3] = (struct http_header){.name = STR("Retry-Attempt"), .value = str_from(text, n)};
    return 4;
}

/* After a reload the peer's options are in another plan. */
static bool fresh_peer(struct lane *l)
{
    struct remote_write *rw = l->rw;
    struct http_peer *p;
    if (l->peer && l->plan == rw->plan)
        return true;
    struct diag d = {0};
    if (remote_write_peer(rw, &p, &d) != OK) {
        log_error(rw->log, "Cannot send", F_STR("remote_name", rw->config->name), F_C("err", d.text));
        return l->peer != NULL;
    }
    http_peer_free(l->peer);
    plan_unref(l->plan);
    l->peer = p;
    l->plan = plan_ref(rw->plan);
    return true;
}

static void backed_off(struct timer *t)
{
    struct lane *l = CONTAINER_OF(t, struct lane, timer);
    l->state = LANE_IDLE;
    counter_add(l->rw->count.retried, l->sent);
    lane_go(l);
}

static void back_off(struct lane *l, uint64_t wait_ms)
{
    l->state = LANE_BACKING_OFF;
    timer_start(l->rw->loop, &l->timer, wait_ms, backed_off);
}

static void post(struct lane *l)
{
    struct remote_write *rw = l->rw;
    if (!fresh_peer(l)) {
        back_off(l, retry_wait_ms(&l->backoff_ms, &rw->config->queue, 0, remote_write_random(rw)));
        return;
    }
    int n = remote_write_headers(l->request->compression, l->attempt, l->attempt_text, l->headers);
    l->http = (struct http_request){
        .method = "POST",
        .headers = l->headers,
        .n_headers = n,
        .body = l->body,
        .timeout_ms = (uint32_t)rw->config->remote_timeout_ms,
        .max_body = ANSWER_MAX,
        .response_body = &l->answer,
        .done = request_done,
    };
    l->state = LANE_IN_FLIGHT;
    rw->in_flight++;
    l->started_ns = clock_mono_ns();
    counter_add(rw->count.samples, l->sent);
    http_start(l->peer, &l->http);
}

/* The part has its outcome. True: the request has one more part. */
static bool part_over(struct lane *l, enum answer answer)
{
    struct remote_write *rw = l->rw;
    l->outcome.dropped[DROP_TOO_OLD] += l->too_old;
    counter_add(rw->count.dropped_too_old, l->too_old);
    if (l->too_old)
        log_too_old(l);
    if (answer == ANSWER_TAKEN) {
        l->outcome.delivered += l->sent;
        l->taken += l->sent > 0;
    } else {
        l->outcome.dropped[l->unsure || l->part_unsure ? DROP_MAYBE_DELIVERED : DROP_REFUSED] += l->sent;
        counter_add(rw->count.failed, l->sent);
    }
    l->part_unsure = false;
    l->attempt = 0;
    l->backoff_ms = 0;
    return l->split && ++l->part < l->request->n_borders;
}

static void request_over(struct lane *l)
{
    struct remote_write *rw = l->rw;
    const struct spool_request *r = l->request;
    if (l->split && !l->taken) {
        l->split_again_ms = clock_mono_ms() + SPLIT_PAUSE_MS;
        counter_inc(rw->count.split_pauses);
        log_pause(l);
    }
    if (l->outcome.delivered && r->last_ms > rw->highest_sent_ms) {
        rw->highest_sent_ms = r->last_ms;
        counter_set(rw->count.highest_sent, (uint64_t)(r->last_ms / 1000));
    }
    l->request = NULL;
    trim(&l->raw);
    trim(&l->cut);
    trim(&l->answer);
    spool_lane_done(l->spool, r->seq, &l->outcome);
    remote_write_lane_changed(l);
}

static bool take_request(struct lane *l)
{
    const struct spool_request *r;
    if (spool_lane_peek(l->spool, &r) != OK)
        return false; /* nothing there, or ready follows */
    l->request = r;
    l->outcome = (struct spool_outcome){0};
    l->split = false;
    l->part = l->taken = l->attempt = 0;
    l->backoff_ms = 0;
    l->unsure = r->maybe_sent;
    l->part_unsure = false;
    buf_clear(&l->raw);
    return true;
}

/* From IDLE: goes on with the request, or takes the next one, until something is in flight or nothing is there. */
static void lane_go(struct lane *l)
{
    struct remote_write *rw = l->rw;
    while (!rw->closing && (l->request || take_request(l))) {
        if (rw->in_flight >= rw->max_in_flight) {
            l->state = LANE_WAITING_TURN;
            return;
        }
        if (make_body(l)) {
            post(l);
            return;
        }
        if (!part_over(l, ANSWER_REFUSED))
            request_over(l);
    }
}

void lane_wake(struct lane *l)
{
    if (l->state == LANE_IDLE)
        lane_go(l);
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

void lanes_take_turns(struct remote_write *rw)
{
    while (!rw->closing && rw->in_flight < rw->max_in_flight) {
        struct lane *next = NULL;
        for (int i = 0; i < LANES; i++) {
            struct lane *l = rw->lanes[i];
            if (l && l->state == LANE_WAITING_TURN && (!next || l->request->sealed_ms < next->request->sealed_ms))
                next = l;
        }
        if (!next)
            return;
        next->state = LANE_IDLE;
        lane_go(next);
    }
}

static void answer_retry(struct lane *l, const struct http_response *response)
{
    struct remote_write *rw = l->rw;
    counter_inc(response->err             ? rw->count.retries_network
                : response->status == 429 ? rw->count.retries_429
                                          : rw->count.retries_5xx);
    if (answer_leaves_doubt(response)) {
        l->unsure |= !l->split;
        l->part_unsure |= l->split;
    }
    uint64_t asked_for = response->err ? 0 : retry_after_ms(response->retry_after, clock_wall_ms());
    uint64_t wait = retry_wait_ms(&l->backoff_ms, &rw->config->queue, asked_for, remote_write_random(rw));
    l->attempt++;
    log_retry(l, wait);
    back_off(l, wait);
}

static bool borders_fit(const struct lane *l)
{
    uint64_t samples = 0;
    for (uint32_t i = 0; i < l->request->n_borders; i++) {
        const struct spool_border *b = &l->request->borders[i];
        if (b->offset > l->raw.n || b->bytes > l->raw.n - b->offset)
            return false;
        samples += b->samples;
    }
    return samples == l->request->samples;
}

static bool may_split(struct lane *l, int status)
{
    return !l->split && l->request->n_borders > 1 && answer_may_split(status) && clock_mono_ms() >= l->split_again_ms &&
           inflate(l) && borders_fit(l);
}

static void answer_refused(struct lane *l, const struct http_response *response)
{
    if (may_split(l, response->status)) {
        log_refusal(l, "each scrape of the request is sent alone");
        counter_inc(l->rw->count.splits);
        l->split = true;
        l->part = l->attempt = 0;
        l->backoff_ms = 0;
        return;
    }
    log_refusal(l, l->unsure || l->part_unsure ? "dropped; an earlier attempt may have delivered them" : "dropped");
    if (!part_over(l, ANSWER_REFUSED))
        request_over(l);
}

static void request_done(struct http_request *http, const struct http_response *response)
{
    struct lane *l = CONTAINER_OF(http, struct lane, http);
    struct remote_write *rw = l->rw;
    enum answer answer = answer_of(response, &rw->config->queue);
    l->state = LANE_IDLE;
    rw->in_flight--;
    if (answer == ANSWER_CANCELED || rw->closing)
        return; /* the client is being freed: the request stays waiting */
    counter_histogram_observe(rw->count.duration, (double)(clock_mono_ns() - l->started_ns) / 1e9);
    if (answer != ANSWER_RETRY)
        counter_add(rw->count.bytes, l->body.n);
    if (answer == ANSWER_TAKEN) {
        note_success(rw, response);
        if (!part_over(l, answer))
            request_over(l);
    } else {
        note_failure(rw, response);
        if (answer == ANSWER_RETRY)
            answer_retry(l, response);
        else
            answer_refused(l, response);
    }
    lanes_take_turns(rw);
    lane_wake(l);
}

void lane_stop(struct lane *l)
{
    timer_stop(&l->timer);
    if (l->state == LANE_IN_FLIGHT)
        l->rw->in_flight--;
    l->state = LANE_IDLE;
    l->request = NULL;
    http_peer_free(l->peer);
    l->peer = NULL;
    plan_unref(l->plan);
    l->plan = NULL;
}
