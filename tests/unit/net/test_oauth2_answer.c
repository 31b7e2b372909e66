/* What token servers say, and what becomes of it. */
#include "unit.h"

#include "net/oauth2_answer.h"

static void assert_granted(const char *kind, const char *body, const char *authorization, uint64_t life_ms)
{
    struct oauth2_token g = {0};
    struct diag d;
    diag_reset(&d);
    if (oauth2_answer_parse(200, str_c(kind), str_c(body), true, &g, &d) != OK)
        fail_msg("%s: %s", body, d.text);
    assert_str(buf_view(&g.authorization), str_c(authorization));
    assert_int_equal(g.life_ms, life_ms);
    oauth2_token_release(&g);
}

static void assert_refused(int status, const char *kind, const char *body, const char *words)
{
    struct oauth2_token g = {0};
    struct diag d;
    diag_reset(&d);
    assert_int_not_equal(oauth2_answer_parse(status, str_c(kind), str_c(body), true, &g, &d), OK);
    assert_string_equal(d.text, words);
    oauth2_token_release(&g);
}

static void json_grants(void **state)
{
    (void)state;
    assert_granted("application/json", "{\"access_token\":\"a\",\"token_type\":\"BEARER\",\"expires_in\":60}",
                   "Bearer a", 60000);
    assert_granted("application/json", "{\"access_token\":\"a\",\"expires_in\":\"1.5\"}", "Bearer a", 1500);
    assert_granted("", "{\"access_token\":\"a\",\"token_type\":\"DPoP\",\"scope\":[1]}", "DPoP a", 0);
    assert_granted("", "{\"access_token\":\"a\",\"expires_in\":-5}", "Bearer a", 0);
    assert_granted("", "{\"access_token\":\"a\",\"expires_in\":1e300}", "Bearer a", 0);
    assert_granted("", "{\"access_token\":\"a\",\"expires_in\":\"soon\"}", "Bearer a", 0);
}

static void a_form_grants_too(void **state)
{
    (void)state;
    assert_granted("text/plain; charset=utf-8", "token_type=basic&access_token=a%2Bb+c&expires_in=9&x", "Basic a+b c",
                   9000);
    struct oauth2_token g = {0};
    struct diag d;
    diag_reset(&d);
    assert_int_equal(oauth2_answer_parse(200, STR("text/plain"), STR("access_token=a"), false, &g, &d), ERR_AUTH);
    oauth2_token_release(&g);
}

static void refusals_have_words(void **state)
{
    (void)state;
    assert_refused(401, "application/json", "{\"error\":\"invalid_client\",\"error_description\":\"who \\n\"}",
                   "oauth2: \"invalid_client\" \"who \\n\"");
    assert_refused(200, "", "{\"error\":\"slow_down\"}", "oauth2: \"slow_down\"");
    assert_refused(503, "text/html", "<html>\r\nbusy",
                   "oauth2: cannot fetch token: status 503, response: \"<html>\\r\\nbusy\"");
    assert_refused(200, "", "{}", "oauth2: server response missing access_token");
    assert_refused(200, "", "{\"access_token\":5.5.}",
                   "oauth2: cannot parse json: the token server's answer is no object");
    assert_refused(200, "", "[\"sesame\"]", "oauth2: cannot parse json: the token server's answer is no object");
    assert_refused(200, "", "", "oauth2: cannot parse json: the token server's answer is no object");
    assert_refused(200, "text/plain", "nothing", "oauth2: server response missing access_token");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_grants),
        cmocka_unit_test(a_form_grants_too),
        cmocka_unit_test(refusals_have_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
