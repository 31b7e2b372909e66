/* endpoints: from a service and a region to a URL.
 *
 *              plain                     FIPS                           dual stack           both
 *   https://   LABEL.REGION.SUFFIX       LABEL-fips.REGION.SUFFIX       LABEL.REGION.DUAL    LABEL-fips.REGION.DUAL
 *
 * SUFFIX and DUAL are the partition's: the first one whose form of region names fits, else aws. What does not follow
 * the pattern is a short list of exceptions, further down. Rules and partitions are those of botocore's data
 * (partitions.json, endpoint-rule-set-1.json); tests/conformance/botocore runs the published tests that come with
 * them. The rules never say that a service is not there: a host that does not exist shows as a name that cannot be
 * resolved.
 *
 * Pure; any thread.
 */
#include "aws/aws_int.h"
#include "base/mem.h"

struct partition {
    const char *id;
    const char *prefixes[12]; /* region names are PREFIX-word-digits */
    const char *suffix, *dual_suffix;
    const char *signin; /* what sign-in's hosts end in */
};

static const struct partition partitions[] = {
    {"aws", {"us", "eu", "ap", "sa", "ca", "me", "af", "il", "mx"}, "amazonaws.com", "api.aws", "aws.amazon.com"},
    {"aws-cn", {"cn"}, "amazonaws.com.cn", "api.amazonwebservices.com.cn", "amazonaws.cn"},
    {"aws-eusc", {"eusc-de"}, "amazonaws.eu", "api.amazonwebservices.eu", "amazonaws-eusc.eu"},
    {"aws-iso", {"us-iso"}, "c2s.ic.gov", "api.aws.ic.gov", "c2shome.ic.gov"},
    {"aws-iso-b", {"us-isob"}, "sc2s.sgov.gov", "api.aws.scloud", "sc2shome.sgov.gov"},
    {"aws-iso-e", {"eu-isoe"}, "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk", "csphome.adc-e.uk"},
    {"aws-iso-f", {"us-isof"}, "csp.hci.ic.gov", "api.aws.hci.ic.gov", "csphome.hci.ic.gov"},
    {"aws-us-gov", {"us-gov"}, "amazonaws.com", "api.aws", "amazonaws-us-gov.com"},
};

/* Regions where AWS_STS_REGIONAL_ENDPOINTS=legacy still means the one endpoint of the beginning. */
static const char *const sts_legacy[] = {
    "ap-northeast-1", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "aws-global", "ca-central-1",
    "eu-central-1",   "eu-north-1", "eu-west-1",      "eu-west-2",      "eu-west-3",  "sa-east-1",
    "us-east-1",      "us-east-2",  "us-west-1",      "us-west-2",
};

/* ---- partitions ---- */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* prefix-\w+-\d+ */
static bool region_has_form(struct str region, const char *prefix)
{
    struct str p = str_c(prefix);
    if (!str_starts(region, p) || region.n == p.n || region.p[p.n] != '-')
        return false;
    size_t at = p.n + 1, from = at;
    while (at < region.n && is_word(region.p[at]))
        at++;
    if (at == from || at == region.n || region.p[at++] != '-')
        return false;
    from = at;
    while (at < region.n && region.p[at] >= '0' && region.p[at] <= '9')
        at++;
    return at > from && at == region.n;
}

static bool is_global_of(struct str region, const char *id)
{
    struct str i = str_c(id);
    return str_starts(region, i) && str_eq_c(str_from(region.p + i.n, region.n - i.n), "-global");
}

static const struct partition *partition_of(struct str region)
{
    for (size_t i = 0; i < COUNT_OF(partitions); i++) {
        if (is_global_of(region, partitions[i].id))
            return &partitions[i];
        for (int k = 0; partitions[i].prefixes[k]; k++) {
            if (region_has_form(region, partitions[i].prefixes[k]))
                return &partitions[i];
        }
    }
    return &partitions[0];
}

struct str aws_partition_of_region(struct str region)
{
    return str_c(partition_of(region)->id);
}

/* ---- what does not follow the pattern ---- */

static bool is_any_of(const char *s, const char *const *list)
{
    for (; *list; list++) {
        if (!strcmp(s, *list))
            return true;
    }
    return false;
}

/* In aws-us-gov these are FIPS endpoints by themselves. */
static const char *const gov_is_fips[] = {"ec2", "ssm", "sts", "logs", "monitoring", "portal.sso", "oidc", NULL};

static bool sts_is_global(const struct aws_service *service, const struct aws_endpoint_options *o)
{
    if (service != &aws_sts || o->fips || o->dual_stack)
        return false;
    if (str_eq_c(o->region, "aws-global"))
        return true;
    for (size_t i = 0; o->legacy_sts && i < COUNT_OF(sts_legacy); i++) {
        if (str_eq_c(o->region, sts_legacy[i]))
            return true;
    }
    return false;
}

/* Sign-in puts the region first, and has one FIPS host of its own. */
static bool print_signin(const struct aws_endpoint_options *o, const struct partition *p, struct buf *out)
{
    if (o->dual_stack)
        return false;
    bool gov = !strcmp(p->id, "aws-us-gov");
    if (o->fips && !gov)
        return false;
    if (o->fips && str_eq_c(o->region, "us-gov-west-1"))
        buf_printf(out, "https://signin-fips.%s", p->signin);
    else
        buf_printf(out, "https://%.*s.signin%s.%s", STR_ARGS(o->region), o->fips ? "-fips" : "", p->signin);
    return true;
}

static void print_by_pattern(const struct aws_service *service, const struct aws_endpoint_options *o,
                             const struct partition *p, struct buf *out)
{
    bool fips = o->fips, dual_stack = o->dual_stack;
    const char *suffix = dual_stack ? p->dual_suffix : p->suffix;
    bool gov = !strcmp(p->id, "aws-us-gov");
    if (gov && fips && is_any_of(service->endpoint, gov_is_fips))
        fips = dual_stack && strcmp(service->endpoint, "monitoring");
    if (service == &aws_secretsmanager && dual_stack) {
        bool both = gov || !strcmp(p->id, "aws");
        if (both || (!o->fips && !strcmp(p->id, "aws-cn")))
            suffix = p->suffix;
    }
    buf_printf(out, "https://%s%s.%.*s.%s", service->endpoint, fips ? "-fips" : "", STR_ARGS(o->region), suffix);
}

/* ---- the whole ---- */

static bool is_host_label(struct str s)
{
    if (s.n == 0 || s.n > 63 || s.p[0] == '-' || s.p[s.n - 1] == '-')
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!(is_word(s.p[i]) && s.p[i] != '_') && s.p[i] != '-')
            return false;
    }
    return true;
}

/* "fips-us-east-1" and "us-east-1-fips" are old ways to say us-east-1 and FIPS. */
static struct aws_endpoint_options without_pseudo_region(const struct aws_endpoint_options *o)
{
    struct aws_endpoint_options plain = *o;
    struct str fips = STR("fips-"), end = STR("-fips");

    if (str_starts(o->region, fips)) {
        plain.region = str_from(o->region.p + fips.n, o->region.n - fips.n);
        plain.fips = true;
    } else if (str_ends(o->region, end)) {
        plain.region = str_from(o->region.p, o->region.n - end.n);
        plain.fips = true;
    }
    return plain;
}

enum err aws_endpoint(const struct aws_service *service, const struct aws_endpoint_options *options, struct buf *out,
                      struct diag *d)
{
    struct aws_endpoint_options o = without_pseudo_region(options);

    if (o.endpoint.n) {
        if (o.fips)
            return diag_set(d, ERR_SYNTAX, "Invalid Configuration: FIPS and custom endpoint are not supported");
        if (o.dual_stack)
            return diag_set(d, ERR_SYNTAX, "Invalid Configuration: Dualstack and custom endpoint are not supported");
        buf_str(out, o.endpoint);
        return OK;
    }
    if (o.region.n == 0)
        return diag_set(d, ERR_SYNTAX, "Invalid Configuration: Missing Region");
    if (!is_host_label(o.region)) {
        return diag_set(d, ERR_SYNTAX, "Provided region_name '%.*s' doesn't match a supported format.",
                        STR_ARGS(o.region));
    }
    const struct partition *p = partition_of(o.region);
    if (sts_is_global(service, &o))
        buf_printf(out, "https://sts.%s", p->suffix);
    else if (service != &aws_signin || !print_signin(&o, p, out))
        print_by_pattern(service, &o, p, out);
    return OK;
}

struct str aws_signing_region(const struct aws_service *service, const struct aws_endpoint_options *options)
{
    struct aws_endpoint_options o = without_pseudo_region(options);

    return o.endpoint.n == 0 && sts_is_global(service, &o) ? STR("us-east-1") : o.region;
}
