/* dns_message: what a DNS server answered (RFC 1035 section 4; SRV: RFC 2782; AAAA: RFC 3596), and the names that a
 * resolv.conf makes of one. Pure, any thread.
 */
#ifndef NET_DNS_MESSAGE_H
#define NET_DNS_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum { DNS_A = 1, DNS_NS = 2, DNS_CNAME = 5, DNS_MX = 15, DNS_AAAA = 28, DNS_SRV = 33 };
enum { DNS_NO_ERROR = 0, DNS_NO_SUCH_NAME = 3 };

struct dns_record {
    uint16_t type;
    uint16_t port; /* SRV */
    uint32_t ttl_s;
    struct str target; /* NS, CNAME, MX, SRV: a name with its final dot, special bytes escaped (\. \032);
                          A, AAAA: the address as text; other types: empty */
};

struct dns_answer {
    bool truncated;
    uint8_t rcode;
    struct dns_record *records; /* of the answer section, in order, whatever their names */
    uint32_t n;
};

/* Into a. ERR_SYNTAX with the offset: cut off, a name that is too long or points forward, a record that is not what its
 * type says. */
enum err dns_answer_parse(struct str message, struct arena *a, struct dns_answer *out, struct diag *d) MUST_USE;

enum { DNS_MAX_SEARCH = 32 };
struct dns_search {
    struct str domains[DNS_MAX_SEARCH]; /* views into the text */
    uint32_t n, ndots;
};
/* domain, search and options ndots of a resolv.conf; the last of domain and search stands. */
void dns_search_parse(struct str resolv_conf, struct dns_search *out);
/* The names to ask for, in order, each with its final dot; NUL-terminated, in a. At most DNS_MAX_SEARCH + 1. */
uint32_t dns_search_names(const struct dns_search *s, struct str name, struct arena *a, struct str *out);

#endif
