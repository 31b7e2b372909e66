/* send: what waits in a lane, request by request, in order, one in flight.
 *
 *   peek -> note -> parts -> put -+- taken ------------------------> next part; after the last: spool_lane_done
 *                     ^     ^     +- refused ----------------------> its two halves, or dropped{refused}
 *                     |     |     +- throttled, failed, forbidden -> waits, then the same again
 *                     |     |     +- ResourceNotFound
 *                     |     |            v
 *                     |     +-- CreateLogStream -- no group -> CreateLogGroup -> PutRetentionPolicy
 *                     |                ^                             |                  |
 *                     |                +-----------------------------+------------------+
 *                     +-- the next request
 *
 * put is PutLogEvents, or PutMetricData, which has no streams to make.
 *
 * What is sent is the request as it was sealed, byte for byte, or a part of it, a stretch of its records: without the
 * oldest when they are beyond what the service takes (14 days), or half of what was refused. Halves are cut until what
 * is wrong stands alone, is dropped{refused}, and costs its neighbours nothing. After REFUSED_IN_ROW refusals in a row
 * what is refused waits until all other parts were asked, each once. When one of them is taken, what waits is cut on;
 * else it is dropped whole. When nothing at all was taken of such a request the service objects to something that all
 * share: refused requests of the next minute are dropped whole, else the load would grow with the refusals.
 *
 * Retention is set only on a group that was made right here. A group that exists is somebody's.
 *
 * CloudWatch adds repeats up, so what may be one is counted: samples of a part that is taken after an attempt whose
 * answer was lost, or of a request that was in flight when an earlier process ended. That is at most one request per
 * lane. A service that names what it has already (DataAlreadyAccepted) has it once.
 *
 * Events that PutLogEvents took the request of, but not them (too old, too new, beyond the group's retention), are
 * dropped by these reasons, each with the samples that the note says it holds.
 *
 * Outcomes are gathered in the lane until every sample of the request has one, and handed to the spool in one go.
 * Stopping in between leaves the request waiting: the next process sends it again, whole.
 *
 * On the control loop. Callbacks of the spool may come in at any call of it; aws_call answers from a timer.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "sink/cloudwatch/answer_int.h"

enum {
    TIMEOUT_MS = 30 * 1000, /* of a mebibyte over a slow line */
    OLDEST_MS = 14 * 24 * 3600 * 1000,
    REFUSED_IN_ROW = 40, /* more than one bad record at the front of 10,000 needs (14 halvings), twice over */
    SPLIT_PAUSE_MS = 60 * 1000,
    RETENTION_ATTEMPTS = 6,
    KEEP_BUFFER_BYTES = 64 * 1024,
};

static void post(struct cw_lane *l);
static void answered(struct aws_call *call, const struct aws_answer *a);

/* ---- what the log says ------------------------------------------------------------------------------------------- */

static void note_failure(struct cw_lane *l, const struct aws_answer *a)
{
    struct cloudwatch *c = l->c;
    buf_clear(&c->last_error);
    buf_c(&c->last_error, a->diag.text);
    if (cw_is_forbidden(a)) {
        buf_c(&c->last_error, "; needs ");
        cw_print_permission(&c->last_error, l->note.kind, l->step, &l->note.place, aws_session_region(c->session),
                            a->message);
    }
    c->last_status = a->status;
    c->last_error_ms = clock_wall_ms();
}

static void note_success(struct cw_lane *l, const struct aws_answer *a)
{
    struct cloudwatch *c = l->c;
    c->last_status = a->status;
    c->last_success_ms = clock_wall_ms();
    if (!c->failing)
        return;
    c->failing = false;
    c->log_retry = (struct log_limit){0};
    log_info(c->log, "CloudWatch takes requests again", F_STR("destination", c->config->name),
             F_STR("place", l->note.place.group), F_STR("stream", l->note.place.stream));
}

static void log_retry(struct cw_lane *l, uint64_t wait_ms)
{
    struct cloudwatch *c = l->c;
    uint32_t suppressed;
    c->failing = true;
    if (!log_allow(&c->log_retry, CW_LOG_PERIOD_MS, &suppressed))
        return;
    log_warn(c->log, "A request to CloudWatch failed; it is sent again", F_STR("destination", c->config->name),
             F_STR("place", l->note.place.group), F_STR("stream", l->note.place.stream),
             F_STR("err", buf_view(&c->last_error)), F_INT("samples", l->sent_samples), F_INT("attempt", l->attempt),
             F_INT("next_ms", wait_ms), F_INT("suppressed", suppressed));
}

static void log_refused(struct cw_lane *l, const char *next)
{
    struct cloudwatch *c = l->c;
    uint32_t suppressed;
    if (!log_allow(&c->log_refused, CW_LOG_PERIOD_MS, &suppressed))
        return;
    log_error(c->log, "CloudWatch refused a request", F_STR("destination", c->config->name),
              F_STR("place", l->note.place.group), F_STR("stream", l->note.place.stream),
              F_STR("err", buf_view(&c->last_error)), F_INT("records", l->sent.to - l->sent.from),
              F_INT("samples", l->sent_samples), F_C("next", next), F_INT("suppressed", suppressed));
}

static void log_rejected(struct cw_lane *l, uint32_t too_old, uint32_t expired, uint32_t too_new)
{
    struct cloudwatch *c = l->c;
    uint32_t suppressed;
    if (!log_allow(&c->log_rejected, CW_LOG_PERIOD_MS, &suppressed))
        return;
    log_warn(c->log, "Records were dropped because of their time", F_STR("destination", c->config->name),
             F_STR("place", l->note.place.group), F_STR("stream", l->note.place.stream),
             F_INT("older_than_14_days", too_old), F_INT("older_than_retention", expired),
             F_INT("over_2_hours_ahead", too_new), F_INT("suppressed", suppressed));
}

static void log_corrupt(struct cw_lane *l)
{
    log_error(l->c->log, "A request in the spool is not what was written; dropped",
              F_STR("destination", l->c->config->name), F_INT("lane", l->number),
              F_INT("samples", l->request->samples));
}

/* ---- parts ------------------------------------------------------------------------------------------------------- */

/* Of records that are there: the note was read to its end before. */
static uint32_t samples_of(const struct cw_lane *l, uint32_t from, uint32_t to)
{
    uint32_t n = 0;
    if (from == 0 && to == l->note.n)
        return l->request->samples;
    CHECK(cw_note_samples(&l->note, from, to, &n) == OK);
    return n;
}

static void drop(struct cw_lane *l, uint32_t from, uint32_t to, enum spool_reason reason, enum cw_rejection counted)
{
    if (from >= to)
        return;
    l->outcome.dropped[reason] += samples_of(l, from, to);
    counter_add(l->c->count.rejected[counted], to - from);
}

/* The service takes nothing older than 14 days, so that is not sent. Records are in order of time. */
static void leave_out_old(struct cw_lane *l)
{
    int64_t oldest = clock_wall_ms() - OLDEST_MS;
    uint32_t i = 0;
    struct cw_note_record v;
    if (l->request->first_ms >= oldest)
        return;
    struct cw_note_reader r = cw_note_read(&l->note);
    while (i < l->sent.to && cw_note_next(&r, &v) == OK && (i < l->sent.from || v.ts_ms < oldest))
        i++;
    if (i <= l->sent.from)
        return;
    drop(l, l->sent.from, i, DROP_TOO_OLD, CW_REJECTED_TOO_OLD);
    log_rejected(l, i - l->sent.from, 0, 0);
    l->sent.from = i;
}

/* Sets body and sent_samples of the part. False: there is nothing of it to send. */
static bool make_body(struct cw_lane *l)
{
    struct cw_part *p = &l->sent;
    leave_out_old(l);
    if (p->from >= p->to)
        return false;
    l->sent_samples = samples_of(l, p->from, p->to);
    l->body = l->note.body;
    if (p->from == 0 && p->to == l->note.n)
        return true;
    if (cw_body_cut(&l->note, p->from, p->to, &l->c->compressor, &l->cut) == OK) {
        l->body = buf_view(&l->cut);
        return true;
    }
    log_corrupt(l);
    l->outcome.dropped[DROP_CORRUPT] += l->sent_samples;
    return false;
}

static bool next_part(struct cw_lane *l)
{
    while (l->n_parts) {
        l->sent = l->parts[--l->n_parts];
        if (l->sent.deferred == l->taken + 1) {
            drop(l, l->sent.from, l->sent.to, DROP_REFUSED, CW_REJECTED_REFUSED);
            continue;
        }
        if (l->sent.deferred)
            l->refused_in_row = 0; /* others were taken meanwhile */
        l->sent.deferred = 0;
        if (make_body(l))
            return true;
    }
    return false;
}

static void drop_rest(struct cw_lane *l)
{
    drop(l, l->sent.from, l->sent.to, DROP_REFUSED, CW_REJECTED_REFUSED);
    while (l->n_parts) {
        struct cw_part *p = &l->parts[--l->n_parts];
        drop(l, p->from, p->to, DROP_REFUSED, CW_REJECTED_REFUSED);
    }
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static bool note_is_whole(const struct cw_lane *l)
{
    struct cw_note_reader r = cw_note_read(&l->note);
    struct cw_note_record v;
    uint64_t samples = 0;
    enum err err;
    while ((err = cw_note_next(&r, &v)) == OK)
        samples += v.samples;
    return err == ERR_EOF && samples == l->request->samples;
}

static void trim(struct buf *b)
{
    if (b->cap > KEEP_BUFFER_BYTES)
        buf_release(b);
    buf_clear(b);
}

static void request_over(struct cw_lane *l)
{
    uint64_t seq = l->request->seq;
    l->request = NULL;
    l->note = (struct cw_note){0};
    trim(&l->cut);
    if (l->refused_in_row > REFUSED_IN_ROW && !l->taken)
        l->split_again_ms = clock_mono_ms() + SPLIT_PAUSE_MS;
    spool_lane_done(l->spool, seq, &l->outcome);
    cw_lane_changed(l);
}

static bool take_request(struct cw_lane *l)
{
    const struct spool_request *r;
    if (spool_lane_peek(l->spool, &r) != OK)
        return false; /* nothing there, or ready follows */
    l->request = r;
    l->outcome = (struct spool_outcome){0};
    l->n_parts = l->attempt = l->refused_in_row = 0;
    l->sent = (struct cw_part){0};
    l->step = CW_PUT;
    l->made = false;
    l->taken = l->gone = 0;
    if (cw_note_parse(r->body, &l->note) != OK || !note_is_whole(l)) {
        log_corrupt(l);
        l->outcome.dropped[DROP_CORRUPT] = r->samples;
        return true;
    }
    cw_lane_claim(l, &l->note.place);
    l->parts[l->n_parts++] = (struct cw_part){0, l->note.n, r->maybe_sent, 0};
    return true;
}

/* From IDLE: goes on with the request, or takes the next one, until something is in flight or nothing is there. */
static void lane_go(struct cw_lane *l)
{
    while (!l->c->closing && (l->request || take_request(l))) {
        if (next_part(l)) {
            post(l);
            return;
        }
        request_over(l);
    }
}

void cw_lane_wake(struct cw_lane *l)
{
    if (l->state == CW_IDLE)
        lane_go(l);
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

static void compose(struct cw_lane *l)
{
    const struct cw_place *p = &l->note.place;
    bool logs = l->note.kind == CLOUDWATCH_LOGS;
    l->call = (struct aws_call){
        .service = logs ? &aws_logs : &aws_cloudwatch,
        .operation = cw_operation(l->c, l->step),
        .timeout_ms = TIMEOUT_MS,
        .max_attempts = 1,
        .done = answered,
    };
    if (l->step == CW_PUT) {
        l->headers[0] = (struct http_header){.name = STR("Content-Encoding"), .value = STR("gzip")};
        l->headers[1] = (struct http_header){.name = STR("x-amzn-logs-format"), .value = STR("json/emf")};
        l->call.headers = l->headers;
        l->call.n_headers = logs ? 2 : 1;
        l->call.body = l->body;
        return;
    }
    buf_clear(&l->text);
    buf_c(&l->text, "{\"logGroupName\":\"");
    cw_escape(&l->text, p->group);
    buf_char(&l->text, '"');
    if (l->step == CW_CREATE_STREAM) {
        buf_c(&l->text, ",\"logStreamName\":\"");
        cw_escape(&l->text, p->stream);
        buf_char(&l->text, '"');
    }
    if (l->step == CW_RETENTION)
        buf_printf(&l->text, ",\"retentionInDays\":%lld", (long long)l->c->config->retention_days);
    buf_char(&l->text, '}');
    l->call.body = buf_view(&l->text);
}

static void post(struct cw_lane *l)
{
    compose(l);
    l->state = CW_IN_FLIGHT;
    l->c->in_flight++;
    l->started_ns = clock_mono_ns();
    aws_call_start(l->c->session, &l->call);
}

static void backed_off(struct timer *t)
{
    struct cw_lane *l = CONTAINER_OF(t, struct cw_lane, timer);
    l->state = CW_IDLE;
    if (l->step != CW_PUT) {
        post(l);
        return;
    }
    l->parts[l->n_parts++] = l->sent; /* some of it may have become too old */
    lane_go(l);
}

void cw_lane_hurry(struct cw_lane *l)
{
    if (l->state != CW_BACKING_OFF)
        return;
    l->attempt = 0;
    timer_start(l->c->loop, &l->timer, 0, backed_off);
}

static void back_off(struct cw_lane *l, enum cw_verdict v, uint64_t asked_for_ms)
{
    uint64_t wait = cw_wait_ms(v, l->attempt, asked_for_ms, cw_random(l->c));
    if (wait > l->c->longest_wait_ms)
        wait = l->c->longest_wait_ms;
    l->attempt++;
    counter_inc(l->c->count.retries);
    log_retry(l, wait);
    l->state = CW_BACKING_OFF;
    timer_start(l->c->loop, &l->timer, wait, backed_off);
}

static void go_to(struct cw_lane *l, enum cw_step step)
{
    l->step = step;
    l->attempt = 0;
    post(l);
}

/* ---- answers to what is sent ------------------------------------------------------------------------------------- */

static uint64_t billed_bytes(const struct cw_lane *l)
{
    if (l->sent.from == 0 && l->sent.to == l->note.n)
        return l->request->raw_bytes - cw_raw_place_bytes(&l->note.place);
    struct cw_note_reader r = cw_note_read(&l->note);
    struct cw_note_record v;
    uint64_t n = 0;
    for (uint32_t i = 0; i < l->sent.to && cw_note_next(&r, &v) == OK; i++)
        n += i >= l->sent.from ? v.bytes : 0;
    return n;
}

/* Events of the part that were rejected, with their samples into the outcome; how many samples. */
static uint32_t count_rejected(struct cw_lane *l, struct str body)
{
    uint32_t from = l->sent.from, n = l->sent.to - from;
    struct cw_rejected r;
    if (l->note.kind != CLOUDWATCH_LOGS || !cw_read_rejected(body, n, &r))
        return 0;
    uint32_t before =
        l->outcome.dropped[DROP_TOO_OLD] + l->outcome.dropped[DROP_EXPIRED] + l->outcome.dropped[DROP_TOO_NEW];
    drop(l, from, from + r.too_old_to, DROP_TOO_OLD, CW_REJECTED_TOO_OLD);
    drop(l, from + r.too_old_to, from + r.expired_to, DROP_EXPIRED, CW_REJECTED_EXPIRED);
    drop(l, from + r.too_new_from, from + n, DROP_TOO_NEW, CW_REJECTED_TOO_NEW);
    log_rejected(l, r.too_old_to, r.expired_to - r.too_old_to, n - r.too_new_from);
    return l->outcome.dropped[DROP_TOO_OLD] + l->outcome.dropped[DROP_EXPIRED] + l->outcome.dropped[DROP_TOO_NEW] -
           before;
}

static void part_taken(struct cw_lane *l, const struct aws_answer *a, bool before)
{
    struct cloudwatch *c = l->c;
    uint32_t delivered = l->sent_samples - (before ? 0 : count_rejected(l, a->body));
    int64_t age_ms = clock_wall_ms() - l->request->first_ms;
    l->outcome.delivered += delivered;
    if (l->sent.unsure && !before) {
        l->outcome.possible_duplicates += delivered;
        counter_inc(c->count.duplicates);
    }
    counter_add(c->count.wire_bytes, l->body.n);
    counter_add(c->count.raw_bytes, billed_bytes(l));
    counter_histogram_observe(c->count.to_ack, age_ms > 0 ? (double)age_ms / 1e3 : 0);
    note_success(l, a);
    l->attempt = l->refused_in_row = 0;
    l->gone = 0;
    l->taken++;
    lane_go(l);
}

static void part_refused(struct cw_lane *l)
{
    struct cw_part p = l->sent;
    bool pauses = clock_mono_ms() < l->split_again_ms, room = l->n_parts + 2 <= CW_PARTS_MAX;
    l->attempt = 0;
    if (p.to - p.from == 1 || pauses || !room) {
        log_refused(l, pauses ? "dropped, since nothing of another one was taken a moment ago" : "dropped");
        l->refused_in_row++;
        drop(l, p.from, p.to, DROP_REFUSED, CW_REJECTED_REFUSED);
    } else if (++l->refused_in_row > REFUSED_IN_ROW) {
        log_refused(l, "what is left of it is sent first");
        p.deferred = l->taken + 1;
        memmove(l->parts + 1, l->parts, l->n_parts++ * sizeof(p));
        l->parts[0] = p;
    } else {
        uint32_t middle = p.from + (p.to - p.from) / 2;
        log_refused(l, "sent again in two halves");
        counter_inc(l->c->count.splits);
        l->parts[l->n_parts++] = (struct cw_part){middle, p.to, p.unsure, 0};
        l->parts[l->n_parts++] = (struct cw_part){p.from, middle, p.unsure, 0};
    }
    lane_go(l);
}

static void again(struct cw_lane *l, const struct aws_answer *a, enum cw_verdict v)
{
    note_failure(l, a);
    if (v == CW_RETRY_MENDED) { /* by then the group may be there */
        l->step = CW_PUT;
        l->made = false;
    }
    back_off(l, v, a->retry_after_ms);
}

static void put_answered(struct cw_lane *l, const struct aws_answer *a, enum cw_verdict v)
{
    bool logs = l->note.kind == CLOUDWATCH_LOGS;
    l->sent.unsure |= cw_leaves_doubt(a);
    switch (v) {
    case CW_TAKEN:
        part_taken(l, a, false);
        return;
    case CW_TAKEN_BEFORE:
        log_warn(l->c->log, "CloudWatch Logs says that it has these events already; they count as delivered",
                 F_STR("place", l->note.place.group), F_STR("stream", l->note.place.stream),
                 F_INT("samples", l->sent_samples));
        part_taken(l, a, true);
        return;
    case CW_REFUSED:
        note_failure(l, a);
        part_refused(l);
        return;
    case CW_MISSING:
        if (logs && !l->made) {
            go_to(l, CW_CREATE_STREAM);
            return;
        }
        l->made = false; /* made, and gone again, or not known everywhere yet */
        l->attempt = l->gone++;
        again(l, a, logs ? CW_RETRY_SOON : CW_RETRY_MENDED);
        return;
    default:
        again(l, a, v == CW_EXISTS ? CW_RETRY_MENDED : v);
    }
}

/* ---- answers on the way to a stream ------------------------------------------------------------------------------ */

static void stream_answered(struct cw_lane *l, const struct aws_answer *a, enum cw_verdict v)
{
    if (v == CW_TAKEN || v == CW_EXISTS) {
        l->made = true;
        if (v == CW_TAKEN)
            counter_inc(l->c->count.created_streams);
        go_to(l, CW_PUT);
        return;
    }
    if (v == CW_MISSING) {
        go_to(l, CW_CREATE_GROUP);
        return;
    }
    again(l, a, v);
}

static void group_answered(struct cw_lane *l, const struct aws_answer *a, enum cw_verdict v)
{
    struct cloudwatch *c = l->c;
    if (v == CW_TAKEN) {
        counter_inc(c->count.created_groups);
        log_info(c->log, "Made a log group", F_STR("destination", c->config->name),
                 F_STR("group", l->note.place.group));
        go_to(l, c->config->retention_days > 0 ? CW_RETENTION : CW_CREATE_STREAM);
        return;
    }
    if (v == CW_EXISTS) {
        go_to(l, CW_CREATE_STREAM);
        return;
    }
    again(l, a, v == CW_MISSING ? CW_RETRY_MENDED : v);
}

/* Events are worth more than their retention: what does not work after a while is said, and left. */
static void retention_answered(struct cw_lane *l, const struct aws_answer *a, enum cw_verdict v)
{
    struct cloudwatch *c = l->c;
    if ((v == CW_RETRY || v == CW_RETRY_SOON) && l->attempt < RETENTION_ATTEMPTS) {
        again(l, a, v);
        return;
    }
    if (v != CW_TAKEN) {
        note_failure(l, a);
        log_error(c->log, "The log group was made, but its retention could not be set: it never expires",
                  F_STR("destination", c->config->name), F_STR("group", l->note.place.group),
                  F_INT("days", c->config->retention_days), F_STR("err", buf_view(&c->last_error)));
    }
    go_to(l, CW_CREATE_STREAM);
}

/* The names are not what the service takes: so for all of the request. */
static void place_refused(struct cw_lane *l, const struct aws_answer *a)
{
    note_failure(l, a);
    log_refused(l, "dropped");
    drop_rest(l);
    lane_go(l);
}

static void answered(struct aws_call *call, const struct aws_answer *a)
{
    struct cw_lane *l = CONTAINER_OF(call, struct cw_lane, call);
    struct cloudwatch *c = l->c;
    enum cw_verdict v = cw_verdict_of(a);
    char status[24];
    struct str code = a->code;
    l->state = CW_IDLE;
    c->in_flight--;
    if (v == CW_STOPPED || c->closing)
        return; /* the request stays waiting */
    if (!code.n)
        code = a->status ? str_from(status, num_print_u64((uint64_t)a->status, status)) : str_c(err_name(a->err));
    cw_count_request(c, l->step, code);
    counter_histogram_observe(c->count.duration, (double)(clock_mono_ns() - l->started_ns) / 1e9);
    if (l->step == CW_PUT)
        put_answered(l, a, v);
    else if (l->step == CW_RETENTION)
        retention_answered(l, a, v);
    else if (v == CW_REFUSED)
        place_refused(l, a);
    else if (l->step == CW_CREATE_STREAM)
        stream_answered(l, a, v);
    else
        group_answered(l, a, v);
}

void cw_lane_stop(struct cw_lane *l)
{
    timer_stop(&l->timer);
    if (l->state == CW_IN_FLIGHT) {
        aws_call_cancel(l->c->session, &l->call);
        l->c->in_flight--;
    }
    l->state = CW_IDLE;
    l->request = NULL;
}
