/* Map: against a plain array as the model, with good and with hostile hashes. */
#include "unit.h"

#include "base/hash.h"
#include "base/map.h"

enum { KEYS = 3000 };

struct world {
    uint64_t hashes[KEYS];
    bool present[KEYS];
    uint32_t index[KEYS]; /* what the map was told */
};

struct want {
    const struct world *w;
    uint32_t key;
};

/* Indexes are key + 10000 * generation: the key is the index modulo 10000. */
static bool is_key(const void *ctx, uint32_t index)
{
    return index % 10000 == ((const struct want *)ctx)->key;
}

static void check_all(const struct map *m, const struct world *w)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < KEYS; k++) {
        struct want want = {w, k};
        uint32_t got = map_find(m, w->hashes[k], is_key, &want);
        assert_int_equal(got, w->present[k] ? w->index[k] : MAP_NONE);
        n += w->present[k];
    }
    assert_int_equal(m->n, n);
}

static void step(struct map *m, struct world *w, struct unit_random *r, uint64_t add_percent)
{
    uint32_t k = (uint32_t)unit_random_below(r, KEYS);
    if (!w->present[k]) {
        assert_false(map_remove(m, w->hashes[k], k));
        if (unit_random_below(r, 100) < add_percent) {
            map_add(m, w->hashes[k], k);
            w->present[k] = true;
            w->index[k] = k;
        }
    } else if (unit_random_below(r, 100) < add_percent) {
        uint32_t next = k + 10000 * (1 + (uint32_t)unit_random_below(r, 1000));
        assert_true(map_replace(m, w->hashes[k], w->index[k], next));
        w->index[k] = next;
    } else {
        assert_true(map_remove(m, w->hashes[k], w->index[k]));
        w->present[k] = false;
    }
}

static void run(uint64_t (*hash)(uint32_t))
{
    struct unit_random r = unit_random_new();
    struct map m = {0};
    struct world *w = calloc(1, sizeof(*w));
    for (uint32_t k = 0; k < KEYS; k++)
        w->hashes[k] = hash(k);
    static const uint64_t phases[] = {95, 50, 5, 80, 0};
    for (size_t phase = 0; phase < 5; phase++) {
        for (int i = 0; i < 20000; i++)
            step(&m, w, &r, phases[phase]);
        check_all(&m, w);
    }
    while (m.n) {
        for (uint32_t k = 0; k < KEYS; k++) {
            if (w->present[k])
                assert_true(map_remove(&m, w->hashes[k], w->index[k]));
            w->present[k] = false;
        }
    }
    assert_true(map_bytes(&m) <= 16 * sizeof(struct map_slot)); /* memory came back */
    map_release(&m);
    assert_int_equal(map_bytes(&m), 0);
    free(w);
}

static uint64_t good_hash(uint32_t k)
{
    return hash_bytes(str_from((const char *)&k, sizeof(k)));
}

static uint64_t few_hashes(uint32_t k)
{
    return good_hash(k % 97);
}

static uint64_t same_home(uint32_t k)
{
    return (uint64_t)k << 52; /* the tag's lower 20 bits are 0 */
}

static void agrees_with_model(void **state)
{
    (void)state;
    run(good_hash);
}

static void agrees_when_hashes_collide(void **state)
{
    (void)state;
    run(few_hashes);
    run(same_home);
}

static void empty_map_finds_nothing(void **state)
{
    (void)state;
    struct map m = {0};
    struct want want = {0};
    assert_int_equal(map_find(&m, 1, is_key, &want), MAP_NONE);
    assert_false(map_remove(&m, 1, 1));
    assert_false(map_replace(&m, 1, 1, 2));
    map_add(&m, 1, 5);
    map_clear(&m);
    assert_int_equal(m.n, 0);
    assert_int_equal(map_find(&m, 1, is_key, &want), MAP_NONE);
    map_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_model),
        cmocka_unit_test(agrees_when_hashes_collide),
        cmocka_unit_test(empty_map_finds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
