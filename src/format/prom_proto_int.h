/* What prom_proto.c and prom_proto_message.c share: reading one message of a body as the original's generated code
 * does, errors included, and what is kept of a native histogram.
 */
#ifndef FORMAT_PROM_PROTO_INT_H
#define FORMAT_PROM_PROTO_INT_H

#include "base/mem.h"
#include "format/prom_proto.h"

/* metrics.proto, enum MetricType */
enum { MT_COUNTER, MT_GAUGE, MT_SUMMARY, MT_UNTYPED, MT_HISTOGRAM, MT_GAUGE_HISTOGRAM, MT_END };

/* A message being read. */
struct wire {
    const uint8_t *p, *end;
    const uint8_t *tag; /* where the field at hand begins */
    const char *message;
    uint32_t field;
    unsigned type;
    struct diag *d;
};

struct wire wire_of(struct str bytes, const char *message, struct diag *d);
/* The next field's number and type; ERR_EOF: there is none. */
enum err wire_next(struct wire *w) MUST_USE;
/* The field's content; `name` is what the original calls it. */
enum err wire_varint(struct wire *w, const char *name, uint64_t *out) MUST_USE;
enum err wire_double(struct wire *w, const char *name, double *out) MUST_USE;
enum err wire_bytes(struct wire *w, const char *name, struct str *out) MUST_USE;
/* A field that nobody knows. */
enum err wire_skip(struct wire *w) MUST_USE;

struct spans {
    struct histogram_span *v;
    size_t n, cap;
};

struct deltas {
    int64_t *v;
    size_t n, cap;
};

struct counts {
    double *v;
    size_t n, cap;
};

struct prom_proto_side {
    struct spans spans;
    struct deltas deltas;
    struct counts counts;
};

struct prom_proto_native {
    int32_t schema;
    uint64_t count, zero_count;
    double count_float, zero_count_float, zero_threshold;
    struct prom_proto_side positive, negative;
    struct str *exemplars;
    size_t n_exemplars, cap_exemplars;
};

/* ---- the usual encoding ---- */

/* A length in one or two bytes, of what is there; *at is moved behind it. */
static inline bool prom_proto_short_length(const uint8_t **at, const uint8_t *end, size_t *n)
{
    const uint8_t *p = *at;
    if (end - p < 2 || (p[0] >= 128 && p[1] >= 128))
        return false;
    bool two = p[0] >= 128;
    *n = two ? (p[0] & 127u) | (size_t)p[1] << 7 : p[0];
    *at = p + 1 + two;
    return *n <= (size_t)(end - *at);
}

/* A metric of a family: its tag, a length of one or two bytes. */
static inline bool prom_proto_metric_at(const uint8_t *at, const uint8_t *end, struct str *out)
{
    size_t n;
    if (at == end || *at++ != PROM_PROTO_METRIC_TAG || !prom_proto_short_length(&at, end, &n))
        return false;
    *out = str_from((const char *)at, n);
    return true;
}

/* Where the metrics end that stand behind each other without anything else. */
const uint8_t *prom_proto_skip_metrics(const uint8_t *at, const uint8_t *end);

/* How to recognize a metric that is its labels and a value (prom_proto_predict_series). */
uint8_t prom_proto_value_tag(int32_t type);

/* ---- a metric ---- */

/* Reads the fields of a Metric message into *p: all that the family's type makes of it. */
enum err prom_proto_metric(struct prom_proto *p, struct str bytes, struct diag *d) MUST_USE;
/* prom_proto_predict_series of a summary or classic histogram. */
bool prom_proto_predict_field(struct prom_proto *p, struct str raw, double *value, int64_t *start_ms);
/* An Exemplar message that prom_proto_metric has accepted. */
void prom_proto_exemplar(struct str bytes, struct arena *a, struct exemplar *out);

#endif
