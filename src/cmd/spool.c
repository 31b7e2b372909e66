/* spool: `leadline spool ls|verify|replay DIR`, for people.
 *
 *   ls DIR           what each lane holds, and the ledger; beside a running program too
 *   verify DIR       the same, every record read and its checksum proved; exit status 1 when something is damaged
 *   replay DIR URL   delivers what waits to a remote-write endpoint, then leaves; takes the directory's lock
 *
 * DIR is the data directory (all destinations below it) or one destination's.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/flags.h"
#include "config/config.h"
#include "base/version.h"
#include "sink/remote_write/remote_write.h"
#include "spool/inspect.h"

static const struct flag_spec specs[] = {
    {"help", FLAG_BOOL, FLAG_USED, "false", NULL, "Show this help.", 'h', false},
    {"timeout", FLAG_DURATION, FLAG_USED, "5m", NULL, "replay: give up after this long; what is left stays.", 0, false},
};

/* ---- ls and verify ---- */

struct listing {
    uint32_t damaged;
    bool any;
};

static void print_time(int64_t ms)
{
    AUTO_BUF text = {0};

    if (ms)
        clock_print(&text, ms);
    printf("  %-24s", ms ? text.p : "-");
}

static void print_file(void *ctx, const struct spool_file_info *i)
{
    struct listing *l = ctx;

    if (!l->any)
        printf("%-5s %-9s %10s %9s %10s %10s  %-24s  %-24s  %s\n", "LANE", "SEGMENT", "BYTES", "REQUESTS", "SAMPLES",
               "WAITING", "FIRST", "LAST", "NOTE");
    l->any = true;
    printf("%-5u ", i->lane);
    if (i->segment == UINT64_MAX)
        printf("%-9s", "open");
    else
        printf("%08" PRIu64 " ", i->segment);
    printf(" %10" PRIu64 " %9" PRIu64 " %10" PRIu64 " %10" PRIu64, i->bytes, i->requests, i->samples,
           i->waiting_samples);
    print_time(i->first_ms);
    print_time(i->last_ms);
    printf("  %.*s\n", STR_ARGS(i->note));
    l->damaged += i->corrupt;
}

static void print_ledger(const struct spool_ledger *l)
{
    uint64_t dropped = 0;

    for (int r = 0; r < DROP_REASONS; r++)
        dropped += l->dropped[r];
    printf("read %" PRIu64 " = delivered %" PRIu64 " + waiting %" PRIu64 " + dropped %" PRIu64 "%s\n", l->read,
           l->delivered, l->waiting, dropped,
           l->read == l->delivered + l->waiting + dropped ? "" : "   DOES NOT BALANCE");
    for (int r = 0; r < DROP_REASONS; r++)
        if (l->dropped[r])
            printf("  dropped %-16s %" PRIu64 "\n", spool_reason_name((enum spool_reason)r), l->dropped[r]);
}

static int look(const char *directory, bool deep)
{
    struct listing l = {0};
    struct spool_ledger ledger = {0};
    struct diag d = {0};

    uint32_t protocol = 0;

    if (spool_inspect_protocol(directory, &protocol, &d) == OK && protocol >= SPOOL_PROTOCOL_SEALED)
        printf("%s: %s\n", directory, spool_protocol_name(protocol));
    else
        printf("%s\n", directory);
    d = (struct diag){0};
    if (spool_inspect(directory, deep, print_file, &l, &ledger, &d)) {
        fflush(stdout);
        fprintf(stderr, "%s: %s\n", directory, d.text);
        return 1;
    }
    if (!l.any)
        printf("nothing waits\n");
    print_ledger(&ledger);
    if (deep)
        printf(l.damaged ? "%u damaged records\n" : "every record is sound\n", l.damaged);
    return l.damaged ? 1 : 0;
}

static bool is_spool(const char *directory)
{
    AUTO_BUF path = {0};

    buf_printf(&path, "%s/meta", directory);
    return access(path.p, F_OK) == 0;
}

/* A destination's directory itself, or every one below a data directory. */
static int look_below(const char *directory, bool deep)
{
    int status = 0, found = 0;
    struct dirent **names = NULL;

    if (is_spool(directory))
        return look(directory, deep);
    int n = scandir(directory, &names, NULL, alphasort);
    if (n < 0) {
        perror(directory);
        return 1;
    }
    for (int i = 0; i < n; i++) {
        AUTO_BUF path = {0};
        buf_printf(&path, "%s/%s", directory, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && is_spool(path.p)) {
            status |= look(path.p, deep);
            found++;
        }
        free(names[i]);
    }
    free(names);
    if (!found) {
        fprintf(stderr, "%s: no spool here: give a data directory or one destination's directory below it\n",
                directory);
        return 1;
    }
    return status;
}

/* ---- replay ---- */

struct replay {
    struct loop *loop;
    struct http_client *http;
    struct remote_write *rw;
    struct timer deadline;
};

static void on_closed(void *ctx)
{
    struct replay *r = ctx;

    http_client_free(r->http);
    loop_stop(r->loop);
}

static void finish(struct replay *r)
{
    struct remote_write *rw = r->rw;

    timer_stop(&r->deadline);
    r->rw = NULL;
    if (rw)
        remote_write_close(rw, on_closed, r);
}

static void on_drained(void *ctx)
{
    finish(ctx);
}

static void on_deadline(struct timer *t)
{
    finish(CONTAINER_OF(t, struct replay, deadline));
}

static enum err make_plan(const char *url, struct plan **out, struct diag *d)
{
    AUTO_BUF text = {0};

    buf_c(&text, "remote_write: [{url: '");
    for (; *url; url++) {
        if (*url == '\'')
            buf_char(&text, '\'');
        buf_char(&text, *url);
    }
    buf_c(&text, "', name: replay, protobuf_message: io.prometheus.write.v2.Request}]\n");
    return config_parse_prometheus(buf_view(&text), "replay", ".", &(struct config_options){.agent = true}, out, NULL,
                                   d);
}

static enum err run_replay(const char *directory, struct plan *plan, uint64_t timeout_ms, struct log *log,
                           struct spool_ledger *before, struct spool_ledger *after, struct diag *d)
{
    struct spool_budget budget = {.max_bytes = UINT64_MAX, .max_memory_bytes = 64 << 20, .max_age_ms = 0};
    struct http_client_limits limits = {.max_connecting = LANES, .user_agent = LEADLINE_USER_AGENT};
    struct io_thread *io = io_thread_new();
    struct intern *intern = intern_new();
    struct scope_table *scopes = scope_table_new();
    struct replay r = {.loop = loop_new("replay")};
    struct spool *spool = NULL;
    struct spool_options so = {.directory = directory,
                               .destination = "replay",
                               .compression = COMPRESS_SNAPPY,
                               .protocol = 1,
                               .max_samples = 2000,
                               .max_raw_bytes = 1 << 20,
                               .seal_after_ms = 5000,
                               .budget = &budget,
                               .io = io,
                               .log = log};
    enum err err = spool_open(&so, &spool, d);

    if (!err) {
        spool_ledger(spool, before);
        r.http = http_client_new(r.loop, log, &limits);
        struct remote_write_options ro = {.loop = r.loop,
                                          .http = r.http,
                                          .intern = intern,
                                          .scopes = scopes,
                                          .spool = spool,
                                          .n_workers = 1,
                                          .plan = plan,
                                          .config = &plan->remote_writes[0],
                                          .compression = COMPRESS_ZSTD,
                                          .log = log};
        err = remote_write_new(&ro, &r.rw, d);
        if (!err) {
            remote_write_drain(r.rw, on_drained, &r);
            timer_start(r.loop, &r.deadline, timeout_ms, on_deadline);
            loop_run(r.loop);
            spool_ledger(spool, after);
        } else {
            http_client_free(r.http);
        }
        spool_close(spool);
    }
    scope_table_free(scopes);
    intern_free(intern);
    loop_free(r.loop);
    io_thread_free(io, 10000);
    return err;
}

/* Only remote write's requests are what a remote-write endpoint takes. */
static enum err check_replayable(const char *directory, struct diag *d)
{
    uint32_t protocol;
    enum err err = spool_inspect_protocol(directory, &protocol, d);

    if (err || protocol < SPOOL_PROTOCOL_SEALED)
        return err;
    return diag_set(d, ERR_UNSUPPORTED,
                    "what waits here is for %s, and replay sends to remote-write endpoints: to deliver it, start "
                    "leadline cloudwatch-agent with --spool.path on the directory that this one is in",
                    spool_protocol_name(protocol));
}

static int replay(const char *directory, const char *url, uint64_t timeout_ms)
{
    struct spool_ledger before = {0}, after = {0};
    struct diag d = {0};
    struct plan *plan = NULL;
    char text[800];

    if (!is_spool(directory)) {
        fprintf(stderr, "%s: no spool here: name one destination's directory\n", directory);
        return 1;
    }
    enum err err = check_replayable(directory, &d);
    if (!err)
        err = make_plan(url, &plan, &d);
    if (!err) {
        struct log *log = log_new(2, LOG_WARN, LOG_LOGFMT);
        err = run_replay(directory, plan, timeout_ms, log, &before, &after, &d);
        log_free(log);
        plan_unref(plan);
    }
    if (err) {
        diag_format(&d, text, sizeof(text));
        fprintf(stderr, "%s: %s\n", directory, text);
        return 1;
    }
    printf("delivered %" PRIu64 " samples of %" PRIu64 " waiting; %" PRIu64 " still wait\n",
           after.delivered - before.delivered, before.waiting, after.waiting);
    print_ledger(&after);
    return after.waiting ? 1 : 0;
}

static int run(const struct flags *f)
{
    if (f->n_rest == 2 && str_eq(f->rest[0], STR("ls")))
        return look_below(f->rest[1].p, false);
    if (f->n_rest == 2 && str_eq(f->rest[0], STR("verify")))
        return look_below(f->rest[1].p, true);
    if (f->n_rest == 3 && str_eq(f->rest[0], STR("replay")))
        return replay(f->rest[1].p, f->rest[2].p, (uint64_t)flags_duration_ms(f, "timeout"));
    fprintf(stderr, "usage: leadline spool ls DIR | verify DIR | replay DIR URL\n");
    return 2;
}

int cmd_spool(int argc, char **argv)
{
    static const struct flags_command command = {
        .program = "leadline spool ls|verify|replay",
        .summary = "Shows, proves or delivers what waits in a spool directory.",
        .specs = specs,
        .n_specs = COUNT_OF(specs),
        .max_rest = 3,
        .bad_usage = 2,
        .run = run,
    };
    return flags_run(&command, argc, argv);
}
