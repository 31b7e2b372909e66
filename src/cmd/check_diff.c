/* check_diff: `leadline check diff GROUP GROUP` compares two log groups of performance log events, those of the
 * CloudWatch agent and those of a leadline that runs beside it (--shadow-log-group), so that a team sees for itself
 * before it switches.
 *
 *   FilterLogEvents, page by page, both groups at once --> format/emf_diff --> tables
 *
 *   WHAT           LEFT                RIGHT
 *   log group      /ecs/prometheus     /ecs/prometheus-shadow
 *   events         2400                2400
 *   billed bytes   1810022             1795440
 *   ...
 *
 *   METRICS OF ONE SIDE ONLY
 *   METRIC        LEFT     RIGHT  SERIES  FOR EXAMPLE
 *   nginx_up      present         3       {ClusterName="demo", ...}
 *
 *   different: 1 metric
 *
 * Exit status 0 when the groups are equal, 1 when they differ, 2 when they could not be compared: a call failed, a
 * group has no metrics in this time, or the command line is not good. Needs logs:FilterLogEvents on both groups.
 */
#include <stdio.h>
#include <stdlib.h>

#include "aws/aws.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/units.h"
#include "base/version.h"
#include "cmd/check.h"
#include "cmd/text_table.h"
#include "format/emf_diff.h"
#include "wire/json.h"
#include "wire/tree.h"

enum { WIDTH = 140, PAGE = 10000, TIMEOUT_MS = 60000, COULD_NOT = 2 };

static const struct flag_spec specs[] = {
    {"help", FLAG_BOOL, FLAG_USED, "false", NULL, "Show this help.", 'h', false},
    {"start", FLAG_TEXT, FLAG_USED, "1h", NULL,
     "Compare from here: a time such as 2026-01-02T03:04:05Z, or how long ago, such as 30m.", 0, false},
    {"end", FLAG_TEXT, FLAG_USED, "0s", NULL, "Compare up to here, written in the same way.", 0, false},
    {"region", FLAG_TEXT, FLAG_USED, NULL, NULL, "Region of the log groups.", 0, false},
    {"profile", FLAG_TEXT, FLAG_USED, NULL, NULL, "Profile to use.", 0, false},
    {"stream", FLAG_LIST, FLAG_USED, NULL, NULL, "Only this log stream of both groups. Repeatable.", 0, false},
    {"limit", FLAG_NUMBER, FLAG_USED, "200000", NULL, "At most so many events of each group, the earliest.", 0, false},
    {"namespace-suffix", FLAG_TEXT, FLAG_USED, NULL, NULL,
     "What --shadow-namespace-suffix has put behind the namespaces.", 0, false},
    {"ignore-label", FLAG_LIST, FLAG_USED, NULL, NULL,
     "A label that may differ: it is left out of both sides. Repeatable.", 0, false},
    {"tolerance", FLAG_DURATION, FLAG_USED, "0s", NULL,
     "How far apart in time the values of both sides may be. 0s: the interval of each series.", 0, false},
    {"value-tolerance", FLAG_TEXT, FLAG_USED, "0.05", NULL, "By how much of themselves values may differ.", 0, false},
    {"show", FLAG_NUMBER, FLAG_USED, "20", NULL, "How many differences of each kind are shown.", 0, false},
};

struct diff;

/* One of the two groups, while it is read. */
struct group {
    struct diff *diff;
    int side;
    struct str name;
    struct aws_call call;
    struct buf body, token;
    struct arena answer;
    uint64_t events;
    bool cut; /* at --limit */
};

struct diff {
    const struct flags *flags;
    struct loop *loop;
    struct http_client *http;
    struct aws *aws;
    struct aws_session *session;
    struct group groups[EMF_DIFF_SIDES];
    uint32_t reading;
    struct timer close;
    int64_t start_ms, end_ms;
    uint64_t limit;
    struct emf_diff *emf;
    bool failed;
};

/* ---- reading ---- */

static void close_all(struct timer *t)
{
    struct diff *c = CONTAINER_OF(t, struct diff, close);

    if (c->session)
        aws_session_release(c->session);
    aws_free(c->aws);
    http_client_free(c->http);
    loop_stop(c->loop);
}

static void end_reading(struct diff *c)
{
    if (--c->reading == 0)
        timer_start(c->loop, &c->close, 0, close_all);
}

static void write_request(struct group *g)
{
    struct diff *c = g->diff;
    const struct str *streams;
    uint32_t n = flags_list(c->flags, "stream", &streams);
    uint64_t left = c->limit - g->events;
    struct json j = json_to(&g->body);

    buf_clear(&g->body);
    json_object(&j);
    json_key_c(&j, str_starts(g->name, STR("arn:")) ? "logGroupIdentifier" : "logGroupName");
    json_str(&j, g->name);
    json_key_c(&j, "startTime");
    json_i64(&j, c->start_ms);
    json_key_c(&j, "endTime");
    json_i64(&j, c->end_ms);
    json_key_c(&j, "limit");
    json_u64(&j, left < PAGE ? left : PAGE);
    if (n) {
        json_key_c(&j, "logStreamNames");
        json_array(&j);
        for (uint32_t i = 0; i < n; i++)
            json_str(&j, streams[i]);
        json_array_end(&j);
    }
    if (g->token.n) {
        json_key_c(&j, "nextToken");
        json_str(&j, buf_view(&g->token));
    }
    json_object_end(&j);
}

static void ask(struct group *g);

static void read_events(struct group *g, const struct node *answer)
{
    const struct node *events = node_member(answer, "events", NODE_SEQUENCE);

    for (const struct node *e = events ? events->first : NULL; e && g->events < g->diff->limit; e = e->next) {
        const struct node *ts = node_member(e, "timestamp", NODE_NUMBER);
        int64_t ms;
        if (!ts || !node_i64(ts, &ms))
            continue;
        emf_diff_add(g->diff->emf, g->side, ms, node_text(e, "message"));
        g->events++;
    }
}

static void on_page(struct aws_call *call, const struct aws_answer *a)
{
    struct group *g = CONTAINER_OF(call, struct group, call);
    struct node *answer = NULL;
    struct diag d = a->diag;
    enum err err = a->err;
    struct str token = STR("");

    arena_reset(&g->answer);
    if (!err)
        err = tree_parse_json(a->body, "FilterLogEvents", &g->answer, &answer, &d);
    if (err) {
        fprintf(stderr, "leadline check diff: log group %.*s: %s\n", STR_ARGS(g->name), d.text);
        g->diff->failed = true;
        end_reading(g->diff);
        return;
    }
    if (answer && answer->kind == NODE_MAPPING) {
        read_events(g, answer);
        token = node_text(answer, "nextToken");
    }
    bool again = token.n && !str_eq(token, buf_view(&g->token));
    g->cut = again && g->events >= g->diff->limit;
    buf_clear(&g->token);
    buf_str(&g->token, token);
    if (again && !g->cut && !g->diff->failed)
        ask(g);
    else
        end_reading(g->diff);
}

static void ask(struct group *g)
{
    write_request(g);
    g->call = (struct aws_call){.service = &aws_logs,
                                .operation = "FilterLogEvents",
                                .body = buf_view(&g->body),
                                .timeout_ms = TIMEOUT_MS,
                                .done = on_page};
    aws_call_start(g->diff->session, &g->call);
}

static void read_groups(struct diff *c)
{
    struct http_client_limits limits = {.max_connecting = 4, .user_agent = LEADLINE_USER_AGENT};
    struct aws_config config = {.region = flags_text(c->flags, "region"), .profile = flags_text(c->flags, "profile")};
    struct diag d = {0};

    c->loop = loop_new("check");
    c->http = http_client_new(c->loop, NULL, &limits);
    c->aws = aws_new(&(struct aws_env){.loop = c->loop, .http = c->http});
    if (aws_session_get(c->aws, &config, &c->session, &d)) {
        fprintf(stderr, "leadline check diff: %s\n", d.text);
        c->failed = true;
        timer_start(c->loop, &c->close, 0, close_all);
    }
    for (int side = 0; c->session && side < EMF_DIFF_SIDES; side++) {
        struct group *g = &c->groups[side];
        g->diff = c;
        g->side = side;
        g->name = c->flags->rest[side];
        c->reading++;
        ask(g);
    }
    loop_run(c->loop);
    loop_free(c->loop);
    for (int side = 0; side < EMF_DIFF_SIDES; side++) {
        buf_release(&c->groups[side].body);
        buf_release(&c->groups[side].token);
        arena_release(&c->groups[side].answer);
    }
}

/* ---- what is printed ---- */

static void row(struct text_table *t, const char *what, struct str left, struct str right)
{
    text_table_add(t, str_c(what));
    text_table_add(t, left);
    text_table_add(t, right);
}

static void number_row(struct text_table *t, const char *what, uint64_t left, uint64_t right)
{
    char l[24], r[24];
    size_t n = num_print_u64(left, l), m = num_print_u64(right, r);
    row(t, what, str_from(l, n), str_from(r, m));
}

/* A row that is there only when there is something to say. */
static void odd_row(struct text_table *t, const char *what, uint64_t left, uint64_t right)
{
    if (left || right)
        number_row(t, what, left, right);
}

static void time_row(struct text_table *t, const char *what, int64_t left, int64_t right)
{
    AUTO_BUF l = {0}, r = {0};

    if (left)
        clock_print(&l, left);
    if (right)
        clock_print(&r, right);
    row(t, what, buf_view(&l), buf_view(&r));
}

static void ratio_row(struct text_table *t, const char *what, const struct emf_diff_side *l,
                      const struct emf_diff_side *r)
{
    AUTO_BUF left = {0}, right = {0};

    buf_printf(&left, "%.1f", l->values ? (double)l->billed_bytes / (double)l->values : 0.0);
    buf_printf(&right, "%.1f", r->values ? (double)r->billed_bytes / (double)r->values : 0.0);
    row(t, what, buf_view(&left), buf_view(&right));
}

static void print_sides(const struct diff *c, const struct emf_diff_result *r)
{
    static const char *const names[] = {"WHAT", "LEFT", "RIGHT"};
    const struct emf_diff_side *a = &r->sides[EMF_DIFF_LEFT], *b = &r->sides[EMF_DIFF_RIGHT];
    struct text_table t;
    AUTO_BUF out = {0};

    text_table_init(&t, names, COUNT_OF(names));
    row(&t, "log group", c->groups[EMF_DIFF_LEFT].name, c->groups[EMF_DIFF_RIGHT].name);
    number_row(&t, "events", a->events, b->events);
    odd_row(&t, "  of these of version 1", a->version_1, b->version_1);
    odd_row(&t, "  of these no JSON objects", a->others, b->others);
    odd_row(&t, "  of these over 100 metrics a directive", a->over_100, b->over_100);
    time_row(&t, "from", a->first_ms, b->first_ms);
    time_row(&t, "to", a->last_ms, b->last_ms);
    number_row(&t, "values", a->values, b->values);
    number_row(&t, "  of these with a directive", a->declared_values, b->declared_values);
    odd_row(&t, "  of these repeated", a->repeated, b->repeated);
    number_row(&t, "label sets", a->label_sets, b->label_sets);
    number_row(&t, "series", a->series, b->series);
    number_row(&t, "billed bytes", a->billed_bytes, b->billed_bytes);
    ratio_row(&t, "billed bytes a value", a, b);
    text_table_print(&t, WIDTH, &out);
    fwrite(out.p, 1, out.n, stdout);
    text_table_release(&t);
    for (int side = 0; side < EMF_DIFF_SIDES; side++)
        if (c->groups[side].cut)
            printf("\n%.*s has more events than --limit=%llu: the rest was not read\n", STR_ARGS(c->groups[side].name),
                   (unsigned long long)c->limit);
}

static const struct {
    const char *title, *subject, *one, *many;
} kinds[EMF_DIFF_KINDS] = {
    [EMF_DIFF_LABEL_NAME] = {"LABELS OF ONE SIDE ONLY", "LABEL", "label", "labels"},
    [EMF_DIFF_LABEL_SET] = {"LABEL SETS OF ONE SIDE ONLY", "LABEL SET", "label set", "label sets"},
    [EMF_DIFF_METRIC] = {"METRICS OF ONE SIDE ONLY", "METRIC", "metric", "metrics"},
    [EMF_DIFF_DIRECTIVE] = {"DIRECTIVES OF ONE SIDE ONLY", "METRIC", "directive", "directives"},
    [EMF_DIFF_TIMES] = {"VALUES WITHOUT A COUNTERPART", "METRIC", "series with gaps", "series with gaps"},
    [EMF_DIFF_VALUES] = {"OTHER VALUES", "METRIC", "series with other values", "series with other values"},
};

static void print_kind(const struct emf_diff_result *r, uint32_t from, uint32_t show)
{
    enum emf_difference_kind kind = r->differences[from].kind;
    const char *const names[] = {kinds[kind].subject, "LEFT", "RIGHT", "SERIES", "FOR EXAMPLE"};
    uint32_t n = r->by_kind[kind], shown = n < show ? n : show;
    struct text_table t;
    AUTO_BUF out = {0};
    char number[24];

    text_table_init(&t, names, COUNT_OF(names));
    for (uint32_t i = from; i < from + shown; i++) {
        const struct emf_difference *d = &r->differences[i];
        text_table_add(&t, d->subject);
        text_table_add(&t, d->left);
        text_table_add(&t, d->right);
        text_table_add(&t, d->where.n ? str_from(number, num_print_u64(d->series, number)) : STR(""));
        text_table_add(&t, d->where);
    }
    text_table_print(&t, WIDTH, &out);
    printf("\n%s\n", kinds[kind].title);
    fwrite(out.p ? out.p : "", 1, out.n, stdout);
    if (n > shown)
        printf("... and %u more: --show=%u\n", n - shown, n);
    text_table_release(&t);
}

static void print_verdict(const struct emf_diff_result *r)
{
    AUTO_BUF text = {0};

    if (r->n == 0) {
        units_print_duration(&text, (r->to_ms - r->from_ms) / 1000 * 1000);
        printf("\nequal: %u series, over %s that both cover\n", r->sides[EMF_DIFF_LEFT].series, text.p);
        return;
    }
    for (int k = 0; k < EMF_DIFF_KINDS; k++)
        if (r->by_kind[k])
            buf_printf(&text, "%s%u %s", text.n ? ", " : "", r->by_kind[k],
                       r->by_kind[k] == 1 ? kinds[k].one : kinds[k].many);
    printf("\ndifferent: %s\n", text.p);
}

static int compare(struct diff *c)
{
    struct arena a = {0};
    struct emf_diff_result r;
    struct diag d = {0};
    enum err err = emf_diff_compare(c->emf, &a, &r, &d);
    int status = err ? COULD_NOT : r.n ? 1 : 0;

    print_sides(c, &r);
    for (uint32_t i = 0; !err && i < r.n; i += r.by_kind[r.differences[i].kind])
        print_kind(&r, i, (uint32_t)flags_number(c->flags, "show"));
    if (err) {
        fflush(stdout);
        fprintf(stderr, "leadline check diff: %s\n", d.text);
    } else {
        print_verdict(&r);
    }
    arena_release(&a);
    return status;
}

/* ---- the command ---- */

static bool read_time(struct str text, int64_t now_ms, int64_t *out)
{
    int64_t ago_ms;

    if (clock_parse_iso(text, out))
        return true;
    if (units_parse_duration(text, &ago_ms, NULL))
        return false;
    *out = now_ms - ago_ms;
    return true;
}

static const char *read_flags(struct diff *c, struct emf_diff_options *o)
{
    int64_t now_ms = clock_wall_ms(), limit = flags_number(c->flags, "limit");

    if (c->flags->n_rest != EMF_DIFF_SIDES)
        return "which log groups? For example: leadline check diff /ecs/prometheus /ecs/prometheus-shadow";
    if (!read_time(flags_text(c->flags, "start"), now_ms, &c->start_ms) ||
        !read_time(flags_text(c->flags, "end"), now_ms, &c->end_ms))
        return "--start and --end take a time such as 2026-01-02T03:04:05Z, or how long ago, such as 30m";
    if (c->start_ms < 0 || c->start_ms >= c->end_ms)
        return "--start must lie before --end";
    if (limit < 1 || limit > 100000000 || flags_number(c->flags, "show") < 0)
        return "--limit must be between 1 and 100000000, --show not below 0";
    c->limit = (uint64_t)limit;
    if (num_parse_double(flags_text(c->flags, "value-tolerance"), &o->value_tolerance) ||
        !(o->value_tolerance >= 0 && o->value_tolerance <= 1000))
        return "--value-tolerance must be a number such as 0.05";
    o->namespace_suffix = flags_text(c->flags, "namespace-suffix");
    o->tolerance_ms = flags_duration_ms(c->flags, "tolerance");
    o->n_ignored_labels = flags_list(c->flags, "ignore-label", &o->ignored_labels);
    return NULL;
}

static int run(const struct flags *f)
{
    struct diff c = {.flags = f};
    struct emf_diff_options o = {0};
    const char *wrong = read_flags(&c, &o);
    int status = COULD_NOT;

    if (wrong) {
        fprintf(stderr, "leadline check diff: %s\n", wrong);
        return COULD_NOT;
    }
    c.emf = emf_diff_new(&o);
    read_groups(&c);
    if (!c.failed)
        status = compare(&c);
    emf_diff_free(c.emf);
    return status;
}

int check_diff(int argc, char **argv)
{
    static const struct flags_command command = {
        .program = "leadline check diff",
        .summary = "Compares two log groups of performance log events (EMF), series by series: those of the "
                   "CloudWatch agent and those of a leadline that runs beside it.",
        .specs = specs,
        .n_specs = COUNT_OF(specs),
        .max_rest = EMF_DIFF_SIDES,
        .bad_usage = COULD_NOT,
        .run = run,
    };
    return flags_run(&command, argc, argv);
}
