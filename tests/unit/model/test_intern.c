#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/mem.h"
#include "model/intern.h"

#define L(n, v) {STR(n), STR(v)}
#define SET(...)                                                                                                       \
    ((struct labels){(const struct label[]){__VA_ARGS__}, sizeof((struct label[]){__VA_ARGS__}) / sizeof(struct label)})

static const struct labels no_labels;

static uint32_t add(struct intern *in, struct str raw, uint32_t context, struct labels l)
{
    assert_int_equal(intern_find(in, intern_hash(raw), raw, context), METRIC_NONE);
    uint32_t id = intern_add(in, intern_hash(raw), raw, context, l, 0);
    assert_int_equal(intern_find(in, intern_hash(raw), raw, context), id);
    return id;
}

static void assert_holds(struct intern *in, uint32_t id, struct str raw, struct labels l)
{
    struct arena a = {0};
    struct intern_view v = intern_view(in);

    assert_true(str_eq(intern_raw(&v, id), raw));
    assert_true(labels_eq(intern_labels(&v, id, &a), l));
    arena_release(&a);
}

static void same_bytes_in_another_context_are_another_metric(void **state)
{
    (void)state;
    struct intern *in = intern_new();
    uint32_t a = add(in, STR("up"), 0, SET(L("__name__", "up")));
    uint32_t b = add(in, STR("up"), 7, SET(L("__name__", "down")));
    uint32_t c = add(in, STR("up{}"), 0, SET(L("__name__", "up")));

    assert_true(a != b && b != c && a != c);
    assert_int_equal(intern_find(in, intern_hash(STR("up")), STR("up"), 0), a);
    assert_int_equal(intern_find(in, intern_hash(STR("up")), STR("up"), 7), b);
    assert_int_equal(intern_find(in, intern_hash(STR("up")), STR("up"), 8), METRIC_NONE);
    /* A hash alone proves nothing. */
    assert_int_equal(intern_find(in, intern_hash(STR("up")), STR("uq"), 0), METRIC_NONE);
    assert_holds(in, b, STR("up"), SET(L("__name__", "down")));
    assert_int_equal(intern_count(in), 3);
    intern_free(in);
}

static void labels_come_back_whatever_their_form(void **state)
{
    (void)state;
    struct intern *in = intern_new();
    struct str raw = STR("http_total{code=\"200\",path=\"/a\\\\b\"}");
    struct labels plain = SET(L("__name__", "http_total"), L("code", "200"), L("path", "/a\\b"));
    struct labels changed =
        SET(L("Zone", "z"), L("__name__", "renamed"), L("code", ""), L("path", "/a\\b"), L("z", "z"));
    static char long_value[70000];

    assert_holds(in, add(in, raw, 1, plain), raw, plain);
    assert_holds(in, add(in, raw, 2, changed), raw, changed);
    assert_holds(in, add(in, STR("# HELP x\n"), 0, no_labels), STR("# HELP x\n"), no_labels);
    assert_holds(in, add(in, STR(""), 0, no_labels), STR(""), no_labels);
    assert_holds(in, add(in, STR(""), 1, SET(L("a", "b"))), STR(""), SET(L("a", "b")));
    assert_holds(in, add(in, STR("{\"a.b\", c=\"d\"}"), 0, SET(L("__name__", "a.b"), L("c", "d"))),
                 STR("{\"a.b\", c=\"d\"}"), SET(L("__name__", "a.b"), L("c", "d")));
    /* All three widths of the table, at their edges. */
    memset(long_value, 'y', sizeof(long_value));
    const size_t sizes[] = {1, 200, 253, 254, 255, 256, 300, 65000, 65533, 65534, 65535, 65536, 70000};
    for (uint32_t i = 0; i < COUNT_OF(sizes); i++) {
        struct label v[] = {L("__name__", "m"), {STR("l"), str_from(long_value, sizes[i])}};
        struct labels l = {v, 2};
        assert_holds(in, add(in, STR("m{}"), 100 + i, l), STR("m{}"), l);
    }
    intern_free(in);
}

static void refuses_what_is_too_large(void **state)
{
    (void)state;
    struct intern *in = intern_new();
    struct label huge = {STR("a"), {"", INTERN_BLOB_MAX}};
    struct str raw = {"", INTERN_RAW_MAX + 1};

    assert_int_equal(intern_add(in, 0, raw, 0, no_labels, 0), METRIC_NONE);
    assert_int_equal(intern_add(in, 0, STR("a"), 0, (struct labels){&huge, 1}, 0), METRIC_NONE);
    assert_int_equal(intern_add(in, 0, STR("a"), 0, (struct labels){&huge, INTERN_LABELS_MAX + 1}, 0), METRIC_NONE);
    assert_int_equal(intern_count(in), 0);
    intern_free(in);
}

static void flags_are_kept(void **state)
{
    (void)state;
    struct intern *in = intern_new();
    uint32_t id = intern_add(in, intern_hash(STR("# x")), STR("# x"), 0, no_labels, METRIC_COMMENT | METRIC_USER2);
    struct intern_view v = intern_view(in);

    assert_int_equal(intern_get(&v, id)->flags & (METRIC_COMMENT | METRIC_USER1 | METRIC_USER2 | METRIC_DROPPED),
                     METRIC_COMMENT | METRIC_USER2);
    intern_free(in);
}

static void stamps_begin_unseen(void **state)
{
    (void)state;
    struct intern *in = intern_new();
    uint32_t first;
    uint32_t second;
    uint32_t a = add(in, STR("a"), 0, no_labels);
    uint32_t *stamps = intern_stamps(in, &first);

    assert_int_not_equal(stamps[a], first);
    stamps[a] = first;
    uint32_t b = 0;
    for (int i = 0; i < 1000; i++) {
        char raw[16];
        snprintf(raw, sizeof(raw), "b%d", i);
        b = add(in, str_c(raw), 0, no_labels);
    }
    stamps = intern_stamps(in, &second);
    assert_int_not_equal(first, second);
    assert_int_not_equal(stamps[a], second);
    assert_int_not_equal(stamps[b], second);
    intern_free(in);
}

/* ---- against a naive model ---- */

enum { NAMES = 400, CONTEXTS = 3, KEYS = NAMES * CONTEXTS };

struct model_metric {
    bool present;
    uint32_t id, refs;
};

struct world {
    struct intern *in;
    struct model_metric keys[KEYS];
    int swept_n;
    uint64_t random;
};

static uint32_t next_random(struct world *w, uint32_t below)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return (uint32_t)(w->random % below);
}

static void on_swept(void *ctx, uint32_t id)
{
    struct world *w = ctx;

    for (int k = 0; k < KEYS; k++) {
        if (!w->keys[k].present || w->keys[k].id != id)
            continue;
        assert_int_equal(w->keys[k].refs, 0);
        w->keys[k].present = false; /* told twice: the second time it is not found */
        w->swept_n++;
        return;
    }
    fail_msg("told of id %u, which is not known", id);
}

static struct labels labels_of(int key, struct arena *a)
{
    struct label *v = ARENA_ARRAY(a, struct label, 3);
    char *pad = arena_zalloc(a, 400);
    int pad_n = key % 7 == 0 ? 300 : key % 20;

    memset(pad, 'p', (size_t)pad_n);
    v[0] = (struct label){LABEL_NAME, str_c(arena_printf(a, "metric_%d", key % NAMES))};
    v[1] = (struct label){STR("context"), str_c(arena_printf(a, "%d", key / NAMES))};
    v[2] = (struct label){STR("pad"), str_from(pad, (size_t)pad_n)};
    return (struct labels){v, 3};
}

static struct str raw_of(int key, struct arena *a)
{
    return str_c(arena_printf(a, "metric_%d{context=\"?\"}", key % NAMES));
}

static void step_key(struct world *w, int key)
{
    struct arena a = {0};
    struct model_metric *m = &w->keys[key];
    struct str raw = raw_of(key, &a);
    uint32_t context = (uint32_t)(key / NAMES);
    uint32_t id = intern_find(w->in, intern_hash(raw), raw, context);
    struct intern_view v = intern_view(w->in);

    assert_int_equal(id, m->present ? m->id : METRIC_NONE);
    if (!m->present) {
        m->id = intern_add(w->in, intern_hash(raw), raw, context, labels_of(key, &a), 0);
        m->present = true;
        m->refs = 0;
        for (int k = 0; k < KEYS; k++)
            assert_true(k == key || !w->keys[k].present || w->keys[k].id != m->id);
    } else if (m->refs > 0 && next_random(w, 2)) {
        intern_unref(&v, id);
        m->refs--;
    } else {
        intern_ref(&v, id);
        m->refs++;
    }
    arena_release(&a);
}

static void check_world(struct world *w)
{
    uint32_t n = 0;
    uint32_t unreferenced = 0;
    struct arena a = {0};

    for (int k = 0; k < KEYS; k++) {
        if (!w->keys[k].present)
            continue;
        n++;
        unreferenced += w->keys[k].refs == 0;
        assert_true(w->keys[k].id < intern_top(w->in));
        assert_holds(w->in, w->keys[k].id, raw_of(k, &a), labels_of(k, &a));
    }
    assert_int_equal(intern_count(w->in), n);
    assert_int_equal(intern_unreferenced(w->in), unreferenced);
    arena_release(&a);
}

static void behaves_as_a_naive_table(void **state)
{
    (void)state;
    const char *given = getenv("SEED");
    uint64_t seed = 0;
    for (const char *c = given ? given : "20261121"; *c >= '0' && *c <= '9'; c++)
        seed = seed * 10 + (uint64_t)(*c - '0');
    printf("seed %llu (SEED=n repeats)\n", (unsigned long long)seed);

    struct world w = {.in = intern_new(), .random = seed * 2654435761u + 1};
    intern_listen(w.in, on_swept, &w);
    for (int round = 0; round < 60; round++) {
        uint32_t steps = next_random(&w, 3000);
        uint32_t breadth = 1 + next_random(&w, KEYS);
        for (uint32_t i = 0; i < steps; i++)
            step_key(&w, (int)next_random(&w, breadth));
        check_world(&w);
        uint32_t dead = intern_unreferenced(w.in);
        w.swept_n = 0;
        intern_sweep(w.in);
        assert_int_equal(w.swept_n, dead);
        check_world(&w);
    }
    intern_unlisten(w.in, on_swept, &w);
    add(w.in, STR("nobody is told"), 0, no_labels);
    w.swept_n = 0;
    intern_sweep(w.in);
    assert_int_equal(w.swept_n, 0);
    intern_free(w.in);
}

/* ---- memory ---- */

static uint32_t add_series(struct intern *in, int wave, int i)
{
    char raw[96];
    int n = snprintf(raw, sizeof(raw), "requests_%02d_total{code=\"%03d\",path=\"/p%06d\"}", wave, i % 600, i);
    struct label v[] = {
        {LABEL_NAME, str_from(raw, 17)},
        {str_from(raw + 18, 4), str_from(raw + 24, 3)},
        {str_from(raw + 29, 4), str_from(raw + 35, 8)},
    };

    assert_int_equal(n, 45);
    return add(in, str_c(raw), 0, (struct labels){v, 3});
}

static void a_metric_costs_about_a_hundred_bytes(void **state)
{
    (void)state;
    /* The map is at its sparsest right after it doubled, and at its densest just before. */
    const int counts[] = {60000, 114000, 116000, 200000};

    for (size_t c = 0; c < COUNT_OF(counts); c++) {
        struct intern *in = intern_new();
        for (int i = 0; i < counts[c]; i++)
            add_series(in, 0, i);
        double each = (double)intern_bytes(in) / counts[c];
        printf("%d metrics of 45 raw bytes and 3 labels: %.1f bytes each\n", counts[c], each);
        assert_true(each < 112);
        intern_free(in);
    }
}

static void sweep_when_asked(struct intern *in)
{
    if (intern_wants_sweep(in))
        intern_sweep(in);
}

static void memory_comes_back_after_churn(void **state)
{
    (void)state;
    enum { N = 50000 };
    struct intern *in = intern_new();
    uint32_t *now = mem_alloc(sizeof(*now) * N);
    uint32_t generation;

    for (int i = 0; i < N; i++) {
        now[i] = add_series(in, 0, i);
        struct intern_view v = intern_view(in);
        intern_ref(&v, now[i]);
    }
    intern_stamps(in, &generation);
    size_t before = intern_bytes(in);
    for (int wave = 1; wave <= 10; wave++) {
        for (int i = 0; i < N; i++) {
            uint32_t id = add_series(in, wave, i);
            struct intern_view v = intern_view(in);
            intern_ref(&v, id);
            intern_unref(&v, now[i]);
            now[i] = id;
            if (i % 500 == 0)
                sweep_when_asked(in);
        }
    }
    intern_sweep(in);
    printf("%zu bytes before, %zu after churn, top %u\n", before, intern_bytes(in), intern_top(in));
    assert_int_equal(intern_count(in), N);
    assert_true(intern_bytes(in) <= before + before / 10);
    free(now);
    intern_free(in);
}

static void memory_comes_back_after_a_burst(void **state)
{
    (void)state;
    enum { N = 30000 };
    struct intern *in = intern_new();
    uint32_t generation;

    for (int i = 0; i < N; i++) {
        uint32_t id = add_series(in, 0, i);
        struct intern_view v = intern_view(in);
        intern_ref(&v, id);
    }
    intern_stamps(in, &generation);
    size_t before = intern_bytes(in);
    for (int wave = 1; wave <= 10; wave++) {
        for (int i = 0; i < N; i++)
            add_series(in, wave, i);
    }
    /* The last ones survive: the ids between are a hole. */
    uint32_t last = add_series(in, 11, 0);
    struct intern_view v = intern_view(in);
    intern_ref(&v, last);
    assert_true(intern_wants_sweep(in));
    intern_sweep(in);
    assert_int_equal(intern_count(in), N + 1);
    printf("%zu bytes before, %zu after a burst, top %u\n", before, intern_bytes(in), intern_top(in));
    assert_true(intern_bytes(in) <= before + before / 10);
    assert_int_equal(add_series(in, 12, 1), N);

    v = intern_view(in);
    intern_unref(&v, last);
    intern_sweep(in);
    assert_int_equal(intern_top(in), N);
    intern_free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bytes_in_another_context_are_another_metric),
        cmocka_unit_test(labels_come_back_whatever_their_form),
        cmocka_unit_test(refuses_what_is_too_large),
        cmocka_unit_test(flags_are_kept),
        cmocka_unit_test(stamps_begin_unseen),
        cmocka_unit_test(behaves_as_a_naive_table),
        cmocka_unit_test(a_metric_costs_about_a_hundred_bytes),
        cmocka_unit_test(memory_comes_back_after_churn),
        cmocka_unit_test(memory_comes_back_after_a_burst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
