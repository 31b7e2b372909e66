/* Any bytes as an answer of ECS: each reader takes it or refuses it with words; what is taken has ARNs, is bounded by
 * the answer's size, is UTF-8, and borrows nothing from the text.
 */
#include "discover/ecs_answers.h"
#include "fuzz/answer_body.h"

static void check_tags(struct ecs_tags tags, size_t most)
{
    CHECK(tags.n <= most);
    for (uint32_t i = 0; i < tags.n; i++) {
        AUTO_BUF name = {0};
        check_str(tags.v[i].key);
        check_str(tags.v[i].value);
        ecs_label_name(&name, "__meta_", tags.v[i].key);
        for (size_t k = 0; k < name.n; k++)
            CHECK(name.p[k] == '_' || (name.p[k] >= '0' && name.p[k] <= '9') ||
                  ((name.p[k] | 32) >= 'a' && (name.p[k] | 32) <= 'z'));
    }
}

static void check_task(const struct ecs_task *t, size_t most)
{
    CHECK(t->arn.n > 0 && t->n_containers <= most);
    check_str(t->arn);
    check_str(t->group);
    check_str(t->ipv4);
    check_str(t->ipv6);
    check_str(t->interface_id);
    check_tags(t->tags, most);
    for (uint32_t i = 0; i < t->n_containers; i++) {
        check_str(t->containers[i].name);
        CHECK(t->containers[i].n_bindings <= most);
    }
}

static void check_definition(const struct ecs_definition *v, size_t most)
{
    CHECK(v->arn.n > 0 && v->n_containers <= most);
    for (uint32_t i = 0; i < v->n_containers; i++) {
        CHECK(v->containers[i].n_ports <= most);
        check_tags(v->containers[i].labels, most);
        check_tags(v->containers[i].environment, most);
    }
}

typedef enum err(reader)(struct str body, struct arena *a, struct ecs_described *out, struct diag *d);

static void describe(reader *read, const uint8_t *data, size_t size, bool tasks)
{
    struct arena a = {0};
    struct ecs_described got;
    struct diag d = {0};
    struct str body = body_copy(data, size);
    enum err err = read(body, &a, &got, &d);
    body_spoil(body);
    CHECK(err == OK || d.text[0]);
    CHECK(got.n <= size && got.n_failures <= size && got.skipped <= size);
    for (uint32_t i = 0; tasks && i < got.n; i++)
        check_task(&got.tasks[i], size);
    arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_from((const char *)data, size);
    struct arena a = {0};
    struct ecs_page page;
    struct ecs_definition definition;

    describe(ecs_tasks_parse, data, size, true);
    describe(ecs_clusters_parse, data, size, false);
    describe(ecs_services_parse, data, size, false);
    describe(ecs_instances_parse, data, size, false);
    if (ecs_page_parse(text, "taskArns", &a, &page, NULL) == OK)
        for (uint32_t i = 0; i < page.n; i++)
            check_str(page.arns[i]);
    if (ecs_definition_parse(text, &a, &definition, NULL) == OK)
        check_definition(&definition, size);
    arena_release(&a);
    return 0;
}
