/* ec2_sd against answers written by hand: labels as Prometheus 3.15 makes them (golden text), pages, filters, and
 * instances that lack this or that. */
#include "unit.h"

#include "base/mem.h"
#include "discover/discoverer.h"
#include "unit/discover/aws_bench.h"
#include "world.h"

struct bench {
    struct aws_bench base;
    struct plan_aws_sd config;

    const char *pages[3]; /* items of the reservation set, page by page */
    uint32_t n_pages;
    const char *fault, *zone_fault; /* an error's code */
    struct buf body;                /* of the last DescribeInstances */
};

static void update(struct target_consumer *self, struct target_groups *g)
{
    struct bench *b = CONTAINER_OF(self, struct bench, base.consumer);

    buf_clear(&b->base.last);
    buf_c(&b->base.last, "");
    assert_int_equal(g->n, 1);
    assert_str_c(labels_get(g->groups[0].labels, STR("__meta_ec2_region")), "eu-west-1");
    for (uint32_t k = 0; k < g->groups[0].n_targets; k++) {
        labels_print(g->groups[0].targets[k], &b->base.last);
        buf_char(&b->base.last, '\n');
    }
    b->base.updates++;
    target_groups_free(g);
}

static void answer(struct fake_aws *f, const char *operation, struct str body, struct fake_answer *out)
{
    struct bench *b = f->ctx;

    if (strcmp(operation, "DescribeAvailabilityZones") == 0) {
        out->code = b->zone_fault;
        buf_c(&out->body, "<DescribeAvailabilityZonesResponse><availabilityZoneInfo>"
                          "<item><zoneName>eu-west-1a</zoneName><zoneId>euw1-az3</zoneId></item><item/>"
                          "<item><zoneName>eu-west-1b</zoneName><zoneId>euw1-az1</zoneId></item>"
                          "</availabilityZoneInfo></DescribeAvailabilityZonesResponse>");
        return;
    }
    assert_string_equal(operation, "DescribeInstances");
    buf_clear(&b->body);
    buf_str(&b->body, body);
    out->code = b->fault;
    uint32_t page = str_contains(body, STR("NextToken=page1")) ? 1 : str_contains(body, STR("NextToken=page2")) ? 2 : 0;
    buf_printf(&out->body,
               "<?xml version=\"1.0\"?><DescribeInstancesResponse xmlns=\"x\"><reservationSet>%s"
               "</reservationSet>",
               b->pages[page] ? b->pages[page] : "");
    if (page + 1 < b->n_pages)
        buf_printf(&out->body, "<nextToken>page%u</nextToken>", page + 1);
    buf_c(&out->body, "</DescribeInstancesResponse>");
}

static struct bench *open_bench(const char *items)
{
    struct bench *b = NEW(struct bench);

    aws_bench_open(&b->base, answer, b);
    b->base.consumer.update = update;
    b->pages[0] = items;
    b->n_pages = 1;
    b->config = (struct plan_aws_sd){.role = AWS_SD_EC2, .port = 80, .refresh_ms = 5};
    return b;
}

static void start(struct bench *b)
{
    struct discover_env env = aws_bench_env(&b->base);

    b->base.d = discover_ec2_new(&env, b->base.plan, &b->config, &b->base.consumer);
    assert_int_equal(b->base.updates, 0);
}

static void close_bench(struct bench *b)
{
    aws_bench_close(&b->base);
    buf_release(&b->body);
    free(b);
}

static void finds(const char *items, const char *want)
{
    struct bench *b = open_bench(items);

    start(b);
    world_until(b->base.loop, b->base.updates >= 1);
    assert_string_equal(b->base.last.p, want);
    close_bench(b);
}

#define INSTANCE(rest) "<item><ownerId>1234</ownerId><instancesSet><item>" rest "</item></instancesSet></item>"

static void test_all_labels(void **state)
{
    (void)state;
    finds(INSTANCE("<instanceId>i-1</instanceId><imageId>ami-1</imageId><instanceState><code>16</code>"
                   "<name>running</name></instanceState><privateDnsName>ip-10-0-0-1</privateDnsName>"
                   "<dnsName>ec2-203</dnsName><instanceType>t3.small</instanceType><placement>"
                   "<availabilityZone>eu-west-1b</availabilityZone></placement><platform>windows</platform>"
                   "<subnetId>subnet-1</subnetId><vpcId>vpc-1</vpcId><privateIpAddress>10.0.0.1</privateIpAddress>"
                   "<ipAddress>203.0.113.1</ipAddress><architecture>x86_64</architecture>"
                   "<instanceLifecycle>spot</instanceLifecycle>"
                   "<tagSet><item><key>Name</key><value>web &amp; more</value></item>"
                   "<item><key>aws:x-y/z</key><value>v</value></item><item><key>none</key></item></tagSet>"
                   "<networkInterfaceSet><item><subnetId>subnet-1</subnetId></item>"
                   "<item><subnetId>subnet-2</subnetId></item><item><subnetId>subnet-1</subnetId></item><item/>"
                   "</networkInterfaceSet>"),
          "{__address__=\"10.0.0.1:80\", __meta_ec2_ami=\"ami-1\", __meta_ec2_architecture=\"x86_64\", "
          "__meta_ec2_availability_zone=\"eu-west-1b\", __meta_ec2_availability_zone_id=\"euw1-az1\", "
          "__meta_ec2_instance_id=\"i-1\", __meta_ec2_instance_lifecycle=\"spot\", "
          "__meta_ec2_instance_state=\"running\", __meta_ec2_instance_type=\"t3.small\", "
          "__meta_ec2_owner_id=\"1234\", __meta_ec2_platform=\"windows\", "
          "__meta_ec2_primary_subnet_id=\"subnet-1\", __meta_ec2_private_dns_name=\"ip-10-0-0-1\", "
          "__meta_ec2_private_ip=\"10.0.0.1\", __meta_ec2_public_dns_name=\"ec2-203\", "
          "__meta_ec2_public_ip=\"203.0.113.1\", __meta_ec2_subnet_id=\",subnet-1,subnet-2,\", "
          "__meta_ec2_tag_Name=\"web & more\", __meta_ec2_tag_aws_x_y_z=\"v\", __meta_ec2_vpc_id=\"vpc-1\"}\n");
}

static void test_ipv6(void **state)
{
    (void)state;
    finds(INSTANCE("<instanceId>i-1</instanceId><vpcId>vpc-1</vpcId><networkInterfaceSet>"
                   "<item><subnetId>s</subnetId><attachment><deviceIndex>1</deviceIndex></attachment><ipv6AddressesSet>"
                   "<item><ipv6Address>2001:db8::1</ipv6Address></item>"
                   "<item><ipv6Address>2001:db8::2</ipv6Address><isPrimaryIpv6>true</isPrimaryIpv6></item><item/>"
                   "</ipv6AddressesSet></item>"
                   "<item><ipv6AddressesSet><item><ipv6Address>2001:db8::9</ipv6Address></item></ipv6AddressesSet>"
                   "</item></networkInterfaceSet>"),
          "{__address__=\"[2001:db8::2]:80\", __meta_ec2_default_ipv6_address=\"2001:db8::2\", "
          "__meta_ec2_instance_id=\"i-1\", __meta_ec2_ipv6_addresses=\",2001:db8::1,2001:db8::2,\", "
          "__meta_ec2_owner_id=\"1234\", __meta_ec2_primary_ipv6_addresses=\",,2001:db8::2,\", "
          "__meta_ec2_subnet_id=\",s,\", __meta_ec2_vpc_id=\"vpc-1\"}\n");
}

static void test_instances_that_lack_something(void **state)
{
    (void)state;
    finds(INSTANCE("<instanceId>i-none</instanceId>") INSTANCE("") "<item/>" INSTANCE(
              "<privateIpAddress>10.0.0.1</privateIpAddress><dnsName>hidden</dnsName><vpcId>v</vpcId>"),
          "{__address__=\"10.0.0.1:80\", __meta_ec2_owner_id=\"1234\", __meta_ec2_private_ip=\"10.0.0.1\", "
          "__meta_ec2_subnet_id=\",,\", __meta_ec2_vpc_id=\"v\"}\n");
    finds("", "");
}

#define PLAIN(ip) INSTANCE("<privateIpAddress>" ip "</privateIpAddress>")

static void test_pages_and_filters(void **state)
{
    struct bench *b = open_bench(PLAIN("10.0.0.1"));
    struct str values[] = {STR("a b"), STR("c&d")};
    struct plan_filter filters[] = {{STR("tag:Env"), values, 2}, {STR("instance-state-name"), values, 1}};

    (void)state;
    b->pages[2] = PLAIN("10.0.0.2"); /* the one in between is empty */
    b->n_pages = 3;
    b->config.filters = filters;
    b->config.n_filters = 2;
    start(b);
    world_until(b->base.loop, b->base.updates >= 1);
    assert_non_null(strstr(b->base.last.p, "10.0.0.1:80"));
    assert_non_null(strstr(b->base.last.p, "10.0.0.2:80"));
    const char *want = "Filter.1.Name=tag%3AEnv&Filter.1.Value.1=a+b&Filter.1.Value.2=c%26d&"
                       "Filter.2.Name=instance-state-name&Filter.2.Value.1=a+b&IncludeManagedResources=true&"
                       "MaxResults=1000";
    assert_true(str_starts(buf_view(&b->body), str_c(want)));
    close_bench(b);
}

static void test_zones_are_asked_for_until_known(void **state)
{
    struct bench *b = open_bench(INSTANCE("<privateIpAddress>1.1.1.1</privateIpAddress><placement>"
                                          "<availabilityZone>eu-west-1a</availabilityZone></placement>"));

    (void)state;
    b->zone_fault = "UnauthorizedOperation";
    start(b);
    world_until(b->base.loop, b->base.updates >= 2);
    assert_non_null(strstr(b->base.last.p, "availability_zone=\"eu-west-1a\""));
    assert_null(strstr(b->base.last.p, "availability_zone_id"));
    assert_int_equal(aws_bench_status(&b->base).failures, 0);
    b->zone_fault = NULL;
    world_until(b->base.loop, strstr(b->base.last.p, "availability_zone_id=\"euw1-az3\""));
    buf_clear(&b->base.fake.log);
    int updates = b->base.updates;
    world_until(b->base.loop, b->base.updates >= updates + 3);
    assert_null(strstr(b->base.fake.log.p, "DescribeAvailabilityZones"));
    close_bench(b);
}

static void test_failures_keep_the_last_targets(void **state)
{
    struct bench *b = open_bench(PLAIN("10.0.0.1"));

    (void)state;
    start(b);
    world_until(b->base.loop, b->base.updates >= 1);
    b->fault = "RequestLimitExceeded";
    world_until(b->base.loop, aws_bench_status(&b->base).failures >= 2);
    int updates = b->base.updates;
    assert_str_c(aws_bench_status(&b->base).last_error, "ec2 DescribeInstances: RequestLimitExceeded: no");
    b->fault = NULL;
    b->pages[0] = "<item><instancesSet>";
    uint64_t failures = aws_bench_status(&b->base).failures;
    world_until(b->base.loop, aws_bench_status(&b->base).failures >= failures + 2);
    assert_int_equal(b->base.updates, updates);
    assert_non_null(strstr(b->base.last.p, "10.0.0.1:80"));
    b->pages[0] = PLAIN("10.0.0.2");
    world_until(b->base.loop, strstr(b->base.last.p, "10.0.0.2:80"));
    close_bench(b);
}

static void test_stops_at_any_moment(void **state)
{
    (void)state;
    for (uint32_t calls = 0; calls < 4; calls++) {
        struct bench *b = open_bench(PLAIN("10.0.0.1"));
        b->n_pages = 3;
        start(b);
        world_until(b->base.loop, b->base.fake.n_calls >= calls);
        b->base.d->stop(b->base.d);
        b->base.d = NULL;
        close_bench(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_labels),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_instances_that_lack_something),
        cmocka_unit_test(test_pages_and_filters),
        cmocka_unit_test(test_zones_are_asked_for_until_known),
        cmocka_unit_test(test_failures_keep_the_last_targets),
        cmocka_unit_test(test_stops_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
