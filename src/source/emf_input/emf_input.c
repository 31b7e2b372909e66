/* emf_input: finished events from applications, to the log groups that they name.
 *
 *   TCP --line_server--> lines     --+
 *                                    +--> trimmed, read by format/emf_event --> pending --end of the turn--> consumer
 *   UDP --udp----------> datagrams --+         |
 *                                              +--> dropped: counted by reason, said in the log once a minute
 *
 * The text goes on as it came, without blanks around it; its time is that of its receipt. What the CloudWatch agent
 * does with an event is kept (what is trimmed, how the group and stream are named, that the rest of the format is not
 * looked at), with these differences, each of which loses less:
 *
 *   no group named           the plan's own group, where there is one; the agent drops it in silence
 *   two objects a datagram   each goes its way; the agent drops both
 *   a line that is too long  is dropped alone; the agent closes the connection and loses what follows
 *   ':' or '*' in a stream   '_', as the agent writes ARNs; the API refuses them
 *   a bad group name         dropped here and said: at the API it would fail with all that waits behind it
 *
 * Pending events are copies in one buffer, handed over by a timer of 0 ms, that is once a turn of the loop, or when
 * they are many. What the sockets dropped is asked of them every few seconds.
 *
 * Thread: the loop's own.
 */
#include "source/emf_input/emf_input.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "format/emf_event.h"
#include "net/line_server.h"
#include "net/udp.h"

enum {
    /* PutLogEvents: an event counts 26 more, and is at most 1 MiB; less room for its place's name in the spool. */
    EVENT_BYTES = (1 << 20) - 26 - 1024,
    BLANKS = 4096,                /* around a line, that do not count */
    NAME_BYTES = 512,             /* of a group or stream */
    PENDING_EVENTS = 1000,
    PENDING_BYTES = 4 << 20,
    UNFINISHED_BYTES = 32 << 20, /* of lines that peers have begun, all together */
    LOOK_MS = 5000,
    SAY_MS = 60000,
};

enum transport { TCP, UDP, TRANSPORTS };
enum reason { INVALID, NO_GROUP, BAD_GROUP, TOO_LONG, NO_ROOM, SOCKET_FULL, REASONS };

static const char *const transport_names[] = {"tcp", "udp"};

static const struct {
    const char *name, *next;
} reasons[REASONS] = {
    [INVALID] = {"invalid", "an event is one JSON object, over TCP on one line"},
    [NO_GROUP] = {"no_group", "name a log group in _aws.LogGroupName (or log_group_name), or set "
                              "LEADLINE_EMF_INPUT_LOG_GROUP for events without one"},
    [BAD_GROUP] = {"bad_group", "a log group is named by 1 to 512 of the characters A-Z a-z 0-9 . - _ / #"},
    [TOO_LONG] = {"too_long", "CloudWatch Logs takes events of up to 1,048,550 bytes: put less into one"},
    [NO_ROOM] = {"no_room", "end lines with a newline, and soon: too much has begun on all connections together"},
    [SOCKET_FULL] = {"socket_full", "datagrams came faster than they were read: use TCP, or raise net.core.rmem_max"},
};

/* Views of a buffer that still grows. */
struct piece {
    size_t at, n;
};

struct pending {
    struct piece group, stream, text;
    int64_t ts_ms;
};

struct emf_input {
    struct loop *loop;
    struct log *log;
    struct counters *counters;
    struct plan *plan;
    const struct plan_emf_input *config;
    struct log_event_consumer *consumer;
    struct line_server *tcp;
    struct udp *udp;
    uint64_t seen_too_long, seen_no_room, seen_refused; /* of tcp */
    uint32_t seen_dropped;                              /* of udp */
    struct emf_event event;
    struct buf bytes; /* of pending */
    struct pending *pending;
    struct log_event *views;
    size_t n, cap, cap_views;
    struct timer hand_over, look;
    struct counter *taken[TRANSPORTS], *dropped[REASONS], *refused;
    struct log_limit limits[REASONS], refused_limit;
    struct buf address, error;
    int64_t last_ms;
};

/* ---- what goes on ---- */

static struct str view(const struct emf_input *e, struct piece p)
{
    return str_from(e->bytes.p + p.at, p.n);
}

static void hand_over(struct emf_input *e)
{
    timer_stop(&e->hand_over);
    if (e->n == 0)
        return;
    e->views = mem_grow(e->views, &e->cap_views, e->n, sizeof(*e->views));
    for (size_t i = 0; i < e->n; i++)
        e->views[i] = (struct log_event){.group = view(e, e->pending[i].group),
                                         .stream = view(e, e->pending[i].stream),
                                         .text = view(e, e->pending[i].text),
                                         .ts_ms = e->pending[i].ts_ms};
    e->consumer->append(e->consumer, e->views, (uint32_t)e->n);
    e->n = 0;
    buf_clear(&e->bytes);
    if (e->bytes.cap > PENDING_BYTES / 16)
        buf_release(&e->bytes);
}

static void turn_over(struct timer *t)
{
    hand_over(CONTAINER_OF(t, struct emf_input, hand_over));
}

static struct piece copy(struct emf_input *e, struct str s)
{
    struct piece p = {e->bytes.n, s.n};
    buf_str(&e->bytes, s);
    return p;
}

static struct piece copy_stream(struct emf_input *e, struct str s)
{
    struct piece p = copy(e, s.n > NAME_BYTES ? str_from(s.p, NAME_BYTES) : s);

    for (size_t i = p.at; i < p.at + p.n; i++)
        if (e->bytes.p[i] == ':' || e->bytes.p[i] == '*')
            e->bytes.p[i] = '_';
    return p;
}

static void pass_on(struct emf_input *e, enum transport from, struct str group, struct str stream, struct str text)
{
    if (e->n == PENDING_EVENTS || e->bytes.n + text.n > PENDING_BYTES)
        hand_over(e);
    e->pending = mem_grow(e->pending, &e->cap, e->n + 1, sizeof(*e->pending));
    e->last_ms = clock_wall_ms();
    e->pending[e->n++] = (struct pending){
        .group = copy(e, group), .stream = copy_stream(e, stream), .text = copy(e, text), .ts_ms = e->last_ms};
    counter_inc(e->taken[from]);
    if (!timer_armed(&e->hand_over))
        timer_start(e->loop, &e->hand_over, 0, turn_over);
}

/* ---- what does not ---- */

static void drop(struct emf_input *e, enum reason why, uint64_t n, const char *from, const char *detail)
{
    uint32_t suppressed;

    counter_add(e->dropped[why], n);
    buf_clear(&e->error);
    buf_printf(&e->error, "%s%s%s", reasons[why].name, *detail ? ": " : "", detail);
    if (log_allow(&e->limits[why], SAY_MS, &suppressed))
        log_warn(e->log, "EMF events were dropped", F_C("reason", reasons[why].name), F_INT("events", n),
                 F_C("transport", from), F_C("detail", detail), F_C("next", reasons[why].next),
                 F_INT("suppressed", suppressed));
}

static bool is_group_name(struct str s)
{
    static const char others[] = "._-/#";

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i], lower = c | 32;
        if ((c < '0' || c > '9') && (lower < 'a' || lower > 'z') && (!c || !strchr(others, c)))
            return false;
    }
    return s.n >= 1 && s.n <= NAME_BYTES;
}

/* ---- events ---- */

/* One JSON object, whose names have been read into e->event. */
static void route(struct emf_input *e, enum transport from, struct str text)
{
    struct str group = buf_view(&e->event.group), stream = buf_view(&e->event.stream);
    const char *name = transport_names[from];

    if (text.n > EVENT_BYTES) {
        drop(e, TOO_LONG, 1, name, "");
        return;
    }
    if (!group.n)
        group = e->config->log_group;
    if (!group.n) {
        drop(e, NO_GROUP, 1, name, "");
        return;
    }
    if (!is_group_name(group)) {
        AUTO_BUF shown = {0};
        buf_str(&shown, group.n > 100 ? str_from(group.p, 100) : group);
        drop(e, BAD_GROUP, 1, name, shown.p);
        return;
    }
    if (e->config->shadow_group.n)
        group = e->config->shadow_group;
    pass_on(e, from, group, stream.n ? stream : e->config->log_stream, text);
}

static void on_line(void *ctx, struct str line)
{
    struct emf_input *e = ctx;
    struct str text = str_trim(line);
    struct diag d = {0};

    if (!text.n)
        return;
    if (emf_event_read(&e->event, text, &d))
        drop(e, INVALID, 1, transport_names[TCP], d.text);
    else
        route(e, TCP, text);
}

/* The next line of *rest that is not blank; empty: there is none. */
static struct str next_line(struct str *rest)
{
    struct str line = STR("");

    while (rest->n && !line.n) {
        str_cut(*rest, '\n', &line, rest);
        line = str_trim(line);
    }
    return line;
}

static bool is_of_objects(struct emf_input *e, struct str text)
{
    struct str line;

    while ((line = next_line(&text)).n)
        if (emf_event_read(&e->event, line, NULL))
            return false;
    return true;
}

static void on_datagram(void *ctx, struct str datagram)
{
    struct emf_input *e = ctx;
    struct str text = datagram, line;
    struct diag d = {0};

    while (text.n && (unsigned char)text.p[text.n - 1] < ' ')
        text.n--;
    text = str_trim(text);
    if (!text.n)
        return;
    if (emf_event_read(&e->event, text, &d) == OK) {
        route(e, UDP, text);
        return;
    }
    if (!memchr(text.p, '\n', text.n) || !is_of_objects(e, text)) {
        drop(e, INVALID, 1, transport_names[UDP], d.text);
        return;
    }
    while ((line = next_line(&text)).n)
        if (emf_event_read(&e->event, line, &d) == OK)
            route(e, UDP, line);
}

/* ---- what the sockets say ---- */

static void look_at_tcp(struct emf_input *e)
{
    struct line_server_counts now = line_server_counts(e->tcp);
    uint64_t refused = now.refused - e->seen_refused;
    uint32_t suppressed;

    if (now.too_long > e->seen_too_long)
        drop(e, TOO_LONG, now.too_long - e->seen_too_long, "tcp", "");
    if (now.no_room > e->seen_no_room)
        drop(e, NO_ROOM, now.no_room - e->seen_no_room, "tcp", "");
    counter_add(e->refused, refused);
    if (refused && log_allow(&e->refused_limit, SAY_MS, &suppressed))
        log_warn(e->log, "connections for EMF events were refused", F_INT("connections", refused),
                 F_INT("open", now.connections), F_C("next", "close connections that are idle, or use UDP"));
    e->seen_too_long = now.too_long;
    e->seen_no_room = now.no_room;
    e->seen_refused = now.refused;
}

static void look_at_udp(struct emf_input *e)
{
    uint32_t now = udp_dropped(e->udp), more = now - e->seen_dropped;

    e->seen_dropped = now;
    if (more)
        drop(e, SOCKET_FULL, more, "udp", "");
}

static void look(struct emf_input *e)
{
    if (e->tcp)
        look_at_tcp(e);
    if (e->udp)
        look_at_udp(e);
}

static void look_again(struct timer *t)
{
    struct emf_input *e = CONTAINER_OF(t, struct emf_input, look);
    look(e);
    timer_start(e->loop, t, LOOK_MS, look_again);
}

/* ---- life ---- */

static enum err open_tcp(struct emf_input *e, struct str address, struct line_server **out, struct diag *d)
{
    struct line_server_options o = {.address = address,
                                    .max_line = EVENT_BYTES + BLANKS,
                                    .max_unfinished = UNFINISHED_BYTES,
                                    .fn = on_line,
                                    .ctx = e};
    return line_server_new(e->loop, &o, out, d);
}

static void close_tcp(struct emf_input *e)
{
    if (!e->tcp)
        return;
    line_server_flush(e->tcp);
    look_at_tcp(e);
    line_server_free(e->tcp);
    e->tcp = NULL;
    e->seen_too_long = e->seen_no_room = e->seen_refused = 0;
}

static void close_udp(struct emf_input *e)
{
    if (!e->udp)
        return;
    udp_drain(e->udp);
    look_at_udp(e);
    udp_close(e->udp);
    e->udp = NULL;
    e->seen_dropped = 0;
}

/* The listeners of `config`; those that stand where they stood are kept. Nothing is changed when one cannot be had. */
static enum err listen_on(struct emf_input *e, const struct plan_emf_input *config, struct diag *d)
{
    bool tcp_stays = e->config && str_eq(e->config->tcp, config->tcp);
    bool udp_stays = e->config && str_eq(e->config->udp, config->udp);
    struct line_server *tcp = NULL;
    struct udp *udp = NULL;
    enum err err = OK;

    if (!tcp_stays && config->tcp.n)
        err = open_tcp(e, config->tcp, &tcp, d);
    if (!err && !udp_stays && config->udp.n)
        err = udp_open(e->loop, config->udp, on_datagram, e, &udp, d);
    if (err) {
        line_server_free(tcp);
        return err;
    }
    if (!tcp_stays) {
        close_tcp(e);
        e->tcp = tcp;
    }
    if (!udp_stays) {
        close_udp(e);
        e->udp = udp;
    }
    return OK;
}

enum err emf_input_update(struct emf_input *e, struct plan *plan, const struct plan_emf_input *config, struct diag *d)
{
    struct plan *old = e->plan;
    enum err err = listen_on(e, config, d);

    if (err)
        return err;
    e->plan = plan_ref(plan);
    e->config = config;
    if (old)
        plan_unref(old);
    buf_clear(&e->address);
    if (config->tcp.n)
        buf_printf(&e->address, "tcp %.*s", STR_ARGS(config->tcp));
    if (config->udp.n)
        buf_printf(&e->address, "%sudp %.*s", config->tcp.n ? ", " : "", STR_ARGS(config->udp));
    return OK;
}

static void register_counters(struct emf_input *e)
{
    for (int i = 0; i < TRANSPORTS; i++) {
        struct counter_label l = {STR("transport"), str_c(transport_names[i])};
        e->taken[i] = counter_new(e->counters, COUNTER_TOTAL, "leadline_emf_input_events_total",
                                  "EMF events that were received and passed on.", &l, 1);
    }
    for (int i = 0; i < REASONS; i++) {
        struct counter_label l = {STR("reason"), str_c(reasons[i].name)};
        e->dropped[i] = counter_new(e->counters, COUNTER_TOTAL, "leadline_emf_input_dropped_total",
                                    "EMF events that were received and not passed on, by reason.", &l, 1);
    }
    e->refused = counter_new(e->counters, COUNTER_TOTAL, "leadline_emf_input_refused_connections_total",
                             "Connections for EMF events that were refused, since there were too many.", NULL, 0);
}

static void release(struct emf_input *e)
{
    for (int i = 0; i < TRANSPORTS; i++)
        counter_release(e->counters, e->taken[i]);
    for (int i = 0; i < REASONS; i++)
        counter_release(e->counters, e->dropped[i]);
    counter_release(e->counters, e->refused);
    emf_event_release(&e->event);
    buf_release(&e->bytes);
    buf_release(&e->address);
    buf_release(&e->error);
    free(e->pending);
    free(e->views);
    if (e->plan)
        plan_unref(e->plan);
    free(e);
}

enum err emf_input_new(const struct emf_input_options *o, struct emf_input **out, struct diag *d)
{
    struct emf_input *e = NEW(struct emf_input);

    e->loop = o->loop;
    e->log = o->log;
    e->counters = o->counters;
    e->consumer = o->consumer;
    register_counters(e);
    enum err err = emf_input_update(e, o->plan, o->config, d);
    if (err) {
        release(e);
        return err;
    }
    timer_start(e->loop, &e->look, LOOK_MS, look_again);
    *out = e;
    return OK;
}

void emf_input_flush(struct emf_input *e)
{
    if (e->tcp)
        line_server_flush(e->tcp);
    if (e->udp)
        udp_drain(e->udp);
    look(e);
    hand_over(e);
}

void emf_input_free(struct emf_input *e)
{
    if (!e)
        return;
    close_tcp(e);
    close_udp(e);
    hand_over(e);
    timer_stop(&e->look);
    release(e);
}

void emf_input_status(const struct emf_input *e, struct push_status *out)
{
    *out = (struct push_status){.name = STR("emf"),
                                .address = buf_view(&e->address),
                                .connections = e->tcp ? line_server_counts(e->tcp).connections : 0,
                                .last_error = buf_view(&e->error),
                                .last_ms = e->last_ms};
    for (int i = 0; i < TRANSPORTS; i++)
        out->received += counter_get(e->taken[i]);
    for (int i = 0; i < REASONS; i++)
        out->dropped += counter_get(e->dropped[i]);
}
