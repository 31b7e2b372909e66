/* JSON in and out. */
#include "unit.h"

#include "wire/json.h"
#include "wire/tree.h"

static void expect_n(struct str text, const char *want)
{
    struct arena a = {0};
    struct node *n;
    struct diag d = {0};
    char where[900];
    AUTO_BUF out = {0};
    if (tree_parse_json(text, "t.json", &a, &n, &d)) {
        diag_format(&d, where, sizeof(where));
        buf_c(&out, where);
    } else {
        tree_print_json(n, &out);
    }
    if (!str_eq(buf_view(&out), str_c(want)))
        fail_msg("%.*s\n gives %s\n   not %s", STR_ARGS(text), out.p, want);
    arena_release(&a);
}

#define expect(text, want) expect_n(STR(text), want)

static void values(void **state)
{
    (void)state;
    expect("", "null");
    expect(" { } ", "{}");
    expect("[1,-0.5,1e5,true,false,null,\"x\",[],{\"a\":{\"b\":[0]}}]",
           "[1,-0.5,100000,true,false,null,\"x\",[],{\"a\":{\"b\":[0]}}]");
    expect("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\ud83d\\ude00\"",
           "\"\\\"\\\\/\\u0008\\u000c\\n\\r\\tA\xc3\xa9\xf0\x9f\x98\x80\"");
    expect("\"\\u0000\"", "\"\\u0000\"");
    expect("{\"a\":1,\"b\":2,\"a\":3}", "{\"b\":2,\"a\":3}"); /* the last stands */
    expect("\"\\ud800x\"", "\"\\ufffdx\"");
    expect("\"\xff\"", "\"\\ufffd\"");
    expect("123456789012345678901234567890", "123456789012345678901234567890");
}

static void errors_say_where(void **state)
{
    (void)state;
    expect("{", "t.json:1:2: json: unexpected end of JSON input: expected a key in double quotes, or '}'");
    expect("[1,]",
           "t.json:1:4: json: invalid character ']' looking for beginning of value: expected a value (no comma may "
           "stand at the end)");
    expect("{\"a\":1,}", "t.json:1:8: json: invalid character '}' looking for beginning of object key string: "
                         "expected a key behind the comma (no comma may stand at the end), after \"a\"");
    expect("{\"a\" 1}", "t.json:1:6: json: invalid character '1' after object key: expected ':' behind \"a\"");
    expect("{\"a\":1 \"b\":2}",
           "t.json:1:8: json: invalid character '\"' after object key:value pair: expected ',' or '}' "
           "behind the value of \"a\"");
    expect("[1 2]", "t.json:1:4: json: invalid character '2' after array element: expected ',' or ']'");
    expect("1 2", "t.json:1:3: json: invalid character '2' after top-level value");
    expect("[\n  \"\xc3\xa9\", x]",
           "t.json:2:8: json: invalid character 'x' looking for beginning of value: expected a value");
    expect("01", "t.json:1:2: json: invalid character '1' after top-level value");
    expect("-", "t.json:1:2: json: unexpected end of JSON input");
    expect("1.", "t.json:1:3: json: unexpected end of JSON input");
    expect("1e+x", "t.json:1:4: json: invalid character 'x' in exponent of numeric literal");
    expect("tru", "t.json:1:4: json: unexpected end of JSON input");
    expect("\"\n\"", "t.json:1:2: json: invalid byte 0x0a in string literal");
    expect("\"\\x\"", "t.json:1:3: json: invalid character 'x' in string escape code");
    expect("\"abc", "t.json:1:5: json: unexpected end of JSON input");
    expect("\"abc\\\"", "t.json:1:7: json: unexpected end of JSON input");
    expect("\"\\u12g4\"", "t.json:1:3: json: invalid character 'u' in string escape code");
    expect("// x\n1",
           "t.json:1:1: json: invalid character '/' looking for beginning of value: expected a value (JSON has no "
           "comments)");
    expect("\xef\xbb\xbf{}", "t.json:1:1: json: invalid byte 0xef looking for beginning of value: expected a value");
}

static void errors_say_what_was_expected_and_the_key_before(void **state)
{
    (void)state;
    expect("{\"a\": {\"b\": 1}\n \"c\": 2}", "t.json:2:2: json: invalid character '\"' after object key:value pair: "
                                             "expected ',' or '}' behind the value of \"a\"");
    expect("{\"a\": [1, 2\n \"c\": 2}",
           "t.json:2:2: json: invalid character '\"' after array element: expected ',' or ']' in the list of \"a\"");
    expect("{\"a\": [{\"b\": 1}",
           "t.json:1:16: json: unexpected end of JSON input: expected ',' or ']' in the list of \"a\"");
    expect("{\"a\": \"x\" // c\n}",
           "t.json:1:11: json: invalid character '/' after object key:value pair: expected ',' or "
           "'}' (JSON has no comments) behind the value of \"a\"");
    expect("{\"a\": {\"b\": [1,]}}",
           "t.json:1:16: json: invalid character ']' looking for beginning of value: expected a "
           "value (no comma may stand at the end), after \"b\"");
    expect("{\"a\": }",
           "t.json:1:7: json: invalid character '}' looking for beginning of value: expected a value, after \"a\"");
    expect("{\"a\": 1, b: 2}", "t.json:1:10: json: invalid character 'b' looking for beginning of object key string: "
                               "expected a key in double quotes behind the comma, after \"a\"");
}

static void positions(void **state)
{
    (void)state;
    struct arena a = {0};
    struct node *n;
    assert_int_equal(tree_parse_json(STR("{\n  \"a\": [\n    1,\n    {\"b\": \"c\"}\n  ]\n}"), "t", &a, &n, NULL), OK);
    struct node *list = node_find(n, "a");
    assert_int_equal(list->key_line, 2);
    assert_int_equal(list->key_col, 3);
    assert_int_equal(list->col, 8);
    struct node *b = node_find(list->first->next, "b");
    assert_int_equal(b->line, 4);
    assert_int_equal(b->col, 11);
    assert_int_equal(list->n, 2);
    arena_release(&a);
}

static void depth_is_limited(void **state)
{
    (void)state;
    char text[TREE_MAX_DEPTH + 2];
    struct arena a = {0};
    struct node *n;
    memset(text, '[', sizeof(text));
    assert_int_equal(tree_parse_json(str_from(text, sizeof(text)), "t", &a, &n, NULL), ERR_LIMIT);
    arena_release(&a);
}

static void writing(void **state)
{
    (void)state;
    AUTO_BUF out = {0};
    struct json j = json_to(&out);
    json_object(&j);
    json_key_c(&j, "a");
    json_array(&j);
    json_i64(&j, -1);
    json_u64(&j, UINT64_MAX);
    json_double(&j, 0.5);
    json_double(&j, 1e6);
    json_double(&j, 1e21);
    json_double(&j, 1e-7);
    json_double(&j, __builtin_nan(""));
    json_double(&j, -__builtin_inf());
    json_bool(&j, true);
    json_c(&j, NULL);
    json_array_end(&j);
    json_key(&j, STR("b\n\x01"));
    json_str(&j, STR("<\xff\xe2\x80\xa8>"));
    json_key_c(&j, "c");
    json_object(&j);
    json_object_end(&j);
    json_key_c(&j, "d");
    json_raw(&j, STR("[]"));
    json_object_end(&j);
    assert_str_c(buf_view(&out), "{\"a\":[-1,18446744073709551615,0.5,1000000,1e+21,1e-07,\"NaN\",\"-Inf\",true,null],"
                                 "\"b\\n\\u0001\":\"<\\ufffd\\u2028>\",\"c\":{},\"d\":[]}");
}

static void members_by_kind(void **state)
{
    struct arena a = {0};
    struct node *n = NULL;

    (void)state;
    assert_int_equal(tree_parse_json(STR("{\"a\": \"x\", \"b\": 1, \"c\": [2]}"), "t", &a, &n, NULL), OK);
    assert_true(str_eq(node_text(n, "a"), STR("x")));
    assert_int_equal(node_text(n, "b").n, 0);
    assert_int_equal(node_text(NULL, "a").n, 0);
    assert_non_null(node_member(n, "b", NODE_NUMBER));
    assert_null(node_member(n, "c", NODE_STRING));
    assert_null(node_member(node_member(n, "c", NODE_SEQUENCE), "a", NODE_STRING));
    assert_null(node_member(n, "d", NODE_STRING));
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(errors_say_where),
        cmocka_unit_test(errors_say_what_was_expected_and_the_key_before),
        cmocka_unit_test(positions),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(writing),
        cmocka_unit_test(members_by_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
