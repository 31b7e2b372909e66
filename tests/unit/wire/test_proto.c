/* The protobuf wire format. */
#include "unit.h"

#include "wire/proto.h"

static void varints_have_their_bytes_and_come_back(void **state)
{
    (void)state;
    struct unit_random r = unit_random_new();
    for (int i = 0; i < 10000; i++) {
        uint64_t v = unit_random_u64(&r) >> unit_random_below(&r, 64), got;
        AUTO_BUF b = {0};
        proto_append_varint(&b, v);
        assert_int_equal(b.n, proto_varint_size(v));
        struct proto_reader rd = proto_read(buf_view(&b));
        assert_int_equal(proto_varint(&rd, &got), OK);
        assert_true(got == v && rd.p == rd.end);
    }
    AUTO_BUF b = {0};
    proto_append_varint(&b, 300);
    assert_str(buf_view(&b), STR("\xac\x02"));
}

static void bad_varints_are_refused(void **state)
{
    (void)state;
    static const struct str bad[] = {{"", 0},
                                     {"\x80", 1},
                                     {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10},
                                     {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct proto_reader r = proto_read(bad[i]);
        uint64_t v;
        assert_int_equal(proto_varint(&r, &v), ERR_CORRUPT);
    }
    struct proto_reader padded = proto_read(STR("\x85\x80\x80\x00")); /* padded lengths are read */
    uint64_t v;
    assert_int_equal(proto_varint(&padded, &v), OK);
    assert_int_equal(v, 5);
}

static void fields_come_back_in_order(void **state)
{
    (void)state;
    AUTO_BUF b = {0};
    proto_append_u64(&b, 1, 5);
    proto_append_u64(&b, 2, 0); /* nothing */
    proto_append_double(&b, 3, -0.5);
    proto_append_double(&b, 4, 0); /* nothing */
    proto_append_double(&b, 5, -0.0);
    proto_append_bytes(&b, 1000, STR("text"));
    proto_append_tag(&b, 7, PROTO_FIXED32);
    buf_append(&b, "\x01\x02\x00\x00", 4);
    struct proto_reader r = proto_read(buf_view(&b));
    struct proto_field f;
    assert_int_equal(proto_next(&r, &f), OK);
    assert_true(f.number == 1 && f.type == PROTO_VARINT && f.value == 5);
    assert_int_equal(proto_next(&r, &f), OK);
    assert_true(f.number == 3 && f.type == PROTO_FIXED64 && proto_double(f.value) == -0.5);
    assert_int_equal(proto_next(&r, &f), OK);
    assert_true(f.number == 5 && f.value == 0x8000000000000000);
    assert_int_equal(proto_next(&r, &f), OK);
    assert_true(f.number == 1000 && str_eq_c(f.bytes, "text"));
    assert_int_equal(proto_next(&r, &f), OK);
    assert_true(f.number == 7 && f.value == 0x201);
    assert_int_equal(proto_next(&r, &f), ERR_EOF);
}

static void bad_fields_are_refused(void **state)
{
    (void)state;
    static const struct str bad[] = {
        {"\x00\x01", 2}, /* field 0 */
        {"\x0b", 1},     /* a group */
        {"\x0e\x01", 2}, /* type 6 */
        {"\x0a\x05"
         "abc",
         5},                     /* cut off */
        {"\x09\x01", 2},         /* cut off */
        {"\x0d\x01\x02\x03", 4}, /* cut off */
        {"\x08", 1},
        {"\xfa\xff\xff\xff\x7f\x00", 6}, /* field number beyond 2^29 - 1 */
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct proto_reader r = proto_read(bad[i]);
        struct proto_field f;
        assert_int_equal(proto_next(&r, &f), ERR_CORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints_have_their_bytes_and_come_back),
        cmocka_unit_test(bad_varints_are_refused),
        cmocka_unit_test(fields_come_back_in_order),
        cmocka_unit_test(bad_fields_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
