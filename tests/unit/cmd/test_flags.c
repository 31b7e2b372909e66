/* Command lines as the original's take them, and its words for those it does not take. */
#include "unit.h"

#include "base/mem.h"
#include "cmd/flags.h"
#include "cmd/prometheus_flags.h"

static const struct flag_spec specs[] = {
    {"help", FLAG_BOOL, FLAG_USED, "false", NULL, "Show this help.", 'h', false},
    {"loud", FLAG_BOOL, FLAG_USED, "true", NULL, "A boolean.", 0, false},
    {"file", FLAG_TEXT, FLAG_USED, "x.yml", NULL, "A text.", 0, false},
    {"bare", FLAG_TEXT, FLAG_USED, NULL, NULL, "A text without default.", 0, false},
    {"address", FLAG_LIST, FLAG_USED, "0.0.0.0:1", NULL, "A list.", 0, false},
    {"wait", FLAG_DURATION, FLAG_USED, "1m", NULL, "A duration.", 0, false},
    {"size", FLAG_SIZE, FLAG_USED, "4KB", NULL, "A size.", 0, false},
    {"count", FLAG_NUMBER, FLAG_USED, "7", NULL, "A number.", 0, false},
    {"form", FLAG_CHOICE, FLAG_USED, "a", "a|bc|d", "A choice.", 0, false},
    {"log.level", FLAG_CHOICE, FLAG_USED, "info", "debug|info", "Another.", 0, true},
};

enum { MAX_WORDS = 8 };

struct line {
    struct flags f;
    char *argv[MAX_WORDS];
    int argc;
};

/* The command line in one string, words by spaces. */
static struct line split(char *text, uint32_t max_rest)
{
    struct line l = {.argc = 0};

    for (char *word = strtok_r(text, " ", &text); word; word = strtok_r(NULL, " ", &text)) {
        assert_true(l.argc < MAX_WORDS);
        l.argv[l.argc++] = word;
    }
    flags_init(&l.f, "prog", "Does things.", specs, COUNT_OF(specs), max_rest);
    return l;
}

static struct flags take(const char *text, uint32_t max_rest)
{
    char *copy = strdup(text);
    struct line l = split(copy, max_rest);
    struct diag d = {0};

    if (flags_parse(&l.f, l.argc, l.argv, &d))
        fail_msg("%s: %s", text, d.text);
    free(copy); /* nothing may borrow from the command line */
    return l.f;
}

static void refuse(const char *text, const char *words, bool bad_value)
{
    char *copy = strdup(text);
    struct line l = split(copy, 1);
    struct diag d = {0};

    if (flags_parse(&l.f, l.argc, l.argv, &d) == OK)
        fail_msg("taken: %s", text);
    assert_string_equal(d.text, words);
    assert_true(l.f.bad_value == bad_value);
    flags_release(&l.f);
    free(copy);
}

static void test_defaults(void **state)
{
    struct flags f = take("", 0);
    const struct str *list;

    (void)state;
    assert_false(flags_bool(&f, "help"));
    assert_true(flags_bool(&f, "loud"));
    assert_str_c(flags_text(&f, "file"), "x.yml");
    assert_str_c(flags_text(&f, "bare"), "");
    assert_int_equal(flags_list(&f, "address", &list), 1);
    assert_str_c(list[0], "0.0.0.0:1");
    assert_int_equal(flags_duration_ms(&f, "wait"), 60000);
    assert_int_equal(flags_size(&f, "size"), 4096);
    assert_int_equal(flags_number(&f, "count"), 7);
    assert_str_c(flags_text(&f, "form"), "a");
    assert_false(flags_given(&f, "file"));
    flags_release(&f);
}

static void test_every_kind(void **state)
{
    struct flags f = take("--no-loud --file=a=b --bare= --wait 90s --size=1MB --count=-3 --form=bc", 0);

    (void)state;
    assert_false(flags_bool(&f, "loud"));
    assert_str_c(flags_text(&f, "file"), "a=b");
    assert_true(flags_given(&f, "bare"));
    assert_str_c(flags_text(&f, "bare"), "");
    assert_int_equal(flags_duration_ms(&f, "wait"), 90000);
    assert_int_equal(flags_size(&f, "size"), 1 << 20);
    assert_int_equal(flags_number(&f, "count"), -3);
    assert_str_c(flags_text(&f, "form"), "bc");
    flags_release(&f);
}

static void test_booleans(void **state)
{
    static const struct {
        const char *line;
        bool loud;
    } cases[] = {{"--loud", true},
                 {"--no-loud", false},
                 {"--loud=false", false},
                 {"--no-loud --loud", true},
                 {"--loud --no-loud", false}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct flags f = take(cases[i].line, 0);
        assert_true(flags_bool(&f, "loud") == cases[i].loud);
        flags_release(&f);
    }
    struct flags f = take("-h", 0);
    assert_true(flags_bool(&f, "help"));
    flags_release(&f);
}

static void test_lists_replace_the_default(void **state)
{
    struct flags f = take("--address=a:1 --address b:2", 0);
    const struct str *list;

    (void)state;
    assert_int_equal(flags_list(&f, "address", &list), 2);
    assert_str_c(list[0], "a:1");
    assert_str_c(list[1], "b:2");
    flags_release(&f);
}

/* As the original's API shows them. */
static void test_shown(void **state)
{
    struct flags f = take("--address=a:1 --address b:2 --wait=3m", 0);
    struct arena a = {0};

    (void)state;
    assert_str_c(flags_shown(&f, "address", &a), "a:1,b:2");
    assert_str_c(flags_shown(&f, "wait", &a), "3m");
    assert_str_c(flags_shown(&f, "bare", &a), "");
    assert_str_c(flags_shown(&f, "loud", &a), "true");
    assert_int_equal(f.n_given, 2);
    assert_int_equal(f.values[4].order, 1);
    assert_int_equal(f.values[5].order, 2);
    flags_release(&f);
    arena_release(&a);
}

static void test_words_without_a_flag(void **state)
{
    struct flags f = take("one --loud - -- --file", 3);

    (void)state;
    assert_int_equal(f.n_rest, 3);
    assert_str_c(f.rest[0], "one");
    assert_str_c(f.rest[1], "-");
    assert_str_c(f.rest[2], "--file");
    flags_release(&f);
    refuse("one two", "unexpected two", false);
}

static void test_what_is_no_flag(void **state)
{
    (void)state;
    refuse("--nothing", "unknown long flag '--nothing'", false);
    refuse("--nothing=5", "unknown long flag '--nothing'", false);
    refuse("--no-file", "unknown long flag '--no-file'", false);
    refuse("--fil=x", "unknown long flag '--fil'", false); /* no abbreviations */
    refuse("-x", "unknown short flag '-x'", false);
    refuse("-hx", "unknown short flag '-hx'", false);
    refuse("--file", "expected argument for flag '--file'", false);
    refuse("--file --loud", "expected argument for flag '--file'", false);
    refuse("--loud=maybe", "unexpected maybe", false);
}

static void test_values_that_are_none(void **state)
{
    (void)state;
    refuse("--wait=5", "not a valid duration string: \"5\"", true);
    refuse("--wait=1m1h", "not a valid duration string: \"1m1h\"", true);
    refuse("--size=5", "units: unknown unit  in 5", true);
    refuse("--count=five", "--count: expected a whole number, got \"five\"", true);
    refuse("--form=b", "enum value must be one of a,bc,d, got 'b'", true);
    refuse("--form=", "enum value must be one of a,bc,d, got ''", true);
    refuse("--log.level=loud", "unrecognized log level loud", true);
    refuse("--file=a --file=b", "flag 'file' cannot be repeated", true);
}

static void test_help(void **state)
{
    struct flags f = take("", 0);
    AUTO_BUF out = {0};

    (void)state;
    flags_print_help(&f, &out);
    assert_string_equal(out.p, "usage: prog [<flags>]\n"
                               "\n"
                               "Does things.\n"
                               "\n"
                               "\n"
                               "Flags:\n"
                               "  -h, --[no-]help                Show this help.\n"
                               "      --[no-]loud                A boolean.\n"
                               "      --file=\"x.yml\"             A text.\n"
                               "      --bare=BARE                A text without default.\n"
                               "      --address=0.0.0.0:1 ...    A list.\n"
                               "      --wait=1m                  A duration.\n"
                               "      --size=4KB                 A size.\n"
                               "      --count=7                  A number.\n"
                               "      --form=a                   A choice. One of: [a, bc, d]\n");
    flags_release(&f);
}

/* As the original's: descriptions are wrapped at 80 columns; only a flag's own name and default may be longer. */
static void test_prometheus_help_fits_a_terminal(void **state)
{
    struct flags f;
    AUTO_BUF out = {0};
    struct str line, more;

    (void)state;
    flags_init(&f, "prometheus", "x", prometheus_flag_specs, prometheus_n_flag_specs, 0);
    flags_print_help(&f, &out);
    more = buf_view(&out);
    while (more.n) {
        str_cut(more, '\n', &line, &more);
        if (line.n > 80 && !str_contains(line, STR(" --")))
            fail_msg("%.*s", STR_ARGS(line));
    }
    assert_non_null(strstr(out.p, "\nleadline's own:\n"));
    assert_null(strstr(out.p, "storage.tsdb.samples-per-chunk")); /* hidden there, hidden here */
    flags_release(&f);
}

/* A default that its own flag would refuse stops the program when it is first read: find it here. */
static void test_prometheus_defaults_are_good(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < prometheus_n_flag_specs; i++) {
        const struct flag_spec *s = &prometheus_flag_specs[i];
        struct flags f;
        struct diag d = {0};
        AUTO_BUF word = {0};
        assert_non_null(s->help);
        assert_true(s->kind != FLAG_BOOL || s->initial);
        assert_true(s->use != FLAG_REFUSED || s->initial);
        assert_true(s->kind != FLAG_CHOICE || s->choices);
        for (uint32_t k = 0; k < i; k++)
            assert_string_not_equal(prometheus_flag_specs[k].name, s->name);
        if (!s->initial)
            continue;
        buf_printf(&word, "--%s=%s", s->name, s->initial);
        flags_init(&f, "prometheus", "x", prometheus_flag_specs, prometheus_n_flag_specs, 0);
        if (flags_parse(&f, 1, (char *[]){word.p}, &d))
            fail_msg("%s: %s", word.p, d.text);
        flags_release(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_booleans),
        cmocka_unit_test(test_lists_replace_the_default),
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_words_without_a_flag),
        cmocka_unit_test(test_what_is_no_flag),
        cmocka_unit_test(test_values_that_are_none),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_prometheus_help_fits_a_terminal),
        cmocka_unit_test(test_prometheus_defaults_are_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
