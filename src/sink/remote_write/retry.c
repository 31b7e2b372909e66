/* retry: the table of answers of a remote write 1.0 destination.
 *
 *   2xx                          taken
 *   no answer, 5xx               ask again
 *   429                          ask again, unless retry_on_http_429 was set to false; the original asks only if true
 *   everything else              refused: other 4xx, 1xx, a 3xx that is left over because follow_redirects is false
 *                                or the redirects have no end
 *
 * What falls back (415, a 2xx that does not speak 2.0) and what a signature adds (401, 403) is decided by the sender.
 *
 * Of the refusals 400, 409 and 422 say that samples are bad: those of one target, as a rule, so it is worth asking
 * for each target alone. 413 says that the request is too large, and its parts are smaller. The others (401, 403,
 * 404 ...) are about who asks where; the parts would fare no better.
 *
 * Doubt: the request went out, but whether it was carried out is not known. A connection that could not be made
 * leaves none. A gateway's 502 and 504 leave it: they speak for somebody behind them.
 *
 * Waiting is exponential between min_backoff and max_backoff, each wait at random between half and all of the base,
 * so that lanes and tasks that failed together do not come back together. Retry-After (RFC 9110, 10.2.3: seconds or
 * a date; net/http_client.h) goes before; the wait after it starts from twice that, capped, as in the original.
 */
#include "sink/remote_write/retry_int.h"

#include "base/mem.h"
#include "base/num.h"

enum answer answer_of(const struct http_response *r, const struct plan_queue *q)
{
    if (r->err == ERR_CANCELED)
        return ANSWER_CANCELED;
    if (r->err != OK)
        return ANSWER_RETRY;
    if (r->status / 100 == 2)
        return ANSWER_TAKEN;
    if (r->status / 100 == 5)
        return ANSWER_RETRY;
    if (r->status == 429 && (q->retry_on_http_429 || !q->retry_on_http_429_set))
        return ANSWER_RETRY;
    return ANSWER_REFUSED;
}

bool answer_may_split(int status)
{
    return status == 400 || status == 409 || status == 413 || status == 422;
}

bool answer_leaves_doubt(const struct http_response *r)
{
    if (r->err == OK)
        return r->status == 502 || r->status == 504;
    return r->err != ERR_CANCELED && r->err != ERR_AGAIN && r->connected;
}

struct written answer_written(const struct http_response *r)
{
    static const struct str samples = STR("X-Prometheus-Remote-Write-Samples-Written"),
                            histograms = STR("X-Prometheus-Remote-Write-Histograms-Written"),
                            exemplars = STR("X-Prometheus-Remote-Write-Exemplars-Written");
    struct written w = {0};
    for (int i = 0; i < r->n_headers; i++) {
        const struct http_header *h = &r->headers[i];
        uint64_t n;
        bool counts = str_eq_nocase(h->name, samples) || str_eq_nocase(h->name, histograms);
        if ((!counts && !str_eq_nocase(h->name, exemplars)) || str_trim(h->value).n == 0)
            continue;
        w.any = true;
        if (counts && num_parse_u64(str_trim(h->value), &n) == OK)
            w.samples += n < UINT32_MAX ? n : UINT32_MAX;
    }
    return w;
}

bool answer_refuses_signature(const struct http_response *r)
{
    static const char *const words[] = {"SignatureDoesNotMatch", "InvalidSignature",    "ExpiredToken",
                                        "RequestExpired",        "UnrecognizedClient",  "InvalidClientTokenId",
                                        "security token",        "IncompleteSignature", "RequestTimeTooSkewed"};
    if (r->err != OK)
        return false;
    if (r->status == 401 || r->status == 403)
        return true;
    for (size_t i = 0; r->status == 400 && r->body && i < COUNT_OF(words); i++) {
        if (memmem(r->body->p, r->body->n, words[i], strlen(words[i])))
            return true;
    }
    return false;
}

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

uint64_t retry_wait_ms(uint64_t *backoff_ms, const struct plan_queue *q, uint64_t asked_for_ms, uint64_t random)
{
    uint64_t least = q->min_backoff_ms > 0 ? (uint64_t)q->min_backoff_ms : 1;
    uint64_t most = (uint64_t)q->max_backoff_ms > least ? (uint64_t)q->max_backoff_ms : least;
    uint64_t base = *backoff_ms < least ? least : *backoff_ms > most ? most : *backoff_ms;
    uint64_t wait = base - random % (base / 2 + 1);
    if (wait < least)
        wait = least;
    if (asked_for_ms) {
        wait = asked_for_ms;
        base = asked_for_ms;
    }
    *backoff_ms = base * 2 > most ? most : base * 2;
    return wait;
}
