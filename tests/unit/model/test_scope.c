#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "model/scope.h"

#define L(n, v) {STR(n), STR(v)}
#define SET(...)                                                                                                       \
    ((struct labels){(const struct label[]){__VA_ARGS__}, sizeof((struct label[]){__VA_ARGS__}) / sizeof(struct label)})

static void equal_labels_are_one_scope(void **state)
{
    (void)state;
    struct scope_table *t = scope_table_new();
    struct scope *a = scope_get(t, SET(L("instance", "1"), L("job", "x")));
    struct scope *b = scope_get(t, SET(L("instance", "2"), L("job", "x")));
    struct scope *c = scope_get(t, SET(L("instance", "1"), L("job", "x")));
    struct scope *d = scope_get(t, SET(L("job", "x")));

    assert_ptr_equal(a, c);
    assert_ptr_not_equal(a, b);
    assert_int_equal(a->names, b->names);
    assert_int_not_equal(a->names, d->names);
    assert_int_equal(a->refs, 2);
    assert_int_equal(a->hash, labels_hash(a->labels));
    assert_int_equal(scope_count(t), 3);
    scope_unref(t, a);
    scope_unref(t, c);
    assert_int_equal(scope_count(t), 2);
    assert_true(str_eq_c(labels_get(b->labels, STR("instance")), "2"));
    scope_unref(t, b);
    scope_unref(t, d);
    assert_int_equal(scope_count(t), 0);
    scope_table_free(t);
}

static void a_number_never_names_two_sets(void **state)
{
    (void)state;
    struct scope_table *t = scope_table_new();
    uint32_t seen[200];

    for (int i = 0; i < 200; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%d", i % 100);
        struct label l = {str_c(name), STR("v")};
        struct scope *s = scope_get(t, (struct labels){&l, 1});
        seen[i] = s->names;
        for (int k = 0; k < i; k++)
            assert_true(seen[k] != s->names || k % 100 == i % 100);
        scope_unref(t, s);
    }
    scope_table_free(t);
}

static void names_and_empty_values_do_not_get_in(void **state)
{
    (void)state;
    struct scope_table *t = scope_table_new();
    struct scope *s = scope_get(t, SET(L("__name__", "up"), L("a", ""), L("job", "x")));
    struct scope *same = scope_get(t, SET(L("job", "x")));
    struct scope *none = scope_get(t, (struct labels){NULL, 0});

    assert_ptr_equal(s, same);
    assert_int_equal(s->labels.n, 1);
    assert_int_equal(none->labels.n, 0);
    scope_table_free(t);
}

static void count_free(void *ctx, void *form)
{
    (*(int *)ctx)++;
    free(form);
}

static void forms_are_freed_once(void **state)
{
    (void)state;
    struct scope_table *t = scope_table_new();
    int freed[2] = {0, 0};

    scope_table_slot(t, 0, count_free, &freed[0]);
    scope_table_slot(t, 3, count_free, &freed[1]);
    struct scope *a = scope_get(t, SET(L("a", "1")));
    struct scope *b = scope_get(t, SET(L("a", "2")));
    a->forms[0] = malloc(8);
    a->forms[3] = malloc(8);
    b->forms[3] = malloc(8);
    scope_unref(t, a);
    assert_int_equal(freed[0], 1);
    assert_int_equal(freed[1], 1);
    scope_table_slot(t, 3, NULL, NULL);
    assert_int_equal(freed[1], 2);
    assert_null(b->forms[3]);
    b->forms[0] = malloc(8);
    scope_table_free(t);
    assert_int_equal(freed[0], 2);
    assert_int_equal(freed[1], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_labels_are_one_scope),
        cmocka_unit_test(a_number_never_names_two_sets),
        cmocka_unit_test(names_and_empty_values_do_not_get_in),
        cmocka_unit_test(forms_are_freed_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
