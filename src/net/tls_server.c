/* tls_server: web_config's words in GnuTLS, which is what libmicrohttpd's TLS is made of.
 *
 *   versions        -VERS-ALL:+VERS-TLS1.2:+VERS-TLS1.3
 *   cipher_suites   a suite is (key exchange, cipher, MAC). The key exchange follows from the certificate: suites for
 *                   another kind of key cannot be used with it and are left out, and the rest differ in the cipher
 *                   only. So the list can be met exactly. TLS 1.3 takes those of its ciphers that the list names; Go
 *                   always offers all three there.
 *   curves          -GROUP-ALL:+GROUP-X25519...
 *   client_auth     asked for or demanded in the handshake, and verified there: a client that is not let in sees an
 *                   alert, as with the original
 *   no list         the suites that Go offers: ECDHE only
 *
 * libmicrohttpd sets up each session with a certificate of its own; tls_server_apply replaces all of that before the
 * handshake, so that a renewed certificate serves the next connection without a restart.
 *
 * client_allowed_sans: one of the client certificate's names (DNS, mail, IP address, URI) has to be in the list.
 */
#include "net/tls_server.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"

enum { MAX_PEM = 1 << 20 };

struct tls_server {
    uint32_t refs;
    struct web_config *config;
    struct buf cert, key;
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priority;
};

/* ---- the priority string ---- */

struct suite {
    const char *name, *cipher, *mac;
    bool ecdsa, rsa; /* TLS 1.2: what key it needs; TLS 1.3: any */
};

static const struct suite suites[] = {
    {"TLS_AES_128_GCM_SHA256", "AES-128-GCM", "AEAD", false, false},
    {"TLS_AES_256_GCM_SHA384", "AES-256-GCM", "AEAD", false, false},
    {"TLS_CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305", "AEAD", false, false},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "AES-128-CBC", "SHA1", true, false},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "AES-256-CBC", "SHA1", true, false},
    {"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "AES-128-CBC", "SHA1", false, true},
    {"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "AES-256-CBC", "SHA1", false, true},
    {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "AES-128-GCM", "AEAD", true, false},
    {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "AES-256-GCM", "AEAD", true, false},
    {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "AES-128-GCM", "AEAD", false, true},
    {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "AES-256-GCM", "AEAD", false, true},
    {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305", "AEAD", false, true},
    {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305", "AEAD", true, false},
};

static void put_versions(const struct web_config *c, struct buf *out)
{
    buf_c(out, "NORMAL:-VERS-ALL");
    for (int v = c->max_version; v >= c->min_version; v--)
        buf_printf(out, ":+VERS-TLS1.%d", v - 10);
}

/* False when none of the list goes with this kind of key. */
static bool put_ciphers(const struct web_config *c, bool rsa, struct buf *out)
{
    bool aead = false, sha1 = false;

    buf_printf(out, ":-KX-ALL:+%s:-CIPHER-ALL:-MAC-ALL", rsa ? "ECDHE-RSA" : "ECDHE-ECDSA");
    if (c->n_cipher_suites == 0) {
        buf_c(out, ":+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-CBC:+AES-256-CBC:+AEAD:+SHA1");
        return true;
    }
    for (uint32_t i = 0; i < c->n_cipher_suites; i++) {
        const struct suite *s = suites;
        while (strcmp(s->name, c->cipher_suites[i]) != 0)
            s++;
        bool any = !s->rsa && !s->ecdsa;
        if (any ? c->max_version < 13 : s->rsa != rsa)
            continue;
        buf_printf(out, ":+%s", s->cipher);
        aead |= s->mac[0] == 'A';
        sha1 |= s->mac[0] == 'S';
    }
    buf_printf(out, "%s%s", aead ? ":+AEAD" : "", sha1 ? ":+SHA1" : "");
    return aead || (sha1 && c->min_version <= 12);
}

static void put_curves(const struct web_config *c, struct buf *out)
{
    static const struct {
        const char *name, *group;
    } groups[] = {
        {"CurveP256", "SECP256R1"}, {"CurveP384", "SECP384R1"}, {"CurveP521", "SECP521R1"}, {"X25519", "X25519"}};

    if (c->n_curves == 0)
        return;
    buf_c(out, ":-GROUP-ALL");
    for (uint32_t i = 0; i < c->n_curves; i++)
        for (size_t k = 0; k < COUNT_OF(groups); k++)
            if (strcmp(groups[k].name, c->curves[i]) == 0)
                buf_printf(out, ":+GROUP-%s", groups[k].group);
}

static enum err set_priority(struct tls_server *t, bool rsa, struct diag *d)
{
    AUTO_BUF text = {0};

    put_versions(t->config, &text);
    if (!put_ciphers(t->config, rsa, &text))
        return diag_set(d, ERR_TLS, "cipher_suites: none of them can be used with this certificate, whose key is %s",
                        rsa ? "RSA" : "ECDSA");
    put_curves(t->config, &text);
    buf_c(&text, t->config->prefer_server_cipher_suites ? ":%SERVER_PRECEDENCE" : "");
    int code = gnutls_priority_init(&t->priority, text.p, NULL);
    if (code)
        return diag_set(d, ERR_TLS, "these TLS settings do not go together: %s", gnutls_strerror(code));
    return OK;
}

/* ---- certificates ---- */

static enum err read_pem(struct str text, struct str file, const char *what, struct buf *out, struct diag *d)
{
    struct diag why = {0};

    if (!file.n) {
        buf_str(out, text);
        return OK;
    }
    enum err err = file_read(file.p, MAX_PEM, out, &why);
    return err ? diag_set(d, err, "failed to read %s (%s): %s", what, file.p, why.text) : OK;
}

static gnutls_datum_t datum(const struct buf *b)
{
    return (gnutls_datum_t){(unsigned char *)b->p, (unsigned)b->n};
}

static bool key_is_rsa(struct tls_server *t)
{
    gnutls_x509_crt_t *list = NULL;
    unsigned n = 0, bits;
    bool rsa = true;

    if (gnutls_certificate_get_x509_crt(t->credentials, 0, &list, &n))
        return true;
    if (n) {
        int algorithm = gnutls_x509_crt_get_pk_algorithm(list[0], &bits);
        rsa = algorithm == GNUTLS_PK_RSA || algorithm == GNUTLS_PK_RSA_PSS;
    }
    for (unsigned i = 0; i < n; i++)
        gnutls_x509_crt_deinit(list[i]);
    gnutls_free(list);
    return rsa;
}

static enum err load_key_pair(struct tls_server *t, struct diag *d)
{
    const struct web_config *c = t->config;
    enum err err = read_pem(c->cert, c->cert_file, "cert_file", &t->cert, d);

    if (!err)
        err = read_pem(c->key, c->key_file, "key_file", &t->key, d);
    if (err)
        return err;
    gnutls_datum_t cert = datum(&t->cert), key = datum(&t->key);
    int code = gnutls_certificate_set_x509_key_mem(t->credentials, &cert, &key, GNUTLS_X509_FMT_PEM);
    if (code)
        return diag_set(d, ERR_TLS, "failed to load certificate and key: %s", gnutls_strerror(code));
    return OK;
}

static enum err load_client_ca(struct tls_server *t, struct diag *d)
{
    const struct web_config *c = t->config;
    AUTO_BUF ca = {0};
    enum err err = read_pem(c->client_ca, c->client_ca_file, "client_ca_file", &ca, d);

    if (err)
        return err;
    if (ca.n == 0) { /* none named: the system's, as in Go */
        gnutls_certificate_set_x509_system_trust(t->credentials);
        return OK;
    }
    gnutls_datum_t pem = datum(&ca);
    int code = gnutls_certificate_set_x509_trust_mem(t->credentials, &pem, GNUTLS_X509_FMT_PEM);
    if (code <= 0)
        return diag_set(d, ERR_TLS, "client_ca: no certificate in it%s%s", code ? ": " : "",
                        code ? gnutls_strerror(code) : "");
    return OK;
}

static bool verifies(const struct web_config *c)
{
    return c->client_auth == CLIENT_AUTH_VERIFY_IF_GIVEN || c->client_auth == CLIENT_AUTH_REQUIRE_AND_VERIFY;
}

enum err tls_server_new(struct web_config *c, struct tls_server **out, struct diag *d)
{
    struct tls_server *t = NEW(struct tls_server);

    t->refs = 1;
    t->config = web_config_ref(c);
    CHECK(gnutls_certificate_allocate_credentials(&t->credentials) == 0);
    enum err err = load_key_pair(t, d);
    if (!err && verifies(c))
        err = load_client_ca(t, d);
    if (!err)
        err = set_priority(t, key_is_rsa(t), d);
    if (err) {
        tls_server_unref(t);
        return err;
    }
    *out = t;
    return OK;
}

struct tls_server *tls_server_ref(struct tls_server *t)
{
    t->refs++;
    return t;
}

void tls_server_unref(struct tls_server *t)
{
    if (!t || --t->refs > 0)
        return;
    if (t->priority)
        gnutls_priority_deinit(t->priority);
    gnutls_certificate_free_credentials(t->credentials);
    web_config_unref(t->config);
    if (t->key.p)
        explicit_bzero(t->key.p, t->key.cap);
    buf_release(&t->cert);
    buf_release(&t->key);
    free(t);
}

const char *tls_server_cert(const struct tls_server *t)
{
    return t->cert.p;
}

const char *tls_server_key(const struct tls_server *t)
{
    return t->key.p;
}

/* ---- a client's certificate, in the handshake ---- */

static bool san_allowed(const struct web_config *c, struct str name)
{
    for (uint32_t i = 0; i < c->n_client_sans; i++)
        if (str_eq(c->client_sans[i], name))
            return true;
    return false;
}

static bool one_san_allowed(const struct web_config *c, gnutls_x509_crt_t certificate)
{
    char value[1024], ip[INET6_ADDRSTRLEN];

    for (unsigned i = 0;; i++) {
        size_t n = sizeof(value);
        int type = gnutls_x509_crt_get_subject_alt_name(certificate, i, value, &n, NULL);
        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            return false;
        if (type == GNUTLS_E_SHORT_MEMORY_BUFFER)
            continue;
        if (type < 0)
            return false;
        struct str name = str_from(value, n);
        if (type == GNUTLS_SAN_IPADDRESS)
            name = str_c(inet_ntop(n == 4 ? AF_INET : AF_INET6, value, ip, sizeof(ip)));
        if ((type == GNUTLS_SAN_DNSNAME || type == GNUTLS_SAN_RFC822NAME || type == GNUTLS_SAN_URI ||
             (type == GNUTLS_SAN_IPADDRESS && (n == 4 || n == 16))) &&
            san_allowed(c, name))
            return true;
    }
}

/* 0 lets the client in; anything else ends the handshake. */
static int verify_client(gnutls_session_t session)
{
    const struct tls_server *t = gnutls_session_get_ptr(session);
    const struct web_config *c = t->config;
    gnutls_typed_vdata_st purpose = {GNUTLS_DT_KEY_PURPOSE_OID, (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT, 0};
    gnutls_x509_crt_t certificate;
    unsigned n = 0, status = 0;
    const gnutls_datum_t *list = gnutls_certificate_get_peers(session, &n);

    if (!list || n == 0) /* where one is demanded, its absence has ended the handshake already */
        return 0;
    if (verifies(c) && (gnutls_certificate_verify_peers(session, &purpose, 1, &status) || status))
        return GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
    if (!c->has_client_sans)
        return 0;
    if (gnutls_x509_crt_init(&certificate))
        return GNUTLS_E_CERTIFICATE_ERROR;
    bool good =
        gnutls_x509_crt_import(certificate, &list[0], GNUTLS_X509_FMT_DER) == 0 && one_san_allowed(c, certificate);
    gnutls_x509_crt_deinit(certificate);
    return good ? 0 : GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
}

void tls_server_apply(struct tls_server *t, struct gnutls_session_int *session)
{
    static const gnutls_datum_t http11 = {(unsigned char *)"http/1.1", 8};
    gnutls_certificate_request_t request = GNUTLS_CERT_REQUEST;

    if (t->config->client_auth == CLIENT_AUTH_NONE)
        request = GNUTLS_CERT_IGNORE;
    else if (t->config->client_auth == CLIENT_AUTH_REQUIRE_ANY ||
             t->config->client_auth == CLIENT_AUTH_REQUIRE_AND_VERIFY)
        request = GNUTLS_CERT_REQUIRE;
    gnutls_session_set_ptr(session, t);
    gnutls_priority_set(session, t->priority);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, t->credentials);
    gnutls_certificate_server_set_request(session, request);
    gnutls_session_set_verify_function(session, verify_client);
    gnutls_alpn_set_protocols(session, &http11, 1, 0);
}
