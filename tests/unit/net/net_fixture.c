/* net_fixture: see the header. The loop is turned from the test's thread, so that a test reads from top to bottom; bad
 * servers run on threads with blocking sockets, where a misdeed is a few lines.
 */
#include "net_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"

/* ---- the loop ---- */

struct loop *fixture_loop_new(void)
{
    return loop_new("test");
}

static void nothing(struct timer *t)
{
    (void)t;
}

void fixture_run_until(struct loop *loop, const bool *flag)
{
    uint64_t end = clock_mono_ms() + 20000;
    struct timer alarm = {0};
    while (!*flag) {
        timer_start(loop, &alarm, 100, nothing);
        uv_run(loop_uv(loop), UV_RUN_ONCE);
        assert_true(clock_mono_ms() < end);
    }
    timer_stop(&alarm);
}

void fixture_run_for(struct loop *loop, uint64_t ms)
{
    uint64_t end = clock_mono_ms() + ms;
    struct timer alarm = {0};
    for (uint64_t now = clock_mono_ms(); now < end; now = clock_mono_ms()) {
        timer_start(loop, &alarm, end - now, nothing);
        uv_run(loop_uv(loop), UV_RUN_ONCE);
    }
    timer_stop(&alarm);
}

void fixture_loop_free(struct loop *loop)
{
    fixture_run_for(loop, 5);
    loop_stop(loop);
    loop_run(loop);
    loop_free(loop);
}

/* ---- requests ---- */

static void copy_text(char *out, size_t size, struct str s)
{
    snprintf(out, size, "%.*s", STR_ARGS(s));
}

void answer_done(struct http_request *r, const struct http_response *response)
{
    struct answer *a = CONTAINER_OF(r, struct answer, request);
    a->done = true;
    a->n_done++;
    a->err = response->err;
    a->status = response->status;
    a->n_headers = response->n_headers;
    a->reused = response->reused;
    copy_text(a->content_type, sizeof(a->content_type), response->content_type);
    copy_text(a->content_encoding, sizeof(a->content_encoding), response->content_encoding);
    copy_text(a->retry_after, sizeof(a->retry_after), response->retry_after);
    copy_text(a->date, sizeof(a->date), response->date);
    copy_text(a->text, sizeof(a->text), str_c(response->diag.text));
}

void answer_init(struct answer *a)
{
    struct buf body = a->body;
    *a = (struct answer){.body = body};
    a->request = (struct http_request){
        .method = "GET", .timeout_ms = 10000, .max_body = 1 << 20, .response_body = &a->body, .done = answer_done};
}

void answer_release(struct answer *a)
{
    buf_release(&a->body);
}

struct http_peer *fixture_peer(struct http_client *c, const char *url, const struct http_options *o)
{
    struct http_peer *p;
    struct diag d = {0};
    if (http_peer_new(c, str_c(url), o, &p, &d) != OK) {
        fail_msg("%s: %s", url, d.text);
    }
    return p;
}

void fixture_get(struct loop *loop, struct http_peer *p, struct answer *a)
{
    answer_init(a);
    http_start(p, &a->request);
    assert_false(a->done);
    fixture_run_until(loop, &a->done);
    assert_int_equal(a->n_done, 1);
    if (a->err) {
        assert_true(a->text[0]);
    }
}

/* ---- raw servers ---- */

enum { RAW_MAX = 64 };

struct raw_server {
    int fd, port;
    raw_fn *fn;
    bool parallel;
    atomic_int accepted, n_threads;
    atomic_bool ending;
    pthread_t thread, children[RAW_MAX];
    int fds[RAW_MAX];
    pthread_mutex_t lock; /* guards fds */
    SSL_CTX *tls;
};

struct raw_child {
    struct raw_server *s;
    int fd, nth;
};

static void serve(struct raw_server *s, int fd, int nth)
{
    pthread_mutex_lock(&s->lock);
    s->fds[nth % RAW_MAX] = fd;
    if (s->ending) {
        shutdown(fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&s->lock);
    s->fn(s, fd, nth);
    pthread_mutex_lock(&s->lock);
    s->fds[nth % RAW_MAX] = -1;
    close(fd);
    pthread_mutex_unlock(&s->lock);
}

static void *raw_child_main(void *arg)
{
    struct raw_child *c = arg;
    serve(c->s, c->fd, c->nth);
    free(c);
    return NULL;
}

static void *raw_main(void *arg)
{
    struct raw_server *s = arg;
    for (;;) {
        int fd = accept(s->fd, NULL, NULL);
        if (fd < 0) {
            return NULL;
        }
        int nth = s->accepted++;
        if (s->parallel && s->n_threads < RAW_MAX) {
            struct raw_child *c = NEW(struct raw_child);
            *c = (struct raw_child){s, fd, nth};
            pthread_create(&s->children[s->n_threads++], NULL, raw_child_main, c);
        } else {
            serve(s, fd, nth);
        }
    }
}

static int listen_loopback(int backlog, int *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&a, n) == 0 && listen(fd, backlog) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static struct raw_server *raw_new(raw_fn *fn, bool parallel, SSL_CTX *tls)
{
    struct raw_server *s = NEW(struct raw_server);
    s->fn = fn;
    s->parallel = parallel;
    s->tls = tls;
    for (int i = 0; i < RAW_MAX; i++) {
        s->fds[i] = -1;
    }
    pthread_mutex_init(&s->lock, NULL);
    s->fd = listen_loopback(64, &s->port);
    assert_int_equal(pthread_create(&s->thread, NULL, raw_main, s), 0);
    return s;
}

struct raw_server *raw_open(raw_fn *fn, bool parallel)
{
    return raw_new(fn, parallel, NULL);
}

void raw_close(struct raw_server *s)
{
    pthread_mutex_lock(&s->lock);
    s->ending = true;
    shutdown(s->fd, SHUT_RDWR);
    for (int i = 0; i < RAW_MAX; i++) {
        if (s->fds[i] >= 0) {
            shutdown(s->fds[i], SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    for (int i = 0; i < s->n_threads; i++) {
        pthread_join(s->children[i], NULL);
    }
    close(s->fd);
    pthread_mutex_destroy(&s->lock);
    SSL_CTX_free(s->tls);
    free(s);
}

int raw_port(const struct raw_server *s)
{
    return s->port;
}

int raw_accepted(const struct raw_server *s)
{
    return s->accepted;
}

bool raw_read(int fd, char *out, size_t size)
{
    size_t n = 0;
    for (;;) {
        ssize_t r = recv(fd, out + n, size - n - 1, 0);
        if (r <= 0) {
            return false;
        }
        n += (size_t)r;
        out[n] = '\0';
        char *end = strstr(out, "\r\n\r\n");
        if (!end) {
            continue;
        }
        uint64_t length = 0;
        char *field = strstr(out, "Content-Length: ");
        if (field && field < end) {
            field += 16;
            assert_int_equal(num_parse_u64(str_from(field, strcspn(field, "\r")), &length), OK);
        }
        size_t have = n - (size_t)(end + 4 - out);
        while (have < length) { /* a big body need not fit */
            char rest[65536];
            r = recv(fd, rest, sizeof(rest), 0);
            if (r <= 0) {
                return false;
            }
            have += (size_t)r;
        }
        return true;
    }
}

void raw_send_n(int fd, const void *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t w = send(fd, (const char *)p + at, n - at, MSG_NOSIGNAL);
        if (w <= 0) {
            return;
        }
        at += (size_t)w;
    }
}

void raw_send(int fd, const char *text)
{
    raw_send_n(fd, text, strlen(text));
}

void raw_wait_close(int fd)
{
    char byte[256];
    while (recv(fd, byte, sizeof(byte), 0) > 0) {
    }
}

void tarpit_open(struct tarpit *t)
{
    t->fd = listen_loopback(0, &t->port);
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)t->port)};
    for (size_t i = 0; i < COUNT_OF(t->fillers); i++) {
        t->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)!connect(t->fillers[i], (struct sockaddr *)&a, sizeof(a));
    }
    struct pollfd pfd = {.fd = t->fillers[COUNT_OF(t->fillers) - 1], .events = POLLOUT};
    poll(&pfd, 1, 50);
}

void tarpit_close(struct tarpit *t)
{
    for (size_t i = 0; i < COUNT_OF(t->fillers); i++) {
        close(t->fillers[i]);
    }
    close(t->fd);
}

/* ---- TLS ---- */

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    X509_add_ext(cert, e, -1);
    X509_EXTENSION_free(e);
}

static X509 *make_cert(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *issuer_key, const char *alt)
{
    X509 *cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), (long)(1 + strlen(name)));
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer ? issuer : cert));
    add_extension(cert, issuer ? issuer : cert, NID_basic_constraints, alt ? "CA:FALSE" : "critical,CA:TRUE");
    if (alt) {
        add_extension(cert, issuer, NID_subject_alt_name, alt);
    }
    assert_true(X509_sign(cert, issuer_key ? issuer_key : key, EVP_sha256()) > 0);
    return cert;
}

static char *bio_text(BIO *bio)
{
    char *p;
    long n = BIO_get_mem_data(bio, &p);
    char *text = mem_strndup(p, (size_t)n);
    BIO_free(bio);
    return text;
}

static char *cert_text(X509 *cert)
{
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, cert);
    return bio_text(bio);
}

void certificates_new(struct certificates *c)
{
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *other_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    X509 *ca = make_cert(ca_key, "test ca", NULL, NULL, NULL);
    X509 *other = make_cert(other_key, "another ca", NULL, NULL, NULL);
    X509 *cert = make_cert(key, "localhost", ca, ca_key, "DNS:localhost,DNS:example.test");
    c->ca_pem = cert_text(ca);
    c->other_ca_pem = cert_text(other);
    c->cert_pem = cert_text(cert);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    c->key_pem = bio_text(bio);
    X509_free(ca);
    X509_free(other);
    X509_free(cert);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(other_key);
    EVP_PKEY_free(key);
}

void certificates_release(struct certificates *c)
{
    free(c->ca_pem);
    free(c->other_ca_pem);
    free(c->cert_pem);
    free(c->key_pem);
}

static void tls_serve(struct raw_server *s, int fd, int nth)
{
    SSL *ssl = SSL_new(s->tls);
    char in[8192];
    (void)nth;
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        while (SSL_read(ssl, in, sizeof(in) - 1) > 0) {
            const char *text = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecure";
            SSL_write(ssl, text, (int)strlen(text));
        }
    }
    ERR_clear_error();
    SSL_free(ssl);
}

struct raw_server *tls_open(const struct certificates *c)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    BIO *bio = BIO_new_mem_buf(c->cert_pem, -1);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    bio = BIO_new_mem_buf(c->key_pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    X509_free(cert);
    EVP_PKEY_free(key);
    return raw_new(tls_serve, true, ctx);
}
