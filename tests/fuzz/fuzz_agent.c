/* Any text as the CloudWatch agent's JSON, and, behind a line of its own, as the list of clusters: it is taken, or
 * refused with errors that have a text; a discovery that comes out is complete.
 */
#include "base/err.h"
#include "base/regex.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_matches(const struct plan_ecs_match *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        CHECK(v[i].pattern != NULL);
        regex_match(v[i].pattern, STR("arn:aws:ecs:eu-west-1:123456789012:task-definition/web:7"));
        for (uint32_t k = 0; k < v[i].ports.n; k++)
            CHECK(v[i].ports.v[k] > 0);
    }
}

static void check_discovery(const struct plan_ecs_agent_sd *sd)
{
    CHECK(sd->frequency_ms > 0 && sd->result_file.n > 0);
    CHECK(sd->n_clusters > 0);
    for (uint32_t i = 0; i < sd->n_clusters; i++)
        CHECK(sd->clusters[i].name.n > 0 && sd->clusters[i].aws.region.n > 0);
    CHECK(sd->by_docker_label || sd->n_definitions > 0 || sd->n_services > 0);
    check_matches(sd->definitions, sd->n_definitions);
    check_matches(sd->services, sd->n_services);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct config_errors errors = {.arena = &arena};
    struct config_agent_options o = {.cluster = STR("own"), .region = STR("eu-west-1")};
    struct config_agent_source source = {"fuzz.json", STR_NONE};
    struct plan *plan = NULL;
    struct diag d = {0};
    struct str list;
    bool debug;

    if (str_cut(str_from((const char *)data, size), '\n', &source.text, &list))
        o.ours.ecs_clusters = str_dup(&arena, list);
    enum err err = config_parse_agent(&source, 1, &o, &plan, &debug, &errors, &d);
    CHECK((err == OK) == (errors.n == 0));
    CHECK(err == OK || d.text[0]);
    if (err == OK && plan->ecs_agent)
        check_discovery(plan->ecs_agent);
    if (err == OK)
        plan_unref(plan);
    arena_release(&arena);
    return 0;
}
