/* check_aws: `leadline check aws` says as whom leadline would speak to AWS, and whether AWS agrees.
 *
 *   region       eu-west-1 (AWS_REGION)
 *   credentials  ****************WXYZ (container endpoint), expire 2026-01-02T03:04:05Z
 *   search       configuration       passed over: no access_key in it
 *                environment         passed over: AWS_ACCESS_KEY_ID is not set
 *                ...
 *                container endpoint  used: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI
 *   identity     arn:aws:sts::123456789012:assumed-role/task/x, account 123456789012
 *
 * With --config.file it does so for every destination and every discovery in the file that speaks to AWS, by their own
 * settings; without it for what the flags say. The last step is sts GetCallerIdentity, which needs no permission.
 * Exit status 0 when AWS knows who we are, every time; else 1.
 */
#include <stdio.h>
#include <stdlib.h>

#include "aws/aws.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/version.h"
#include "cmd/cmd.h"
#include "cmd/flags.h"
#include "config/config.h"

static const struct flag_spec specs[] = {
    {"help", FLAG_BOOL, FLAG_USED, "false", NULL, "Show this help.", 'h', false},
    {"config.file", FLAG_TEXT, FLAG_USED, NULL, NULL,
     "Prometheus configuration file: checks each of its users of AWS, with their settings.", 0, false},
    {"region", FLAG_TEXT, FLAG_USED, NULL, NULL, "Region to use.", 0, false},
    {"profile", FLAG_TEXT, FLAG_USED, NULL, NULL, "Profile to use.", 0, false},
    {"role-arn", FLAG_TEXT, FLAG_USED, NULL, NULL, "Role to assume with the credentials found.", 0, false},
    {"external-id", FLAG_TEXT, FLAG_USED, NULL, NULL, "External ID to assume it with.", 0, false},
};

struct check {
    struct aws_config config;
    struct str what; /* "remote_write x"; empty: the flags */
};

struct checker {
    struct loop *loop;
    struct http_client *http;
    struct aws *aws;
    struct aws_session *session;
    struct aws_listener listener;
    struct aws_call call;
    struct timer go_on;
    struct arena arena;
    struct check *checks;
    uint32_t n, at;
    bool bad;
};

static void next_check(struct timer *t);

/* ---- what is printed ---- */

static void print_region(struct checker *c)
{
    struct str region = aws_session_region(c->session), source = aws_session_region_source(c->session);

    if (region.n)
        printf("region       %.*s (%.*s)\n", STR_ARGS(region), STR_ARGS(source));
    else
        printf("region       not known\n");
}

static void print_credentials(const struct aws_credentials *k)
{
    size_t hidden = k->access_key.n > 8 ? k->access_key.n - 4 : k->access_key.n;
    AUTO_BUF text = {0};

    for (size_t i = 0; i < hidden; i++)
        buf_char(&text, '*');
    buf_append(&text, k->access_key.p + hidden, k->access_key.n - hidden);
    buf_printf(&text, " (%.*s)", STR_ARGS(k->source));
    if (k->expires_ms == INT64_MAX) {
        buf_c(&text, ", do not expire");
    } else {
        buf_c(&text, k->expires_ms > clock_wall_ms() ? ", expire " : ", EXPIRED ");
        clock_print(&text, k->expires_ms);
    }
    printf("credentials  %s\n", text.p);
}

static void print_steps(struct checker *c)
{
    static const char *const verdicts[] = {
        [AWS_STEP_PASSED_OVER] = "passed over",
        [AWS_STEP_USED] = "used",
        [AWS_STEP_FAILED] = "failed",
        [AWS_STEP_NOT_REACHED] = "not looked at",
    };
    const struct aws_step *steps = NULL;
    uint32_t n = aws_session_steps(c->session, &steps);

    for (uint32_t i = 0; i < n; i++)
        printf("%-12s %-19.*s %s%s%.*s\n", i == 0 ? "search" : "", STR_ARGS(steps[i].name), verdicts[steps[i].verdict],
               steps[i].why.n ? ": " : "", STR_ARGS(steps[i].why));
}

static void print_clock(struct checker *c)
{
    int64_t behind = aws_session_clock_behind_ms(c->session, &aws_sts) / 1000;
    int64_t off = behind < 0 ? -behind : behind;

    if (off)
        printf("clock        %lld min %lld s %s AWS: signatures are corrected by it; set the clock\n",
               (long long)(off / 60), (long long)(off % 60), behind < 0 ? "ahead of" : "behind");
}

/* ---- one check ---- */

static void end_check(struct checker *c, bool good)
{
    c->bad = c->bad || !good;
    c->at++;
    timer_start(c->loop, &c->go_on, 0, next_check);
}

static void on_identity(struct aws_call *call, const struct aws_answer *a)
{
    struct checker *c = CONTAINER_OF(call, struct checker, call);
    struct str account, arn;
    struct diag d = a->diag;
    enum err err = a->err;

    if (!err)
        err = aws_identity_parse(a->body, &c->arena, &account, &arn, &d);
    if (err)
        printf("identity     FAILED: %s\n", d.text);
    else
        printf("identity     %.*s, account %.*s\n", STR_ARGS(arn), STR_ARGS(account));
    print_clock(c);
    end_check(c, !err);
}

static void on_changed(struct aws_listener *l, struct aws_credentials *k, const struct diag *d)
{
    struct checker *c = CONTAINER_OF(l, struct checker, listener);

    aws_session_unlisten(c->session, l);
    print_region(c);
    if (k)
        print_credentials(k);
    else
        printf("credentials  FAILED: %s\n", d->text);
    print_steps(c);
    fflush(stdout);
    if (!k) {
        end_check(c, false);
        return;
    }
    c->call = (struct aws_call){.service = &aws_sts, .operation = "GetCallerIdentity", .done = on_identity};
    aws_call_start(c->session, &c->call);
}

static void close_all(struct checker *c)
{
    aws_free(c->aws);
    http_client_free(c->http);
    loop_stop(c->loop);
}

static void next_check(struct timer *t)
{
    struct checker *c = CONTAINER_OF(t, struct checker, go_on);
    struct diag d = {0};

    if (c->session)
        aws_session_release(c->session);
    c->session = NULL;
    if (c->at == c->n) {
        close_all(c);
        return;
    }
    struct check *check = &c->checks[c->at];
    if (check->what.n)
        printf("%s%.*s\n", c->at ? "\n" : "", STR_ARGS(check->what));
    if (aws_session_get(c->aws, &check->config, &c->session, &d)) {
        printf("credentials  FAILED: %s\n", d.text);
        end_check(c, false);
        return;
    }
    c->listener = (struct aws_listener){.changed = on_changed};
    aws_session_listen(c->session, &c->listener);
}

/* ---- what to check ---- */

static void add_check(struct checker *c, const struct aws_config *config, const char *what, struct str name)
{
    struct check *grown = ARENA_ARRAY(&c->arena, struct check, c->n + 1);

    if (c->n)
        memcpy(grown, c->checks, c->n * sizeof(*grown));
    c->checks = grown;
    grown[c->n++] = (struct check){
        .config = *config,
        .what = what ? str_c(arena_printf(&c->arena, "%s %.*s", what, STR_ARGS(name))) : STR_NONE,
    };
}

static void add_of_plan(struct checker *c, const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->n_remote_writes; i++)
        if (plan->remote_writes[i].sigv4)
            add_check(c, plan->remote_writes[i].sigv4, "remote_write", plan->remote_writes[i].name);
    for (uint32_t i = 0; i < plan->n_scrapes; i++) {
        const struct plan_discovery *d = &plan->scrapes[i].discovery;
        for (uint32_t k = 0; k < d->n_aws_sd; k++)
            add_check(c, &d->aws_sd[k].aws, "discovery of job", plan->scrapes[i].job_name);
        for (uint32_t k = 0; k < d->n_cloudmap_sd; k++)
            add_check(c, &d->cloudmap_sd[k].aws, "discovery of job", plan->scrapes[i].job_name);
    }
}

static enum err load(struct checker *c, const struct flags *f, struct plan **plan)
{
    struct config_options o = {.agent = true};
    struct diag d = {0};
    char text[1024];
    const char *path = flags_text(f, "config.file").p;
    enum err err = config_load_prometheus(path, &o, plan, NULL, &d);

    if (err) {
        diag_format(&d, text, sizeof(text));
        fprintf(stderr, "%s\n", text);
        return err;
    }
    add_of_plan(c, *plan);
    if (c->n == 0)
        printf("nothing in %s speaks to AWS (no sigv4, ec2_sd_configs, ecs_sd_configs or cloudmap_sd_configs)\n", path);
    return OK;
}

/* What a flag says beats what the file says. */
static void apply_flags(struct checker *c, const struct flags *f)
{
    for (uint32_t i = 0; i < c->n; i++) {
        struct aws_config *a = &c->checks[i].config;
        const struct {
            struct str *to;
            const char *flag;
        } parts[] = {{&a->region, "region"},
                     {&a->profile, "profile"},
                     {&a->role_arn, "role-arn"},
                     {&a->external_id, "external-id"}};
        for (size_t k = 0; k < COUNT_OF(parts); k++)
            if (flags_given(f, parts[k].flag))
                *parts[k].to = flags_text(f, parts[k].flag);
    }
}

static int run(const struct flags *f)
{
    struct http_client_limits limits = {.max_connecting = 4, .user_agent = LEADLINE_USER_AGENT};
    struct checker c = {.loop = NULL};
    struct plan *plan = NULL;

    if (flags_given(f, "config.file") ? load(&c, f, &plan) != OK : false)
        return 1;
    if (!plan)
        add_check(&c, &(struct aws_config){0}, NULL, STR_NONE);
    apply_flags(&c, f);
    c.loop = loop_new("check");
    c.http = http_client_new(c.loop, NULL, &limits);
    c.aws = aws_new(&(struct aws_env){.loop = c.loop, .http = c.http});
    timer_start(c.loop, &c.go_on, 0, next_check);
    loop_run(c.loop);
    loop_free(c.loop);
    if (plan)
        plan_unref(plan);
    arena_release(&c.arena);
    return c.bad ? 1 : 0;
}

int cmd_check_aws(int argc, char **argv)
{
    static const struct flags_command command = {
        .program = "leadline check aws",
        .summary = "Shows which AWS region and credentials are found, where, and whom AWS takes us for.",
        .specs = specs,
        .n_specs = COUNT_OF(specs),
        .max_rest = 0,
        .bad_usage = 1,
        .run = run,
    };
    return flags_run(&command, argc, argv);
}
