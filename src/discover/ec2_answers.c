/* ec2_answers: see the header.
 *
 *   DescribeInstancesResponse/reservationSet/item/{ownerId, instancesSet/item/...}, nextToken
 *   DescribeAvailabilityZonesResponse/availabilityZoneInfo/item/{zoneName, zoneId}
 *   DescribeNetworkInterfacesResponse/networkInterfaceSet/item/{networkInterfaceId, association/publicIp}, nextToken
 *
 * Elements that are not known are passed over. An item without what identifies it is taken as it is: what to do without
 * is for the user of the data to say.
 */
#include "discover/ec2_answers.h"

#include "base/num.h"
#include "wire/xml.h"

static struct str text(const struct xml_node *n, const char *name, struct arena *a)
{
    const struct xml_node *v = n ? xml_find(n, name) : NULL;

    return v ? str_dup(a, v->text) : STR_NONE;
}

static const struct xml_node *list(const struct xml_node *of, const char *name, uint32_t *n)
{
    const struct xml_node *v = of ? xml_find(of, name) : NULL;

    *n = v ? v->n : 0;
    return v ? v->first : NULL;
}

static struct ecs_tags read_tags(const struct xml_node *of, struct arena *a)
{
    struct ecs_tags tags = {0};
    uint32_t n;
    const struct xml_node *v = list(of, "tagSet", &n);

    tags.v = ARENA_ARRAY(a, struct ecs_tag, n);
    for (; v; v = v->next) {
        struct ecs_tag tag = {text(v, "key", a), text(v, "value", a)};
        if (tag.key.p && tag.value.p)
            tags.v[tags.n++] = tag;
    }
    return tags;
}

static void read_interface(const struct xml_node *v, struct arena *a, struct ec2_interface *i)
{
    uint32_t n;
    const struct xml_node *attachment = xml_find(v, "attachment"), *association = xml_find(v, "association");
    int64_t index;

    i->id = text(v, "networkInterfaceId", a);
    i->subnet_id = text(v, "subnetId", a);
    i->public_ip = text(association, "publicIp", a);
    i->device_index = -1;
    if (attachment && !num_parse_i64(xml_text(attachment, "deviceIndex"), &index) && index >= 0 && index <= INT16_MAX)
        i->device_index = (int32_t)index;
    const struct xml_node *address = list(v, "ipv6AddressesSet", &n);
    i->ipv6 = ARENA_ARRAY(a, struct ec2_address6, n);
    for (; address; address = address->next) {
        struct str ip = text(address, "ipv6Address", a);
        if (ip.p)
            i->ipv6[i->n_ipv6++] = (struct ec2_address6){ip, str_eq(xml_text(address, "isPrimaryIpv6"), STR("true"))};
    }
}

static struct ec2_interface *read_interfaces(const struct xml_node *of, struct arena *a, uint32_t *n_out)
{
    uint32_t n;
    const struct xml_node *v = list(of, "networkInterfaceSet", &n);
    struct ec2_interface *all = ARENA_ARRAY(a, struct ec2_interface, n);

    *n_out = 0;
    for (; v; v = v->next)
        read_interface(v, a, &all[(*n_out)++]);
    return all;
}

static struct str first_ipv6(const struct ec2_instance *i)
{
    struct str first = STR_NONE;

    for (uint32_t k = 0; k < i->n_interfaces; k++) {
        for (uint32_t m = 0; m < i->interfaces[k].n_ipv6; m++) {
            if (i->interfaces[k].ipv6[m].primary)
                return i->interfaces[k].ipv6[m].address;
            if (!first.p)
                first = i->interfaces[k].ipv6[m].address;
        }
    }
    return first;
}

static void read_instance(const struct xml_node *v, struct str owner, struct arena *a, struct ec2_instance *i)
{
    const struct xml_node *placement = xml_find(v, "placement");

    i->owner_id = owner;
    i->id = text(v, "instanceId", a);
    i->type = text(v, "instanceType", a);
    i->image_id = text(v, "imageId", a);
    i->state = text(xml_find(v, "instanceState"), "name", a);
    i->private_ip = text(v, "privateIpAddress", a);
    i->public_ip = text(v, "ipAddress", a);
    i->private_dns = text(v, "privateDnsName", a);
    i->public_dns = text(v, "dnsName", a);
    i->subnet_id = text(v, "subnetId", a);
    i->vpc_id = text(v, "vpcId", a);
    i->zone = text(placement, "availabilityZone", a);
    i->zone_id = text(placement, "availabilityZoneId", a);
    i->platform = text(v, "platform", a);
    i->architecture = text(v, "architecture", a);
    i->lifecycle = text(v, "instanceLifecycle", a);
    i->interfaces = read_interfaces(v, a, &i->n_interfaces);
    i->ipv6 = first_ipv6(i);
    i->tags = read_tags(v, a);
}

static enum err open_answer(struct str body, const char *name, struct arena *scratch, struct xml_node **root,
                            struct diag *d)
{
    enum err err = xml_parse(body, scratch, root, d);

    if (!err && !str_eq_c((*root)->name, name))
        return diag_set(d, ERR_SYNTAX, "the answer is a <%.*s>, not a <%s>", STR_ARGS((*root)->name), name);
    return err;
}

static void read_reservations(const struct xml_node *root, struct arena *a, struct ec2_described *out)
{
    uint32_t n, total = 0, unused;

    for (const struct xml_node *r = list(root, "reservationSet", &unused); r; r = r->next) {
        list(r, "instancesSet", &n);
        total += n;
    }
    out->instances = ARENA_ARRAY(a, struct ec2_instance, total);
    for (const struct xml_node *r = list(root, "reservationSet", &unused); r; r = r->next) {
        struct str owner = text(r, "ownerId", a);
        for (const struct xml_node *v = list(r, "instancesSet", &n); v; v = v->next)
            read_instance(v, owner, a, &out->instances[out->n++]);
    }
}

enum err ec2_instances_parse(struct str body, struct arena *a, struct ec2_described *out, struct diag *d)
{
    struct arena scratch = {0};
    struct xml_node *root = NULL;
    enum err err = open_answer(body, "DescribeInstancesResponse", &scratch, &root, d);

    *out = (struct ec2_described){0};
    if (!err) {
        read_reservations(root, a, out);
        out->next_token = text(root, "nextToken", a);
    }
    arena_release(&scratch);
    return err;
}

enum err ec2_zones_parse(struct str body, struct arena *a, struct ec2_described *out, struct diag *d)
{
    struct arena scratch = {0};
    struct xml_node *root = NULL;
    uint32_t n;
    enum err err = open_answer(body, "DescribeAvailabilityZonesResponse", &scratch, &root, d);

    *out = (struct ec2_described){0};
    if (!err) {
        const struct xml_node *v = list(root, "availabilityZoneInfo", &n);
        out->zones = ARENA_ARRAY(a, struct ec2_zone, n);
        for (; v; v = v->next) {
            struct ec2_zone zone = {text(v, "zoneName", a), text(v, "zoneId", a)};
            if (zone.name.p && zone.id.p)
                out->zones[out->n++] = zone;
        }
    }
    arena_release(&scratch);
    return err;
}

enum err ec2_interfaces_parse(struct str body, struct arena *a, struct ec2_described *out, struct diag *d)
{
    struct arena scratch = {0};
    struct xml_node *root = NULL;
    enum err err = open_answer(body, "DescribeNetworkInterfacesResponse", &scratch, &root, d);

    *out = (struct ec2_described){0};
    if (!err) {
        out->interfaces = read_interfaces(root, a, &out->n);
        out->next_token = text(root, "nextToken", a);
    }
    arena_release(&scratch);
    return err;
}
