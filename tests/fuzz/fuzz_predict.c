/* Two expositions of one target, one after the other: the second, predicted from the first, must give what a reading
 * without any memory gives, or fail with the same words.
 *
 * Input: a byte of switches, then the first page, a byte 0xfe, the second page. A page is text, OpenMetrics or
 * protobuf.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "source/scrape/predict_int.h"

struct target {
    struct predictor predictor;
    struct intern *intern;
    struct scope_table *scopes;
    struct page page;
};

static void open_target(struct target *t, const struct plan_scrape *config)
{
    static const struct label job = {{"job", 3}, {"j", 1}};

    t->intern = intern_new();
    t->scopes = scope_table_new();
    predictor_init(&t->predictor, t->intern, t->scopes, NULL, NULL);
    struct scope *scope = scope_get(t->scopes, (struct labels){&job, 1});
    page_init(&t->predictor, &t->page, config, scope);
    scope_unref(t->scopes, scope);
}

static void close_target(struct target *t)
{
    page_release(&t->predictor, &t->page);
    predictor_release(&t->predictor);
    intern_sweep(t->intern);
    CHECK(intern_count(t->intern) == 0);
    CHECK(scope_count(t->scopes) == 0);
    intern_free(t->intern);
    scope_table_free(t->scopes);
}

static void print_buckets(const struct histogram_buckets *b, struct buf *out)
{
    for (uint32_t i = 0; i < b->n_spans; i++)
        buf_printf(out, " %d+%u", (int)b->spans[i].offset, b->spans[i].length);
    for (uint32_t i = 0; i < b->n; i++)
        buf_printf(out, " %llx", (unsigned long long)b->deltas[i]);
}

/* But for exemplars, which depend on what was sent before. */
static void print_side(const struct batch *b, const struct sample *s, struct buf *out)
{
    if (s->side == SIDE_NONE)
        return;
    const struct sample_side *side = &b->sides[s->side];
    if (side->ts_ms != b->ts_ms || side->start_ms)
        buf_printf(out, " @%lld %lld", (long long)side->ts_ms, (long long)side->start_ms);
    for (uint32_t i = 0; i < side->n_exemplars; i++)
        CHECK(b->exemplars[side->exemplar + i].labels.n < 1000);
    if (side->histogram == SIDE_NONE)
        return;
    const struct histogram *h = &b->histograms[side->histogram];
    buf_printf(out, " %d %llx %a", (int)h->schema, (unsigned long long)h->count_int, h->sum);
    print_buckets(&h->positive, out);
    print_buckets(&h->negative, out);
}

/* Without the markers. */
static void print_samples(struct target *t, int64_t ts_ms, struct buf *out)
{
    struct batch b = predict_batch(&t->predictor, &t->page, 0, ts_ms);
    struct intern_view view = intern_view(t->intern);
    struct arena a = {0};

    for (uint32_t i = 0; i < b.n_samples; i++) {
        uint64_t bits;
        memcpy(&bits, &b.samples[i].value, sizeof(bits));
        if (bits == SAMPLE_STALE_BITS)
            continue;
        labels_print(intern_labels(&view, b.samples[i].metric, &a), out);
        buf_printf(out, " %llx", (unsigned long long)bits);
        print_side(&b, &b.samples[i], out);
        buf_char(out, '\n');
        arena_reset(&a);
    }
    arena_release(&a);
}

static enum err read_page(struct target *t, const struct plan_scrape *config, enum exposition_kind kind,
                          uint8_t switches, struct str body, int64_t ts_ms, struct buf *out)
{
    struct predict_result result;
    struct diag d = {0};
    struct predict_input in = {
        .page = &t->page,
        .config = config,
        .body = body,
        .kind = kind,
        .histograms = {.native = switches & 64, .convert = switches & 16, .classic_too = switches & 32},
        .starts = switches & 128,
        .ts_ms = ts_ms,
        .now_ms = ts_ms};

    predict_begin(&t->predictor);
    enum err err = predict_page(&t->predictor, &in, &result, &d);
    if (err != OK &&
        in.histograms.convert) /* whether the comments in front of an error were read shows in the counts */
        result = (struct predict_result){0};
    buf_printf(out, "%d %u %u %s\n", (int)err, result.scraped, result.relabelled, d.text);
    print_samples(t, ts_ms, out);
    if (err != OK)
        predict_failed(&t->predictor, &t->page, ts_ms);
    t->page.last_ms = ts_ms;
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;

    struct plan_scrape config = {.honor_labels = data[0] & 2, .shape_hash = 1};
    enum exposition_kind kind = data[0] & 8 ? EXPOSITION_PROTO : data[0] & 1 ? EXPOSITION_OPENMETRICS : EXPOSITION_TEXT;
    struct str first;
    struct str second;
    struct buf bodies[2] = {0};
    struct buf texts[3] = {0};
    struct target predicted;
    struct target fresh;

    str_cut(str_from((const char *)data + 1, size - 1), (char)0xfe, &first, &second);
    buf_str(&bodies[0], first);
    buf_str(&bodies[1], second);
    open_target(&predicted, &config);
    open_target(&fresh, &config);
    read_page(&predicted, &config, kind, data[0], buf_view(&bodies[0]), 1000, &texts[0]);
    if (data[0] & 4)
        page_shape(&predicted.predictor, &predicted.page, &config, true);
    read_page(&predicted, &config, kind, data[0], buf_view(&bodies[1]), 2000, &texts[1]);
    read_page(&fresh, &config, kind, data[0], buf_view(&bodies[1]), 2000, &texts[2]);
    CHECK(str_eq(buf_view(&texts[1]), buf_view(&texts[2])));
    close_target(&predicted);
    close_target(&fresh);
    for (int i = 0; i < 2; i++)
        buf_release(&bodies[i]);
    for (int i = 0; i < 3; i++)
        buf_release(&texts[i]);
    return 0;
}
