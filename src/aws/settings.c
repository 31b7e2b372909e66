/* settings: what environment variables and the profile say about calls.
 *
 *   AWS_USE_FIPS_ENDPOINT                use_fips_endpoint                 true, false
 *   AWS_USE_DUALSTACK_ENDPOINT           use_dualstack_endpoint            true, false
 *   AWS_STS_REGIONAL_ENDPOINTS           sts_regional_endpoints            regional, legacy
 *   AWS_IGNORE_CONFIGURED_ENDPOINT_URLS  ignore_configured_endpoint_urls   true, false
 *   AWS_ENDPOINT_URL_<ID>                <id> of `services`: endpoint_url  a URL
 *   AWS_ENDPOINT_URL                     endpoint_url                      a URL
 *   AWS_RETRY_MODE                       retry_mode                        standard, adaptive, legacy (as standard)
 *   AWS_MAX_ATTEMPTS                     max_attempts                      1...
 *   AWS_CA_BUNDLE                        ca_bundle                         a file of PEM certificates
 *
 * The variable wins over the key of the profile, and both variables of endpoints over both keys. An empty one is unset.
 * A value that is none of these is an error, as in aws-sdk-go-v2: botocore takes AWS_USE_FIPS_ENDPOINT=1 for false,
 * which is not what whoever wrote it wanted.
 *
 * Source: AWS SDKs and Tools Reference Guide, "Settings reference".
 */
#include "aws/call_int.h"
#include "base/num.h"

enum { MAX_ATTEMPTS = 100 };

struct str aws_getenv(const struct aws_env *env, const char *name)
{
    return str_c(env->getenv ? env->getenv(env->getenv_ctx, name) : NULL);
}

/* The value, and in *where what it came from, for messages. */
static struct str setting(const struct aws_calls_from *from, const char *variable, const char *key, const char **where)
{
    struct str s = str_trim(aws_getenv(from->env, variable));

    *where = variable;
    if (!s.n && from->profile) {
        s = str_trim(from->profile(from->ctx, key));
        *where = key;
    }
    return s;
}

static enum err read_bool(const struct aws_calls_from *from, const char *variable, const char *key, bool *out,
                          struct diag *d)
{
    const char *where;
    struct str s = setting(from, variable, key, &where);

    *out = str_eq_nocase(s, STR("true"));
    if (*out || !s.n || str_eq_nocase(s, STR("false")))
        return OK;
    return diag_set(d, ERR_SYNTAX, "%s is \"%.*s\": true or false is wanted", where, STR_ARGS(s));
}

static enum err read_retries(const struct aws_calls_from *from, struct aws_settings *out, struct diag *d)
{
    const char *where;
    struct str s = setting(from, "AWS_RETRY_MODE", "retry_mode", &where);
    int64_t n = 3;

    if (str_eq_nocase(s, STR("adaptive")))
        out->retry_mode = AWS_RETRY_ADAPTIVE;
    else if (s.n && !str_eq_nocase(s, STR("standard")) && !str_eq_nocase(s, STR("legacy")))
        return diag_set(d, ERR_SYNTAX, "%s is \"%.*s\": standard, adaptive or legacy is wanted", where, STR_ARGS(s));
    s = setting(from, "AWS_MAX_ATTEMPTS", "max_attempts", &where);
    if (s.n && (num_parse_i64(s, &n) != OK || n < 1 || n > MAX_ATTEMPTS)) {
        return diag_set(d, ERR_SYNTAX, "%s is \"%.*s\": a number from 1 to %d is wanted", where, STR_ARGS(s),
                        MAX_ATTEMPTS);
    }
    out->max_attempts = (uint32_t)n;
    return OK;
}

enum err aws_settings_read(const struct aws_calls_from *from, struct aws_settings *out, struct diag *d)
{
    const char *where;

    *out = (struct aws_settings){0};
    enum err err = read_bool(from, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint", &out->fips, d);
    if (!err)
        err = read_bool(from, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint", &out->dual_stack, d);
    if (!err) {
        err = read_bool(from, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls",
                        &out->ignore_endpoints, d);
    }
    if (!err)
        err = read_retries(from, out, d);
    if (err)
        return err;
    struct str s = setting(from, "AWS_STS_REGIONAL_ENDPOINTS", "sts_regional_endpoints", &where);
    out->legacy_sts = str_eq_nocase(s, STR("legacy"));
    if (s.n && !out->legacy_sts && !str_eq_nocase(s, STR("regional")))
        return diag_set(d, ERR_SYNTAX, "%s is \"%.*s\": regional or legacy is wanted", where, STR_ARGS(s));
    out->ca_bundle = setting(from, "AWS_CA_BUNDLE", "ca_bundle", &where);
    return OK;
}

static struct str of_profile_service(const struct aws_calls_from *from, const struct aws_service *service)
{
    char id[64];
    size_t n = 0;

    if (!from->profile_service)
        return STR_NONE;
    for (; service->id[n] && n + 1 < sizeof(id); n++)
        id[n] = service->id[n] >= 'A' && service->id[n] <= 'Z' ? (char)(service->id[n] | 0x20) : service->id[n];
    id[n] = '\0';
    return from->profile_service(from->ctx, id, "endpoint_url");
}

struct str aws_settings_endpoint(const struct aws_calls_from *from, const struct aws_settings *s,
                                 const struct aws_service *service)
{
    bool of_keys = service == &aws_sts || service == &aws_sso || service == &aws_sso_oidc || service == &aws_signin;
    char variable[96];
    struct str url;

    if (from->endpoint.n && !of_keys)
        return from->endpoint;
    if (s->ignore_endpoints)
        return STR_NONE;
    snprintf(variable, sizeof(variable), "AWS_ENDPOINT_URL_%s", service->id);
    url = aws_getenv(from->env, variable);
    if (!url.n)
        url = aws_getenv(from->env, "AWS_ENDPOINT_URL");
    if (!url.n)
        url = of_profile_service(from, service);
    if (!url.n && from->profile)
        url = from->profile(from->ctx, "endpoint_url");
    return str_trim(url);
}
