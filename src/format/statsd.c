/* statsd: the line grammar of the CloudWatch agent's listener, which is that of telegraf's plug-in with the tags of
 * DogStatsD always on.
 *
 * The agent splits a line three times, and its oddities follow from the order in which it does so:
 *
 *   1. at '|': segments that begin with '#' are tag lists and are taken out, the others are joined again;
 *   2. what was joined, at ':': the first part is the bucket, each further one a metric;
 *   3. each metric, at '|': value, type, rate; what comes behind is ignored.
 *
 * So tags may stand anywhere, a tag list may hold ':' and a set's member may not, and DogStatsD's container id
 * (`|c:abc`) ends a line with a fault after its values were taken. Tags in front are the exception, so the text is
 * joined by copying only when something stands behind a tag list; else it is a prefix of the line.
 *
 * Of two tags with one name the later wins, those of '#' over those of the bucket. A bucket's tag needs exactly one
 * '='; it cannot set metric_type, which a '#' tag can.
 *
 * A rate is what follows the first character of the third segment, which must hold an '@' somewhere; 0 is none. Where
 * the agent would compute with a negative, infinite or undefined rate, or turn a number beyond int64 into anything at
 * all, we refuse: the rate is then ignored, the value dropped.
 *
 * Numbers: Go's ParseInt, then ParseFloat, without hexadecimal; the whole text, so a blank in front is a fault.
 *
 * Invariants: no byte outside the line is read; n_tags <= STATSD_TAGS_MAX. Any thread.
 */
#include "format/statsd.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

static enum err fail(struct statsd_line *l, enum statsd_fault fault)
{
    l->fault = fault;
    l->more = false;
    return ERR_SYNTAX;
}

/* ---- tags ---- */

static enum err set_tag(struct statsd_line *l, struct str name, struct str value, bool replace)
{
    uint32_t at = l->n_tags;
    int order = 1;

    while (at > 0 && (order = str_cmp(l->tags[at - 1].name, name)) > 0)
        at--;
    if (at > 0 && order == 0) {
        if (replace)
            l->tags[at - 1].value = value;
        return OK;
    }
    if (l->n_tags == STATSD_TAGS_MAX)
        return fail(l, STATSD_TAGS);
    memmove(&l->tags[at + 1], &l->tags[at], (l->n_tags - at) * sizeof(l->tags[0]));
    l->tags[at] = (struct label){name, value};
    l->n_tags++;
    return OK;
}

/* "region:eu,zone:a:1,canary": the agent gives a tag without a colon a value that says so. */
static enum err read_tag_list(struct statsd_line *l, struct str list)
{
    bool more = true;

    while (more) {
        struct str tag, name, value;
        more = str_cut(list, ',', &tag, &list);
        if (!str_cut(tag, ':', &name, &value))
            value = STR("<empty>");
        if (name.n && set_tag(l, name, value, true))
            return ERR_SYNTAX;
    }
    return OK;
}

/* "queue=a,zone=b", behind the name. Those of '#' are there already; among themselves the later wins, so they are read
 * from the end. */
static enum err read_bucket_tags(struct statsd_line *l, struct str list)
{
    while (list.n) {
        const char *comma = memrchr(list.p, ',', list.n);
        struct str tag = comma ? str_from(comma + 1, list.n - (size_t)(comma + 1 - list.p)) : list;
        struct str name, value;
        list.n = comma ? (size_t)(comma - list.p) : 0;
        if (!str_cut(tag, '=', &name, &value) || memchr(value.p, '=', value.n) || !name.n)
            continue;
        if (!str_eq(name, STR("metric_type")) && set_tag(l, name, value, false))
            return ERR_SYNTAX;
    }
    return OK;
}

/* Takes the tag lists out: *rest is the line without them. */
static enum err take_tags(struct statsd_line *l, struct str text, struct str *rest)
{
    struct str segment, tail = text;
    bool more = true, copied = false, tags = false, any = false;

    *rest = str_from(text.p, 0);
    while (more) {
        more = str_cut(tail, '|', &segment, &tail);
        if (segment.n && segment.p[0] == '#') {
            tags = true;
            if (read_tag_list(l, str_from(segment.p + 1, segment.n - 1)))
                return ERR_SYNTAX;
            continue;
        }
        if (tags && !copied) {
            buf_clear(&l->joined);
            buf_str(&l->joined, *rest);
            copied = true;
        }
        if (copied) {
            if (any)
                buf_char(&l->joined, '|');
            buf_str(&l->joined, segment);
        } else {
            rest->n = (size_t)(segment.p + segment.n - text.p);
        }
        any = true;
    }
    if (copied)
        *rest = buf_view(&l->joined);
    return OK;
}

enum err statsd_line_parse(struct statsd_line *l, struct str text)
{
    struct str rest, bucket, tags;

    l->n_tags = 0;
    l->fault = STATSD_FINE;
    l->name = l->type_text = l->rest = STR_NONE;
    if (take_tags(l, text, &rest))
        return ERR_SYNTAX;
    l->more = str_cut(rest, ':', &bucket, &l->rest);
    if (!l->more)
        return fail(l, STATSD_NO_COLON);
    str_cut(bucket, ',', &l->name, &tags);
    return read_bucket_tags(l, tags);
}

void statsd_line_release(struct statsd_line *l)
{
    buf_release(&l->joined);
    *l = (struct statsd_line){0};
}

/* ---- values ---- */

static const struct str type_letters[STATSD_TYPES] = {
    [STATSD_COUNTER] = {"c", 1}, [STATSD_GAUGE] = {"g", 1},     [STATSD_SET] = {"s", 1},
    [STATSD_TIMING] = {"ms", 2}, [STATSD_HISTOGRAM] = {"h", 1},
};

static bool find_type(struct str text, enum statsd_type *out)
{
    for (int i = 0; i < STATSD_TYPES; i++) {
        if (str_eq(text, type_letters[i])) {
            *out = (enum statsd_type)i;
            return true;
        }
    }
    return false;
}

/* False when it cannot be used; 0 is none. */
static bool parse_rate(struct str text, double *rate)
{
    double v;

    if (text.n < 2 || !memchr(text.p, '@', text.n))
        return false;
    if (num_parse_double(str_from(text.p + 1, text.n - 1), &v) || !isfinite(v) || v < 0)
        return false;
    *rate = v;
    return true;
}

static bool to_i64(double v, int64_t *out)
{
    if (!(v >= -0x1p63 && v < 0x1p63))
        return false;
    *out = (int64_t)v;
    return true;
}

static enum err parse_count(struct statsd_line *l, struct str text, double rate, int64_t *out)
{
    double v;

    if (num_parse_i64(text, out)) {
        if (num_parse_double(text, &v))
            return fail(l, STATSD_VALUE);
        if (!to_i64(v, out))
            return fail(l, STATSD_RANGE);
    }
    if (rate != 0 && !to_i64((double)*out / rate, out))
        return fail(l, STATSD_RANGE);
    return OK;
}

static enum err parse_number(struct statsd_line *l, struct str text, struct statsd_value *v)
{
    return num_parse_double(text, &v->number) ? fail(l, STATSD_VALUE) : OK;
}

static enum err parse_value(struct statsd_line *l, struct str text, double rate, struct statsd_value *v)
{
    bool sign = text.n && (text.p[0] == '+' || text.p[0] == '-');

    if (sign && v->type != STATSD_GAUGE && v->type != STATSD_COUNTER)
        return fail(l, STATSD_SIGN);
    switch (v->type) {
    case STATSD_COUNTER:
        return parse_count(l, text, rate, &v->count);
    case STATSD_GAUGE:
        v->relative = sign;
        return parse_number(l, text, v);
    case STATSD_SET:
        v->text = text;
        return OK;
    default:
        /* The weight of the smallest rates is no number: as if there were none. */
        v->bad_rate |= rate != 0 && !isfinite(1 / rate);
        v->weight = rate == 0 || v->bad_rate ? 1 : 1 / rate;
        return parse_number(l, text, v);
    }
}

enum err statsd_line_next(struct statsd_line *l, struct statsd_value *v)
{
    struct str metric, value, type, rate_text, tail;
    double rate = 0;

    if (!l->more)
        return ERR_EOF;
    l->more = str_cut(l->rest, ':', &metric, &l->rest);
    *v = (struct statsd_value){.weight = 1};
    if (!str_cut(metric, '|', &value, &tail))
        return fail(l, STATSD_NO_PIPE);
    if (str_cut(tail, '|', &type, &tail)) {
        str_cut(tail, '|', &rate_text, &tail);
        v->bad_rate = !parse_rate(rate_text, &rate);
    }
    l->type_text = type;
    if (!find_type(type, &v->type))
        return fail(l, STATSD_TYPE);
    return parse_value(l, value, rate, v);
}

/* ---- words ---- */

struct str statsd_type_name(enum statsd_type t)
{
    static const struct str names[STATSD_TYPES] = {
        [STATSD_COUNTER] = {"counter", 7}, [STATSD_GAUGE] = {"gauge", 5},         [STATSD_SET] = {"set", 3},
        [STATSD_TIMING] = {"timing", 6},   [STATSD_HISTOGRAM] = {"histogram", 9},
    };
    return names[t];
}

const char *statsd_fault_text(enum statsd_fault f)
{
    static const char *const texts[STATSD_FAULTS] = {
        [STATSD_FINE] = "",
        [STATSD_NO_COLON] = "Error: splitting ':', Unable to parse metric",
        [STATSD_NO_PIPE] = "Error: splitting '|', Unable to parse metric",
        [STATSD_TYPE] = "Error: Statsd Metric type unsupported",
        [STATSD_SIGN] = "Error: +- values are only supported for gauges & counters",
        [STATSD_VALUE] = "Error: parsing value: no number, or one out of range",
        [STATSD_RANGE] = "counter beyond 64 bits",
        [STATSD_TAGS] = "more than 128 tags",
    };
    return texts[f];
}
