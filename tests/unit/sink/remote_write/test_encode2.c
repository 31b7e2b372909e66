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
        0x22, 0,                                                                /* "" */
        0x22, 8,  '_',  '_', 'n', 'a',  'm', 'e',  '_',  '_',                   /* 1 */
        0x22, 3,  'j',  'o', 'b', 0x22, 1,   'j',  0x22, 2,   'u',  'p',        /* 2, 3, 4 */
        0x2a, 20, 0x0a, 4,   1,   4,    2,   3,    0x12, 12,  0x10, 0xe8, 0x07, /* __name__=up, job=j, @ 1000 */
        0x09, 0,  0,    0,   0,   0,    0,   0xf0, 0x3f,                        /* 1 */
        0x2a, 11, 0x0a, 4,   1,   4,    2,   3,    0x12, 3,   0x10, 0xe8, 0x07, /* 0 */
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
        struct block_family f = {.name = str_c(cases[i].family), .said = {.type = cases[i].type}};
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

/* ---- texts ------------------------------------------------------------------------------------------------------- */

static void refer(struct harness *h, uint32_t metric, int n)
{
    struct intern_view view = intern_view(h->intern);
    for (; n > 0; n--)
        intern_ref(&view, metric);
    for (; n < 0; n++)
        intern_unref(&view, metric);
}

/* With FORM_SHARED_BY references a metric has a form with symbols, with none a compact one. */
static uint32_t metric_with_refs(struct harness *h, struct scope *s, const char *labels, int refs)
{
    uint32_t id = metric_of(h, labels_of(&h->arena, labels), s->names);
    refer(h, id, refs);
    return id;
}

/* Counts texts until the next series, whose own texts are not looked at. */
static uint32_t texts_in_front(struct proto_reader *r)
{
    struct proto_field f;
    uint32_t n = 0;
    while (proto_next(r, &f) == OK && f.number == 4)
        n++;
    return n;
}

/* All texts of a page in front of its first series, and of the next scope's page what is its own alone. */
static void texts_stand_in_front_of_a_page(void **state)
{
    (void)state;
    struct harness h = harness_of(REMOTE_WRITE_PROTOCOL_2);
    enum { N = 20 };
    struct scope *scopes[] = {scope_get(h.scopes, labels_of(&h.arena, "instance=a,job=j")),
                              scope_get(h.scopes, labels_of(&h.arena, "instance=b,job=j"))};
    struct sample samples[N];
    struct batch_block blocks[N];
    for (uint32_t i = 0; i < N; i++) {
        const char *text = arena_printf(&h.arena, "# HELP m%u Of %u.\n# TYPE m%u gauge\n", i, i, i);
        blocks[i] = (struct batch_block){i, comments_of(&h, text, EXPOSITION_TEXT)};
        text = arena_printf(&h.arena, "__name__=m%u,k=v%u", i, i);
        samples[i] = (struct sample){metric_with_refs(&h, scopes[0], text, FORM_SHARED_BY), SIDE_NONE, i};
    }
    /* The first batch makes the forms. */
    for (int round = 0; round < 3; round++) {
        struct batch b = {.samples = samples, .n_samples = N, .blocks = blocks, .n_blocks = N};
        append(&h, &b, &(struct batch_run){.scope = scopes[round / 2]});
        if (round == 0)
            spool_lane_seal(&h.spool->lanes[0]);
    }
    struct spool_lane *l = &h.spool->lanes[0];
    struct proto_reader r = proto_read(str_from((const char *)l->room, l->n));
    assert_int_equal(texts_in_front(&r), 2 + 4 + 1 + 3 * N); /* "", __name__, the scope's, k, and name, value, help */
    for (int i = 1; i < N; i++)
        assert_int_equal(texts_in_front(&r), 0);
    assert_int_equal(texts_in_front(&r), 1); /* instance */
    struct message_read m = open_batch(&h);
    for (int i = 0; i < 2 * N; i++) {
        struct decoded d;
        assert_true(message_next(&m, &d));
        AUTO_BUF text = {0}, want = {0};
        labels_print(d.labels, &text);
        buf_printf(&want, "{__name__=\"m%d\", instance=\"%c\", job=\"j\", k=\"v%d\"}", i % N, 'a' + i / N, i % N);
        assert_str(buf_view(&text), buf_view(&want));
        assert_int_equal(d.bits, bits_of(i % N));
        assert_str_c(d.help, arena_printf(&h.arena, "Of %d.", i % N));
    }
    assert_end(&m);
    scope_unref(h.scopes, scopes[0]);
    scope_unref(h.scopes, scopes[1]);
    harness_free(&h);
}

/* The same text in one batch with an id, without one, and with another: the decoder sees it once. */
static void a_text_that_gains_and_loses_its_id_stands_once(void **state)
{
    (void)state;
    struct harness h = harness_of(REMOTE_WRITE_PROTOCOL_2);
    struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "job=j"));
    for (int round = 0; round < 9; round++) {
        static const int refs_of[] = {FORM_SHARED_BY, 0, 0};
        int refs = refs_of[round % 3];
        const char *text = arena_printf(&h.arena, "__name__=m,k=v,r=%d", round);
        struct sample samples[] = {{metric_with_refs(&h, s, text, refs), SIDE_NONE, round},
                                   {metric_with_refs(&h, s, text, 0), SIDE_NONE, round}};
        struct batch b = {.samples = samples, .n_samples = 2};
        append(&h, &b, &(struct batch_run){.scope = s});
        refer(&h, samples[0].metric, -refs);
        intern_sweep(h.intern);
        if (round == 4)
            harness_reset(&h, no_labels, NULL);
    }
    struct message_read m = open_batch(&h);
    for (int i = 0; i < 18; i++) {
        struct decoded d;
        assert_true(message_next(&m, &d));
        assert_str_c(labels_get(d.labels, LABEL_NAME), "m");
        assert_str_c(labels_get(d.labels, STR("k")), "v");
        assert_str_c(labels_get(d.labels, STR("r")), arena_printf(&h.arena, "%d", i / 2));
        assert_str_c(labels_get(d.labels, STR("job")), "j");
    }
    assert_end(&m);
    scope_unref(h.scopes, s);
    harness_free(&h);
}

/* ---- random pages ------------------------------------------------------------------------------------------------ */

enum { PAGE_MAX = 120, PAGE_NAMES = 12, PAGE_VALUES = 6, PAGE_SCOPES = 4 };

/* What a decoder is to find. */
struct expected {
    int name, value, scope;
    uint64_t bits;
    int64_t ts_ms;
    bool said;
};

struct pages {
    struct harness *h;
    struct unit_random *r;
    struct scope *scopes[PAGE_SCOPES];
    int refs[PAGE_NAMES][PAGE_VALUES];
    struct expected v[1 << 12];
    uint32_t n;
};

/* Values that other texts of the message are, too. */
static const char *page_value(struct pages *w, int value)
{
    static const char *const some[] = {"a0", "Of n1.", "n2", "instance"};
    return value < (int)COUNT_OF(some) ? some[value] : arena_printf(&w->h->arena, "v%d", value);
}

static uint32_t page_metric(struct pages *w, int name, int value)
{
    const char *text = arena_printf(&w->h->arena, "__name__=n%d,k=%s", name, page_value(w, value));
    return metric_of(w->h, labels_of(&w->h->arena, text), w->scopes[0]->names);
}

static uint32_t page_comments(struct pages *w, int first, int n)
{
    const char *text = "";
    for (int i = 0; i < n; i++)
        text = arena_printf(&w->h->arena, "%s# HELP n%d Of n%d.\n# TYPE n%d gauge\n", text, first + i, first + i,
                            first + i);
    struct str raw = str_c(text);
    uint32_t id = intern_find(w->h->intern, intern_hash(raw), raw, 0);
    return id != METRIC_NONE ? id : comments_of(w->h, text, EXPOSITION_TEXT);
}

/* Families in order, some left out, some with their block, some under another's. */
static void page_append(struct pages *w)
{
    struct sample samples[PAGE_MAX];
    struct sample_side sides[PAGE_MAX];
    struct batch_block blocks[PAGE_MAX];
    struct batch b = {.ts_ms = TS + w->n, .samples = samples, .blocks = blocks, .sides = sides};
    int scope = (int)unit_random_below(w->r, PAGE_SCOPES), from = 0, said = 0;
    for (int name = 0; name < PAGE_NAMES; name++) {
        if (unit_random_below(w->r, 4) == 0)
            continue;
        if (unit_random_below(w->r, 4)) {
            said = (int)unit_random_below(w->r, 4);
            from = name - (int)unit_random_below(w->r, (uint64_t)(said < name ? said : name) + 1);
            blocks[b.n_blocks++] = (struct batch_block){b.n_samples, said ? page_comments(w, from, said) : METRIC_NONE};
        }
        for (int n = (int)unit_random_below(w->r, 5); n > 0; n--) {
            int value = (int)unit_random_below(w->r, PAGE_VALUES);
            struct sample s = {page_metric(w, name, value), SIDE_NONE, (double)unit_random_below(w->r, 3)};
            if (unit_random_below(w->r, 10) == 0) {
                s.side = b.n_sides;
                sides[b.n_sides++] = (struct sample_side){TS - 5, TS - 9, SIDE_NONE, 0, 0};
            }
            samples[b.n_samples++] = s;
            w->v[w->n++] = (struct expected){name,
                                             value,
                                             scope,
                                             bits_of(s.value),
                                             s.side == SIDE_NONE ? b.ts_ms : TS - 5,
                                             name >= from && name < from + said};
        }
    }
    append(w->h, &b, &(struct batch_run){.scope = w->scopes[scope]});
}

static void page_check(struct pages *w, struct str message, uint32_t *next)
{
    struct message_read m = {.r = proto_read(message), .arena = &w->h->arena};
    struct decoded d;
    while (message_next(&m, &d)) {
        assert_true(*next < w->n);
        const struct expected *e = &w->v[(*next)++];
        AUTO_BUF text = {0}, want = {0};
        labels_print(d.labels, &text);
        buf_printf(&want, "{__name__=\"n%d\", instance=\"a%d\", job=\"j\", k=\"%s\"}", e->name, e->scope,
                   page_value(w, e->value));
        assert_str(buf_view(&text), buf_view(&want));
        assert_int_equal(d.bits, e->bits);
        assert_int_equal(d.ts_ms, e->ts_ms);
        assert_int_equal(d.type, e->said ? TYPE_GAUGE : 0);
        assert_str_c(d.help, e->said ? arena_printf(&w->h->arena, "Of n%d.", e->name) : "");
    }
}

/* References come and go, and what has none is swept. */
static void page_refer(struct pages *w)
{
    for (int name = 0; name < PAGE_NAMES; name++) {
        for (int value = 0; value < PAGE_VALUES; value++) {
            if (unit_random_below(w->r, 3))
                continue;
            uint32_t id = page_metric(w, name, value);
            refer(w->h, id, -w->refs[name][value]);
            w->refs[name][value] = unit_random_below(w->r, 3) ? FORM_SHARED_BY : 0;
            refer(w->h, id, w->refs[name][value]);
        }
    }
    if (unit_random_below(w->r, 2))
        intern_sweep(w->h->intern);
}

static void random_pages_round(struct unit_random *r)
{
    struct harness h = harness_of(REMOTE_WRITE_PROTOCOL_2);
    struct pages *w = NEW(struct pages);
    *w = (struct pages){.h = &h, .r = r};
    h.spool->room_bytes = h.spool->max_raw_bytes = unit_random_below(r, 2) ? 3000 : 100000;
    h.config->queue.max_samples_per_send = h.spool->max_samples = unit_random_below(r, 2) ? 20 : 1000;
    for (int i = 0; i < PAGE_SCOPES; i++)
        w->scopes[i] = scope_get(h.scopes, labels_of(&h.arena, arena_printf(&h.arena, "instance=a%d,job=j", i)));
    for (int i = 0; i < 40; i++) {
        page_refer(w);
        for (uint64_t n = unit_random_below(r, 4); n > 0 && w->n + PAGE_MAX < COUNT_OF(w->v); n--)
            page_append(w);
        if (unit_random_below(r, 10) == 0)
            harness_reset(&h, no_labels, NULL);
        if (unit_random_below(r, 10) == 0)
            spool_lane_seal(&h.spool->lanes[0]);
    }
    spool_lane_seal(&h.spool->lanes[0]);
    struct spool_lane *l = &h.spool->lanes[0];
    uint32_t next = 0;
    for (uint32_t i = l->first_sealed; i < l->n_sealed; i++) {
        AUTO_BUF raw = {0};
        const struct spool_request *q = &l->sealed[i]->request;
        assert_int_equal(compress_decode(&h.spool->compressor, COMPRESS_SNAPPY, q->body, q->raw_bytes, &raw), OK);
        page_check(w, buf_view(&raw), &next);
    }
    assert_int_equal(next, w->n);
    for (int i = 0; i < PAGE_SCOPES; i++)
        scope_unref(h.scopes, w->scopes[i]);
    free(w);
    harness_free(&h);
}

static void random_pages_against_the_plain_way(void **state)
{
    (void)state;
    struct unit_random r = unit_random_new();
    for (int i = 0; i < 60; i++)
        random_pages_round(&r);
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
        cmocka_unit_test(texts_stand_in_front_of_a_page),
        cmocka_unit_test(a_text_that_gains_and_loses_its_id_stands_once),
        cmocka_unit_test(random_pages_against_the_plain_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
