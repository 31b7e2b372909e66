/* Any bytes as an answer of EC2: each reader takes it or refuses it with words; what is taken is bounded by the
 * answer's size and borrows nothing from the text.
 */
#include "discover/ec2_answers.h"
#include "fuzz/answer_body.h"

static void check_text(struct str s)
{
    CHECK(s.p ? s.p[s.n] == '\0' : s.n == 0);
}

static void check_interfaces(const struct ec2_interface *v, uint32_t n, size_t most)
{
    CHECK(n <= most);
    for (uint32_t i = 0; i < n; i++) {
        check_text(v[i].id);
        check_text(v[i].public_ip);
        CHECK(v[i].n_ipv6 <= most && v[i].device_index >= -1);
        for (uint32_t k = 0; k < v[i].n_ipv6; k++)
            CHECK(v[i].ipv6[k].address.p != NULL);
    }
}

static void check_instance(const struct ec2_instance *v, size_t most)
{
    check_text(v->id);
    check_text(v->private_ip);
    check_text(v->zone);
    CHECK(v->tags.n <= most);
    for (uint32_t i = 0; i < v->tags.n; i++)
        CHECK(v->tags.v[i].key.p && v->tags.v[i].value.p);
    check_interfaces(v->interfaces, v->n_interfaces, most);
}

typedef enum err(reader)(struct str body, struct arena *a, struct ec2_described *out, struct diag *d);

static void describe(reader *read, const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct ec2_described got;
    struct diag d = {0};
    struct str body = body_copy(data, size);
    enum err err = read(body, &a, &got, &d);
    body_spoil(body);
    CHECK(err == OK ? got.n <= size : d.text[0] != '\0');
    for (uint32_t i = 0; !err && got.instances && i < got.n; i++)
        check_instance(&got.instances[i], size);
    if (!err && got.interfaces)
        check_interfaces(got.interfaces, got.n, size);
    check_text(got.next_token);
    arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    describe(ec2_instances_parse, data, size);
    describe(ec2_zones_parse, data, size);
    describe(ec2_interfaces_parse, data, size);
    return 0;
}
