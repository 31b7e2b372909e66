/* metadata: what families are (type, help, unit), in requests of their own.
 *
 *   WriteRequest   = { 1a LEN MetricMetadata }
 *   MetricMetadata = [ 08 type ] 12 name [ 22 help ] [ 2a unit ]        types are numbered as enum metric_type is
 *
 * At most metadata_config.max_samples_per_send entries a request, one request in flight, on a connection of its
 * own; lanes do not wait for it. Metadata is said anew every minute, so it is neither spooled nor in the ledger:
 * retries are those of samples, a refusal is logged and forgotten, and while a round is still on its way the next
 * one is left out, as in the original, whose loop stands still for that time. Remote write 2.0 has metadata with each
 * series (encode2.c) and needs none of this.
 *
 * On the thread of the one worker that is given metadata.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sink/remote_write/remote_write_int.h"
#include "sink/remote_write/retry_int.h"
#include "wire/proto.h"

struct chunk {
    struct buf body;
    uint32_t entries;
};

struct metadata {
    struct remote_write *rw;
    struct http_peer *peer;
    struct plan *plan; /* the one that the peer's options are in */
    struct http_request http;
    struct http_header headers[4];
    char attempt_text[12];
    struct buf answer;
    struct timer timer;
    uint64_t started_ns;
    struct chunk *chunks;
    size_t n, cap, at; /* chunks[at] is being sent; at == n: nothing is */
    uint32_t attempt;
    uint64_t backoff_ms;
    struct log_limit limit;
};

static void send_chunk(struct metadata *m);

/* ---- encoding ---------------------------------------------------------------------------------------------------- */

static void append_text(struct buf *b, uint32_t number, struct str s)
{
    if (s.n)
        proto_append_bytes(b, number, s);
}

static void append_family(const struct family *f, struct buf *entry, struct buf *out)
{
    buf_clear(entry);
    proto_append_u64(entry, 1, (uint64_t)f->type);
    append_text(entry, 2, f->name);
    append_text(entry, 4, f->help);
    append_text(entry, 5, f->unit);
    proto_append_bytes(out, 3, buf_view(entry));
}

static void add_chunk(struct metadata *m, const struct family *families, uint32_t n)
{
    AUTO_BUF raw = {0};
    AUTO_BUF entry = {0};
    struct chunk c = {.entries = n};
    for (uint32_t i = 0; i < n; i++)
        append_family(&families[i], &entry, &raw);
    if (compress_encode(&m->rw->compressor, COMPRESS_SNAPPY, buf_view(&raw), &c.body) != OK) {
        counter_add(m->rw->count.metadata_failed, n);
        buf_release(&c.body);
        return;
    }
    m->chunks = mem_grow(m->chunks, &m->cap, m->n + 1, sizeof(*m->chunks));
    m->chunks[m->n++] = c;
}

/* ---- sending ----------------------------------------------------------------------------------------------------- */

static void log_failure(struct metadata *m, const struct http_response *r, const char *next)
{
    struct remote_write *rw = m->rw;
    uint32_t suppressed;
    if (!log_allow(&m->limit, LOG_PERIOD_MS, &suppressed))
        return;
    struct str words = r->body && !r->err ? buf_view(r->body) : str_c(r->diag.text);
    struct str line, rest;
    str_cut(str_trim(str_from(words.p, words.n < ERROR_WORDS_MAX ? words.n : ERROR_WORDS_MAX)), '\n', &line, &rest);
    log_warn(rw->log, "Failed to send metadata", F_STR("remote_name", rw->config->name),
             F_STR("url", buf_view(&rw->url)), F_INT("status", r->err ? 0 : r->status), F_STR("err", line),
             F_INT("count", m->chunks[m->at].entries), F_C("next", next), F_INT("suppressed", suppressed));
}

static void next_chunk(struct metadata *m)
{
    buf_release(&m->chunks[m->at++].body);
    m->attempt = 0;
    m->backoff_ms = 0;
    send_chunk(m);
}

static void waited(struct timer *t)
{
    struct metadata *m = CONTAINER_OF(t, struct metadata, timer);
    counter_add(m->rw->count.metadata_retried, m->chunks[m->at].entries);
    send_chunk(m);
}

static void metadata_done(struct http_request *http, const struct http_response *r)
{
    struct metadata *m = CONTAINER_OF(http, struct metadata, http);
    struct remote_write *rw = m->rw;
    const struct chunk *c = &m->chunks[m->at];
    enum answer answer = answer_of(r, &rw->config->queue);
    if (answer == ANSWER_CANCELED)
        return;
    counter_histogram_observe(rw->count.duration, (double)(clock_mono_ns() - m->started_ns) / 1e9);
    if (answer == ANSWER_RETRY) {
        uint64_t asked_for = r->err ? 0 : http_retry_after_ms(r->retry_after, clock_wall_ms());
        m->attempt++;
        log_failure(m, r, "sent again");
        timer_start(rw->loop, &m->timer,
                    retry_wait_ms(&m->backoff_ms, &rw->config->queue, asked_for, remote_write_random(rw)), waited);
        return;
    }
    if (answer == ANSWER_TAKEN) {
        counter_add(rw->count.metadata, c->entries);
        counter_add(rw->count.metadata_bytes, c->body.n);
    } else {
        counter_add(rw->count.metadata_failed, c->entries);
        log_failure(m, r, "forgotten until the next round");
    }
    next_chunk(m);
}

static bool fresh_peer(struct metadata *m)
{
    struct remote_write *rw = m->rw;
    struct http_peer *p;
    if (m->peer && m->plan == rw->plan)
        return true;
    if (remote_write_peer(rw, &p, NULL) != OK)
        return false;
    http_peer_free(m->peer);
    plan_unref(m->plan);
    m->peer = p;
    m->plan = plan_ref(rw->plan);
    return true;
}

static void send_chunk(struct metadata *m)
{
    if (m->at < m->n && !fresh_peer(m)) {
        for (; m->at < m->n; m->at++) {
            counter_add(m->rw->count.metadata_failed, m->chunks[m->at].entries);
            buf_release(&m->chunks[m->at].body);
        }
    }
    if (m->at == m->n)
        return;
    int n = remote_write_headers(REMOTE_WRITE_PROTOCOL_1, COMPRESS_SNAPPY, m->attempt, m->attempt_text, m->headers);
    m->http = (struct http_request){
        .method = "POST",
        .headers = m->headers,
        .n_headers = n,
        .body = buf_view(&m->chunks[m->at].body),
        .timeout_ms = (uint32_t)m->rw->config->remote_timeout_ms,
        .max_body = ANSWER_MAX,
        .response_body = &m->answer,
        .done = metadata_done,
    };
    m->started_ns = clock_mono_ns();
    http_start(m->peer, &m->http);
}

void remote_write_metadata(struct remote_write *rw, const struct family *families, uint32_t n)
{
    struct metadata *m = rw->metadata;
    uint32_t most = rw->config->metadata_max_samples_per_send;
    if (!rw->config->metadata_send || rw->protocol != REMOTE_WRITE_PROTOCOL_1 || !m || m->at < m->n)
        return;
    if (most == 0)
        most = 1;
    m->n = m->at = 0;
    for (uint32_t i = 0; i < n; i += most)
        add_chunk(m, families + i, n - i < most ? n - i : most);
    send_chunk(m);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

struct metadata *metadata_new(struct remote_write *rw)
{
    struct metadata *m = NEW(struct metadata);
    m->rw = rw;
    return m;
}

void metadata_free(struct metadata *m)
{
    if (!m)
        return;
    timer_stop(&m->timer);
    http_peer_free(m->peer);
    plan_unref(m->plan);
    for (size_t i = m->at; i < m->n; i++)
        buf_release(&m->chunks[i].body);
    buf_release(&m->answer);
    free(m->chunks);
    free(m);
}
