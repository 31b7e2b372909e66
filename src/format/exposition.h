/* exposition: the text formats that targets expose, read for a scraper that has seen most of the page before.
 *
 * Accepted is exactly what Prometheus 3.15's scraper accepts (model/textparse), quirks included:
 *   EXPOSITION_TEXT         text/plain 0.0.4 and 1.0.0: one parser, quoted UTF-8 names in both
 *   EXPOSITION_OPENMETRICS  application/openmetrics-text 0.0.1 and 1.0.0: one parser
 *   EXPOSITION_PROTO        application/vnd.google.protobuf: see format/prom_proto.h
 *
 * A body is a row of entries, and a cursor (struct exposition) stands between two of them or at a value:
 *
 *   # HELP a ..\n# TYPE a gauge\n  a{x="1"} 5\n  a{x="2"} 7\n  # TYPE b ..  b 1\n   (# EOF\n)
 *   |-------- COMMENTS --------|   |--raw---|^    |--raw---|^    |COMMENTS|  ^       EOF
 *                                           value
 *
 *   exposition_init(&e, kind, body);
 *   for (;;) {
 *       if (is_block(i))
 *           predicted = exposition_predict_comments(&e, raw(i), type(i));
 *       else
 *           predicted = exposition_predict_series(&e, raw(i));
 *       if (!predicted) {
 *           err = exposition_next(&e, &entry, d);       parses one entry
 *           COMMENTS: intern entry.raw with entry.type
 *           SERIES: intern entry.raw with exposition_labels()
 *           EOF: done
 *       }
 *       series: err = exposition_value(&e, &sample, predicted ? NULL : d);
 *               an error after a prediction proves nothing: exposition_back(&e), then exposition_next as on a miss
 *   }
 *
 * What a prediction may rest on: the raw bytes, and, where exposition_labels says `typed`, the TYPE in force (e.type)
 * with which the metric was interned. A page's array belongs to one kind of body. Whether a metric is typed depends on
 * its raw bytes alone. Everything else that decides a line is in its bytes.
 *
 * Pure functions: no I/O, no globals; any thread; all views point into the body or the given arena.
 */
#ifndef FORMAT_EXPOSITION_H
#define FORMAT_EXPOSITION_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "model/family.h"
#include "model/label.h"

/* EXPOSITION_PROTO, delimited protobuf, has a cursor of its own (format/prom_proto.h); only exposition_families takes
 * it here. */
enum exposition_kind { EXPOSITION_TEXT, EXPOSITION_OPENMETRICS, EXPOSITION_PROTO };

struct exposition {
    const char *p, *end;
    const char *entry; /* where the entry that the cursor is in (or behind) begins */
    const char *body;
    enum exposition_kind kind;
    enum metric_type type; /* of the last TYPE line, whatever its family */
};

/* body.p[body.n] must be readable and NUL, as in every struct buf. */
void exposition_init(struct exposition *e, enum exposition_kind kind, struct str body);

enum exposition_entry_kind {
    EXPOSITION_COMMENTS, /* a run of comment, HELP, TYPE, UNIT and blank lines, checked */
    EXPOSITION_SERIES,   /* the cursor stands at the value: exposition_value is to follow */
    EXPOSITION_EOF,      /* the input ended in good order */
};

#define EXPOSITION_TYPE_KEPT (-1) /* a block of comments without a TYPE line */

struct exposition_entry {
    enum exposition_entry_kind kind;
    struct str raw; /* COMMENTS: the whole block; SERIES: up to the first byte of the value */
    int type;       /* COMMENTS: the TYPE it leaves in force (enum metric_type), or EXPOSITION_TYPE_KEPT */
};

/* Parses the next entry. ERR_SYNTAX: the whole body is to be refused; the text is Prometheus' own
 * (`expected value after metric, got "\n" ("INVALID") while parsing: "a\n"`) and d->line the line in the body. */
enum err exposition_next(struct exposition *e, struct exposition_entry *out, struct diag *d) MUST_USE;

/* Goes back to the beginning of the entry that was predicted. */
static inline void exposition_back(struct exposition *e)
{
    e->p = e->entry;
}

/* True, and the cursor at the value, when the entry at the cursor begins with these bytes and they cannot be the
 * beginning of another series' (a raw that ends within a word, from `a+1`, is never predicted). */
static inline bool exposition_predict_series(struct exposition *e, struct str raw)
{
    if (raw.n >= (size_t)(e->end - e->p) || raw.n == 0 || memcmp(e->p, raw.p, raw.n) != 0)
        return false;
    char last = raw.p[raw.n - 1];
    if (last != ' ' && last != '}' && last != '\t')
        return false;
    e->entry = e->p;
    e->p += raw.n;
    return true;
}

/* True, and the cursor behind the block, when it is next; `type` is what exposition_next said of it. */
static inline bool exposition_predict_comments(struct exposition *e, struct str raw, int type)
{
    if (raw.n > (size_t)(e->end - e->p) || raw.n == 0 || memcmp(e->p, raw.p, raw.n) != 0)
        return false;
    if (raw.p[raw.n - 1] != '\n' || (e->p[raw.n] == '\0' && e->p + raw.n != e->end))
        return false;
    e->entry = e->p;
    e->p += raw.n;
    if (type != EXPOSITION_TYPE_KEPT)
        e->type = (enum metric_type)type;
    return true;
}

struct exposition_sample {
    double value; /* NaN is SAMPLE_NAN_BITS, whatever was written */
    int64_t ts_ms;
    bool has_ts;
    bool has_exemplar;
    struct str exemplar; /* OpenMetrics: `{trace_id="x"} 0.5 1234.5`, checked */
};

/* From the cursor at a value through the end of its line. With d == NULL an error costs nothing. */
static inline enum err exposition_value(struct exposition *e, struct exposition_sample *out, struct diag *d);

/* The labels of a series' raw bytes: __name__ included, unescaped, sorted, `le` of histograms and `quantile` of
 * summaries in OpenMetrics' form of the number. Empty values are kept (they hide a target's label). *typed: the TYPE in
 * force matters for this series and is part of its identity. A name that occurs twice is ERR_SYNTAX `label name "x" is
 * not unique` (unless one of its values is empty: then it counts as empty, as it does for Prometheus). `raw` comes from
 * exposition_next; names and values are otherwise not judged (limits, validation scheme: the caller's). */
enum err exposition_labels(struct str raw, enum exposition_kind kind, enum metric_type type, struct arena *a,
                           struct labels *out, bool *typed, struct diag *d) MUST_USE;

/* What a block of comments says of families, in its order; adjacent lines of one family are one entry. What is not said
 * is TYPE_UNKNOWN or empty. `block` comes from exposition_next. */
void exposition_families(struct str block, enum exposition_kind kind, struct arena *a, struct family **out,
                         uint32_t *n);

/* The labels, value and timestamp of a sample's `exemplar`; as Prometheus, without unescaping. */
struct exposition_exemplar {
    struct labels labels;
    double value;
    int64_t ts_ms;
    bool has_ts;
};
enum err exposition_exemplar(struct str exemplar, struct arena *a, struct exposition_exemplar *out) MUST_USE;

/* ---- start times: OpenMetrics' _created lines ----
 *
 *   # TYPE a counter        a_total{x="1"} 5        a_created{x="1"} 1700000000.5        a_total{x="2"} ..
 *
 * A _created line of a counter, summary or histogram says since when the series of the same labels (`le`, `quantile`
 * apart) counts. Prometheus looks ahead from a series to the first _created line of the family, and keeps what it found
 * for series of the same labels behind it. For a reader of many lines that is, without looking ahead: at a _created
 * line, go back over the series of the block up to the _created line before, and ask for each; and ask for each series
 * after it up to the next one. A page without such lines costs nothing. `type` is the TYPE in force. */

/* The raw bytes of a series of an OpenMetrics page are such a line. They are a series like any other, unless the start
 * times feature is on (--enable-feature=created-timestamp-zero-ingestion, st-storage: then Prometheus yields no sample
 * for them). */
bool exposition_is_created(struct str raw, enum metric_type type);
/* `created` (one of which that is true) speaks of `series`. By the bytes, as Prometheus: labels in another order are
 * others. */
bool exposition_created_for(struct str created, struct str series, enum metric_type type);
/* The value of a _created line, in milliseconds; 0: it says nothing. */
int64_t exposition_created_ms(double seconds);

/* Which parser a Content-Type asks for: by media type alone. `fallback` is the media type of fallback_scrape_protocol
 * ("text/plain", ...), or empty. OK with a text in *d: the fallback is used, and the text says why (Prometheus logs it
 * at debug level). Otherwise the scrape fails: ERR_UNSUPPORTED, texts as Prometheus'. */
enum err exposition_kind_of_content_type(struct str content_type, struct str fallback, enum exposition_kind *out,
                                         struct diag *d) MUST_USE;

/* ---- the hot path ---- */

enum err exposition_value_slow(struct exposition *e, struct exposition_sample *out, struct diag *d) MUST_USE;
extern const double exposition_pow10[23];

/* Plain decimals whose digits fit into 53 bits, with a power of ten that is exact: one multiplication or division
 * rounds correctly (Clinger). They are nine of ten values of a real page; everything else goes the slow way. */
static inline enum err exposition_value(struct exposition *e, struct exposition_sample *out, struct diag *d)
{
    const char *p = e->p, *start, *point;
    uint64_t m = 0;
    unsigned c;
    int power = 0;
    bool minus = *p == '-';
    p += minus;
    for (start = p; (c = (unsigned)(unsigned char)*p - '0') < 10; p++)
        m = m * 10 + c;
    long digits = p - start;
    if (*p == '.') {
        for (point = ++p; (c = (unsigned)(unsigned char)*p - '0') < 10; p++)
            m = m * 10 + c;
        power = (int)(point - p);
        digits -= power;
    }
    if ((*p | 32) == 'e') {
        bool down = p[1] == '-';
        p += 1 + (down || p[1] == '+');
        c = (unsigned)(unsigned char)*p - '0';
        unsigned c2 = c < 10 ? (unsigned)(unsigned char)*++p - '0' : 10, written = c;
        if (c2 < 10) {
            written = c * 10 + c2;
            p++;
        }
        if (c >= 10)
            return exposition_value_slow(e, out, d);
        power += down ? -(int)written : (int)written;
    }
    if (*p != '\n' || digits == 0 || digits > 18 || m >> 53 || power < -22 || power > 22)
        return exposition_value_slow(e, out, d);
    double v = (double)m;
    v = power < 0 ? v / exposition_pow10[-power] : v * exposition_pow10[power];
    out->value = minus ? -v : v;
    out->has_ts = false;
    out->has_exemplar = false;
    e->p = p + 1;
    return OK;
}

#endif
