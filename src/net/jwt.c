/* jwt: a token that says who asks for another one.
 *
 *   base64url({"alg":"RS256","typ":"JWT","kid":...}) "." base64url({claims}) "." base64url(RSA(SHA-256 of all before))
 *
 * Claims: iss (the client unless given), sub (the client), aud (the token's URL unless given), a random jti, iat, exp
 * ten minutes from now, the scopes; then the user's own, which replace those of the same name. All as golang's oauth2
 * and prometheus/common make them.
 *
 * The key is parsed for each token: that happens once in the life of an access token, and no key stays in memory. A key
 * with a passphrase is refused, and nobody is asked for it.
 */
#include "net/jwt.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include "base/arena.h"
#include "wire/json.h"
#include "wire/tree.h"

enum { LIFETIME_S = 600 };

static void append_base64url(struct buf *out, const void *p, size_t n)
{
    buf_reserve(out, (n + 2) / 3 * 4 + 1);
    char *at = out->p + out->n;
    int length = EVP_EncodeBlock((unsigned char *)at, p, (int)n);
    while (length > 0 && at[length - 1] == '=')
        length--;
    for (int i = 0; i < length; i++)
        at[i] = at[i] == '+' ? '-' : at[i] == '/' ? '_' : at[i];
    out->n += (size_t)length;
    out->p[out->n] = '\0';
}

/* A version 4 UUID. */
static void print_id(char out[37])
{
    unsigned char b[16];
    CHECK(RAND_bytes(b, sizeof(b)) == 1);
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3],
             b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static void print_header(const struct oauth2_options *o, struct buf *out)
{
    struct json j = json_to(out);
    json_object(&j);
    json_key_c(&j, "alg");
    json_str(&j, o->signature_algorithm.n ? o->signature_algorithm : STR("RS256"));
    json_key_c(&j, "typ");
    json_c(&j, "JWT");
    if (o->client_certificate_key_id.n) {
        json_key_c(&j, "kid");
        json_str(&j, o->client_certificate_key_id);
    }
    json_object_end(&j);
}

struct claims {
    struct json json;
    const struct node *own; /* NULL: none */
};

static bool claim(struct claims *c, const char *name)
{
    if (c->own && node_find(c->own, name))
        return false;
    json_key_c(&c->json, name);
    return true;
}

static void claim_str(struct claims *c, const char *name, struct str value)
{
    if (claim(c, name))
        json_str(&c->json, value);
}

static void claim_i64(struct claims *c, const char *name, int64_t value)
{
    if (claim(c, name))
        json_i64(&c->json, value);
}

static void claim_scopes(struct claims *c, const struct oauth2_options *o)
{
    AUTO_BUF scopes = {0};
    for (int i = 0; i < o->n_scopes; i++) {
        buf_c(&scopes, i ? " " : "");
        buf_str(&scopes, o->scopes[i]);
    }
    if (scopes.n)
        claim_str(c, "scope", buf_view(&scopes));
}

static void claim_own(struct claims *c)
{
    for (const struct node *n = c->own ? c->own->first : NULL; n; n = n->next) {
        AUTO_BUF text = {0};
        tree_print_json(n, &text);
        json_key(&c->json, n->key);
        json_raw(&c->json, buf_view(&text));
    }
}

static enum err print_claims(const struct oauth2_options *o, int64_t now_s, struct buf *out, struct diag *d)
{
    struct arena arena = {0};
    struct node *own = NULL;
    char id[37];
    enum err err = OK;
    if (o->claims_json.n)
        err = tree_parse_json(o->claims_json, "claims", &arena, &own, d);
    struct claims c = {.json = json_to(out), .own = own && own->kind == NODE_MAPPING ? own : NULL};
    if (!err) {
        print_id(id);
        json_object(&c.json);
        claim_str(&c, "iss", o->iss.n ? o->iss : o->client_id);
        claim_str(&c, "sub", o->client_id);
        claim_str(&c, "aud", o->audience.n ? o->audience : o->token_url);
        claim_str(&c, "jti", str_c(id));
        claim_i64(&c, "iat", now_s);
        claim_i64(&c, "exp", now_s + LIFETIME_S);
        claim_scopes(&c, o);
        claim_own(&c);
        json_object_end(&c.json);
    }
    arena_release(&arena);
    return err;
}

static int no_passphrase(char *out, int size, int writing, void *ctx)
{
    (void)out, (void)size, (void)writing, (void)ctx;
    return -1;
}

static EVP_PKEY *read_key(struct str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p ? pem.p : "", (int)pem.n);
    CHECK(bio);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    if (key && EVP_PKEY_base_id(key) != EVP_PKEY_RSA) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

static const EVP_MD *digest_of(struct str algorithm)
{
    return str_eq_c(algorithm, "RS512") ? EVP_sha512() : str_eq_c(algorithm, "RS384") ? EVP_sha384() : EVP_sha256();
}

static bool append_signature(EVP_PKEY *key, const EVP_MD *digest, struct buf *out)
{
    unsigned char signature[2048];
    size_t n = sizeof(signature);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    CHECK(ctx);
    bool ok = (size_t)EVP_PKEY_size(key) <= sizeof(signature) &&
              EVP_DigestSignInit(ctx, NULL, digest, NULL, key) == 1 &&
              EVP_DigestSign(ctx, signature, &n, (const unsigned char *)out->p, out->n) == 1;
    EVP_MD_CTX_free(ctx);
    if (ok) {
        buf_char(out, '.');
        append_base64url(out, signature, n);
    }
    return ok;
}

enum err jwt_sign(const struct oauth2_options *o, struct str key_pem, int64_t now_s, struct buf *out, struct diag *d)
{
    AUTO_BUF text = {0};
    AUTO_BUF token = {0};
    EVP_PKEY *key = read_key(key_pem);
    if (!key) {
        ERR_clear_error();
        return diag_set(d, ERR_AUTH, "oauth2: the client certificate's key is no RSA private key in PEM form");
    }
    print_header(o, &text);
    append_base64url(&token, text.p, text.n);
    buf_clear(&text);
    enum err err = print_claims(o, now_s, &text, d);
    buf_char(&token, '.');
    append_base64url(&token, text.p ? text.p : "", text.n);
    if (!err && !append_signature(key, digest_of(o->signature_algorithm), &token))
        err = diag_set(d, ERR_AUTH, "oauth2: the assertion cannot be signed with the client certificate's key");
    EVP_PKEY_free(key);
    ERR_clear_error();
    if (!err)
        buf_str(out, buf_view(&token));
    return err;
}
