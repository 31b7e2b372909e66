/* Remote write 1.0: bytes as the proto files define them, and reading back what was written. */
#include "unit.h"

#include "format/remote_write.h"
#include "model/batch.h"

static struct labels some_labels(void)
{
    static const struct label v[] = {
        {{"__name__", 8}, {"up", 2}}, {{"instance", 8}, {"host:9100", 9}}, {{"gone", 4}, {"", 0}}};
    return (struct labels){v, 3};
}

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

static void a_series_has_the_bytes_of_the_proto_file(void **state)
{
    (void)state;
    AUTO_BUF labels = {0};
    AUTO_BUF out = {0};
    remote_write_append_label(&labels, STR("a"), STR("b"));
    assert_int_equal(labels.n, remote_write_label_size(1, 1));
    struct str segment = buf_view(&labels);
    remote_write_append_series(&out, &segment, 1, 1.0, 300);
    static const uint8_t want[] = {0x0a, 22, 0x0a, 6, 0x0a, 1, 'a', 0x12, 1,    'b',  0x12, 12,
                                   0x09, 0,  0,    0, 0,    0, 0,   0xf0, 0x3f, 0x10, 0xac, 0x02};
    assert_int_equal(out.n, sizeof(want));
    assert_memory_equal(out.p, want, sizeof(want));
}

static void segments_join_to_one_label_set(void **state)
{
    (void)state;
    struct arena a = {0};
    AUTO_BUF first = {0};
    AUTO_BUF second = {0};
    AUTO_BUF out = {0};
    remote_write_append_label(&first, STR("__name__"), STR("up"));
    remote_write_append_labels(&second, some_labels());
    struct str segments[] = {buf_view(&first), STR_NONE, buf_view(&second)};
    remote_write_append_series(&out, segments, 3, 5.5, -1);
    struct remote_write_reader r = remote_write_read(buf_view(&out));
    struct remote_write_item item;
    struct remote_write_series s;
    assert_int_equal(remote_write_next(&r, &item), OK);
    assert_int_equal(item.kind, REMOTE_WRITE_SERIES);
    assert_str(item.field, buf_view(&out));
    assert_int_equal(remote_write_parse_series(item.bytes, &a, &s), OK);
    assert_int_equal(s.labels.n, 3); /* the empty one is not written */
    assert_str_c(s.labels.v[2].name, "instance");
    assert_str_c(s.labels.v[2].value, "host:9100");
    assert_int_equal(s.n_samples, 1);
    assert_true(s.samples[0].value == 5.5);
    assert_int_equal(s.samples[0].ts_ms, -1);
    assert_int_equal(remote_write_next(&r, &item), ERR_EOF);
    arena_release(&a);
}

static void stale_markers_and_extreme_times_survive(void **state)
{
    (void)state;
    static const int64_t times[] = {0, 1, 127, 128, INT64_MAX, INT64_MIN, 1700000000123};
    static const uint64_t values[] = {SAMPLE_STALE_BITS, SAMPLE_NAN_BITS, 0, 0x8000000000000000, 0x7ff0000000000000};
    struct arena a = {0};
    for (size_t t = 0; t < sizeof(times) / sizeof(times[0]); t++) {
        for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
            AUTO_BUF out = {0};
            struct remote_write_item item;
            struct remote_write_series s;
            remote_write_append_series(&out, NULL, 0, sample_from_bits(values[v]), times[t]);
            struct remote_write_reader r = remote_write_read(buf_view(&out));
            assert_int_equal(remote_write_next(&r, &item), OK);
            assert_int_equal(remote_write_parse_series(item.bytes, &a, &s), OK);
            assert_int_equal(s.samples[0].ts_ms, times[t]);
            assert_true(bits_of(s.samples[0].value) == values[v]);
            assert_int_equal(item.bytes.n, remote_write_sample_size(times[t]));
        }
    }
    arena_release(&a);
}

static void metadata_comes_back(void **state)
{
    (void)state;
    for (int t = TYPE_UNKNOWN; t <= TYPE_STATESET; t++) {
        struct family in = {STR("go_gc"), STR("What it\nsays"), STR("seconds"), (enum metric_type)t}, out;
        AUTO_BUF b = {0};
        remote_write_append_metadata(&b, &in);
        struct remote_write_reader r = remote_write_read(buf_view(&b));
        struct remote_write_item item;
        assert_int_equal(remote_write_next(&r, &item), OK);
        assert_int_equal(item.kind, REMOTE_WRITE_METADATA);
        assert_int_equal(remote_write_parse_metadata(item.bytes, &out), OK);
        assert_str(out.name, in.name);
        assert_str(out.help, in.help);
        assert_str(out.unit, in.unit);
        assert_int_equal(out.type, t);
        assert_int_equal(remote_write_next(&r, &item), ERR_EOF);
    }
    struct family summary = {STR("s"), STR(""), STR(""), TYPE_SUMMARY};
    AUTO_BUF b = {0};
    remote_write_append_metadata(&b, &summary);
    assert_str(buf_view(&b),
               STR("\x1a\x05\x08\x05\x12\x01s")); /* type 5: summary, though gaugehistogram is before it */
}

static void counting_sees_everything(void **state)
{
    (void)state;
    AUTO_BUF out = {0};
    AUTO_BUF labels = {0};
    remote_write_append_labels(&labels, some_labels());
    struct str segment = buf_view(&labels);
    remote_write_append_series(&out, &segment, 1, 1, 2000);
    remote_write_append_series(&out, &segment, 1, 2, 1000);
    remote_write_append_series(&out, &segment, 1, 2, 3000);
    /* a field that we do not know, and a series with an exemplar, a histogram and no sample */
    proto_append_bytes(&out, 9, STR("later"));
    proto_append_bytes(&out, 1, STR("\x1a\x00\x22\x00"));
    remote_write_append_metadata(&out, &(struct family){.name = STR("x")});
    struct remote_write_counts c;
    assert_int_equal(remote_write_count(buf_view(&out), &c), OK);
    assert_int_equal(c.series, 4);
    assert_int_equal(c.samples, 3);
    assert_int_equal(c.exemplars, 1);
    assert_int_equal(c.histograms, 1);
    assert_int_equal(c.metadata, 1);
    assert_int_equal(c.first_ts_ms, 1000);
    assert_int_equal(c.last_ts_ms, 3000);
}

static void any_cut_is_noticed_or_ends_between_fields(void **state)
{
    (void)state;
    AUTO_BUF out = {0};
    AUTO_BUF labels = {0};
    remote_write_append_labels(&labels, some_labels());
    struct str segment = buf_view(&labels);
    remote_write_append_series(&out, &segment, 1, 1, 2000);
    size_t first = out.n;
    remote_write_append_series(&out, &segment, 1, 1, 2000);
    for (size_t n = 0; n <= out.n; n++) {
        struct remote_write_counts c;
        enum err want = n == 0 || n == first || n == out.n ? OK : ERR_CORRUPT;
        assert_int_equal(remote_write_count(str_from(out.p, n), &c), want);
    }
}

static void moving_fields_splits_a_request(void **state)
{
    (void)state;
    AUTO_BUF whole = {0};
    AUTO_BUF joined = {0};
    AUTO_BUF labels = {0};
    remote_write_append_labels(&labels, some_labels());
    struct str segment = buf_view(&labels);
    for (int i = 0; i < 10; i++)
        remote_write_append_series(&whole, &segment, 1, i, i);
    struct remote_write_reader r = remote_write_read(buf_view(&whole));
    struct remote_write_item item;
    while (remote_write_next(&r, &item) == OK)
        buf_str(&joined, item.field);
    assert_str(buf_view(&joined), buf_view(&whole));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_series_has_the_bytes_of_the_proto_file),
        cmocka_unit_test(segments_join_to_one_label_set),
        cmocka_unit_test(stale_markers_and_extreme_times_survive),
        cmocka_unit_test(metadata_comes_back),
        cmocka_unit_test(counting_sees_everything),
        cmocka_unit_test(any_cut_is_noticed_or_ends_between_fields),
        cmocka_unit_test(moving_fields_splits_a_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
