/* http_options: whether two blocks say the same, so that a reload keeps connections and tokens that it need not drop.
 *
 * Everything counts, order included: a list that is written in another order makes new connections, which costs little.
 * Pure.
 */
#include "net/http_options.h"

static bool headers_eq(const struct http_header *a, int n_a, const struct http_header *b, int n_b)
{
    if (n_a != n_b)
        return false;
    for (int i = 0; i < n_a; i++) {
        if (!str_eq(a[i].name, b[i].name) || !str_eq(a[i].value, b[i].value) || !str_eq(a[i].file, b[i].file) ||
            a[i].secret != b[i].secret)
            return false;
    }
    return true;
}

static bool tls_eq(const struct tls_options *a, const struct tls_options *b)
{
    return str_eq(a->ca, b->ca) && str_eq(a->ca_file, b->ca_file) && str_eq(a->cert, b->cert) &&
           str_eq(a->cert_file, b->cert_file) && str_eq(a->key, b->key) && str_eq(a->key_file, b->key_file) &&
           str_eq(a->server_name, b->server_name) && a->insecure_skip_verify == b->insecure_skip_verify &&
           a->min_version == b->min_version && a->max_version == b->max_version;
}

static bool scopes_eq(const struct oauth2_options *a, const struct oauth2_options *b)
{
    if (a->n_scopes != b->n_scopes)
        return false;
    for (int i = 0; i < a->n_scopes; i++) {
        if (!str_eq(a->scopes[i], b->scopes[i]))
            return false;
    }
    return true;
}

static bool params_eq(const struct oauth2_options *a, const struct oauth2_options *b)
{
    if (a->n_endpoint_params != b->n_endpoint_params)
        return false;
    for (int i = 0; i < a->n_endpoint_params; i++) {
        const struct http_param *x = &a->endpoint_params[i], *y = &b->endpoint_params[i];
        if (!str_eq(x->name, y->name) || !str_eq(x->value, y->value))
            return false;
    }
    return true;
}

bool oauth2_options_eq(const struct oauth2_options *a, const struct oauth2_options *b)
{
    if (!a || !b)
        return a == b;
    return a->grant == b->grant && str_eq(a->client_id, b->client_id) && str_eq(a->client_secret, b->client_secret) &&
           str_eq(a->client_secret_file, b->client_secret_file) &&
           str_eq(a->client_certificate_key, b->client_certificate_key) &&
           str_eq(a->client_certificate_key_file, b->client_certificate_key_file) &&
           str_eq(a->client_certificate_key_id, b->client_certificate_key_id) &&
           str_eq(a->signature_algorithm, b->signature_algorithm) && str_eq(a->iss, b->iss) &&
           str_eq(a->audience, b->audience) && str_eq(a->claims_json, b->claims_json) &&
           str_eq(a->token_url, b->token_url) && scopes_eq(a, b) && params_eq(a, b) && !a->http == !b->http &&
           (!a->http || http_options_eq(a->http, b->http));
}

bool http_options_eq(const struct http_options *a, const struct http_options *b)
{
    return str_eq(a->basic_username, b->basic_username) && str_eq(a->basic_username_file, b->basic_username_file) &&
           str_eq(a->basic_password, b->basic_password) && str_eq(a->basic_password_file, b->basic_password_file) &&
           str_eq(a->authorization_type, b->authorization_type) &&
           str_eq(a->authorization_credentials, b->authorization_credentials) &&
           str_eq(a->authorization_credentials_file, b->authorization_credentials_file) && tls_eq(&a->tls, &b->tls) &&
           oauth2_options_eq(a->oauth2, b->oauth2) && str_eq(a->proxy_url, b->proxy_url) &&
           str_eq(a->no_proxy, b->no_proxy) && a->proxy_from_environment == b->proxy_from_environment &&
           a->round_robin_dns == b->round_robin_dns && a->follow_redirects == b->follow_redirects &&
           a->enable_http2 == b->enable_http2 &&
           headers_eq(a->proxy_connect_headers, a->n_proxy_connect_headers, b->proxy_connect_headers,
                      b->n_proxy_connect_headers) &&
           headers_eq(a->headers, a->n_headers, b->headers, b->n_headers);
}
