/* prometheus_oauth2: the oauth2 section of an HTTP client block.
 *
 *   oauth2:
 *     client_id, client_secret | client_secret_file                      grant_type: client_credentials (the default)
 *     client_certificate_key | client_certificate_key_file               grant_type: ...:jwt-bearer
 *     client_certificate_key_id, signature_algorithm, iss, audience, claims
 *     token_url, scopes, endpoint_params { NAME: value }
 *     tls_config, proxy_url, no_proxy, proxy_from_environment, proxy_connect_header     of the token's request
 *
 * The original takes any other grant type for client credentials, which is said in a warning. Claims are whatever YAML
 * says, kept as the JSON object that goes into the token. The path of a certificate's key is taken as it stands: of all
 * files of a configuration it is the one that the original does not seek beside the configuration.
 */
#include "base/buf.h"
#include "base/mem.h"
#include "config/prometheus_int.h"

#define JWT_BEARER "urn:ietf:params:oauth:grant-type:jwt-bearer"

struct oauth2_draft {
    struct oauth2_options o;
    struct http_draft http; /* tls_config and the proxy of the token's request */
    struct str grant_type;
    struct node *scopes, *params, *claims;
};

#define OAUTH2(name) offsetof(struct oauth2_draft, o.name)
#define DRAFT(name)  offsetof(struct oauth2_draft, name)

static const struct field oauth2_fields[] = {
    {.key = "client_id", .kind = FIELD_STRING, .offset = OAUTH2(client_id)},
    {.key = "client_secret", .kind = FIELD_SECRET, .offset = OAUTH2(client_secret)},
    {.key = "client_secret_file", .kind = FIELD_PATH, .offset = OAUTH2(client_secret_file)},
    {.key = "client_secret_ref", .kind = FIELD_REFUSED_STRING, .text = REF_TEXT},
    {.key = "client_certificate_key_id", .kind = FIELD_STRING, .offset = OAUTH2(client_certificate_key_id)},
    {.key = "client_certificate_key", .kind = FIELD_SECRET, .offset = OAUTH2(client_certificate_key)},
    {.key = "client_certificate_key_file", .kind = FIELD_STRING, .offset = OAUTH2(client_certificate_key_file)},
    {.key = "client_certificate_key_ref", .kind = FIELD_REFUSED_STRING, .text = REF_TEXT},
    {.key = "grant_type", .kind = FIELD_STRING, .offset = DRAFT(grant_type)},
    {.key = "signature_algorithm", .kind = FIELD_STRING, .offset = OAUTH2(signature_algorithm)},
    {.key = "iss", .kind = FIELD_STRING, .offset = OAUTH2(iss)},
    {.key = "audience", .kind = FIELD_STRING, .offset = OAUTH2(audience)},
    {.key = "claims", .kind = FIELD_NODE, .offset = DRAFT(claims)},
    {.key = "scopes", .kind = FIELD_NODE, .offset = DRAFT(scopes)},
    {.key = "token_url", .kind = FIELD_STRING, .offset = OAUTH2(token_url)},
    {.key = "endpoint_params", .kind = FIELD_NODE, .offset = DRAFT(params)},
    {.key = "tls_config", .kind = FIELD_CALL, .fn = http_tls_read, .offset = DRAFT(http.options.tls)},
    {.kind = FIELD_INLINE, .schema = &http_proxy_schema, .offset = DRAFT(http)},
};
static const struct schema oauth2_schema = SCHEMA("config.plain", oauth2_fields);

static void read_claims(struct reader *r, const struct node *n, struct oauth2_options *o)
{
    AUTO_BUF text = {0};
    if (!n)
        return;
    if (n->kind != NODE_MAPPING) {
        reader_type_error(r, n, "map[string]interface {}");
        return;
    }
    tree_print_json(n, &text);
    o->claims_json = n->n ? str_dup(r->arena, buf_view(&text)) : STR_NONE;
}

static void read_params(struct reader *r, struct node *n, struct oauth2_options *o)
{
    if (!n)
        return;
    if (n->kind != NODE_MAPPING) {
        reader_type_error(r, n, "map[string]string");
        return;
    }
    o->endpoint_params = ARENA_ARRAY(r->arena, struct http_param, n->n + 1);
    for (struct node *c = n->first; c; c = c->next) {
        struct http_param *p = &o->endpoint_params[o->n_endpoint_params];
        p->name = str_dup(r->arena, c->key);
        o->n_endpoint_params += reader_string(r, c, &p->value);
    }
}

void oauth2_read(struct reader *r, struct node *n, void *out)
{
    struct http_draft *outer = out;
    struct oauth2_draft d = {.grant_type = STR("")};
    struct oauth2_options *o = &d.o;
    uint32_t n_scopes = 0, before = r->errors->n;
    if (reader_is_skipped(n))
        return;
    http_draft_init(&d.http, true);
    if (!reader_mapping(r, n, &oauth2_schema, &d))
        return;
    read_claims(r, d.claims, o);
    read_params(r, d.params, o);
    if (d.scopes)
        reader_strings(r, d.scopes, "[]string", &o->scopes, &n_scopes);
    o->n_scopes = (int)n_scopes;
    if (r->errors->n == before)
        http_proxy_validate(r, n, &d.http);
    o->grant = str_eq_c(d.grant_type, JWT_BEARER) ? OAUTH2_JWT_BEARER : OAUTH2_CLIENT_CREDENTIALS;
    if (o->grant == OAUTH2_CLIENT_CREDENTIALS && d.grant_type.n && !str_eq_c(d.grant_type, "client_credentials"))
        reader_warn(
            r, node_find(n, "grant_type"),
            "grant_type: %s is taken for client_credentials, as the original takes it; the other one is " JWT_BEARER,
            reader_quote(r, d.grant_type));
    o->http = ARENA_NEW(r->arena, struct http_options);
    *o->http = d.http.options;
    outer->options.oauth2 = ARENA_NEW(r->arena, struct oauth2_options);
    *outer->options.oauth2 = *o;
    outer->oauth2 = n;
}

static void validate_jwt(struct reader *r, const struct node *n, const struct oauth2_options *o)
{
    struct str a = o->signature_algorithm;
    if (o->client_certificate_key.n && o->client_certificate_key_file.n)
        reader_error_key(r, n, "client_certificate_key_file", ERR_SYNTAX,
                         "at most one of oauth2 client_certificate_key, client_certificate_key_file & "
                         "client_certificate_key_ref must be configured using grant-type=" JWT_BEARER);
    if (a.n && !str_eq_c(a, "RS256") && !str_eq_c(a, "RS384") && !str_eq_c(a, "RS512"))
        reader_error_key(r, n, "signature_algorithm", ERR_SYNTAX,
                         "valid signature algorithms are RS256, RS384 and RS512");
}

void oauth2_validate(struct reader *r, const struct node *n, const struct oauth2_options *o)
{
    if (o->client_id.n == 0)
        reader_error_key(r, n, "client_id", ERR_SYNTAX, "oauth2 client_id must be configured");
    if (o->token_url.n == 0)
        reader_error_key(r, n, "token_url", ERR_SYNTAX, "oauth2 token_url must be configured");
    if (o->grant == OAUTH2_JWT_BEARER)
        validate_jwt(r, n, o);
    else if (o->client_secret.n && o->client_secret_file.n)
        reader_error_key(r, n, "client_secret_file", ERR_SYNTAX,
                         "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be "
                         "configured using grant-type=client_credentials");
}
