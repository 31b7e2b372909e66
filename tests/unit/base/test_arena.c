/* Arena: alignment, contents that stay, reuse after a reset, large objects. */
#include "unit.h"

#include "base/arena.h"

static void objects_are_aligned_and_stay(void **state)
{
    (void)state;
    struct arena a = {0};
    struct unit_random r = unit_random_new();
    unsigned char *p[500];
    size_t n[500];
    for (int i = 0; i < 500; i++) {
        n[i] = unit_random_below(&r, i % 50 == 0 ? 100000 : 200);
        p[i] = arena_alloc(&a, n[i]);
        assert_int_equal((uintptr_t)p[i] % 16, 0);
        memset(p[i], i & 255, n[i]);
    }
    for (int i = 0; i < 500; i++) {
        for (size_t k = 0; k < n[i]; k++)
            assert_int_equal(p[i][k], i & 255);
    }
    arena_release(&a);
}

static void reset_keeps_one_block(void **state)
{
    (void)state;
    struct arena a = {0};
    void *first = NULL;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 1000; i++)
            arena_alloc(&a, 64);
        assert_int_equal(a.used, 64000);
        arena_reset(&a);
        assert_int_equal(a.used, 0);
        void *p = arena_alloc(&a, 16);
        if (round > 0)
            assert_ptr_equal(p, first); /* the block that holds everything is found again */
        first = round == 0 ? p : first;
        arena_reset(&a);
    }
    arena_release(&a);
    arena_reset(&a);
    arena_release(&a);
}

static void zeroed_and_copied(void **state)
{
    (void)state;
    struct arena a = {.block_size = 64};
    for (int round = 0; round < 3; round++) {
        memset(arena_alloc(&a, 50), 0xAA, 50);
        unsigned char *z = arena_zalloc(&a, 33);
        for (int i = 0; i < 33; i++)
            assert_int_equal(z[i], 0);
        assert_memory_equal(arena_memdup(&a, "abcd", 4), "abcd", 4);
        assert_string_equal(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
        arena_reset(&a);
    }
    struct str copy = str_dup(&a, str_from("hello world", 5));
    assert_str_c(copy, "hello");
    assert_int_equal(copy.p[5], 0);
    assert_str_c(str_dup(&a, STR_NONE), "");
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_aligned_and_stay),
        cmocka_unit_test(reset_keeps_one_block),
        cmocka_unit_test(zeroed_and_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
