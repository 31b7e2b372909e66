/* The encoder: what arrives in the open batch, read by a decoder of the test's own and compared with labels that were
 * computed without any preparation. */
#include "unit.h"

#include "unit/sink/remote_write/encode_harness.h"

#define TS 1790000000123

static const struct labels no_labels;

/* ---- labels ------------------------------------------------------------------------------------------------------ */

static void refer(struct harness *h, uint32_t metric, int n)
{
    struct intern_view view = intern_view(h->intern);
    for (; n > 0; n--)
        intern_ref(&view, metric);
    for (; n < 0; n++)
        intern_unref(&view, metric);
}

/* Labels of a metric that few refer to and of one that many do: the bytes are the same. */
static void one(struct harness *h, const char *scope, const char *metric, const char *want)
{
    struct scope *s = scope_get(h->scopes, labels_of(&h->arena, scope));
    struct sample sample = {metric_of(h, labels_of(&h->arena, metric), s->names), SIDE_NONE, 1.5};
    for (int i = 0; i < 2; i++) {
        refer(h, sample.metric, i * FORM_SHARED_BY);
        spool_lane_seal(&h->spool->lanes[0]);
        append_samples(h, s, TS, &sample, 1);
        struct message_read m = open_batch(h);
        assert_next(&m, want, bits_of(1.5), TS);
        assert_end(&m);
    }
    assert_int_equal(forms_quick(&h->rw->forms, sample.metric)->kind, FORM_SERIES);
    scope_unref(h->scopes, s);
}

static void metric_wins_over_scope(void **state)
{
    (void)state;
    struct harness h = harness_new(no_labels, NULL);
    one(&h, "instance=a:1,job=node", "__name__=up", "{__name__=\"up\", instance=\"a:1\", job=\"node\"}");
    one(&h, "instance=a:1,job=node", "__name__=up,job=mine", "{__name__=\"up\", instance=\"a:1\", job=\"mine\"}");
    one(&h, "a=1,b=2,c=3,d=4", "__name__=x,b=B,d=D", "{__name__=\"x\", a=\"1\", b=\"B\", c=\"3\", d=\"D\"}");
    harness_free(&h);
}

static void upper_case_sorts_before_the_name(void **state)
{
    (void)state;
    struct harness h = harness_new(no_labels, NULL);
    one(&h, "AZ=1,Zone=z,job=j", "Method=GET,__name__=x,a=b",
        "{AZ=\"1\", Method=\"GET\", Zone=\"z\", __name__=\"x\", a=\"b\", job=\"j\"}");
    harness_free(&h);
}

static void empty_value_hides_the_scope(void **state)
{
    (void)state;
    struct harness h = harness_new(no_labels, NULL);
    one(&h, "instance=a:1,job=node", "__name__=up,job=", "{__name__=\"up\", instance=\"a:1\"}");
    one(&h, "instance=a:1,job=node", "__name__=up,nowhere=", "{__name__=\"up\", instance=\"a:1\", job=\"node\"}");
    one(&h, "instance=a:1", "__name__=up,instance=", "{__name__=\"up\"}");
    harness_free(&h);
}

static void external_labels_fill_what_is_absent(void **state)
{
    (void)state;
    struct arena a = {0};
    struct harness h = harness_new(labels_of(&a, "job=ext,region=eu"), NULL);
    one(&h, "instance=a:1", "__name__=up", "{__name__=\"up\", instance=\"a:1\", job=\"ext\", region=\"eu\"}");
    one(&h, "job=node", "__name__=up", "{__name__=\"up\", job=\"node\", region=\"eu\"}");
    /* a hidden label is absent, whether the scope has it or not */
    one(&h, "job=node", "__name__=up,job=", "{__name__=\"up\", job=\"ext\", region=\"eu\"}");
    one(&h, "instance=a:1", "__name__=up,job=", "{__name__=\"up\", instance=\"a:1\", job=\"ext\", region=\"eu\"}");
    one(&h, "job=node", "__name__=up,region=mine", "{__name__=\"up\", job=\"node\", region=\"mine\"}");
    one(&h, "job=node,region=s", "__name__=up,region=", "{__name__=\"up\", job=\"node\", region=\"eu\"}");
    harness_free(&h);
    arena_release(&a);
}

static void large_labels(void **state)
{
    (void)state;
    struct harness h = harness_new(no_labels, NULL);
    AUTO_BUF metric = {0};
    AUTO_BUF want = {0};
    AUTO_BUF big = {0};
    for (int i = 0; i < 150000; i++)
        buf_char(&big, (char)('a' + i % 26));
    buf_printf(&metric, "__name__=x,k=%s,z=1", big.p);
    buf_printf(&want, "{__name__=\"x\", k=\"%s\", l=\"%s\", z=\"1\"}", big.p, big.p);
    AUTO_BUF scope = {0};
    buf_printf(&scope, "l=%s", big.p);
    one(&h, scope.p, metric.p, want.p);
    harness_free(&h);
}

static void more_scope_labels_than_an_op_counts(void **state)
{
    (void)state;
    struct harness h = harness_new(no_labels, NULL);
    enum { N = 700 };
    struct label *v = ARENA_ARRAY(&h.arena, struct label, N);
    for (uint32_t i = 0; i < N; i++) {
        const char *name = arena_printf(&h.arena, "s%04u", i);
        v[i] = (struct label){str_c(name), str_c(name + 1)};
    }
    struct scope *s = scope_get(h.scopes, (struct labels){v, N});
    struct label *m = ARENA_ARRAY(&h.arena, struct label, N);
    uint32_t n = 0;
    m[n++] = (struct label){LABEL_NAME, STR("x")};
    for (uint32_t i = 200; i < 600; i++)
        m[n++] = (struct label){v[i].name, STR("")};
    struct sample sample = {metric_of(&h, (struct labels){m, n}, s->names), SIDE_NONE, 1};
    append_samples(&h, s, TS, &sample, 1);

    struct spool_lane *l = &h.spool->lanes[0];
    struct proto_reader r = proto_read(str_from((const char *)l->room, l->n));
    struct proto_field f;
    assert_int_equal(proto_next(&r, &f), OK);
    r = proto_read(f.bytes);
    assert_int_equal(proto_next(&r, &f), OK);
    assert_str_c(read_label(f.bytes).value, "x");
    for (uint32_t i = 0; i < N; i++) {
        if (i >= 200 && i < 600)
            continue;
        assert_int_equal(proto_next(&r, &f), OK);
        assert_str(read_label(f.bytes).name, v[i].name);
    }
    scope_unref(h.scopes, s);
    harness_free(&h);
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

static void bytes_are_those_of_the_original(void **state)
{
    (void)state;
    struct harness h = harness_new(no_labels, NULL);
    struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "job=j"));
    uint32_t up = metric_of(&h, labels_of(&h.arena, "__name__=up"), s->names);
    struct sample samples[] = {{up, SIDE_NONE, 1}, {up, SIDE_NONE, 0}};
    append_samples(&h, s, 1000, samples, 2);
    static const uint8_t want[] = {
        0x0a, 40, 0x0a, 14, 0x0a, 8,   '_', '_',  'n', 'a',  'm',  'e',  '_',  '_',  0x12, 2, 'u', 'p', /* __name__ */
        0x0a, 8,  0x0a, 3,  'j',  'o', 'b', 0x12, 1,   'j',                                             /* job */
        0x12, 12, 0x09, 0,  0,    0,   0,   0,    0,   0xf0, 0x3f, 0x10, 0xe8, 0x07,                    /* 1 @ 1000 */
        0x0a, 31, 0x0a, 14, 0x0a, 8,   '_', '_',  'n', 'a',  'm',  'e',  '_',  '_',  0x12, 2, 'u', 'p',
        0x0a, 8,  0x0a, 3,  'j',  'o', 'b', 0x12, 1,   'j',  0x12, 3,    0x10, 0xe8, 0x07, /* 0: left out */
    };
    struct spool_lane *l = &h.spool->lanes[0];
    assert_int_equal(l->n, sizeof(want));
    assert_memory_equal(l->room, want, sizeof(want));
    scope_unref(h.scopes, s);
    harness_free(&h);
}

static void values_and_times(void **state)
{
    (void)state;
    static const uint64_t bits[] = {
        0, 0x8000000000000000ULL, SAMPLE_STALE_BITS, SAMPLE_NAN_BITS, 0x7ff0000000000000ULL, 0x3ff0000000000000ULL,
        1, 0xffffffffffffffffULL};
    static const int64_t times[] = {0, 1, -1, TS, INT64_MAX, INT64_MIN, 127, 128};
    struct harness h = harness_new(no_labels, NULL);
    struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "job=j"));
    uint32_t up = metric_of(&h, labels_of(&h.arena, "__name__=up"), s->names);
    for (size_t t = 0; t < COUNT_OF(times); t++) {
        struct sample samples[COUNT_OF(bits)];
        for (size_t i = 0; i < COUNT_OF(bits); i++)
            samples[i] = (struct sample){up, SIDE_NONE, sample_from_bits(bits[i])};
        append_samples(&h, s, times[t], samples, COUNT_OF(bits));
        struct message_read m = open_batch(&h);
        for (size_t i = 0; i < COUNT_OF(bits); i++)
            assert_next(&m, "{__name__=\"up\", job=\"j\"}", bits[i], times[t]);
        assert_end(&m);
        assert_int_equal(h.spool->lanes[0].first_ms, times[t]);
        assert_int_equal(h.spool->lanes[0].last_ms, times[t]);
        spool_lane_seal(&h.spool->lanes[0]);
    }
    scope_unref(h.scopes, s);
    harness_free(&h);
}

static void explicit_timestamps(void **state)
{
    (void)state;
    struct harness h = harness_new(no_labels, NULL);
    struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "job=j"));
    struct scope *t = scope_get(h.scopes, labels_of(&h.arena, "job=k"));
    uint32_t up = metric_of(&h, labels_of(&h.arena, "__name__=up"), s->names);
    struct sample samples[] = {{up, 1, 1}, {up, SIDE_NONE, 2}, {up, 0, 3}};
    struct sample_side sides[] = {{.ts_ms = TS + 500, .histogram = SIDE_NONE},
                                  {.ts_ms = TS - 500, .histogram = SIDE_NONE}};
    struct batch_run runs[] = {{.scope = s, .n = 2}, {.scope = t, .first = 2, .n = 1}};
    struct intern_view view = intern_view(h.intern);
    struct batch b = {.ts_ms = TS,
                      .metrics = &view,
                      .samples = samples,
                      .n_samples = 3,
                      .sides = sides,
                      .n_sides = 2,
                      .runs = runs,
                      .n_runs = 2};
    remote_write_append(&h.rw->consumer, &b, NULL, NULL);
    struct message_read m = open_batch(&h);
    assert_next(&m, "{__name__=\"up\", job=\"j\"}", bits_of(1), TS - 500);
    assert_next(&m, "{__name__=\"up\", job=\"j\"}", bits_of(2), TS);
    assert_next(&m, "{__name__=\"up\", job=\"k\"}", bits_of(3), TS + 500);
    assert_end(&m);
    assert_int_equal(h.spool->lanes[0].first_ms, TS - 500);
    assert_int_equal(h.spool->lanes[0].last_ms, TS + 500);
    scope_unref(h.scopes, s);
    scope_unref(h.scopes, t);
    harness_free(&h);
}

static void completion(void *ctx, enum err err)
{
    assert_int_equal(err, OK);
    ++*(int *)ctx;
}

static void completion_is_told_once(void **state)
{
    (void)state;
    struct harness h = harness_new(no_labels, NULL);
    struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "job=j"));
    struct sample sample = {metric_of(&h, labels_of(&h.arena, "__name__=up"), s->names), SIDE_NONE, 1};
    struct batch_run run = {.scope = s, .n = 1};
    struct intern_view view = intern_view(h.intern);
    struct batch b = {.ts_ms = TS, .metrics = &view, .samples = &sample, .n_samples = 1, .runs = &run, .n_runs = 1};
    int told = 0;
    remote_write_append(&h.rw->consumer, &b, completion, &told);
    assert_int_equal(told, 1);
    assert_int_equal(h.spool->lanes[0].ledger.waiting, 1);
    b.n_runs = b.n_samples = 0;
    remote_write_append(&h.rw->consumer, &b, completion, &told);
    assert_int_equal(told, 2);
    scope_unref(h.scopes, s);
    harness_free(&h);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static void scrapes_stay_whole(void **state)
{
    (void)state;
    struct harness h = harness_new(no_labels, NULL);
    struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "job=j"));
    uint32_t up = metric_of(&h, labels_of(&h.arena, "__name__=up"), s->names);
    struct sample samples[507];
    for (int i = 0; i < 507; i++)
        samples[i] = (struct sample){up, SIDE_NONE, i};
    for (int i = 0; i < 4; i++)
        append_samples(&h, s, TS + i, samples, 507);
    struct spool_lane *l = &h.spool->lanes[0];
    assert_int_equal(l->n_sealed, 1); /* 2,000 hold three scrapes of 507, not four */
    assert_int_equal(l->sealed[0]->request.samples, 3 * 507);
    assert_int_equal(l->sealed[0]->request.n_borders, 3);
    assert_int_equal(l->samples, 507);
    scope_unref(h.scopes, s);
    harness_free(&h);
}

static void large_scrape_becomes_a_group(void **state)
{
    (void)state;
    struct harness h = harness_new(no_labels, NULL);
    struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "job=j"));
    uint32_t up = metric_of(&h, labels_of(&h.arena, "__name__=up"), s->names);
    enum { N = 4500 };
    struct sample *samples = ARENA_ARRAY(&h.arena, struct sample, N);
    for (int i = 0; i < N; i++)
        samples[i] = (struct sample){up, SIDE_NONE, i};
    append_samples(&h, s, TS - 1, samples, 10);
    append_samples(&h, s, TS, samples, N);
    append_samples(&h, s, TS + 1, samples, 10);
    struct spool_lane *l = &h.spool->lanes[0];
    assert_int_equal(h.spool->groups_ended, 1);
    assert_int_equal(l->n_sealed, 4);
    double next = 0;
    for (int i = 1; i < 4; i++) {
        AUTO_BUF raw = {0};
        const struct spool_request *r = &l->sealed[i]->request;
        assert_true(r->samples <= 2000);
        assert_int_equal(r->n_borders, 1);
        assert_int_equal(compress_decode(&h.spool->compressor, COMPRESS_SNAPPY, r->body, r->raw_bytes, &raw), OK);
        struct message_read m = {.r = proto_read(buf_view(&raw)), .arena = &h.arena};
        for (uint32_t k = 0; k < r->samples; k++)
            assert_next(&m, "{__name__=\"up\", job=\"j\"}", bits_of(next++), TS);
        assert_end(&m);
    }
    assert_int_equal((int)next, N);
    assert_int_equal(l->ledger.read, N + 20);
    assert_int_equal(l->samples, 10);
    scope_unref(h.scopes, s);
    harness_free(&h);
}

static void bytes_are_limited_too(void **state)
{
    (void)state;
    struct harness h = harness_new(no_labels, NULL);
    AUTO_BUF big = {0};
    buf_c(&big, "__name__=x,k=");
    for (int i = 0; i < 300000; i++)
        buf_char(&big, 'v');
    struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "job=j"));
    uint32_t x = metric_of(&h, labels_of(&h.arena, big.p), s->names);
    struct sample samples[5];
    for (int i = 0; i < 5; i++)
        samples[i] = (struct sample){x, SIDE_NONE, i};
    append_samples(&h, s, TS, samples, 2);
    append_samples(&h, s, TS, samples, 3); /* does not fit behind it */
    struct spool_lane *l = &h.spool->lanes[0];
    assert_int_equal(l->n_sealed, 1);
    assert_int_equal(l->samples, 3);
    append_samples(&h, s, TS, samples, 5); /* does not fit anywhere */
    assert_int_equal(h.spool->groups_ended, 1);
    assert_int_equal(l->ledger.waiting, 10);
    scope_unref(h.scopes, s);
    harness_free(&h);
}

static void what_fits_nowhere_is_dropped_alone(void **state)
{
    (void)state;
    struct harness h = harness_new(no_labels, NULL);
    AUTO_BUF big = {0};
    buf_c(&big, "__name__=x,k=");
    for (int i = 0; i < 1200000; i++)
        buf_char(&big, 'v');
    struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "job=j"));
    uint32_t x = metric_of(&h, labels_of(&h.arena, big.p), s->names);
    uint32_t up = metric_of(&h, labels_of(&h.arena, "__name__=up"), s->names);
    struct sample samples[] = {{up, SIDE_NONE, 1}, {x, SIDE_NONE, 2}, {x, SIDE_NONE, 2}, {up, SIDE_NONE, 3}};
    append_samples(&h, s, TS, samples, 4);
    struct spool_ledger sum = fake_ledger(h.spool);
    assert_int_equal(sum.read, 4);
    assert_int_equal(sum.waiting, 2);
    assert_int_equal(sum.dropped[DROP_UNSENDABLE], 2);
    assert_int_equal(sum.dropped[DROP_RELABEL], 0);
    assert_int_equal(counter_get(h.rw->count.unsendable), 2);
    assert_int_equal(counter_get(h.rw->count.dropped_series), 0);
    scope_unref(h.scopes, s);
    harness_free(&h);
}

/* A metric whose labels all have the same long value: it is interned once, and written 70 times. */
static void a_compact_form_larger_than_any_request(void **state)
{
    (void)state;
    enum { N = 70, VALUE = 40000 };
    struct harness h = harness_new(no_labels, NULL);
    struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "job=j"));
    char *raw = arena_alloc(&h.arena, VALUE);
    memset(raw, 'v', VALUE);
    struct label *v = ARENA_ARRAY(&h.arena, struct label, N);
    v[0] = (struct label){LABEL_NAME, str_from(raw, 1)};
    for (uint32_t i = 1; i < N; i++)
        v[i] = (struct label){str_c(arena_printf(&h.arena, "l%02u", i)), str_from(raw, VALUE)};
    struct str text = str_from(raw, VALUE);
    uint32_t few = intern_add(h.intern, intern_hash(text), text, 1, (struct labels){v, 20}, 0);
    uint32_t all = intern_add(h.intern, intern_hash(text), text, 2, (struct labels){v, N}, 0);
    struct sample samples[] = {{few, SIDE_NONE, 1}, {all, SIDE_NONE, 2}, {few, SIDE_NONE, 3}, {all, SIDE_NONE, 4}};
    append_samples(&h, s, TS, samples, 4);
    assert_int_equal(forms_quick(&h.rw->forms, few)->kind, FORM_COMPACT);
    assert_int_equal(forms_quick(&h.rw->forms, all)->kind, FORM_COMPACT);
    struct spool_ledger sum = fake_ledger(h.spool);
    assert_int_equal(sum.read, 4);
    assert_int_equal(sum.waiting, 2);
    assert_int_equal(sum.dropped[DROP_UNSENDABLE], 2);
    scope_unref(h.scopes, s);
    harness_free(&h);
}

/* Parts end where the room does, by forms of both kinds. */
static void compact_forms_stay_within_the_room(void **state)
{
    (void)state;
    enum { N = 8000 };
    struct harness h = harness_new(no_labels, NULL);
    h.config->queue.max_samples_per_send = N;
    h.spool->max_samples = N;
    struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "job=j"));
    struct sample *samples = ARENA_ARRAY(&h.arena, struct sample, N);
    for (int room = 0; room < 40; room++) {
        AUTO_BUF text = {0};
        buf_c(&text, "__name__=x,k=");
        for (int i = 0; i < 150 + room; i++)
            buf_char(&text, 'v');
        uint32_t x = metric_of(&h, labels_of(&h.arena, text.p), s->names);
        for (int i = 0; i < N; i++)
            samples[i] = (struct sample){x, SIDE_NONE, i};
        append_samples(&h, s, TS, samples, N);
        assert_int_equal(forms_quick(&h.rw->forms, x)->kind, FORM_COMPACT);
        assert_int_equal(h.spool->lanes[0].ledger.waiting, (uint64_t)N * (uint64_t)(room + 1));
    }
    scope_unref(h.scopes, s);
    harness_free(&h);
}

/* ---- compact forms ----------------------------------------------------------------------------------------------- */

static void compact_forms_are_shared_and_go_with_their_last_metric(void **state)
{
    (void)state;
    enum { N = 100 };
    struct harness h = harness_new(no_labels, NULL);
    struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "instance=a:1,job=j"));
    struct sample samples[N];
    for (int i = 0; i < N; i++) {
        const char *text = arena_printf(&h.arena, i % 2 ? "__name__=m%d,code=200" : "__name__=m%d,le=%d", i, i);
        samples[i] = (struct sample){metric_of(&h, labels_of(&h.arena, text), s->names), SIDE_NONE, i};
    }
    append_samples(&h, s, TS, samples, N);
    assert_int_equal(h.rw->forms.by_shape.n, 2);
    assert_int_equal(h.rw->forms.slab.live, 0);
    refer(&h, samples[0].metric, 1);
    intern_sweep(h.intern);
    assert_int_equal(h.rw->forms.by_shape.n, 1);
    refer(&h, samples[0].metric, FORM_SHARED_BY);
    append_samples(&h, s, TS, samples, 1);
    assert_int_equal(h.rw->forms.by_shape.n, 0);
    assert_int_equal(forms_quick(&h.rw->forms, samples[0].metric)->kind, FORM_SERIES);
    harness_reset(&h, no_labels, NULL);
    append_samples(&h, s, TS, samples, 1);
    assert_int_equal(h.rw->forms.by_shape.n, 0);
    scope_unref(h.scopes, s);
    harness_free(&h);
}

static void compact_forms_outlive_moved_blobs_and_reused_ids(void **state)
{
    (void)state;
    enum { N = 4000, EACH = 50 };
    struct harness h = harness_new(no_labels, NULL);
    struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "instance=a:1,job=j"));
    struct sample samples[N];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            if (round && i % EACH == 0) /* survived */
                continue;
            const char *text = arena_printf(&h.arena, round == 1 ? "Zone=z%d,__name__=m%d" : "__name__=m%d,z=%d", i, i);
            samples[i] = (struct sample){metric_of(&h, labels_of(&h.arena, text), s->names), SIDE_NONE, i};
        }
        struct intern_view view = intern_view(h.intern);
        uint32_t blob = view.metrics[samples[EACH].metric].blob;
        for (int i = 0; i < N; i += 40) {
            spool_lane_seal(&h.spool->lanes[0]);
            append_samples(&h, s, TS, samples + i, 40);
            struct message_read m = open_batch(&h);
            for (int k = i; k < i + 40; k++) {
                bool survivor = k % EACH == 0;
                const char *want = arena_printf(&h.arena,
                                                round == 1 && !survivor
                                                    ? "{Zone=\"z%d\", __name__=\"m%d\", instance=\"a:1\", job=\"j\"}"
                                                    : "{__name__=\"m%d\", instance=\"a:1\", job=\"j\", z=\"%d\"}",
                                                k, k);
                assert_next(&m, want, bits_of(k), TS);
            }
            assert_end(&m);
        }
        for (int i = 0; round == 0 && i < N; i += EACH)
            refer(&h, samples[i].metric, 1);
        intern_sweep(h.intern);
        view = intern_view(h.intern);
        if (round == 0)
            assert_int_not_equal(view.metrics[samples[EACH].metric].blob, blob);
    }
    scope_unref(h.scopes, s);
    harness_free(&h);
}

static void more_shapes_than_there_are_numbers(void **state)
{
    (void)state;
    enum { N = 9000, STEP = 500 };
    struct harness h = harness_new(no_labels, NULL);
    struct scope **s = ARENA_ARRAY(&h.arena, struct scope *, N);
    uint32_t *ids = ARENA_ARRAY(&h.arena, uint32_t, N);
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < N; i++) {
            s[i] = scope_get(h.scopes, labels_of(&h.arena, arena_printf(&h.arena, "s%d=v", i)));
            ids[i] = metric_of(&h, labels_of(&h.arena, "__name__=up,a=b"), s[i]->names);
            struct sample sample = {ids[i], SIDE_NONE, i};
            append_samples(&h, s[i], TS, &sample, 1);
            assert_int_equal(forms_quick(&h.rw->forms, ids[i])->kind, FORM_COMPACT);
            h.spool->lanes[0].n = h.spool->lanes[0].samples = h.spool->lanes[0].n_borders = 0;
        }
        assert_int_equal(h.rw->forms.by_shape.n, SLAB_FIRST - 1);
        for (int i = 0; i < N; i += STEP) {
            struct sample sample = {ids[i], SIDE_NONE, i};
            spool_lane_seal(&h.spool->lanes[0]);
            append_samples(&h, s[i], TS, &sample, 1);
            struct message_read m = open_batch(&h);
            assert_next(&m, arena_printf(&h.arena, "{__name__=\"up\", a=\"b\", s%d=\"v\"}", i), bits_of(i), TS);
        }
        for (int i = 0; i < N; i++)
            scope_unref(h.scopes, s[i]);
        intern_sweep(h.intern);
        assert_int_equal(h.rw->forms.by_shape.n, 0);
        assert_int_equal(h.rw->forms.slab.live, 0);
    }
    harness_free(&h);
}

/* ---- relabelling ------------------------------------------------------------------------------------------------- */

struct rule_text {
    enum relabel_action action;
    const char *source, *regex, *target, *replacement;
};

static struct relabel_rules *rules_of(struct arena *a, const struct rule_text *t, uint32_t n)
{
    struct relabel_rules *r = ARENA_NEW(a, struct relabel_rules);
    r->rules = ARENA_ARRAY(a, struct relabel_rule, n);
    r->n = n;
    for (uint32_t i = 0; i < n; i++) {
        struct relabel_rule *rule = &r->rules[i];
        *rule = (struct relabel_rule){.action = t[i].action,
                                      .separator = STR(";"),
                                      .target_label = str_c(t[i].target),
                                      .replacement = str_c(t[i].replacement ? t[i].replacement : "$1")};
        rule->source_labels = ARENA_ARRAY(a, struct str, 2);
        struct str rest = str_c(t[i].source);
        while (rest.n)
            str_cut(rest, ',', &rule->source_labels[rule->n_source_labels++], &rest);
        assert_int_equal(regex_new(str_c(t[i].regex ? t[i].regex : "(.*)"), &rule->regex, NULL), OK);
    }
    return r;
}

static void rules_free(struct relabel_rules *r)
{
    for (uint32_t i = 0; i < r->n; i++)
        regex_free(r->rules[i].regex);
}

static void dropped_series_are_counted(void **state)
{
    (void)state;
    struct arena a = {0};
    static const struct rule_text text[] = {{RELABEL_DROP, "__name__", "go_.*", NULL, NULL}};
    struct relabel_rules *rules = rules_of(&a, text, 1);
    struct harness h = harness_new(no_labels, rules);
    struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "job=j"));
    uint32_t up = metric_of(&h, labels_of(&h.arena, "__name__=up"), s->names);
    uint32_t go = metric_of(&h, labels_of(&h.arena, "__name__=go_threads"), s->names);
    struct sample samples[] = {{go, SIDE_NONE, 1}, {up, SIDE_NONE, 2}, {go, SIDE_NONE, 3}};
    append_samples(&h, s, TS, samples, 3);
    append_samples(&h, s, TS, samples, 1); /* nothing left: counts alone */
    struct message_read m = open_batch(&h);
    assert_next(&m, "{__name__=\"up\", job=\"j\"}", bits_of(2), TS);
    assert_end(&m);
    struct spool_ledger sum = fake_ledger(h.spool);
    assert_int_equal(sum.read, 4);
    assert_int_equal(sum.dropped[DROP_RELABEL], 3);
    assert_int_equal(counter_get(h.rw->count.dropped_series), 3);
    assert_int_equal(h.rw->forms.live_pairs, 0);
    scope_unref(h.scopes, s);
    harness_free(&h);
    rules_free(rules);
    arena_release(&a);
}

static void pairs_go_with_scope_and_metric(void **state)
{
    (void)state;
    struct arena a = {0};
    static const struct rule_text text[] = {{RELABEL_REPLACE, "instance", "([^:]*):.*", "host", "$1"}};
    struct relabel_rules *rules = rules_of(&a, text, 1);
    struct harness h = harness_new(no_labels, rules);
    struct scope *s[3];
    struct sample samples[20];
    static const char *const names[] = {"instance=a:1", "instance=b:1", "instance=c:1"};
    for (int i = 0; i < 3; i++)
        s[i] = scope_get(h.scopes, labels_of(&h.arena, names[i]));
    for (int i = 0; i < 20; i++) {
        struct labels l = labels_of(&h.arena, arena_printf(&h.arena, "__name__=m%d", i));
        samples[i] = (struct sample){metric_of(&h, l, s[0]->names), SIDE_NONE, i};
        if (i < 5) {
            struct intern_view view = intern_view(h.intern);
            intern_ref(&view, samples[i].metric);
        }
    }
    for (int i = 0; i < 3; i++)
        append_samples(&h, s[i], TS, samples, 20);
    struct message_read m = open_batch(&h);
    assert_next(&m, "{__name__=\"m0\", host=\"a\", instance=\"a:1\"}", bits_of(0), TS);
    assert_int_equal(h.rw->forms.live_pairs, 60);
    scope_unref(h.scopes, s[1]);
    assert_int_equal(h.rw->forms.live_pairs, 40);
    intern_sweep(h.intern);
    assert_int_equal(h.rw->forms.live_pairs, 10);
    append_samples(&h, s[2], TS, samples, 5);
    assert_int_equal(h.rw->forms.live_pairs, 10);
    scope_unref(h.scopes, s[0]);
    scope_unref(h.scopes, s[2]);
    assert_int_equal(h.rw->forms.live_pairs, 0);
    assert_int_equal(h.rw->forms.by_pair.n, 0);
    harness_free(&h);
    rules_free(rules);
    arena_release(&a);
}

static void beyond_the_bound_forms_are_not_kept(void **state)
{
    (void)state;
    struct arena a = {0};
    static const struct rule_text text[] = {{RELABEL_REPLACE, "job", NULL, "copy", "$1"}};
    struct relabel_rules *rules = rules_of(&a, text, 1);
    struct harness h = harness_new(no_labels, rules);
    h.rw->forms.max_pairs = 2;
    struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "job=j"));
    for (int i = 0; i < 5; i++) {
        struct labels l = labels_of(&h.arena, arena_printf(&h.arena, "__name__=m%d", i));
        struct sample sample = {metric_of(&h, l, s->names), SIDE_NONE, i};
        append_samples(&h, s, TS, &sample, 1);
    }
    assert_int_equal(h.rw->forms.live_pairs, 2);
    struct message_read m = open_batch(&h);
    for (int i = 0; i < 5; i++)
        assert_next(&m, arena_printf(&h.arena, "{__name__=\"m%d\", copy=\"j\", job=\"j\"}", i), bits_of(i), TS);
    scope_unref(h.scopes, s);
    harness_free(&h);
    rules_free(rules);
    arena_release(&a);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void unique_series(struct harness *h, struct scope *s, int from, int n, int refs)
{
    for (int i = 0; i < n; i++) {
        char text[160];
        int k = snprintf(text, sizeof(text), "__name__=http_requests_total,code=200,handler=/api/v1/%05d", from + i);
        assert_true(k > 0);
        struct arena a = {0};
        struct sample sample = {metric_of(h, labels_of(&a, text), s->names), SIDE_NONE, i};
        refer(h, sample.metric, refs);
        append_samples(h, s, TS, &sample, 1);
        refer(h, sample.metric, -refs);
        h->spool->lanes[0].n = h->spool->lanes[0].samples = h->spool->lanes[0].n_borders = 0;
        arena_release(&a);
    }
}

static void memory_after(int refs, size_t bytes_each)
{
    enum { N = 20000 };
    struct harness h = harness_new(no_labels, NULL);
    struct scope *s = scope_get(h.scopes, labels_of(&h.arena, "cluster=c,instance=a:1,job=j"));
    unique_series(&h, s, 0, N, refs);
    assert_true(forms_bytes(&h.rw->forms) < N * bytes_each);
    for (int round = 1; round < 4; round++) {
        for (uint32_t i = 0; i < 40; i++) /* survivors all over the place */
            refer(&h, i * (N / 40), 1);
        intern_sweep(h.intern);
        for (uint32_t i = 0; i < 40; i++)
            refer(&h, i * (N / 40), -1);
        unique_series(&h, s, round * N, N, refs);
    }
    intern_sweep(h.intern);
    unique_series(&h, s, 0, 1, refs);
    assert_true(h.rw->forms.slab.bytes <= 4 * 65536);
    assert_true(forms_bytes(&h.rw->forms) - h.rw->forms.slab.bytes < 4096);
    scope_unref(h.scopes, s);
    harness_free(&h);
}

static void memory_per_series_and_after_churn(void **state)
{
    (void)state;
    memory_after(1, 6);
    memory_after(FORM_SHARED_BY, 126);
}

/* ---- against the plain way --------------------------------------------------------------------------------------- */

enum { MAX_METRICS = 60, MAX_SCOPES = 12 };

static const char *const name_pool[] = {"AZ",       "Zone", "a",  "code",   "exported_job", "host",
                                        "instance", "job",  "le", "region", "z_last"};

static struct str random_value(struct unit_random *r, struct arena *a)
{
    uint64_t kind = unit_random_below(r, 40);
    if (kind < 3) { /* tables of all widths, lengths of one to three bytes */
        size_t n = kind ? 100 + unit_random_below(r, 300) : 60000 + unit_random_below(r, 12000);
        char *p = arena_alloc(a, n);
        memset(p, 'x', n);
        return str_from(p, n);
    }
    return str_c(arena_printf(a, "%.*s%llu", (int)unit_random_below(r, 30), "abcdefghijklmnopqrstuvwxyz0123456789",
                              (unsigned long long)unit_random_below(r, 4)));
}

static struct labels random_labels(struct unit_random *r, struct arena *a, bool metric, bool empties)
{
    struct label *v = ARENA_ARRAY(a, struct label, COUNT_OF(name_pool) + 1);
    uint32_t n = 0;
    uint64_t density = 1 + unit_random_below(r, 4);
    for (size_t i = 0; i < COUNT_OF(name_pool); i++) {
        if (metric && i == 2)
            v[n++] = (struct label){LABEL_NAME, str_c(arena_printf(a, "m%d", (int)unit_random_below(r, 5)))};
        if (unit_random_below(r, 5) >= density)
            continue;
        bool empty = empties && unit_random_below(r, 4) == 0;
        v[n++] = (struct label){str_c(name_pool[i]), empty ? STR("") : random_value(r, a)};
    }
    return (struct labels){v, n};
}

static const struct rule_text rule_sets[][2] = {
    {{RELABEL_LABELDROP, NULL, "host|AZ", NULL, NULL}, {RELABEL_DROP, "__name__", "m3", NULL, NULL}},
    {{RELABEL_REPLACE, "job,code", "(.*);(.*)", "joined", "$2-$1"}, {RELABEL_LABELDROP, NULL, "code", NULL, NULL}},
    {{RELABEL_DROP, "instance", ".*1", NULL, NULL}, {RELABEL_REPLACE, "__name__", NULL, "Name", "$1"}},
    {{RELABEL_LABELMAP, NULL, "(a|region)", NULL, "mapped_$1"},
     {RELABEL_LABELKEEP, NULL, "mapped.*|__name__|job", NULL, NULL}},
    {{RELABEL_REPLACE, "region", NULL, "region", "same"}, {RELABEL_REPLACE, "nowhere", NULL, "z_last", ""}},
};

struct expectation {
    struct labels labels;
    uint64_t bits;
    int64_t ts_ms;
};

struct random_world {
    struct harness *h;
    struct unit_random *r;
    struct labels externals;
    const struct relabel_rules *rules;
    struct scope *scopes[MAX_SCOPES];
    uint32_t ids[MAX_SCOPES][MAX_METRICS]; /* under the name set of scope i */
    int refs[MAX_SCOPES][MAX_METRICS];     /* that are held by this table */
    struct labels metrics[MAX_METRICS];
    struct str raws[MAX_METRICS];
};

/* Some metrics become shared, some lose their references. */
static void world_refer(struct random_world *w)
{
    for (int i = 0; i < MAX_SCOPES; i++) {
        for (int k = 0; k < MAX_METRICS; k++) {
            if (unit_random_below(w->r, 20))
                continue;
            int refs = (int)unit_random_below(w->r, FORM_SHARED_BY + 2);
            refer(w->h, w->ids[i][k], refs - w->refs[i][k]);
            w->refs[i][k] = refs;
        }
    }
}

static void world_check(struct random_world *w)
{
    struct harness *h = w->h;
    struct sample samples[200];
    struct sample_side sides[200];
    struct batch_run runs[4];
    struct expectation want[200];
    struct arena a = {0};
    uint32_t n = 0;
    uint32_t n_sides = 0;
    uint32_t n_want = 0;
    for (uint32_t run = 0; run < 4; run++) {
        uint32_t scope = (uint32_t)unit_random_below(w->r, MAX_SCOPES);
        runs[run] =
            (struct batch_run){.scope = w->scopes[scope], .first = n, .n = (uint32_t)unit_random_below(w->r, 40)};
        for (uint32_t i = 0; i < runs[run].n; i++) {
            uint32_t m = (uint32_t)unit_random_below(w->r, MAX_METRICS);
            /* now and then a metric that belongs to another name set */
            uint32_t under = unit_random_below(w->r, 50) ? scope : (uint32_t)unit_random_below(w->r, MAX_SCOPES);
            uint64_t bits = unit_random_below(w->r, 4) ? unit_random_u64(w->r) : 0;
            int64_t ts_ms = TS;
            samples[n] = (struct sample){w->ids[under][m], SIDE_NONE, sample_from_bits(bits)};
            if (unit_random_below(w->r, 10) == 0) {
                ts_ms = (int64_t)unit_random_u64(w->r);
                sides[n_sides] = (struct sample_side){.ts_ms = ts_ms, .histogram = SIDE_NONE};
                samples[n].side = n_sides++;
            }
            n++;
            struct labels l = plain_labels(w->metrics[m], w->scopes[scope]->labels, w->externals, w->rules, &a);
            if (l.n)
                want[n_want++] = (struct expectation){l, bits, ts_ms};
        }
    }
    struct intern_view view = intern_view(h->intern);
    struct batch b = {.ts_ms = TS,
                      .metrics = &view,
                      .samples = samples,
                      .n_samples = n,
                      .sides = sides,
                      .n_sides = n_sides,
                      .runs = runs,
                      .n_runs = 4};
    h->spool->lanes[0].n = h->spool->lanes[0].samples = h->spool->lanes[0].n_borders = 0;
    remote_write_append(&h->rw->consumer, &b, NULL, NULL);
    if (h->spool->lanes[0].n_sealed) { /* long values made it a group: not what is looked at here */
        struct spool_lane *l = &h->spool->lanes[0];
        while (l->first_sealed < l->n_sealed)
            fake_sealed_free(l->sealed[l->first_sealed++]);
        l->first_sealed = l->n_sealed = 0;
        arena_release(&a);
        return;
    }
    struct message_read m = open_batch(h);
    m.arena = &a;
    for (uint32_t i = 0; i < n_want; i++) {
        struct decoded d;
        assert_true(message_next(&m, &d));
        assert_true(labels_eq(d.labels, want[i].labels));
        assert_int_equal(d.bits, want[i].bits);
        assert_int_equal(d.ts_ms, want[i].ts_ms);
    }
    assert_end(&m);
    arena_release(&a);
}

static void world_scopes(struct random_world *w)
{
    for (int i = 0; i < MAX_SCOPES; i++) {
        if (w->scopes[i] && unit_random_below(w->r, 3))
            continue;
        scope_unref(w->h->scopes, w->scopes[i]);
        w->scopes[i] = scope_get(w->h->scopes, random_labels(w->r, &w->h->arena, false, false));
    }
    intern_sweep(w->h->intern); /* what is not referenced is made again */
    for (int i = 0; i < MAX_SCOPES; i++) {
        for (int k = 0; k < MAX_METRICS; k++) {
            uint32_t old = w->ids[i][k];
            w->ids[i][k] = metric_of_raw(w->h, w->raws[k], w->metrics[k], w->scopes[i]->names);
            refer(w->h, w->ids[i][k], w->refs[i][k]);
            if (w->refs[i][k])
                refer(w->h, old, -w->refs[i][k]);
        }
    }
}

static void random_round(struct unit_random *r)
{
    struct arena a = {0};
    uint64_t set = unit_random_below(r, COUNT_OF(rule_sets) + 2);
    struct relabel_rules *rules = set < COUNT_OF(rule_sets) ? rules_of(&a, rule_sets[set], 2) : NULL;
    struct labels externals = random_labels(r, &a, false, false);
    struct harness h = harness_new(externals, rules);
    struct random_world w = {.h = &h, .r = r, .externals = externals, .rules = rules};
    for (int i = 0; i < MAX_METRICS; i++) {
        AUTO_BUF raw = {0};
        w.metrics[i] = random_labels(r, &h.arena, true, true);
        raw_of_labels(w.metrics[i], unit_random_below(r, 4) > 0, &raw);
        w.raws[i] = str_dup(&h.arena, buf_view(&raw));
    }
    for (int i = 0; i < 6; i++) {
        world_scopes(&w);
        for (int k = 0; k < 6; k++) {
            world_refer(&w);
            world_check(&w);
        }
        if (i == 3) {
            w.externals = random_labels(r, &a, false, false);
            harness_reset(&h, w.externals, rules);
        }
    }
    for (int i = 0; i < MAX_SCOPES; i++)
        scope_unref(h.scopes, w.scopes[i]);
    assert_int_equal(h.rw->forms.live_pairs, 0);
    harness_free(&h);
    if (rules)
        rules_free(rules);
    arena_release(&a);
}

static void random_series_against_the_plain_way(void **state)
{
    (void)state;
    struct unit_random r = unit_random_new();
    for (int i = 0; i < 40; i++)
        random_round(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metric_wins_over_scope),
        cmocka_unit_test(upper_case_sorts_before_the_name),
        cmocka_unit_test(empty_value_hides_the_scope),
        cmocka_unit_test(external_labels_fill_what_is_absent),
        cmocka_unit_test(large_labels),
        cmocka_unit_test(more_scope_labels_than_an_op_counts),
        cmocka_unit_test(bytes_are_those_of_the_original),
        cmocka_unit_test(values_and_times),
        cmocka_unit_test(explicit_timestamps),
        cmocka_unit_test(completion_is_told_once),
        cmocka_unit_test(scrapes_stay_whole),
        cmocka_unit_test(large_scrape_becomes_a_group),
        cmocka_unit_test(bytes_are_limited_too),
        cmocka_unit_test(what_fits_nowhere_is_dropped_alone),
        cmocka_unit_test(a_compact_form_larger_than_any_request),
        cmocka_unit_test(compact_forms_stay_within_the_room),
        cmocka_unit_test(compact_forms_are_shared_and_go_with_their_last_metric),
        cmocka_unit_test(compact_forms_outlive_moved_blobs_and_reused_ids),
        cmocka_unit_test(more_shapes_than_there_are_numbers),
        cmocka_unit_test(dropped_series_are_counted),
        cmocka_unit_test(pairs_go_with_scope_and_metric),
        cmocka_unit_test(beyond_the_bound_forms_are_not_kept),
        cmocka_unit_test(memory_per_series_and_after_churn),
        cmocka_unit_test(random_series_against_the_plain_way),
    };
    const struct CMUnitTest both[] = {
        cmocka_unit_test(metric_wins_over_scope),
        cmocka_unit_test(upper_case_sorts_before_the_name),
        cmocka_unit_test(empty_value_hides_the_scope),
        cmocka_unit_test(external_labels_fill_what_is_absent),
        cmocka_unit_test(large_labels),
        cmocka_unit_test(values_and_times),
        cmocka_unit_test(explicit_timestamps),
        cmocka_unit_test(completion_is_told_once),
        cmocka_unit_test(scrapes_stay_whole),
        cmocka_unit_test(large_scrape_becomes_a_group),
        cmocka_unit_test(what_fits_nowhere_is_dropped_alone),
        cmocka_unit_test(a_compact_form_larger_than_any_request),
        cmocka_unit_test(compact_forms_stay_within_the_room),
        cmocka_unit_test(compact_forms_are_shared_and_go_with_their_last_metric),
        cmocka_unit_test(compact_forms_outlive_moved_blobs_and_reused_ids),
        cmocka_unit_test(more_shapes_than_there_are_numbers),
        cmocka_unit_test(dropped_series_are_counted),
        cmocka_unit_test(pairs_go_with_scope_and_metric),
        cmocka_unit_test(beyond_the_bound_forms_are_not_kept),
        cmocka_unit_test(random_series_against_the_plain_way),
    };
    int failed = cmocka_run_group_tests_name("1.0", tests, NULL, NULL);
    harness_protocol = REMOTE_WRITE_PROTOCOL_2;
    return failed + cmocka_run_group_tests_name("2.0", both, NULL, NULL);
}
