/* session: looks for keys, keeps them fresh, and tells whoever listens.
 *
 *   refresh --> read profile files --> plan the chain --> region (once) --> fetch keys --> tell, sleep --.
 *      ^                                                                       | failed                    |
 *      '-------- min(5 min, half of their life) before they end ---------------+---- 1, 2, 4 .. 60 s ------'
 *
 * One search is under way at a time, whoever wants it: the clock, or a destination that has refused the keys
 * (aws_session_refused: after five seconds at the earliest, and ever more rarely when new keys do not help, since that
 * may be a permission that is missing). Old keys stay in use while a search fails, until they end. The
 * moment before the end is moved by chance, so that the tasks of a service do not ask together.
 *
 * Keys whose end has passed by this machine's clock when they are handed out are used all the same, since it may be the
 * clock that is wrong, or instance metadata that hands out old ones during an outage of AWS (the SDKs do so too): they
 * are asked for again every minute, and AWS is the judge.
 *
 * A cause of failure is logged when it is new, and the end of failing once.
 *
 * Listeners may come and go inside `changed`: `cursor` is the next to be told, and moves on when it leaves.
 */
#include "aws/session_int.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"

enum {
    RENEW_BEFORE_MS = 5 * 60 * 1000,
    RENEW_LEAST_MS = 1000,
    RETRY_FIRST_MS = 1000,
    RETRY_MOST_MS = 60 * 1000,
    REFUSED_FIRST_MS = 5000,
    REFUSED_MOST_MS = 5 * 60 * 1000,
    REFUSED_FORGET_MS = 15 * 60 * 1000,
    STALE_AGAIN_MS = 60 * 1000,
    STALE_GOOD_MS = 10 * 60 * 1000,
};

#define full(session) CONTAINER_OF((session), struct aws_session_full, base)

static void begin(struct aws_session_full *s);

static uint64_t any(void)
{
    uint64_t r = 0;

    if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != (ssize_t)sizeof(r))
        r = clock_mono_ns();
    return r;
}

uint64_t session_renew_after(int64_t life_ms, uint64_t random)
{
    int64_t window = life_ms / 2 < RENEW_BEFORE_MS ? life_ms / 2 : RENEW_BEFORE_MS;

    window -= window * (int64_t)(random % 21) / 100;
    int64_t after = life_ms - window;
    return after < RENEW_LEAST_MS ? RENEW_LEAST_MS : (uint64_t)after;
}

uint64_t session_retry_after(uint32_t failures, uint64_t random)
{
    uint64_t base = failures > 6 ? RETRY_MOST_MS : (uint64_t)RETRY_FIRST_MS << (failures ? failures - 1 : 0);

    if (base > RETRY_MOST_MS)
        base = RETRY_MOST_MS;
    return base - random % (base / 4 + 1);
}

/* ---- telling ---- */

static void tell_one(struct aws_session_full *s, struct aws_listener *l)
{
    if (s->current)
        l->changed(l, s->current, NULL);
    else if (s->failing)
        l->changed(l, NULL, &s->failure);
}

static void tell_all(struct aws_session_full *s)
{
    for (s->cursor = s->listeners; s->cursor;) {
        struct aws_listener *l = s->cursor;
        s->cursor = l->next;
        tell_one(s, l);
    }
}

static void on_tell(struct timer *t)
{
    struct aws_session_full *s = CONTAINER_OF(t, struct aws_session_full, tell);

    while (s->fresh) {
        struct aws_listener *l = s->fresh;
        s->fresh = l->next;
        l->next = s->listeners;
        s->listeners = l;
        tell_one(s, l);
    }
}

void aws_session_listen(struct aws_session *session, struct aws_listener *l)
{
    struct aws_session_full *s = full(session);

    if (l->listening)
        return;
    l->listening = true;
    l->next = s->fresh;
    s->fresh = l;
    timer_start(session->aws->env.loop, &s->tell, 0, on_tell);
}

static void take_out(struct aws_listener **list, struct aws_listener *l)
{
    for (; *list; list = &(*list)->next) {
        if (*list == l) {
            *list = l->next;
            return;
        }
    }
}

void aws_session_unlisten(struct aws_session *session, struct aws_listener *l)
{
    struct aws_session_full *s = full(session);

    if (!l->listening)
        return;
    l->listening = false;
    if (s->cursor == l)
        s->cursor = l->next;
    take_out(&s->fresh, l);
    take_out(&s->listeners, l);
}

/* ---- the end of a search ---- */

static void on_refresh(struct timer *t)
{
    begin(CONTAINER_OF(t, struct aws_session_full, refresh));
}

static void end_fetch(struct aws_session_full *s)
{
    if (s->fetch)
        fetch_free(s->fetch);
    s->fetch = NULL;
    s->tried = true;
}

/* What the search's plan says of itself, corrected by how it went. */
static void mark_steps(struct aws_session_full *s, const char *why)
{
    struct chain *c = &s->latest->chain;
    bool role = s->fetch && s->fetch->n_assumed > 0;

    for (uint32_t i = 0; i < c->n_steps && s->region.n; i++) { /* without a region no link was tried */
        bool is_role = str_eq(c->steps[i].name, STR("role"));
        if (role ? is_role : i == c->used) {
            c->steps[i].verdict = AWS_STEP_FAILED;
            c->steps[i].why = str_c(arena_printf(&s->latest->arena, "%s", why));
        }
    }
}

static void log_failure(struct aws_session_full *s)
{
    uint64_t hash = hash_bytes(str_c(s->failure.text)) | 1;
    const char *next = s->current ? "the old ones stay in use until they expire" : "tried again within a minute";

    if (hash == s->failure_hash)
        return;
    s->failure_hash = hash;
    log_warn(s->base.aws->env.log, "AWS credentials cannot be had", F_STR("session", s->label),
             F_C("err", s->failure.text), F_C("next", next));
}

static void set_current(struct aws_session_full *s, struct aws_credentials *c)
{
    aws_credentials_unref(s->current);
    s->current = c;
}

static void failed(struct aws_session_full *s, const struct diag *d)
{
    int64_t left = s->current ? s->good_until_ms - clock_wall_ms() : 0;
    struct diag failure = *d; /* may stand in the fetch, which goes */

    if (s->latest && s->latest->err == OK)
        mark_steps(s, d->text);
    end_fetch(s);
    s->failure = failure;
    s->failing = true;
    s->failures++;
    counter_inc(s->failed);
    if (s->current && left <= 0)
        set_current(s, NULL);
    uint64_t wait = session_retry_after(s->failures, any());
    if (s->current && (uint64_t)left < wait)
        wait = (uint64_t)left + 1;
    timer_start(s->base.aws->env.loop, &s->refresh, wait, on_refresh);
    log_failure(s);
    if (s->base.calls)
        aws_calls_credentials(s->base.calls, s->current, s->current ? NULL : &s->failure);
    if (!s->current)
        tell_all(s);
}

static void show_expiry(struct aws_session_full *s)
{
    struct counter_label label = {STR("session"), s->label};

    if (s->current->expires_ms == INT64_MAX)
        return;
    if (!s->expiry)
        s->expiry = counter_new(s->base.aws->env.counters, COUNTER_GAUGE_F64,
                                "leadline_aws_credentials_expiry_timestamp_seconds",
                                "When the AWS credentials in use expire, in seconds since the epoch.", &label, 1);
    counter_set_f64(s->expiry, (double)s->current->expires_ms / 1000);
}

/* When to look again; INT64_MAX: not by the clock. Sets good_until_ms. */
static void plan_renewal(struct aws_session_full *s)
{
    int64_t now = clock_wall_ms(), life = s->current->expires_ms - now;
    uint64_t after = STALE_AGAIN_MS;

    s->good_until_ms = s->current->expires_ms;
    if (s->current->expires_ms == INT64_MAX)
        return;
    if (life > 0) {
        after = session_renew_after(life, any());
    } else {
        s->good_until_ms = now + STALE_GOOD_MS;
        log_warn(s->base.aws->env.log,
                 "AWS credentials that have expired already were handed out: they are used anyway",
                 F_STR("session", s->label), F_STR("source", s->current->source), F_INT("expired_s_ago", -life / 1000),
                 F_C("next", "asked for again every minute; look at the clock of this machine"));
    }
    timer_start(s->base.aws->env.loop, &s->refresh, after, on_refresh);
}

static void log_success(struct aws_session_full *s, bool first)
{
    struct log *log = s->base.aws->env.log;

    if (s->failing)
        log_info(log, "AWS credentials can be had again", F_STR("session", s->label),
                 F_STR("source", s->current->source));
    else if (first)
        log_info(log, "AWS credentials found", F_STR("session", s->label), F_STR("source", s->current->source),
                 F_STR("region", s->region));
}

static void got(struct aws_session_full *s, struct aws_credentials *c)
{
    bool first = !s->current;

    end_fetch(s);
    set_current(s, c);
    log_success(s, first);
    s->failing = false;
    s->failures = 0;
    s->failure_hash = 0;
    counter_inc(s->succeeded);
    plan_renewal(s);
    show_expiry(s);
    aws_calls_credentials(s->base.calls, c, NULL);
    tell_all(s);
}

/* ---- a search ---- */

static void on_keys(void *ctx, enum err err, struct aws_credentials *c, const struct diag *d)
{
    if (err)
        failed(ctx, d);
    else
        got(ctx, c);
}

static void on_region(void *ctx, enum err err, struct str region, struct str source, const struct diag *d)
{
    struct aws_session_full *s = ctx;

    if (err) {
        failed(s, d);
        return;
    }
    s->region = str_dup(&s->arena, region);
    s->region_source = str_dup(&s->arena, source);
    aws_calls_region(s->base.calls, s->region);
    fetch_keys(s->fetch, s->region, on_keys);
}

static void start_fetch(struct aws_session_full *s)
{
    struct fetch_from from = {
        .aws = s->base.aws,
        .calls = s->base.calls,
        .config = &s->config,
        .chain = &s->latest->chain,
        .home = s->latest->home,
        .ctx = s,
    };

    s->fetch = fetch_new(&from);
    if (s->region.n)
        fetch_keys(s->fetch, s->region, on_keys);
    else
        fetch_region(s->fetch, on_region);
}

static struct str of_profile(void *ctx, const char *key)
{
    struct aws_session_full *s = ctx;
    return profiles_get(&s->settings->profiles, SECTION_PROFILE, s->settings->chain.profile, key, NULL);
}

static struct str of_service(void *ctx, const char *service, const char *key)
{
    struct aws_session_full *s = ctx;
    struct str section = of_profile(ctx, "services");
    return section.n ? profiles_get(&s->settings->profiles, SECTION_SERVICES, section, service, key) : STR_NONE;
}

static void on_refused_by_calls(void *ctx)
{
    struct aws_session_full *s = ctx;
    aws_session_refused(&s->base);
}

static void on_start_waiting(struct timer *t)
{
    struct aws_session_full *s = CONTAINER_OF(t, struct aws_session_full, start_waiting);

    while (s->waiting && s->base.calls) {
        struct session_waiting *w = s->waiting;
        s->waiting = w->next;
        aws_calls_start(s->base.calls, w->call);
        free(w);
    }
    if (!s->waiting)
        s->waiting_tail = &s->waiting;
}

/* The SDK of the original passes it over without a word. */
static void warn_of_profile(struct aws_session_full *s, const struct session_files *files)
{
    struct str name = files->chain.profile;

    if (!str_eq(name, STR("default")) && !profiles_has(&files->profiles, SECTION_PROFILE, name))
        log_warn(s->base.aws->env.log, "the AWS profile does not exist", F_STR("profile", name),
                 F_STR("files", files->names), F_C("next", "credentials are looked for elsewhere"));
}

/* With the first profile files that can be understood: what they say of endpoints and retries holds from then on. */
static enum err open_calls(struct aws_session_full *s, struct session_files *files, struct diag *d)
{
    struct aws_calls_from from = {
        .env = &s->base.aws->env,
        .skews = s->base.aws->skews,
        .region = s->region,
        .endpoint = s->config.endpoint,
        .dual_stack = s->config.dual_stack,
        .profile = of_profile,
        .profile_service = of_service,
        .refused = on_refused_by_calls,
        .ctx = s,
    };

    s->settings = files;
    enum err err = aws_calls_new(&from, &s->base.calls, d);
    if (err) {
        s->settings = NULL;
        return err;
    }
    timer_start(s->base.aws->env.loop, &s->start_waiting, 0, on_start_waiting);
    warn_of_profile(s, files);
    return OK;
}

static void keep_latest(struct aws_session_full *s, struct session_files *files)
{
    if (s->latest != s->settings)
        session_files_free(s->latest);
    s->latest = files;
}

static void on_files(struct session_job *job)
{
    struct aws_session_full *s = job->session;
    struct session_files *f = job->files;
    struct chain_input in = {
        .config = &s->config, .env = &s->base.aws->env, .profiles = &f->profiles, .files = f->names};
    struct diag d = {0};

    s->job = NULL;
    keep_latest(s, f);
    f->err = chain_plan(&in, &f->arena, &f->chain, &f->diag);
    if (!s->region.n && f->chain.region.n) {
        s->region = str_dup(&s->arena, f->chain.region);
        s->region_source = str_dup(&s->arena, f->chain.region_source);
        if (s->base.calls)
            aws_calls_region(s->base.calls, s->region);
    }
    if (!s->base.calls && open_calls(s, f, &d))
        failed(s, &d);
    else if (f->err)
        failed(s, &f->diag);
    else
        start_fetch(s);
}

static void begin(struct aws_session_full *s)
{
    if (s->job || s->fetch)
        return;
    timer_stop(&s->refresh);
    s->job = session_files_read(s, on_files);
}

void aws_session_refused(struct aws_session *session)
{
    struct aws_session_full *s = full(session);
    uint64_t now = clock_mono_ms();
    uint64_t since = s->refused_ms ? now - s->refused_ms : UINT64_MAX;

    if (s->job || s->fetch || since < s->refused_wait_ms)
        return;
    if (since > REFUSED_FORGET_MS)
        s->refused_wait_ms = 0;
    s->refused_wait_ms = s->refused_wait_ms ? s->refused_wait_ms * 2 : REFUSED_FIRST_MS;
    if (s->refused_wait_ms > REFUSED_MOST_MS)
        s->refused_wait_ms = REFUSED_MOST_MS;
    s->refused_ms = now;
    begin(s);
}

/* ---- calls ---- */

void aws_call_start(struct aws_session *session, struct aws_call *c)
{
    struct aws_session_full *s = full(session);

    if (session->calls && !s->waiting) {
        aws_calls_start(session->calls, c);
        return;
    }
    struct session_waiting *w = NEW(struct session_waiting);
    w->call = c;
    *s->waiting_tail = w;
    s->waiting_tail = &w->next;
}

void aws_call_cancel(struct aws_session *session, struct aws_call *c)
{
    struct aws_session_full *s = full(session);

    for (struct session_waiting **at = &s->waiting; *at; at = &(*at)->next) {
        struct session_waiting *w = *at;
        if (w->call != c)
            continue;
        *at = w->next;
        if (!w->next)
            s->waiting_tail = at;
        free(w);
        return;
    }
    if (session->calls)
        aws_calls_cancel(session->calls, c);
}

void aws_session_forget_http(struct aws_session *session, const struct http_options *http)
{
    if (session->calls)
        aws_calls_forget_http(session->calls, http);
}

/* ---- life ---- */

static struct str label_of(struct aws_session_full *s)
{
    const struct aws_config *c = &s->config;
    AUTO_BUF text = {0};

    if (c->profile.n)
        buf_printf(&text, "profile %.*s", STR_ARGS(c->profile));
    if (c->access_key.n)
        buf_printf(&text, "%skey ...%.*s", text.n ? ", " : "", c->access_key.n > 4 ? 4 : 0,
                   c->access_key.p + (c->access_key.n > 4 ? c->access_key.n - 4 : 0));
    if (c->role_arn.n)
        buf_printf(&text, "%srole %.*s", text.n ? ", " : "", STR_ARGS(c->role_arn));
    if (c->region.n)
        buf_printf(&text, "%s%.*s", text.n ? ", " : "", STR_ARGS(c->region));
    if (!text.n)
        buf_c(&text, "default");
    return str_dup(&s->arena, buf_view(&text));
}

static struct aws_config copy_config(struct arena *a, const struct aws_config *c)
{
    struct aws_config copy = *c;
    struct str *const parts[] = {&copy.region,   &copy.profile,     &copy.access_key,        &copy.secret_key,
                                 &copy.role_arn, &copy.external_id, &copy.role_session_name, &copy.endpoint};

    for (size_t i = 0; i < COUNT_OF(parts); i++)
        *parts[i] = str_dup(a, *parts[i]);
    copy.service = STR_NONE;
    if (c->n_tags)
        copy.tags = ARENA_ARRAY(a, struct aws_tag, c->n_tags);
    for (int i = 0; i < c->n_tags; i++)
        copy.tags[i] = (struct aws_tag){str_dup(a, c->tags[i].key), str_dup(a, c->tags[i].value)};
    return copy;
}

static bool same_tags(const struct aws_config *a, const struct aws_config *b)
{
    bool same = a->n_tags == b->n_tags;

    for (int i = 0; same && i < a->n_tags; i++)
        same = str_eq(a->tags[i].key, b->tags[i].key) && str_eq(a->tags[i].value, b->tags[i].value);
    return same;
}

/* All but the service's name, which is the signer's. */
bool session_is_of(const struct aws_session_full *s, const struct aws_config *c)
{
    const struct aws_config *own = &s->config;

    return str_eq(own->region, c->region) && str_eq(own->profile, c->profile) &&
           str_eq(own->access_key, c->access_key) && str_eq(own->secret_key, c->secret_key) &&
           str_eq(own->role_arn, c->role_arn) && str_eq(own->external_id, c->external_id) &&
           str_eq(own->role_session_name, c->role_session_name) && str_eq(own->endpoint, c->endpoint) &&
           own->use_fips_sts_endpoint == c->use_fips_sts_endpoint && own->dual_stack == c->dual_stack &&
           same_tags(own, c);
}

static struct counter *count_refreshes(struct aws *a, struct str result)
{
    struct counter_label label = {STR("result"), result};
    return counter_new(a->env.counters, COUNTER_TOTAL, "leadline_aws_credential_refreshes_total",
                       "Searches for AWS credentials that have ended.", &label, 1);
}

struct aws_session_full *session_new(struct aws *a, const struct aws_config *config)
{
    struct aws_session_full *s = NEW(struct aws_session_full);

    s->base.aws = a;
    s->base.refs = 1;
    s->config = copy_config(&s->arena, config);
    s->label = label_of(s);
    s->waiting_tail = &s->waiting;
    s->succeeded = count_refreshes(a, STR("success"));
    s->failed = count_refreshes(a, STR("failure"));
    begin(s);
    return s;
}

void session_free(struct aws_session_full *s)
{
    struct counters *counters = s->base.aws->env.counters;

    if (s->job)
        s->job->session = NULL;
    if (s->fetch)
        fetch_free(s->fetch);
    for (struct session_waiting *w = s->waiting, *next; w; w = next) {
        next = w->next;
        free(w);
    }
    timer_stop(&s->refresh);
    timer_stop(&s->tell);
    timer_stop(&s->linger);
    timer_stop(&s->start_waiting);
    aws_calls_free(s->base.calls);
    if (s->latest != s->settings)
        session_files_free(s->latest);
    session_files_free(s->settings);
    aws_credentials_unref(s->current);
    if (s->expiry)
        counter_release(counters, s->expiry);
    counter_release(counters, s->succeeded);
    counter_release(counters, s->failed);
    OPENSSL_cleanse((char *)s->config.secret_key.p, s->config.secret_key.n);
    arena_release(&s->arena);
    free(s);
}

/* ---- questions ---- */

struct str aws_session_region(const struct aws_session *session)
{
    return full((struct aws_session *)session)->region;
}

struct str aws_session_region_source(const struct aws_session *session)
{
    return full((struct aws_session *)session)->region_source;
}

struct aws_credentials *aws_session_current(const struct aws_session *session)
{
    return full((struct aws_session *)session)->current;
}

int64_t aws_session_clock_behind_ms(const struct aws_session *session, const struct aws_service *service)
{
    AUTO_BUF url = {0};
    struct http_url parts;

    if (!session->calls || aws_calls_endpoint(session->calls, service, &url, NULL) ||
        http_url_parse(buf_view(&url), &parts, NULL))
        return 0;
    return aws_skew_of(session->aws->skews, parts.host);
}

uint32_t aws_session_steps(const struct aws_session *session, const struct aws_step **out)
{
    const struct aws_session_full *s = full((struct aws_session *)session);

    if (!s->tried || !s->latest)
        return 0;
    *out = s->latest->chain.steps;
    return s->latest->chain.n_steps;
}
