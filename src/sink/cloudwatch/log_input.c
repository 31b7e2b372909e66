/* log_input: finished log events become records: one event is one record and one sample.
 *
 * What comes in one call goes into the spool in one commit for each place, in its order. The text is delivered as it
 * is, byte for byte; what cannot be, is dropped{unsendable}, counted and logged once in a while with its place:
 *
 *   an empty text, or one over CW_EVENT_MAX     the service takes at least a byte, and at most a mebibyte; a part of an
 *                                               event is no JSON, so nothing is cut
 *   a name that no group or stream can have     the service would refuse the whole request
 *
 * A text that is not UTF-8 cannot be said in JSON: its wrong bytes become U+FFFD here, so that what is counted towards
 * the service's limits is what the service counts.
 */
#include "base/mem.h"
#include "base/quote.h"
#include "sink/cloudwatch/cloudwatch_int.h"

static void log_unwanted(struct cloudwatch *c, const struct log_event *e, const char *why)
{
    uint32_t suppressed;
    if (log_allow(&c->log_input, CW_LOG_PERIOD_MS, &suppressed))
        log_warn(c->log, "Dropped a log event that CloudWatch Logs would not take",
                 F_STR("destination", c->config->name), F_STR("group", e->group), F_STR("stream", e->stream),
                 F_C("err", why), F_INT("bytes", e->text.n), F_INT("suppressed", suppressed));
}

static void append_utf8(struct buf *out, struct str s)
{
    uint32_t rune;
    if (str_is_utf8(s)) {
        buf_str(out, s);
        return;
    }
    for (size_t i = 0; i < s.n;) {
        size_t n = quote_rune(s, i, &rune);
        buf_append(out, n ? s.p + i : "\xef\xbf\xbd", n ? n : 3);
        i += n ? n : 1;
    }
}

static bool add_event(struct cloudwatch *c, const struct log_event *e)
{
    size_t from = c->input_text.n;
    if (e->text.n <= CW_EVENT_MAX)
        append_utf8(&c->input_text, e->text);
    size_t n = c->input_text.n - from;
    if (n == 0 || n > CW_EVENT_MAX) {
        c->input_text.n = from;
        log_unwanted(c, e, e->text.n ? "it is larger than the service takes" : "it is empty");
        return false;
    }
    c->input_records =
        mem_grow(c->input_records, &c->cap_input_records, c->n_input_records + 1, sizeof(*c->input_records));
    c->input_records[c->n_input_records++] =
        (struct cw_record){.ts_ms = e->ts_ms, .offset = (uint32_t)from, .bytes = (uint32_t)n, .samples = 1};
    return true;
}

static void commit_place(struct cloudwatch *c, const struct cw_place *place, uint32_t read, uint32_t unsendable)
{
    struct cw_scrape s = {.text = buf_view(&c->input_text),
                          .records = c->input_records,
                          .n_records = (uint32_t)c->n_input_records,
                          .read = read};
    struct cw_lane *l = cw_lane_of(c, place);
    s.dropped[DROP_UNSENDABLE] = unsendable;
    if (l)
        cw_commit(l, place, &s);
    else
        cw_lost(c, read);
}

static bool of_place(const struct log_event *e, const struct cw_place *place)
{
    return str_eq(e->group, place->group) && str_eq(e->stream, place->stream);
}

static bool was_before(const struct log_event *v, uint32_t i)
{
    const struct cw_place place = {v[i].group, v[i].stream};
    for (uint32_t k = i; k-- > 0;) {
        if (of_place(&v[k], &place))
            return true;
    }
    return false;
}

/* All events of the place of v[0], which is the first of them. */
static void append_place(struct cloudwatch *c, const struct log_event *v, uint32_t n)
{
    const struct cw_place place = {v->group, v->stream};
    uint32_t read = 0, unsendable = 0;
    struct diag d = {0};
    bool sendable = cw_place_check(CLOUDWATCH_LOGS, &place, &d) == OK;
    buf_clear(&c->input_text);
    c->n_input_records = 0;
    if (!sendable)
        log_unwanted(c, v, d.text);
    for (uint32_t i = 0; i < n; i++) {
        if (!of_place(&v[i], &place))
            continue;
        read++;
        if (sendable && !add_event(c, &v[i]))
            unsendable++;
        if (c->input_text.n > UINT32_MAX / 2) { /* offsets are of 32 bits */
            commit_place(c, &place, read, unsendable);
            buf_clear(&c->input_text);
            c->n_input_records = 0;
            read = unsendable = 0;
        }
    }
    if (sendable && read)
        commit_place(c, &place, read, unsendable);
    else
        cw_drop(c, read, DROP_UNSENDABLE);
}

static void trim_input(struct cloudwatch *c)
{
    enum { KEEP_BYTES = 256 * 1024 };
    if (c->input_text.cap > KEEP_BYTES)
        buf_release(&c->input_text);
}

void cw_append_events(struct log_event_consumer *self, const struct log_event *v, uint32_t n)
{
    struct cloudwatch *c = CONTAINER_OF(self, struct cloudwatch, events);
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0 || (!of_place(&v[i], &(struct cw_place){v[i - 1].group, v[i - 1].stream}) && !was_before(v, i)))
            append_place(c, v + i, n - i);
    }
    trim_input(c);
}
