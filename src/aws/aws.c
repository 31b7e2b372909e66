/* aws: the program's one door to AWS: what all sessions share, and which session a configuration has.
 *
 * Sessions are shared by equal configurations, so that twenty destinations in one account ask for keys once. A session
 * lives from its first aws_session_get to ten seconds after its last aws_session_release: at a reload users let go of
 * it and take it again, and nothing is asked anew.
 */
#include "aws/aws.h"

#include <stdlib.h>

#include "aws/session_int.h"
#include "base/mem.h"

enum { LINGER_MS = 10000 };

static const char *process_env(void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

struct aws *aws_new(const struct aws_env *env)
{
    struct aws *a = NEW(struct aws);

    a->env = *env;
    if (!a->env.getenv)
        a->env.getenv = process_env;
    a->skews = aws_skews_new(env->log, env->counters);
    return a;
}

static void end_session(struct aws_session *s)
{
    for (struct aws_session **at = &s->aws->sessions; *at; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            break;
        }
    }
    session_free(CONTAINER_OF(s, struct aws_session_full, base));
}

void aws_free(struct aws *a)
{
    while (a->sessions) {
        CHECK(a->sessions->refs == 0);
        end_session(a->sessions);
    }
    aws_skews_free(a->skews);
    free(a);
}

enum err aws_session_get(struct aws *a, const struct aws_config *config, struct aws_session **out, struct diag *d)
{
    if (!config->access_key.n != !config->secret_key.n)
        return diag_set(d, ERR_SYNTAX,
                        config->access_key.n ? "access_key without secret_key" : "secret_key without access_key");
    for (struct aws_session *s = a->sessions; s; s = s->next) {
        struct aws_session_full *full = CONTAINER_OF(s, struct aws_session_full, base);
        if (!session_is_of(full, config))
            continue;
        timer_stop(&full->linger);
        s->refs++;
        *out = s;
        return OK;
    }
    struct aws_session *s = &session_new(a, config)->base;
    s->next = a->sessions;
    a->sessions = s;
    *out = s;
    return OK;
}

static void on_linger(struct timer *t)
{
    end_session(&CONTAINER_OF(t, struct aws_session_full, linger)->base);
}

void aws_session_release(struct aws_session *s)
{
    if (--s->refs == 0)
        timer_start(s->aws->env.loop, &CONTAINER_OF(s, struct aws_session_full, base)->linger, LINGER_MS, on_linger);
}
