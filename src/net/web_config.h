/* web_config: the file of --web.config.file: TLS, client certificates, passwords and headers of the HTTP server.
 *
 * Source: prometheus/exporter-toolkit docs/web-configuration.md. Keys are strict: what is not known is an error with
 * its position. Plain data, immutable, in an arena of its own; counted. One thread.
 */
#ifndef NET_WEB_CONFIG_H
#define NET_WEB_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "net/http_options.h"

enum client_auth {
    CLIENT_AUTH_NONE,
    CLIENT_AUTH_REQUEST,     /* asked for, not looked at */
    CLIENT_AUTH_REQUIRE_ANY, /* there must be one, whoever signed it */
    CLIENT_AUTH_VERIFY_IF_GIVEN,
    CLIENT_AUTH_REQUIRE_AND_VERIFY,
};

struct web_user {
    struct str name;
    struct str hash; /* bcrypt: $2b$10$, 22 characters of salt, 31 of hash */
};

struct web_config {
    uint32_t refs;
    struct arena arena;

    bool tls;                                       /* some key of tls_server_config is there */
    struct str cert, key, client_ca;                /* PEM in the file itself */
    struct str cert_file, key_file, client_ca_file; /* joined to the file's directory; they win over the above */
    enum client_auth client_auth;
    struct str *client_sans;
    uint32_t n_client_sans;
    bool has_client_sans;
    uint8_t min_version, max_version; /* 10 to 13 */
    bool prefer_server_cipher_suites;
    const char **cipher_suites; /* IANA names, of the ones that Go offers */
    uint32_t n_cipher_suites;
    const char **curves; /* CurveP256, ... */
    uint32_t n_curves;

    bool http2; /* taken; HTTP/1.1 is what is spoken either way */
    struct http_header *headers;
    uint32_t n_headers;
    struct web_user *users;
    uint32_t n_users;
    int64_t rate_interval_ns; /* one request each; 0: no limit */
    int64_t rate_burst;
};

/* `name` for messages, `directory` for relative paths. The certificates themselves are tls_server's to read. Errors
 * never show a key or a hash. */
enum err web_config_parse(struct str text, const char *name, struct str directory, struct web_config **out,
                          struct diag *d) MUST_USE;
enum err web_config_load(const char *path, struct web_config **out, struct diag *d) MUST_USE;
struct web_config *web_config_ref(struct web_config *c);
void web_config_unref(struct web_config *c); /* NULL is allowed; the last one wipes it */

#endif
