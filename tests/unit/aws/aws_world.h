/* aws_world: a session with everything around it on loopback: an environment, a home directory, and one HTTP server
 * that plays all of AWS. Include it after unit.h and world.h.
 */
#ifndef TESTS_AWS_WORLD_H
#define TESTS_AWS_WORLD_H

#include "aws/session_int.h"
#include "base/mem.h"
#include "net/http_server.h"

enum { FAKE_MAX_VARIABLES = 32 };

struct fake_request {
    char method[8], path[256], authorization[512], token[256];
    char body[2048];
};

struct aws_world {
    struct loop *loop;
    struct http_client *http;
    struct http_server *server;
    struct counters *counters;
    struct world_folder folder;
    struct aws *aws;
    struct aws_session *session;
    char url[64]; /* of the server */

    struct {
        char name[64], value[256];
    } variables[FAKE_MAX_VARIABLES];
    int n_variables;

    /* What the server does: the test's. */
    void (*handle)(struct aws_world *w, struct http_call *call, const struct fake_request *r);
    struct fake_request last;
    int requests;

    struct aws_listener listener;
    struct aws_credentials *told; /* a reference */
    struct diag why;              /* of the last NULL */
    int n_told, n_nothing;
    bool gap;   /* told nothing after something */
    int number; /* the test's own */
};

static inline const char *aws_world_getenv(void *ctx, const char *name)
{
    const struct aws_world *w = ctx;
    for (int i = w->n_variables - 1; i >= 0; i--)
        if (strcmp(w->variables[i].name, name) == 0)
            return w->variables[i].value;
    return NULL;
}

static inline void aws_world_set(struct aws_world *w, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
static inline void aws_world_set(struct aws_world *w, const char *name, const char *fmt, ...)
{
    va_list args;

    assert_true(w->n_variables < FAKE_MAX_VARIABLES);
    snprintf(w->variables[w->n_variables].name, 64, "%s", name);
    va_start(args, fmt);
    vsnprintf(w->variables[w->n_variables].value, 256, fmt, args);
    va_end(args);
    w->n_variables++;
}

static inline void fake_copy(char *to, size_t size, struct str s)
{
    snprintf(to, size, "%.*s", STR_ARGS(s));
}

static inline void aws_world_on_call(void *ctx, struct http_call *call)
{
    struct aws_world *w = ctx;
    struct fake_request *r = &w->last;

    w->requests++;
    fake_copy(r->method, sizeof(r->method), http_call_method(call));
    fake_copy(r->path, sizeof(r->path), http_call_path(call));
    fake_copy(r->authorization, sizeof(r->authorization), http_call_header(call, "Authorization"));
    fake_copy(r->token, sizeof(r->token), http_call_header(call, "X-aws-ec2-metadata-token"));
    fake_copy(r->body, sizeof(r->body), http_call_body(call));
    w->handle(w, call, r);
}

static inline void fake_answer(struct http_call *call, int status, const char *fmt, ...) PRINTF_LIKE(3, 4);
static inline void fake_answer(struct http_call *call, int status, const char *fmt, ...)
{
    char text[2048];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    http_call_answer(call, status, "text/plain", str_c(text));
}

/* The time in so many ms, as AWS writes it. */
static inline const char *fake_time(int64_t in_ms)
{
    static char text[40];
    AUTO_BUF b = {0};

    clock_print(&b, clock_wall_ms() + in_ms);
    fake_copy(text, sizeof(text), buf_view(&b));
    return text;
}

/* Keys as the container endpoint and instance metadata give them. */
static inline void fake_keys(struct http_call *call, const char *id, int64_t life_ms)
{
    fake_answer(call, 200,
                "{\"Code\":\"Success\",\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"secret\",\"Token\":\"token\","
                "\"Expiration\":\"%s\"}",
                id, fake_time(life_ms));
}

static inline void fake_sts(struct http_call *call, const char *operation, const char *id, int64_t life_ms)
{
    fake_answer(call, 200,
                "<%sResponse><%sResult><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
                "<SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials></%sResult></%sResponse>",
                operation, operation, id, fake_time(life_ms), operation, operation);
}

static inline struct aws_world *aws_world_new(void)
{
    struct aws_world *w = calloc(1, sizeof(*w));
    struct http_server_options o = {.address = STR("127.0.0.1:0")};

    w->loop = loop_new("test");
    w->http = http_client_new(w->loop, NULL, &(struct http_client_limits){.user_agent = "test"});
    w->counters = counters_new();
    w->folder = world_folder_new();
    assert_int_equal(http_server_new(w->loop, NULL, &o, aws_world_on_call, w, &w->server, NULL), OK);
    snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%d", http_server_port(w->server));
    aws_world_set(w, "HOME", "%s", w->folder.path);
    aws_world_set(w, "AWS_EC2_METADATA_DISABLED", "true");
    w->aws = aws_new(&(struct aws_env){
        .loop = w->loop, .counters = w->counters, .http = w->http, .getenv = aws_world_getenv, .getenv_ctx = w});
    return w;
}

static inline void aws_world_on_changed(struct aws_listener *l, struct aws_credentials *c, const struct diag *d)
{
    struct aws_world *w = CONTAINER_OF(l, struct aws_world, listener);

    if (!c && w->told)
        w->gap = true;
    aws_credentials_unref(w->told);
    w->told = c ? aws_credentials_ref(c) : NULL;
    w->n_told += c != NULL;
    w->n_nothing += c == NULL;
    if (!c)
        w->why = *d;
}

static inline void aws_world_start(struct aws_world *w, const struct aws_config *config)
{
    static const struct aws_config none;

    assert_int_equal(aws_session_get(w->aws, config ? config : &none, &w->session, NULL), OK);
    w->listener.changed = aws_world_on_changed;
    aws_session_listen(w->session, &w->listener);
}

static inline void aws_world_free(struct aws_world *w)
{
    if (w->session) {
        aws_session_unlisten(w->session, &w->listener);
        aws_session_release(w->session);
    }
    aws_credentials_unref(w->told);
    aws_free(w->aws);
    http_client_free(w->http);
    http_server_free(w->server);
    world_loop_free(w->loop);
    counters_free(w->counters);
    world_folder_free(&w->folder);
    free(w);
}

#endif
