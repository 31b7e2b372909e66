/* ec2_answers: what EC2 says of instances, availability zones and network interfaces (Amazon EC2 API Reference), as
 * plain data. Pure, any thread. Copied into the arena given; strings are NUL-terminated beyond n; absent ones have a
 * NULL p, empty ones do not: the original makes a label of the latter.
 */
#ifndef DISCOVER_EC2_ANSWERS_H
#define DISCOVER_EC2_ANSWERS_H

#include "discover/ecs_answers.h"

struct ec2_address6 {
    struct str address;
    bool primary;
};

struct ec2_interface {
    struct str id, subnet_id, public_ip; /* public_ip: of DescribeNetworkInterfaces only */
    int32_t device_index;                /* -1: none */
    struct ec2_address6 *ipv6;
    uint32_t n_ipv6;
};

struct ec2_instance {
    struct str id, owner_id, type, image_id, state, private_ip, public_ip, private_dns, public_dns, subnet_id, vpc_id,
        zone, zone_id, platform, architecture, lifecycle;
    struct str ipv6; /* the first primary one of its interfaces, else their first */
    struct ec2_interface *interfaces;
    uint32_t n_interfaces;
    struct ecs_tags tags;
};

struct ec2_zone {
    struct str name, id;
};

struct ec2_described {
    struct ec2_instance *instances;
    struct ec2_zone *zones;
    struct ec2_interface *interfaces;
    uint32_t n; /* of the one that was asked for */
    struct str next_token;
};

enum err ec2_instances_parse(struct str body, struct arena *a, struct ec2_described *out, struct diag *d) MUST_USE;
enum err ec2_zones_parse(struct str body, struct arena *a, struct ec2_described *out, struct diag *d) MUST_USE;
enum err ec2_interfaces_parse(struct str body, struct arena *a, struct ec2_described *out, struct diag *d) MUST_USE;

#endif
