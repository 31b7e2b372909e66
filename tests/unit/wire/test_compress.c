/* Compression: round trips, several members, limits, damage. */
#include "unit.h"

#include "wire/compress.h"

static const enum compression kinds[] = {COMPRESS_NONE, COMPRESS_SNAPPY, COMPRESS_GZIP, COMPRESS_ZSTD};

static void fill(struct unit_random *r, struct buf *b, size_t n)
{
    while (b->n < n)
        buf_printf(b, "metric_%llu{a=\"b\"} %llu\n", (unsigned long long)unit_random_below(r, 50),
                   (unsigned long long)unit_random_u64(r));
    b->n = n;
}

static void what_goes_in_comes_out(void **state)
{
    (void)state;
    struct unit_random r = unit_random_new();
    struct compressor c = {0};
    static const size_t sizes[] = {0, 1, 100, 4096, 300000, 7};
    for (size_t k = 0; k < 4; k++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            AUTO_BUF in = {0};
            AUTO_BUF packed = {0};
            AUTO_BUF out = {0};
            buf_c(&packed, "before");
            fill(&r, &in, sizes[i]);
            assert_int_equal(compress_encode(&c, kinds[k], buf_view(&in), &packed), OK);
            struct str body = str_from(packed.p + 6, packed.n - 6);
            assert_int_equal(compress_decode(&c, kinds[k], body, sizes[i], &out), OK);
            assert_str(buf_view(&out), buf_view(&in));
            if (sizes[i] > 0)
                assert_int_equal(compress_decode(&c, kinds[k], body, sizes[i] - 1, &out), ERR_LIMIT);
            if (k > 0 && body.n > 0)
                assert_int_equal(compress_decode(&c, kinds[k], str_from(body.p, body.n - 1), 1 << 20, &out),
                                 ERR_CORRUPT);
        }
    }
    compressor_release(&c);
}

static void every_member_of_a_gzip_body_counts(void **state)
{
    (void)state;
    struct compressor c = {0};
    AUTO_BUF packed = {0};
    AUTO_BUF out = {0};
    for (int i = 0; i < 3; i++)
        assert_int_equal(compress_encode(&c, COMPRESS_GZIP, i == 1 ? STR("") : STR("member\n"), &packed), OK);
    assert_int_equal(compress_gunzip(&c, buf_view(&packed), 100, &out), OK);
    assert_str_c(buf_view(&out), "member\nmember\n");
    assert_int_equal(compress_gunzip(&c, buf_view(&packed), 13, &out), ERR_LIMIT);
    buf_char(&packed, 'x');
    assert_int_equal(compress_gunzip(&c, buf_view(&packed), 100, &out), ERR_CORRUPT);
    assert_int_equal(compress_gunzip(&c, STR(""), 100, &out), ERR_CORRUPT);
    assert_int_equal(compress_gunzip(&c, STR("not gzip, but long enough"), 100, &out), ERR_CORRUPT);
    compressor_release(&c);
}

static void a_false_trailer_does_not_allocate(void **state)
{
    (void)state;
    struct compressor c = {0};
    AUTO_BUF packed = {0};
    AUTO_BUF out = {0};
    assert_int_equal(compress_encode(&c, COMPRESS_GZIP, STR("small"), &packed), OK);
    memset(packed.p + packed.n - 4, 0x7f, 4);
    assert_int_equal(compress_gunzip(&c, buf_view(&packed), 1 << 30, &out), ERR_CORRUPT);
    assert_true(out.cap < 1 << 20);
    compressor_release(&c);
}

static void damage_is_noticed(void **state)
{
    (void)state;
    struct unit_random r = unit_random_new();
    struct compressor c = {0};
    AUTO_BUF in = {0};
    AUTO_BUF packed = {0};
    AUTO_BUF out = {0};
    fill(&r, &in, 2000);
    assert_int_equal(compress_encode(&c, COMPRESS_GZIP, buf_view(&in), &packed), OK);
    for (size_t i = 12; i < packed.n; i++) {
        packed.p[i] ^= 0x10;
        if (compress_gunzip(&c, buf_view(&packed), 4000, &out) == OK) /* a bit that fills up the last byte */
            assert_str(buf_view(&out), buf_view(&in));
        packed.p[i] ^= 0x10;
    }
    assert_int_equal(compress_decode(&c, COMPRESS_SNAPPY, STR("\xff\xff\xff\xff\x0f"), 1000, &out), ERR_LIMIT);
    assert_int_equal(compress_decode(&c, COMPRESS_SNAPPY, STR(""), 1000, &out), ERR_CORRUPT);
    assert_int_equal(compress_decode(&c, COMPRESS_ZSTD, STR("garbage"), 1000, &out), ERR_CORRUPT);
    compressor_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(every_member_of_a_gzip_body_counts),
        cmocka_unit_test(a_false_trailer_does_not_allocate),
        cmocka_unit_test(damage_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
