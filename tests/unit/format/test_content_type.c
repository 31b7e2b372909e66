/* Content-Type: which parser, and in which words it is refused. */
#include "unit.h"

#include "format/exposition.h"

static void expect(const char *header, const char *fallback, enum err want, enum exposition_kind kind, const char *text)
{
    struct diag d = {0};
    enum exposition_kind got;
    assert_int_equal(exposition_kind_of_content_type(str_c(header), str_c(fallback), &got, &d), want);
    if (want == OK)
        assert_int_equal(got, kind);
    if (strcmp(d.text, text) != 0)
        fail_msg("%s: \"%s\", not \"%s\"", header, d.text, text);
}

static void media_types_choose(void **state)
{
    (void)state;
    static const char *const text[] = {
        "text/plain", "text/plain; version=0.0.4", "Text/Plain;charset=\"utf-8\" ; version=1.0.0;",
        "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8", "text/plain;a=b;A=b"};
    static const char *const om[] = {"application/openmetrics-text",
                                     "application/openmetrics-text; version=1.0.0; charset=utf-8"};
    for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
        expect(text[i], "", OK, EXPOSITION_TEXT, "");
    for (size_t i = 0; i < sizeof(om) / sizeof(om[0]); i++)
        expect(om[i], "", OK, EXPOSITION_OPENMETRICS, "");
}

static void without_fallback_the_scrape_fails(void **state)
{
    (void)state;
    expect(
        "", "", ERR_UNSUPPORTED, 0,
        "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target");
    expect("text/html", "", ERR_UNSUPPORTED, 0,
           "received unsupported Content-Type \"text/html\" and no fallback_scrape_protocol specified for target");
    expect("text/plain; version", "", ERR_UNSUPPORTED, 0,
           "cannot parse Content-Type \"text/plain; version\" and no fallback_scrape_protocol for target\n"
           "mime: invalid media parameter");
    expect("text/plain;a=b;a=c", "", ERR_UNSUPPORTED, 0,
           "cannot parse Content-Type \"text/plain;a=b;a=c\" and no fallback_scrape_protocol for target\n"
           "mime: duplicate parameter name");
    expect("text//", "", ERR_UNSUPPORTED, 0,
           "cannot parse Content-Type \"text//\" and no fallback_scrape_protocol for target\n"
           "mime: expected token after slash");
}

static void a_fallback_is_used_and_said(void **state)
{
    (void)state;
    expect("", "text/plain", OK, EXPOSITION_TEXT,
           "non-compliant scrape target sending blank Content-Type, using fallback_scrape_protocol \"text/plain\"");
    expect("text/html", "application/openmetrics-text", OK, EXPOSITION_OPENMETRICS,
           "received unsupported Content-Type \"text/html\", using fallback_scrape_protocol "
           "\"application/openmetrics-text\"");
    expect("application/openmetrics-text; version=2.0.0", "text/plain", OK, EXPOSITION_TEXT,
           "received OpenMetrics 2.0 Content-Type \"application/openmetrics-text; version=2.0.0\", but the "
           "openmetrics2 feature "
           "flag is not enabled, using fallback_scrape_protocol \"text/plain\"");
}

static void protobuf_is_a_kind_of_its_own(void **state)
{
    (void)state;
    expect("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited", "text/plain",
           OK, EXPOSITION_PROTO, "");
    expect("", "application/vnd.google.protobuf", OK, EXPOSITION_PROTO,
           "non-compliant scrape target sending blank Content-Type, using fallback_scrape_protocol "
           "\"application/vnd.google.protobuf\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(media_types_choose),
        cmocka_unit_test(without_fallback_the_scrape_fails),
        cmocka_unit_test(a_fallback_is_used_and_said),
        cmocka_unit_test(protobuf_is_a_kind_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
