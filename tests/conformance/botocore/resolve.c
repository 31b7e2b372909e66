/* resolve: prints the URLs of the questions it reads, for `run`.
 *
 * A question a line, words with a tab between them: service (label of the host name), region, flags of f (FIPS),
 * d (dual stack), l (legacy STS), endpoint. The answer: the URL and the signing region, or "error" and its text.
 */
#include <stdio.h>
#include <stdlib.h>

#include "aws/aws_int.h"
#include "base/mem.h"

#include "../words.h"

static const struct aws_service *const services[] = {
    &aws_ecs,
    &aws_ec2,
    &aws_servicediscovery,
    &aws_servicediscovery_data,
    &aws_ssm,
    &aws_secretsmanager,
    &aws_sts,
    &aws_logs,
    &aws_cloudwatch,
    &aws_aps,
    &aws_sso,
    &aws_sso_oidc,
    &aws_signin,
};

static void answer(struct str line)
{
    struct str service, region, flags;
    struct aws_endpoint_options o = {0};
    struct diag d = {0};
    AUTO_BUF url = {0};

    str_cut(line, '\t', &service, &line);
    str_cut(line, '\t', &region, &line);
    str_cut(line, '\t', &flags, &o.endpoint);
    o.region = region;
    o.fips = str_contains(flags, STR("f"));
    o.dual_stack = str_contains(flags, STR("d"));
    o.legacy_sts = str_contains(flags, STR("l"));
    for (size_t i = 0; i < COUNT_OF(services); i++) {
        if (!str_eq_c(service, services[i]->endpoint))
            continue;
        if (aws_endpoint(services[i], &o, &url, &d) != OK) {
            printf("error\t%s\n", d.text);
            return;
        }
        struct str signed_for = aws_signing_region(services[i], &o);
        printf("%.*s\t%.*s\n", STR_ARGS(buf_view(&url)), STR_ARGS(signed_for));
        return;
    }
    printf("error\tno such service\n");
}

int main(void)
{
    words_each_line(answer);
    return 0;
}
