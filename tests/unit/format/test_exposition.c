/* Exposition: what is accepted and what it means. The tables are judgments of Prometheus 3.15's parsers; the
 * differential test in tests/conformance/textparse asks those themselves. */
#include "unit.h"

#include "base/num.h"
#include "format/exposition.h"
#include "format/prom_print.h"
#include "model/batch.h"

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

/* The whole body as one line of text: labels, value, @time and #exemplar of each sample, blocks as [type], or the
 * error. */
static void read_body(struct buf *out, enum exposition_kind kind, struct str text)
{
    struct arena a = {0};
    struct diag d = {0};
    struct exposition e;
    struct exposition_entry entry;
    struct exposition_sample s;
    struct labels l;
    bool typed;
    char *body = str_to_c(text);
    exposition_init(&e, kind, str_from(body, text.n));
    for (;;) {
        if (exposition_next(&e, &entry, &d))
            break;
        if (entry.kind == EXPOSITION_EOF) {
            buf_c(out, "end");
            break;
        }
        if (entry.kind == EXPOSITION_COMMENTS) {
            buf_printf(out, "[%s] ", entry.type < 0 ? "" : metric_type_name((enum metric_type)entry.type));
            continue;
        }
        if (exposition_value(&e, &s, &d) || exposition_labels(entry.raw, kind, e.type, &a, &l, &typed, &d))
            break;
        labels_print(l, out);
        buf_char(out, ' ');
        buf_double(out, s.value);
        if (s.has_ts)
            buf_printf(out, "@%lld", (long long)s.ts_ms);
        if (s.has_exemplar)
            buf_printf(out, "#%.*s", STR_ARGS(s.exemplar));
        buf_c(out, "; ");
    }
    if (d.text[0])
        buf_printf(out, "error: %s", d.text);
    free(body);
    arena_release(&a);
}

static void expect(enum exposition_kind kind, struct str text, const char *want)
{
    AUTO_BUF out = {0};
    read_body(&out, kind, text);
    if (!str_eq(buf_view(&out), str_c(want)))
        fail_msg("%.*s\n gives %.*s\n   not %s", STR_ARGS(text), STR_ARGS(buf_view(&out)), want);
}

#define TEXT(text, want) expect(EXPOSITION_TEXT, STR(text), want)
#define OM(text, want)   expect(EXPOSITION_OPENMETRICS, STR(text), want)
#define A1               "{__name__=\"a\"} 1; "
#define AB1              "{__name__=\"a\", b=\"c\"} 1; "

static void text_white_space(void **state)
{
    (void)state;
    TEXT("", "end");
    TEXT("\n \n\t\n", "[] end");
    TEXT("a 1\n", A1 "end");
    TEXT("a 1", A1 "end");
    TEXT("a\t 1 \n", A1 "end");
    TEXT("a+1\n", A1 "end");
    TEXT("a { b = \"c\" , } 1\n", AB1 "end");
    TEXT("a{b=\"c\"}1\n", AB1 "end");
    TEXT(" a 1\n", "{__name__=\" a\"} 1; end"); /* the name begins where the line does */
    TEXT("a 1\r\n", "error: strconv.ParseFloat: parsing \"1\\r\": invalid syntax while parsing: \"a 1\\r\"");
    TEXT("a\n", "error: expected value after metric, got \"\\n\" (\"INVALID\") while parsing: \"a\\n\"");
}

static void text_labels(void **state)
{
    (void)state;
    TEXT("a{} 1\n", A1 "end");
    TEXT("a{z=\"1\"b=\"2\"} 1\n", "{__name__=\"a\", b=\"2\", z=\"1\"} 1; end");
    TEXT("a{b=\"\\\\\\\"\\n\\t\"} 1\n", "{__name__=\"a\", b=\"\\\\\\\"\\n\\\\t\"} 1; end");
    TEXT("a{b=\"\"} 1\n", "{__name__=\"a\", b=\"\"} 1; end");
    TEXT("a{b=\"x\0y\"} 1\n", "{__name__=\"a\", b=\"x\\x00y\"} 1; end");
    TEXT("{\"a.b\",\"c d\"=\"e\"} 1\n", "{__name__=\"a.b\", \"c d\"=\"e\"} 1; end");
    TEXT("{c=\"d\",\"a\"} 1\n", "{__name__=\"a\", c=\"d\"} 1; end");
    TEXT("a{,} 1\n", "error: expected label name, got \",}\" (\"COMMA\") while parsing: \"a{,}\"");
    TEXT("a{\"b\"} 1\n", "error: metric name already set while parsing: \"a{\\\"b\\\"}\"");
    TEXT("{b=\"c\"} 1\n", "error: metric name not set while parsing: \"{b=\\\"c\\\"} 1\"");
    TEXT("a{b=\"\xff\"} 1\n", "error: invalid UTF-8 label value: \"\\\"\\xff\\\"\"");
    TEXT("a{b=\"1\",b=\"2\"} 1\n", "error: label name \"b\" is not unique: invalid sample");
    TEXT("a{b=\"1\",b=\"\"} 1\n", "{__name__=\"a\", b=\"\"} 1; end");
    TEXT("a{__name__=\"b\"} 1\n", "error: label name \"__name__\" is not unique: invalid sample");
}

static void text_times(void **state)
{
    (void)state;
    TEXT("a 1 1234\n", "{__name__=\"a\"} 1@1234; end");
    TEXT("a 1 -5\n", "error: expected timestamp or new record, got \"-\" (\"INVALID\") while parsing: \"a 1 -\"");
    TEXT("a 1 5 6\n",
         "error: expected next entry after timestamp, got \"6\\n\" (\"TIMESTAMP\") while parsing: \"a 1 5 6\\n\"");
    TEXT("a 1 99999999999999999999\n",
         "error: strconv.ParseInt: parsing \"99999999999999999999\": value out of range while "
         "parsing: \"a 1 99999999999999999999\"");
}

static void text_comments(void **state)
{
    (void)state;
    TEXT("# HELP a b\n# TYPE a counter\n#x\n\na 1\n# end", "[counter] " A1 "[] end");
    TEXT("# HELP a\na 1\n", "[] " A1 "end");
    TEXT("# TYPE a,gauge\n# TYPE a untyped\n", "[unknown] end");
    TEXT("# TYPE a  gauge\n", "error: invalid metric type \" gauge\"");
    TEXT("# TYPE a info\n", "error: invalid metric type \"info\"");
    TEXT("# HELP a \xff\n", "error: help text \"\\xff\" is not a valid utf8 string");
    TEXT("# HELP \n",
         "error: expected metric name after HELP, got \"\\n\" (\"INVALID\") while parsing: \"# HELP \\n\"");
    TEXT("a 1\n\0b 2 garbage", A1 "end"); /* a NUL at a line's start ends the input */
    TEXT("# \0\na 1\n", "end");
    TEXT("# a\0b\na 1\n", "[] " A1 "end");
}

static void text_values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bits;
    } good[] = {
        {"0", 0},
        {"-0", 0x8000000000000000},
        {"1.", 0x3ff0000000000000},
        {".5", 0x3fe0000000000000},
        {"+1", 0x3ff0000000000000},
        {"007", 0x401c000000000000},
        {"1e+00", 0x3ff0000000000000},
        {"9007199254740993", 0x4340000000000000},
        {"0.1", 0x3fb999999999999a},
        {"1.445385e+06", 0x41360e0900000000},
        {"123456789012345678", 0x437b69b4ba630f35},
        {"1e22", 0x4480f0cf064dd592},
        {"1e23", 0x44b52d02c7e14af6},
        {"5e-324", 1},
        {"1e-400", 0},
        {"Inf", 0x7ff0000000000000},
        {"-infinity", 0xfff0000000000000},
        {"NaN", SAMPLE_NAN_BITS},
        {"nan", SAMPLE_NAN_BITS},
        {"1e005", 0x40f86a0000000000},
        {"12.5e-1", 0x3ff4000000000000},
    };
    static const char *const bad[] = {"1e400", "0x1p4", "0x10", "1_000", "",     "-",    ".",
                                      "e5",    "1e",    "1e+",  "1.2.3", "+nan", "infi", "1p"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct exposition e;
        struct exposition_entry entry;
        struct exposition_sample s;
        AUTO_BUF body = {0};
        buf_printf(&body, "a %s\n", good[i].text);
        exposition_init(&e, EXPOSITION_TEXT, buf_view(&body));
        assert_int_equal(exposition_next(&e, &entry, NULL), OK);
        assert_int_equal(exposition_value(&e, &s, NULL), OK);
        if (bits_of(s.value) != good[i].bits)
            fail_msg("%s is %016llx", good[i].text, (unsigned long long)bits_of(s.value));
        assert_ptr_equal(e.p, e.end);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        AUTO_BUF body = {0};
        AUTO_BUF out = {0};
        buf_printf(&body, "a %s\n", bad[i]);
        read_body(&out, EXPOSITION_TEXT, buf_view(&body));
        assert_true(str_starts(buf_view(&out), STR("error: ")));
    }
}

static void openmetrics_structure(void **state)
{
    (void)state;
    OM("# EOF", "end");
    OM("a 1\n# EOF\n", A1 "end");
    OM("a{b=\"c\"} 1\n# EOF\n", AB1 "end");
    OM("a 1\n", A1 "error: data does not end with # EOF");
    OM("a 1", "error: data does not end with # EOF");
    OM("# EOF\n\n", "error: unexpected data after # EOF");
    OM("\n# EOF\n", "error: expected a valid start token, got \"\\n\" (\"INVALID\") while parsing: \"\\n\"");
    OM("# x\n# EOF\n", "error: expected a valid start token, got \"# x\" (\"INVALID\") while parsing: \"# x\"");
    OM("a{b=\"c\", d=\"e\"} 1\n# EOF\n",
       "error: expected label name, got \" \" (\"INVALID\") while parsing: \"a{b=\\\"c\\\", \"");
    OM("a{b=\"c\"d=\"e\"} 1\n# EOF\n",
       "error: expected comma or brace close, got \"d=\" (\"LNAME\") while parsing: \"a{b=\\\"c\\\"d=\"");
    OM("# TYPE a info\n# EOF\n", "[info] end");
    OM("# TYPE a untyped\n# EOF\n", "error: invalid metric type \"untyped\"");
    OM("# UNIT a_seconds seconds\n# EOF\n", "[] end");
    OM("# UNIT a seconds\n# EOF\n", "error: unit \"seconds\" not a suffix of metric \"a\"");
    OM("a_created 1\n# EOF\n", "{__name__=\"a_created\"} 1; end");
}

static void openmetrics_times_and_exemplars(void **state)
{
    (void)state;
    OM("a 1 1.5\n# EOF\n", "{__name__=\"a\"} 1@1500; end");
    OM("a 1 -1.5\n# EOF\n", "{__name__=\"a\"} 1@-1500; end");
    OM("a 1 1e300\n# EOF\n", "{__name__=\"a\"} 1@-9223372036854775808; end");
    OM("a 1 NaN\n# EOF\n", "error: invalid timestamp NaN");
    OM("a 1 # {b=\"c\"} 2 3.5\n# EOF\n", "{__name__=\"a\"} 1#{b=\"c\"} 2 3.5; end");
    OM("a 1 7 # {} 2\n# EOF\n", "{__name__=\"a\"} 1@7000#{} 2; end");
    OM("a 1 # {\"b\"} 2\n# EOF\n",
       "error: expected label name, got \"} \" (\"BCLOSE\") while parsing: \"a 1 # {\\\"b\\\"} \"");
    OM("a 1  2\n# EOF\n",
       "error: expected a valid start token, got \" 2\\n\" (\"TIMESTAMP\") while parsing: \" 2\\n\"");
}

static void exemplars_are_taken_apart(void **state)
{
    (void)state;
    struct arena a = {0};
    struct exposition_exemplar x;
    assert_int_equal(exposition_exemplar(STR("{z=\"1\",trace_id=\"a\\nb\"} 0.5 12.25"), &a, &x), OK);
    assert_int_equal(x.labels.n, 2);
    assert_str_c(x.labels.v[0].name, "trace_id");
    assert_str_c(x.labels.v[0].value, "a\\nb");
    assert_true(x.value == 0.5 && x.has_ts && x.ts_ms == 12250);
    assert_int_equal(exposition_exemplar(STR("{z=\"1\"}"), &a, &x), ERR_SYNTAX);
    assert_int_equal(exposition_exemplar(STR(""), &a, &x), ERR_SYNTAX);
    arena_release(&a);
}

static void type_in_force_shapes_le_and_quantile(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *histogram, *summary;
        bool typed;
    } cases[] = {
        {"a{le=\"1\"} ", "1.0", "1", true},
        {"a{le=\"1.0\"} ", "1.0", "1.0", false},
        {"a{le=\"+Inf\"} ", "+Inf", "+Inf", false},
        {"a{le=\"inf\"} ", "+Inf", "inf", true},
        {"a{le=\"1e3\"} ", "1000.0", "1e3", true},
        {"a{le=\"1e06\"} ", "1e+06", "1e06", true},
        {"a{le=\"x\"} ", "x", "x", false},
        {"a{quantile=\"0.50\"} ", "0.50", "0.5", true},
        {"a{le=\"0x1p-2\"} ", "0.25", "0x1p-2", true},
        {"a{le=\"1_0\"} ", "10.0", "1_0", true},
        {"a{le=\"1e400\"} ", "1e400", "1e400", false},
        {"a{le=\"-0\"} ", "0.0", "-0", true},
        {"a{b=\"1\"} ", "1", "1", false},
    };
    struct arena a = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct labels l;
        bool typed;
        struct str raw = str_c(cases[i].raw);
        assert_int_equal(exposition_labels(raw, EXPOSITION_TEXT, TYPE_HISTOGRAM, &a, &l, &typed, NULL), OK);
        assert_str_c(l.v[1].value, cases[i].histogram);
        assert_int_equal(typed, cases[i].typed);
        assert_int_equal(exposition_labels(raw, EXPOSITION_OPENMETRICS, TYPE_SUMMARY, &a, &l, &typed, NULL), OK);
        assert_str_c(l.v[1].value, cases[i].summary);
        assert_int_equal(typed, cases[i].typed);
    }
    arena_release(&a);
}

static void errors_tell_the_line(void **state)
{
    (void)state;
    struct exposition e;
    struct exposition_entry entry;
    struct exposition_sample s;
    struct diag d = {0};
    exposition_init(&e, EXPOSITION_TEXT, STR("# TYPE a gauge\n\na 1\nb x\n"));
    assert_int_equal(exposition_next(&e, &entry, &d), OK);
    assert_int_equal(exposition_next(&e, &entry, &d), OK);
    assert_int_equal(exposition_value(&e, &s, &d), OK);
    assert_int_equal(exposition_next(&e, &entry, &d), OK);
    assert_int_equal(exposition_value(&e, &s, &d), ERR_SYNTAX);
    assert_int_equal(d.line, 4);
}

static void families_of_a_block(void **state)
{
    (void)state;
    struct arena a = {0};
    struct family *f;
    uint32_t n;
    exposition_families(STR("# HELP a x\\\\y\\n\\\"\n# TYPE a histogram\n#c\n# TYPE \"b.c\" counter\n# HELP a again\n"),
                        EXPOSITION_TEXT, &a, &f, &n);
    assert_int_equal(n, 3);
    assert_str_c(f[0].name, "a");
    assert_str_c(f[0].help, "x\\y\n\\\"");
    assert_int_equal(f[0].type, TYPE_HISTOGRAM);
    assert_str_c(f[1].name, "b.c");
    assert_int_equal(f[1].type, TYPE_COUNTER);
    assert_str_c(f[2].help, "again");
    exposition_families(STR("# UNIT a_s s\n# HELP a_s \\\"\n"), EXPOSITION_OPENMETRICS, &a, &f, &n);
    assert_int_equal(n, 1);
    assert_str_c(f[0].unit, "s");
    assert_str_c(f[0].help, "\"");
    arena_release(&a);
}

static bool predicts(enum exposition_kind kind, struct str body, struct str raw)
{
    struct exposition e;
    exposition_init(&e, kind, body);
    return exposition_predict_series(&e, raw);
}

static void predictions_are_only_made_where_they_hold(void **state)
{
    (void)state;
    assert_true(predicts(EXPOSITION_TEXT, STR("a 1\n"), STR("a ")));
    assert_true(predicts(EXPOSITION_TEXT, STR("a{b=\"c\"}1\n"), STR("a{b=\"c\"}")));
    assert_false(predicts(EXPOSITION_TEXT, STR("a5 1\n"), STR("a"))); /* from a+1: would be a with the value 5 */
    assert_false(predicts(EXPOSITION_TEXT, STR("a "), STR("a ")));
    assert_false(predicts(EXPOSITION_TEXT, STR("a 1\n"), STR("b ")));
    assert_false(predicts(EXPOSITION_TEXT, STR(""), STR("")));

    /* what follows a predicted name need not be a value: back, and parse */
    struct exposition e;
    struct exposition_sample s;
    struct exposition_entry entry;
    exposition_init(&e, EXPOSITION_TEXT, STR("a {b=\"c\"} 2\n"));
    assert_true(exposition_predict_series(&e, STR("a ")));
    assert_int_equal(exposition_value(&e, &s, NULL), ERR_SYNTAX);
    exposition_back(&e);
    assert_int_equal(exposition_next(&e, &entry, NULL), OK);
    assert_str_c(entry.raw, "a {b=\"c\"} ");
    assert_int_equal(exposition_value(&e, &s, NULL), OK);
    assert_true(s.value == 2);

    exposition_init(&e, EXPOSITION_TEXT, STR("# TYPE a gauge\n# x"));
    assert_false(exposition_predict_comments(&e, STR("# TYPE a gauge"), TYPE_GAUGE)); /* ended without a newline */
    assert_true(exposition_predict_comments(&e, STR("# TYPE a gauge\n"), TYPE_GAUGE));
    assert_int_equal(e.type, TYPE_GAUGE);
    assert_int_equal(exposition_next(&e, &entry, NULL), OK);
    assert_int_equal(entry.type, EXPOSITION_TYPE_KEPT);
    /* in OpenMetrics a NUL behind a HELP line is part of its text */
    exposition_init(&e, EXPOSITION_OPENMETRICS, STR("# HELP a b\n\0# EOF"));
    assert_false(exposition_predict_comments(&e, STR("# HELP a b\n"), EXPOSITION_TYPE_KEPT));
}

static struct str random_word(struct unit_random *r, struct arena *a, bool name)
{
    static const char *const bits[] = {"a",  "B",        "_",  "9", ".", " ", "\"", "\\",
                                       "\n", "\xc3\xa9", "le", "{", "}", ",", "=",  "#"};
    AUTO_BUF b = {0};
    if (name)
        buf_char(&b, (char)('a' + unit_random_below(r, 26)));
    for (uint64_t n = unit_random_below(r, 6); n > 0; n--)
        buf_c(&b, bits[unit_random_below(r, name && n % 2 ? 4 : sizeof(bits) / sizeof(bits[0]))]);
    return str_dup(a, buf_view(&b));
}

static void what_is_printed_parses_to_the_same(void **state)
{
    (void)state;
    struct unit_random r = unit_random_new();
    struct arena a = {0};
    for (int i = 0; i < 5000; i++) {
        struct labels_builder b;
        arena_reset(&a);
        labels_builder_init(&b, &a);
        labels_builder_set(&b, LABEL_NAME, random_word(&r, &a, true));
        for (uint64_t n = unit_random_below(&r, 5); n > 0; n--)
            labels_builder_set(&b, random_word(&r, &a, true), random_word(&r, &a, false));
        struct labels want = labels_builder_labels(&b), got;
        double value = sample_from_bits(unit_random_u64(&r));
        AUTO_BUF line = {0};
        prom_print_sample(&line, want, value);
        struct exposition e;
        struct exposition_entry entry;
        struct exposition_sample s;
        bool typed;
        struct diag d = {0};
        exposition_init(&e, EXPOSITION_TEXT, buf_view(&line));
        if (exposition_next(&e, &entry, &d) || exposition_value(&e, &s, &d))
            fail_msg("%s: %s", line.p, d.text);
        assert_int_equal(exposition_labels(entry.raw, EXPOSITION_TEXT, TYPE_UNKNOWN, &a, &got, &typed, NULL), OK);
        assert_true(labels_eq(want, got));
        assert_true(s.value != s.value ? value != value : bits_of(s.value) == bits_of(value));
    }
    arena_release(&a);
}

static void the_fast_way_agrees_with_the_slow_one(void **state)
{
    (void)state;
    struct unit_random r = unit_random_new();
    static const char *const alphabet = "0123456789012345678901234567890123456789..e-+";
    for (int i = 0; i < 200000; i++) {
        char line[64];
        size_t n = 0;
        for (uint64_t more = 1 + unit_random_below(&r, 22); more > 0; more--)
            line[n++] = alphabet[unit_random_below(&r, strlen(alphabet))];
        line[n++] = '\n';
        line[n] = '\0';
        struct exposition fast, slow;
        struct exposition_sample x = {0}, y = {0};
        exposition_init(&fast, EXPOSITION_TEXT, str_from(line, n));
        slow = fast;
        enum err err = exposition_value(&fast, &x, NULL);
        assert_int_equal(err, exposition_value_slow(&slow, &y, NULL));
        if (err)
            continue;
        if (bits_of(x.value) != bits_of(y.value) || fast.p != slow.p)
            fail_msg("%s: %a and %a", line, x.value, y.value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_white_space),
        cmocka_unit_test(text_labels),
        cmocka_unit_test(text_times),
        cmocka_unit_test(text_comments),
        cmocka_unit_test(text_values),
        cmocka_unit_test(openmetrics_structure),
        cmocka_unit_test(openmetrics_times_and_exemplars),
        cmocka_unit_test(exemplars_are_taken_apart),
        cmocka_unit_test(type_in_force_shapes_le_and_quantile),
        cmocka_unit_test(errors_tell_the_line),
        cmocka_unit_test(families_of_a_block),
        cmocka_unit_test(predictions_are_only_made_where_they_hold),
        cmocka_unit_test(what_is_printed_parses_to_the_same),
        cmocka_unit_test(the_fast_way_agrees_with_the_slow_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
