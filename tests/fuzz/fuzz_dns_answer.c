/* Any bytes as a DNS server's answer, and as a resolv.conf: read inside their limits or refused with words; names are
 * printable text that ends with a dot, addresses are addresses, nothing borrows from the message.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "net/dns_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NAME_MOST = 255 * 4 };

static void check(const struct dns_record *r)
{
    uint8_t address[16];

    for (size_t i = 0; i < r->target.n; i++)
        CHECK(r->target.p[i] >= ' ' && r->target.p[i] <= '~');
    switch (r->type) {
    case DNS_A:
        CHECK(inet_pton(AF_INET, r->target.p, address) == 1);
        break;
    case DNS_AAAA:
        CHECK(inet_pton(AF_INET6, r->target.p, address) == 1 || inet_pton(AF_INET, r->target.p, address) == 1);
        break;
    case DNS_NS:
    case DNS_CNAME:
    case DNS_MX:
    case DNS_SRV:
        CHECK(r->target.n > 0 && r->target.n <= NAME_MOST && r->target.p[r->target.n - 1] == '.');
        break;
    default:
        CHECK(r->target.n == 0);
    }
}

static void parse_message(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct dns_answer answer;
    struct diag d = {0};
    char *message = malloc(size + 1);

    if (size)
        memcpy(message, data, size);
    enum err err = dns_answer_parse(str_from(message, size), &a, &answer, &d);
    memset(message, 0xff, size + 1);
    free(message);
    CHECK((err == OK) == (d.text[0] == '\0'));
    CHECK(answer.n <= size / 11);
    for (uint32_t i = 0; !err && i < answer.n; i++)
        check(&answer.records[i]);
    arena_release(&a);
}

static void parse_configuration(struct str text)
{
    struct arena a = {0};
    struct dns_search search;
    struct str names[DNS_MAX_SEARCH + 1];

    dns_search_parse(text, &search);
    CHECK(search.n <= DNS_MAX_SEARCH && search.ndots <= 15);
    uint32_t n = dns_search_names(&search, STR("a.b"), &a, names);
    CHECK(n >= 1 && n <= DNS_MAX_SEARCH + 1);
    for (uint32_t i = 0; i < n; i++)
        CHECK(str_starts(names[i], STR("a.b")) && names[i].p[names[i].n - 1] == '.');
    arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    parse_message(data, size);
    parse_configuration(str_from((const char *)data, size));
    return 0;
}
