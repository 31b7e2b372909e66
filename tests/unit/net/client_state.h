/* client_state: what the tests of http_client have in common: a loop, a client of one transport, a server to misbehave.
 */
#ifndef TESTS_CLIENT_STATE_H
#define TESTS_CLIENT_STATE_H

#include "net_fixture.h"

struct client_state {
    struct loop *loop;
    struct http_client *client;
    struct http_server *server;
    struct raw_server *raw;
    enum http_transport transport;
    struct answer a;
    char url[256];
    char seen[16][2048]; /* request heads that the raw server got */
};

enum { LARGE = 5 * 1024 * 1024 };

extern struct client_state *client_current; /* for raw servers' threads */
extern enum http_transport client_automatic, client_by_curl;

struct http_client *client_new(struct client_state *s, uint32_t max_connecting);
int client_setup(void **out);
int client_teardown(void **out);
struct http_peer *raw_peer(struct client_state *s, raw_fn *fn, bool parallel, const struct http_options *o);
/* One GET against a raw server that serves a connection by fn. */
void get_raw(struct client_state *s, raw_fn *fn, const struct http_options *o);
/* Reads a request, remembers it, sends the text; false when the client has gone. */
bool serve_one(int fd, int nth, const char *answer);
/* Connections: one answer `hello` after the other; something that is no HTTP at all. */
void ok_keep_alive(struct raw_server *r, int fd, int nth);
void garbage(struct raw_server *r, int fd, int nth);

/* Each test over both transports where both can do it. */
#define ONE(f, label, which)                                                                                           \
    {                                                                                                                  \
        .name = #f " (" label ")", .test_func = f, .setup_func = client_setup, .teardown_func = client_teardown,       \
        .initial_state = &(which)                                                                                      \
    }
#define BOTH(f) ONE(f, "curl", client_by_curl), ONE(f, "plain", client_automatic)

#endif
