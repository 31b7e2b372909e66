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

struct http_options {
    struct str basic_username, basic_username_file, basic_password, basic_password_file;
    struct str authorization_type, authorization_credentials, authorization_credentials_file;
    struct tls_options tls;
    struct str proxy_url, no_proxy;
    bool proxy_from_environment;
    bool follow_redirects;
    bool enable_http2;
    struct http_header *headers; /* http_headers, or remote_write's headers */
    int n_headers;
};

#endif
