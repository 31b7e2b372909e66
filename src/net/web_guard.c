/* web_guard: see the header.
 *
 *   request --> has the file changed? --> limit --> headers --> no users: in
 *                                                           --> known pair (cache): in, or 401
 *                                                           --> else a thread of the pool computes bcrypt, one at a
 *                                                               time; the request waits
 *
 * Checking a password costs 70 ms at bcrypt's usual cost, on purpose: hence the pool, one at a time (a flood of wrong
 * passwords must not take every CPU), and a cache of what was found, right and wrong. Its key is a SHA-256 over a
 * random secret of this process, the name, the hash in force and the password, so the cache holds no password and a
 * changed hash is another key. An unknown name costs as much as a known one: a hash of nobody's is computed for it.
 * Comparisons take constant time.
 *
 * Stat and read are done on the loop: small local files, bounded, at most once a second.
 */
#include "net/web_guard.h"

#include <crypt.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

enum { CACHE_PAIRS = 100, CHECK_EVERY_MS = 1000, WATCHED = 4, MAX_CREDENTIALS = 8192, DIGEST = 32 };

struct file_mark {
    struct timespec mtime;
    off_t size;
    ino_t inode;
    bool there;
};

struct known_pair {
    unsigned char digest[DIGEST];
    bool used, good;
};

struct password_check {
    struct work work;
    struct web_guard *guard;
    struct password_check *next;
    char *password, *hash;
    unsigned char digest[DIGEST];
    bool user_known, good;
    web_guard_fn *done;
    void *ctx;
};

struct web_guard {
    uint32_t refs; /* the owner, and the check under way */
    struct loop *loop;
    struct log *log;
    char *path;
    struct web_config *config; /* NULL: the file is bad */
    struct tls_server *tls;    /* NULL: none, or bad */
    bool has_tls;
    struct file_mark marks[WATCHED];
    uint64_t checked_ms;
    unsigned char secret[DIGEST];
    struct known_pair pairs[CACHE_PAIRS];
    uint32_t next_pair;
    double tokens;
    uint64_t tokens_at_ns;
    struct password_check *running, *first, *last;
};

/* Of a random password: what an unknown name is checked against. */
static const char nobody[] = "$2b$10$PYpgxOqScY.WFTIMp4XEVuc0EVukLflybTurNyX.OC4hHnsbEx3Xa";

/* ---- the file ---- */

static struct file_mark mark_of(const char *path)
{
    struct stat st;

    if (!path || stat(path, &st) != 0)
        return (struct file_mark){0};
    return (struct file_mark){st.st_mtim, st.st_size, st.st_ino, true};
}

static bool same_mark(const struct file_mark *a, const struct file_mark *b)
{
    return a->there == b->there && a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec &&
           a->size == b->size && a->inode == b->inode;
}

static void take_marks(const struct web_guard *g, const struct web_config *c, struct file_mark marks[WATCHED])
{
    marks[0] = mark_of(g->path);
    marks[1] = mark_of(c && c->cert_file.n ? c->cert_file.p : NULL);
    marks[2] = mark_of(c && c->key_file.n ? c->key_file.p : NULL);
    marks[3] = mark_of(c && c->client_ca_file.n ? c->client_ca_file.p : NULL);
}

static enum err load(struct web_guard *g, struct diag *d)
{
    struct web_config *config = NULL;
    struct tls_server *tls = NULL;
    enum err err = web_config_load(g->path, &config, d);

    take_marks(g, config, g->marks);
    if (!err && config->tls)
        err = tls_server_new(config, &tls, d);
    if (err) {
        web_config_unref(config);
        config = NULL;
    }
    web_config_unref(g->config);
    tls_server_unref(g->tls);
    g->config = config;
    g->tls = tls;
    return err;
}

static void refresh(struct web_guard *g)
{
    struct file_mark now[WATCHED];
    struct diag d = {0};
    char text[800];
    bool same = true;

    if (clock_mono_ms() - g->checked_ms < CHECK_EVERY_MS)
        return;
    g->checked_ms = clock_mono_ms();
    take_marks(g, g->config, now);
    for (int i = 0; i < (g->config ? WATCHED : 1); i++)
        same &= same_mark(&now[i], &g->marks[i]);
    if (same && g->config)
        return;
    bool was_good = g->config != NULL;
    if (load(g, &d) == OK && (!g->has_tls || g->tls)) {
        log_info(g->log, "the web configuration was read again", F_C("file", g->path));
        if (g->tls && !g->has_tls)
            log_warn(g->log, "TLS was added to the web configuration: it takes effect at the next start");
        return;
    }
    if (g->config) { /* TLS was taken out: connections would be refused one by one */
        web_config_unref(g->config);
        g->config = NULL;
        diag_set(&d, ERR_TLS, "%s: tls_server_config is gone: restart to serve without TLS", g->path);
    }
    if (was_good || !same) {
        diag_format(&d, text, sizeof(text));
        log_error(g->log, "Unable to parse configuration", F_C("err", text),
                  F_C("next", "requests are answered with 500 until the file is good again"));
    }
}

/* ---- passwords ---- */

static void digest_pair(struct web_guard *g, struct str user, struct str hash, struct str password,
                        unsigned char out[DIGEST])
{
    AUTO_BUF text = {0};
    unsigned n = 0;

    buf_append(&text, g->secret, sizeof(g->secret));
    buf_printf(&text, "%zu:%zu:", user.n, hash.n);
    buf_str(&text, user);
    buf_str(&text, hash);
    buf_str(&text, password);
    CHECK(EVP_Digest(text.p, text.n, out, &n, EVP_sha256(), NULL) == 1);
    explicit_bzero(text.p, text.n);
}

static const struct known_pair *find_pair(const struct web_guard *g, const unsigned char digest[DIGEST])
{
    const struct known_pair *found = NULL;

    for (int i = 0; i < CACHE_PAIRS; i++)
        if (g->pairs[i].used && CRYPTO_memcmp(g->pairs[i].digest, digest, DIGEST) == 0)
            found = &g->pairs[i];
    return found;
}

/* On a thread of the pool. The letter behind $2 says which bug of old a hash was made with; Go's bcrypt computes all of
 * them alike, and so does this. */
static void run_check(struct work *w)
{
    struct password_check *c = CONTAINER_OF(w, struct password_check, work);
    struct crypt_data *data = mem_zalloc(sizeof(*data));
    size_t at = c->hash[2] == '$' ? 3 : 4, n = strlen(c->hash + at);
    char setting[80];

    snprintf(setting, sizeof(setting), "$2b$%s", c->hash + at);
    const char *got = crypt_rn(c->password, setting, data, sizeof(*data));
    c->good = got && strlen(got) == n + 4 && CRYPTO_memcmp(got + 4, c->hash + at, n) == 0 && c->user_known;
    explicit_bzero(data, sizeof(*data));
    free(data);
}

static void free_check(struct password_check *c)
{
    explicit_bzero(c->password, strlen(c->password));
    free(c->password);
    free(c->hash);
    free(c);
}

static void start_next(struct web_guard *g);

static void release(struct web_guard *g)
{
    if (--g->refs)
        return;
    web_config_unref(g->config);
    tls_server_unref(g->tls);
    explicit_bzero(g->secret, sizeof(g->secret));
    free(g->path);
    free(g);
}

static void on_checked(struct work *w)
{
    struct password_check *c = CONTAINER_OF(w, struct password_check, work);
    struct web_guard *g = c->guard;
    struct known_pair *pair = &g->pairs[g->next_pair++ % CACHE_PAIRS];

    memcpy(pair->digest, c->digest, DIGEST);
    pair->used = true;
    pair->good = c->good;
    g->running = NULL;
    c->done(c->ctx, c->good ? WEB_ADMITTED : WEB_UNAUTHORIZED);
    free_check(c);
    start_next(g);
    release(g);
}

/* One at a time. What waits may have been found out meanwhile, by a request of the same client. */
static void start_next(struct web_guard *g)
{
    while (g->first && !g->running) {
        struct password_check *c = g->first;
        const struct known_pair *pair = find_pair(g, c->digest);
        g->first = c->next;
        if (!g->first)
            g->last = NULL;
        if (pair) {
            c->done(c->ctx, pair->good ? WEB_ADMITTED : WEB_UNAUTHORIZED);
            free_check(c);
            release(g);
            continue;
        }
        g->running = c;
        loop_work(g->loop, &c->work);
    }
}

static enum web_verdict queue_check(struct web_guard *g, struct str password, struct str hash, bool user_known,
                                    const unsigned char digest[DIGEST], web_guard_fn *done, void *ctx)
{
    struct password_check *c = NEW(struct password_check);

    *c = (struct password_check){.work = {.run = run_check, .done = on_checked, .loop = g->loop},
                                 .guard = g,
                                 .password = str_to_c(password),
                                 .hash = str_to_c(hash),
                                 .user_known = user_known,
                                 .done = done,
                                 .ctx = ctx};
    memcpy(c->digest, digest, DIGEST);
    g->refs++;
    if (g->last)
        g->last->next = c;
    else
        g->first = c;
    g->last = c;
    if (!g->running) /* never from within the caller: its answer is WEB_WAITING first */
        start_next(g);
    return WEB_WAITING;
}

/* "Basic dXNlcjpwYXNz" into user and password, in *text. */
static bool read_basic(struct str header, struct buf *text, struct str *user, struct str *password)
{
    struct str scheme, coded;

    if (header.n > MAX_CREDENTIALS || !str_cut(header, ' ', &scheme, &coded) || !str_eq_nocase(scheme, STR("Basic")) ||
        coded.n == 0 || coded.n % 4)
        return false;
    size_t padding = (coded.p[coded.n - 1] == '=') + (coded.n > 1 && coded.p[coded.n - 2] == '=');
    buf_reserve(text, coded.n / 4 * 3 + 1);
    int n = EVP_DecodeBlock((unsigned char *)text->p, (const unsigned char *)coded.p, (int)coded.n);
    if (n < 0 || (size_t)n < padding)
        return false;
    text->n = (size_t)n - padding;
    return str_cut(buf_view(text), ':', user, password);
}

static enum web_verdict check_user(struct web_guard *g, struct str authorization, web_guard_fn *done, void *ctx)
{
    AUTO_BUF text = {0};
    struct str user, password, hash = str_c(nobody);
    unsigned char digest[DIGEST];
    bool user_known = false;

    if (!read_basic(authorization, &text, &user, &password) || (password.n && memchr(password.p, 0, password.n)))
        return WEB_UNAUTHORIZED;
    for (uint32_t i = 0; i < g->config->n_users; i++) {
        if (str_eq(user, g->config->users[i].name)) {
            hash = g->config->users[i].hash;
            user_known = true;
        }
    }
    digest_pair(g, user, hash, password, digest);
    const struct known_pair *pair = find_pair(g, digest);
    enum web_verdict verdict = pair && pair->good ? WEB_ADMITTED : WEB_UNAUTHORIZED;
    if (!pair)
        verdict = queue_check(g, password, hash, user_known, digest, done, ctx);
    explicit_bzero(text.p, text.n);
    return verdict;
}

/* ---- the limit ---- */

/* A bucket of `burst` tokens that gets one an interval. */
static bool take_token(struct web_guard *g)
{
    uint64_t now = clock_mono_ns();
    double burst = (double)g->config->rate_burst;

    g->tokens += (double)(now - g->tokens_at_ns) / (double)g->config->rate_interval_ns;
    g->tokens_at_ns = now;
    if (g->tokens > burst)
        g->tokens = burst;
    if (g->tokens < 1)
        return false;
    g->tokens -= 1;
    return true;
}

/* ---- what the server asks ---- */

enum err web_guard_new(struct loop *loop, struct log *log, const char *path, struct web_guard **out, struct diag *d)
{
    struct web_guard *g = NEW(struct web_guard);

    g->refs = 1;
    g->loop = loop;
    g->log = log;
    g->path = mem_strdup(path);
    g->checked_ms = clock_mono_ms();
    g->tokens_at_ns = clock_mono_ns();
    CHECK(RAND_bytes(g->secret, sizeof(g->secret)) == 1);
    enum err err = load(g, d);
    if (err) {
        release(g);
        return err;
    }
    g->has_tls = g->tls != NULL;
    g->tokens = (double)g->config->rate_burst;
    *out = g;
    return OK;
}

void web_guard_free(struct web_guard *g)
{
    if (g)
        release(g);
}

bool web_guard_has_tls(const struct web_guard *g)
{
    return g->has_tls;
}

struct tls_server *web_guard_tls(struct web_guard *g)
{
    refresh(g);
    return g->tls ? tls_server_ref(g->tls) : NULL;
}

uint32_t web_guard_headers(struct web_guard *g, const struct http_header **out)
{
    *out = g->config ? g->config->headers : NULL;
    return g->config ? g->config->n_headers : 0;
}

enum web_verdict web_guard_admit(struct web_guard *g, struct str authorization, web_guard_fn *done, void *ctx)
{
    refresh(g);
    if (!g->config)
        return WEB_BROKEN;
    if (g->config->rate_interval_ns && !take_token(g))
        return WEB_TOO_MANY;
    return g->config->n_users ? check_user(g, authorization, done, ctx) : WEB_ADMITTED;
}
