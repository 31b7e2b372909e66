/* net_fixture: a loop to run by hand, servers that behave badly on purpose, certificates. */
#ifndef TESTS_NET_FIXTURE_H
#define TESTS_NET_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "net/http_client.h"
#include "net/http_server.h"

/* ---- the loop ---- */

struct loop *fixture_loop_new(void);
/* Turns until *flag is true; fails the test after 20 s. */
void fixture_run_until(struct loop *loop, const bool *flag);
void fixture_run_for(struct loop *loop, uint64_t ms);
/* Ends the loop: everything must have been freed. */
void fixture_loop_free(struct loop *loop);

/* ---- requests ---- */

struct answer {
    struct http_request request;
    bool done;
    int n_done;
    enum err err;
    int status, n_headers;
    bool reused;
    char content_type[128], content_encoding[64], retry_after[64], date[64];
    char text[512]; /* of the diag */
    struct buf body;
};

void answer_done(struct http_request *r, const struct http_response *response);
void answer_release(struct answer *a);
/* Starts a GET; the caller may change a->request before. */
void answer_init(struct answer *a);
struct http_peer *fixture_peer(struct http_client *c, const char *url, const struct http_options *o);
/* One GET on a peer, to its end. */
void fixture_get(struct loop *loop, struct http_peer *p, struct answer *a);

/* ---- raw servers, each on a thread, one connection after the other unless `parallel` ---- */

struct raw_server;
typedef void(raw_fn)(struct raw_server *s, int fd, int nth);

struct raw_server *raw_open(raw_fn *fn, bool parallel);
void raw_close(struct raw_server *s);
int raw_port(const struct raw_server *s);
int raw_accepted(const struct raw_server *s);
/* Reads a request's head (and body by Content-Length) into a buffer of the server; false at the end of the stream. */
bool raw_read(int fd, char *out, size_t size);
void raw_send(int fd, const char *text);
void raw_send_n(int fd, const void *p, size_t n);
/* Waits until the client closes. */
void raw_wait_close(int fd);
/* A port that accepts no connection and refuses none: its backlog is full. */
struct tarpit {
    int fd, port, fillers[16];
};
void tarpit_open(struct tarpit *t);
void tarpit_close(struct tarpit *t);

/* ---- TLS ---- */

struct certificates {
    char *ca_pem, *other_ca_pem, *cert_pem, *key_pem; /* cert: signed by ca, for localhost and example.test, no IP */
};
void certificates_new(struct certificates *c);
void certificates_release(struct certificates *c);
/* Answers every request with 200 and "secure" over TLS, keep-alive. */
struct raw_server *tls_open(const struct certificates *c);

#endif
