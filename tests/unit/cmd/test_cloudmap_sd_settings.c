/* The environment of the sidecar: the original's variables and defaults, and errors where the original went on or fell
 * over. */
#include "unit.h"

#include "cmd/cloudmap_sd_settings.h"

static const char *variables[8][2];

static const char *get(const char *name)
{
    for (size_t i = 0; variables[i][0]; i++)
        if (strcmp(variables[i][0], name) == 0)
            return variables[i][1];
    return NULL;
}

static enum err read_with(struct arena *a, const char *name, const char *value, struct cloudmap_sd_settings *out,
                          struct diag *d)
{
    memset(variables, 0, sizeof(variables));
    variables[0][0] = name;
    variables[0][1] = value;
    return cloudmap_sd_settings_read(get, a, out, d);
}

static void test_defaults(void **state)
{
    (void)state;
    struct arena a = {0};
    struct cloudmap_sd_settings s;

    assert_int_equal(read_with(&a, NULL, NULL, &s, NULL), OK);
    assert_string_equal(s.region.p, "us-east-1");
    assert_false(s.http);
    assert_string_equal(s.dir.p, "/etc/config");
    assert_int_equal(s.period_ms, 30000);
    assert_string_equal(s.config_parameter.p, "ECS-Prometheus-Configuration");
    assert_string_equal(s.namespaces_parameter.p, "ECS-ServiceDiscovery-Namespaces");
    assert_false(s.otel);
    assert_int_equal(s.odd_mode.n, 0);
    arena_release(&a);
}

static void test_each_variable(void **state)
{
    (void)state;
    struct arena a = {0};
    struct cloudmap_sd_settings s;

    assert_int_equal(read_with(&a, "AWS_REGION", "eu-west-1", &s, NULL), OK);
    assert_string_equal(s.region.p, "eu-west-1");
    assert_int_equal(read_with(&a, "AWS_REGION", "", &s, NULL), OK);
    assert_string_equal(s.region.p, "us-east-1");
    assert_int_equal(read_with(&a, "SERVICE_DISCOVERY_MODE", "HTTP_BASED", &s, NULL), OK);
    assert_true(s.http);
    assert_int_equal(read_with(&a, "CONFIG_FILE_DIR", "/x/y//", &s, NULL), OK);
    assert_string_equal(s.dir.p, "/x/y");
    assert_int_equal(read_with(&a, "CONFIG_FILE_DIR", "/", &s, NULL), OK);
    assert_string_equal(s.dir.p, "/");
    assert_int_equal(read_with(&a, "CONFIG_RELOAD_FREQUENCY", "60", &s, NULL), OK);
    assert_int_equal(s.period_ms, 60000);
    assert_int_equal(read_with(&a, "DEPLOYMENT_MODE", "OTEL", &s, NULL), OK);
    assert_true(s.otel);
    assert_int_equal(read_with(&a, "DEPLOYMENT_MODE", "otel", &s, NULL), OK);
    assert_true(s.otel);
    assert_int_equal(read_with(&a, "DEPLOYMENT_MODE", "Otel", &s, NULL), OK);
    assert_false(s.otel);
    assert_string_equal(s.odd_mode.p, "Otel");
    arena_release(&a);
}

static void is_refused(const char *name, const char *value)
{
    struct arena a = {0};
    struct cloudmap_sd_settings s;
    struct diag d = {0};

    assert_int_equal(read_with(&a, name, value, &s, &d), ERR_SYNTAX);
    assert_non_null(strstr(d.text, name));
    assert_non_null(strstr(d.text, value));
    arena_release(&a);
}

static void test_wrong_values(void **state)
{
    (void)state;
    is_refused("SERVICE_DISCOVERY_MODE", "file_based");
    is_refused("CONFIG_RELOAD_FREQUENCY", "often");
    is_refused("CONFIG_RELOAD_FREQUENCY", "0");
    is_refused("CONFIG_RELOAD_FREQUENCY", "-1");
    is_refused("CONFIG_RELOAD_FREQUENCY", "30s");
    is_refused("CONFIG_RELOAD_FREQUENCY", "99999999999999999999");
}

static void test_names(void **state)
{
    (void)state;
    struct arena a = {0};
    struct str *names;

    assert_int_equal(cloudmap_sd_names(STR(" shop,tools ,, \n"), &a, &names), 2);
    assert_string_equal(names[0].p, "shop");
    assert_string_equal(names[1].p, "tools");
    assert_int_equal(cloudmap_sd_names(STR(""), &a, &names), 0);
    assert_int_equal(cloudmap_sd_names(STR(","), &a, &names), 0);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_each_variable),
        cmocka_unit_test(test_wrong_values),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
