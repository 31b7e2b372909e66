/* services: the services leadline calls, as data: how each is named in signatures, host names, variables and requests.
 *
 * Source: the service models of botocore (endpointPrefix, signingName, serviceId, targetPrefix, apiVersion, protocols).
 * Of several protocols the one with the smallest reader is taken: JSON before query, and never CBOR.
 */
#include "aws/aws_int.h"

const struct aws_service aws_ecs = {
    .name = "ecs",
    .endpoint = "ecs",
    .id = "ECS",
    .target = "AmazonEC2ContainerServiceV20141113",
    .protocol = AWS_JSON_1_1,
};

const struct aws_service aws_ec2 = {
    .name = "ec2",
    .endpoint = "ec2",
    .id = "EC2",
    .version = "2016-11-15",
    .protocol = AWS_EC2,
};

const struct aws_service aws_servicediscovery = {
    .name = "servicediscovery",
    .endpoint = "servicediscovery",
    .id = "SERVICEDISCOVERY",
    .target = "Route53AutoNaming_v20170314",
    .protocol = AWS_JSON_1_1,
};

/* The same service's other front: DiscoverInstances and DiscoverInstancesRevision go there. */
const struct aws_service aws_servicediscovery_data = {
    .name = "servicediscovery",
    .endpoint = "data-servicediscovery",
    .id = "SERVICEDISCOVERY",
    .target = "Route53AutoNaming_v20170314",
    .protocol = AWS_JSON_1_1,
};

const struct aws_service aws_ssm = {
    .name = "ssm",
    .endpoint = "ssm",
    .id = "SSM",
    .target = "AmazonSSM",
    .protocol = AWS_JSON_1_1,
};

const struct aws_service aws_secretsmanager = {
    .name = "secretsmanager",
    .endpoint = "secretsmanager",
    .id = "SECRETS_MANAGER",
    .target = "secretsmanager",
    .protocol = AWS_JSON_1_1,
};

const struct aws_service aws_sts = {
    .name = "sts",
    .endpoint = "sts",
    .id = "STS",
    .version = "2011-06-15",
    .protocol = AWS_QUERY,
};

const struct aws_service aws_logs = {
    .name = "logs",
    .endpoint = "logs",
    .id = "CLOUDWATCH_LOGS",
    .target = "Logs_20140328",
    .protocol = AWS_JSON_1_1,
};

const struct aws_service aws_cloudwatch = {
    .name = "monitoring",
    .endpoint = "monitoring",
    .id = "CLOUDWATCH",
    .target = "GraniteServiceVersion20100801",
    .protocol = AWS_JSON_1_0,
};

const struct aws_service aws_aps = {
    .name = "aps",
    .endpoint = "aps",
    .id = "AMP",
    .protocol = AWS_REST_JSON,
};

const struct aws_service aws_sso = {
    .name = "awsssoportal",
    .endpoint = "portal.sso",
    .id = "SSO",
    .protocol = AWS_REST_JSON,
};

const struct aws_service aws_sso_oidc = {
    .name = "sso-oauth",
    .endpoint = "oidc",
    .id = "SSO_OIDC",
    .protocol = AWS_REST_JSON,
};

const struct aws_service aws_signin = {
    .name = "signin",
    .endpoint = "signin",
    .id = "SIGNIN",
    .protocol = AWS_REST_JSON,
};
