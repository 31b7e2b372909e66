/* web_config: see the header. One YAML file, read strictly:
 *
 *   tls_server_config:   cert cert_file key key_file client_ca client_ca_file client_auth_type client_allowed_sans
 *                        min_version max_version cipher_suites prefer_server_cipher_suites curve_preferences
 *   http_server_config:  http2, headers (five names, two of them with fixed values)
 *   rate_limit:          interval, burst
 *   basic_auth_users:    name: bcrypt hash
 *
 * A table names the keys of each mapping, with the kind of each and the place of its value. The first error ends the
 * reading: the file is small. What is refused is what the original refuses, and at the same moment: a certificate
 * without a key, client CAs without a policy, a cipher list without the suite that HTTP/2 demands. The texts of keys
 * and hashes are nobody's to see: messages name the key, and the memory is wiped when the last user is gone.
 */
#include "net/web_config.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/quote.h"
#include "base/units.h"
#include "wire/tree.h"

enum { MAX_FILE = 1 << 20, MAX_ITEMS = 1000 };

struct reading {
    struct web_config *c;
    const char *file;
    struct str directory;
    struct diag *d;
};

typedef enum err(read_fn)(struct reading *r, const struct node *n, void *out);

struct key {
    const char *name;
    read_fn *fn;
    size_t offset;
};

static enum err fail(struct reading *r, const struct node *n, enum err code, const char *fmt, ...) PRINTF_LIKE(4, 5);
static enum err fail(struct reading *r, const struct node *n, enum err code, const char *fmt, ...)
{
    char text[400];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return diag_at(r->d, code, r->file, n ? (int)n->line : 1, n ? (int)n->col : 1, "%s", text);
}

static enum err read_mapping(struct reading *r, const struct node *n, const char *type, const struct key *keys,
                             size_t n_keys, void *out)
{
    if (!n || n->kind == NODE_NULL)
        return OK;
    if (n->kind != NODE_MAPPING)
        return fail(r, n, ERR_SYNTAX, "expected a mapping, got a %s", node_kind_name(n->kind));
    for (const struct node *child = n->first; child; child = child->next) {
        const struct key *k = NULL;
        for (size_t i = 0; i < n_keys && !k; i++)
            k = str_eq_c(child->key, keys[i].name) ? &keys[i] : NULL;
        if (!k)
            return diag_at(r->d, ERR_SYNTAX, r->file, (int)child->key_line, (int)child->key_col,
                           "field %.*s not found in type %s", STR_ARGS(child->key), type);
        enum err err = k->fn(r, child, (char *)out + k->offset);
        if (err)
            return err;
    }
    return OK;
}

/* ---- kinds ---- */

static enum err read_text(struct reading *r, const struct node *n, void *out)
{
    if (n->kind == NODE_MAPPING || n->kind == NODE_SEQUENCE)
        return fail(r, n, ERR_SYNTAX, "%.*s: expected a text, got a %s", STR_ARGS(n->key), node_kind_name(n->kind));
    *(struct str *)out = n->kind == NODE_NULL ? STR_NONE : str_dup(&r->c->arena, n->text);
    return OK;
}

static enum err read_path(struct reading *r, const struct node *n, void *out)
{
    struct str *path = out;
    enum err err = read_text(r, n, path);

    if (!err && path->n && path->p[0] != '/' && r->directory.n)
        *path = str_c(arena_printf(&r->c->arena, "%.*s/%.*s", STR_ARGS(r->directory), STR_ARGS(*path)));
    return err;
}

static enum err read_bool(struct reading *r, const struct node *n, void *out)
{
    if (n->kind != NODE_BOOL && n->kind != NODE_NULL)
        return fail(r, n, ERR_SYNTAX, "%.*s: expected true or false", STR_ARGS(n->key));
    *(bool *)out = n->kind == NODE_BOOL && n->truth;
    return OK;
}

static enum err read_version(struct reading *r, const struct node *n, void *out)
{
    static const char *const names[] = {"TLS10", "TLS11", "TLS12", "TLS13"};

    for (uint8_t i = 0; i < COUNT_OF(names); i++) {
        if (n->kind != NODE_MAPPING && n->kind != NODE_SEQUENCE && str_eq_c(n->text, names[i])) {
            *(uint8_t *)out = (uint8_t)(10 + i);
            return OK;
        }
    }
    return fail(r, n, ERR_SYNTAX, "unknown TLS version: %.*s", STR_ARGS(n->text));
}

static enum err read_client_auth(struct reading *r, const struct node *n, void *out)
{
    static const struct {
        const char *name;
        enum client_auth value;
    } names[] = {
        {"", CLIENT_AUTH_NONE},
        {"NoClientCert", CLIENT_AUTH_NONE},
        {"RequestClientCert", CLIENT_AUTH_REQUEST},
        {"RequireAnyClientCert", CLIENT_AUTH_REQUIRE_ANY},
        {"RequireClientCert", CLIENT_AUTH_REQUIRE_ANY},
        {"VerifyClientCertIfGiven", CLIENT_AUTH_VERIFY_IF_GIVEN},
        {"RequireAndVerifyClientCert", CLIENT_AUTH_REQUIRE_AND_VERIFY},
    };
    struct str text;
    enum err err = read_text(r, n, &text);

    for (size_t i = 0; !err && i < COUNT_OF(names); i++) {
        if (str_eq_c(text, names[i].name)) {
            *(enum client_auth *)out = names[i].value;
            r->c->tls |= text.n > 0;
            return OK;
        }
    }
    return err ? err : fail(r, n, ERR_SYNTAX, "invalid ClientAuth: %.*s", STR_ARGS(text));
}

/* A list of texts that are each one of `known`; what is kept is the known one's name. */
static enum err read_known(struct reading *r, const struct node *n, const char *const *known, size_t n_known,
                           const char *what, const char ***out, uint32_t *n_out)
{
    if (n->kind == NODE_NULL)
        return OK;
    if (n->kind != NODE_SEQUENCE || n->n > MAX_ITEMS)
        return fail(r, n, ERR_SYNTAX, "%.*s: expected a list of at most %d names", STR_ARGS(n->key), MAX_ITEMS);
    *out = ARENA_ARRAY(&r->c->arena, const char *, n->n + 1);
    for (const struct node *item = n->first; item; item = item->next) {
        const char *found = NULL;
        for (size_t i = 0; i < n_known && !found; i++)
            found = str_eq_c(item->text, known[i]) ? known[i] : NULL;
        if (!found)
            return fail(r, item, ERR_SYNTAX, "unknown %s: %.*s", what, STR_ARGS(item->text));
        (*out)[(*n_out)++] = found;
    }
    return OK;
}

static enum err read_ciphers(struct reading *r, const struct node *n, void *out)
{
    static const char *const known[] = {
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    };

    (void)out;
    return read_known(r, n, known, COUNT_OF(known), "cipher", &r->c->cipher_suites, &r->c->n_cipher_suites);
}

static enum err read_curves(struct reading *r, const struct node *n, void *out)
{
    static const char *const known[] = {"CurveP256", "CurveP384", "CurveP521", "X25519"};

    (void)out;
    return read_known(r, n, known, COUNT_OF(known), "curve", &r->c->curves, &r->c->n_curves);
}

static enum err read_sans(struct reading *r, const struct node *n, void *out)
{
    struct web_config *c = r->c;

    (void)out;
    if (n->kind == NODE_NULL)
        return OK;
    if (n->kind != NODE_SEQUENCE || n->n > MAX_ITEMS)
        return fail(r, n, ERR_SYNTAX, "client_allowed_sans: expected a list of at most %d names", MAX_ITEMS);
    c->has_client_sans = true;
    c->client_sans = ARENA_ARRAY(&c->arena, struct str, n->n + 1);
    for (const struct node *item = n->first; item; item = item->next) {
        enum err err = read_text(r, item, &c->client_sans[c->n_client_sans]);
        if (err)
            return err;
        c->n_client_sans++;
    }
    return OK;
}

/* ---- the four mappings ---- */

#define CONFIG(name) offsetof(struct web_config, name)

static enum err check_tls(struct reading *r, const struct node *n)
{
    struct web_config *c = r->c;

    c->tls |= c->cert.n || c->cert_file.n || c->key.n || c->key_file.n || c->client_ca.n || c->client_ca_file.n;
    if (!c->tls)
        return OK;
    if (!c->cert_file.n && !c->cert.n)
        return fail(r, n, ERR_SYNTAX, "missing one of cert or cert_file");
    if (!c->key_file.n && !c->key.n)
        return fail(r, n, ERR_SYNTAX, "missing one of key or key_file");
    if ((c->client_ca.n || c->client_ca_file.n) && c->client_auth == CLIENT_AUTH_NONE)
        return fail(r, n, ERR_SYNTAX, "client CA's have been configured without a Client Auth Policy");
    if (c->min_version > c->max_version)
        return fail(r, n, ERR_SYNTAX, "min_version is above max_version: no client could connect");
    return OK;
}

static enum err read_tls(struct reading *r, const struct node *n, void *out)
{
    static const struct key keys[] = {
        {"cert", read_text, CONFIG(cert)},
        {"key", read_text, CONFIG(key)},
        {"client_ca", read_text, CONFIG(client_ca)},
        {"cert_file", read_path, CONFIG(cert_file)},
        {"key_file", read_path, CONFIG(key_file)},
        {"client_ca_file", read_path, CONFIG(client_ca_file)},
        {"client_auth_type", read_client_auth, CONFIG(client_auth)},
        {"client_allowed_sans", read_sans, 0},
        {"cipher_suites", read_ciphers, 0},
        {"curve_preferences", read_curves, 0},
        {"min_version", read_version, CONFIG(min_version)},
        {"max_version", read_version, CONFIG(max_version)},
        {"prefer_server_cipher_suites", read_bool, CONFIG(prefer_server_cipher_suites)},
    };
    enum err err = read_mapping(r, n, "web.TLSConfig", keys, COUNT_OF(keys), out);

    return err ? err : check_tls(r, n);
}

static enum err check_header(struct reading *r, const struct node *n)
{
    static const struct {
        const char *name, *one, *other;
    } known[] = {
        {"Strict-Transport-Security", NULL, NULL}, {"X-Content-Type-Options", "nosniff", "nosniff"},
        {"X-Frame-Options", "deny", "sameorigin"}, {"X-XSS-Protection", NULL, NULL},
        {"Content-Security-Policy", NULL, NULL},
    };

    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (!str_eq_c(n->key, known[i].name))
            continue;
        if (known[i].one && !str_eq_c(n->text, known[i].one) && !str_eq_c(n->text, known[i].other))
            return fail(r, n, ERR_SYNTAX, "invalid value for %s: expected %s%s%s, got \"%.*s\"", known[i].name,
                        known[i].one, known[i].one == known[i].other ? "" : " or ",
                        known[i].one == known[i].other ? "" : known[i].other, STR_ARGS(n->text));
        for (size_t k = 0; k < n->text.n; k++)
            if ((unsigned char)n->text.p[k] < ' ' && n->text.p[k] != '\t')
                return fail(r, n, ERR_SYNTAX, "HTTP header %s: its value holds a control character", known[i].name);
        return OK;
    }
    return fail(r, n, ERR_SYNTAX, "HTTP header \"%.*s\" can not be configured", STR_ARGS(n->key));
}

static enum err read_headers(struct reading *r, const struct node *n, void *out)
{
    struct web_config *c = r->c;

    (void)out;
    if (n->kind == NODE_NULL)
        return OK;
    if (n->kind != NODE_MAPPING || n->n > MAX_ITEMS)
        return fail(r, n, ERR_SYNTAX, "headers: expected a mapping");
    c->headers = ARENA_ARRAY(&c->arena, struct http_header, n->n + 1);
    for (const struct node *child = n->first; child; child = child->next) {
        struct http_header *h = &c->headers[c->n_headers];
        enum err err = read_text(r, child, &h->value);
        if (!err)
            err = check_header(r, child);
        if (err)
            return err;
        h->name = str_dup(&c->arena, child->key);
        h->value = h->value.p ? h->value : str_dup(&c->arena, STR(""));
        c->n_headers++;
    }
    return OK;
}

static enum err read_http(struct reading *r, const struct node *n, void *out)
{
    static const struct key keys[] = {{"http2", read_bool, CONFIG(http2)}, {"headers", read_headers, 0}};
    return read_mapping(r, n, "web.HTTPConfig", keys, COUNT_OF(keys), out);
}

static enum err read_interval(struct reading *r, const struct node *n, void *out)
{
    int64_t ns = 0;
    bool plain = n->kind == NODE_NUMBER && node_i64(n, &ns); /* go-yaml: nanoseconds */

    if (n->kind == NODE_NULL)
        return OK;
    if ((!plain &&
         (n->kind == NODE_MAPPING || n->kind == NODE_SEQUENCE || units_parse_go_duration(n->text, &ns, NULL) != OK)) ||
        ns < 0)
        return fail(r, n, ERR_SYNTAX, "interval: expected a duration such as 1s");
    *(int64_t *)out = ns;
    return OK;
}

static enum err read_burst(struct reading *r, const struct node *n, void *out)
{
    int64_t burst = 0;

    if (n->kind != NODE_NULL && (n->kind != NODE_NUMBER || !node_i64(n, &burst) || burst < 0 || burst > INT32_MAX))
        return fail(r, n, ERR_SYNTAX, "burst: expected a whole number");
    *(int64_t *)out = burst;
    return OK;
}

static enum err read_rate(struct reading *r, const struct node *n, void *out)
{
    static const struct key keys[] = {{"interval", read_interval, CONFIG(rate_interval_ns)},
                                      {"burst", read_burst, CONFIG(rate_burst)}};
    return read_mapping(r, n, "web.RateLimiterConfig", keys, COUNT_OF(keys), out);
}

/* $2y$10$ and 53 characters; Go's bcrypt also takes $2$10$. */
static bool is_bcrypt(struct str h)
{
    static const char letters[] = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    uint64_t cost;

    if (h.n < 59 || h.p[0] != '$' || h.p[1] != '2')
        return false;
    size_t at = h.p[2] == '$' ? 3 : 4;
    if (h.n != at + 56 || h.p[at - 1] != '$' || h.p[at + 2] != '$')
        return false;
    for (size_t i = at + 3; i < h.n; i++)
        if (!h.p[i] || !strchr(letters, h.p[i]))
            return false;
    return num_parse_u64(str_from(h.p + at, 2), &cost) == OK && cost >= 4 && cost <= 31;
}

static enum err read_users(struct reading *r, const struct node *n, void *out)
{
    struct web_config *c = r->c;

    (void)out;
    if (n->kind == NODE_NULL)
        return OK;
    if (n->kind != NODE_MAPPING)
        return fail(r, n, ERR_SYNTAX, "basic_auth_users: expected a mapping of names to bcrypt hashes");
    if (n->n > MAX_ITEMS)
        return fail(r, n, ERR_LIMIT, "basic_auth_users: at most %d users", MAX_ITEMS);
    c->users = ARENA_ARRAY(&c->arena, struct web_user, n->n + 1);
    for (const struct node *child = n->first; child; child = child->next) {
        struct web_user *u = &c->users[c->n_users];
        enum err err = read_text(r, child, &u->hash);
        if (err)
            return err;
        if (!is_bcrypt(u->hash))
            return fail(r, child, ERR_SYNTAX,
                        "basic_auth_users: the value of \"%.*s\" is not a bcrypt hash ($2y$10$ and 53 characters)",
                        STR_ARGS(child->key));
        u->name = str_dup(&c->arena, child->key);
        c->n_users++;
    }
    return OK;
}

/* Go's HTTP/2 server does not start without it. */
static enum err check_http2(struct reading *r, const struct node *root)
{
    struct web_config *c = r->c;

    if (!c->tls || !c->http2 || c->n_cipher_suites == 0 || c->min_version >= 13)
        return OK;
    for (uint32_t i = 0; i < c->n_cipher_suites; i++)
        if (str_ends(str_c(c->cipher_suites[i]), STR("_WITH_AES_128_GCM_SHA256")))
            return OK;
    return fail(r, root, ERR_SYNTAX,
                "cipher_suites is missing an HTTP/2-required AES_128_GCM_SHA256 cipher; add it, or set http2: false");
}

/* ---- whole files ---- */

static enum err read_root(struct reading *r, const struct node *root)
{
    static const struct key keys[] = {{"tls_server_config", read_tls, 0},
                                      {"http_server_config", read_http, 0},
                                      {"rate_limit", read_rate, 0},
                                      {"basic_auth_users", read_users, 0}};
    enum err err = read_mapping(r, root, "web.Config", keys, COUNT_OF(keys), r->c);

    return err ? err : check_http2(r, root);
}

enum err web_config_parse(struct str text, const char *name, struct str directory, struct web_config **out,
                          struct diag *d)
{
    struct web_config *c = NEW(struct web_config);
    struct reading r = {c, name, directory, d};
    struct arena tree = {0};
    struct node *root = NULL;

    c->refs = 1;
    c->min_version = 12;
    c->max_version = 13;
    c->prefer_server_cipher_suites = c->http2 = true;
    enum err err = tree_parse_yaml(text, name, &tree, &root, d);
    if (!err)
        err = read_root(&r, root);
    arena_release(&tree);
    if (err) {
        web_config_unref(c);
        return err;
    }
    *out = c;
    return OK;
}

enum err web_config_load(const char *path, struct web_config **out, struct diag *d)
{
    AUTO_BUF text = {0};
    const char *slash = strrchr(path, '/');
    enum err err = file_read(path, MAX_FILE, &text, d);

    if (err)
        return err;
    struct str directory = slash ? str_from(path, (size_t)(slash - path)) : STR(".");
    if (slash == path)
        directory = STR("/");
    err = web_config_parse(buf_view(&text), path, directory, out, d);
    explicit_bzero(text.p, text.n);
    return err;
}

struct web_config *web_config_ref(struct web_config *c)
{
    c->refs++;
    return c;
}

void web_config_unref(struct web_config *c)
{
    if (!c || --c->refs > 0)
        return;
    if (c->key.n)
        explicit_bzero((char *)c->key.p, c->key.n);
    for (uint32_t i = 0; i < c->n_users; i++)
        if (c->users[i].hash.n)
            explicit_bzero((char *)c->users[i].hash.p, c->users[i].hash.n);
    arena_release(&c->arena);
    free(c);
}
