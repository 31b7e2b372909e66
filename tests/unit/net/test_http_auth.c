/* Who vouches for a request: signers, and tokens fetched by OAuth 2. One server is both the place that is asked and the
 * token server; it tells them apart by the path. */
#include "client_state.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/http_client_int.h"
#include "wire/tree.h"

enum { KEPT = 32 };

static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static char asked[KEPT][8192], tokens[KEPT][8192];
static int n_asked, n_tokens;
static _Atomic int token_answer, refuse_token; /* how the server behaves */
enum { GOOD, ONLY_FORM, SHORT_LIVED, BROKEN, IN_A_FORM, SILENT };

static void answer_token(int fd, const char *request, int nth)
{
    char body[256], all[512];
    const char *status = "200 OK", *type = "application/json";
    snprintf(body, sizeof(body), "{\"access_token\":\"secret-%d\",\"token_type\":\"bearer\",\"expires_in\":3600}", nth);
    if (token_answer == SHORT_LIVED)
        snprintf(body, sizeof(body), "{\"access_token\":\"secret-%d\",\"expires_in\":\"7\"}", nth);
    if (token_answer == IN_A_FORM) {
        type = "application/x-www-form-urlencoded; charset=utf-8";
        snprintf(body, sizeof(body), "token_type=mac&access_token=a%%2Bb+c%d&expires_in=3600", nth);
    }
    if (token_answer == BROKEN || (token_answer == ONLY_FORM && strstr(request, "Authorization: Basic"))) {
        status = "401 Unauthorized";
        snprintf(body, sizeof(body), "{\"error\":\"invalid_client\",\"error_description\":\"who are you\"}");
    }
    snprintf(all, sizeof(all), "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s", status, type,
             strlen(body), body);
    raw_send(fd, all);
}

static bool serve_either(int fd)
{
    char request[8192];
    if (!raw_read(fd, request, sizeof(request)))
        return false;
    bool token = strncmp(request, "POST /token", 11) == 0;
    pthread_mutex_lock(&seen_lock);
    int nth = token ? n_tokens++ : n_asked++;
    memcpy(token ? tokens[nth % KEPT] : asked[nth % KEPT], request, sizeof(request));
    pthread_mutex_unlock(&seen_lock);
    char refused[64];
    snprintf(refused, sizeof(refused), "Authorization: Bearer secret-%d\r\n", refuse_token);
    if (token && token_answer == SILENT)
        raw_wait_close(fd);
    else if (token)
        answer_token(fd, request, nth);
    else if (refuse_token >= 0 && strstr(request, refused))
        raw_send(fd, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    else
        raw_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    return !token || token_answer != SILENT;
}

static void either(struct raw_server *r, int fd, int nth)
{
    (void)r, (void)nth;
    while (serve_either(fd)) {
    }
}

/* ---- tokens ---- */

struct setting {
    struct http_options options, of_token;
    struct oauth2_options oauth2;
    char token_url[128], url[128];
};

static void open_setting(struct client_state *s, struct setting *t, int answer)
{
    n_asked = n_tokens = 0;
    token_answer = answer;
    refuse_token = -1;
    s->raw = raw_open(either, true);
    memset(t, 0, sizeof(*t));
    snprintf(t->url, sizeof(t->url), "http://127.0.0.1:%d/metrics", raw_port(s->raw));
    snprintf(t->token_url, sizeof(t->token_url), "http://127.0.0.1:%d/token", raw_port(s->raw));
    t->of_token = (struct http_options){.follow_redirects = true};
    t->oauth2 = (struct oauth2_options){.client_id = STR("me:1"),
                                        .client_secret = STR("open sesame"),
                                        .token_url = str_c(t->token_url),
                                        .http = &t->of_token};
    t->options = (struct http_options){.oauth2 = &t->oauth2, .follow_redirects = true};
}

static void a_token_is_fetched_once_for_all(void **out)
{
    struct client_state *s = *out;
    struct setting t;
    struct str scopes[] = {STR("read"), STR("a&b")};
    struct http_param params[] = {{STR("audience"), STR("x y")}};
    open_setting(s, &t, GOOD);
    t.oauth2.scopes = scopes;
    t.oauth2.n_scopes = 2;
    t.oauth2.endpoint_params = params;
    t.oauth2.n_endpoint_params = 1;
    struct oauth2_options equal = t.oauth2;
    struct http_options other = {.oauth2 = &equal};
    struct http_peer *a = fixture_peer(s->client, t.url, &t.options), *b = fixture_peer(s->client, t.url, &other);
    struct answer second = {0};
    answer_init(&s->a);
    answer_init(&second);
    http_start(a, &s->a.request);
    http_start(b, &second.request);
    fixture_run_until(s->loop, &s->a.done);
    fixture_run_until(s->loop, &second.done);
    assert_int_equal(s->a.status, 200);
    assert_int_equal(second.status, 200);
    fixture_get(s->loop, a, &s->a);
    assert_int_equal(n_tokens, 1);
    assert_int_equal(n_asked, 3);
    for (int i = 0; i < 3; i++)
        assert_non_null(strstr(asked[i], "\r\nAuthorization: Bearer secret-0\r\n"));
    /* base64("me%3A1:open+sesame") */
    assert_non_null(strstr(tokens[0], "\r\nAuthorization: Basic bWUlM0ExOm9wZW4rc2VzYW1l\r\n"));
    assert_non_null(strstr(tokens[0], "\r\nContent-Type: application/x-www-form-urlencoded\r\n"));
    assert_non_null(strstr(tokens[0], "\r\n\r\naudience=x+y&grant_type=client_credentials&scope=read+a%26b"));
    http_peer_free(a);
    http_peer_free(b);
    answer_release(&second);
}

static void a_server_that_wants_the_form_gets_it(void **out)
{
    struct client_state *s = *out;
    struct setting t;
    open_setting(s, &t, ONLY_FORM);
    struct http_peer *p = fixture_peer(s->client, t.url, &t.options);
    fixture_get(s->loop, p, &s->a);
    assert_int_equal(s->a.status, 200);
    assert_int_equal(n_tokens, 2);
    assert_null(strstr(tokens[1], "Authorization:"));
    assert_non_null(strstr(tokens[1], "\r\n\r\nclient_id=me%3A1&client_secret=open+sesame&grant_type=client_credent"));
    assert_non_null(strstr(asked[0], "Bearer secret-1\r\n"));
    http_peer_free(p);
}

static void a_token_about_to_end_is_not_used(void **out)
{
    struct client_state *s = *out;
    struct setting t;
    open_setting(s, &t, SHORT_LIVED); /* 7 s: below the ten that a token must have left */
    struct http_peer *p = fixture_peer(s->client, t.url, &t.options);
    fixture_get(s->loop, p, &s->a);
    /* For the request that asked for it it is good enough. */
    assert_int_equal(s->a.status, 200);
    token_answer = GOOD;
    fixture_get(s->loop, p, &s->a);
    assert_int_equal(n_tokens, 2);
    assert_non_null(strstr(asked[1], "Bearer secret-1\r\n"));
    fixture_get(s->loop, p, &s->a);
    assert_int_equal(n_tokens, 2);
    http_peer_free(p);
}

static void an_answer_may_be_a_form(void **out)
{
    struct client_state *s = *out;
    struct setting t;
    open_setting(s, &t, IN_A_FORM);
    struct http_peer *p = fixture_peer(s->client, t.url, &t.options);
    fixture_get(s->loop, p, &s->a);
    assert_non_null(strstr(asked[0], "\r\nAuthorization: MAC a+b c0\r\n"));
    http_peer_free(p);
}

static void a_refusal_says_why_and_shows_no_secret(void **out)
{
    struct client_state *s = *out;
    struct setting t;
    open_setting(s, &t, BROKEN);
    struct http_peer *p = fixture_peer(s->client, t.url, &t.options);
    fixture_get(s->loop, p, &s->a);
    assert_int_equal(s->a.err, ERR_AUTH);
    assert_string_equal(s->a.text, "oauth2: \"invalid_client\" \"who are you\"");
    assert_int_equal(n_asked, 0);
    assert_int_equal(n_tokens, 2); /* both ways */
    fixture_get(s->loop, p, &s->a);
    assert_int_equal(s->a.err, ERR_AUTH);
    assert_int_equal(n_tokens, 2); /* remembered for a second */
    token_answer = GOOD;
    fixture_run_for(s->loop, 1050);
    fixture_get(s->loop, p, &s->a);
    assert_int_equal(s->a.status, 200);
    http_peer_free(p);
}

static void a_token_server_that_is_down_is_named(void **out)
{
    struct client_state *s = *out;
    struct setting t;
    open_setting(s, &t, GOOD);
    t.oauth2.token_url = STR("http://user:word@127.0.0.1:1/token?x");
    struct http_peer *p = fixture_peer(s->client, t.url, &t.options);
    fixture_get(s->loop, p, &s->a);
    assert_int_equal(s->a.err, ERR_NET);
    assert_string_equal(s->a.text, "Post \"http://127.0.0.1:1/token?x\": dial tcp 127.0.0.1:1: connect: connection "
                                   "refused");
    http_peer_free(p);
    t.oauth2.token_url = STR("nonsense");
    p = fixture_peer(s->client, t.url, &t.options);
    fixture_get(s->loop, p, &s->a);
    assert_int_not_equal(s->a.err, OK);
    http_peer_free(p);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void another_secret_means_another_token(void **out)
{
    struct client_state *s = *out;
    struct setting t;
    char path[] = "/tmp/test-secret-XXXXXX";
    close(mkstemp(path));
    write_file(path, "one\n");
    open_setting(s, &t, GOOD);
    t.oauth2.client_secret = STR_NONE;
    t.oauth2.client_secret_file = str_c(path);
    struct http_peer *p = fixture_peer(s->client, t.url, &t.options);
    fixture_get(s->loop, p, &s->a);
    write_file(path, "another");
    fixture_run_for(s->loop, 1050);
    fixture_get(s->loop, p, &s->a);
    assert_int_equal(n_tokens, 2);
    assert_non_null(strstr(tokens[1], "Basic bWUlM0ExOmFub3RoZXI=")); /* me%3A1:another */
    assert_non_null(strstr(asked[1], "Bearer secret-1\r\n"));
    unlink(path);
    fixture_run_for(s->loop, 1050);
    fixture_get(s->loop, p, &s->a);
    assert_int_equal(s->a.err, ERR_AUTH);
    assert_non_null(strstr(s->a.text, "unable to read oauth2 client secret: unable to read file /tmp/test-secret-"));
    http_peer_free(p);
}

static void a_refused_token_is_replaced_once(void **out)
{
    struct client_state *s = *out;
    struct setting t;
    open_setting(s, &t, GOOD);
    struct http_peer *p = fixture_peer(s->client, t.url, &t.options);
    fixture_get(s->loop, p, &s->a);
    refuse_token = 0;
    answer_init(&s->a);
    s->a.request.method = "POST";
    s->a.request.body = STR("body");
    http_start(p, &s->a.request);
    fixture_run_until(s->loop, &s->a.done);
    assert_int_equal(s->a.status, 200);
    assert_int_equal(s->a.n_done, 1);
    assert_int_equal(n_tokens, 2);
    assert_non_null(strstr(asked[2], "Bearer secret-1\r\n"));
    assert_non_null(strstr(asked[2], "\r\n\r\nbody"));
    refuse_token = 1;
    fixture_get(s->loop, p, &s->a);
    assert_int_equal(s->a.status, 401); /* not again within a minute */
    assert_int_equal(n_tokens, 2);
    http_peer_free(p);
}

static void waiting_ends_with_its_own_deadline(void **out)
{
    struct client_state *s = *out;
    struct setting t;
    open_setting(s, &t, SILENT);
    struct http_peer *p = fixture_peer(s->client, t.url, &t.options), *q = fixture_peer(s->client, t.url, &t.options);
    struct answer other = {0};
    answer_init(&s->a);
    answer_init(&other);
    s->a.request.timeout_ms = 100;
    http_start(p, &s->a.request);
    http_start(q, &other.request);
    fixture_run_until(s->loop, &s->a.done);
    assert_int_equal(s->a.err, ERR_TIMEOUT);
    http_cancel(q, &other.request);
    fixture_run_until(s->loop, &other.done);
    assert_int_equal(other.err, ERR_CANCELED);
    answer_init(&s->a);
    http_start(p, &s->a.request);
    http_peer_free(p); /* while it waits */
    answer_init(&other);
    http_start(q, &other.request); /* and one is left for the end of the client */
    http_client_free(s->client);
    fixture_run_until(s->loop, &other.done);
    assert_int_equal(other.err, ERR_CANCELED);
    http_peer_free(q);
    s->client = client_new(s, 0);
    answer_release(&other);
}

/* ---- assertions ---- */

static struct buf decode_base64url(struct str s)
{
    struct buf in = {0}, decoded = {0};
    buf_str(&in, s);
    for (size_t i = 0; i < in.n; i++)
        in.p[i] = in.p[i] == '-' ? '+' : in.p[i] == '_' ? '/' : in.p[i];
    size_t missing = (4 - in.n % 4) % 4;
    for (size_t i = 0; i < missing; i++)
        buf_char(&in, '=');
    buf_reserve(&decoded, in.n);
    int n = EVP_DecodeBlock((unsigned char *)decoded.p, (unsigned char *)in.p, (int)in.n);
    assert_true(n >= 0);
    decoded.n = (size_t)n - missing;
    decoded.p[decoded.n] = '\0';
    buf_release(&in);
    return decoded;
}

static char *make_key(EVP_PKEY **key)
{
    *key = EVP_RSA_gen(2048);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(bio, *key, NULL, NULL, 0, NULL, NULL), 1);
    char *p;
    long n = BIO_get_mem_data(bio, &p);
    char *pem = mem_strndup(p, (size_t)n);
    BIO_free(bio);
    return pem;
}

static void verify(EVP_PKEY *key, const EVP_MD *md, struct str signed_part, struct str signature)
{
    struct buf bytes = decode_base64url(signature);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_DigestVerifyInit(ctx, NULL, md, NULL, key);
    assert_int_equal(
        EVP_DigestVerify(ctx, (unsigned char *)bytes.p, bytes.n, (const unsigned char *)signed_part.p, signed_part.n),
        1);
    EVP_MD_CTX_free(ctx);
    buf_release(&bytes);
}

static void assert_claim(const struct node *claims, const char *name, const char *value)
{
    const struct node *n = node_find(claims, name);
    assert_non_null(n);
    assert_int_equal(n->text.n, strlen(value));
    assert_memory_equal(n->text.p, value, n->text.n);
}

static void an_assertion_is_signed_and_says_who(void **out)
{
    struct client_state *s = *out;
    struct setting t;
    EVP_PKEY *key;
    char *pem = make_key(&key);
    struct str scopes[] = {STR("read")};
    open_setting(s, &t, GOOD);
    t.oauth2.grant = OAUTH2_JWT_BEARER;
    t.oauth2.client_certificate_key = str_c(pem);
    t.oauth2.client_certificate_key_id = STR("k1");
    t.oauth2.signature_algorithm = STR("RS384");
    t.oauth2.scopes = scopes;
    t.oauth2.n_scopes = 1;
    t.oauth2.claims_json = STR("{\"aud\":\"mine\",\"level\":5,\"deep\":{\"a\":[true]}}");
    struct http_peer *p = fixture_peer(s->client, t.url, &t.options);
    fixture_get(s->loop, p, &s->a);
    assert_int_equal(s->a.status, 200);
    const char *at = strstr(tokens[0], "\r\n\r\nassertion=");
    assert_non_null(at);
    assert_non_null(strstr(at, "&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&scope=read"));
    struct str all = str_from(at + 14, (size_t)(strchr(at, '&') - at - 14)), header, rest, payload, signature;
    assert_true(str_cut(all, '.', &header, &rest));
    assert_true(str_cut(rest, '.', &payload, &signature));
    verify(key, EVP_sha384(), str_from(all.p, header.n + 1 + payload.n), signature);
    struct buf text = decode_base64url(header);
    assert_string_equal(text.p, "{\"alg\":\"RS384\",\"typ\":\"JWT\",\"kid\":\"k1\"}");
    buf_release(&text);
    struct arena arena = {0};
    struct node *claims;
    text = decode_base64url(payload);
    assert_int_equal(tree_parse_json(buf_view(&text), "claims", &arena, &claims, NULL), OK);
    assert_claim(claims, "iss", "me:1");
    assert_claim(claims, "sub", "me:1");
    assert_claim(claims, "aud", "mine"); /* the user's own word */
    assert_claim(claims, "level", "5");
    assert_claim(claims, "scope", "read");
    int64_t iat, exp;
    assert_true(node_i64(node_find(claims, "iat"), &iat));
    assert_true(node_i64(node_find(claims, "exp"), &exp));
    assert_int_equal(exp - iat, 600);
    assert_int_equal(node_find(claims, "jti")->text.n, 36);
    buf_release(&text);
    arena_release(&arena);
    http_peer_free(p);
    free(pem);
    EVP_PKEY_free(key);
}

static void a_key_that_is_none_is_refused(void **out)
{
    struct client_state *s = *out;
    struct setting t;
    open_setting(s, &t, GOOD);
    t.oauth2.grant = OAUTH2_JWT_BEARER;
    t.oauth2.client_certificate_key = STR("-----BEGIN PRIVATE KEY-----\nc2VzYW1l\n-----END PRIVATE KEY-----\n");
    struct http_peer *p = fixture_peer(s->client, t.url, &t.options);
    fixture_get(s->loop, p, &s->a);
    assert_int_equal(s->a.err, ERR_AUTH);
    assert_string_equal(s->a.text, "oauth2: the client certificate's key is no RSA private key in PEM form");
    assert_int_equal(n_tokens, 0);
    http_peer_free(p);
}

/* ---- signers ---- */

struct test_signer {
    struct http_signer signer;
    bool ready;
    int n;
    char seen[2048];
};

static enum err sign(struct http_signer *self, const char *method, const struct http_url *url,
                     const struct http_header *headers, int n_headers, struct str body, struct http_signature *out,
                     struct diag *d)
{
    struct test_signer *t = CONTAINER_OF(self, struct test_signer, signer);
    if (!t->ready)
        return diag_set(d, ERR_AGAIN, "no credentials yet");
    size_t n = (size_t)snprintf(t->seen, sizeof(t->seen), "%s %.*s %.*s?%.*s %.*s", method, STR_ARGS(url->host),
                                STR_ARGS(url->path), STR_ARGS(url->query), STR_ARGS(body));
    for (int i = 0; i < n_headers; i++)
        n += (size_t)snprintf(t->seen + n, sizeof(t->seen) - n, "\n%.*s: %.*s", STR_ARGS(headers[i].name),
                              STR_ARGS(headers[i].value));
    buf_reserve(&out->text, 64);
    buf_printf(&out->text, "signed-%d", t->n++);
    out->headers[0] = (struct http_header){.name = STR("Authorization"), .value = buf_view(&out->text)};
    out->headers[1] = (struct http_header){.name = STR("X-Amz-Date"), .value = STR("today")};
    out->n_headers = 2;
    return OK;
}

static void a_signer_sees_what_is_sent(void **out)
{
    struct client_state *s = *out;
    struct test_signer signer = {.signer = {sign}, .ready = true};
    struct http_header field = {.name = STR("x-amz-date"), .value = STR("yesterday")};
    struct http_options o = {.headers = &field, .n_headers = 1, .follow_redirects = true};
    s->raw = raw_open(ok_keep_alive, false);
    snprintf(s->url, sizeof(s->url), "http://user:word@127.0.0.1:%d/a b?c=d e", raw_port(s->raw));
    struct http_peer *p = fixture_peer(s->client, s->url, &o);
    http_peer_sign(p, &signer.signer);
    for (int i = 0; i < 2; i++) {
        char expected[64];
        answer_init(&s->a);
        s->a.request.method = "POST";
        s->a.request.body = STR("body");
        http_start(p, &s->a.request);
        fixture_run_until(s->loop, &s->a.done);
        assert_int_equal(s->a.status, 200);
        snprintf(expected, sizeof(expected), "\r\nAuthorization: signed-%d\r\n", i);
        assert_non_null(strstr(s->seen[0], expected));
    }
    assert_non_null(strstr(signer.seen, "POST 127.0.0.1 /a%20b?c=d%20e body\nHost: 127.0.0.1:"));
    assert_non_null(strstr(signer.seen, "\nUser-Agent: leadline-test/1"));
    assert_non_null(strstr(s->seen[0], "\r\nX-Amz-Date: today\r\n"));
    assert_null(strstr(s->seen[0], "yesterday"));
    assert_null(strstr(s->seen[0], "Basic"));
    signer.ready = false;
    fixture_get(s->loop, p, &s->a);
    assert_int_equal(s->a.err, ERR_AGAIN);
    assert_string_equal(s->a.text, "no credentials yet");
    http_peer_free(p);
}

static void move_on(struct raw_server *r, int fd, int nth)
{
    (void)r;
    while (serve_one(fd, nth, "HTTP/1.1 307 Temporary Redirect\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n")) {
    }
}

static void what_is_signed_follows_no_redirect(void **out)
{
    struct client_state *s = *out;
    struct test_signer signer = {.signer = {sign}, .ready = true};
    struct http_peer *p = raw_peer(s, move_on, false, NULL);
    http_peer_sign(p, &signer.signer);
    fixture_get(s->loop, p, &s->a);
    assert_int_equal(s->a.status, 307);
    http_peer_free(p);
}

/* ---- proxies ---- */

static void refuse_tunnel(struct raw_server *r, int fd, int nth)
{
    (void)r;
    serve_one(fd, nth, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
}

static void fields_for_the_proxy_go_with_connect(void **out)
{
    struct client_state *s = *out;
    char proxy[64];
    struct http_header field = {.name = STR("X-Proxy"), .value = STR("for it alone"), .secret = true};
    s->raw = raw_open(refuse_tunnel, true);
    snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", raw_port(s->raw));
    struct http_options o = {.proxy_url = str_c(proxy), .proxy_connect_headers = &field, .n_proxy_connect_headers = 1};
    struct http_peer *p = fixture_peer(s->client, "https://target.example:8443/", &o);
    fixture_get(s->loop, p, &s->a);
    assert_int_not_equal(s->a.err, OK);
    assert_non_null(strstr(s->seen[0], "CONNECT target.example:8443 HTTP/1.1\r\n"));
    assert_non_null(strstr(s->seen[0], "\r\nX-Proxy: for it alone\r\n"));
    http_peer_free(p);
    p = fixture_peer(s->client, "http://target.example/", &o);
    fixture_get(s->loop, p, &s->a);
    assert_int_equal(s->a.status, 403);
    assert_non_null(strstr(s->seen[1], "GET http://target.example/ HTTP/1.1\r\n"));
    assert_null(strstr(s->seen[1], "X-Proxy"));
    http_peer_free(p);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        BOTH(a_token_is_fetched_once_for_all),
        BOTH(a_server_that_wants_the_form_gets_it),
        BOTH(a_token_about_to_end_is_not_used),
        BOTH(an_answer_may_be_a_form),
        BOTH(a_refusal_says_why_and_shows_no_secret),
        ONE(a_token_server_that_is_down_is_named, "plain", client_automatic),
        BOTH(another_secret_means_another_token),
        BOTH(a_refused_token_is_replaced_once),
        BOTH(waiting_ends_with_its_own_deadline),
        BOTH(an_assertion_is_signed_and_says_who),
        BOTH(a_key_that_is_none_is_refused),
        BOTH(a_signer_sees_what_is_sent),
        BOTH(what_is_signed_follows_no_redirect),
        ONE(fields_for_the_proxy_go_with_connect, "curl", client_automatic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
