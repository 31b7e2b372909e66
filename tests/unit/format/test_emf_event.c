/* emf_event: where events go, and what is no event. */
#include "unit.h"

#include "format/emf_event.h"
#include "base/mem.h"

static void routes(const char *text, const char *group, const char *stream)
{
    struct emf_event e = {0};
    struct diag d = {0};

    if (emf_event_read(&e, str_c(text), &d))
        fail_msg("%s: %s", text, d.text);
    if (!str_eq_c(buf_view(&e.group), group) || !str_eq_c(buf_view(&e.stream), stream))
        fail_msg("%s: group %.*s, stream %.*s", text, STR_ARGS(buf_view(&e.group)), STR_ARGS(buf_view(&e.stream)));
    emf_event_release(&e);
}

static void refused(const char *text, enum err want, const char *why)
{
    struct emf_event e = {0};
    struct diag d = {0};

    if (emf_event_read(&e, str_c(text), &d) != want)
        fail_msg("%s: %s", text, d.text);
    if (!str_contains(str_c(d.text), str_c(why)))
        fail_msg("%s: \"%s\", not \"%s\"", text, d.text, why);
    emf_event_release(&e);
}

static void both_versions(void **state)
{
    (void)state;
    routes("{\"_aws\":{\"LogGroupName\":\"g\",\"LogStreamName\":\"s\"}}", "g", "s");
    routes("{\"log_group_name\":\"g\",\"log_stream_name\":\"s\"}", "g", "s");
    routes("{\"log_group_name\":\"old\",\"log_stream_name\":\"so\",\"_aws\":{\"LogGroupName\":\"new\"}}", "new", "so");
    routes("{\"log_group_name\":\"x\",\"msg\":\"hi\"}", "x", "");
    routes("{}", "", "");
    routes(" \t{\"a\" : [ 1 , { } , [ ] ] , \"b\" : null }\r\n", "", "");
}

/* The reference's case: written in any case; the last of equal ones counts; an empty or null name is none. */
static void keys(void **state)
{
    (void)state;
    routes("{\"_AWS\":{\"loggroupname\":\"g\",\"LOGSTREAMNAME\":\"s\"}}", "g", "s");
    routes("{\"Log_Group_Name\":\"g\"}", "g", "");
    routes("{\"log_group_name\":\"a\",\"LOG_GROUP_NAME\":\"b\"}", "b", "");
    routes("{\"_aws\":{\"LogGroupName\":\"\"},\"log_group_name\":\"g\"}", "g", "");
    routes("{\"_aws\":null,\"log_group_name\":\"g\",\"log_stream_name\":null}", "g", "");
    routes("{\"\\u005faws\":{\"Log\\u0047roupName\":\"g\"}}", "g", "");
}

/* Only in their own places. */
static void elsewhere(void **state)
{
    (void)state;
    routes("{\"LogGroupName\":\"g\",\"x\":{\"log_group_name\":\"g\",\"LogGroupName\":\"g\"}}", "", "");
    routes("{\"_aws\":{\"log_group_name\":\"g\",\"x\":{\"LogGroupName\":\"g\"},\"y\":[{\"LogGroupName\":\"g\"}]}}", "",
           "");
    routes("{\"_aws\":{},\"x\":{\"LogGroupName\":\"g\"}}", "", "");
    routes("{\"log_group_nam\":\"g\",\"log_group_names\":\"g\"}", "", "");
}

static void escapes(void **state)
{
    (void)state;
    routes("{\"log_group_name\":\"\\/a\\u002fb\\\"\\\\\\n\"}", "/a/b\"\\\n", "");
    routes("{\"log_group_name\":\"\\u00e9\\ud83d\\ude00\",\"log_stream_name\":\"\\ud83d\\u0041\"}", "é😀",
           "\xef\xbf\xbd"
           "A");
    routes("{\"log_group_name\":\"\\ud83d\"}", "\xef\xbf\xbd", "");
    routes("{\"log_group_name\":\"g\",\"\xff\":\"\xfe\"}", "g", "");
}

static void numbers(void **state)
{
    static const char *const good[] = {"0", "-0", "1", "-12.50", "1e5", "1E+05", "0.1e-7", "123456789012345678901234"};
    static const char *const bad[] = {"01", "-", "+1", ".5", "1.", "1e", "1e+", "0x1", "NaN", "Infinity", "1 2", "tru"};
    char text[64];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        snprintf(text, sizeof(text), "{\"a\":%s}", good[i]);
        routes(text, "", "");
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        snprintf(text, sizeof(text), "{\"a\":%s}", bad[i]);
        refused(text, ERR_SYNTAX, "no JSON at byte");
    }
}

static void no_events(void **state)
{
    (void)state;
    refused("", ERR_SYNTAX, "it is empty");
    refused("  ", ERR_SYNTAX, "it is empty");
    refused("[{}]", ERR_SYNTAX, "it is no JSON object");
    refused("hello", ERR_SYNTAX, "it is no JSON object");
    refused("{\"log_group_name\":\"g\"", ERR_SYNTAX, "it ends at byte 21");
    refused("{\"log_group_name\":\"g", ERR_SYNTAX, "it ends at byte 20");
    refused("{\"a\":1}\n{\"b\":2}", ERR_SYNTAX, "at byte 8: something stands behind its end");
    refused("{\"a\":1,}", ERR_SYNTAX, "at byte 7: a key is expected");
    refused("{\"a\":[1,]}", ERR_SYNTAX, "a value is expected");
    refused("{\"a\":1 \"b\":2}", ERR_SYNTAX, "a comma or the end is expected");
    refused("{\"a\" 1}", ERR_SYNTAX, "a colon is expected");
    refused("{\"a\":[1}", ERR_SYNTAX, "a comma or the end is expected");
    refused("{\"a\":\"\n\"}", ERR_SYNTAX, "a control character");
    refused("{\"a\":\"\\x\"}", ERR_SYNTAX, "a bad escape");
    refused("{\"a\":\"\\u12g4\"}", ERR_SYNTAX, "a bad escape");
    refused("{\"log_group_name\":5}", ERR_SYNTAX, "is no string");
    refused("{\"_aws\":{\"LogStreamName\":[]}}", ERR_SYNTAX, "is no string");
    refused("{\"_aws\":[]}", ERR_SYNTAX, "_aws is no object");
}

static void depth(void **state)
{
    AUTO_BUF text = {0};
    (void)state;
    for (int levels = EMF_EVENT_MAX_DEPTH - 1; levels <= EMF_EVENT_MAX_DEPTH; levels++) {
        buf_clear(&text);
        buf_c(&text, "{\"log_group_name\":\"g\",\"a\":");
        for (int i = 1; i < levels; i++)
            buf_char(&text, '[');
        for (int i = 1; i < levels; i++)
            buf_char(&text, ']');
        buf_char(&text, '}');
        if (levels < EMF_EVENT_MAX_DEPTH)
            routes(text.p, "g", "");
        else
            refused(text.p, ERR_LIMIT, "nested deeper than 999");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_versions), cmocka_unit_test(keys),    cmocka_unit_test(elsewhere),
        cmocka_unit_test(escapes),       cmocka_unit_test(numbers), cmocka_unit_test(no_events),
        cmocka_unit_test(depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
