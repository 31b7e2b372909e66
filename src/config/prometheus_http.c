/* prometheus_http: the HTTP client block, which stands among the keys of a scrape configuration and of a destination.
 *
 *   basic_auth { username, username_file, password, password_file }      one kind of
 *   authorization { type, credentials, credentials_file }                authentication
 *   bearer_token, bearer_token_file      the old spelling of authorization
 *   tls_config { ca, cert, key or their files, server_name, insecure_skip_verify, min_version, max_version }
 *   oauth2 { ... }                       prometheus_oauth2.c
 *   proxy_url, no_proxy, proxy_from_environment, proxy_connect_header { NAME: [secret, ...] }
 *   http_headers { NAME: { values, secrets, files } }
 *   follow_redirects, enable_http2
 *
 * Files are named relative to the configuration's directory and read when they are used, so that rotated credentials
 * are found; they need not exist when the configuration is loaded (but `check` looks). Keys that ask for a secret
 * manager (*_ref) are refused.
 */
#include <errno.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "config/prometheus_int.h"

/* ---- authentication ---- */

static const struct field basic_fields[] = {
    {.key = "username", .kind = FIELD_STRING, .offset = offsetof(struct http_options, basic_username)},
    {.key = "username_file", .kind = FIELD_PATH, .offset = offsetof(struct http_options, basic_username_file)},
    {.key = "username_ref", .kind = FIELD_REFUSED_STRING, .text = REF_TEXT},
    {.key = "password", .kind = FIELD_SECRET, .offset = offsetof(struct http_options, basic_password)},
    {.key = "password_file", .kind = FIELD_PATH, .offset = offsetof(struct http_options, basic_password_file)},
    {.key = "password_ref", .kind = FIELD_REFUSED_STRING, .text = REF_TEXT},
};
static const struct schema basic_schema = SCHEMA("config.BasicAuth", basic_fields);

static const struct field authorization_fields[] = {
    {.key = "type", .kind = FIELD_STRING, .offset = offsetof(struct http_options, authorization_type)},
    {.key = "credentials", .kind = FIELD_SECRET, .offset = offsetof(struct http_options, authorization_credentials)},
    {.key = "credentials_file",
     .kind = FIELD_PATH,
     .offset = offsetof(struct http_options, authorization_credentials_file)},
    {.key = "credentials_ref", .kind = FIELD_REFUSED_STRING, .text = REF_TEXT},
};
static const struct schema authorization_schema = SCHEMA("config.Authorization", authorization_fields);

static void read_basic_auth(struct reader *r, struct node *n, void *out)
{
    struct http_draft *d = out;
    if (reader_is_null(n))
        return;
    d->basic_auth = n;
    reader_mapping(r, n, &basic_schema, &d->options);
}

static void read_authorization(struct reader *r, struct node *n, void *out)
{
    struct http_draft *d = out;
    if (reader_is_null(n))
        return;
    d->authorization = n;
    reader_mapping(r, n, &authorization_schema, &d->options);
}

/* ---- TLS ---- */

static void read_tls_version(struct reader *r, struct node *n, void *out)
{
    struct str s;
    int *version = out;
    if (reader_is_skipped(n) || !reader_string(r, n, &s))
        return;
    if (s.n == 5 && str_starts(s, STR("TLS1")) && s.p[4] >= '0' && s.p[4] <= '3')
        *version = 10 + s.p[4] - '0';
    else
        reader_error(r, n, ERR_SYNTAX, "%.*s: unknown TLS version: %s", STR_ARGS(n->key), reader_quote(r, s));
}

static const struct field tls_fields[] = {
    {.key = "ca", .kind = FIELD_STRING, .offset = offsetof(struct tls_options, ca)},
    {.key = "ca_file", .kind = FIELD_PATH, .offset = offsetof(struct tls_options, ca_file)},
    {.key = "ca_ref", .kind = FIELD_REFUSED_STRING, .text = REF_TEXT},
    {.key = "cert", .kind = FIELD_STRING, .offset = offsetof(struct tls_options, cert)},
    {.key = "cert_file", .kind = FIELD_PATH, .offset = offsetof(struct tls_options, cert_file)},
    {.key = "cert_ref", .kind = FIELD_REFUSED_STRING, .text = REF_TEXT},
    {.key = "key", .kind = FIELD_SECRET, .offset = offsetof(struct tls_options, key)},
    {.key = "key_file", .kind = FIELD_PATH, .offset = offsetof(struct tls_options, key_file)},
    {.key = "key_ref", .kind = FIELD_REFUSED_STRING, .text = REF_TEXT},
    {.key = "server_name", .kind = FIELD_STRING, .offset = offsetof(struct tls_options, server_name)},
    {.key = "insecure_skip_verify", .kind = FIELD_BOOL, .offset = offsetof(struct tls_options, insecure_skip_verify)},
    {.key = "min_version",
     .kind = FIELD_CALL,
     .fn = read_tls_version,
     .offset = offsetof(struct tls_options, min_version)},
    {.key = "max_version",
     .kind = FIELD_CALL,
     .fn = read_tls_version,
     .offset = offsetof(struct tls_options, max_version)},
};
static const struct schema tls_schema = SCHEMA("config.plain", tls_fields);

static void validate_tls(struct reader *r, const struct node *n, const struct tls_options *t)
{
    bool cert = t->cert.n || t->cert_file.n, key = t->key.n || t->key_file.n;
    if (t->ca.n && t->ca_file.n)
        reader_error_key(r, n, "ca_file", ERR_SYNTAX, "at most one of ca, ca_file & ca_ref must be configured");
    if (t->cert.n && t->cert_file.n)
        reader_error_key(r, n, "cert_file", ERR_SYNTAX, "at most one of cert, cert_file & cert_ref must be configured");
    if (t->key.n && t->key_file.n)
        reader_error_key(r, n, "key_file", ERR_SYNTAX, "at most one of key and key_file must be configured");
    if (cert && !key)
        reader_error_key(r, n, t->cert.n ? "cert" : "cert_file", ERR_SYNTAX,
                         "exactly one of key or key_file must be configured when a client certificate is configured");
    if (key && !cert)
        reader_error_key(r, n, t->key.n ? "key" : "key_file", ERR_SYNTAX,
                         "exactly one of cert or cert_file must be configured when a client key is configured");
}

void http_tls_read(struct reader *r, struct node *n, void *out)
{
    struct tls_options *t = out;
    uint32_t before = r->errors->n;
    if (reader_mapping(r, n, &tls_schema, t) && r->errors->n == before)
        validate_tls(r, n, t);
}

/* ---- headers ---- */

/* Grown at powers of two: there are a handful. */
static void append_header(struct reader *r, struct http_header **v, int *n, struct http_header header)
{
    if ((*n & (*n - 1)) == 0) {
        struct http_header *longer = ARENA_ARRAY(r->arena, struct http_header, *n ? *n * 2 : 1);
        if (*n)
            memcpy(longer, *v, (size_t)*n * sizeof(**v));
        *v = longer;
    }
    (*v)[(*n)++] = header;
}

void http_add_header(struct reader *r, struct http_options *o, struct str name, struct str value, bool secret)
{
    append_header(r, &o->headers, &o->n_headers, (struct http_header){.name = name, .value = value, .secret = secret});
}

/* As Go writes them canonically. */
static const char *const reserved_headers[] = {
    "Authorization",
    "Host",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "User-Agent",
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Www-Authenticate",
    "Accept-Encoding",
    "X-Prometheus-Remote-Write-Version",
    "X-Prometheus-Remote-Read-Version",
    "X-Prometheus-Scrape-Timeout-Seconds",
    "X-Amz-Date",
    "X-Amz-Security-Token",
    "X-Amz-Content-Sha256",
};

static void add_values(struct reader *r, struct http_draft *d, struct str name, struct node *list, bool secret)
{
    struct str *values;
    uint32_t n;
    if (!list || !reader_strings(r, list, "[]string", &values, &n))
        return;
    for (uint32_t i = 0; i < n; i++)
        http_add_header(r, &d->options, name, values[i], secret);
    for (struct node *e = secret ? list->first : NULL; e; e = e->next)
        reader_redact(r, e);
}

struct header_nodes {
    struct node *values, *secrets, *files;
};

static const struct field header_fields[] = {
    {.key = "values", .kind = FIELD_NODE, .offset = offsetof(struct header_nodes, values)},
    {.key = "secrets", .kind = FIELD_NODE, .offset = offsetof(struct header_nodes, secrets)},
    {.key = "files", .kind = FIELD_NODE, .offset = offsetof(struct header_nodes, files)},
};
static const struct schema header_schema = SCHEMA("config.Header", header_fields);

static void add_files(struct reader *r, struct http_draft *d, struct str name, struct node *list)
{
    struct str *files;
    uint32_t n;
    if (!list || !reader_strings(r, list, "[]string", &files, &n))
        return;
    for (uint32_t i = 0; i < n; i++) {
        http_add_header(r, &d->options, name, STR(""), true);
        d->options.headers[d->options.n_headers - 1].file = reader_path(r, files[i]);
    }
}

static void read_headers(struct reader *r, struct node *n, void *out)
{
    struct http_draft *d = out;
    if (reader_is_null(n))
        return;
    if (n->kind != NODE_MAPPING) {
        reader_type_error(r, n, "config.Headers");
        return;
    }
    for (struct node *c = n->first; c; c = c->next) {
        struct header_nodes nodes = {0};
        struct str name = str_dup(r->arena, c->key);
        for (size_t i = 0; i < COUNT_OF(reserved_headers); i++) {
            if (str_eq_nocase(name, str_c(reserved_headers[i])))
                reader_error_key(r, c, NULL, ERR_SYNTAX, "setting header \"%s\" is not allowed", reserved_headers[i]);
        }
        if (!reader_mapping(r, c, &header_schema, &nodes))
            continue;
        add_values(r, d, name, nodes.values, false);
        add_values(r, d, name, nodes.secrets, true);
        add_files(r, d, name, nodes.files);
    }
}

/* ---- proxy ---- */

static void read_proxy_url(struct reader *r, struct node *n, void *out)
{
    struct http_draft *d = out;
    static const struct field field = {
        .key = "proxy_url", .kind = FIELD_URL, .offset = offsetof(struct http_options, proxy_url)};
    if (reader_is_skipped(n))
        return;
    d->proxy_url = n;
    reader_field(r, &field, n, &d->options);
}

static void read_connect_header(struct reader *r, struct node *n, void *out)
{
    struct http_draft *d = out;
    if (reader_is_null(n))
        return;
    if (n->kind != NODE_MAPPING) {
        reader_type_error(r, n, "config.ProxyHeader");
        return;
    }
    d->connect_header = n->n ? n : NULL;
    for (struct node *c = n->first; c; c = c->next) {
        struct str *values, name = str_dup(r->arena, c->key);
        uint32_t count;
        if (!reader_strings(r, c, "[]config.Secret", &values, &count))
            continue;
        for (uint32_t i = 0; i < count; i++)
            append_header(r, &d->options.proxy_connect_headers, &d->options.n_proxy_connect_headers,
                          (struct http_header){.name = name, .value = values[i], .secret = true});
        for (struct node *e = c->first; e; e = e->next)
            reader_redact(r, e);
    }
}

#define OPTION(name) offsetof(struct http_draft, options.name)

static const struct field proxy_fields[] = {
    {.key = "proxy_url", .kind = FIELD_CALL, .fn = read_proxy_url},
    {.key = "no_proxy", .kind = FIELD_STRING, .offset = OPTION(no_proxy)},
    {.key = "proxy_from_environment", .kind = FIELD_BOOL, .offset = OPTION(proxy_from_environment)},
    {.key = "proxy_connect_header", .kind = FIELD_CALL, .fn = read_connect_header},
};
const struct schema http_proxy_schema = SCHEMA("config.ProxyConfig", proxy_fields);

/* ---- the block ---- */

static const struct field http_fields[] = {
    {.key = "basic_auth", .kind = FIELD_CALL, .fn = read_basic_auth},
    {.key = "authorization", .kind = FIELD_CALL, .fn = read_authorization},
    {.key = "oauth2", .kind = FIELD_CALL, .fn = oauth2_read},
    {.key = "bearer_token", .kind = FIELD_SECRET, .offset = offsetof(struct http_draft, bearer_token)},
    {.key = "bearer_token_file", .kind = FIELD_PATH, .offset = offsetof(struct http_draft, bearer_token_file)},
    {.key = "tls_config", .kind = FIELD_CALL, .fn = http_tls_read, .offset = OPTION(tls)},
    {.key = "follow_redirects", .kind = FIELD_BOOL, .offset = OPTION(follow_redirects)},
    {.key = "enable_http2", .kind = FIELD_BOOL, .offset = OPTION(enable_http2)},
    {.key = "http_headers", .kind = FIELD_CALL, .fn = read_headers},
    {.kind = FIELD_INLINE, .schema = &http_proxy_schema},
};
const struct schema http_schema = SCHEMA("config.HTTPClientConfig", http_fields);

void http_draft_init(struct http_draft *d, bool enable_http2)
{
    *d = (struct http_draft){.options = {.follow_redirects = true, .enable_http2 = enable_http2}};
}

static void validate_basic(struct reader *r, const struct http_draft *d)
{
    const struct http_options *o = &d->options;
    if (!d->basic_auth)
        return;
    if (o->basic_username.n && o->basic_username_file.n)
        reader_error_key(r, d->basic_auth, "username_file", ERR_SYNTAX,
                         "at most one of basic_auth username, username_file & username_ref must be configured");
    if (o->basic_password.n && o->basic_password_file.n)
        reader_error_key(r, d->basic_auth, "password_file", ERR_SYNTAX,
                         "at most one of basic_auth password, password_file & password_ref must be configured");
}

static void validate_authorization(struct reader *r, const struct http_draft *d, bool bearer)
{
    const struct http_options *o = &d->options;
    const struct node *n = d->authorization;
    if (bearer)
        reader_error_key(r, n, NULL, ERR_SYNTAX,
                         "authorization is not compatible with bearer_token & bearer_token_file");
    else if (o->authorization_credentials.n && o->authorization_credentials_file.n)
        reader_error_key(r, n, "credentials_file", ERR_SYNTAX,
                         "at most one of authorization credentials & credentials_file must be configured");
    else if (str_eq_nocase(str_trim(o->authorization_type), STR("basic")))
        reader_error_key(r, n, "type", ERR_SYNTAX,
                         "authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
    else if (d->basic_auth || d->oauth2)
        reader_error_key(r, n, NULL, ERR_SYNTAX,
                         "at most one of basic_auth, oauth2 & authorization must be configured");
}

static void validate_auth(struct reader *r, const struct node *mapping, const struct http_draft *d)
{
    bool bearer = d->bearer_token.n || d->bearer_token_file.n;
    if (d->bearer_token.n && d->bearer_token_file.n)
        reader_error_key(r, mapping, "bearer_token_file", ERR_SYNTAX,
                         "at most one of bearer_token & bearer_token_file must be configured");
    else if ((d->basic_auth || d->oauth2) && bearer)
        reader_error_key(r, mapping, d->basic_auth ? "basic_auth" : "oauth2", ERR_SYNTAX,
                         "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured");
    validate_basic(r, d);
    if (d->authorization)
        validate_authorization(r, d, bearer);
    else if (d->oauth2 && d->basic_auth)
        reader_error_key(r, mapping, "oauth2", ERR_SYNTAX,
                         "at most one of basic_auth, oauth2 & authorization must be configured");
    if (d->oauth2)
        oauth2_validate(r, d->oauth2, d->options.oauth2);
}

void http_proxy_validate(struct reader *r, const struct node *mapping, const struct http_draft *d)
{
    const struct http_options *o = &d->options;
    if (d->connect_header && !o->proxy_from_environment && o->proxy_url.n == 0)
        reader_error_key(r, mapping, "proxy_connect_header", ERR_SYNTAX,
                         "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be "
                         "configured");
    else if (o->proxy_from_environment && o->proxy_url.n)
        reader_error_key(r, mapping, "proxy_url", ERR_SYNTAX,
                         "if proxy_from_environment is configured, proxy_url must not be configured");
    else if (o->proxy_from_environment && o->no_proxy.n)
        reader_error_key(r, mapping, "no_proxy", ERR_SYNTAX,
                         "if proxy_from_environment is configured, no_proxy must not be configured");
    else if (!d->proxy_url && o->no_proxy.n)
        reader_error_key(r, mapping, "no_proxy", ERR_SYNTAX,
                         "if no_proxy is configured, proxy_url must also be configured");
}

static void check_file(struct reader *r, const struct node *mapping, const char *key, struct str path)
{
    struct stat st;
    if (path.n && stat(path.p, &st) != 0)
        reader_error_key(r, mapping, key, ERR_IO, "%s: error checking file %s: %s", key, reader_quote(r, path),
                         strerrordesc_np(errno));
}

static void check_files(struct reader *r, const struct node *mapping, const struct http_draft *d)
{
    const struct http_options *o = &d->options;
    const struct node *tls = node_find(mapping, "tls_config");
    check_file(r, d->basic_auth ? d->basic_auth : mapping, "username_file", o->basic_username_file);
    check_file(r, d->basic_auth ? d->basic_auth : mapping, "password_file", o->basic_password_file);
    check_file(r, d->authorization ? d->authorization : mapping, "credentials_file", o->authorization_credentials_file);
    check_file(r, mapping, "bearer_token_file", d->bearer_token_file);
    check_file(r, tls ? tls : mapping, "ca_file", o->tls.ca_file);
    check_file(r, tls ? tls : mapping, "cert_file", o->tls.cert_file);
    check_file(r, tls ? tls : mapping, "key_file", o->tls.key_file);
    for (int i = 0; i < o->n_headers; i++)
        check_file(r, mapping, "http_headers", o->headers[i].file);
    if (!d->oauth2)
        return;
    check_file(r, d->oauth2, "client_secret_file", o->oauth2->client_secret_file);
    check_file(r, d->oauth2, "client_certificate_key_file", o->oauth2->client_certificate_key_file);
    tls = node_find(d->oauth2, "tls_config");
    check_file(r, tls ? tls : d->oauth2, "ca_file", o->oauth2->http->tls.ca_file);
    check_file(r, tls ? tls : d->oauth2, "cert_file", o->oauth2->http->tls.cert_file);
    check_file(r, tls ? tls : d->oauth2, "key_file", o->oauth2->http->tls.key_file);
}

void http_draft_finish(struct reader *r, struct node *mapping, struct http_draft *d, struct http_options *out)
{
    struct http_options *o = &d->options;
    validate_auth(r, mapping, d);
    http_proxy_validate(r, mapping, d);
    if (r->options->check_files)
        check_files(r, mapping, d);
    o->authorization_type = str_trim(o->authorization_type);
    if (d->bearer_token.n)
        o->authorization_credentials = d->bearer_token;
    if (d->bearer_token_file.n)
        o->authorization_credentials_file = d->bearer_token_file;
    if ((d->authorization || d->bearer_token.n || d->bearer_token_file.n) && o->authorization_type.n == 0)
        o->authorization_type = STR("Bearer");
    *out = *o;
}
