/* Calls against a server that answers as told: signatures, retries, refusals, clocks, and what callers are told. */
#include "unit.h"

#include "world.h"

#include "aws/aws_int.h"
#include "base/mem.h"
#include "base/num.h"
#include "net/http_server.h"

enum { MAX_SEEN = 32 };

struct reply {
    int status;
    const char *body;
    const char *header, *value;
    bool hang;
};

struct seen {
    char authorization[600], target[80], content_type[80], date[32], token[64], attempt[40], id[40], path[80],
        query_mode[8], header[32], method[8], accept[16];
    struct buf body;
};

struct fixture {
    struct loop *loop;
    struct http_client *http;
    struct http_server *server;
    struct counters *counters;
    struct aws_env env;
    struct aws_skews *skews;
    struct aws_calls *calls;
    struct aws_calls_from from;
    char url[64];
    const char *variables[16][2];
    const char *keys[8][2];
    const char *of_service[4][2];
    struct reply replies[MAX_SEEN];
    int n_replies, n_seen;
    struct seen seen[MAX_SEEN];
    struct http_call *hanging;
    int n_refused;
    struct aws_credentials *after_refusal;
    bool none_after_refusal;

    struct aws_call call;
    int n_done;
    enum err err;
    int status;
    uint32_t attempts;
    bool throttled;
    struct buf body;
    char code[80], message[200], text[512];
};

static const char *get_variable(void *ctx, const char *name)
{
    struct fixture *f = ctx;
    for (size_t i = 0; i < COUNT_OF(f->variables) && f->variables[i][0]; i++) {
        if (!strcmp(f->variables[i][0], name))
            return f->variables[i][1];
    }
    return NULL;
}

static struct str get_key(void *ctx, const char *key)
{
    struct fixture *f = ctx;
    for (size_t i = 0; i < COUNT_OF(f->keys) && f->keys[i][0]; i++) {
        if (!strcmp(f->keys[i][0], key))
            return str_c(f->keys[i][1]);
    }
    return STR_NONE;
}

static struct str get_service_key(void *ctx, const char *service, const char *key)
{
    struct fixture *f = ctx;
    assert_string_equal(key, "endpoint_url");
    for (size_t i = 0; i < COUNT_OF(f->of_service) && f->of_service[i][0]; i++) {
        if (!strcmp(f->of_service[i][0], service))
            return str_c(f->of_service[i][1]);
    }
    return STR_NONE;
}

static void note(const struct http_call *c, const char *name, char *out, size_t size)
{
    struct str s = http_call_header(c, name);
    assert_true(s.n < size);
    snprintf(out, size, "%.*s", STR_ARGS(s));
}

static void handle(void *ctx, struct http_call *c)
{
    struct fixture *f = ctx;
    assert_true(f->n_seen < f->n_replies);
    struct seen *s = &f->seen[f->n_seen];
    const struct reply *r = &f->replies[f->n_seen++];
    note(c, "Authorization", s->authorization, sizeof(s->authorization));
    note(c, "X-Amz-Target", s->target, sizeof(s->target));
    note(c, "Content-Type", s->content_type, sizeof(s->content_type));
    note(c, "X-Amz-Date", s->date, sizeof(s->date));
    note(c, "X-Amz-Security-Token", s->token, sizeof(s->token));
    note(c, "amz-sdk-request", s->attempt, sizeof(s->attempt));
    note(c, "amz-sdk-invocation-id", s->id, sizeof(s->id));
    note(c, "x-amzn-query-mode", s->query_mode, sizeof(s->query_mode));
    note(c, "x-of-the-caller", s->header, sizeof(s->header));
    snprintf(s->path, sizeof(s->path), "%.*s", STR_ARGS(http_call_path(c)));
    snprintf(s->method, sizeof(s->method), "%.*s", STR_ARGS(http_call_method(c)));
    buf_str(&s->body, http_call_body(c));
    if (r->hang) {
        f->hanging = c;
        return;
    }
    if (r->header)
        http_call_header_set(c, r->header, r->value);
    http_call_answer(c, r->status, "application/x-amz-json-1.1", str_c(r->body));
}

static void refused(void *ctx)
{
    struct fixture *f = ctx;
    f->n_refused++;
    if (f->after_refusal)
        aws_calls_credentials(f->calls, f->after_refusal, NULL);
    else if (f->none_after_refusal)
        aws_calls_credentials(f->calls, NULL, NULL);
}

static struct aws_credentials *keys(const char *access, const char *token)
{
    return aws_credentials_new(str_c(access), STR("secret"), str_c(token), STR_NONE, STR("test"), INT64_MAX);
}

static void give(struct fixture *f, struct aws_credentials *c)
{
    aws_calls_credentials(f->calls, c, NULL);
    aws_credentials_unref(c);
}

static int setup(void **state)
{
    struct fixture *f = NEW(struct fixture);
    struct http_client_limits limits = {.user_agent = "leadline-test"};
    struct http_server_options o = {.address = STR("127.0.0.1:0")};
    struct diag d = {0};

    f->loop = loop_new("test");
    f->http = http_client_new(f->loop, NULL, &limits);
    f->counters = counters_new();
    assert_int_equal(http_server_new(f->loop, NULL, &o, handle, f, &f->server, &d), OK);
    snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%d", http_server_port(f->server));
    f->env = (struct aws_env){
        .loop = f->loop, .counters = f->counters, .http = f->http, .getenv = get_variable, .getenv_ctx = f};
    f->skews = aws_skews_new(NULL, f->counters);
    f->from = (struct aws_calls_from){.env = &f->env,
                                      .skews = f->skews,
                                      .region = STR("eu-west-1"),
                                      .profile = get_key,
                                      .profile_service = get_service_key,
                                      .refused = refused,
                                      .ctx = f};
    f->variables[0][0] = "AWS_ENDPOINT_URL";
    f->variables[0][1] = f->url;
    *state = f;
    return 0;
}

static void open_calls(struct fixture *f)
{
    struct diag d = {0};
    if (aws_calls_new(&f->from, &f->calls, &d) != OK)
        fail_msg("%s", d.text);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    if (f->hanging)
        http_call_answer(f->hanging, 500, "text/plain", STR(""));
    aws_calls_free(f->calls);
    aws_skews_free(f->skews);
    aws_credentials_unref(f->after_refusal);
    http_server_free(f->server);
    http_client_free(f->http);
    world_for(f->loop, 20);
    world_loop_free(f->loop);
    counters_free(f->counters);
    for (int i = 0; i < f->n_seen; i++)
        buf_release(&f->seen[i].body);
    buf_release(&f->body);
    free(f);
    return 0;
}

static void done(struct aws_call *c, const struct aws_answer *a)
{
    struct fixture *f = CONTAINER_OF(c, struct fixture, call);
    f->n_done++;
    f->err = a->err;
    f->status = a->status;
    f->attempts = a->attempts;
    f->throttled = a->throttled;
    buf_clear(&f->body);
    buf_str(&f->body, a->body);
    snprintf(f->code, sizeof(f->code), "%.*s", STR_ARGS(a->code));
    snprintf(f->message, sizeof(f->message), "%.*s", STR_ARGS(a->message));
    snprintf(f->text, sizeof(f->text), "%s", a->diag.text);
}

static void reply(struct fixture *f, int status, const char *body)
{
    f->replies[f->n_replies++] = (struct reply){.status = status, .body = body};
}

static void begin(struct fixture *f, const struct aws_service *service, const char *operation, const char *body)
{
    if (!f->calls)
        open_calls(f);
    f->call = (struct aws_call){
        .service = service, .operation = operation, .body = str_c(body), .done = done, .timeout_ms = 10000};
    f->n_done = 0;
}

static void finish(struct fixture *f)
{
    world_until(f->loop, f->n_done);
    assert_int_equal(f->n_done, 1);
}

static void run(struct fixture *f, const struct aws_service *service, const char *operation, const char *body)
{
    begin(f, service, operation, body);
    aws_calls_start(f->calls, &f->call);
    assert_int_equal(f->n_done, 0);
    finish(f);
}

/* ---- the tests ---- */

/* The signature that the request seen ought to have; fields as a server sees them. */
static void check_signature(const struct fixture *f, const struct seen *s, const char *service, const char *region,
                            struct aws_credentials *c, const struct http_header *headers, int n)
{
    struct sigv4_key key = {0};
    struct http_header out[4];
    struct diag d = {0};
    AUTO_BUF text = {0};
    struct tm tm = {0};
    int n_out;
    (void)f;

    assert_non_null(strptime(s->date, "%Y%m%dT%H%M%SZ", &tm));
    struct sigv4_request r = {.method = s->method,
                              .path = str_c(s->path),
                              .headers = headers,
                              .n_headers = n,
                              .body = buf_view(&s->body),
                              .region = str_c(region),
                              .service = str_c(service),
                              .time_ms = (int64_t)timegm(&tm) * 1000};
    assert_int_equal(sigv4_sign(&key, &r, c, &text, out, &n_out, &d), OK);
    assert_str_c(out[n_out - 1].value, s->authorization);
}

static void test_json(void **state)
{
    struct fixture *f = *state;
    struct aws_credentials *c = keys("AKID", "token");
    reply(f, 200, "{\"clusterArns\": []}");
    reply(f, 200, "");
    open_calls(f);
    aws_calls_credentials(f->calls, c, NULL);
    run(f, &aws_ecs, "ListClusters", "");
    assert_int_equal(f->err, OK);
    assert_int_equal(f->status, 200);
    assert_int_equal(f->attempts, 1);
    assert_str_c(buf_view(&f->body), "{\"clusterArns\": []}");
    const struct seen *s = &f->seen[0];
    assert_string_equal(s->method, "POST");
    assert_string_equal(s->path, "/");
    assert_string_equal(s->target, "AmazonEC2ContainerServiceV20141113.ListClusters");
    assert_string_equal(s->content_type, "application/x-amz-json-1.1");
    assert_str_c(buf_view(&s->body), "{}");
    assert_string_equal(s->token, "token");
    assert_string_equal(s->attempt, "attempt=1; max=3");
    assert_int_equal(strlen(s->id), 36);
    struct http_header headers[] = {
        {.name = STR("host"), .value = str_c(f->url + 7)},
        {.name = STR("content-type"), .value = STR("application/x-amz-json-1.1")},
        {.name = STR("x-amz-target"), .value = STR("AmazonEC2ContainerServiceV20141113.ListClusters")}};
    check_signature(f, s, "ecs", "eu-west-1", c, headers, 3);

    /* an empty body is what some operations answer */
    run(f, &aws_logs, "CreateLogGroup", "{\"logGroupName\":\"a\"}");
    assert_int_equal(f->err, OK);
    assert_string_equal(f->seen[1].target, "Logs_20140328.CreateLogGroup");
    assert_str_c(buf_view(&f->seen[1].body), "{\"logGroupName\":\"a\"}");
    struct counter_label ok[] = {{STR("operation"), STR("ListClusters")}, {STR("code"), STR("200")}};
    assert_true(counters_sum(f->counters, "leadline_aws_calls_total", ok, 2) == 1);
    aws_credentials_unref(c);
}

static void test_query_and_rest(void **state)
{
    struct fixture *f = *state;
    struct http_header own = {.name = STR("X-Of-The-Caller"), .value = STR("yes")};
    reply(f, 200, "<r/>");
    reply(f, 200, "<r/>");
    reply(f, 200, "{}");
    reply(f, 200, "{}");
    open_calls(f);
    give(f, keys("AKID", ""));
    run(f, &aws_ec2, "DescribeInstances", "MaxResults=5");
    assert_int_equal(f->err, OK);
    assert_str_c(buf_view(&f->seen[0].body), "Action=DescribeInstances&Version=2016-11-15&MaxResults=5");
    assert_string_equal(f->seen[0].content_type, "application/x-www-form-urlencoded; charset=utf-8");
    assert_string_equal(f->seen[0].token, "");
    run(f, &aws_sts, "GetCallerIdentity", "");
    assert_str_c(buf_view(&f->seen[1].body), "Action=GetCallerIdentity&Version=2011-06-15");
    begin(f, &aws_sso, "GetRoleCredentials", "");
    f->call.method = STR("GET");
    f->call.path = STR("/federation/credentials?role_name=a%20b");
    f->call.headers = &own;
    f->call.n_headers = 1;
    f->call.is_unsigned = true;
    aws_calls_start_as(f->calls, &f->call, NULL);
    finish(f);
    assert_int_equal(f->err, OK);
    assert_string_equal(f->seen[2].path, "/federation/credentials");
    assert_string_equal(f->seen[2].method, "GET");
    assert_string_equal(f->seen[2].authorization, "");
    assert_string_equal(f->seen[2].header, "yes");
    run(f, &aws_cloudwatch, "PutMetricData", "{}");
    assert_string_equal(f->seen[3].content_type, "application/x-amz-json-1.0");
    assert_string_equal(f->seen[3].query_mode, "true");
}

static void test_error_answer(void **state)
{
    struct fixture *f = *state;
    reply(f, 400,
          "{\"__type\":\"com.amazonaws.ecs#AccessDeniedException\",\"Message\":\"User: x is not\\nauthorized\"}");
    reply(f, 400,
          "<Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code><Message>no i-1</Message></Error></Errors>"
          "<RequestID>77</RequestID></Response>");
    reply(f, 404, "not there");
    open_calls(f);
    give(f, keys("AKID", ""));
    run(f, &aws_ecs, "ListTasks", "");
    assert_int_equal(f->err, ERR_AUTH);
    assert_int_equal(f->attempts, 1);
    assert_string_equal(f->code, "AccessDeniedException");
    assert_string_equal(f->message, "User: x is not authorized");
    assert_string_equal(f->text, "ecs ListTasks: AccessDeniedException: User: x is not authorized (HTTP status 400)");
    run(f, &aws_ec2, "DescribeInstances", "");
    assert_int_equal(f->err, ERR_NOT_FOUND);
    assert_string_equal(f->text, "ec2 DescribeInstances: InvalidInstanceID.NotFound: no i-1 (HTTP status 400, "
                                 "request id 77)");
    run(f, &aws_ecs, "ListTasks", "");
    assert_int_equal(f->err, ERR_NOT_FOUND);
    assert_string_equal(f->code, "404");
    struct counter_label denied[] = {{STR("code"), STR("AccessDeniedException")}};
    assert_true(counters_sum(f->counters, "leadline_aws_calls_total", denied, 1) == 1);
}

static void test_garbage(void **state)
{
    struct fixture *f = *state;
    reply(f, 200, "<html><body>Please log in</body></html>");
    reply(f, 200, "<html><body>Please log in</body></html>");
    reply(f, 200, "{\"clusterArns\": [");
    reply(f, 200, "");
    open_calls(f);
    give(f, keys("AKID", ""));
    run(f, &aws_ecs, "ListClusters", "");
    assert_int_equal(f->err, ERR_SYNTAX);
    assert_string_equal(f->text, "ecs ListClusters: status 200 with a body that is no answer of AWS: "
                                 "\"<html><body>Please log in</body></html>\"");
    run(f, &aws_ec2, "DescribeInstances", "");
    assert_int_equal(f->err, ERR_SYNTAX);
    run(f, &aws_ecs, "ListClusters", "");
    assert_int_equal(f->err, ERR_SYNTAX);
    run(f, &aws_ec2, "DescribeInstances", "");
    assert_int_equal(f->err, ERR_SYNTAX);
}

static void test_retries(void **state)
{
    struct fixture *f = *state;
    reply(f, 500, "{\"__type\":\"ServerException\"}");
    reply(f, 503, "");
    reply(f, 200, "{}");
    for (int i = 0; i < 3; i++)
        reply(f, 502, "<html>bad gateway</html>");
    reply(f, 400, "{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}");
    reply(f, 400, "{\"__type\":\"LimitExceededException\",\"message\":\"too many groups\"}");
    open_calls(f);
    give(f, keys("AKID", ""));
    run(f, &aws_ecs, "ListClusters", "");
    assert_int_equal(f->err, OK);
    assert_int_equal(f->attempts, 3);
    assert_string_equal(f->seen[2].attempt, "attempt=3; max=3");
    assert_string_equal(f->seen[0].id, f->seen[2].id);
    run(f, &aws_ecs, "ListClusters", "");
    assert_int_equal(f->err, ERR_NET);
    assert_int_equal(f->attempts, 3);
    assert_string_equal(f->code, "502");
    assert_false(f->throttled);
    begin(f, &aws_ecs, "ListClusters", "");
    f->call.max_attempts = 1;
    aws_calls_start(f->calls, &f->call);
    finish(f);
    assert_int_equal(f->err, ERR_LIMIT);
    assert_true(f->throttled);
    run(f, &aws_logs, "CreateLogGroup", "{}");
    assert_int_equal(f->attempts, 1);
    assert_false(f->throttled);
    assert_true(counters_sum(f->counters, "leadline_aws_call_retries_total", NULL, 0) == 4);
}

static void test_no_server(void **state)
{
    struct fixture *f = *state;
    reply(f, 200, "{}");
    f->replies[0].hang = true;
    open_calls(f);
    give(f, keys("AKID", ""));
    begin(f, &aws_ecs, "ListClusters", "");
    f->call.endpoint = STR("http://127.0.0.1:1");
    aws_calls_start(f->calls, &f->call);
    finish(f);
    assert_int_equal(f->err, ERR_NET);
    assert_int_equal(f->attempts, 3);
    assert_true(str_contains(str_c(f->text), STR("connection refused")));
    assert_true(str_starts(str_c(f->text), STR("ecs ListClusters: ")));
    begin(f, &aws_ecs, "ListClusters", "");
    f->call.timeout_ms = 50;
    f->call.max_attempts = 1;
    aws_calls_start(f->calls, &f->call);
    finish(f);
    assert_int_equal(f->err, ERR_TIMEOUT);
}

static void test_waits_for_credentials(void **state)
{
    struct fixture *f = *state;
    struct diag d = {0};
    reply(f, 200, "{}");
    begin(f, &aws_ecs, "ListClusters", "");
    aws_calls_start(f->calls, &f->call);
    world_for(f->loop, 20);
    assert_int_equal(f->n_done, 0);
    give(f, keys("AKID", ""));
    assert_int_equal(f->n_done, 0);
    finish(f);
    assert_int_equal(f->err, OK);
    /* none: at once, in the chain's words */
    diag_set(&d, ERR_NOT_FOUND, "no credentials anywhere");
    aws_calls_credentials(f->calls, NULL, &d);
    run(f, &aws_ecs, "ListClusters", "");
    assert_int_equal(f->err, ERR_AUTH);
    assert_string_equal(f->text, "ecs ListClusters: no credentials anywhere");
    assert_int_equal(f->n_seen, 1);
}

static void test_gives_up_waiting(void **state)
{
    struct fixture *f = *state;
    begin(f, &aws_ecs, "ListClusters", "");
    f->call.timeout_ms = 30;
    aws_calls_start(f->calls, &f->call);
    finish(f);
    assert_int_equal(f->err, ERR_AUTH);
    assert_string_equal(f->text, "ecs ListClusters: AWS credentials are still being looked for");
}

static void test_expired_token(void **state)
{
    struct fixture *f = *state;
    const char *expired = "{\"__type\":\"ExpiredTokenException\",\"message\":\"expired\"}";
    reply(f, 400, expired);
    reply(f, 200, "{}");
    reply(f, 400, expired);
    reply(f, 400, expired);
    reply(f, 400, expired);
    open_calls(f);
    give(f, keys("OLD", "old"));
    /* once refreshed, the call goes out again, though it has but one attempt */
    f->after_refusal = keys("NEW", "new");
    begin(f, &aws_ecs, "ListClusters", "");
    f->call.max_attempts = 1;
    aws_calls_start(f->calls, &f->call);
    finish(f);
    assert_int_equal(f->err, OK);
    assert_int_equal(f->n_refused, 1);
    assert_string_equal(f->seen[0].token, "old");
    assert_string_equal(f->seen[1].token, "new");
    /* the same keys again: the error stands */
    run(f, &aws_ecs, "ListClusters", "");
    assert_int_equal(f->err, ERR_AUTH);
    assert_string_equal(f->code, "ExpiredTokenException");
    assert_int_equal(f->n_refused, 2);
    assert_int_equal(f->n_seen, 3);
    /* one refresh, not more */
    aws_credentials_unref(f->after_refusal);
    f->after_refusal = keys("NEWER", "newer");
    run(f, &aws_ecs, "ListClusters", "");
    assert_int_equal(f->err, ERR_AUTH);
    assert_int_equal(f->n_refused, 3);
    assert_int_equal(f->n_seen, 5);
}

static void test_none_after_refusal(void **state)
{
    struct fixture *f = *state;
    reply(f, 403, "<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>");
    open_calls(f);
    give(f, keys("OLD", "old"));
    f->none_after_refusal = true;
    run(f, &aws_sts, "GetCallerIdentity", "");
    assert_int_equal(f->err, ERR_AUTH);
    assert_string_equal(f->code, "InvalidClientTokenId");
}

/* The chain's own calls do not ask the chain. */
static void test_own_credentials(void **state)
{
    struct fixture *f = *state;
    struct aws_credentials *c = keys("SOURCE", "");
    reply(f, 403, "<ErrorResponse><Error><Code>ExpiredToken</Code></Error></ErrorResponse>");
    begin(f, &aws_sts, "AssumeRole", "RoleArn=a");
    aws_calls_start_as(f->calls, &f->call, c);
    aws_credentials_unref(c);
    finish(f);
    assert_int_equal(f->err, ERR_AUTH);
    assert_int_equal(f->n_refused, 0);
    assert_true(str_contains(str_c(f->seen[0].authorization), STR("Credential=SOURCE/")));
}

static void test_clock_skew(void **state)
{
    struct fixture *f = *state;
    const char *bad = "{\"__type\":\"InvalidSignatureException\",\"message\":\"Signature expired\"}";
    const char *date = "Sat, 01 Jan 2022 10:00:00 GMT";
    reply(f, 400, bad);
    f->replies[0].header = "Date";
    f->replies[0].value = date;
    reply(f, 200, "{}");
    reply(f, 200, "{}");
    reply(f, 400, bad);
    f->replies[3].header = "Date";
    f->replies[3].value = date;
    open_calls(f);
    give(f, keys("AKID", ""));
    run(f, &aws_ecs, "ListClusters", "");
    assert_int_equal(f->err, OK);
    assert_int_equal(f->attempts, 2);
    assert_memory_equal(f->seen[1].date, "20220101T100", 12);
    /* kept for this host */
    run(f, &aws_ecs, "ListClusters", "");
    assert_memory_equal(f->seen[2].date, "20220101T100", 12);
    assert_true(counters_sum(f->counters, "leadline_aws_clock_skew_seconds", NULL, 0) < -1000000);
    /* a bad signature at the right time is just that */
    run(f, &aws_ecs, "ListClusters", "");
    assert_int_equal(f->err, ERR_AUTH);
    assert_int_equal(f->attempts, 1);
}

static void test_cancel(void **state)
{
    struct fixture *f = *state;
    reply(f, 200, "{}");
    f->replies[0].hang = true;
    open_calls(f);
    /* while it waits */
    begin(f, &aws_ecs, "ListClusters", "");
    aws_calls_start(f->calls, &f->call);
    aws_calls_cancel(f->calls, &f->call);
    aws_calls_cancel(f->calls, &f->call);
    /* while it is out */
    give(f, keys("AKID", ""));
    begin(f, &aws_ecs, "ListClusters", "");
    aws_calls_start(f->calls, &f->call);
    world_until(f->loop, f->hanging);
    aws_calls_cancel(f->calls, &f->call);
    world_for(f->loop, 20);
    assert_int_equal(f->n_done, 0);
    /* with the whole */
    aws_calls_start(f->calls, &f->call);
    aws_calls_free(f->calls);
    f->calls = NULL;
    world_for(f->loop, 20);
    assert_int_equal(f->n_done, 0);
}

static void free_in_done(struct aws_call *c, const struct aws_answer *a)
{
    struct fixture *f = CONTAINER_OF(c, struct fixture, call);
    aws_calls_free(f->calls);
    f->calls = NULL;
    done(c, a);
}

static void test_free_in_done(void **state)
{
    struct fixture *f = *state;
    reply(f, 200, "{}");
    reply(f, 403, "{\"error\":\"x\"}");
    for (int i = 0; i < 2; i++) {
        begin(f, i ? &aws_sso : &aws_ecs, "ListClusters", "");
        give(f, keys("AKID", ""));
        f->call.path = i ? STR("/x") : STR_NONE;
        f->call.method = STR("GET");
        f->call.done = free_in_done;
        aws_calls_start(f->calls, &f->call);
        finish(f);
        assert_null(f->calls);
    }
    assert_string_equal(f->code, "x");
}

static void expect_endpoint(struct fixture *f, const struct aws_service *service, const char *want)
{
    struct diag d = {0};
    AUTO_BUF url = {0};
    open_calls(f);
    if (aws_calls_endpoint(f->calls, service, &url, &d) != OK)
        buf_c(&url, d.text);
    assert_str_c(buf_view(&url), want);
    aws_calls_free(f->calls);
    f->calls = NULL;
}

static void test_endpoints(void **state)
{
    struct fixture *f = *state;
    f->variables[0][1] = "";
    expect_endpoint(f, &aws_ecs, "https://ecs.eu-west-1.amazonaws.com");
    f->keys[0][0] = "endpoint_url";
    f->keys[0][1] = "http://profile";
    expect_endpoint(f, &aws_logs, "http://profile");
    f->of_service[0][0] = "cloudwatch_logs";
    f->of_service[0][1] = "http://profile-logs";
    expect_endpoint(f, &aws_logs, "http://profile-logs");
    expect_endpoint(f, &aws_ecs, "http://profile");
    f->variables[0][1] = "http://all";
    expect_endpoint(f, &aws_logs, "http://all");
    f->variables[1][0] = "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS";
    f->variables[1][1] = "http://logs";
    expect_endpoint(f, &aws_logs, "http://logs");
    expect_endpoint(f, &aws_ecs, "http://all");
    f->from.endpoint = STR("http://configured");
    expect_endpoint(f, &aws_logs, "http://configured");
    expect_endpoint(f, &aws_sts, "http://all");
    f->from.endpoint = STR_NONE;
    f->variables[2][0] = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";
    f->variables[2][1] = "True";
    f->variables[3][0] = "AWS_USE_FIPS_ENDPOINT";
    f->variables[3][1] = "true";
    f->keys[1][0] = "use_dualstack_endpoint";
    f->keys[1][1] = "true";
    expect_endpoint(f, &aws_logs, "https://logs-fips.eu-west-1.api.aws");
    f->variables[3][1] = "false";
    f->keys[1][1] = "false";
    f->variables[4][0] = "AWS_STS_REGIONAL_ENDPOINTS";
    f->variables[4][1] = "legacy";
    expect_endpoint(f, &aws_sts, "https://sts.amazonaws.com");
    f->from.region = STR_NONE;
    expect_endpoint(f, &aws_ecs, "Invalid Configuration: Missing Region");
}

static void test_bad_settings(void **state)
{
    struct fixture *f = *state;
    static const char *const table[][3] = {
        {"AWS_USE_FIPS_ENDPOINT", "1", "AWS_USE_FIPS_ENDPOINT is \"1\": true or false is wanted"},
        {"AWS_MAX_ATTEMPTS", "0", "AWS_MAX_ATTEMPTS is \"0\": a number from 1 to 100 is wanted"},
        {"AWS_RETRY_MODE", "wild", "AWS_RETRY_MODE is \"wild\": standard, adaptive or legacy is wanted"},
        {"AWS_STS_REGIONAL_ENDPOINTS", "x", "AWS_STS_REGIONAL_ENDPOINTS is \"x\": regional or legacy is wanted"},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct diag d = {0};
        f->variables[1][0] = table[i][0];
        f->variables[1][1] = table[i][1];
        assert_int_equal(aws_calls_new(&f->from, &f->calls, &d), ERR_SYNTAX);
        assert_string_equal(d.text, table[i][2]);
        assert_null(f->calls);
    }
    f->variables[1][0] = "AWS_MAX_ATTEMPTS";
    f->variables[1][1] = "1";
    reply(f, 500, "");
    open_calls(f);
    give(f, keys("AKID", ""));
    run(f, &aws_ecs, "ListClusters", "");
    assert_int_equal(f->attempts, 1);
}

static void test_http_options(void **state)
{
    struct fixture *f = *state;
    open_calls(f);
    assert_int_equal(aws_calls_http_options(f->calls)->tls.ca_file.n, 0);
    assert_true(aws_calls_http_options(f->calls)->proxy_from_environment);
    aws_calls_free(f->calls);
    f->keys[0][0] = "ca_bundle";
    f->keys[0][1] = "/profile.pem";
    open_calls(f);
    assert_str_c(aws_calls_http_options(f->calls)->tls.ca_file, "/profile.pem");
    aws_calls_free(f->calls);
    f->variables[1][0] = "AWS_CA_BUNDLE";
    f->variables[1][1] = "/no/such/bundle.pem";
    open_calls(f);
    assert_str_c(aws_calls_http_options(f->calls)->tls.ca_file, "/no/such/bundle.pem");
    /* a bundle that cannot be read is an error of each call that needs it */
    give(f, keys("AKID", ""));
    begin(f, &aws_ecs, "ListClusters", "");
    f->call.endpoint = STR("https://127.0.0.1:1");
    f->call.max_attempts = 1;
    aws_calls_start(f->calls, &f->call);
    finish(f);
    assert_int_not_equal(f->err, OK);
    assert_true(str_contains(str_c(f->text), STR("/no/such/bundle.pem")));
}

static void test_cloud_map_has_two_fronts(void **state)
{
    struct fixture *f = *state;
    reply(f, 200, "{}");
    reply(f, 200, "{}");
    open_calls(f);
    give(f, keys("AKID", ""));
    run(f, &aws_servicediscovery, "DiscoverInstances", "{}");
    run(f, &aws_servicediscovery, "ListServices", "{}");
    assert_string_equal(f->seen[0].target, "Route53AutoNaming_v20170314.DiscoverInstances");
    assert_true(str_contains(str_c(f->seen[0].authorization), STR("/eu-west-1/servicediscovery/")));
}

static void test_adaptive(void **state)
{
    struct fixture *f = *state;
    f->variables[1][0] = "AWS_RETRY_MODE";
    f->variables[1][1] = "adaptive";
    reply(f, 429, "{\"__type\":\"RequestLimitExceeded\"}");
    reply(f, 200, "{}");
    open_calls(f);
    give(f, keys("AKID", ""));
    begin(f, &aws_servicediscovery, "ListServices", "{}");
    uint64_t before = clock_mono_ms();
    aws_calls_start(f->calls, &f->call);
    finish(f);
    assert_int_equal(f->err, OK);
    assert_int_equal(f->attempts, 2);
    /* half a token a second is the least */
    assert_true(clock_mono_ms() - before >= 1500);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_json),
        TEST(test_query_and_rest),
        TEST(test_error_answer),
        TEST(test_garbage),
        TEST(test_retries),
        TEST(test_no_server),
        TEST(test_waits_for_credentials),
        TEST(test_gives_up_waiting),
        TEST(test_expired_token),
        TEST(test_none_after_refusal),
        TEST(test_own_credentials),
        TEST(test_clock_skew),
        TEST(test_cancel),
        TEST(test_free_in_done),
        TEST(test_endpoints),
        TEST(test_bad_settings),
        TEST(test_http_options),
        TEST(test_cloud_map_has_two_fronts),
        TEST(test_adaptive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
