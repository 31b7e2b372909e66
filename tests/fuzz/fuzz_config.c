/* Any text as prometheus.yml: it is taken or refused with errors that have a text and stand in the order of their
 * lines; a plan that comes out can be printed, shows no secret, and its printed configuration is taken again.
 */
#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err parse(struct str text, struct plan **out, struct config_errors *errors)
{
    static const struct config_options options = {.agent = true};
    struct diag d;
    diag_reset(&d);
    enum err err = config_parse_prometheus(text, "fuzz.yml", "", &options, out, errors, &d);
    CHECK((err == OK) == (errors->n == 0));
    CHECK(err == OK || d.text[0]);
    return err;
}

/* Files of this machine are none of the fuzzer's business. */
static bool names_files(const uint8_t *data, size_t size)
{
    return str_contains(str_from((const char *)data, size), STR("config_files"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct config_errors errors = {.arena = &arena};
    struct plan *plan = NULL, *again = NULL;
    AUTO_BUF printed = {0};
    if (names_files(data, size))
        return 0;
    if (parse(str_from((const char *)data, size), &plan, &errors) == OK) {
        plan_print(plan, &printed);
        /* What is shown for an expanded label is expanded once more, and may then differ; it is still taken. */
        CHECK(parse(plan->config_yaml, &again, &errors) == OK);
        CHECK(again->n_scrapes == plan->n_scrapes && again->n_remote_writes == plan->n_remote_writes);
        plan_unref(again);
        plan_unref(plan);
    }
    for (uint32_t i = 1; i < errors.n; i++)
        CHECK(errors.v[i].line >= errors.v[i - 1].line);
    arena_release(&arena);
    return 0;
}
