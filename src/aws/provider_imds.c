/* provider_imds: the instance metadata service of EC2, version 2 with a way back to version 1.
 *
 *   PUT /latest/api/token          X-aws-ec2-metadata-token-ttl-seconds: 21600   -> a token
 *   GET /latest/meta-data/...      X-aws-ec2-metadata-token: TOKEN
 *       iam/security-credentials/         -> the role's name
 *       iam/security-credentials/ROLE     -> {"Code": "Success", "AccessKeyId", ...}
 *       placement/region
 *
 * A token that is refused (401) is replaced once. Where PUT is not understood (403, 404, 405), or its answer does not
 * come (a bridge-mode container behind a hop limit of 1), the question is asked without one, unless version 1 is
 * switched off. A search asks for a token of its own: once an hour is nothing, and it cannot be stale.
 *
 * Source: Amazon EC2 user guide, "Instance metadata"; the SDKs' limits (1 s, 6 h).
 */
#include "aws/fetch_int.h"

enum { TIMEOUT_MS = 1000, ATTEMPTS = 3 };

static void get(struct fetch *f);

static void on_got(struct fetch *f, const struct http_response *r, struct str body)
{
    if (!r->err && r->status == 401 && f->imds.token.n && !f->imds.again) {
        f->imds.again = true;
        f->imds.asked = false;
        f->imds.token = STR_NONE;
        get(f);
        return;
    }
    f->imds.answered(f, r, body);
}

static void on_token(struct fetch *f, const struct http_response *r, struct str body)
{
    struct str token = str_trim(body);
    bool old = r->err == ERR_TIMEOUT || (!r->err && (r->status == 403 || r->status == 404 || r->status == 405));

    if (!r->err && r->status == 200 && token.n && answer_is_printable(token)) {
        f->imds.token = str_dup(&f->arena, token);
    } else if (!old || f->from.chain->imds.v1_disabled) {
        f->imds.answered(f, r, body);
        return;
    }
    f->imds.asked = true;
    get(f);
}

static void get(struct fetch *f)
{
    struct str base = f->from.chain->imds.url;
    struct fetch_question q = {.timeout_ms = TIMEOUT_MS, .max_answer = FETCH_MAX_ANSWER};

    if (!f->imds.asked) {
        q.method = "PUT";
        q.url = str_c(arena_printf(&f->arena, "%.*s/latest/api/token", STR_ARGS(base)));
        q.headers[0] = (struct http_header){.name = STR("X-aws-ec2-metadata-token-ttl-seconds"), .value = STR("21600")};
        q.n_headers = 1;
        q.attempts = 1;
        q.answered = on_token;
    } else {
        q.method = "GET";
        q.url = str_c(arena_printf(&f->arena, "%.*s/latest/meta-data/%.*s", STR_ARGS(base), STR_ARGS(f->imds.path)));
        q.headers[0] =
            (struct http_header){.name = STR("X-aws-ec2-metadata-token"), .value = f->imds.token, .secret = true};
        q.n_headers = f->imds.token.n ? 1 : 0;
        q.attempts = ATTEMPTS;
        q.answered = on_got;
    }
    fetch_ask(f, &q);
}

void provider_imds_get(struct fetch *f, struct str path, fetch_answered_fn *answered)
{
    f->imds.path = path;
    f->imds.answered = answered;
    get(f);
}

/* ---- keys ---- */

static void fail(struct fetch *f, const struct http_response *r, struct str body)
{
    struct str why = fetch_why(f, r, body);

    if (!r->err && r->status == 404)
        fetch_fail(f, ERR_NOT_FOUND, "instance metadata: the instance has no role");
    else if (!r->err && r->status == 200)
        fetch_fail(f, ERR_SYNTAX, "instance metadata: an answer that names no role");
    else
        fetch_fail(f, r->err ? r->err : ERR_AUTH, "instance metadata: %.*s", STR_ARGS(why));
}

static void on_keys(struct fetch *f, const struct http_response *r, struct str body)
{
    struct answer_keys keys;
    struct diag d = {0};

    if (r->err || r->status != 200) {
        fail(f, r, body);
        return;
    }
    enum err err = answer_metadata(body, &f->arena, &keys, &d);
    if (err)
        fetch_fail(f, err, "instance metadata: %s", d.text);
    else
        fetch_got(f, &keys);
}

static void on_role(struct fetch *f, const struct http_response *r, struct str body)
{
    struct str role, rest;

    if (r->err || r->status != 200) {
        fail(f, r, body);
        return;
    }
    str_cut(str_trim(body), '\n', &role, &rest);
    role = str_trim(role);
    bool plain = role.n > 0 && role.n <= 128;
    for (size_t i = 0; plain && i < role.n; i++)
        plain = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=,.@-", role.p[i]) &&
                role.p[i] != '\0';
    if (!plain) {
        fail(f, r, body);
        return;
    }
    provider_imds_get(f, str_c(arena_printf(&f->arena, "iam/security-credentials/%.*s", STR_ARGS(role))), on_keys);
}

void provider_imds(struct fetch *f)
{
    provider_imds_get(f, STR("iam/security-credentials/"), on_role);
}
