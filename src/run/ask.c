/* ask: see the header. The one HTTP client, on a loop that lives as long as the question.
 *
 *   loop_new -> http_start -> loop_run ... on_answer: copy what is wanted, free, loop_stop ... loop_free
 *
 * For commands (healthcheck) that ask once and end: the calling thread waits. An answer of more than 64 MiB is an
 * error. Nothing is retried; the timeout covers everything from the name lookup to the last byte.
 */
#include "run/ask.h"

#include "base/mem.h"
#include "net/http_client.h"
#include "base/version.h"

enum { MAX_ANSWER = 64 << 20 };

struct question {
    struct http_request request;
    struct loop *loop;
    struct http_client *client;
    struct http_peer *peer;
    enum err err;
    int status;
    struct diag *d;
};

static void on_answer(struct http_request *r, const struct http_response *response)
{
    struct question *q = CONTAINER_OF(r, struct question, request);

    q->err = response->err;
    q->status = response->status;
    if (response->err && q->d)
        *q->d = response->diag;
    http_peer_free(q->peer);
    http_client_free(q->client);
    loop_stop(q->loop);
}

enum err ask_get(struct str url, bool insecure, uint32_t timeout_ms, int *status, struct buf *body, struct diag *d)
{
    struct http_client_limits limits = {.max_connecting = 1, .user_agent = LEADLINE_USER_AGENT};
    struct http_options options = {.tls.insecure_skip_verify = insecure};
    struct question q = {.loop = loop_new("ask"), .d = d};

    q.client = http_client_new(q.loop, NULL, &limits);
    q.err = http_peer_new(q.client, url, &options, &q.peer, d);
    if (q.err) {
        http_client_free(q.client);
    } else {
        q.request = (struct http_request){.method = "GET",
                                          .timeout_ms = timeout_ms,
                                          .max_body = MAX_ANSWER,
                                          .response_body = body,
                                          .done = on_answer};
        http_start(q.peer, &q.request);
        loop_run(q.loop);
    }
    loop_free(q.loop);
    *status = q.status;
    return q.err;
}
