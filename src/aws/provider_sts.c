/* provider_sts: keys of a role, from the Security Token Service.
 *
 *   AssumeRoleWithWebIdentity   unsigned, with a token from a file that somebody else renews: read again each time
 *   AssumeRole                  signed with the keys found before; a chain of roles is this, again and again
 *
 * The regional endpoint is asked, as all SDKs do now. use_fips_sts_endpoint of the configuration (Prometheus' own key)
 * chooses its FIPS host, unless an endpoint is given by environment or profile.
 *
 * Source: AWS Security Token Service API Reference.
 */
#include "aws/fetch_int.h"
#include "base/clock.h"
#include "base/mem.h"

static void add_parameter(struct buf *form, const char *name, struct str value)
{
    if (form->n)
        buf_char(form, '&');
    buf_c(form, name);
    buf_char(form, '=');
    http_query_escape(form, value);
}

static void on_answered(struct aws_call *c, const struct aws_answer *a)
{
    struct fetch *f = CONTAINER_OF(c, struct fetch, call);
    struct answer_keys keys;
    struct diag d = {0};

    f->calling = false;
    if (a->err) {
        fetch_fail(f, a->err, "%s", a->diag.text);
        return;
    }
    enum err err = answer_sts(a->body, &f->arena, &keys, &d);
    if (err)
        fetch_fail(f, err, "sts %s: %s", c->operation, d.text);
    else
        fetch_got(f, &keys);
}

/* Empty: the calls' own. */
static enum err fips_endpoint(struct fetch *f, struct str *out, struct diag *d)
{
    struct aws_endpoint_options o = {.region = f->from.region};
    AUTO_BUF actual = {0};
    AUTO_BUF plain = {0};
    AUTO_BUF fips = {0};
    enum err err = aws_calls_endpoint(f->from.calls, &aws_sts, &actual, d);

    *out = STR_NONE;
    if (!err)
        err = aws_endpoint(&aws_sts, &o, &plain, d);
    o.fips = true;
    if (!err)
        err = aws_endpoint(&aws_sts, &o, &fips, d);
    if (!err && str_eq(buf_view(&actual), buf_view(&plain)))
        *out = str_dup(&f->arena, buf_view(&fips));
    return err;
}

static void start(struct fetch *f, const char *operation, const struct chain_role *role, struct str token)
{
    struct str session_name = role->session_name;
    struct diag d = {0};

    if (!session_name.n)
        session_name = str_c(arena_printf(&f->arena, "leadline-%lld", (long long)(clock_wall_ms() / 1000)));
    buf_clear(&f->form);
    add_parameter(&f->form, "RoleArn", role->role_arn);
    add_parameter(&f->form, "RoleSessionName", session_name);
    if (role->external_id.n)
        add_parameter(&f->form, "ExternalId", role->external_id);
    if (role->duration_s)
        buf_printf(&f->form, "&DurationSeconds=%lld", (long long)role->duration_s);
    for (int i = 0; i < role->n_tags; i++) {
        add_parameter(&f->form, arena_printf(&f->arena, "Tags.member.%d.Key", i + 1), role->tags[i].key);
        add_parameter(&f->form, arena_printf(&f->arena, "Tags.member.%d.Value", i + 1), role->tags[i].value);
    }
    if (token.n)
        add_parameter(&f->form, "WebIdentityToken", token);
    f->call = (struct aws_call){.service = &aws_sts,
                                .operation = operation,
                                .body = buf_view(&f->form),
                                .is_unsigned = token.n > 0,
                                .done = on_answered};
    if (f->from.config->use_fips_sts_endpoint && fips_endpoint(f, &f->call.endpoint, &d)) {
        fetch_fail(f, ERR_SYNTAX, "%s", d.text);
        return;
    }
    f->calling = true;
    aws_calls_start_as(f->from.calls, &f->call, f->held);
}

void provider_assume_role(struct fetch *f, const struct chain_role *role)
{
    start(f, "AssumeRole", role, STR_NONE);
}

static void on_token(struct fetch *f)
{
    struct str token = str_trim(buf_view(&f->file));

    if (f->work_err)
        fetch_fail(f, f->work_err, "web identity token: %s", f->work_diag.text);
    else if (!token.n)
        fetch_fail(f, ERR_SYNTAX, "web identity token: %s is empty", f->path);
    else
        start(f, "AssumeRoleWithWebIdentity", &f->from.chain->web, token);
}

void provider_web_identity(struct fetch *f)
{
    fetch_read_file(f, str_dup(&f->arena, f->from.chain->token_file).p, FETCH_MAX_TOKEN_FILE, on_token);
}
