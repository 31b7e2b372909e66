/* http_options: the HTTP client block of a scrape or a destination, as plain data (prometheus/common
 * config/http_config.go). Owned by the plan, immutable. Strings are NUL-terminated views; empty means unset.
 */
#ifndef NET_HTTP_OPTIONS_H
#define NET_HTTP_OPTIONS_H

#include <stdbool.h>

#include "base/str.h"

struct http_header {
    struct str name, value;
    bool secret;
    struct str file; /* when set, the value is the text of this file, trimmed, read at each request (options only) */
};

struct tls_options {
    struct str ca, ca_file, cert, cert_file, key, key_file, server_name;
    bool insecure_skip_verify;
    int min_version, max_version; /* 0 default, 10 .. 13 for TLS10 .. TLS13 */
};

struct http_param {
    struct str name, value;
};

enum oauth2_grant { OAUTH2_CLIENT_CREDENTIALS, OAUTH2_JWT_BEARER };

/* oauth2 of prometheus/common: a token is fetched before it is needed and renewed before it expires (RFC 6749 4.4,
 * RFC 7523). */
struct oauth2_options {
    enum oauth2_grant grant;
    struct str client_id, client_secret, client_secret_file;
    struct str client_certificate_key, client_certificate_key_file, client_certificate_key_id; /* JWT bearer */
    struct str signature_algorithm;                                                            /* RS256, RS384, RS512 */
    struct str iss, audience;
    struct str claims_json; /* an object, or empty */
    struct str *scopes;
    int n_scopes;
    struct str token_url;
    struct http_param *endpoint_params;
    int n_endpoint_params;
    struct http_options *http; /* of the token's request: TLS and proxy */
};

struct http_options {
    struct str basic_username, basic_username_file, basic_password, basic_password_file;
    struct str authorization_type, authorization_credentials, authorization_credentials_file;
    struct tls_options tls;
    struct oauth2_options *oauth2; /* NULL: none */
    struct str proxy_url, no_proxy;
    bool proxy_from_environment;
    struct http_header *proxy_connect_headers; /* secret all of them */
    int n_proxy_connect_headers;
    bool round_robin_dns; /* each new connection starts at a random one of the host's addresses */
    bool follow_redirects;
    bool enable_http2;
    struct http_header *headers; /* http_headers, or remote_write's headers */
    int n_headers;
};

/* True when requests with either are the same, secrets included. */
bool oauth2_options_eq(const struct oauth2_options *a, const struct oauth2_options *b); /* NULL allowed */
bool http_options_eq(const struct http_options *a, const struct http_options *b);

#endif
