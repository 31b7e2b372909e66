/* Whole files of the CloudWatch agent and the plans that they make: golden/NAME.json and golden/NAME.txt. The first two
 * are what the agent's CloudFormation templates for ECS put into their parameters, for awsvpc and for bridge and host.
 *
 * UPDATE_GOLDEN=1 writes the files of what is expected: look at the difference before they are kept.
 */
#include "unit/config/told.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"

#define GOLDEN "tests/unit/config/golden/"

static void compare(const char *name)
{
    AUTO_BUF text = {0};
    AUTO_BUF want = {0};
    AUTO_BUF got = {0};
    char path[256];

    snprintf(path, sizeof(path), GOLDEN "%s.json", name);
    assert_int_equal(file_read(path, 1 << 20, &text, NULL), OK);
    struct plan *p = good_with(text.p, &in_a_container);
    plan_print(p, &got);
    plan_unref(p);
    snprintf(path, sizeof(path), GOLDEN "%s.txt", name);
    if (getenv("UPDATE_GOLDEN"))
        assert_int_equal(file_replace(path, buf_view(&got), NULL), OK);
    assert_int_equal(file_read(path, 1 << 20, &want, NULL), OK);
    if (!str_eq(buf_view(&got), buf_view(&want)))
        fail_msg("%s: got\n%s", path, got.p);
}

static void every_golden_file(void **state)
{
    static const char *const names[] = {"ecs_awsvpc", "ecs_bridge", "everything", "amp"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        compare(names[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_golden_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
