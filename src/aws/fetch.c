/* fetch: one search, driven by callbacks.
 *
 *   fetch_keys   source of the chain -> fetch_got -> role -> fetch_got -> role -> ... -> done
 *                     \-------------------\----------------\--> fetch_fail ---------> done
 *   fetch_region task metadata -> instance metadata -> done
 *
 * At most one thing is under way at a time: an HTTP question, a job of the pool, a process, or an STS call. fetch_free
 * takes each of them back; only a job of the pool cannot be taken back, so the struct then lives until it returns.
 *
 * Questions to link-local addresses never go through a proxy. Whatever was answered is wiped with the search.
 */
#include "aws/fetch_int.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

enum { RETRY_MS = 100, TASK_METADATA_MS = 2000 };

static const struct http_options direct = {0};

static void wipe(struct buf *b)
{
    if (b->p)
        OPENSSL_cleanse(b->p, b->cap);
    buf_release(b);
}

struct fetch *fetch_new(const struct fetch_from *from)
{
    struct fetch *f = NEW(struct fetch);
    f->from = *from;
    return f;
}

static void destroy(struct fetch *f)
{
    wipe(&f->answer);
    wipe(&f->file);
    wipe(&f->form);
    wipe(&f->sso_file);
    aws_credentials_unref(f->held);
    arena_release(&f->arena);
    free(f);
}

void fetch_free(struct fetch *f)
{
    timer_stop(&f->pause);
    if (f->peer)
        http_peer_free(f->peer);
    if (f->process)
        process_cancel(f->process);
    if (f->calling)
        aws_calls_cancel(f->from.calls, &f->call);
    f->peer = NULL;
    f->process = NULL;
    f->calling = false;
    if (f->working)
        f->freed = true;
    else
        destroy(f);
}

/* ---- questions ---- */

static void ask_now(struct fetch *f);

static void on_pause(struct timer *t)
{
    ask_now(CONTAINER_OF(t, struct fetch, pause));
}

static bool worth_another(const struct http_response *r)
{
    if (r->err)
        return r->err == ERR_NET || r->err == ERR_TIMEOUT;
    return r->status == 429 || r->status >= 500;
}

static void on_answer(struct http_request *request, const struct http_response *r)
{
    struct fetch *f = CONTAINER_OF(request, struct fetch, request);

    if (worth_another(r) && f->attempt < f->question.attempts) {
        http_peer_free(f->peer);
        f->peer = NULL;
        timer_start(f->from.aws->env.loop, &f->pause, RETRY_MS * f->attempt, on_pause);
        return;
    }
    struct http_peer *peer = f->peer;
    f->peer = NULL;
    f->question.answered(f, r, buf_view(&f->answer)); /* may free f */
    http_peer_free(peer);
}

static void ask_now(struct fetch *f)
{
    const struct fetch_question *q = &f->question;
    const struct http_options *options = q->outside && f->from.calls ? aws_calls_http_options(f->from.calls) : &direct;
    struct http_response none = {0};

    f->attempt++;
    none.err = http_peer_new(f->from.aws->env.http, q->url, options, &f->peer, &none.diag);
    if (none.err) {
        q->answered(f, &none, STR_NONE);
        return;
    }
    f->request = (struct http_request){
        .method = q->method,
        .headers = q->headers,
        .n_headers = q->n_headers,
        .body = q->body,
        .timeout_ms = q->timeout_ms,
        .max_body = q->max_answer,
        .response_body = &f->answer,
        .done = on_answer,
    };
    http_start(f->peer, &f->request);
}

void fetch_ask(struct fetch *f, const struct fetch_question *q)
{
    f->question = *q;
    f->attempt = 0;
    timer_start(f->from.aws->env.loop, &f->pause, 0, on_pause);
}

struct str fetch_why(struct fetch *f, const struct http_response *r, struct str body)
{
    struct str words = r->err ? STR_NONE : answer_metadata_error(body, &f->arena);

    if (r->err)
        return str_c(arena_printf(&f->arena, "%s", r->diag.text));
    return str_c(arena_printf(&f->arena, "status %d%s%.*s", r->status, words.n ? ": " : "", STR_ARGS(words)));
}

enum err fetch_endpoint(struct fetch *f, const struct aws_service *service, struct str region, struct buf *out,
                        struct diag *d)
{
    const struct aws_env *env = &f->from.aws->env;
    const char *own = arena_printf(&f->arena, "AWS_ENDPOINT_URL_%s", service->id);
    struct aws_endpoint_options o = {.region = region};

    if (!chain_is_true(aws_getenv(env, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"))) {
        struct str url = aws_getenv(env, own);
        if (!url.n)
            url = aws_getenv(env, "AWS_ENDPOINT_URL");
        if (url.n) {
            while (url.n && url.p[url.n - 1] == '/')
                url.n--;
            buf_str(out, url);
            return OK;
        }
    }
    return aws_endpoint(service, &o, out, d);
}

/* ---- work ---- */

static void run_work(struct work *w)
{
    struct fetch *f = CONTAINER_OF(w, struct fetch, work);
    f->work_run(f);
}

static void end_work(struct work *w)
{
    struct fetch *f = CONTAINER_OF(w, struct fetch, work);

    f->working = false;
    if (f->freed)
        destroy(f);
    else
        f->work_done(f);
}

void fetch_work(struct fetch *f, void (*run)(struct fetch *f), void (*done)(struct fetch *f))
{
    f->work_run = run;
    f->work_done = done;
    f->work = (struct work){.run = run_work, .done = end_work};
    f->work_err = OK;
    diag_reset(&f->work_diag);
    f->working = true;
    loop_work(f->from.aws->env.loop, &f->work);
}

static void run_read(struct fetch *f)
{
    buf_clear(&f->file);
    f->work_err = file_read(f->path, f->max_file, &f->file, &f->work_diag);
}

void fetch_read_file(struct fetch *f, const char *path, size_t max, void (*done)(struct fetch *f))
{
    f->path = path;
    f->max_file = max;
    fetch_work(f, run_read, done);
}

/* ---- the region ---- */

static void region_done(struct fetch *f, enum err err, struct str region, const char *source, const struct diag *d)
{
    f->region_done(f->from.ctx, err, region, str_c(source), d);
}

static void on_imds_region(struct fetch *f, const struct http_response *r, struct str body)
{
    struct str region = str_trim(body);
    struct diag d = {0};

    if (!r->err && r->status == 200 && region.n && answer_is_printable(region)) {
        region_done(f, OK, str_dup(&f->arena, region), "instance metadata", NULL);
        return;
    }
    struct str why = fetch_why(f, r, body);
    diag_set(&d, ERR_NOT_FOUND,
             "no AWS region: neither configured nor in AWS_REGION, AWS_DEFAULT_REGION or profile \"%.*s\"; instance "
             "metadata: %.*s",
             STR_ARGS(f->from.chain->profile), STR_ARGS(why));
    region_done(f, ERR_NOT_FOUND, STR_NONE, "", &d);
}

static void ask_imds_region(struct fetch *f)
{
    struct diag d = {0};

    if (f->from.chain->imds.url.n) {
        provider_imds_get(f, STR("placement/region"), on_imds_region);
        return;
    }
    diag_set(
        &d, ERR_NOT_FOUND,
        "no AWS region: neither configured nor in AWS_REGION, AWS_DEFAULT_REGION or profile \"%.*s\", and instance "
        "metadata is disabled",
        STR_ARGS(f->from.chain->profile));
    region_done(f, ERR_NOT_FOUND, STR_NONE, "", &d);
}

static void on_task(struct fetch *f, const struct http_response *r, struct str body)
{
    struct str region;

    if (!r->err && r->status == 200 && answer_task_region(body, &f->arena, &region, NULL) == OK)
        region_done(f, OK, region, "task metadata", NULL);
    else
        ask_imds_region(f);
}

static void on_region_start(struct timer *t)
{
    struct fetch *f = CONTAINER_OF(t, struct fetch, pause);
    struct str uri = aws_getenv(&f->from.aws->env, "ECS_CONTAINER_METADATA_URI_V4");
    struct fetch_question q = {.method = "GET",
                               .timeout_ms = TASK_METADATA_MS,
                               .attempts = 2,
                               .max_answer = (size_t)1 << 20,
                               .answered = on_task};

    if (!uri.n) {
        ask_imds_region(f);
        return;
    }
    q.url = str_c(arena_printf(&f->arena, "%.*s/task", STR_ARGS(uri)));
    fetch_ask(f, &q);
}

void fetch_region(struct fetch *f, fetch_region_fn *done)
{
    f->region_done = done;
    timer_start(f->from.aws->env.loop, &f->pause, 0, on_region_start);
}

/* ---- keys ---- */

void fetch_fail(struct fetch *f, enum err err, const char *fmt, ...)
{
    struct diag d = {0};
    char text[sizeof(d.text)];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    diag_set(&d, err, "%s", text);
    f->done(f->from.ctx, err, NULL, &d);
}

static struct str source_name(struct fetch *f)
{
    const struct chain *c = f->from.chain;

    if (f->n_assumed == 0)
        return c->name;
    return str_c(
        arena_printf(&f->arena, "role %.*s by %.*s", STR_ARGS(c->roles[f->n_assumed - 1].role_arn), STR_ARGS(c->name)));
}

void fetch_got(struct fetch *f, const struct answer_keys *keys)
{
    const struct chain *c = f->from.chain;
    struct aws_credentials *made = aws_credentials_new(keys->access_key, keys->secret_key, keys->session_token,
                                                       keys->account, source_name(f), keys->expires_ms);

    aws_credentials_unref(f->held);
    f->held = NULL;
    if (f->n_assumed == c->n_roles) {
        f->done(f->from.ctx, OK, made, NULL);
        return;
    }
    f->held = made;
    provider_assume_role(f, &c->roles[f->n_assumed++]);
}

static void on_keys_start(struct timer *t)
{
    struct fetch *f = CONTAINER_OF(t, struct fetch, pause);
    const struct chain *c = f->from.chain;
    struct answer_keys keys = {c->keys.access_key, c->keys.secret_key, c->keys.session_token, c->keys.account,
                               INT64_MAX};
    struct diag d = {0};

    switch (c->source) {
    case CHAIN_NOTHING:
        fetch_fail(f, ERR_NOT_FOUND, "no AWS credentials are configured");
        break;
    case CHAIN_KEYS:
        if (answer_keys_check(&keys, c->name.p, &d))
            fetch_fail(f, ERR_SYNTAX, "%s", d.text);
        else
            fetch_got(f, &keys);
        break;
    case CHAIN_WEB_IDENTITY:
        provider_web_identity(f);
        break;
    case CHAIN_SSO:
        provider_sso(f);
        break;
    case CHAIN_PROCESS:
        provider_process(f);
        break;
    case CHAIN_CONTAINER:
        provider_container(f);
        break;
    case CHAIN_IMDS:
        provider_imds(f);
        break;
    }
}

void fetch_keys(struct fetch *f, struct str region, fetch_keys_fn *done)
{
    f->from.region = region;
    f->done = done;
    timer_start(f->from.aws->env.loop, &f->pause, 0, on_keys_start);
}
