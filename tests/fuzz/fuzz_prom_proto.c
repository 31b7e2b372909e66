/* fuzz_prom_proto: delimited protobuf. The first byte chooses the options; the rest is the body.
 *
 * Besides not crashing: the raw bytes of an entry give its labels, sorted and each name once, or are refused; what a
 * histogram has agrees with itself, before and after the limits; reading again with the scratch memory of the first
 * time, and with what comes expected or predicted, rightly or not, gives the same; the same bytes taken as the raw of a
 * series are safe.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "format/exposition.h"
#include "format/histogram_buckets.h"
#include "format/prom_proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_side(const struct histogram_buckets *b)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < b->n_spans; i++)
        total += b->spans[i].length;
    CHECK(total == b->n);
}

static void check_histogram(const struct histogram *h, struct arena *a)
{
    static const int32_t schemas[] = {8, 2, -4};
    check_side(&h->positive);
    check_side(&h->negative);
    for (size_t i = 0; i < COUNT_OF(schemas); i++) {
        struct histogram copy = *h;
        uint64_t limit = i * 3;
        if (histogram_prepare(&copy, schemas[i], limit, a, NULL))
            continue;
        CHECK(copy.schema == HISTOGRAM_CUSTOM_BUCKETS || copy.schema <= schemas[i]);
        CHECK(limit == 0 || histogram_n_buckets(&copy) <= limit);
        check_side(&copy.positive);
        check_side(&copy.negative);
        CHECK(histogram_validate(&copy, NULL) == OK);
    }
}

static void check_labels(struct labels l)
{
    for (uint32_t i = 1; i < l.n; i++)
        CHECK(str_cmp(l.v[i - 1].name, l.v[i].name) < 0);
}

static uint64_t take(const struct prom_proto_entry *e, struct arena *a, uint64_t hash)
{
    struct labels labels;
    struct family *families;
    uint32_t n;
    hash = hash_bytes_seed(e->raw, hash);
    if (e->kind == PROM_PROTO_FAMILY) {
        exposition_families(e->raw, EXPOSITION_PROTO, a, &families, &n);
        CHECK(n == 1 && families->name.n > 0);
        return hash;
    }
    CHECK(prom_proto_name(e->raw).n > 0);
    if (prom_proto_labels(e->raw, a, &labels, NULL) == OK) {
        check_labels(labels);
        CHECK(str_eq(labels_get(labels, LABEL_NAME), prom_proto_name(e->raw)));
    }
    for (uint32_t i = 0; i < e->n_exemplars; i++)
        CHECK(e->kind == PROM_PROTO_SERIES ||
              (e->exemplars[i].has_ts && (i == 0 || e->exemplars[i - 1].ts_ms <= e->exemplars[i].ts_ms)));
    if (e->kind == PROM_PROTO_HISTOGRAM)
        check_histogram(e->histogram, a);
    else
        hash = hash_bytes_seed(str_from((const char *)&e->value, sizeof(e->value)), hash);
    return hash_bytes_seed(str_from((const char *)&e->start_ms, sizeof(e->start_ms)), hash);
}

struct known {
    struct arena arena;
    struct str *raw;
    enum prom_proto_kind *kind;
    size_t n, cap, cap_kind;
};

/* The entry, if it is found to be that one without being read. */
static bool predict(struct prom_proto *p, struct str raw, enum prom_proto_kind kind, struct prom_proto_entry *e)
{
    *e = (struct prom_proto_entry){.kind = kind, .raw = raw};
    if (kind == PROM_PROTO_FAMILY)
        return prom_proto_predict_family(p, raw);
    return kind == PROM_PROTO_SERIES && prom_proto_predict_series(p, raw, &e->value, &e->start_ms);
}

/* The first reading fills known; entry i of a later one is said to be known->raw[i + shift]. */
static uint64_t read_body(struct prom_proto *p, struct str body, unsigned options, struct known *known, size_t shift,
                          bool predicts)
{
    struct prom_proto_options o = {options & 1, options & 2, options & 4, options & 8};
    struct prom_proto_entry e;
    struct arena a = {0};
    struct diag d = {0};
    uint64_t hash = 0;
    bool first = known->cap == 0;
    enum err err;
    prom_proto_init(p, body, &o, &a);
    known->raw = mem_grow(known->raw, &known->cap, known->n + 1, sizeof(*known->raw));
    known->kind = mem_grow(known->kind, &known->cap_kind, known->n + 1, sizeof(*known->kind));
    for (size_t i = 0;; i++) {
        struct str hint = !first && i + shift < known->n ? known->raw[i + shift] : STR_NONE;
        if (predicts && hint.n && predict(p, hint, known->kind[i + shift], &e)) {
            hash = take(&e, &a, hash);
            continue;
        }
        prom_proto_expect(p, hint);
        if ((err = prom_proto_next(p, &e, &d)) || e.kind == PROM_PROTO_EOF)
            break;
        CHECK(e.expected == (hint.n > 0 && str_eq(hint, e.raw)));
        hash = take(&e, &a, hash);
        if (!first)
            continue;
        known->raw = mem_grow(known->raw, &known->cap, known->n + 1, sizeof(*known->raw));
        known->kind = mem_grow(known->kind, &known->cap_kind, known->n + 1, sizeof(*known->kind));
        known->kind[known->n] = e.kind;
        known->raw[known->n++] = str_dup(&known->arena, e.raw);
    }
    CHECK(!err || d.text[0]);
    arena_release(&a);
    return err ? 1 : hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct prom_proto p = {0};
    struct known known = {0};
    struct arena a = {0};
    struct labels labels;
    struct family family;
    if (size == 0)
        return 0;
    char *copy = mem_strndup((const char *)data + 1, size - 1);
    struct str body = str_from(copy, size - 1);
    uint64_t first = read_body(&p, body, data[0], &known, 0, false);
    for (int predicts = 0; predicts < 2; predicts++) {
        CHECK(read_body(&p, body, data[0], &known, 0, predicts) == first);
        CHECK(read_body(&p, body, data[0], &known, 1, predicts) == first);
    }
    if (prom_proto_labels(body, &a, &labels, NULL) == OK)
        check_labels(labels);
    prom_proto_family(body, &family);
    arena_release(&a);
    arena_release(&known.arena);
    free(known.raw);
    free(known.kind);
    prom_proto_release(&p);
    free(copy);
    return 0;
}
