/* YAML: what go-yaml's strict mode makes of the same text, with positions. */
#include "unit.h"

#include "wire/tree.h"

static enum err parse(struct arena *a, const char *text, struct node **out, struct diag *d)
{
    *d = (struct diag){0};
    return tree_parse_yaml(str_c(text), "p.yml", a, out, d);
}

/* The tree as JSON, or the error with its position. */
static void expect(const char *text, const char *want)
{
    struct arena a = {0};
    struct node *n;
    struct diag d;
    char where[900];
    AUTO_BUF out = {0};
    if (parse(&a, text, &n, &d)) {
        diag_format(&d, where, sizeof(where));
        buf_c(&out, where);
    } else {
        tree_print_json(n, &out);
    }
    if (!str_eq(buf_view(&out), str_c(want)))
        fail_msg("%s\n gives %s\n   not %s", text, out.p, want);
    arena_release(&a);
}

static void documents(void **state)
{
    (void)state;
    expect("", "null");
    expect("# only a comment\n", "null");
    expect("---\n...\n", "null");
    expect("a: 1\nb: [x, 'y', \"z\\n\"]\nc: {d: e}\n", "{\"a\":1,\"b\":[\"x\",\"y\",\"z\\n\"],\"c\":{\"d\":\"e\"}}");
    expect("a: |\n  x\n  y\n", "{\"a\":\"x\\ny\\n\"}");
    expect("a:\nb: ~\n", "{\"a\":null,\"b\":null}");
    expect("a: 1\n---\nb: [\n", "{\"a\":1}"); /* only the first document is read */
    expect("1: a\ntrue: b\n~: c\n", "{\"1\":\"a\",\"true\":\"b\",\"\":\"c\"}");
}

static void plain_scalars_resolve_as_in_go_yaml(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum node_kind kind;
        bool truth;
    } cases[] = {
        {"yes", NODE_BOOL, true},
        {"On", NODE_BOOL, true},
        {"TRUE", NODE_BOOL, true},
        {"y", NODE_BOOL, true},
        {"no", NODE_BOOL, false},
        {"OFF", NODE_BOOL, false},
        {"N", NODE_BOOL, false},
        {"yES", NODE_STRING, false},
        {"null", NODE_NULL, false},
        {"NULL", NODE_NULL, false},
        {"~", NODE_NULL, false},
        {"nuLL", NODE_STRING, false},
        {"0", NODE_NUMBER, false},
        {"-12", NODE_NUMBER, false},
        {"+5", NODE_NUMBER, false},
        {"1_000", NODE_NUMBER, false},
        {"0x1F", NODE_NUMBER, false},
        {"0o17", NODE_NUMBER, false},
        {"017", NODE_NUMBER, false},
        {"0b101", NODE_NUMBER, false},
        {"08", NODE_NUMBER, false},
        {"1.5e3", NODE_NUMBER, false},
        {".5", NODE_NUMBER, false},
        {"1.", NODE_NUMBER, false},
        {".inf", NODE_NUMBER, false},
        {"-.INF", NODE_NUMBER, false},
        {".NaN", NODE_NUMBER, false},
        {"inf", NODE_STRING, false},
        {"1e", NODE_STRING, false},
        {"0x", NODE_STRING, false},
        {"-", NODE_STRING, false},
        {"15s", NODE_STRING, false},
        {"2001-01-01", NODE_STRING, false},
        {"1:30", NODE_STRING, false},
        {"0x1p4", NODE_STRING, false},
        {"1.2.3", NODE_STRING, false},
        {"18446744073709551615", NODE_NUMBER, false},
        {"-.nan", NODE_STRING, false},
        {"<<", NODE_STRING, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool truth;
        if (tree_resolve(str_c(cases[i].text), &truth) != cases[i].kind || truth != cases[i].truth)
            fail_msg("%s", cases[i].text);
    }
    expect("a: \"yes\"\nb: '1'\nc: !!str 5\nd: !!int \"7\"\ne: !foo 1\n",
           "{\"a\":\"yes\",\"b\":\"1\",\"c\":\"5\",\"d\":7,\"e\":\"1\"}");
    expect("a: !!int x\n", "p.yml:1:4: yaml: cannot decode `x` as a !!int");
    expect("a: [!!binary eHl6, !!binary eHk=, !!binary eA==, !!binary \"\"]\n", "{\"a\":[\"xyz\",\"xy\",\"x\",\"\"]}");
    expect("a: !!binary eA\n", "p.yml:1:4: yaml: !!binary value contains invalid base64 data");
    expect("a: !!binary eA==eA==\n", "p.yml:1:4: yaml: !!binary value contains invalid base64 data");
    expect("a: !!binary =\n", "p.yml:1:4: yaml: !!binary value contains invalid base64 data");
}

static void numbers_have_their_values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_i64;
        int64_t i;
        double f;
    } cases[] = {
        {"0x1F", true, 31, 31},
        {"017", true, 15, 15},
        {"0b11", true, 3, 3},
        {"-0x10", true, -16, -16},
        {"1_000", true, 1000, 1000},
        {"1.5", true, 1, 1.5},
        {"-9223372036854775808", true, INT64_MIN, -9223372036854775808.0},
        {"18446744073709551615", false, 0, 18446744073709551615.0},
        {"1e30", false, 0, 1e30},
        {"08", true, 8, 8},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct node n = {.kind = NODE_NUMBER, .text = str_c(cases[i].text)};
        int64_t got = 0;
        double f = 0;
        assert_int_equal(node_i64(&n, &got), cases[i].is_i64);
        assert_int_equal(got, cases[i].i);
        assert_true(node_double(&n, &f) && f == cases[i].f);
    }
    struct node text = {.kind = NODE_STRING, .text = STR("1")};
    int64_t i;
    assert_false(node_i64(&text, &i));
}

static void positions(void **state)
{
    (void)state;
    struct arena a = {0};
    struct node *n;
    struct diag d;
    assert_int_equal(parse(&a, "a: 1\nb:\n  - x\n  - \xc3\xa9: {k: v}\n", &n, &d), OK);
    struct node *b = node_find(n, "b");
    assert_int_equal(b->key_line, 2);
    assert_int_equal(b->key_col, 1);
    struct node *second = b->first->next;
    assert_int_equal(second->line, 4);
    assert_int_equal(second->col, 5);
    struct node *k = node_find(second->first, "k");
    assert_int_equal(k->key_col, 9); /* characters, not bytes */
    assert_int_equal(k->col, 12);
    assert_null(node_find(n, "c"));
    assert_null(node_find(k, "c"));
    arena_release(&a);
}

static void errors_say_where(void **state)
{
    (void)state;
    expect("a: 1\nb: [1,\n", "p.yml:3:1: yaml: did not find expected node content");
    expect("a: b: c\n", "p.yml:1:5: yaml: mapping values are not allowed in this context");
    expect("a:\n\t- b\n", "p.yml:2:1: yaml: found character that cannot start any token");
    expect("a: 1\nb: 2\na: 3\n", "p.yml:3:1: yaml: key \"a\" already set in map (first on line 1)");
    expect("a: \"\xff\"\n", "p.yml:1:5: yaml: invalid leading UTF-8 octet");
    expect("x: *nope\n", "p.yml:1:4: yaml: unknown anchor 'nope' referenced");
    expect("? [a]\n: b\n", "p.yml:1:3: yaml: invalid map key: a sequence");
    expect("&a [1, *a]\n", "p.yml:1:8: yaml: anchor 'a' value contains itself");
}

static void aliases_and_merges(void **state)
{
    (void)state;
    expect("a: &x {k: 1}\nb: *x\nc: [*x]\n", "{\"a\":{\"k\":1},\"b\":{\"k\":1},\"c\":[{\"k\":1}]}");
    expect("a: &x v\n*x : w\n", "{\"a\":\"v\",\"v\":\"w\"}");
    expect("a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}\n", "{\"a\":{\"k\":1,\"l\":2},\"b\":{\"l\":2,\"k\":3}}");
    expect("a: &x {k: 1}\nb: &y {k: 2, l: 3}\nc: {<<: [*x, *y]}\n",
           "{\"a\":{\"k\":1},\"b\":{\"k\":2,\"l\":3},\"c\":{\"l\":3,\"k\":1}}");
    expect("a: {<<: 1}\n", "p.yml:1:9: yaml: map merge requires map or sequence of maps as the value");
    expect("a: {\"<<\": 1}\n", "{\"a\":{\"<<\":1}}");
    expect("a: &x 1\nb: &x 2\nc: *x\n", "{\"a\":1,\"b\":2,\"c\":2}");
}

static void repeat(struct buf *b, const char *text, int n)
{
    for (int i = 0; i < n; i++)
        buf_c(b, text);
}

static void limits(void **state)
{
    (void)state;
    struct arena a = {0};
    struct node *n;
    struct diag d;
    AUTO_BUF laughs = {0};
    buf_c(&laughs, "l0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for (int i = 1; i < 10; i++) {
        buf_printf(&laughs, "l%d: &l%d [", i, i);
        for (int j = 0; j < 10; j++)
            buf_printf(&laughs, "%s*l%d", j ? ", " : "", i - 1);
        buf_c(&laughs, "]\n");
    }
    assert_int_equal(parse(&a, laughs.p, &n, &d), ERR_LIMIT);
    assert_true(a.used < 1 << 20);

    AUTO_BUF deep = {0};
    repeat(&deep, "[", TREE_MAX_DEPTH);
    repeat(&deep, "]", TREE_MAX_DEPTH);
    assert_int_equal(parse(&a, deep.p, &n, &d), OK);
    AUTO_BUF json = {0};
    tree_print_json(n, &json);
    assert_str(buf_view(&json), buf_view(&deep));
    buf_clear(&deep);
    repeat(&deep, "[", TREE_MAX_DEPTH + 1);
    assert_int_equal(parse(&a, deep.p, &n, &d), ERR_LIMIT);
    /* a deep anchor used deep down */
    buf_clear(&deep);
    buf_c(&deep, "- &x ");
    repeat(&deep, "[", 40);
    repeat(&deep, "]", 40);
    buf_c(&deep, "\n- ");
    repeat(&deep, "[", 40);
    buf_c(&deep, "*x");
    repeat(&deep, "]", 40);
    assert_int_equal(parse(&a, deep.p, &n, &d), ERR_LIMIT);
    arena_release(&a);
}

static void printing_reads_back(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "a: 1\nb: [x, {c: 'no', d: [[], {}, null]}]\ne: \"a: b\"\nf: \"-x\"\ng: http://h:80/\nh: \"\"\n",
        "i: [[1, 2], [3]]\n",
        "[]",
        "x",
        "- - a\n  - b: |\n      t\n    c: #\n",
        "\"1\": \"yes\"\n'': ' '\nx: \"\xc3\xa9\\u2028\"\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct arena a = {0};
        struct node *n, *again;
        struct diag d;
        AUTO_BUF yaml = {0};
        AUTO_BUF json = {0};
        AUTO_BUF json2 = {0};
        assert_int_equal(parse(&a, texts[i], &n, &d), OK);
        tree_print_yaml(n, &yaml);
        if (parse(&a, yaml.p, &again, &d))
            fail_msg("%s: %s", yaml.p, d.text);
        tree_print_json(n, &json);
        tree_print_json(again, &json2);
        assert_str(buf_view(&json2), buf_view(&json));
        arena_release(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents),
        cmocka_unit_test(plain_scalars_resolve_as_in_go_yaml),
        cmocka_unit_test(numbers_have_their_values),
        cmocka_unit_test(positions),
        cmocka_unit_test(errors_say_where),
        cmocka_unit_test(aliases_and_merges),
        cmocka_unit_test(limits),
        cmocka_unit_test(printing_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
