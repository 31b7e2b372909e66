/* Durations and sizes, with the originals' values and words. */
#include "unit.h"

#include "table.h"

#include "base/num.h"
#include "base/units.h"

static void prometheus_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
        const char *printed;
    } good[] = {
        {"0", 0, "0s"},
        {"0s", 0, "0s"},
        {"15s", 15000, "15s"},
        {"1h30m", 5400000, "1h30m"},
        {"500ms", 500, "500ms"},
        {"1m30s", 90000, "1m30s"},
        {"1y2w3d", 33004800000, "382d"},
        {"1y", 31536000000, "1y"},
        {"2w", 1209600000, "2w"},
        {"90d", 7776000000, "90d"},
        {"324ms", 324, "324ms"},
        {"3s324ms", 3324, "3s324ms"},
        {"100m", 6000000, "1h40m"},
        {"292y", 9208512000000, "292y"},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t ms = -1;
        AUTO_BUF b = {0};
        assert_int_equal(units_parse_duration(str_c(good[i].text), &ms, NULL), OK);
        assert_int_equal(ms, good[i].ms);
        units_print_duration(&b, ms);
        assert_string_equal(b.p, good[i].printed);
    }
    static const char *const bad[][2] = {
        {"", "empty duration string"},
        {"1", "not a valid duration string: \"1\""},
        {"1m1d", "not a valid duration string: \"1m1d\""},
        {"1s1s", "not a valid duration string: \"1s1s\""},
        {"-1w", "not a valid duration string: \"-1w\""},
        {"1.5d", "unknown unit \".\" in duration \"1.5d\""},
        {"1d2", "not a valid duration string: \"1d2\""},
        {"1x", "unknown unit \"x\" in duration \"1x\""},
        {"294y", "duration out of range"},
        {"292y200d", "duration out of range"},
        {"1s\"", "unknown unit \"s\\\"\" in duration \"1s\\\"\""},
        {"99999999999999999999s", "not a valid duration string: \"99999999999999999999s\""},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t ms;
        struct diag d = {0};
        assert_int_equal(units_parse_duration(str_c(bad[i][0]), &ms, &d), ERR_SYNTAX);
        assert_string_equal(d.text, bad[i][1]);
    }
    AUTO_BUF b = {0};
    units_print_duration(&b, -90000);
    assert_string_equal(b.p, "-1m30s");
}

static void sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
        const char *printed;
    } good[] = {
        {"0", 0, "0B"},
        {"0B", 0, "0B"},
        {"15MB", 15 << 20, "15MiB"},
        {"1KiB", 1024, "1KiB"},
        {"1KB", 1024, "1KiB"},
        {"1.5KiB", 1536, "1KiB512B"},
        {"2GiB1MiB", 2148532224, "2GiB1MiB"},
        {".5KB", 512, "512B"},
        {"5.B", 5, "5B"},
        {"+1KB", 1024, "1KiB"},
        {"1EB", 1ULL << 60, "1EiB"},
        {"7EiB", 7ULL << 60, "7EiB"},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint64_t bytes = 1;
        AUTO_BUF b = {0};
        assert_int_equal(units_parse_size(str_c(good[i].text), &bytes, NULL), OK);
        assert_int_equal(bytes, good[i].bytes);
        units_print_size(&b, bytes);
        assert_string_equal(b.p, good[i].printed);
    }
    static const char *const bad[][2] = {
        {"", "units: invalid "},
        {"15", "units: unknown unit  in 15"},
        {"1kB", "units: unknown unit kB in 1kB"},
        {"1KiB1MB", "units: unknown unit KiB in 1KiB1MB"},
        {"MB", "units: invalid MB"},
        {"-1MB", "units: invalid -1MB"},
        {".B", "units: invalid .B"},
        {"8EiB", "units: overflow parsing unit"},
        {"8EB", "units: overflow parsing unit"},
        {"99999999999999999999B", "units: invalid 99999999999999999999B"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t bytes;
        struct diag d = {0};
        assert_int_equal(units_parse_size(str_c(bad[i][0]), &bytes, &d), ERR_SYNTAX);
        assert_string_equal(d.text, bad[i][1]);
    }
}

static void go_durations(void **state)
{
    (void)state;
    struct table t = table_open("durations.txt");
    struct str f[3];
    int n = 0;
    for (; table_next(&t, '\t', f, 3) == 3; n++) {
        int64_t ns = -1, want = 0;
        struct diag d = {0};
        enum err e = units_parse_go_duration(f[0], &ns, &d);
        if (str_eq_c(f[1], "ok")) {
            assert_int_equal(num_parse_i64(f[2], &want), OK);
            if (e || ns != want)
                fail_msg("%.*s: %s %lld", STR_ARGS(f[0]), d.text, (long long)ns);
        } else {
            assert_int_equal(e, ERR_SYNTAX);
            assert_str(str_c(d.text), f[2]);
        }
    }
    assert_true(n > 25);
    buf_release(&t.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prometheus_durations),
        cmocka_unit_test(sizes),
        cmocka_unit_test(go_durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
