/* call: makes the AWS calls it reads, with a session as the program has it, and prints how they ended; for `run`.
 *
 *   call [ROLE_ARN]      environment: as for any AWS SDK
 *
 * A call a line, words with a tab between them: service (its name in signatures), operation, path (REST) and body. An
 * answer a line: "ok" and the body, or "error", the code and the text; tabs and line ends become spaces.
 */
#include <stdio.h>
#include <stdlib.h>

#include "aws/aws.h"
#include "base/mem.h"

static const struct aws_service *const services[] = {
    &aws_ecs, &aws_ec2,  &aws_servicediscovery, &aws_ssm, &aws_secretsmanager,
    &aws_sts, &aws_logs, &aws_cloudwatch,       &aws_aps};

struct world {
    struct loop *loop;
    struct http_client *http;
    struct aws *aws;
    struct aws_session *session;
    struct aws_call call;
    struct buf line;
    struct timer timer;
};

static const char *get_variable(void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

static void print_flat(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        putchar(s.p[i] < ' ' && s.p[i] >= 0 ? ' ' : s.p[i]);
}

static void next(struct timer *t);

static void on_done(struct aws_call *c, const struct aws_answer *a)
{
    struct world *w = CONTAINER_OF(c, struct world, call);

    printf(a->err ? "error\t%.*s\t" : "ok\t", STR_ARGS(a->code));
    print_flat(a->err ? str_c(a->diag.text) : a->body);
    putchar('\n');
    fflush(stdout);
    timer_start(w->loop, &w->timer, 0, next);
}

static void end(struct timer *t)
{
    loop_stop(CONTAINER_OF(t, struct world, timer)->loop);
}

static void next(struct timer *t)
{
    struct world *w = CONTAINER_OF(t, struct world, timer);
    char *text = NULL;
    size_t cap = 0;
    ssize_t n = getline(&text, &cap, stdin);
    struct str service, operation, path, rest;

    if (n <= 0) {
        free(text);
        aws_session_release(w->session);
        aws_free(w->aws);
        http_client_free(w->http);
        timer_start(w->loop, &w->timer, 50, end);
        return;
    }
    buf_clear(&w->line);
    buf_append(&w->line, text, (size_t)n - 1);
    free(text);
    str_cut(buf_view(&w->line), '\t', &service, &rest);
    str_cut(rest, '\t', &operation, &rest);
    str_cut(rest, '\t', &path, &rest);
    w->line.p[operation.p + operation.n - w->line.p] = '\0';
    if (path.p)
        w->line.p[path.p + path.n - w->line.p] = '\0';
    w->call = (struct aws_call){.operation = operation.p,
                                .method = STR("POST"),
                                .path = path,
                                .body = rest,
                                .max_attempts = 1,
                                .done = on_done};
    for (size_t i = 0; i < COUNT_OF(services); i++) {
        if (str_eq_c(service, services[i]->name))
            w->call.service = services[i];
    }
    CHECK(w->call.service);
    aws_call_start(w->session, &w->call);
}

int main(int argc, char **argv)
{
    struct world w = {.loop = loop_new("call")};
    struct aws_config config = {.role_arn = str_c(argc > 1 ? argv[1] : NULL)};
    struct http_client_limits limits = {.user_agent = "leadline"};
    struct diag d = {0};

    w.http = http_client_new(w.loop, NULL, &limits);
    w.aws = aws_new(&(struct aws_env){.loop = w.loop, .http = w.http, .getenv = get_variable});
    if (aws_session_get(w.aws, &config, &w.session, &d) != OK) {
        fprintf(stderr, "%s\n", d.text);
        return 1;
    }
    timer_start(w.loop, &w.timer, 0, next);
    loop_run(w.loop);
    loop_free(w.loop);
    buf_release(&w.line);
    return 0;
}
