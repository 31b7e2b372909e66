/* iam: see the header. Goes over everything in a plan that speaks to AWS and writes down, for the identity that does
 * it, the calls that the code of that part makes:
 *
 *   remote_write with sigv4     aps:RemoteWrite on the workspace in the URL
 *   ec2_sd                      instances and zones (discover/ec2.c)
 *   ecs_sd                      clusters, tasks, services of tasks, hosts, interfaces (discover/ecs.c)
 *   ecs_service_discovery       tasks, definitions, services where patterns are given, hosts (discover/ecs_agent.c)
 *   cloudmap_sd                 lists and instances, or DiscoverInstances (discover/cloudmap_client.c)
 *   ecs_task_sd                 nothing
 *   CloudWatch Logs             groups, streams, events, retention where it is set (sink/cloudwatch/)
 *   PutMetricData               in its namespaces (sink/cloudwatch/)
 *
 *   whose keys (task, profile, access key) -- sts:AssumeRole --> role -- the calls themselves
 *
 * An ARN is made of what the configuration says; what it does not say (an account, nearly always) is "*", or what the
 * options say. A role's account is that of what it is assumed for.
 */
#include "run/iam.h"

#include <stdlib.h>

#include "aws/aws.h"
#include "base/mem.h"
#include "net/http_client.h"
#include "run/iam_int.h"

struct collection {
    const struct iam_options *o;
    struct arena *a;
    struct iam_identity *identities;
    uint32_t n;
    size_t cap, cap_notes;
    struct iam_policies *out;
};

/* Who asks, and where. */
struct asker {
    uint32_t identity;
    struct str partition, region, account; /* "*" where not known */
};

static void note(struct collection *c, const char *text)
{
    struct iam_policies *out = c->out;
    struct str *old = out->notes;

    for (uint32_t i = 0; i < out->n_notes; i++)
        if (str_eq_c(out->notes[i], text))
            return;
    if (out->n_notes == c->cap_notes) {
        c->cap_notes = 2 * c->cap_notes + 8;
        out->notes = ARENA_ARRAY(c->a, struct str, c->cap_notes);
        if (old)
            memcpy(out->notes, old, out->n_notes * sizeof(*old));
    }
    out->notes[out->n_notes++] = str_c(text);
}

/* ---- ARNs ---- */

struct arn {
    struct str partition, service, region, account, resource;
};

static bool parse_arn(struct str text, struct arn *out)
{
    struct str word, rest;

    if (!str_cut(text, ':', &word, &rest) || !str_eq(word, STR("arn")))
        return false;
    return str_cut(rest, ':', &out->partition, &rest) && str_cut(rest, ':', &out->service, &rest) &&
           str_cut(rest, ':', &out->region, &rest) && str_cut(rest, ':', &out->account, &out->resource);
}

static struct str or_any(struct str s)
{
    return s.n ? s : STR("*");
}

static struct str make_arn(struct collection *c, const struct asker *k, const char *service, const char *kind,
                           struct str id)
{
    return str_c(arena_printf(c->a, "arn:%.*s:%s:%.*s:%.*s:%s/%.*s", STR_ARGS(k->partition), service,
                              STR_ARGS(k->region), STR_ARGS(k->account), kind, STR_ARGS(id)));
}

/* ---- identities ---- */

static uint32_t identity(struct collection *c, const char *name, const char *about, bool assumed)
{
    for (uint32_t i = 0; i < c->n; i++)
        if (str_eq_c(c->identities[i].document.name, name))
            return i;
    c->identities = mem_grow(c->identities, &c->cap, c->n + 1, sizeof(*c->identities));
    c->identities[c->n] =
        (struct iam_identity){.document = {.name = str_c(name), .about = str_c(about)}, .assumed = assumed};
    return c->n++;
}

/* The one whose keys are found, before any role is assumed. */
static uint32_t owner_of_keys(struct collection *c, const struct aws_config *config)
{
    struct str key = config->access_key;

    if (key.n) {
        struct str tail = key.n > 8 ? str_from(key.p + key.n - 4, 4) : STR("");
        return identity(c, arena_printf(c->a, "access key ****%.*s", STR_ARGS(tail)),
                        "what the user of this access key needs", false);
    }
    if (config->profile.n)
        return identity(c, arena_printf(c->a, "profile %.*s", STR_ARGS(config->profile)),
                        "what the user or role of this profile needs", false);
    return identity(c, "task", "what the task's role needs", false);
}

static struct asker asker_of(struct collection *c, const struct aws_config *config, struct str region)
{
    struct asker k = {.identity = owner_of_keys(c, config)};
    struct arn role = {0};
    bool has_role = config->role_arn.n && parse_arn(config->role_arn, &role);
    struct str known = config->region.n ? config->region : region.n ? region : c->o->region;

    k.region = or_any(known);
    k.partition = known.n || !has_role ? aws_partition_of_region(known) : role.partition;
    k.account = or_any(has_role && role.account.n ? role.account : c->o->account);
    if (config->role_arn.n) {
        struct iam_identity *owner = &c->identities[k.identity];
        iam_allow(owner, IAM_ASSUME_ROLE, config->role_arn, STR_NONE);
        if (config->n_tags)
            iam_allow(owner, IAM_TAG_SESSION, config->role_arn, STR_NONE);
        k.identity = identity(c, str_dup(c->a, config->role_arn).p, "what this role needs, which is assumed", true);
    }
    return k;
}

static void allow(struct collection *c, const struct asker *k, enum iam_action action, struct str resource,
                  struct str value)
{
    iam_allow(&c->identities[k->identity], action, resource, value);
}

/* ---- who speaks to AWS ---- */

/* aps-workspaces.REGION.amazonaws.com/workspaces/ID/api/v1/remote_write */
static void add_remote_write(struct collection *c, const struct plan_remote_write *w)
{
    struct http_url url = {0};
    struct str host, region = STR(""), rest, id = STR("*");

    if (!w->sigv4)
        return;
    if (w->sigv4->service.n && !str_eq(w->sigv4->service, STR("aps"))) {
        note(c, arena_printf(c->a, "remote_write %.*s is signed for service \"%.*s\", whose permissions are not known",
                             STR_ARGS(w->name), STR_ARGS(w->sigv4->service)));
        asker_of(c, w->sigv4, STR(""));
        return;
    }
    if (http_url_parse(w->url, &url, NULL) == OK) {
        if (str_cut(url.host, '.', &host, &rest) && str_starts(host, STR("aps-workspaces")))
            str_cut(rest, '.', &region, &rest);
        if (str_starts(url.path, STR("/workspaces/")))
            str_cut(str_from(url.path.p + 12, url.path.n - 12), '/', &id, &rest);
    }
    struct asker k = asker_of(c, w->sigv4, region);
    allow(c, &k, IAM_REMOTE_WRITE, make_arn(c, &k, "aps", "workspace", or_any(id)), STR_NONE);
}

static void add_ec2(struct collection *c, const struct aws_config *config)
{
    struct asker k = asker_of(c, config, STR(""));

    allow(c, &k, IAM_DESCRIBE_INSTANCES, STR_NONE, k.region);
    allow(c, &k, IAM_DESCRIBE_ZONES, STR_NONE, k.region);
}

/* A cluster that is asked, by name or ARN; an empty name: all of them. */
struct place {
    struct asker k;
    struct str name, condition, below; /* below: "demo/" and any, of what belongs to it */
};

static struct place place_of(struct collection *c, const struct asker *k, struct str cluster)
{
    struct place p = {.k = *k, .name = cluster};
    struct arn arn;
    struct str kind;

    if (parse_arn(cluster, &arn)) {
        p.k.partition = arn.partition;
        p.k.region = or_any(arn.region);
        p.k.account = or_any(arn.account);
        str_cut(arn.resource, '/', &kind, &p.name);
    }
    p.condition = p.name.n ? make_arn(c, &p.k, "ecs", "cluster", p.name) : STR_NONE;
    p.below = p.name.n ? str_c(arena_printf(c->a, "%.*s/*", STR_ARGS(p.name))) : STR("*");
    return p;
}

static void add_tasks(struct collection *c, const struct place *p)
{
    struct str instances = make_arn(c, &p->k, "ecs", "container-instance", p->below);

    allow(c, &p->k, IAM_LIST_TASKS, instances, p->condition); /* IAM looks at this ARN, for tasks on Fargate too */
    allow(c, &p->k, IAM_DESCRIBE_TASKS, make_arn(c, &p->k, "ecs", "task", p->below), p->condition);
    if (c->o->fargate)
        return;
    allow(c, &p->k, IAM_DESCRIBE_CONTAINER_INSTANCES, instances, p->condition);
    allow(c, &p->k, IAM_DESCRIBE_INSTANCES, STR_NONE, p->k.region);
}

static void add_services(struct collection *c, const struct place *p)
{
    allow(c, &p->k, IAM_DESCRIBE_ECS_SERVICES, make_arn(c, &p->k, "ecs", "service", p->below), p->condition);
}

static void add_ecs(struct collection *c, const struct plan_aws_sd *sd)
{
    struct asker k = asker_of(c, &sd->aws, STR(""));
    uint32_t n = sd->n_clusters ? sd->n_clusters : 1;

    if (!sd->n_clusters)
        allow(c, &k, IAM_LIST_CLUSTERS, STR_NONE, STR_NONE);
    for (uint32_t i = 0; i < n; i++) {
        struct place p = place_of(c, &k, sd->n_clusters ? sd->clusters[i] : STR(""));
        allow(c, &p.k, IAM_DESCRIBE_CLUSTERS, make_arn(c, &p.k, "ecs", "cluster", or_any(p.name)), STR_NONE);
        add_tasks(c, &p);
        add_services(c, &p);
        allow(c, &p.k, IAM_DESCRIBE_INTERFACES, STR_NONE, p.k.region);
    }
}

static void add_agent(struct collection *c, const struct plan_ecs_agent_sd *sd)
{
    for (uint32_t i = 0; i < sd->n_clusters; i++) {
        struct asker k = asker_of(c, &sd->clusters[i].aws, STR(""));
        struct place p = place_of(c, &k, sd->clusters[i].name);
        add_tasks(c, &p);
        allow(c, &p.k, IAM_DESCRIBE_DEFINITION, STR_NONE, STR_NONE);
        if (!sd->n_services)
            continue;
        allow(c, &p.k, IAM_LIST_ECS_SERVICES, STR_NONE, p.condition);
        add_services(c, &p);
    }
}

static void add_cloudmap_lists(struct collection *c, const struct asker *k)
{
    allow(c, k, IAM_LIST_NAMESPACES, STR_NONE, STR_NONE);
    allow(c, k, IAM_LIST_SERVICES, STR_NONE, STR_NONE);
    allow(c, k, IAM_LIST_TAGS, STR_NONE, STR_NONE);
}

static void add_cloudmap(struct collection *c, const struct plan_cloudmap_sd *sd)
{
    static const enum iam_action discover[] = {IAM_DISCOVER_INSTANCES, IAM_DISCOVER_REVISION};
    struct asker k = asker_of(c, &sd->aws, STR(""));
    struct str services = make_arn(c, &k, "servicediscovery", "service", STR("*"));
    struct str namespaces = make_arn(c, &k, "servicediscovery", "namespace", STR("*"));

    add_cloudmap_lists(c, &k);
    if (!sd->discover)
        allow(c, &k, IAM_LIST_INSTANCES, services, STR_NONE);
    for (uint32_t i = 0; sd->discover && i < sd->n_namespaces; i++) {
        for (size_t n = 0; n < COUNT_OF(discover); n++) {
            allow(c, &k, discover[n], namespaces, sd->namespaces[i]);
            allow(c, &k, discover[n], services, sd->namespaces[i]);
        }
    }
}

static void add_scrape(struct collection *c, const struct plan_scrape *job)
{
    const struct plan_discovery *d = &job->discovery;

    for (uint32_t i = 0; i < d->n_aws_sd; i++) {
        if (d->aws_sd[i].role == AWS_SD_EC2)
            add_ec2(c, &d->aws_sd[i].aws);
        else
            add_ecs(c, &d->aws_sd[i]);
    }
    for (uint32_t i = 0; i < d->n_cloudmap_sd; i++)
        add_cloudmap(c, &d->cloudmap_sd[i]);
    if (d->n_ecs_task_sd)
        note(c, arena_printf(c->a, "job \"%.*s\": ecs_task_sd_configs needs no permission", STR_ARGS(job->job_name)));
}

/* ---- CloudWatch ---- */

/* A group's name with every {placeholder} as "*". */
static struct str any_for_placeholders(struct collection *c, struct str name)
{
    struct str rest = name, head, hidden;
    AUTO_BUF out = {0};

    while (str_cut(rest, '{', &head, &rest)) {
        buf_str(&out, head);
        buf_char(&out, '*');
        if (!str_cut(rest, '}', &hidden, &rest))
            rest = STR("");
    }
    buf_str(&out, head);
    return str_dup(c->a, buf_view(&out));
}

/* The form with ":*" behind it is the one that IAM compares all of these actions with: a group's streams are below it.
 */
static void add_log_group(struct collection *c, const struct asker *k, struct str group, bool retention)
{
    struct str arn = str_c(arena_printf(c->a, "arn:%.*s:logs:%.*s:%.*s:log-group:%.*s:*", STR_ARGS(k->partition),
                                        STR_ARGS(k->region), STR_ARGS(k->account), STR_ARGS(group)));

    allow(c, k, IAM_CREATE_LOG_GROUP, arn, STR_NONE);
    allow(c, k, IAM_CREATE_LOG_STREAM, arn, STR_NONE);
    allow(c, k, IAM_PUT_LOG_EVENTS, arn, STR_NONE);
    if (retention)
        allow(c, k, IAM_PUT_RETENTION, arn, STR_NONE);
}

static void add_logs(struct collection *c, const struct plan *plan, const struct plan_cloudwatch *w)
{
    struct asker k = asker_of(c, &w->aws, STR(""));
    const struct plan_emf_input *input = plan->emf_input;

    if (w->emf)
        add_log_group(c, &k, any_for_placeholders(c, w->emf->log_group), w->retention_days > 0);
    if (!input)
        return;
    add_log_group(c, &k, input->shadow_group.n ? input->shadow_group : STR("*"), w->retention_days > 0);
    if (!input->shadow_group.n)
        note(c, "the events of emf name their log groups themselves: put the groups that you have in the place of "
                "log-group:*");
}

static void add_metrics(struct collection *c, const struct plan *plan, const struct plan_cloudwatch *w)
{
    struct asker k = asker_of(c, &w->aws, STR(""));

    if (w->emf)
        allow(c, &k, IAM_PUT_METRIC_DATA, STR_NONE, w->emf->name_space);
    if (plan->statsd)
        allow(c, &k, IAM_PUT_METRIC_DATA, STR_NONE, w->name_space);
}

/* ---- documents ---- */

static void finish(struct collection *c)
{
    c->out->documents = ARENA_ARRAY(c->a, struct iam_document, c->n + 1);
    for (int assumed = 0; assumed < 2; assumed++) {
        for (uint32_t i = 0; i < c->n; i++) {
            struct iam_identity *id = &c->identities[i];
            AUTO_BUF text = {0};
            if (id->assumed != assumed || id->n == 0)
                continue;
            iam_print(id, c->a, &text);
            id->document.json = str_dup(c->a, buf_view(&text));
            c->out->documents[c->out->n_documents++] = id->document;
        }
    }
    for (uint32_t i = 0; i < c->n; i++)
        free(c->identities[i].grants);
    free(c->identities);
}

void iam_of_plan(const struct plan *plan, const struct iam_options *o, struct arena *a, struct iam_policies *out)
{
    struct collection c = {.o = o, .a = a, .out = out};

    *out = (struct iam_policies){0};
    for (uint32_t i = 0; i < plan->n_remote_writes; i++)
        add_remote_write(&c, &plan->remote_writes[i]);
    for (uint32_t i = 0; i < plan->n_scrapes; i++)
        add_scrape(&c, &plan->scrapes[i]);
    if (plan->ecs_agent)
        add_agent(&c, plan->ecs_agent);
    for (uint32_t i = 0; i < plan->n_cloudwatch; i++) {
        if (plan->cloudwatch[i].kind == CLOUDWATCH_LOGS)
            add_logs(&c, plan, &plan->cloudwatch[i]);
        else
            add_metrics(&c, plan, &plan->cloudwatch[i]);
    }
    finish(&c);
}

void iam_of_sidecar(const struct iam_sidecar *s, const struct iam_options *o, struct arena *a, struct iam_policies *out)
{
    struct collection c = {.o = o, .a = a, .out = out};
    struct asker k;
    struct arn arn;

    *out = (struct iam_policies){0};
    k = asker_of(&c, &(struct aws_config){.region = s->region}, STR(""));
    for (uint32_t i = 0; i < s->n_parameters; i++) {
        struct str name = s->parameters[i], version;
        if (!parse_arn(name, &arn)) {
            str_cut(name, ':', &name, &version);
            if (str_starts(name, STR("/")))
                name = str_from(name.p + 1, name.n - 1);
            name = make_arn(&c, &k, "ssm", "parameter", name);
        }
        allow(&c, &k, IAM_GET_PARAMETER, name, STR_NONE);
    }
    add_cloudmap_lists(&c, &k);
    allow(&c, &k, IAM_LIST_INSTANCES, make_arn(&c, &k, "servicediscovery", "service", STR("*")), STR_NONE);
    note(&c, "a SecureString parameter under a key of your own needs kms:Decrypt on that key too");
    finish(&c);
}
