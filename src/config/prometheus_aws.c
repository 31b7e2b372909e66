/* prometheus_aws: sections that say who asks AWS, and where.
 *
 *   sigv4:            of a remote_write, by the rules of prometheus/sigv4: the two keys together or not at all, and
 * what describes a session (external_id, session_name, tags) only with a role_arn ec2_sd_configs:   region, endpoint,
 * credentials, port, filters, an HTTP client block ecs_sd_configs:   the same with clusters and request_concurrency in
 * place of filters aws_sd_configs:   one of these by its `role`; the keys of all roles are known, each role uses its
 * own
 *
 * An empty region is found out when it is needed. Where the discoveries of the original get one of the two keys alone
 * they quietly look for other credentials; so do we, with a warning.
 *
 * aws_sd_configs reads a port or interval of 0 as unset, and checks neither filters nor its HTTP block; we do check
 * both, since what they refuse could not work.
 */
#include "base/mem.h"
#include "config/prometheus_int.h"

enum { DEFAULT_PORT = 80, DEFAULT_REFRESH_MS = 60 * 1000, DEFAULT_CONCURRENCY = 20 };

/* ---- sigv4 ---- */

struct sigv4_draft {
    struct aws_config c;
    struct node *tags;
};

#define AWS(name) offsetof(struct sigv4_draft, c.name)

static const struct field sigv4_fields[] = {
    {.key = "region", .kind = FIELD_STRING, .offset = AWS(region)},
    {.key = "access_key", .kind = FIELD_STRING, .offset = AWS(access_key)},
    {.key = "secret_key", .kind = FIELD_SECRET, .offset = AWS(secret_key)},
    {.key = "profile", .kind = FIELD_STRING, .offset = AWS(profile)},
    {.key = "role_arn", .kind = FIELD_STRING, .offset = AWS(role_arn)},
    {.key = "external_id", .kind = FIELD_STRING, .offset = AWS(external_id)},
    {.key = "session_name", .kind = FIELD_STRING, .offset = AWS(role_session_name)},
    {.key = "tags", .kind = FIELD_NODE, .offset = offsetof(struct sigv4_draft, tags)},
    {.key = "use_fips_sts_endpoint", .kind = FIELD_BOOL, .offset = AWS(use_fips_sts_endpoint)},
    {.key = "service_name", .kind = FIELD_STRING, .offset = AWS(service)},
};
static const struct schema sigv4_schema = SCHEMA("sigv4.plain", sigv4_fields);

static void read_tags(struct reader *r, struct node *n, struct aws_config *c)
{
    if (!n)
        return;
    if (n->kind != NODE_MAPPING) {
        reader_type_error(r, n, "map[string]string");
        return;
    }
    c->tags = ARENA_ARRAY(r->arena, struct aws_tag, n->n + 1);
    for (struct node *e = n->first; e; e = e->next) {
        struct aws_tag *tag = &c->tags[c->n_tags];
        tag->key = str_dup(r->arena, e->key);
        if (!reader_string(r, e, &tag->value))
            continue;
        c->n_tags++;
        if (tag->key.n == 0)
            reader_error_key(r, e, NULL, ERR_SYNTAX, "tag key must not be empty");
        if (tag->key.n > 128)
            reader_error_key(r, e, NULL, ERR_SYNTAX, "tag key %s exceeds maximum length of 128",
                             reader_quote(r, tag->key));
        if (tag->value.n > 256)
            reader_error_key(r, e, NULL, ERR_SYNTAX, "tag value for key %s exceeds maximum length of 256",
                             reader_quote(r, tag->key));
    }
}

/* As AWS takes RoleSessionName: ^[\w+=,.@-]{2,64}$ */
static bool is_session_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        if (!word && (c == '\0' || !strchr("+=,.@-", c)))
            return false;
    }
    return s.n >= 2 && s.n <= 64;
}

void sigv4_read(struct reader *r, struct node *n, struct aws_config *out)
{
    struct sigv4_draft d = {0};
    const struct aws_config *c = &d.c;
    uint32_t before = r->errors->n;
    if (!reader_mapping(r, n, &sigv4_schema, &d))
        return;
    read_tags(r, d.tags, &d.c);
    *out = *c;
    if (r->errors->n > before)
        return;
    if ((c->access_key.n == 0) != (c->secret_key.n == 0))
        reader_error_key(r, n, c->access_key.n ? "access_key" : "secret_key", ERR_SYNTAX,
                         "must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the SigV4 "
                         "config");
    if (c->external_id.n && c->role_arn.n == 0)
        reader_error_key(r, n, "external_id", ERR_SYNTAX, "external_id can only be used with role_arn");
    if (c->role_session_name.n && c->role_arn.n == 0)
        reader_error_key(r, n, "session_name", ERR_SYNTAX, "session_name can only be used with role_arn");
    if (c->role_session_name.n && !is_session_name(c->role_session_name))
        reader_error_key(r, n, "session_name", ERR_SYNTAX,
                         "session_name must match ^[\\w+=,.@-]{2,64}$ (2-64 alphanumeric and +=,.@- characters)");
    if (c->n_tags && c->role_arn.n == 0)
        reader_error_key(r, n, "tags", ERR_SYNTAX, "tags can only be used with role_arn");
}

/* ---- discoveries ---- */

struct sd_draft {
    struct plan_aws_sd sd;
    struct http_draft http;
    struct str role;
    struct node *filters, *clusters;
    int64_t port, concurrency;
};

#define SD(name)    offsetof(struct sd_draft, sd.name)
#define DRAFT(name) offsetof(struct sd_draft, name)

#define SHARED_FIELDS                                                                                                  \
    {.key = "region", .kind = FIELD_STRING, .offset = SD(aws.region)},                                                 \
        {.key = "endpoint", .kind = FIELD_STRING, .offset = SD(aws.endpoint)},                                         \
        {.key = "access_key", .kind = FIELD_STRING, .offset = SD(aws.access_key)},                                     \
        {.key = "secret_key", .kind = FIELD_SECRET, .offset = SD(aws.secret_key)},                                     \
        {.key = "profile", .kind = FIELD_STRING, .offset = SD(aws.profile)},                                           \
        {.key = "role_arn", .kind = FIELD_STRING, .offset = SD(aws.role_arn)},                                         \
        {.key = "external_id", .kind = FIELD_STRING, .offset = SD(aws.external_id)},                                   \
        {.key = "refresh_interval", .kind = FIELD_DURATION, .offset = SD(refresh_ms)},                                 \
        {.key = "port", .kind = FIELD_INT, .offset = DRAFT(port)},                                                     \
    {                                                                                                                  \
        .kind = FIELD_INLINE, .schema = &http_schema, .offset = DRAFT(http)                                            \
    }

static const struct field ec2_fields[] = {
    SHARED_FIELDS,
    {.key = "filters", .kind = FIELD_NODE, .offset = DRAFT(filters)},
};
static const struct schema ec2_schema = SCHEMA("aws.plain", ec2_fields);

static const struct field ecs_fields[] = {
    SHARED_FIELDS,
    {.key = "clusters", .kind = FIELD_NODE, .offset = DRAFT(clusters)},
    {.key = "request_concurrency", .kind = FIELD_INT, .offset = DRAFT(concurrency)},
};
static const struct schema ecs_schema = SCHEMA("aws.plain", ecs_fields);

static const struct field aws_fields[] = {
    SHARED_FIELDS,
    {.key = "role", .kind = FIELD_STRING, .offset = DRAFT(role)},
    {.key = "filters", .kind = FIELD_NODE, .offset = DRAFT(filters)},
    {.key = "clusters", .kind = FIELD_NODE, .offset = DRAFT(clusters)},
};
static const struct schema aws_schema = SCHEMA("aws.plain", aws_fields);

struct filter_nodes {
    struct str name;
    struct node *values;
};

static const struct field filter_fields[] = {
    {.key = "name", .kind = FIELD_STRING, .offset = offsetof(struct filter_nodes, name)},
    {.key = "values", .kind = FIELD_NODE, .offset = offsetof(struct filter_nodes, values)},
};
static const struct schema filter_schema = SCHEMA("aws.Filter", filter_fields);

#define NO_VALUES "filters: not supported by leadline: a filter without values"

/* `code` of what could not work: the original checks it in ec2_sd_configs only. */
static void read_filter(struct reader *r, struct node *n, enum err code, struct plan_filter *out)
{
    struct filter_nodes nodes = {.name = STR("")};
    if (reader_is_null(n)) {
        reader_error(r, n, code, code == ERR_SYNTAX ? "empty or null section in filters" : NO_VALUES);
        return;
    }
    if (!reader_mapping(r, n, &filter_schema, &nodes))
        return;
    out->name = nodes.name;
    if (nodes.values && !reader_strings(r, nodes.values, "[]string", &out->values, &out->n_values))
        return;
    if (out->n_values == 0)
        reader_error_key(r, n, "values", code,
                         code == ERR_SYNTAX ? "EC2 SD configuration filter values cannot be empty" : NO_VALUES);
}

static void read_filters(struct reader *r, struct node *list, enum err code, struct plan_aws_sd *sd)
{
    if (!list || !reader_sequence(r, list, "[]*aws.Filter"))
        return;
    sd->filters = ARENA_ARRAY(r->arena, struct plan_filter, list->n);
    for (struct node *n = list->first; n; n = n->next)
        read_filter(r, n, code, &sd->filters[sd->n_filters++]);
}

static void check_keys(struct reader *r, const struct node *n, struct aws_config *c)
{
    if ((c->access_key.n == 0) == (c->secret_key.n == 0))
        return;
    reader_warn(r, n, "access_key and secret_key count only together; other credentials will be looked for");
    c->access_key = c->secret_key = STR("");
}

static bool finish(struct reader *r, struct node *n, struct sd_draft *d, uint32_t errors_before,
                   struct plan_aws_sd *out)
{
    struct plan_aws_sd *sd = &d->sd;
    if (r->errors->n == errors_before)
        http_draft_finish(r, n, &d->http, &sd->http);
    read_filters(r, d->filters, d->role.n ? ERR_UNSUPPORTED : ERR_SYNTAX, sd);
    if (d->clusters)
        reader_strings(r, d->clusters, "[]string", &sd->clusters, &sd->n_clusters);
    check_keys(r, n, &sd->aws);
    refresh_read(r, n, DEFAULT_REFRESH_MS, &sd->refresh_ms);
    port_check(r, n, d->port, &sd->port);
    sd->request_concurrency = d->concurrency > UINT16_MAX ? UINT16_MAX : (uint32_t)d->concurrency;
    *out = *sd;
    return true;
}

static struct sd_draft defaults(enum aws_sd_role role)
{
    struct sd_draft d = {
        .sd = {.role = role, .refresh_ms = DEFAULT_REFRESH_MS},
        .port = DEFAULT_PORT,
        .concurrency = DEFAULT_CONCURRENCY,
        .role = STR(""),
    };
    http_draft_init(&d.http, true);
    return d;
}

bool ec2_sd_read(struct reader *r, struct node *n, struct plan_aws_sd *out)
{
    struct sd_draft d = defaults(AWS_SD_EC2);
    uint32_t before = r->errors->n;
    return reader_mapping(r, n, &ec2_schema, &d) && finish(r, n, &d, before, out);
}

bool ecs_sd_read(struct reader *r, struct node *n, struct plan_aws_sd *out)
{
    struct sd_draft d = defaults(AWS_SD_ECS);
    uint32_t before = r->errors->n;
    if (!reader_mapping(r, n, &ecs_schema, &d))
        return false;
    if (d.concurrency <= 0) {
        reader_error_key(r, n, "request_concurrency", ERR_SYNTAX,
                         "ecs_sd: request_concurrency must be positive, got %lld", (long long)d.concurrency);
        d.concurrency = 1;
    }
    return finish(r, n, &d, before, out);
}

static void choose_role(struct reader *r, const struct node *n, struct sd_draft *d)
{
    static const char *const others[] = {"elasticache", "lightsail", "msk", "rds"};
    if (str_eq_c(d->role, "ec2") || str_eq_c(d->role, "ecs")) {
        d->sd.role = str_eq_c(d->role, "ecs") ? AWS_SD_ECS : AWS_SD_EC2;
        return;
    }
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        if (str_eq_c(d->role, others[i])) {
            reader_error_key(r, n, "role", ERR_UNSUPPORTED,
                             "role: not supported by leadline: %s; the roles ec2 and ecs are", others[i]);
            return;
        }
    }
    reader_error_key(r, n, "role", ERR_SYNTAX, "unknown AWS SD role %s", reader_quote(r, d->role));
}

bool aws_sd_read(struct reader *r, struct node *n, struct plan_aws_sd *out)
{
    struct sd_draft d = defaults(AWS_SD_EC2);
    uint32_t before = r->errors->n;
    if (!reader_mapping(r, n, &aws_schema, &d))
        return false;
    if (r->errors->n == before)
        choose_role(r, n, &d);
    if (d.port == 0)
        d.port = DEFAULT_PORT;
    if (d.sd.refresh_ms == 0)
        d.sd.refresh_ms = DEFAULT_REFRESH_MS;
    /* What the other role uses is read, and then means nothing. */
    if (d.sd.role == AWS_SD_ECS && d.filters)
        reader_warn(r, d.filters, "filters has no effect with role ecs");
    if (d.sd.role == AWS_SD_EC2 && d.clusters)
        reader_warn(r, d.clusters, "clusters has no effect with role ec2");
    return finish(r, n, &d, before, out);
}
