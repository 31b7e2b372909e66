/* Pages in protobuf. */
#include "unit/source/scrape/pages.h"

#include "wire/proto.h"

enum { COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM };

/* ---- a page, written from the inside out ---- */

static struct buf page;

static void open_messages(struct pages *p)
{
    pages_open(p);
    p->kind = EXPOSITION_PROTO;
    p->histograms.native = true;
}

static struct str scrape_page(struct pages *p)
{
    struct str text = pages_scrape_bytes(p, buf_view(&page));

    buf_clear(&page);
    return text;
}

static void close_messages(struct pages *p)
{
    pages_close(p);
    buf_release(&page);
}

static void add_message(struct buf *to, uint32_t number, struct buf *inner)
{
    proto_append_bytes(to, number, inner->n ? buf_view(inner) : STR(""));
    buf_release(inner);
}

static void add_zigzag(struct buf *to, uint32_t number, int64_t v)
{
    proto_append_tag(to, number, PROTO_VARINT);
    proto_append_varint(to, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

static void add_label(struct buf *to, const char *name, const char *value)
{
    struct buf pair = {0};

    if (!name)
        return;
    proto_append_bytes(&pair, 1, str_c(name));
    proto_append_bytes(&pair, 2, str_c(value));
    add_message(to, 1, &pair);
}

static void add_time(struct buf *to, uint32_t number, int64_t ms)
{
    struct buf time = {0};

    if (!ms)
        return;
    proto_append_u64(&time, 1, (uint64_t)ms / 1000);
    proto_append_u64(&time, 2, (uint64_t)ms % 1000 * 1000000);
    add_message(to, number, &time);
}

static void add_exemplar(struct buf *to, uint32_t number, const char *id, double value, int64_t ms)
{
    struct buf exemplar = {0};

    add_label(&exemplar, "id", id);
    proto_append_double(&exemplar, 2, value);
    add_time(&exemplar, 3, ms);
    add_message(to, number, &exemplar);
}

static void add_bucket(struct buf *to, double le, uint64_t count)
{
    struct buf bucket = {0};

    proto_append_u64(&bucket, 1, count);
    proto_append_double(&bucket, 2, le);
    add_message(to, 3, &bucket);
}

static struct buf counter(double value, int64_t created_ms, const char *exemplar)
{
    struct buf b = {0};

    proto_append_double(&b, 1, value);
    if (exemplar)
        add_exemplar(&b, 2, exemplar, 3, 1500);
    add_time(&b, 3, created_ms);
    return b;
}

static struct buf classic(void)
{
    struct buf b = {0};

    proto_append_u64(&b, 1, 3);
    proto_append_double(&b, 2, 4);
    add_bucket(&b, 1, 2);
    return b;
}

/* Buckets 0 and 1 of schema 0 (2 observations each), one zero. */
static struct buf native(bool with_classic)
{
    struct buf b = {0};
    struct buf span = {0};

    if (with_classic) {
        b = classic();
    } else {
        proto_append_u64(&b, 1, 3);
        proto_append_double(&b, 2, 4);
    }
    add_zigzag(&b, 5, 0);
    proto_append_double(&b, 6, 0.001);
    proto_append_u64(&b, 7, 1);
    add_zigzag(&span, 1, 0);
    proto_append_u64(&span, 2, 2);
    add_message(&b, 12, &span);
    add_zigzag(&b, 13, 1);
    add_zigzag(&b, 13, 0);
    return b;
}

/* One family of one metric, `field` of which is `value`. */
static void add_metric(const char *name, int type, const char *label, uint32_t field, struct buf value, int64_t ts_ms)
{
    struct buf metric = {0};
    struct buf family = {0};

    add_label(&metric, label, "1");
    add_message(&metric, field, &value);
    proto_append_u64(&metric, 6, (uint64_t)ts_ms);
    proto_append_bytes(&family, 1, str_c(name));
    proto_append_bytes(&family, 2, STR("Help."));
    proto_append_u64(&family, 3, (uint64_t)type);
    add_message(&family, 4, &metric);
    proto_append_varint(&page, family.n);
    buf_str(&page, buf_view(&family));
    buf_release(&family);
}

static void add_counter(const char *name, double value, int64_t created_ms, const char *exemplar)
{
    add_metric(name, COUNTER, "x", 3, counter(value, created_ms, exemplar), 0);
}

static void add_gauge(const char *name, double value)
{
    struct buf gauge = {0};

    proto_append_double(&gauge, 1, value);
    add_metric(name, GAUGE, NULL, 2, gauge, 0);
}

/* ---- */

static void a_page_is_predicted_from_the_last(void **state)
{
    struct pages p;
    (void)state;
    open_messages(&p);
    for (int i = 0; i < 3; i++) {
        add_counter("a_total", 5 + i, 0, NULL);
        add_gauge("b", 1);
        AUTO_BUF want = {0};
        buf_printf(&want, "a_total{job=\"j\",x=\"1\"} %d\nb{job=\"j\"} 1\n", 5 + i);
        assert_str_c(scrape_page(&p), want.p);
        assert_int_equal(p.result.scraped, 2);
        assert_int_equal(p.result.added, i == 0 ? 2 : 0);
    }
    assert_int_equal(pages_parsed(&p), 4);
    close_messages(&p);
}

static void the_same_series_in_another_format_go_on(void **state)
{
    struct pages p;
    (void)state;
    open_messages(&p);
    add_counter("a_total", 5, 0, NULL);
    scrape_page(&p);
    p.kind = EXPOSITION_TEXT;
    assert_str_c(pages_scrape(&p, "a_total{x=\"1\"} 6\n"), "a_total{job=\"j\",x=\"1\"} 6\n");
    p.kind = EXPOSITION_PROTO;
    add_counter("a_total", 7, 0, NULL);
    assert_str_c(scrape_page(&p), "a_total{job=\"j\",x=\"1\"} 7\n");
    close_messages(&p);
}

static void samples_stand_under_their_family(void **state)
{
    struct pages p;
    (void)state;
    open_messages(&p);
    for (int i = 0; i < 2; i++) {
        add_gauge("a", 1);
        add_gauge("b", 2);
        scrape_page(&p);
        struct batch b = predict_batch(&p.predictor, &p.page, 0, p.ts_ms);
        struct intern_view view = intern_view(p.intern);
        assert_int_equal(b.n_blocks, 3);
        for (uint32_t k = 0; k < 2; k++) {
            struct arena a = {0};
            struct family *f;
            uint32_t n;
            const struct metric *m = intern_get(&view, b.blocks[k].metric);
            exposition_families(intern_raw(&view, b.blocks[k].metric), (enum exposition_kind)batch_block_kind(m), &a,
                                &f, &n);
            assert_int_equal(n, 1);
            assert_str_c(f[0].name, k ? "b" : "a");
            assert_str_c(f[0].help, "Help.");
            assert_int_equal(f[0].type, TYPE_GAUGE);
            arena_release(&a);
        }
    }
    close_messages(&p);
}

static void exemplars_and_starts_come_along(void **state)
{
    struct pages p;
    (void)state;
    open_messages(&p);
    for (int i = 0; i < 2; i++) {
        add_counter("a_total", 5, 250, "x");
        assert_str_c(scrape_page(&p),
                     i == 0 ? "a_total{job=\"j\",x=\"1\"} 5 # {id=\"x\"} 3 @1500\n" : "a_total{job=\"j\",x=\"1\"} 5\n");
    }
    p.starts = true;
    add_counter("a_total", 5, 250, "x");
    assert_str_c(scrape_page(&p), "a_total{job=\"j\",x=\"1\"} 5 start=250\n");
    close_messages(&p);
}

static void timestamps_are_honored(void **state)
{
    struct pages p;
    (void)state;
    open_messages(&p);
    add_metric("a", COUNTER, NULL, 3, counter(5, 0, NULL), 700);
    assert_str_c(scrape_page(&p), "a{job=\"j\"} 5 @700\n");
    p.config.honor_timestamps = false;
    add_metric("a", COUNTER, NULL, 3, counter(5, 0, NULL), 700);
    assert_str_c(scrape_page(&p), "a{job=\"j\"} 5\n");
    close_messages(&p);
}

#define NATIVE "h:3 sum=4 schema=0 z=1 +[0:1,1:0]"

static void a_native_histogram_is_one_sample(void **state)
{
    struct pages p;
    (void)state;
    open_messages(&p);
    for (int i = 0; i < 2; i++) {
        add_metric("h", HISTOGRAM, NULL, 7, native(true), 0);
        assert_str_c(scrape_page(&p), "h{job=\"j\"} " NATIVE "\n");
        assert_int_equal(p.result.scraped, 1);
    }
    assert_str_c(scrape_page(&p), "h{job=\"j\"} stale\n");
    p.histograms.classic_too = true;
    add_metric("h", HISTOGRAM, NULL, 7, native(true), 0);
    assert_str_c(scrape_page(&p), "h{job=\"j\"} " NATIVE "\nh_count{job=\"j\"} 3\nh_sum{job=\"j\"} 4\n"
                                  "h_bucket{job=\"j\",le=\"1.0\"} 2\nh_bucket{job=\"j\",le=\"+Inf\"} 3\n");
    p.histograms.native = false;
    add_metric("h", HISTOGRAM, NULL, 7, native(true), 0);
    assert_str_c(scrape_page(&p), "h_count{job=\"j\"} 3\nh_sum{job=\"j\"} 4\nh_bucket{job=\"j\",le=\"1.0\"} 2\n"
                                  "h_bucket{job=\"j\",le=\"+Inf\"} 3\nh{job=\"j\"} stale\n");
    close_messages(&p);
}

static void classic_histograms_are_converted(void **state)
{
    struct pages p;
    (void)state;
    open_messages(&p);
    p.histograms.convert = true;
    for (int i = 0; i < 2; i++) {
        add_metric("h", HISTOGRAM, NULL, 7, classic(), 0);
        add_gauge("b", 1);
        assert_str_c(scrape_page(&p), "h{job=\"j\"} h:3 sum=4 schema=-53 le=1 +[0:2,1:-1]\nb{job=\"j\"} 1\n");
    }
    assert_int_equal(pages_parsed(&p), 4);
    close_messages(&p);
}

static void resolution_gives_way_to_the_bucket_limit(void **state)
{
    struct pages p;
    (void)state;
    open_messages(&p);
    p.config.native_histogram_bucket_limit = 1;
    add_metric("h", HISTOGRAM, NULL, 7, native(false), 0);
    scrape_page(&p);
    assert_int_equal(p.err, ERR_LIMIT);
    assert_string_equal(p.diag.text, "histogram bucket limit exceeded");
    p.config.native_histogram_bucket_limit = 0;
    p.config.native_histogram_min_bucket_factor = 4;
    add_metric("h", HISTOGRAM, NULL, 7, native(false), 0);
    assert_str_c(scrape_page(&p), "h{job=\"j\"} h:3 sum=4 schema=-1 z=1 +[0:1,1:0]\n");
    close_messages(&p);
}

/* A histogram shows all its exemplars at each scrape: only newer ones are new. */
static void of_several_exemplars_the_newer_go_on(void **state)
{
    struct pages p;
    (void)state;
    open_messages(&p);
    struct buf h = native(false);
    add_exemplar(&h, 16, "b", 2, 2000);
    add_exemplar(&h, 16, "a", 1, 1000);
    add_exemplar(&h, 16, "no time", 1, 0);
    add_metric("h", HISTOGRAM, NULL, 7, h, 0);
    assert_str_c(scrape_page(&p), "h{job=\"j\"} " NATIVE " # {id=\"a\"} 1 @1000 # {id=\"b\"} 2 @2000\n");
    h = native(false);
    add_exemplar(&h, 16, "a", 1, 1000);
    add_exemplar(&h, 16, "b", 2, 2000);
    add_exemplar(&h, 16, "c", 3, 3000);
    add_metric("h", HISTOGRAM, NULL, 7, h, 0);
    assert_str_c(scrape_page(&p), "h{job=\"j\"} " NATIVE " # {id=\"c\"} 3 @3000\n");
    close_messages(&p);
}

static void a_page_cut_off_is_refused(void **state)
{
    struct pages p;
    (void)state;
    open_messages(&p);
    add_gauge("a", 1);
    scrape_page(&p);
    add_gauge("a", 1);
    add_gauge("b", 1);
    page.n--;
    assert_str_c(scrape_page(&p), "a{job=\"j\"} stale\n");
    assert_int_equal(p.err, ERR_SYNTAX);
    close_messages(&p);
}

static void limits_hold_for_messages_too(void **state)
{
    struct pages p;
    (void)state;
    open_messages(&p);
    p.series_limit = 1;
    for (int i = 0; i < 2; i++) {
        add_gauge("a", 1);
        add_gauge("b", 1);
        assert_str_c(scrape_page(&p), "a{job=\"j\"} 1\n");
    }
    p.series_limit = 0;
    p.config.sample_limit = 1;
    add_gauge("a", 1);
    add_gauge("b", 1);
    assert_str_c(scrape_page(&p), "a{job=\"j\"} stale\n");
    assert_int_equal(p.err, ERR_LIMIT);
    close_messages(&p);
}

static void the_first_of_two_equal_series_wins(void **state)
{
    struct pages p;
    (void)state;
    open_messages(&p);
    for (int i = 0; i < 3; i++) {
        add_gauge("a", 1);
        add_gauge("a", 2);
        assert_str_c(scrape_page(&p), "a{job=\"j\"} 1\n");
        assert_int_equal(p.result.scraped, 2);
    }
    close_messages(&p);
}

/* Two gauges {x=".."} in one family, and another family behind it. */
static void add_pair(const char *first, const char *second, double value)
{
    struct buf family = {0};

    proto_append_bytes(&family, 1, STR("a"));
    proto_append_bytes(&family, 2, STR("Help."));
    proto_append_u64(&family, 3, GAUGE);
    for (int i = 0; i < 2; i++) {
        struct buf metric = {0};
        struct buf gauge = {0};
        proto_append_double(&gauge, 1, value + i);
        add_label(&metric, "x", i ? second : first);
        add_message(&metric, 2, &gauge);
        add_message(&family, 4, &metric);
    }
    proto_append_varint(&page, family.n);
    buf_str(&page, buf_view(&family));
    buf_release(&family);
    add_gauge("b", value);
}

static void only_the_label_that_changed_is_another_series(void **state)
{
    struct pages p;
    (void)state;
    open_messages(&p);
    add_pair("1", "2", 5);
    scrape_page(&p);
    unsigned parsed = pages_parsed(&p);
    add_pair("1", "3", 6);
    assert_str_c(scrape_page(&p), "a{job=\"j\",x=\"1\"} 6\na{job=\"j\",x=\"3\"} 7\nb{job=\"j\"} 6\n"
                                  "a{job=\"j\",x=\"2\"} stale\n");
    assert_int_equal(p.result.added, 1);
    add_pair("1", "3", 7);
    assert_str_c(scrape_page(&p), "a{job=\"j\",x=\"1\"} 7\na{job=\"j\",x=\"3\"} 8\nb{job=\"j\"} 7\n");
    parsed = pages_parsed(&p) - parsed;
    assert_true(parsed >= 1 && parsed <= 3); /* the new one, and what the old array needs to catch up */
    close_messages(&p);
}

static void the_order_of_series_may_change(void **state)
{
    struct pages p;
    (void)state;
    open_messages(&p);
    add_pair("1", "2", 5);
    scrape_page(&p);
    for (int i = 0; i < 3; i++) {
        add_pair("2", "1", 5);
        assert_str_c(scrape_page(&p), "a{job=\"j\",x=\"2\"} 5\na{job=\"j\",x=\"1\"} 6\nb{job=\"j\"} 5\n");
        assert_int_equal(p.result.added, 0);
        assert_int_equal(p.result.scraped, 3);
    }
    close_messages(&p);
}

static void the_series_of_a_histogram_are_predicted(void **state)
{
    struct pages p;
    (void)state;
    open_messages(&p);
    for (int i = 0; i < 3; i++) {
        struct buf h = classic();
        add_time(&h, 15, 250);
        add_metric("h", HISTOGRAM, "x", 7, h, 0);
        add_gauge("b", 1);
        p.starts = i == 2;
        const char *start = p.starts ? " start=250" : "";
        AUTO_BUF want = {0};
        buf_printf(&want,
                   "h_count{job=\"j\",x=\"1\"} 3%s\nh_sum{job=\"j\",x=\"1\"} 4%s\n"
                   "h_bucket{job=\"j\",le=\"1.0\",x=\"1\"} 2%s\nh_bucket{job=\"j\",le=\"+Inf\",x=\"1\"} 3%s\n"
                   "b{job=\"j\"} 1\n",
                   start, start, start, start);
        assert_str_c(scrape_page(&p), want.p);
        assert_int_equal(p.result.scraped, 5);
    }
    assert_int_equal(pages_parsed(&p), 7);
    close_messages(&p);
}

static void a_plain_series_may_become_one_with_a_time_or_a_start_and_back(void **state)
{
    struct pages p;
    (void)state;
    open_messages(&p);
    p.starts = true;
    for (int i = 0; i < 2; i++) {
        add_counter("a", 5, 0, NULL);
        assert_str_c(scrape_page(&p), "a{job=\"j\",x=\"1\"} 5\n");
        add_counter("a", 6, 250, NULL);
        assert_str_c(scrape_page(&p), "a{job=\"j\",x=\"1\"} 6 start=250\n");
        add_metric("a", COUNTER, "x", 3, counter(7, 0, NULL), p.ts_ms + 900);
        AUTO_BUF want = {0};
        buf_printf(&want, "a{job=\"j\",x=\"1\"} 7 @%lld\na{job=\"j\",x=\"1\"} stale\n", (long long)p.ts_ms + 900);
        assert_str_c(scrape_page(&p), want.p); /* no longer tracked: the series that was ends, as in the original */
    }
    close_messages(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_predicted_from_the_last),
        cmocka_unit_test(the_same_series_in_another_format_go_on),
        cmocka_unit_test(samples_stand_under_their_family),
        cmocka_unit_test(exemplars_and_starts_come_along),
        cmocka_unit_test(timestamps_are_honored),
        cmocka_unit_test(a_native_histogram_is_one_sample),
        cmocka_unit_test(classic_histograms_are_converted),
        cmocka_unit_test(resolution_gives_way_to_the_bucket_limit),
        cmocka_unit_test(of_several_exemplars_the_newer_go_on),
        cmocka_unit_test(a_page_cut_off_is_refused),
        cmocka_unit_test(limits_hold_for_messages_too),
        cmocka_unit_test(the_first_of_two_equal_series_wins),
        cmocka_unit_test(only_the_label_that_changed_is_another_series),
        cmocka_unit_test(the_order_of_series_may_change),
        cmocka_unit_test(the_series_of_a_histogram_are_predicted),
        cmocka_unit_test(a_plain_series_may_become_one_with_a_time_or_a_start_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
