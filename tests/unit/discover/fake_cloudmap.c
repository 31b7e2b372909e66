/* fake_cloudmap: see the header. Answers have the shape of the API's, written by hand. */
#include "unit.h"

#include "unit/discover/fake_cloudmap.h"

const struct aws_service aws_servicediscovery = {.name = "servicediscovery", .protocol = AWS_JSON_1_1};
const struct aws_service aws_ssm = {.name = "ssm", .protocol = AWS_JSON_1_1};

#define ARN "arn:aws:servicediscovery:eu-west-1:123456789012:"

void map_world_init(struct map_world *w)
{
    *w = (struct map_world){.page = 100};
    buf_c(&w->asked, "");
    buf_c(&w->questions, "");
}

void map_world_release(struct map_world *w)
{
    buf_release(&w->asked);
    buf_release(&w->questions);
}

struct map_service *map_add_service(struct map_world *w, uint32_t namespace, const char *name, const char *tags)
{
    struct map_service *s = &w->services[w->n++];

    *s = (struct map_service){.namespace = namespace, .tags = tags, .revision = 1};
    snprintf(s->name, sizeof(s->name), "%s", name);
    return s;
}

struct map_instance *map_add_instance(struct map_service *s, const char *id, const char *attributes)
{
    struct map_instance *i = &s->instances[s->n++];

    *i = (struct map_instance){.attributes = attributes, .health = "HEALTHY"};
    snprintf(i->id, sizeof(i->id), "%s", id);
    s->revision++;
    return i;
}

static struct str member(const struct node *n, const char *key)
{
    const struct node *v = node_find(n, key);

    return v ? v->text : STR("");
}

/* The number behind "srv-" or "ns-", also in an ARN; -1: none. */
static int number_behind(struct str s, const char *prefix)
{
    const char *at = s.n ? strstr(s.p, prefix) : NULL;

    return at ? (int)(at[strlen(prefix)] - '0') * 100 + (at[strlen(prefix) + 1] - '0') * 10 +
                    (at[strlen(prefix) + 2] - '0')
              : -1;
}

static int find_service(const struct map_world *w, const char *operation, const struct node *request)
{
    if (strcmp(operation, "ListInstances") == 0)
        return number_behind(member(request, "ServiceId"), "srv-");
    if (strcmp(operation, "ListTagsForResource") == 0)
        return number_behind(member(request, "ResourceARN"), "srv-");
    if (strncmp(operation, "Discover", 8) != 0)
        return -1;
    for (uint32_t i = 0; i < w->n; i++) {
        const struct map_service *s = &w->services[i];
        const char *http = w->http_names[s->namespace] ? w->http_names[s->namespace] : w->namespaces[s->namespace];
        if (str_eq_c(member(request, "ServiceName"), s->name) && str_eq_c(member(request, "NamespaceName"), http))
            return (int)i;
    }
    return -1;
}

static void print_namespace(const struct map_world *w, uint32_t i, struct buf *out)
{
    buf_printf(out, "{\"Id\": \"ns-%03u\", \"Arn\": \"" ARN "namespace/ns-%03u\", \"Name\": \"%s\", \"Type\": \"HTTP\"",
               i, i, w->namespaces[i]);
    if (w->owners[i])
        buf_printf(out, ", \"ResourceOwner\": \"%s\"", w->owners[i]);
    if (w->http_names[i])
        buf_printf(out, ", \"Properties\": {\"HttpProperties\": {\"HttpName\": \"%s\"}}", w->http_names[i]);
    buf_c(out, "}");
}

static void print_tags(const struct map_service *s, struct buf *out)
{
    struct str rest = str_c(s->tags), part, key, value;
    const char *comma = "";

    while (rest.n) {
        str_cut(rest, ' ', &part, &rest);
        str_cut(part, '=', &key, &value);
        buf_printf(out, "%s{\"Key\": \"%.*s\", \"Value\": \"%.*s\"}", comma, STR_ARGS(key), STR_ARGS(value));
        comma = ", ";
    }
}

static void print_instance(const struct map_instance *i, bool discover, struct buf *out)
{
    buf_printf(out, "{\"%s\": \"%s\", ", discover ? "InstanceId" : "Id", i->id);
    if (discover)
        buf_printf(out, "\"HealthStatus\": \"%s\", ", i->health);
    buf_printf(out, "\"Attributes\": {%s}}", i->attributes);
}

static bool is_listed(const struct map_world *w, const char *operation, const struct node *request, int service,
                      uint32_t i)
{
    if (strcmp(operation, "ListNamespaces") == 0)
        return !w->namespace_gone[i];
    if (strcmp(operation, "ListServices") == 0) {
        struct str id = node_find(node_find(request, "Filters")->first, "Values")->first->text;
        return !w->services[i].gone && (int)w->services[i].namespace == number_behind(id, "ns-");
    }
    const struct map_instance *instance = &w->services[service].instances[i];
    bool only_healthy = str_eq_c(member(request, "HealthStatus"), "HEALTHY");
    return !instance->gone && (!only_healthy || strcmp(instance->health, "HEALTHY") == 0);
}

/* The items of one page; tokens are the index to go on at. */
static void print_page(const struct map_world *w, const char *operation, const struct node *request, int service,
                       uint32_t total, struct buf *out)
{
    bool discover = strcmp(operation, "DiscoverInstances") == 0;
    struct str token = member(request, "NextToken");
    uint32_t at = token.n && *token.p == 'i' ? (uint32_t)number_behind(token, "i") : 0, n = 0;
    uint32_t page = discover ? 1000 : w->page;

    for (; at < total && n < page; at++) {
        if (!is_listed(w, operation, request, service, at))
            continue;
        buf_c(out, n++ ? ", " : "");
        if (service >= 0)
            print_instance(&w->services[service].instances[at], discover, out);
        else if (strcmp(operation, "ListNamespaces") == 0)
            print_namespace(w, at, out);
        else
            buf_printf(out, "{\"Id\": \"srv-%03u\", \"Arn\": \"" ARN "service/srv-%03u\", \"Name\": \"%s\"}", at, at,
                       w->services[at].name);
    }
    buf_c(out, "]");
    if (at < total)
        buf_printf(out, ", \"NextToken\": \"i%03u\"", at);
}

static bool is_faulty(const struct map_world *w, const char *operation, int service, struct str token,
                      struct fake_answer *out)
{
    bool here = (!w->operation || strcmp(w->operation, operation) == 0) &&
                (!w->service || (service >= 0 && strcmp(w->services[service].name, w->service) == 0));

    if (w->fault == MAP_FINE || !here)
        return false;
    if (w->fault == MAP_CODE) {
        out->code = w->code;
        out->message = "as the test says";
    } else if (w->fault == MAP_GARBAGE) {
        buf_c(&out->body, "<html>{\"Instances\": [");
    } else if (w->fault == MAP_WRONG_TYPE) {
        buf_c(&out->body, "{\"Namespaces\": \"\", \"Services\": {}, \"Instances\": 1, \"Tags\": true}");
    } else if (w->fault == MAP_REPEAT) {
        buf_c(&out->body, "{\"Namespaces\": [], \"Services\": [], \"Instances\": [], \"NextToken\": \"again\"}");
    } else {
        if (str_eq(token, STR("e2")) || (token.n && *token.p == 'i'))
            return false;
        buf_printf(&out->body, "{\"Namespaces\": [], \"Services\": [], \"Instances\": [], \"NextToken\": \"%s\"}",
                   token.n ? "e2" : "e1");
    }
    return true;
}

static void answer(const struct map_world *w, const char *operation, const struct node *request, int service,
                   struct fake_answer *out)
{
    struct buf *body = &out->body;

    if (strcmp(operation, "ListNamespaces") == 0) {
        buf_c(body, "{\"Namespaces\": [");
        print_page(w, operation, request, -1, w->n_namespaces, body);
    } else if (strcmp(operation, "ListServices") == 0) {
        buf_c(body, "{\"Services\": [");
        print_page(w, operation, request, -1, w->n, body);
    } else if (service < 0 || w->services[service].gone) {
        out->code = strcmp(operation, "ListTagsForResource") == 0 ? "ResourceNotFoundException" : "ServiceNotFound";
        return;
    } else if (strcmp(operation, "ListTagsForResource") == 0) {
        buf_c(body, "{\"Tags\": [");
        print_tags(&w->services[service], body);
        buf_c(body, "]");
    } else if (strcmp(operation, "DiscoverInstancesRevision") == 0) {
        if (w->denies_revision)
            out->code = "AccessDeniedException";
        buf_printf(body, "{\"InstancesRevision\": %llu", (unsigned long long)w->services[service].revision);
    } else {
        buf_c(body, "{\"Instances\": [");
        print_page(w, operation, request, service, w->services[service].n, body);
        if (strcmp(operation, "DiscoverInstances") == 0)
            buf_printf(body, ", \"InstancesRevision\": %llu", (unsigned long long)w->services[service].revision);
    }
    buf_c(body, "}");
}

void map_world_answer(struct fake_aws *f, const char *operation, struct str body, struct fake_answer *out)
{
    struct map_world *w = f->ctx;
    struct arena a = {0};
    struct node *request = NULL;

    assert_int_equal(tree_parse_json(body, "request", &a, &request, NULL), OK);
    int service = find_service(w, operation, request);
    buf_printf(&w->asked, "%s%s%s ", operation, service >= 0 ? ":" : "", service >= 0 ? w->services[service].name : "");
    buf_str(&w->questions, body);
    buf_char(&w->questions, '\n');
    if (!is_faulty(w, operation, service, member(request, "NextToken"), out))
        answer(w, operation, request, service, out);
    arena_release(&a);
}
