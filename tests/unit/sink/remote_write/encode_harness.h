/* encode_harness: an encoder with one lane on a fake spool, a decoder of its own, and the labels of a series
 * computed the plain way. Included by one file of a test program.
 */
#ifndef ENCODE_HARNESS_H
#define ENCODE_HARNESS_H

#include "unit/sink/remote_write/fake_spool.h"
#include "unit/sink/remote_write/message.h"

#include "base/hash.h"
#include "shape/relabel.h"
#include "sink/remote_write/remote_write_int.h"
#include "wire/proto.h"

struct harness {
    struct intern *intern;
    struct scope_table *scopes;
    struct plan_remote_write *config;
    struct remote_write *rw;
    struct spool *spool;
    struct arena arena; /* of labels in a test */
};

static uint32_t harness_protocol = REMOTE_WRITE_PROTOCOL_1; /* of harness_new */

/* Other external labels. */
static inline void harness_reset(struct harness *h, struct labels externals, const struct relabel_rules *rules)
{
    bool two = harness_protocol == REMOTE_WRITE_PROTOCOL_2;
    blocks_release(&h->rw->two.blocks);
    forms_reset(&h->rw->forms, externals, rules, two ? &h->rw->two.symbols : NULL);
    if (two)
        encoder2_start(&h->rw->two, h->intern);
}

static inline struct harness harness_new(struct labels externals, const struct relabel_rules *rules)
{
    struct harness h = {.intern = intern_new(), .scopes = scope_table_new(), .spool = mem_alloc(sizeof(*h.spool))};
    fake_spool_init(h.spool);
    h.config = NEW(struct plan_remote_write);
    h.config->queue.max_samples_per_send = 2000;
    h.config->queue.max_shards = 50;
    h.config->name = STR("test");
    h.rw = NEW(struct remote_write);
    h.rw->n_workers = 1;
    h.rw->max_in_flight = LANES;
    h.rw->spool = h.spool;
    h.rw->config = h.config;
    h.rw->consumer.append = remote_write_append;
    remote_write_counters_init(h.rw);
    h.rw->intern = h.intern;
    h.rw->protocol = harness_protocol;
    forms_init(&h.rw->forms, h.intern, h.scopes, 3, externals, rules);
    if (harness_protocol == REMOTE_WRITE_PROTOCOL_2)
        harness_reset(&h, externals, rules);
    struct lane *l = NEW(struct lane);
    l->rw = h.rw;
    CHECK(spool_lane_open(h.spool, 0, NULL, NULL, NULL, &l->spool, NULL) == OK);
    spool_lane_set_encoding(l->spool, harness_protocol, COMPRESS_SNAPPY);
    h.rw->lanes[0] = l;
    return h;
}

static inline void harness_free(struct harness *h)
{
    forms_release(&h->rw->forms);
    encoder2_stop(&h->rw->two);
    remote_write_counters_release(h->rw);
    free(h->rw->lanes[0]);
    free(h->rw);
    free(h->config);
    fake_spool_release(h->spool);
    free(h->spool);
    scope_table_free(h->scopes);
    intern_free(h->intern);
    arena_release(&h->arena);
}

static inline uint32_t metric_of_raw(struct harness *h, struct str raw, struct labels l, uint32_t context)
{
    uint64_t hash = intern_hash(raw);
    uint32_t id = intern_find(h->intern, hash, raw, context);
    return id == METRIC_NONE ? intern_add(h->intern, hash, raw, context, l, 0) : id;
}

/* As an exposition has them: the name in front, or among the labels. */
static inline void raw_of_labels(struct labels l, bool name_first, struct buf *raw)
{
    if (name_first)
        buf_str(raw, labels_get(l, LABEL_NAME));
    labels_print(l, raw);
}

/* A metric of these labels; the raw bytes are made of them. */
static inline uint32_t metric_of(struct harness *h, struct labels l, uint32_t context)
{
    AUTO_BUF raw = {0};
    raw_of_labels(l, true, &raw);
    return metric_of_raw(h, buf_view(&raw), l, context);
}

static inline void append_samples(struct harness *h, struct scope *scope, int64_t ts_ms, const struct sample *samples,
                                  uint32_t n)
{
    struct intern_view view = intern_view(h->intern);
    struct batch_run run = {.scope = scope, .n = n};
    struct batch b = {.ts_ms = ts_ms, .metrics = &view, .samples = samples, .n_samples = n, .runs = &run, .n_runs = 1};
    remote_write_append(&h->rw->consumer, &b, NULL, NULL);
}

/* ---- the plain way ----------------------------------------------------------------------------------------------- */

/* Labels in the arena; n == 0: dropped. */
static inline struct labels plain_labels(struct labels metric, struct labels scope, struct labels externals,
                                         const struct relabel_rules *rules, struct arena *a)
{
    struct label *v = ARENA_ARRAY(a, struct label, metric.n + scope.n);
    struct labels visible = {v, 0};
    for (uint32_t i = 0; i < scope.n; i++) {
        if (!labels_has(metric, scope.v[i].name))
            v[visible.n++] = scope.v[i];
    }
    for (uint32_t i = 0; i < metric.n; i++) {
        if (metric.v[i].value.n)
            v[visible.n++] = metric.v[i];
    }
    for (uint32_t i = 1; i < visible.n; i++) {
        for (uint32_t k = i; k > 0 && str_cmp(v[k].name, v[k - 1].name) < 0; k--) {
            struct label t = v[k];
            v[k] = v[k - 1];
            v[k - 1] = t;
        }
    }
    struct labels_builder b;
    labels_builder_init(&b, a);
    labels_builder_set_all(&b, visible, false);
    for (uint32_t i = 0; i < externals.n; i++) {
        if (!labels_has(visible, externals.v[i].name))
            labels_builder_set(&b, externals.v[i].name, externals.v[i].value);
    }
    if (rules && !relabel_run(rules, &b))
        return (struct labels){0};
    return labels_builder_labels(&b);
}

/* ---- what was written -------------------------------------------------------------------------------------------- */

static inline struct message_read open_batch(struct harness *h)
{
    struct spool_lane *l = &h->spool->lanes[0];
    return (struct message_read){.r = proto_read(str_from((const char *)l->room, l->n)), .arena = &h->arena};
}

static inline void assert_next(struct message_read *m, const char *labels, uint64_t bits, int64_t ts_ms)
{
    struct decoded d;
    AUTO_BUF text = {0};
    assert_true(message_next(m, &d));
    labels_print(d.labels, &text);
    assert_str_c(buf_view(&text), labels);
    assert_int_equal(d.bits, bits);
    assert_int_equal(d.ts_ms, ts_ms);
}

static inline void assert_end(struct message_read *m)
{
    struct decoded d;
    assert_false(message_next(m, &d));
}

static inline uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

#endif
