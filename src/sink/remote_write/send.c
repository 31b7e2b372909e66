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
 * A destination that answers a request of 2.0 with 415, or with a 2xx that does not say how much was written, does not
 * speak 2.0: the same samples go again in 1.0, at once, as does everything later, and what waits is said anew when its
 * turn comes. The same for zstd (415, or 400 to the first of them) and snappy. A 400 that says that some samples were
 * written has looked at each, so the rest is not sent again.
 *
 * 401 and 403 of a destination whose requests are signed, and what AWS says of signatures in a 400, are about
 * credentials or clocks, which change: the samples wait as they do for a failing destination.
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

/* What of the inflated message this attempt is made of; borders were checked before the split. */
static struct cut cut_of_part(const struct lane *l, int64_t oldest_ms)
{
    const struct spool_request *r = l->request;
    struct cut c = {.message = buf_view(&l->raw),
                    .n = l->raw.n,
                    .oldest_ms = oldest_ms,
                    .protocol = r->protocol,
                    .as_protocol = r->protocol > l->rw->protocol ? l->rw->protocol : r->protocol};
    if (l->split) {
        c.from = r->borders[l->part].offset;
        c.n = r->borders[l->part].bytes;
    }
    return c;
}

/* Compresses what was made as the destination takes it. */
static bool set_body(struct lane *l, struct str message)
{
    l->compression = l->request->compression == COMPRESS_ZSTD ? l->rw->compression : l->request->compression;
    buf_clear(&l->cut);
    if (compress_encode(&l->rw->compressor, l->compression, message, &l->cut) != OK)
        return false;
    l->body = buf_view(&l->cut);
    return true;
}

static bool cut_body(struct lane *l, int64_t oldest_ms)
{
    AUTO_BUF part = {0};
    struct cut c = cut_of_part(l, oldest_ms);
    struct cut_counts counts;
    uint32_t all = part_samples(l);
    if (cut_message(&c, &part, &counts) != OK || (uint64_t)counts.kept + counts.custom > all)
        return false;
    l->sent = counts.kept;
    l->custom = counts.custom;
    l->too_old = all - counts.kept - counts.custom;
    l->protocol = c.as_protocol;
    return l->sent && set_body(l, buf_view(&part));
}

/* Sets body, protocol and compression, sent, too_old and custom of the part. False: nothing of it is left to send. */
static bool make_body(struct lane *l)
{
    const struct remote_write *rw = l->rw;
    const struct spool_request *r = l->request;
    int64_t oldest = oldest_allowed_ms(rw);
    uint32_t all = part_samples(l);
    bool some_old = r->first_ms < oldest;
    l->sent = all;
    l->too_old = l->custom = 0;
    l->body = r->body;
    l->protocol = r->protocol;
    l->compression = r->compression;
    if (some_old && r->last_ms < oldest) {
        l->sent = 0;
        l->too_old = all;
        return false;
    }
    bool foreign = r->protocol > rw->protocol;
    bool pressed_otherwise = r->compression == COMPRESS_ZSTD && rw->compression != COMPRESS_ZSTD;
    if (!some_old && !l->split && !foreign && !pressed_otherwise)
        return true;
    if (!inflate(l))
        return !l->split && !foreign; /* a whole one may as well go as it is */
    if (some_old || l->split || foreign)
        return cut_body(l, oldest);
    return set_body(l, buf_view(&l->raw));
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

int remote_write_headers(uint32_t protocol, enum compression kind, uint32_t attempt, char text[12],
                         struct http_header headers[4])
{
    bool two = protocol == REMOTE_WRITE_PROTOCOL_2;
    headers[0] = (struct http_header){.name = STR("Content-Encoding"), .value = str_c(compression_name(kind))};
    headers[1] = (struct http_header){.name = STR("Content-Type"),
                                      .value = two ? STR("application/x-protobuf;proto=io.prometheus.write.v2.Request")
                                                   : STR("application/x-protobuf")};
    headers[2] = (struct http_header){.name = STR("X-Prometheus-Remote-Write-Version"),
                                      .value = two ? STR("2.0.0") : STR("0.1.0")};
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
    int n = remote_write_headers(l->protocol, l->compression, l->attempt, l->attempt_text, l->headers);
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

/* The part has its outcome: of what was sent, `taken` were. True: the request has one more part. */
static bool part_over(struct lane *l, uint32_t taken)
{
    struct remote_write *rw = l->rw;
    uint32_t refused = l->sent - taken;
    l->outcome.dropped[DROP_TOO_OLD] += l->too_old;
    l->outcome.dropped[DROP_HISTOGRAM] += l->custom;
    counter_add(rw->count.dropped_too_old, l->too_old);
    counter_add(rw->count.dropped_histograms, l->custom);
    if (l->too_old)
        log_too_old(l);
    l->outcome.delivered += taken;
    l->taken += taken > 0;
    l->outcome.dropped[l->unsure || l->part_unsure ? DROP_MAYBE_DELIVERED : DROP_REFUSED] += refused;
    counter_add(rw->count.failed, refused);
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
        if (!part_over(l, 0))
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
                : response->status < 500  ? rw->count.retries_signature
                                          : rw->count.retries_5xx);
    if (answer_leaves_doubt(response)) {
        l->unsure |= !l->split;
        l->part_unsure |= l->split;
    }
    uint64_t asked_for = response->err ? 0 : http_retry_after_ms(response->retry_after, clock_wall_ms());
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

static void over(struct lane *l, uint32_t taken)
{
    if (!part_over(l, taken))
        request_over(l);
}

static void answer_taken(struct lane *l, const struct http_response *response, const struct written *w)
{
    struct remote_write *rw = l->rw;
    uint32_t taken = l->sent;
    if (l->protocol == REMOTE_WRITE_PROTOCOL_2 && w->samples < taken)
        taken = (uint32_t)w->samples;
    rw->zstd_taken |= l->compression == COMPRESS_ZSTD;
    note_success(rw, response);
    if (taken < l->sent) {
        note_failure(rw, response);
        log_refusal(l, "the destination says that it wrote fewer samples; the rest is dropped");
    }
    int64_t age_ms = clock_wall_ms() - l->request->first_ms;
    counter_histogram_observe(rw->count.to_ack, age_ms > 0 ? (double)age_ms / 1e3 : 0);
    over(l, taken);
}

static void answer_refused(struct lane *l, const struct http_response *response, const struct written *w)
{
    bool partial = l->protocol == REMOTE_WRITE_PROTOCOL_2 && response->status == 400;
    uint32_t taken = !partial ? 0 : w->samples < l->sent ? (uint32_t)w->samples : l->sent;
    if (taken) {
        log_refusal(l, "the destination wrote some of them; the rest is dropped");
        over(l, taken);
        return;
    }
    if (may_split(l, response->status)) {
        log_refusal(l, "each scrape of the request is sent alone");
        counter_inc(l->rw->count.splits);
        l->split = true;
        l->part = l->attempt = 0;
        l->backoff_ms = 0;
        return;
    }
    log_refusal(l, l->unsure || l->part_unsure ? "dropped; an earlier attempt may have delivered them" : "dropped");
    over(l, 0);
}

/* ---- falling back ------------------------------------------------------------------------------------------------ */

enum { SAID_1 = 1, SAID_SNAPPY = 2 };

static void fall_back(struct lane *l, const struct http_response *response, uint32_t what, const char *text)
{
    struct remote_write *rw = l->rw;
    counter_inc(rw->count.fallbacks);
    if (rw->said && atomic_fetch_or(rw->said, what) & what)
        return;
    log_warn(rw->log, text, F_STR("remote_name", rw->config->name), F_STR("url", buf_view(&rw->url)),
             F_INT("status", response->status), F_C("next", "what waits is sent so too; tried again after a reload"));
}

/* The answer says that the destination does not take what this request is: the next attempt is something else, of the
 * same samples. zstd goes before 2.0, since either may be what a 415 means. */
static bool falls_back(struct lane *l, const struct http_response *response, const struct written *w)
{
    struct remote_write *rw = l->rw;
    int status = response->err ? 0 : response->status;
    bool zstd = l->compression == COMPRESS_ZSTD && (status == 415 || (status == 400 && !rw->zstd_taken));
    bool two = l->protocol == REMOTE_WRITE_PROTOCOL_2 && (status == 415 || (status / 100 == 2 && !w->any));
    if (zstd) {
        if (rw->compression == COMPRESS_ZSTD) {
            fall_back(l, response, SAID_SNAPPY, "The destination does not take zstd: snappy from now on");
            remote_write_speak(rw, rw->protocol, COMPRESS_SNAPPY);
        }
        return true;
    }
    if (two && rw->protocol == REMOTE_WRITE_PROTOCOL_2) {
        fall_back(l, response, SAID_1, "The destination does not speak remote write 2.0: 1.0 from now on");
        remote_write_speak(rw, REMOTE_WRITE_PROTOCOL_1, rw->compression);
    }
    return two;
}

/* Not the samples are refused but who sends them: new credentials may be had, so they wait as for a failure. */
static bool signature_refused(struct lane *l, const struct http_response *response)
{
    struct remote_write *rw = l->rw;
    if (!rw->signing.signer || !answer_refuses_signature(response))
        return false;
    if (rw->signing.refused)
        rw->signing.refused(rw->signing.signer, response->date, response->body ? buf_view(response->body) : STR_NONE);
    return true;
}

static void request_done(struct http_request *http, const struct http_response *response)
{
    struct lane *l = CONTAINER_OF(http, struct lane, http);
    struct remote_write *rw = l->rw;
    enum answer answer = answer_of(response, &rw->config->queue);
    struct written w = answer_written(response);
    l->state = LANE_IDLE;
    rw->in_flight--;
    if (answer == ANSWER_CANCELED || rw->closing)
        return; /* the client is being freed: the request stays waiting */
    counter_histogram_observe(rw->count.duration, (double)(clock_mono_ns() - l->started_ns) / 1e9);
    if (answer == ANSWER_REFUSED && signature_refused(l, response))
        answer = ANSWER_RETRY;
    if (falls_back(l, response, &w)) {
        counter_add(rw->count.retried, l->sent);
    } else if (answer == ANSWER_TAKEN) {
        counter_add(rw->count.bytes, l->body.n);
        answer_taken(l, response, &w);
    } else {
        note_failure(rw, response);
        if (answer == ANSWER_RETRY) {
            answer_retry(l, response);
        } else {
            counter_add(rw->count.bytes, l->body.n);
            answer_refused(l, response, &w);
        }
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
