/* The encoder of remote write 2.0, and what both encoders do with native histograms, exemplars and start times: read by
 * a decoder of the test's own, which checks too that each text stands once and in front of its first use. */
#include "unit.h"

#include "unit/sink/remote_write/encode_harness.h"

#include "format/exposition.h"
#include "sink/remote_write/cut_int.h"

#define TS 1790000000123

static const struct labels no_labels;

static struct harness harness_of(uint32_t protocol)
{
    harness_protocol = protocol;
    struct harness h = harness_new(no_labels, NULL);
    h.config->metadata_send = true;
    return h;
}

static uint32_t comments_of(struct harness *h, const char *text, enum exposition_kind kind)
{
    struct str raw = str_c(text);
    return intern_add(h->intern, intern_hash(raw), raw, (uint32_t)kind << BATCH_KIND_SHIFT, no_labels, METRIC_COMMENT);
}

static void append(struct harness *h, struct batch *b, struct batch_run *run)
{
    struct intern_view view = intern_view(h->intern);
    b->ts_ms = b->ts_ms ? b->ts_ms : TS;
    b->metrics = &view;
    b->runs = run;
    b->n_runs = 1;
    run->n = b->n_samples;
    run->n_blocks = b->n_blocks;
    remote_write_append(&h->rw->consumer, b, NULL, NULL);
}

static void bytes_of_a_message(void **state)
{
    (void)state;
    struct harness h = harness_of(REMOTE_WRITE_PROTOCOL_2);
    struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "job=j"));
    uint32_t up = metric_of(&h, labels_of(&h.arena, "__name__=up"), s->names);
    struct sample samples[] = {{up, SIDE_NONE, 1}, {up, SIDE_NONE, 0}};
    struct batch b = {.ts_ms = 1000, .samples = samples, .n_samples = 2};
    append(&h, &b, &(struct batch_run){.scope = s});
    static const uint8_t want[] = {
        0x22, 0,                                                                                   /* "" */
        0x22, 8,  '_',  '_', 'n',  'a',  'm',  'e',  '_',  '_',                                    /* 1 */
        0x22, 3,  'j',  'o', 'b',  0x22, 1,    'j',  0x22, 2,   'u', 'p',                          /* 2, 3, 4 */
        0x2a, 20, 0x12, 12,  0x09, 0,    0,    0,    0,    0,   0,   0xf0, 0x3f, 0x10, 0xe8, 0x07, /* 1 @ 1000 */
        0x0a, 4,  1,    4,   2,    3,                                         /* __name__=up, job=j */
        0x2a, 11, 0x12, 3,   0x10, 0xe8, 0x07, 0x0a, 4,    1,   4,   2,    3, /* 0 @ 1000 */
    };
    struct spool_lane *l = &h.spool->lanes[0];
    assert_int_equal(l->n, sizeof(want));
    assert_memory_equal(l->room, want, sizeof(want));
    scope_unref(h.scopes, s);
    harness_free(&h);
}

/* ---- metadata ---------------------------------------------------------------------------------------------------- */

static void assert_said(struct message_read *m, const char *name, uint64_t type, const char *help, const char *unit)
{
    struct decoded d;
    assert_true(message_next(m, &d));
    assert_str_c(labels_get(d.labels, LABEL_NAME), name);
    assert_int_equal(d.type, type);
    assert_str_c(d.help, help);
    assert_str_c(d.unit, unit);
}

static void series_say_their_family(void **state)
{
    (void)state;
    for (int refs = 0; refs < 2 * FORM_SHARED_BY; refs += FORM_SHARED_BY) {
        struct harness h = harness_of(REMOTE_WRITE_PROTOCOL_2);
        struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "job=j"));
        static const char *const names[] = {"first",   "h_bucket",      "h_bucket",      "h_sum", "h_count",
                                            "h_other", "c_bytes_total", "c_bytes_total", "last"};
        uint32_t h_block = comments_of(&h, "# HELP h Of h.\n# TYPE h histogram\n", EXPOSITION_TEXT);
        uint32_t c_block = comments_of(&h, "# TYPE c_bytes counter\n# UNIT c_bytes bytes\n# HELP c_bytes Of h.\n",
                                       EXPOSITION_OPENMETRICS);
        struct sample samples[COUNT_OF(names)];
        for (size_t i = 0; i < COUNT_OF(names); i++) {
            const char *text = arena_printf(&h.arena, "__name__=%s,le=%zu", names[i], i);
            samples[i] = (struct sample){metric_of(&h, labels_of(&h.arena, text), s->names), SIDE_NONE, 1};
            struct intern_view view = intern_view(h.intern);
            for (int k = 0; k < refs; k++)
                intern_ref(&view, samples[i].metric);
        }
        struct batch_block blocks[] = {{1, h_block}, {6, c_block}, {8, METRIC_NONE}};
        for (int round = 0; round < 2; round++) {
            struct batch b = {
                .samples = samples, .n_samples = COUNT_OF(names), .blocks = blocks, .n_blocks = COUNT_OF(blocks)};
            append(&h, &b, &(struct batch_run){.scope = s});
        }
        struct message_read m = open_batch(&h);
        for (int round = 0; round < 2; round++) {
            assert_said(&m, "first", 0, "", "");
            assert_said(&m, "h_bucket", TYPE_HISTOGRAM, "Of h.", "");
            assert_said(&m, "h_bucket", TYPE_HISTOGRAM, "Of h.", "");
            assert_said(&m, "h_sum", TYPE_HISTOGRAM, "Of h.", "");
            assert_said(&m, "h_count", TYPE_HISTOGRAM, "Of h.", "");
            assert_said(&m, "h_other", 0, "", "");
            assert_said(&m, "c_bytes_total", TYPE_COUNTER, "Of h.", "bytes");
            assert_said(&m, "c_bytes_total", TYPE_COUNTER, "Of h.", "bytes");
            assert_said(&m, "last", 0, "", "");
        }
        assert_end(&m);
        /* a sweep takes the blocks with it; their ids come back as something else */
        spool_lane_seal(&h.spool->lanes[0]);
        struct intern_view view = intern_view(h.intern);
        for (size_t i = 0; i < COUNT_OF(names); i++) {
            for (int k = 0; k < refs; k++)
                intern_unref(&view, samples[i].metric);
        }
        intern_sweep(h.intern);
        assert_int_equal(h.rw->two.blocks.by_metric.n, 0);
        scope_unref(h.scopes, s);
        harness_free(&h);
    }
}

static void metadata_can_be_switched_off(void **state)
{
    (void)state;
    struct harness h = harness_of(REMOTE_WRITE_PROTOCOL_2);
    h.config->metadata_send = false;
    struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "job=j"));
    struct sample sample = {metric_of(&h, labels_of(&h.arena, "__name__=x"), s->names), SIDE_NONE, 1};
    struct batch_block block = {0, comments_of(&h, "# HELP x Of x.\n# TYPE x gauge\n", EXPOSITION_TEXT)};
    struct batch b = {.samples = &sample, .n_samples = 1, .blocks = &block, .n_blocks = 1};
    append(&h, &b, &(struct batch_run){.scope = s});
    struct message_read m = open_batch(&h);
    assert_said(&m, "x", 0, "", "");
    scope_unref(h.scopes, s);
    harness_free(&h);
}

static void families_have_the_names_of_the_original(void **state)
{
    (void)state;
    static const struct {
        enum metric_type type;
        const char *family, *name;
        bool has;
    } cases[] = {
        {TYPE_COUNTER, "a", "a_total", true},
        {TYPE_COUNTER, "a_total", "a_total", true},
        {TYPE_COUNTER, "a", "a", true},
        {TYPE_COUNTER, "a", "a_sum", false},
        {TYPE_GAUGE, "a", "a", true},
        {TYPE_GAUGE, "a", "a_total", false},
        {TYPE_HISTOGRAM, "a", "a_bucket", true},
        {TYPE_HISTOGRAM, "a", "a_sum", true},
        {TYPE_HISTOGRAM, "a", "a", true},
        {TYPE_HISTOGRAM, "a", "a_gsum", false},
        {TYPE_SUMMARY, "a", "a_count", true},
        {TYPE_SUMMARY, "a", "a_bucket", false},
        {TYPE_INFO, "a", "a_info", true},
        {TYPE_INFO, "a_info", "a_info", true},
        {TYPE_GAUGE_HISTOGRAM, "a", "a_gcount", true},
        {TYPE_GAUGE_HISTOGRAM, "a", "a_sum", false},
        {TYPE_UNKNOWN, "a", "a", true},
        {TYPE_UNKNOWN, "a", "ab", false},
        {TYPE_HISTOGRAM, "a", "b_sum", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct block_family f = {.name = str_c(cases[i].family), .type = cases[i].type};
        assert_int_equal(block_family_has(&f, str_c(cases[i].name)), cases[i].has);
    }
}

/* ---- histograms, exemplars, start times -------------------------------------------------------------------------- */

static uint64_t field_of(struct str message, uint32_t number)
{
    struct proto_reader r = proto_read(message);
    struct proto_field f;
    uint64_t last = 0;
    while (proto_next(&r, &f) == OK) {
        if (f.number == number)
            last = f.type == PROTO_BYTES ? f.bytes.n : f.value;
    }
    return last;
}

struct rich {
    struct sample samples[4];
    struct sample_side sides[4];
    struct histogram histograms[2];
    struct exemplar exemplars[2];
    struct batch b;
};

/* A counter with start time and two exemplars, an exponential histogram with one, one with custom buckets, and a stale
 * marker of the first. */
static void make_rich(struct harness *h, struct scope *s, struct rich *r)
{
    static const struct histogram_span spans[] = {{-3, 2}, {1, 1}};
    static const int64_t deltas[] = {5, -2, 1};
    static const double bounds[] = {1, 2.5};
    *r = (struct rich){0};
    r->histograms[0] = (struct histogram){.schema = 3,
                                          .count_int = 12,
                                          .zero_count_int = 0,
                                          .zero_threshold = 1e-128,
                                          .sum = 3.5,
                                          .positive = {.spans = spans, .n_spans = 2, .n = 3, .deltas = deltas}};
    r->histograms[1] = (struct histogram){.schema = HISTOGRAM_CUSTOM_BUCKETS,
                                          .count_int = 12,
                                          .sum = 3.5,
                                          .positive = {.spans = spans, .n_spans = 2, .n = 3, .deltas = deltas},
                                          .custom_values = bounds,
                                          .n_custom_values = 2};
    r->exemplars[0] = (struct exemplar){labels_of(&h->arena, "trace_id=abc"), 7, TS - 9, true};
    r->exemplars[1] = (struct exemplar){labels_of(&h->arena, "trace_id=def,job=j"), 8, 0, false};
    r->sides[0] = (struct sample_side){TS, TS - 1000, SIDE_NONE, 0, 2};
    r->sides[1] = (struct sample_side){TS, TS - 2000, 0, 0, 1};
    r->sides[2] = (struct sample_side){TS, 0, 1, 0, 0};
    for (uint32_t i = 0; i < 3; i++) {
        const char *text = arena_printf(&h->arena, "__name__=m%u", i);
        r->samples[i] = (struct sample){metric_of(h, labels_of(&h->arena, text), s->names), i, 42};
    }
    r->b = (struct batch){.samples = r->samples,
                          .n_samples = 3,
                          .sides = r->sides,
                          .n_sides = 3,
                          .histograms = r->histograms,
                          .n_histograms = 2,
                          .exemplars = r->exemplars,
                          .n_exemplars = 2};
}

static void rich_in_2(void **state)
{
    (void)state;
    struct harness h = harness_of(REMOTE_WRITE_PROTOCOL_2);
    struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "job=j"));
    struct rich r;
    h.config->send_exemplars = true;
    make_rich(&h, s, &r);
    append(&h, &r.b, &(struct batch_run){.scope = s});
    struct message_read m = open_batch(&h);
    struct decoded d;
    assert_true(message_next(&m, &d));
    assert_int_equal(d.bits, bits_of(42));
    assert_int_equal(d.start_ms, TS - 1000);
    assert_int_equal(d.n_exemplars, 2);
    assert_int_equal(field_of(d.exemplars[0], 3), TS - 9);
    assert_int_equal(field_of(d.exemplars[1], 3), TS);
    assert_int_equal(field_of(d.exemplars[1], 2), bits_of(8));
    assert_true(message_next(&m, &d));
    assert_int_equal(field_of(d.histogram, 1), 12);
    assert_int_equal(field_of(d.histogram, 3), bits_of(3.5));
    assert_int_equal(field_of(d.histogram, 4), 6);  /* zigzag */
    assert_int_equal(field_of(d.histogram, 12), 3); /* bytes */
    assert_int_equal(field_of(d.histogram, 15), TS);
    assert_int_equal(field_of(d.histogram, 17), TS - 2000);
    assert_int_equal(d.n_exemplars, 1);
    assert_true(message_next(&m, &d));
    assert_int_equal(field_of(d.histogram, 4), 105); /* -53 */
    assert_int_equal(field_of(d.histogram, 16), 16); /* bytes */
    assert_end(&m);
    assert_int_equal(counter_get(h.rw->count.exemplars), 3);
    assert_int_equal(counter_get(h.rw->count.histograms), 2);
    scope_unref(h.scopes, s);
    harness_free(&h);
}

static void rich_in_1(bool histograms, bool exemplars)
{
    struct harness h = harness_of(REMOTE_WRITE_PROTOCOL_1);
    struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "job=j"));
    struct rich r;
    h.config->send_exemplars = exemplars;
    h.config->send_native_histograms = histograms;
    make_rich(&h, s, &r);
    append(&h, &r.b, &(struct batch_run){.scope = s});
    struct message_read m = open_batch(&h);
    struct decoded d;
    assert_true(message_next(&m, &d));
    assert_int_equal(d.start_ms, 0);
    assert_int_equal(d.n_exemplars, exemplars ? 2 : 0);
    if (histograms) {
        assert_true(message_next(&m, &d));
        assert_int_equal(field_of(d.histogram, 1), 12);
        assert_int_equal(field_of(d.histogram, 17), 0);
        assert_int_equal(d.n_exemplars, exemplars ? 1 : 0);
    }
    assert_end(&m);
    assert_int_equal(h.spool->lanes[0].ledger.dropped[DROP_HISTOGRAM], histograms ? 1 : 2);
    assert_int_equal(counter_get(h.rw->count.dropped_histograms), histograms ? 1 : 2);
    scope_unref(h.scopes, s);
    harness_free(&h);
}

static void rich_in_1_as_configured(void **state)
{
    (void)state;
    rich_in_1(false, false);
    rich_in_1(true, false);
    rich_in_1(true, true);
}

/* What was encoded as 2.0 and said anew in 1.0 is what the encoder of 1.0 writes. */
static void the_same_in_1(void **state)
{
    (void)state;
    struct buf messages[2] = {{0}, {0}};
    struct cut_counts counts = {0};
    for (uint32_t protocol = 1; protocol <= 2; protocol++) {
        struct harness h = harness_of(protocol);
        struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "job=j,zone=z"));
        struct rich r;
        h.config->send_exemplars = h.config->send_native_histograms = true;
        make_rich(&h, s, &r);
        append(&h, &r.b, &(struct batch_run){.scope = s});
        struct spool_lane *l = &h.spool->lanes[0];
        struct cut c = {.message = str_from((const char *)l->room, l->n),
                        .n = l->n,
                        .oldest_ms = INT64_MIN,
                        .protocol = protocol,
                        .as_protocol = 1};
        assert_int_equal(cut_message(&c, &messages[protocol - 1], &counts), OK);
        assert_int_equal(counts.kept, 2);
        scope_unref(h.scopes, s);
        harness_free(&h);
    }
    assert_int_equal(counts.custom, 1);
    assert_int_equal(messages[0].n, messages[1].n);
    struct arena a = {0};
    struct message_read m[2] = {{.r = proto_read(buf_view(&messages[0])), .arena = &a},
                                {.r = proto_read(buf_view(&messages[1])), .arena = &a}};
    struct decoded d[2];
    while (message_next(&m[0], &d[0])) {
        assert_true(message_next(&m[1], &d[1]));
        assert_true(labels_eq(d[0].labels, d[1].labels));
        assert_int_equal(d[0].bits, d[1].bits);
        assert_int_equal(d[0].ts_ms, d[1].ts_ms);
        assert_true(str_eq(d[0].histogram, d[1].histogram));
        assert_int_equal(d[0].n_exemplars, d[1].n_exemplars);
        for (uint32_t i = 0; i < d[0].n_exemplars; i++)
            assert_true(str_eq(d[0].exemplars[i], d[1].exemplars[i]));
    }
    assert_end(&m[1]);
    arena_release(&a);
    buf_release(&messages[0]);
    buf_release(&messages[1]);
}

/* ---- batches ----------------------------------------------------------------------------------------------------- */

/* More than one request's worth: each part begins with its own texts. */
static void every_request_stands_alone(void **state)
{
    (void)state;
    struct harness h = harness_of(REMOTE_WRITE_PROTOCOL_2);
    struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "instance=a,job=j"));
    enum { N = 4500 };
    struct sample *samples = ARENA_ARRAY(&h.arena, struct sample, N);
    for (int i = 0; i < N; i++) {
        const char *text = arena_printf(&h.arena, "__name__=m%d,k=v%d", i % 7, i);
        samples[i] = (struct sample){metric_of(&h, labels_of(&h.arena, text), s->names), SIDE_NONE, i};
    }
    struct batch b = {.samples = samples, .n_samples = N};
    append(&h, &b, &(struct batch_run){.scope = s});
    b.n_samples = 3;
    append(&h, &b, &(struct batch_run){.scope = s});
    spool_lane_seal(&h.spool->lanes[0]);
    struct spool_lane *l = &h.spool->lanes[0];
    int next = 0;
    for (uint32_t i = l->first_sealed; i < l->n_sealed; i++) {
        AUTO_BUF raw = {0};
        struct fake_sealed *f = l->sealed[i];
        assert_int_equal(f->request.protocol, 2);
        assert_int_equal(
            compress_decode(&h.spool->compressor, COMPRESS_SNAPPY, f->request.body, f->request.raw_bytes, &raw), OK);
        struct message_read m = {.r = proto_read(buf_view(&raw)), .arena = &h.arena};
        for (uint32_t k = 0; k < f->request.samples; k++, next++) {
            struct decoded d;
            char want[16];
            assert_true(message_next(&m, &d));
            snprintf(want, sizeof(want), "v%d", next < N ? next : next - N);
            assert_str_c(labels_get(d.labels, STR("k")), want);
            assert_str_c(labels_get(d.labels, STR("instance")), "a");
        }
        assert_end(&m);
    }
    assert_int_equal(next, N + 3);
    scope_unref(h.scopes, s);
    harness_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_of_a_message),
        cmocka_unit_test(series_say_their_family),
        cmocka_unit_test(metadata_can_be_switched_off),
        cmocka_unit_test(families_have_the_names_of_the_original),
        cmocka_unit_test(rich_in_2),
        cmocka_unit_test(rich_in_1_as_configured),
        cmocka_unit_test(the_same_in_1),
        cmocka_unit_test(every_request_stands_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
