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

/* Reads the fields of a Metric message into *p: all that the family's type makes of it. */
enum err prom_proto_metric(struct prom_proto *p, struct str bytes, struct diag *d) MUST_USE;
/* An Exemplar message that prom_proto_metric has accepted. */
void prom_proto_exemplar(struct str bytes, struct arena *a, struct exemplar *out);

#endif
