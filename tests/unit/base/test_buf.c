/* Buf: appending of all kinds, the NUL behind, handing on; mem's growing. */
#include "unit.h"

#include "base/mem.h"

static void appends_add_up(void **state)
{
    (void)state;
    AUTO_BUF b = {0};
    assert_null(b.p);
    buf_c(&b, "one ");
    buf_char(&b, '2');
    buf_str(&b, STR(" three "));
    buf_append(&b, "fo\0ur", 5);
    buf_printf(&b, " %d%s", 5, "!");
    assert_int_equal(b.n, strlen("one 2 three ") + 5 + 3);
    assert_memory_equal(b.p, "one 2 three fo\0ur 5!", b.n + 1);
}

static void long_prints_grow(void **state)
{
    (void)state;
    AUTO_BUF b = {0};
    for (int i = 0; i < 200; i++)
        buf_printf(&b, "%0*d", i, 7);
    size_t want = 1;
    for (int i = 1; i < 200; i++)
        want += (size_t)i;
    assert_int_equal(b.n, want);
    assert_int_equal(b.p[b.n], 0);
    assert_int_equal(strlen(b.p), want);
}

static void clear_keeps_memory_and_take_moves_it(void **state)
{
    (void)state;
    struct buf b = {0}, c = {0};
    buf_reserve(&b, 1000);
    char *p = b.p;
    buf_c(&b, "x");
    buf_clear(&b);
    assert_ptr_equal(b.p, p);
    assert_string_equal(b.p, "");
    buf_c(&b, "moved");
    buf_take(&b, &c);
    assert_null(b.p);
    assert_int_equal(b.cap, 0);
    assert_str_c(buf_view(&c), "moved");
    buf_release(&c);
    assert_null(c.p);
    buf_clear(&c);
    buf_append(&c, NULL, 0);
    assert_string_equal(c.p, "");
    buf_release(&c);
}

static void mem_grow_doubles(void **state)
{
    (void)state;
    size_t cap = 0;
    int *p = mem_grow(NULL, &cap, 1, sizeof(*p));
    assert_true(cap >= 1);
    p[0] = 42;
    for (size_t need = 2; need < 1000; need++) {
        size_t before = cap;
        p = mem_grow(p, &cap, need, sizeof(*p));
        assert_true(cap >= need && (cap == before || cap >= 2 * before));
    }
    assert_int_equal(p[0], 42);
    free(p);
    char *s = mem_strndup("abcdef", 3);
    assert_string_equal(s, "abc");
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_add_up),
        cmocka_unit_test(long_prints_grow),
        cmocka_unit_test(clear_keeps_memory_and_take_moves_it),
        cmocka_unit_test(mem_grow_doubles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
