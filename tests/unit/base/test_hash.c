/* Hashes against published values, and CRC-32C in pieces. */
#include "unit.h"

#include "base/hash.h"

static void known_values(void **state)
{
    (void)state;
    assert_true(hash_xxh64(STR("")) == 0xEF46DB3751D8E999ULL);
    assert_true(hash_xxh64(STR("abc")) == 0x44BC2CF5AD770999ULL);
    assert_true(hash_fnv1a64(STR(""), HASH_FNV1A64_INIT) == 0xCBF29CE484222325ULL);
    assert_true(hash_fnv1a64(STR("a"), HASH_FNV1A64_INIT) == 0xAF63DC4C8601EC8CULL);
    assert_true(hash_fnv1a64(STR("foobar"), HASH_FNV1A64_INIT) == 0x85944171F73967E8ULL);
    assert_true(hash_fnv1a64(STR("bar"), hash_fnv1a64(STR("foo"), HASH_FNV1A64_INIT)) == 0x85944171F73967E8ULL);
    uint8_t md5[16];
    hash_md5(STR("abc"), md5);
    assert_memory_equal(md5, "\x90\x01\x50\x98\x3c\xd2\x4f\xb0\xd6\x96\x3f\x7d\x28\xe1\x7f\x72", 16);
    assert_true(hash_bytes(STR("a")) != hash_bytes(STR("b")));
    assert_true(hash_bytes(STR("a")) != hash_bytes_seed(STR("a"), 1));
    assert_true(hash_bytes(STR_NONE) == hash_bytes(STR("")));
}

/* Bit by bit, as the polynomial says. */
static uint32_t slow_crc(struct str s)
{
    uint32_t crc = ~0U;
    for (size_t i = 0; i < s.n; i++) {
        crc ^= (unsigned char)s.p[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78U : 0);
    }
    return ~crc;
}

static void crc32c(void **state)
{
    (void)state;
    assert_int_equal(hash_crc32c(STR("123456789"), 0), 0xE3069283U);
    assert_int_equal(hash_crc32c(STR(""), 0), 0);
    struct unit_random r = unit_random_new();
    char bytes[300];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)unit_random_u64(&r);
    for (size_t n = 0; n < sizeof(bytes); n++) {
        size_t cut = unit_random_below(&r, n + 1);
        uint32_t whole = hash_crc32c(str_from(bytes, n), 0);
        assert_int_equal(whole, slow_crc(str_from(bytes, n)));
        assert_int_equal(whole, hash_crc32c(str_from(bytes + cut, n - cut), hash_crc32c(str_from(bytes, cut), 0)));
    }
}

/* White box: the table, which other machines use, agrees with the instruction. */
#include "base/hash.c"

static void crc32c_by_table(void **state)
{
    (void)state;
    assert_int_equal(~crc_by_table((const unsigned char *)"123456789", 9, ~0U), 0xE3069283U);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(crc32c),
        cmocka_unit_test(crc32c_by_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
