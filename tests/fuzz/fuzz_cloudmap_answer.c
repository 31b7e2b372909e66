/* Any bytes as an answer of Cloud Map or Systems Manager: each reader takes it or refuses it with words; what is taken
 * has what identifies it, is bounded by the answer's size, is UTF-8, and borrows nothing from the text. Instances and
 * tags that were taken then become targets: each has an address, and the list of them is JSON.
 */
#include "discover/cloudmap.h"
#include "wire/tree.h"
#include "fuzz/answer_body.h"

static void check_tags(struct ecs_tags tags, size_t most)
{
    CHECK(tags.n <= most);
    for (uint32_t i = 0; i < tags.n; i++) {
        CHECK(tags.v[i].key.n > 0);
        check_str(tags.v[i].key);
        check_str(tags.v[i].value);
    }
}

typedef enum err(reader)(struct str body, struct arena *a, struct cloudmap_page *out, struct diag *d);

/* The text is gone before the result is looked at. */
static bool take(reader *read, const uint8_t *data, size_t size, struct arena *a, struct cloudmap_page *page)
{
    struct diag d = {0};
    struct str body = body_copy(data, size);
    enum err err = read(body, a, page, &d);
    body_spoil(body);
    CHECK(err == OK || d.text[0]);
    CHECK(page->n + page->skipped <= size);
    if (!err)
        check_str(page->next_token);
    return !err;
}

static void find_targets(const struct cloudmap_page *page, struct ecs_tags tags)
{
    struct plan_cloudmap_sd config = {.instance_without_port = page->n % 2};
    struct cloudmap_service service = {.id = STR("srv-1"),
                                       .name = STR("web"),
                                       .namespace_name = STR("shop"),
                                       .tags = tags,
                                       .instances = page->instances,
                                       .n_instances = page->n};
    const struct cloudmap_service *services[] = {&service};
    struct cloudmap_client_result r = {.services = services, .n_services = 1};
    struct target_groups *g = target_groups_new();
    struct cloudmap_findings found;
    struct arena a = {0};
    struct node *root = NULL;
    struct buf list = {0};
    uint32_t n = 0;

    cloudmap_find(&config, &r, g, &a, &found);
    for (uint32_t i = 0; i < g->n; i++)
        for (uint32_t k = 0; k < g->groups[i].n_targets; k++, n++)
            CHECK(labels_get(g->groups[i].targets[k], STR("__address__")).n > 0);
    CHECK(n <= 2 * page->n);
    cloudmap_print(g, &list);
    CHECK(tree_parse_json(buf_view(&list), "list", &a, &root, NULL) == OK && root->kind == NODE_SEQUENCE);
    CHECK(root->n == n);
    buf_release(&list);
    target_groups_free(g);
    arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ecs_tag both[] = {
        {STR("METRICS_PATH"), STR("/m")}, {STR("ECS_METRICS_PATH"), STR("/e")}, {STR("ECS_METRICS_PORT"), STR("9779")}};
    struct str text = str_from((const char *)data, size), value = STR("");
    struct arena a = {0};
    struct cloudmap_page page, instance = {0};
    struct cloudmap_instance one = {.id = STR("task"), .health = STR("")};
    struct ecs_tag four = {STR("AWS_INSTANCE_IPV4"), STR("10.0.0.1")};
    struct ecs_tags tags;
    uint64_t revision;

    if (take(cloudmap_namespaces_parse, data, size, &a, &page))
        for (uint32_t i = 0; i < page.n; i++) {
            CHECK(page.namespaces[i].id.n && page.namespaces[i].name.n && page.namespaces[i].http_name.n);
            check_str(page.namespaces[i].owner);
        }
    if (take(cloudmap_services_parse, data, size, &a, &page))
        for (uint32_t i = 0; i < page.n; i++)
            CHECK(page.services[i].id.n && page.services[i].arn.n && page.services[i].name.n);
    if (take(cloudmap_instances_parse, data, size, &a, &page)) {
        for (uint32_t i = 0; i < page.n; i++) {
            CHECK(page.instances[i].id.n);
            check_str(page.instances[i].health);
            check_tags(page.instances[i].attributes, size);
        }
        find_targets(&page, (struct ecs_tags){(struct ecs_tag *)both, 3});
    }
    if (cloudmap_tags_parse(text, &a, &tags, NULL) == OK) {
        check_tags(tags, size);
        one.attributes = (struct ecs_tags){&four, 1};
        instance = (struct cloudmap_page){.instances = &one, .n = 1};
        find_targets(&instance, tags);
    }
    if (cloudmap_revision_parse(text, &revision, NULL) == OK)
        CHECK(size > 0);
    if (ssm_parameter_parse(text, &a, &value, NULL) == OK)
        check_str(value);
    arena_release(&a);
    return 0;
}
