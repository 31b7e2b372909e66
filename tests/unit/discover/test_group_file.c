/* What target-group files are taken and refused, with the place of the fault; the cases follow Prometheus'
 * discovery/file and discovery/targetgroup, whose decoders differ between JSON and YAML. */
#include "unit.h"

#include "base/mem.h"
#include "discover/group_file.h"

static const struct label meta = {{"__meta_filepath", 15}, {"/t/x", 4}};

static struct target_groups *take(const char *text, enum group_file_format format)
{
    struct target_groups *g = NULL;
    struct diag d = {0};

    if (group_file_parse(str_c(text), format, "/t/x", meta, &g, &d)) {
        fail_msg("refused at %d:%d: %s\n%s", d.line, d.col, d.text, text);
    }
    return g;
}

static void refuse(const char *text, enum group_file_format format, int line, int col, const char *words)
{
    struct target_groups *g = NULL;
    struct diag d = {0};
    enum err err = group_file_parse(str_c(text), format, "/t/x", meta, &g, &d);

    if (!err)
        fail_msg("taken: %s", text);
    assert_null(g);
    assert_string_equal(d.file, "/t/x");
    if (d.line != line || d.col != col || !strstr(d.text, words))
        fail_msg("got %d:%d: %s\nwant %d:%d: %s\n%s", d.line, d.col, d.text, line, col, words, text);
}

/* {labels} addr addr; one group a line */
static void print(const struct target_groups *g, struct buf *out)
{
    buf_clear(out);
    for (uint32_t i = 0; i < g->n; i++) {
        labels_print(g->groups[i].labels, out);
        for (uint32_t k = 0; k < g->groups[i].n_targets; k++) {
            buf_char(out, ' ');
            assert_int_equal(g->groups[i].targets[k].n, 1);
            assert_str_c(g->groups[i].targets[k].v[0].name, "__address__");
            buf_str(out, g->groups[i].targets[k].v[0].value);
        }
        buf_char(out, '\n');
    }
}

static void same(const char *text, enum group_file_format format, const char *want)
{
    struct target_groups *g = take(text, format);
    AUTO_BUF got = {0};

    print(g, &got);
    buf_c(&got, "");
    assert_str_c(buf_view(&got), want);
    target_groups_free(g);
}

static const char both[] = "{__meta_filepath=\"/t/x\", env=\"prod\", zone=\"a\"} 127.0.0.1:9100 [::1]:9100\n"
                           "{__meta_filepath=\"/t/x\"} b:1\n";

static void test_reads_json(void **state)
{
    (void)state;
    same("[{\"targets\": [\"127.0.0.1:9100\", \"[::1]:9100\"], \"labels\": {\"zone\": \"a\", \"env\": \"prod\"}},\n"
         " {\"targets\": [\"b:1\"]}]\n",
         GROUP_FILE_JSON, both);
}

static void test_reads_yaml(void **state)
{
    (void)state;
    same("- targets: ['127.0.0.1:9100', \"[::1]:9100\"]\n"
         "  labels:\n    zone: a\n    env: prod\n"
         "- labels:\n  targets:\n  - b:1\n",
         GROUP_FILE_YAML, both);
}

static void test_sources_are_numbered(void **state)
{
    struct target_groups *g = take("[{\"targets\": []}, {\"targets\": [\"a\"]}]", GROUP_FILE_JSON);

    (void)state;
    assert_int_equal(g->n, 2);
    assert_str_c(g->groups[0].source, "/t/x:0");
    assert_str_c(g->groups[1].source, "/t/x:1");
    target_groups_free(g);
}

/* The text may go as soon as it has been parsed. */
static void test_result_borrows_nothing(void **state)
{
    char *text = strdup("- targets: [abc]\n  labels: {k: some value}\n");
    struct target_groups *g = NULL;
    AUTO_BUF got = {0};

    (void)state;
    assert_int_equal(group_file_parse(str_c(text), GROUP_FILE_YAML, "/t/x", meta, &g, NULL), OK);
    memset(text, 'x', strlen(text));
    free(text);
    print(g, &got);
    assert_string_equal(got.p, "{__meta_filepath=\"/t/x\", k=\"some value\"} abc\n");
    target_groups_free(g);
}

static void test_path_label_wins(void **state)
{
    (void)state;
    same("[{\"targets\": [\"a\"], \"labels\": {\"__meta_filepath\": \"mine\"}}]", GROUP_FILE_JSON,
         "{__meta_filepath=\"/t/x\"} a\n");
}

static void test_nothing_is_no_groups(void **state)
{
    static const char *const yaml[] = {"", "\n", "# only words\n", "null\n", "~", "[]", "---\n"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(yaml); i++)
        same(yaml[i], GROUP_FILE_YAML, "");
    same("[]", GROUP_FILE_JSON, "");
    same("null", GROUP_FILE_JSON, "");
    refuse("", GROUP_FILE_JSON, 1, 1, "");
}

static void test_scalars_of_yaml_are_strings(void **state)
{
    (void)state;
    same("- targets: [9100, true, 1.50, 2001-01-01, 0x1f]\n  labels: {a: 1, b: yes, c: 0.10, 5: n}\n", GROUP_FILE_YAML,
         "{\"5\"=\"n\", __meta_filepath=\"/t/x\", a=\"1\", b=\"yes\", c=\"0.10\"} 9100 true 1.50 2001-01-01 0x1f\n");
}

static void test_values_of_json_are_strings_only(void **state)
{
    (void)state;
    refuse("[{\"targets\": [9100]}]", GROUP_FILE_JSON, 1, 15, "expected a string");
    refuse("[{\"targets\": [\"a\"],\n \"labels\": {\"a\": true}}]", GROUP_FILE_JSON, 2, 18, "expected a string");
    same("[{\"targets\": [\"a\"], \"labels\": {\"k\": null}}]", GROUP_FILE_JSON, "{__meta_filepath=\"/t/x\"} a\n");
}

static void test_case_of_field_names(void **state)
{
    (void)state;
    same("[{\"Targets\": [\"a\"], \"LABELS\": {\"K\": \"v\"}}]", GROUP_FILE_JSON,
         "{K=\"v\", __meta_filepath=\"/t/x\"} a\n");
    refuse("- Targets: [a]\n", GROUP_FILE_YAML, 1, 3, "unknown field \"Targets\"");
}

static void test_unknown_fields_have_a_place(void **state)
{
    (void)state;
    refuse("- targets: [a]\n  label: {a: b}\n", GROUP_FILE_YAML, 2, 3, "unknown field \"label\"");
    refuse("[{\"targets\": [\"a\"],\n  \"source\": \"x\"}]", GROUP_FILE_JSON, 2, 3, "unknown field \"source\"");
}

static void test_wrong_shapes_have_a_place(void **state)
{
    (void)state;
    refuse("targets: [a]\n", GROUP_FILE_YAML, 1, 1, "expected a list of target groups");
    refuse("{\"targets\": [\"a\"]}", GROUP_FILE_JSON, 1, 1, "expected a list of target groups");
    refuse("- a\n", GROUP_FILE_YAML, 1, 3, "expected a target group");
    refuse("- targets: a\n", GROUP_FILE_YAML, 1, 12, "targets: expected a list");
    refuse("- targets: [a]\n  labels: [b]\n", GROUP_FILE_YAML, 2, 11, "labels: expected a mapping");
    refuse("- targets: [[a]]\n", GROUP_FILE_YAML, 1, 13, "expected a string");
    refuse("- targets: [a]\n  labels: {b: {c: d}}\n", GROUP_FILE_YAML, 2, 15, "expected a string");
}

static void test_null_groups(void **state)
{
    (void)state;
    refuse("- targets: [a]\n-\n", GROUP_FILE_YAML, 2, 2, "nil target group item found");
    refuse("[{\"targets\": [\"a\"]}, null]", GROUP_FILE_JSON, 1, 22, "nil target group item found");
    same("- {}\n- targets:\n- targets: null\n  labels: null\n", GROUP_FILE_YAML,
         "{__meta_filepath=\"/t/x\"}\n{__meta_filepath=\"/t/x\"}\n{__meta_filepath=\"/t/x\"}\n");
}

/* As the decoders of the original: YAML refuses a repeated key, of JSON's the last stands. */
static void test_repeated_keys(void **state)
{
    (void)state;
    refuse("- targets: [a]\n  targets: [b]\n", GROUP_FILE_YAML, 2, 3, "targets");
    refuse("- labels: {a: b, a: c}\n", GROUP_FILE_YAML, 1, 18, "a");
    same("[{\"targets\": [\"a\"], \"labels\": {\"k\": \"v\", \"k\": \"w\"}}]", GROUP_FILE_JSON,
         "{__meta_filepath=\"/t/x\", k=\"w\"} a\n");
}

static void test_label_names(void **state)
{
    (void)state;
    same("- targets: [a]\n  labels: {\"dotted.name\": v, \"caf\xc3\xa9\": w}\n", GROUP_FILE_YAML,
         "{__meta_filepath=\"/t/x\", \"caf\xc3\xa9\"=\"w\", \"dotted.name\"=\"v\"} a\n");
    refuse("- targets: [a]\n  labels: {\"\": v}\n", GROUP_FILE_YAML, 2, 16, "not a valid label name");
    refuse("- targets: [\"\\xff\"]\n  labels: {a: b}\n- nonsense", GROUP_FILE_YAML, 3, 3, "expected a target group");
}

static void test_broken_syntax(void **state)
{
    (void)state;
    refuse("[{\"targets\": [\"a\"]}", GROUP_FILE_JSON, 1, 20, "");
    refuse("[{\"targets\": [\"a\",]}]", GROUP_FILE_JSON, 1, 19, "");
    refuse("[]\n[]", GROUP_FILE_JSON, 2, 1, "");
    refuse("- targets: [a\n", GROUP_FILE_YAML, 2, 1, "");
    refuse("- targets: [a]\n\tlabels: {}\n", GROUP_FILE_YAML, 2, 1, "");
}

static void test_huge_files(void **state)
{
    enum { GROUPS = 20000, TARGETS = 3 };
    AUTO_BUF text = {0};

    (void)state;
    buf_char(&text, '[');
    for (int i = 0; i < GROUPS; i++) {
        buf_printf(&text, "%s{\"labels\": {\"i\": \"%d\"}, \"targets\": [", i ? "," : "", i);
        for (int k = 0; k < TARGETS; k++)
            buf_printf(&text, "%s\"host-%d:%d\"", k ? "," : "", i, k);
        buf_c(&text, "]}\n");
    }
    buf_char(&text, ']');
    struct target_groups *g = take(text.p, GROUP_FILE_JSON);
    assert_int_equal(g->n, GROUPS);
    assert_int_equal(g->groups[GROUPS - 1].n_targets, TARGETS);
    assert_str_c(g->groups[GROUPS - 1].targets[2].v[0].value, "host-19999:2");
    assert_str_c(g->groups[GROUPS - 1].source, "/t/x:19999");
    target_groups_free(g);
}

/* What would take more memory than any file of targets is refused, not attempted. */
static void test_bombs(void **state)
{
    AUTO_BUF text = {0};
    struct target_groups *g = NULL;

    (void)state;
    for (int i = 0; i < 5000; i++)
        buf_char(&text, '[');
    assert_int_not_equal(group_file_parse(buf_view(&text), GROUP_FILE_JSON, "x", meta, &g, NULL), OK);
    assert_int_not_equal(group_file_parse(buf_view(&text), GROUP_FILE_YAML, "x", meta, &g, NULL), OK);
    buf_clear(&text);
    buf_c(&text, "- targets: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++)
        buf_printf(&text, "- targets: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i - 1, i - 1, i - 1,
                   i - 1, i - 1, i - 1, i - 1, i - 1);
    assert_int_not_equal(group_file_parse(buf_view(&text), GROUP_FILE_YAML, "x", meta, &g, NULL), OK);
    assert_null(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_json),
        cmocka_unit_test(test_reads_yaml),
        cmocka_unit_test(test_sources_are_numbered),
        cmocka_unit_test(test_result_borrows_nothing),
        cmocka_unit_test(test_path_label_wins),
        cmocka_unit_test(test_nothing_is_no_groups),
        cmocka_unit_test(test_scalars_of_yaml_are_strings),
        cmocka_unit_test(test_values_of_json_are_strings_only),
        cmocka_unit_test(test_case_of_field_names),
        cmocka_unit_test(test_unknown_fields_have_a_place),
        cmocka_unit_test(test_wrong_shapes_have_a_place),
        cmocka_unit_test(test_null_groups),
        cmocka_unit_test(test_repeated_keys),
        cmocka_unit_test(test_label_names),
        cmocka_unit_test(test_broken_syntax),
        cmocka_unit_test(test_huge_files),
        cmocka_unit_test(test_bombs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
