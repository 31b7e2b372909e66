/* client_state: see the header. */
#include "client_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct client_state *client_current;
enum http_transport client_automatic = HTTP_TRANSPORT_AUTO, client_by_curl = HTTP_TRANSPORT_CURL;

struct http_client *client_new(struct client_state *s, uint32_t max_connecting)
{
    struct http_client_limits limits = {
        .max_connecting = max_connecting, .user_agent = "leadline-test/1", .transport = s->transport};
    return http_client_new(s->loop, NULL, &limits);
}

int client_setup(void **out)
{
    struct client_state *s = NEW(struct client_state);
    s->transport = *(enum http_transport *)*out;
    s->loop = fixture_loop_new();
    s->client = client_new(s, 0);
    client_current = s;
    *out = s;
    return 0;
}

int client_teardown(void **out)
{
    struct client_state *s = *out;
    if (s->raw) {
        raw_close(s->raw);
    }
    http_server_free(s->server);
    http_client_free(s->client);
    answer_release(&s->a);
    fixture_loop_free(s->loop);
    free(s);
    return 0;
}

struct http_peer *raw_peer(struct client_state *s, raw_fn *fn, bool parallel, const struct http_options *o)
{
    s->raw = raw_open(fn, parallel);
    snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d/metrics?x=1", raw_port(s->raw));
    return fixture_peer(s->client, s->url, o);
}

void get_raw(struct client_state *s, raw_fn *fn, const struct http_options *o)
{
    struct http_peer *p = raw_peer(s, fn, false, o);
    fixture_get(s->loop, p, &s->a);
    http_peer_free(p);
}

bool serve_one(int fd, int nth, const char *answer)
{
    if (!raw_read(fd, client_current->seen[nth % 16], sizeof(client_current->seen[0]))) {
        return false;
    }
    raw_send(fd, answer);
    return true;
}

void ok_keep_alive(struct raw_server *r, int fd, int nth)
{
    (void)r;
    while (serve_one(fd, nth,
                     "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nRetry-After: 7\r\n"
                     "Content-Length: 5\r\n\r\nhello")) {
    }
}

void garbage(struct raw_server *r, int fd, int nth)
{
    (void)r;
    serve_one(fd, nth, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
    raw_wait_close(fd);
}
