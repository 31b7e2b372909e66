/* prometheus_remote_write: the destinations.
 *
 * A destination is known by its name; without one by the first six hex digits of a hash, as the original names its
 * queues. The original hashes the whole section, so that any change makes a new queue. Here the name also finds what
 * waits on disk for the destination, so the hash covers what makes it another place or another tenant there: URL,
 * headers, user (of basic_auth, oauth2, or the role of sigv4). Two sections that agree in all that (and differ in their
 * relabelling, say) are told apart by their order.
 *
 * What the original reads and leadline has no use for (shards, capacity) is read strictly and said in a warning.
 */
#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "config/prometheus_int.h"
#include "model/scope.h"

struct queue_draft {
    int64_t capacity, max_shards, min_shards, max_samples;
    int64_t deadline_ms, min_backoff_ms, max_backoff_ms, age_limit_ms;
    int8_t retry_429;
};

struct metadata_draft {
    bool send;
    int64_t interval_ms, max_samples;
};

struct remote_draft {
    struct plan_remote_write w;
    struct http_draft http;
    struct queue_draft queue;
    struct metadata_draft metadata;
    struct node *url, *relabel, *headers, *queue_node, *sigv4, *azuread, *google_iam;
    bool failed_logging;
};

/* ---- queue_config and metadata_config ---- */

static const struct field queue_fields[] = {
    {.key = "capacity", .kind = FIELD_INT, .offset = offsetof(struct queue_draft, capacity)},
    {.key = "max_shards", .kind = FIELD_INT, .offset = offsetof(struct queue_draft, max_shards)},
    {.key = "min_shards", .kind = FIELD_INT, .offset = offsetof(struct queue_draft, min_shards)},
    {.key = "max_samples_per_send", .kind = FIELD_INT, .offset = offsetof(struct queue_draft, max_samples)},
    {.key = "batch_send_deadline", .kind = FIELD_DURATION, .offset = offsetof(struct queue_draft, deadline_ms)},
    {.key = "min_backoff", .kind = FIELD_DURATION, .offset = offsetof(struct queue_draft, min_backoff_ms)},
    {.key = "max_backoff", .kind = FIELD_DURATION, .offset = offsetof(struct queue_draft, max_backoff_ms)},
    {.key = "retry_on_http_429", .kind = FIELD_TRISTATE, .offset = offsetof(struct queue_draft, retry_429)},
    {.key = "sample_age_limit", .kind = FIELD_DURATION, .offset = offsetof(struct queue_draft, age_limit_ms)},
};
static const struct schema queue_schema = SCHEMA("config.QueueConfig", queue_fields);

static const struct field metadata_fields[] = {
    {.key = "send", .kind = FIELD_BOOL, .offset = offsetof(struct metadata_draft, send)},
    {.key = "send_interval", .kind = FIELD_DURATION, .offset = offsetof(struct metadata_draft, interval_ms)},
    {.key = "max_samples_per_send", .kind = FIELD_INT, .offset = offsetof(struct metadata_draft, max_samples)},
};
static const struct schema metadata_schema = SCHEMA("config.MetadataConfig", metadata_fields);

/* An empty section makes every field zero in the original: of a queue that is an error there, of metadata it means off.
 */
static void read_queue(struct reader *r, struct node *n, void *out)
{
    struct remote_draft *d = out;
    d->queue_node = n;
    if (reader_is_null(n))
        d->queue = (struct queue_draft){.retry_429 = -1};
    reader_mapping(r, n, &queue_schema, &d->queue);
}

static void read_metadata(struct reader *r, struct node *n, void *out)
{
    struct metadata_draft *m = out;
    if (reader_is_null(n))
        *m = (struct metadata_draft){0};
    reader_mapping(r, n, &metadata_schema, m);
}

static uint32_t saturate(int64_t v)
{
    return v < 0 ? 0 : v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

static void validate_queue(struct reader *r, const struct node *n, const struct queue_draft *q)
{
    static const char *const positive[] = {"max_shards", "min_shards", "max_samples_per_send", "capacity"};
    const int64_t values[] = {q->max_shards, q->min_shards, q->max_samples, q->capacity};
    for (size_t i = 0; i < COUNT_OF(positive); i++) {
        if (values[i] <= 0)
            reader_error_key(r, n, positive[i], ERR_SYNTAX, "remote write queue %s must be positive", positive[i]);
    }
    if (q->min_shards > q->max_shards && q->max_shards > 0)
        reader_error_key(r, n, "min_shards", ERR_SYNTAX,
                         "remote write queue min_shards must not be greater than max_shards");
    if (q->max_backoff_ms < q->min_backoff_ms)
        reader_error_key(r, n, "max_backoff", ERR_SYNTAX,
                         "remote write queue max_backoff must not be less than min_backoff");
}

static void warn_queue(struct reader *r, const struct node *n, const struct queue_draft *q)
{
    const struct node *c;
    if ((c = node_find(n, "max_shards")) && q->max_shards > 16)
        reader_warn(r, c,
                    "max_shards: at most 16 requests are in flight to a destination; a larger value has no effect");
    if ((c = node_find(n, "min_shards")))
        reader_warn(r, c, "min_shards has no effect: requests are sent as they fill");
    if ((c = node_find(n, "capacity")))
        reader_warn(r, c, "capacity has no effect: what waits is kept on disk (--spool.max-bytes)");
}

static void set_queue(struct reader *r, const struct remote_draft *d, struct plan_queue *out)
{
    const struct queue_draft *q = &d->queue;
    if (d->queue_node) {
        validate_queue(r, d->queue_node, q);
        if (d->queue_node->kind == NODE_MAPPING)
            warn_queue(r, d->queue_node, q);
    }
    *out = (struct plan_queue){
        .capacity = saturate(q->capacity),
        .max_shards = saturate(q->max_shards),
        .min_shards = saturate(q->min_shards),
        .max_samples_per_send = saturate(q->max_samples),
        .batch_send_deadline_ms = q->deadline_ms,
        .min_backoff_ms = q->min_backoff_ms,
        .max_backoff_ms = q->max_backoff_ms,
        .sample_age_limit_ms = q->age_limit_ms,
        .retry_on_http_429 = q->retry_429 != 0,
        .retry_on_http_429_set = q->retry_429 >= 0,
    };
}

/* With an interval or size of zero the original ends itself; the defaults are what was meant. */
static void set_metadata(struct reader *r, const struct node *n, const struct metadata_draft *m,
                         struct plan_remote_write *w)
{
    w->metadata_send = m->send;
    w->metadata_interval_ms = m->interval_ms > 0 ? m->interval_ms : 60 * 1000;
    w->metadata_max_samples_per_send = m->max_samples > 0 ? saturate(m->max_samples) : 2000;
    if (m->send && (m->interval_ms <= 0 || m->max_samples <= 0))
        reader_warn(r, n,
                    "metadata_config: send_interval and max_samples_per_send must be positive; taken as 1m and 2000");
}

/* ---- the section ---- */

static void read_url(struct reader *r, struct node *n, void *out)
{
    struct remote_draft *d = out;
    static const struct field field = {
        .key = "url", .kind = FIELD_URL, .offset = offsetof(struct plan_remote_write, url)};
    if (reader_is_skipped(n))
        return;
    d->url = n;
    reader_field(r, &field, n, &d->w);
    if (!str_starts(d->w.url, STR("http://")) && !str_starts(d->w.url, STR("https://")))
        reader_warn(r, n, "url: this is not an http:// or https:// address, nothing can be delivered to it");
}

static void read_message(struct reader *r, struct node *n, void *out)
{
    enum remote_write_message *message = out;
    struct str s;
    if (!reader_string(r, n, &s))
        return;
    if (str_eq_c(s, "io.prometheus.write.v2.Request"))
        *message = REMOTE_WRITE_2;
    else if (str_eq_c(s, "prometheus.WriteRequest"))
        *message = REMOTE_WRITE_1;
    else
        reader_error(r, n, ERR_SYNTAX,
                     "invalid protobuf_message value: unknown type for remote write protobuf message %s, supported: "
                     "prometheus.WriteRequest, io.prometheus.write.v2.Request",
                     reader_quote(r, s));
}

#define PLAN(name)  offsetof(struct remote_draft, w.name)
#define DRAFT(name) offsetof(struct remote_draft, name)

static const struct field remote_fields[] = {
    {.key = "url", .kind = FIELD_CALL, .fn = read_url},
    {.key = "remote_timeout", .kind = FIELD_DURATION, .offset = PLAN(remote_timeout_ms)},
    {.key = "headers", .kind = FIELD_NODE, .offset = DRAFT(headers)},
    {.key = "write_relabel_configs", .kind = FIELD_NODE, .offset = DRAFT(relabel)},
    {.key = "name", .kind = FIELD_STRING, .offset = PLAN(name)},
    {.key = "send_exemplars", .kind = FIELD_BOOL, .offset = PLAN(send_exemplars)},
    {.key = "send_native_histograms", .kind = FIELD_BOOL, .offset = PLAN(send_native_histograms)},
    {.key = "round_robin_dns", .kind = FIELD_BOOL, .offset = PLAN(round_robin_dns)},
    {.key = "protobuf_message", .kind = FIELD_CALL, .fn = read_message, .offset = PLAN(message)},
    {.key = "failed_request_logging", .kind = FIELD_BOOL, .offset = DRAFT(failed_logging)},
    {.key = "queue_config", .kind = FIELD_CALL, .fn = read_queue},
    {.key = "metadata_config", .kind = FIELD_CALL, .fn = read_metadata, .offset = DRAFT(metadata)},
    {.key = "sigv4", .kind = FIELD_NODE, .offset = DRAFT(sigv4)},
    {.key = "azuread", .kind = FIELD_NODE, .offset = DRAFT(azuread)},
    {.key = "google_iam", .kind = FIELD_NODE, .offset = DRAFT(google_iam)},
    {.kind = FIELD_INLINE, .schema = &http_schema, .offset = DRAFT(http)},
};
static const struct schema remote_schema = SCHEMA("config.plain", remote_fields);

/* ---- authentication ---- */

static void refuse_auth(struct reader *r, const struct node *n, const char *key)
{
    if (n)
        reader_error_key(r, n, NULL, ERR_UNSUPPORTED,
                         "%s: not supported by leadline: requests are authenticated by basic_auth, authorization, "
                         "oauth2, sigv4 or tls_config",
                         key);
}

static void read_auth(struct reader *r, struct node *n, const struct remote_draft *d, struct plan_remote_write *w)
{
    const struct {
        const char *key;
        bool set;
    } kinds[] = {
        {"basic_auth", d->http.basic_auth},
        {"authorization", d->http.authorization || d->http.bearer_token.n || d->http.bearer_token_file.n},
        {"oauth2", d->http.oauth2},
        {"sigv4", d->sigv4},
        {"azuread", d->azuread},
        {"google_iam", d->google_iam},
    };
    AUTO_BUF set = {0};
    int count = 0;
    refuse_auth(r, d->azuread, "azuread");
    refuse_auth(r, d->google_iam, "google_iam");
    if (d->sigv4) {
        w->sigv4 = ARENA_NEW(r->arena, struct aws_config);
        sigv4_read(r, d->sigv4, w->sigv4);
    }
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (kinds[i].set)
            buf_printf(&set, count++ ? " %s" : "%s", kinds[i].key);
    }
    if (count > 1)
        reader_error_key(r, n, d->sigv4 ? "sigv4" : NULL, ERR_SYNTAX,
                         "at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam must be "
                         "configured. Currently configured: [%s]",
                         set.p);
}

/* ---- identity ---- */

static uint64_t destination_hash(const struct plan_remote_write *w)
{
    AUTO_BUF b = {0};
    const struct http_options *o = &w->http;
    buf_str(&b, w->name);
    buf_char(&b, '\n');
    buf_str(&b, w->url);
    buf_char(&b, '\n');
    buf_str(&b, o->basic_username);
    buf_str(&b, o->basic_username_file);
    if (o->oauth2)
        buf_str(&b, o->oauth2->client_id);
    if (w->sigv4)
        buf_str(&b, w->sigv4->role_arn);
    for (int i = 0; i < o->n_headers; i++) {
        buf_char(&b, '\n');
        buf_str(&b, o->headers[i].name);
        buf_c(&b, ": ");
        buf_str(&b, o->headers[i].secret ? o->headers[i].file : o->headers[i].value);
    }
    return hash_bytes(buf_view(&b));
}

static uint64_t rules_hash(const struct relabel_rules *rules)
{
    AUTO_BUF b = {0};
    relabel_print(rules, &b);
    return hash_bytes(buf_view(&b));
}

static bool read_one(struct reader *r, struct node *n, bool legacy_names, struct plan_remote_write *out)
{
    struct remote_draft d = {
        .w = {.name = STR(""), .url = STR(""), .remote_timeout_ms = 30 * 1000, .line = n->line},
        .queue = {.capacity = 10000,
                  .max_shards = 50,
                  .min_shards = 1,
                  .max_samples = 2000,
                  .deadline_ms = 5000,
                  .min_backoff_ms = 30,
                  .max_backoff_ms = 5000,
                  .retry_429 = -1},
        .metadata = {.send = true, .interval_ms = 60 * 1000, .max_samples = 2000},
    };
    struct plan_remote_write *w = &d.w;
    http_draft_init(&d.http, false);
    uint32_t before = r->errors->n;
    if (!reader_mapping(r, n, &remote_schema, &d))
        return false;
    bool fields_ok = r->errors->n == before;
    if (fields_ok && !d.url)
        reader_error_key(r, n, "url", ERR_SYNTAX, "url for remote_write is empty");
    if (fields_ok) {
        http_draft_finish(r, n, &d.http, &w->http);
        set_queue(r, &d, &w->queue);
    }
    read_auth(r, n, &d, w);
    request_headers_read(r, d.headers, &w->http);
    w->http.round_robin_dns = w->round_robin_dns;
    set_metadata(r, n, &d.metadata, w);
    if (w->remote_timeout_ms == 0) {
        reader_warn(r, n, "remote_timeout: with 0s the original fails every request; taken as 30s");
        w->remote_timeout_ms = 30 * 1000;
    }
    if (d.failed_logging)
        reader_warn(r, node_find(n, "failed_request_logging"),
                    "failed_request_logging has no effect: what a receiver answers to a refused request is logged "
                    "anyway");
    w->write_relabel = relabel_read(r, d.relabel, legacy_names, "relabeling rule in remote write config");
    w->named = w->name.n > 0;
    w->hash = destination_hash(w);
    w->shape_hash = rules_hash(w->write_relabel);
    *out = *w;
    return true;
}

static bool same_text(const struct node *a, const struct node *b)
{
    AUTO_BUF x = {0};
    AUTO_BUF y = {0};
    tree_print_yaml(a, &x);
    tree_print_yaml(b, &y);
    return str_eq(buf_view(&x), buf_view(&y));
}

/* Names must differ; equal hashes are told apart by how many like it came before. */
static void settle_identity(struct reader *r, struct node *list, struct node *n, struct plan_remote_write *w)
{
    struct plan *p = r->plan;
    uint32_t alike = 0, i = 0;
    uint64_t hash = w->hash;
    for (struct node *e = list->first; e != n && i < p->n_remote_writes; e = e->next) {
        if (reader_is_null(e) || e->kind != NODE_MAPPING)
            continue;
        const struct plan_remote_write *other = &p->remote_writes[i++];
        if (w->named && other->named && str_eq(w->name, other->name))
            reader_error_key(r, n, "name", ERR_SYNTAX, "found multiple remote write configs with job name %s",
                             reader_quote(r, w->name));
        else if (!w->named && !other->named && same_text(e, n))
            reader_error(r, n, ERR_SYNTAX,
                         "duplicate remote write configs are not allowed, found duplicate for URL: %.*s",
                         STR_ARGS(go_url_redacted(r->arena, w->url)));
        if (other->hash == w->hash)
            w->hash = hash_bytes_seed(STR("another"), hash + ++alike);
    }
    if (!w->named)
        w->name = str_c(arena_printf(r->arena, "%06x", (unsigned)(w->hash >> 40)));
}

void remote_writes_read(struct reader *r, struct node *list, bool legacy_names)
{
    struct plan *p = r->plan;
    if (!list || !reader_sequence(r, list, "[]*config.RemoteWriteConfig"))
        return;
    if (list->n > SCOPE_SLOTS) {
        reader_error_key(r, list, NULL, ERR_UNSUPPORTED,
                         "remote_write: not supported by leadline: more than %d destinations", SCOPE_SLOTS);
        return;
    }
    p->remote_writes = ARENA_ARRAY(r->arena, struct plan_remote_write, list->n);
    for (struct node *n = list->first; n; n = n->next) {
        struct plan_remote_write *w = &p->remote_writes[p->n_remote_writes];
        if (reader_is_null(n)) {
            reader_error(r, n, ERR_SYNTAX, "empty or null remote write config section");
            continue;
        }
        if (!read_one(r, n, legacy_names, w))
            continue;
        settle_identity(r, list, n, w);
        p->n_remote_writes++;
    }
}
