#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka.h wants the four headers above before it. */
#include <cmocka.h>

#include "base/mem.h"
#include "model/label.h"

#define L(n, v) {STR(n), STR(v)}
#define SET(...)                                                                                                       \
    ((struct labels){(const struct label[]){__VA_ARGS__}, sizeof((struct label[]){__VA_ARGS__}) / sizeof(struct label)})
#define assert_str(s, text) assert_true(str_eq_c((s), (text)))

static void finds_values_by_name(void **state)
{
    (void)state;
    struct labels l = SET(L("Zone", "a"), L("__name__", "up"), L("instance", ""), L("job", "node"));

    assert_str(labels_get(l, STR("job")), "node");
    assert_str(labels_get(l, STR("Zone")), "a");
    assert_str(labels_get(l, STR("nope")), "");
    assert_true(labels_has(l, STR("instance")));
    assert_false(labels_has(l, STR("jo")));
    assert_false(labels_has((struct labels){NULL, 0}, STR("a")));
}

static void compares_as_prometheus_sorts(void **state)
{
    (void)state;
    struct labels a = SET(L("a", "1"));
    struct labels ab = SET(L("a", "1"), L("b", "1"));
    struct labels a2 = SET(L("a", "2"));

    assert_true(labels_cmp(a, ab) < 0);
    assert_true(labels_cmp(a2, ab) > 0);
    assert_int_equal(labels_cmp(ab, ab), 0);
    assert_true(labels_eq(ab, ab));
    assert_false(labels_eq(a, a2));
    assert_false(labels_eq(a, ab));
}

/* The numbers are those of Prometheus 3.15's Labels.Hash, built with its slicelabels tag. */
static void hashes_as_prometheus(void **state)
{
    (void)state;
    char long_value[2000];

    assert_int_equal(labels_hash((struct labels){NULL, 0}), 0xef46db3751d8e999ULL);
    assert_int_equal(labels_hash(SET(L("__name__", "up"), L("job", "node"))), 0x1585e2399cc2df6ULL);
    memset(long_value, 'x', sizeof(long_value));
    struct label big = {STR("big"), str_from(long_value, sizeof(long_value))};
    assert_int_equal(labels_hash((struct labels){&big, 1}), 0x49263a89c5300aa2ULL);
}

static void copies_outlive_their_source(void **state)
{
    (void)state;
    struct arena a = {0};
    char name[] = "job";
    char value[] = "node";
    struct label one = {str_c(name), str_c(value)};

    struct labels copy = labels_copy((struct labels){&one, 1}, &a);
    name[0] = value[0] = '#';
    one.name = STR_NONE;
    assert_str(labels_get(copy, STR("job")), "node");
    assert_int_equal(labels_copy((struct labels){NULL, 0}, &a).n, 0);
    arena_release(&a);
}

static void prints_as_go_quotes(void **state)
{
    (void)state;
    AUTO_BUF out = {0};

    labels_print(SET(L("__name__", "up"), L("a.b", "x"), L("job", "q\"\\\n\x01\x7f")), &out);
    assert_str(buf_view(&out), "{__name__=\"up\", \"a.b\"=\"x\", job=\"q\\\"\\\\\\n\\x01\\x7f\"}");
    buf_clear(&out);
    labels_print((struct labels){NULL, 0}, &out);
    assert_str(buf_view(&out), "{}");
}

static void knows_classic_names(void **state)
{
    (void)state;
    assert_true(label_name_is_legacy(STR("_a9Z")));
    assert_false(label_name_is_legacy(STR("a:b")));
    assert_true(metric_name_is_legacy(STR("a:b")));
    assert_true(metric_name_is_legacy(STR(":")));
    assert_false(metric_name_is_legacy(STR("9a")));
    assert_false(label_name_is_legacy(STR("")));
    assert_false(label_name_is_legacy(STR("a-b")));
    assert_false(label_name_is_legacy(STR("\xc3\xa9")));
}

static void builder_keeps_order_and_provenance(void **state)
{
    (void)state;
    struct arena a = {0};
    struct labels_builder b;

    labels_builder_init(&b, &a);
    labels_builder_set_all(&b, SET(L("__name__", "up"), L("empty", ""), L("x", "1")), false);
    labels_builder_set_all(&b, SET(L("instance", "i"), L("x", "2")), true);
    assert_int_equal(b.n, 3);
    assert_false(labels_builder_has(&b, STR("empty")));
    assert_true(labels_builder_has(&b, STR("instance")));
    assert_str(labels_builder_get(&b, STR("__name__")), "up");
    assert_false(b.read_scope);
    assert_str(labels_builder_find(&b, STR("x"))->value, "2");
    assert_int_equal(labels_builder_find(&b, STR("__name__"))->order, 0);
    assert_int_equal(labels_builder_find(&b, STR("x"))->order, 2);
    assert_str(labels_builder_get(&b, STR("x")), "2");
    assert_true(b.read_scope);

    labels_builder_set(&b, STR("x"), STR("3"));
    assert_false(labels_builder_find(&b, STR("x"))->from_scope);
    assert_int_equal(labels_builder_find(&b, STR("x"))->order, 2);
    labels_builder_set(&b, STR("instance"), STR(""));
    assert_false(labels_builder_has(&b, STR("instance")));
    labels_builder_del(&b, STR("nope"));
    assert_true(labels_eq(labels_builder_labels(&b), SET(L("__name__", "up"), L("x", "3"))));
    arena_release(&a);
}

static void builder_grows(void **state)
{
    (void)state;
    struct arena a = {0};
    struct labels_builder b;

    labels_builder_init(&b, &a);
    for (int i = 0; i < 500; i++) {
        const char *name = arena_printf(&a, "n%03d", (i * 37) % 500);
        labels_builder_set(&b, str_c(name), str_c(name));
    }
    struct labels l = labels_builder_labels(&b);
    assert_int_equal(l.n, 500);
    for (uint32_t i = 1; i < l.n; i++)
        assert_true(str_cmp(l.v[i - 1].name, l.v[i].name) < 0);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_values_by_name),    cmocka_unit_test(compares_as_prometheus_sorts),
        cmocka_unit_test(hashes_as_prometheus),    cmocka_unit_test(copies_outlive_their_source),
        cmocka_unit_test(prints_as_go_quotes),     cmocka_unit_test(knows_classic_names),
        cmocka_unit_test(builder_grows),           cmocka_unit_test(builder_keeps_order_and_provenance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
