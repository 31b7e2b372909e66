/* prom_proto_predict: the fast way through a page that is known.
 *
 * A page differs from the one before in its values, and hardly ever in anything else. What stands in front of a
 * family's metrics is its raw, and what stands in front of a plain metric's value is the end of its raw, as encoders
 * write both:
 *
 *   0a n name 12 n help 18 type   22 n labels 1a 9 09 <value>   22 n labels 1a 9 09 <value>   ..
 *   `-------- raw ------------'        `-----' and the name in front: raw
 *
 * so that each costs a comparison where it stands and nothing is made or read. A counter may also have the time since
 * when it counts (1a n 09 <value> 1a n 08 <seconds> 10 <nanos>), as Go's client writes it. Summaries and classic
 * histograms are read by prom_proto.c, and their series compared with what is known one by one.
 *
 * A family is taken only if it was walked to its end and nothing but metrics stands there: a unit would stand behind
 * them. So all that is in front is in the raw, which was found good when it was made. Whatever is written in another
 * way is not taken here, and read field by field.
 */
#include <endian.h>
#include <string.h>

#include "format/prom_proto_int.h"

/* Where the metrics end that stand behind each other without anything else. */
const uint8_t *prom_proto_skip_metrics(const uint8_t *at, const uint8_t *end)
{
    struct str metric;
    while (prom_proto_metric_at(at, end, &metric))
        at = (const uint8_t *)metric.p + metric.n;
    return at;
}

uint8_t prom_proto_value_tag(int32_t type)
{
    static const uint8_t tags[MT_END] = {[MT_COUNTER] = 0x1a, [MT_GAUGE] = 0x12, [MT_UNTYPED] = 0x2a};
    return type < 0 || type >= MT_END ? 0 : tags[type];
}

/* In the raw of a family: where name and help lie, and its type. False: it has a unit, or does not fit. */
static inline bool split_family_raw(struct str raw, struct str *name, struct str *help, uint8_t *type)
{
    const uint8_t *at = (const uint8_t *)raw.p, *end = at + raw.n;
    if (raw.n < 6 || *at++ != 0x0a || !prom_proto_short_length(&at, end, &name->n))
        return false;
    name->p = (const char *)at;
    at += name->n;
    if (at == end || *at++ != 0x12 || !prom_proto_short_length(&at, end, &help->n))
        return false;
    help->p = (const char *)at;
    at += help->n;
    if (end - at != 2 || at[0] != 0x18)
        return false;
    *type = at[1];
    return true;
}

bool prom_proto_predict_family(struct prom_proto *p, struct str raw)
{
    const uint8_t *at = p->p, *end;
    struct str name, help;
    uint8_t type;
    size_t n;
    if (p->state == PROM_PROTO_AT_METRIC ? p->metric != p->family_end : p->state != PROM_PROTO_AT_FAMILY)
        return false;
    if (!prom_proto_short_length(&at, p->end, &n) || n <= raw.n || memcmp(at, raw.p, raw.n) != 0)
        return false;
    end = at + n;
    if (!split_family_raw(raw, &name, &help, &type) || prom_proto_skip_metrics(at + raw.n, end) != end)
        return false;
    p->name = str_from((const char *)at + (name.p - raw.p), name.n);
    p->help = str_from((const char *)at + (help.p - raw.p), help.n);
    p->unit = STR("");
    p->type = type;
    p->value_tag = prom_proto_value_tag(type);
    p->metric = at + raw.n;
    p->p = p->family_end = end;
    p->state = PROM_PROTO_AT_METRIC;
    return true;
}

/* A varint of at most five bytes, with at least eight to be looked at. */
static inline __attribute__((always_inline)) bool short_varint(const uint8_t **at, uint64_t *out)
{
    uint64_t x, last;
    memcpy(&x, *at, sizeof(x));
    x = le64toh(x);
    last = ~x & 0x8080808080u;
    x &= last ^ (last - 1);
    *out = (x & 0x7f) | (x >> 1 & 0x3f80) | (x >> 2 & 0x1fc000) | (x >> 3 & 0xfe00000) | (x >> 4 & 0x7f0000000);
    *at += last ? __builtin_ctzll(last) / 8 + 1 : 0;
    return last != 0;
}

/* Seconds, and perhaps nanoseconds, up to `end`. Not at the very end of the page, where fewer bytes are left than one
 * look takes. */
static inline bool short_stamp(const struct prom_proto *p, const uint8_t *at, const uint8_t *end, int64_t *ms)
{
    uint64_t seconds, nanos = 0;
    if (at == end || *at++ != 0x08 || p->end - at < 16 || !short_varint(&at, &seconds))
        return false;
    if (at < end && (*at++ != 0x10 || !short_varint(&at, &nanos) || nanos >= 1000000000))
        return false;
    *ms = (int64_t)(seconds * 1000 + nanos / 1000000);
    return at == end;
}

/* A counter with its start. */
static bool predict_started(struct prom_proto *p, struct str raw, double *value, int64_t *start_ms)
{
    struct str metric;
    size_t head = p->name.n + 2, labels_n = raw.n - head;
    if (p->type != MT_COUNTER || raw.n < head || !prom_proto_metric_at(p->metric, p->family_end, &metric) ||
        metric.n < labels_n + PROM_PROTO_VALUE_BYTES + 2)
        return false;
    const uint8_t *at = (const uint8_t *)metric.p + labels_n, *end = (const uint8_t *)metric.p + metric.n;
    if (at[0] != p->value_tag || at[1] >= 128 || at[1] != end - at - 2 || at[2] != 9 || at[11] != 0x1a ||
        at[12] >= 128 || at[12] != end - at - 13 || !prom_proto_raw_has(p, raw, metric.p, labels_n) ||
        !short_stamp(p, at + 13, end, start_ms))
        return false;
    *value = prom_proto_double(at + 3);
    p->metric = end;
    return true;
}

bool prom_proto_predict_other(struct prom_proto *p, struct str raw, double *value, int64_t *start_ms)
{
    if (!p->value_tag)
        return prom_proto_predict_field(p, raw, value, start_ms);
    return p->state == PROM_PROTO_AT_METRIC && predict_started(p, raw, value, start_ms);
}
