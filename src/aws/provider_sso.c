/* provider_sso: IAM Identity Center, by the token that `aws sso login` has left.
 *
 *   ~/.aws/sso/cache/HEX.json   HEX = SHA-1 of the session's name, in the old form of profile of the start URL
 *
 *   token good     GET portal.sso.REGION/federation/credentials?account_id=..&role_name=..  -> keys
 *   token old      POST oidc.REGION/token with the refresh token -> a new one, written back, then as above
 *   no way         "run `aws sso login`"
 *
 * Only the new form (sso_session) has a refresh token. It is used from five minutes before the token's end; when that
 * fails while the token still lives, the token is used. The file is replaced whole, and what we do not know in it is
 * kept, since the AWS command line reads it too; a directory that cannot be written is no reason to fail.
 *
 * Source: AWS SDKs and Tools Reference Guide, "IAM Identity Center credential provider"; its API references (SSO,
 * OIDC).
 */
#include <openssl/evp.h>

#include "aws/fetch_int.h"
#include "base/clock.h"
#include "base/file.h"
#include "wire/json.h"
#include "wire/tree.h"

enum { TIMEOUT_MS = 10000, ATTEMPTS = 3, RENEW_BEFORE_MS = 5 * 60 * 1000, SHA1_BYTES = 20 };

static const char *token_path(struct fetch *f)
{
    const struct chain_sso *sso = &f->from.chain->sso;
    struct str name = sso->session.n ? sso->session : sso->start_url;
    uint8_t hash[EVP_MAX_MD_SIZE];
    AUTO_BUF path = {0};

    CHECK(EVP_Digest(name.p, name.n, hash, NULL, EVP_sha1(), NULL) == 1);
    buf_printf(&path, "%.*s/.aws/sso/cache/", STR_ARGS(f->from.home));
    for (int i = 0; i < SHA1_BYTES; i++)
        buf_printf(&path, "%02x", hash[i]);
    buf_c(&path, ".json");
    return str_dup(&f->arena, buf_view(&path)).p;
}

static void fail_login(struct fetch *f, const char *why)
{
    fetch_fail(f, ERR_AUTH, "SSO: %s: run `aws sso login --profile %.*s`", why, STR_ARGS(f->from.chain->profile));
}

/* ---- keys ---- */

static void on_keys(struct fetch *f, const struct http_response *r, struct str body)
{
    struct answer_keys keys;
    struct diag d = {0};

    if (!r->err && r->status == 401) {
        fail_login(f, "the token is not accepted");
        return;
    }
    if (r->err || r->status != 200) {
        struct str why = fetch_why(f, r, body);
        fetch_fail(f, r->err ? r->err : ERR_AUTH, "SSO: %.*s", STR_ARGS(why));
        return;
    }
    enum err err = answer_sso_keys(body, &f->arena, &keys, &d);
    if (err) {
        fetch_fail(f, err, "SSO: %s", d.text);
        return;
    }
    keys.account = f->from.chain->sso.account_id;
    fetch_got(f, &keys);
}

static void ask_keys(struct fetch *f)
{
    const struct chain_sso *sso = &f->from.chain->sso;
    struct fetch_question q = {
        .method = "GET",
        .headers = {{.name = STR("x-amz-sso_bearer_token"), .value = f->sso.access_token, .secret = true}},
        .n_headers = 1,
        .timeout_ms = TIMEOUT_MS,
        .attempts = ATTEMPTS,
        .max_answer = FETCH_MAX_ANSWER,
        .outside = true,
        .answered = on_keys,
    };
    struct diag d = {0};
    AUTO_BUF url = {0};

    if (fetch_endpoint(f, &aws_sso, sso->region, &url, &d)) {
        fetch_fail(f, ERR_SYNTAX, "SSO: %s", d.text);
        return;
    }
    buf_c(&url, "/federation/credentials?account_id=");
    http_query_escape(&url, sso->account_id);
    buf_c(&url, "&role_name=");
    http_query_escape(&url, sso->role_name);
    q.url = str_dup(&f->arena, buf_view(&url));
    fetch_ask(f, &q);
}

/* ---- a new token ---- */

/* On the pool. */
static void run_write(struct fetch *f)
{
    f->work_err = file_replace_mode(f->path, buf_view(&f->sso_file), 0600, &f->work_diag);
}

static void on_written(struct fetch *f)
{
    if (f->work_err)
        log_warn(f->from.aws->env.log, "the renewed SSO token cannot be kept", F_C("err", f->work_diag.text),
                 F_C("next", "it is used as it is; a new login will be needed when leadline starts again"));
    ask_keys(f);
}

static void on_renewed(struct fetch *f, const struct http_response *r, struct str body)
{
    int64_t now = clock_wall_ms();
    struct diag d = {0};

    if (r->err || r->status != 200 || answer_sso_renewed(body, now, &f->arena, &f->sso, &d)) {
        if (f->sso.expires_ms > now)
            ask_keys(f);
        else
            fail_login(f, "the token has expired and cannot be renewed");
        return;
    }
    buf_clear(&f->sso_file);
    tree_print_json(f->sso.tree, &f->sso_file);
    fetch_work(f, run_write, on_written);
}

static void renew(struct fetch *f)
{
    struct fetch_question q = {
        .method = "POST",
        .headers = {{.name = STR("Content-Type"), .value = STR("application/json")}},
        .n_headers = 1,
        .timeout_ms = TIMEOUT_MS,
        .attempts = ATTEMPTS,
        .max_answer = FETCH_MAX_ANSWER,
        .outside = true,
        .answered = on_renewed,
    };
    struct json j = json_to(&f->form);
    struct diag d = {0};
    AUTO_BUF url = {0};

    if (fetch_endpoint(f, &aws_sso_oidc, f->from.chain->sso.region, &url, &d)) {
        fetch_fail(f, ERR_SYNTAX, "SSO: %s", d.text);
        return;
    }
    buf_c(&url, "/token");
    q.url = str_dup(&f->arena, buf_view(&url));
    buf_clear(&f->form);
    json_object(&j);
    json_key_c(&j, "grantType");
    json_c(&j, "refresh_token");
    json_key_c(&j, "clientId");
    json_str(&j, f->sso.client_id);
    json_key_c(&j, "clientSecret");
    json_str(&j, f->sso.client_secret);
    json_key_c(&j, "refreshToken");
    json_str(&j, f->sso.refresh_token);
    json_object_end(&j);
    q.body = buf_view(&f->form);
    fetch_ask(f, &q);
}

static void on_token(struct fetch *f)
{
    int64_t now = clock_wall_ms();
    struct diag d = {0};

    if (f->work_err == ERR_NOT_FOUND) {
        fail_login(f, "nobody has logged in");
        return;
    }
    if (f->work_err) {
        fetch_fail(f, f->work_err, "SSO: %s", f->work_diag.text);
        return;
    }
    if (answer_sso_file(buf_view(&f->file), &f->arena, &f->sso, &d)) {
        fetch_fail(f, ERR_SYNTAX, "SSO: %s: %s", f->path, d.text);
        return;
    }
    bool renewable = f->from.chain->sso.session.n && f->sso.refresh_token.n && f->sso.client_id.n &&
                     f->sso.client_secret.n && f->sso.registration_expires_ms > now;
    if (renewable && f->sso.expires_ms - RENEW_BEFORE_MS <= now)
        renew(f);
    else if (f->sso.expires_ms > now)
        ask_keys(f);
    else
        fail_login(f, "the token has expired");
}

void provider_sso(struct fetch *f)
{
    if (!f->from.home.n) {
        fetch_fail(f, ERR_NOT_FOUND, "SSO: no home directory to look for its token in (HOME is not set)");
        return;
    }
    fetch_read_file(f, token_path(f), FETCH_MAX_ANSWER, on_token);
}
