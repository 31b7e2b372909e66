/* prom_proto: the protobuf form of an exposition, read for a scraper that has seen most of the page before.
 *
 * A body is a row of io.prometheus.client.MetricFamily messages, each behind its length as a varint (prometheus/
 * client_model metrics.proto; media type application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily;
 * encoding=delimited). Read exactly as Prometheus 3.15's scraper reads it (model/textparse/protobufparse.go): the same
 * series in the same order, the same exemplars with the same series, the same error texts.
 *
 *   family a (counter)    FAMILY  SERIES a{x="1"}  SERIES a{x="2"}
 *   family b (histogram)  FAMILY  SERIES b_count  SERIES b_sum  SERIES b_bucket{le="0.5"} .. SERIES b_bucket{le="+Inf"}
 *                         or      HISTOGRAM b, the native one (and the SERIES behind it, where they are asked for)
 *
 *   prom_proto_init(&p, body, &options, &arena);
 *   for (;;) {
 *       raw of what stood here in the last scrape: prom_proto_predict_family, or prom_proto_predict_series
 *       if (predicted)                             one comparison; the usual form, and no more to a series than a value
 *           continue
 *       prom_proto_expect(&p, that raw)
 *       err = prom_proto_next(&p, &entry, d), and ended by an error or PROM_PROTO_EOF
 *       if (!entry.expected)                       else raw bytes were compared, not made, and no label was read
 *           FAMILY: intern entry.raw as a block; exposition_families(raw, EXPOSITION_PROTO, ..) reads it
 *           others: look entry.raw up, else prom_proto_labels(entry.raw, ..) and intern
 *       entry.value, entry.ts_ms, entry.start_ms, entry.exemplars, entry.histogram
 *   }
 *   prom_proto_release(&p);
 *
 * entry.raw is the whole identity of a series: no TYPE in force, no option changes what it stands for (`typed` of
 * exposition_labels is always false here). A name's series and native histogram have the same raw, as they have the
 * same labels. It begins with the metric's name, which no other byte of it can continue:
 *
 *   b_bucket 0xff 'l' <8 bytes: the bound, little endian>  0a 10 0a 01 'x' ..     as the message has its labels
 *   b_count  0xff  0                                       0a 10 0a 01 'x' ..
 *
 * Pure but for the cursor's own scratch memory, which grows to the largest family of the body (bounded by the body) and
 * may be kept from body to body. Any thread.
 */
#ifndef FORMAT_PROM_PROTO_H
#define FORMAT_PROM_PROTO_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "format/histogram_nhcb.h"
#include "model/batch.h"
#include "model/family.h"
#include "model/label.h"

struct prom_proto_options {
    bool ignore_native;   /* scrape_native_histograms: false: native parts are not there; no buckets: only +Inf */
    bool keep_classic;    /* always_scrape_classic_histograms: the classic series of a native histogram too */
    bool convert_classic; /* convert_classic_histograms_to_nhcb; with keep_classic the series stay as well */
    bool exemplars;       /* read them; false: none is ever yielded, which costs less */
};

enum prom_proto_kind {
    PROM_PROTO_FAMILY,    /* only raw is set */
    PROM_PROTO_SERIES,    /* value */
    PROM_PROTO_HISTOGRAM, /* histogram: native, or converted from a classic one */
    PROM_PROTO_EOF,
};

struct prom_proto_entry {
    enum prom_proto_kind kind;
    bool has_ts;
    bool converted; /* HISTOGRAM: from a classic one */
    bool expected;  /* raw equals the bytes given to prom_proto_expect, and is them */
    struct str raw; /* valid until the next call */
    double value;   /* as it stands in the message: a NaN keeps its bits, as it does for Prometheus */
    int64_t ts_ms;
    int64_t start_ms;                  /* counters, summaries, histograms; 0: not said */
    const struct histogram *histogram; /* in the arena; compacted, spans and buckets agree; else not yet validated */
    const struct exemplar *exemplars;  /* in the arena, sorted by time, value, labels; a histogram's all have a time */
    uint32_t n_exemplars;
};

/* One classic bucket or quantile of the metric being read. */
struct prom_proto_point {
    double at, value; /* the bound or quantile; the cumulative count or value */
    struct str exemplar;
};

struct prom_proto_native; /* what is read of a native histogram */

struct prom_proto {
    const uint8_t *p, *end; /* the body from the next family on */
    struct prom_proto_options options;
    struct arena *arena;
    int state;

    /* the family */
    const uint8_t *metric, *family_end; /* where the next metric is searched */
    struct str name, help, unit;
    int32_t type;      /* the message's number */
    uint8_t value_tag; /* of a metric's value, where that is all a metric of this family has; else 0 */

    /* the metric; the strings are encoded fields and messages, in the body, the arena or `gathered` */
    struct str labels;
    struct str exemplar; /* a counter's */
    int64_t ts_ms, start_ms;
    double value, count, sum;
    int64_t field; /* the series of a summary or classic histogram: 0 count, 1 sum, from 2 on the points */
    bool is_native;
    struct prom_proto_point *points;
    size_t n_points, cap_points;
    struct prom_proto_native *native;

    struct nhcb nhcb;
    struct str expect; /* of the next entry */
    struct buf raw, gathered;
    size_t bound; /* where in raw the bound of the series yielded last stands; 0: nowhere */
};

/* The body must outlive the cursor's use; histograms and exemplars of all entries go to the arena, whole. The cursor is
 * {0} or was used before (its scratch memory is kept). */
void prom_proto_init(struct prom_proto *p, struct str body, const struct prom_proto_options *options,
                     struct arena *arena);
void prom_proto_release(struct prom_proto *p);

/* True, and the cursor behind it, when the next entry is the FAMILY of which this is the raw, in the form in which
 * every encoder writes it. False: nothing happened, and that proves nothing. */
bool prom_proto_predict_family(struct prom_proto *p, struct str raw);

/* The same of a SERIES without a timestamp and without exemplars; *start_ms: 0 is not said. */
static inline bool prom_proto_predict_series(struct prom_proto *p, struct str raw, double *value, int64_t *start_ms);

/* What the next entry probably is: the raw of one that was yielded before. A hint: it saves work when it is right. */
static inline void prom_proto_expect(struct prom_proto *p, struct str raw)
{
    p->expect = raw;
}

/* The next entry. ERR_SYNTAX: the whole body is to be refused; the text is Prometheus' own. */
enum err prom_proto_next(struct prom_proto *p, struct prom_proto_entry *out, struct diag *d) MUST_USE;

/* The labels of an entry's raw (SERIES, HISTOGRAM): __name__ included, sorted, `le` and `quantile` as OpenMetrics
 * writes numbers ("1.0", "+Inf"). Values point into raw or the arena. Empty values are kept (they hide a target's
 * label). ERR_SYNTAX, texts as Prometheus': a name that is empty or not UTF-8 (`invalid label name: `), a value that
 * is not UTF-8, or a name that occurs twice (`label name "x" is not unique`, unless one of its values is empty).
 * Any bytes are safe to give. */
enum err prom_proto_labels(struct str raw, struct arena *a, struct labels *out, struct diag *d) MUST_USE;

/* The metric's name, the beginning of raw. */
struct str prom_proto_name(struct str raw);

/* A FAMILY's raw (what exposition_families calls for EXPOSITION_PROTO). Views into raw. */
void prom_proto_family(struct str raw, struct family *out);

/* ---- the fast way, here to be part of its caller's loop ---- */

enum { PROM_PROTO_AT_METRIC, PROM_PROTO_AT_FAMILY }; /* state: of the next one nothing has been read */

#define PROM_PROTO_METRIC_TAG  0x22
#define PROM_PROTO_VALUE_BYTES 11u /* tag and length of Counter, Gauge or Untyped; tag of `value` and eight bytes */

static inline double prom_proto_double(const uint8_t *at)
{
    uint64_t bits;
    double value;
    memcpy(&bits, at, sizeof(bits));
    bits = le64toh(bits);
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* Whether raw is that of the family's series with these labels, of which it has as many bytes. */
static inline bool prom_proto_raw_has(const struct prom_proto *p, struct str raw, const void *labels, size_t labels_n)
{
    const char *behind = raw.p + p->name.n;
    return LIKELY((uint8_t)behind[0] == 0xff && behind[1] == 0 && memcmp(raw.p, p->name.p, p->name.n) == 0 &&
                  (labels_n == 0 || memcmp(labels, behind + 2, labels_n) == 0));
}

/* Whatever is not a plain metric. */
bool prom_proto_predict_other(struct prom_proto *p, struct str raw, double *value, int64_t *start_ms);

/*   raw        b 0xff 0   labels
 *   the body   0x22 n     labels   tag 9 9 <8 bytes: the value> */
static inline bool prom_proto_predict_series(struct prom_proto *p, struct str raw, double *value, int64_t *start_ms)
{
    const uint8_t *at = p->metric;
    size_t room = (size_t)(p->family_end - at), labels_n = raw.n - p->name.n - 2;
    size_t n = labels_n + PROM_PROTO_VALUE_BYTES;
    if (UNLIKELY(p->state != PROM_PROTO_AT_METRIC || !p->value_tag))
        return prom_proto_predict_other(p, raw, value, start_ms);
    if (UNLIKELY(raw.n < p->name.n + 2 || room < n + 2 || at[0] != PROM_PROTO_METRIC_TAG))
        return false;
    if (UNLIKELY(at[1] != n || n >= 128)) {
        if (at[1] != ((n & 127) | 128) || at[2] != n >> 7 || n >= 1u << 14 || room < n + 3)
            return prom_proto_predict_other(p, raw, value, start_ms);
        at++;
    }
    at += 2;
    const uint8_t *v = at + labels_n;
    if (UNLIKELY(v[0] != p->value_tag || v[1] != 9 || v[2] != 9) || !prom_proto_raw_has(p, raw, at, labels_n))
        return false;
    *value = prom_proto_double(v + 3);
    *start_ms = 0;
    p->metric = v + PROM_PROTO_VALUE_BYTES;
    return true;
}

#endif
