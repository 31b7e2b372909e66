/* Slab: against a model that keeps each block's bytes; memory must come back after churn. */
#include "unit.h"

#include "base/slab.h"

enum { BLOCKS = 4000 };

struct block {
    uint32_t handle;
    size_t n;
    unsigned char fill;
};

struct world {
    struct slab slab;
    struct block blocks[BLOCKS];
    size_t live;
};

static void check_block(struct world *w, const struct block *b)
{
    const unsigned char *p = slab_get(&w->slab, b->handle);
    assert_int_equal((uintptr_t)p % 8, 0);
    for (size_t i = 0; i < b->n; i++)
        assert_int_equal(p[i], b->fill);
}

static void check_all(struct world *w)
{
    size_t live = 0;
    for (int i = 0; i < BLOCKS; i++) {
        if (!w->blocks[i].handle)
            continue;
        check_block(w, &w->blocks[i]);
        live += w->blocks[i].n ? (w->blocks[i].n + 7) / 8 * 8 : 8;
    }
    assert_int_equal(w->slab.live, live);
    assert_true(w->slab.bytes >= w->slab.used && w->slab.used >= live);
}

static void toggle(struct world *w, struct block *b, struct unit_random *r)
{
    if (b->handle) {
        check_block(w, b);
        slab_free(&w->slab, b->handle, b->n);
        b->handle = SLAB_NONE;
        return;
    }
    static const uint64_t sizes[] = {1, 40, 300, 300, 300, 300, 5000, 40000};
    b->n = unit_random_below(r, sizes[unit_random_below(r, 8)]);
    b->fill = (unsigned char)unit_random_u64(r);
    void *p;
    b->handle = slab_alloc(&w->slab, b->n, &p);
    assert_int_not_equal(b->handle, SLAB_NONE);
    assert_ptr_equal(p, slab_get(&w->slab, b->handle));
    memset(p, b->fill, b->n);
}

static void settle(struct world *w)
{
    slab_settle_begin(&w->slab);
    for (int i = 0; i < BLOCKS; i++) {
        if (w->blocks[i].handle)
            w->blocks[i].handle = slab_settle(&w->slab, w->blocks[i].handle, w->blocks[i].n);
    }
    slab_settle_end(&w->slab);
}

static void agrees_with_model(void **state)
{
    (void)state;
    struct unit_random r = unit_random_new();
    struct world *w = calloc(1, sizeof(*w));
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 3000; i++)
            toggle(w, &w->blocks[unit_random_below(&r, BLOCKS)], &r);
        check_all(w);
        if (slab_wants_settle(&w->slab)) {
            settle(w);
            check_all(w);
            assert_false(slab_wants_settle(&w->slab));
        }
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (w->blocks[i].handle)
            toggle(w, &w->blocks[i], &r);
    }
    assert_int_equal(w->slab.live, 0);
    assert_true(w->slab.bytes <= 64 * 1024); /* the page being filled */
    slab_release(&w->slab);
    free(w);
}

static void survivors_do_not_pin_memory(void **state)
{
    (void)state;
    struct slab s = {0};
    static uint32_t handles[40000];
    void *p;
    for (uint32_t i = 0; i < 40000; i++) {
        handles[i] = slab_alloc(&s, 200, &p);
        memcpy(p, &i, sizeof(i));
    }
    size_t full = s.bytes;
    for (uint32_t i = 0; i < 40000; i++) {
        if (i % 10)
            slab_free(&s, handles[i], 200);
    }
    assert_true(s.bytes > full * 9 / 10); /* every page has survivors */
    assert_true(slab_wants_settle(&s));
    slab_settle_begin(&s);
    for (uint32_t i = 0; i < 40000; i += 10)
        handles[i] = slab_settle(&s, handles[i], 200);
    slab_settle_end(&s);
    assert_true(s.bytes < full * 12 / 100);
    for (uint32_t i = 0; i < 40000; i += 10)
        assert_memory_equal(slab_get(&s, handles[i]), &i, sizeof(i));
    assert_false(slab_wants_settle(&s));
    slab_release(&s);
}

static void one_block_coming_and_going_keeps_its_page(void **state)
{
    (void)state;
    struct slab s = {0};
    void *p, *q;
    uint32_t h = slab_alloc(&s, 100, &p);
    slab_free(&s, h, 100);
    h = slab_alloc(&s, 100, &q);
    assert_ptr_equal(p, q);
    assert_int_equal(s.bytes, 64 * 1024);
    slab_free(&s, h, 100);
    slab_free(&s, SLAB_NONE, 5);
    slab_release(&s);
}

static void big_blocks_have_pages_of_their_own(void **state)
{
    (void)state;
    struct slab s = {0};
    void *p;
    uint32_t small = slab_alloc(&s, 8, &p), big = slab_alloc(&s, 1000000, &p);
    memset(p, 7, 1000000);
    assert_true(s.bytes >= 1000000);
    slab_free(&s, big, 1000000);
    assert_int_equal(s.bytes, 64 * 1024);
    assert_int_equal(slab_settle(&s, small, 8), small);
    slab_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_model),
        cmocka_unit_test(survivors_do_not_pin_memory),
        cmocka_unit_test(one_block_coming_and_going_keeps_its_page),
        cmocka_unit_test(big_blocks_have_pages_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
