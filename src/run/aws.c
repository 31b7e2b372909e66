/* aws: credentials for destinations that are signed for.
 *
 *   control loop    struct aws, one; a session per destination with sigv4 (equal ones are shared below)
 *                      | changed: a snapshot, counted              ^ refused: look for others
 *                      v                                           |
 *   each worker     worker_sink_credentials -> the slot's signer --'
 *
 * The door to AWS is opened when a plan first needs it, for a destination or for discovery, with an HTTP client of its
 * own: nothing that a discovery does can hold up the keys. It stays open until the workers have ended, since what waits
 * is still being delivered, and signed, while the program stops.
 *
 * At each apply a destination listens anew, behind the message that sets it in the workers: so every worker's signer,
 * however new, hears of the keys.
 */
#include "aws/aws.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/version.h"
#include "run/program_int.h"

enum { MAX_CONNECTING = 32 };

struct aws_sink {
    struct program *p;
    int slot;
    struct aws_session *session; /* NULL: not signed for */
    struct aws_listener listener;
};

struct program_aws {
    struct http_client *http;
    struct aws *aws;
    struct aws_sink sinks[SCOPE_SLOTS];
};

struct aws *program_aws_open(struct program *p)
{
    struct http_client_limits limits = {.max_connecting = MAX_CONNECTING, .user_agent = LEADLINE_USER_AGENT};

    if (!p->aws) {
        p->aws = NEW(struct program_aws);
        p->aws->http = http_client_new(p->loop, p->o.log, &limits);
        p->aws->aws = aws_new(
            &(struct aws_env){.loop = p->loop, .log = p->o.log, .counters = p->o.counters, .http = p->aws->http});
    }
    return p->aws->aws;
}

static void on_changed(struct aws_listener *l, struct aws_credentials *c, const struct diag *why)
{
    struct aws_sink *s = CONTAINER_OF(l, struct aws_sink, listener);

    for (uint32_t i = 0; i < s->p->n_workers; i++)
        worker_sink_credentials(s->p->workers[i], s->slot, c, aws_session_region(s->session), why);
}

static void leave(struct aws_sink *s)
{
    if (!s->session)
        return;
    aws_session_unlisten(s->session, &s->listener);
    aws_session_release(s->session);
    s->session = NULL;
}

static void without_keys(struct program *p, int slot, const struct diag *why)
{
    for (uint32_t i = 0; i < p->n_workers; i++)
        worker_sink_credentials(p->workers[i], slot, NULL, STR_NONE, why);
}

/* NULL: not signed for, or it cannot be. */
static struct aws_session *session_for(struct program *p, int slot, const struct plan_remote_write *config)
{
    struct aws_session *session = NULL;
    struct diag d = {0};

    if (config->sigv4 && aws_session_get(program_aws_open(p), config->sigv4, &session, &d)) {
        log_error(p->o.log, "destination cannot be signed for", F_STR("remote_name", config->name), F_C("err", d.text),
                  F_C("next", "what is for it waits"));
        without_keys(p, slot, &d);
    }
    return session;
}

void program_aws_sink(struct program *p, int slot, const struct plan_remote_write *config)
{
    struct aws_session *session = session_for(p, slot, config);
    struct aws_sink *s = p->aws ? &p->aws->sinks[slot] : NULL;

    if (session && s->session && s->session != session)
        without_keys(p, slot, NULL);  /* the old ones are somebody else's */
    program_aws_sink_remove(p, slot); /* after the new one is held: a shared session lives on */
    if (!session)
        return;
    *s = (struct aws_sink){.p = p, .slot = slot, .session = session, .listener = {.changed = on_changed}};
    aws_session_listen(session, &s->listener);
}

void program_aws_sink_remove(struct program *p, int slot)
{
    if (p->aws)
        leave(&p->aws->sinks[slot]);
}

void program_aws_refused(void *ctx, int slot)
{
    struct program *p = ctx;

    if (p->aws && p->aws->sinks[slot].session)
        aws_session_refused(p->aws->sinks[slot].session);
}

void program_aws_close(struct program *p)
{
    if (!p->aws)
        return;
    for (int i = 0; i < SCOPE_SLOTS; i++)
        leave(&p->aws->sinks[i]);
    aws_free(p->aws->aws);
    http_client_free(p->aws->http);
    free(p->aws);
    p->aws = NULL;
}
