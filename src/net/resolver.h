/* resolver: host names to addresses, on the loop, by c-ares: no thread, no blocking.
 *
 * Answers are kept for as long as their records allow, at least 1 s and at most 30 s; equal questions that are asked at
 * the same time share one query. Failures are not kept. All on the loop's thread.
 */
#ifndef NET_RESOLVER_H
#define NET_RESOLVER_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/dns_message.h"
#include "net/poller.h"

enum { RESOLVER_MAX_ADDRESSES = 8 };

struct net_address {
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    };
};

struct net_addresses {
    int n;
    struct net_address a[RESOLVER_MAX_ADDRESSES]; /* ports are 0; in the order in which to try them */
};

socklen_t net_address_size(const struct net_address *a);
void net_address_set_port(struct net_address *a, uint16_t port);
void net_address_print(struct buf *b, const struct net_address *a); /* with the port: 10.0.0.1:80, [::1]:80 */
/* IPv4 in four parts, IPv6 without brackets, with or without a zone. */
bool net_address_parse(struct str host, struct net_address *out);

struct resolver;
struct resolver_name;
struct resolver_lookup;
/* `diag` is set when err is not OK: "lookup x.example: no such host". */
typedef void(resolver_fn)(struct resolver_lookup *l, enum err err, const struct net_addresses *addresses,
                          const struct diag *diag);

/* In the struct of whoever asks; not moved while it runs. */
struct resolver_lookup {
    resolver_fn *fn;
    struct resolver_name *name; /* NULL when it does not run */
    struct resolver_lookup *next;
};

struct resolver *resolver_new(struct loop *loop, struct poller *poller);
void resolver_free(struct resolver *r); /* lookups that still run are forgotten; before the poller is freed */

/* Asks only this server from now on ("127.0.0.1:5353"), whatever resolv.conf says: for tests. */
enum err resolver_use_server(struct resolver *r, const char *address_and_port) MUST_USE;

/* What is known without asking: numeric hosts and fresh answers. ERR_AGAIN: resolver_start is needed. */
enum err resolver_get(struct resolver *r, struct str host, struct net_addresses *out) MUST_USE;
/* Calls l->fn once, later; never from inside. */
void resolver_start(struct resolver *r, struct str host, struct resolver_lookup *l);
void resolver_cancel(struct resolver_lookup *l); /* fn is not called any more; nothing when it does not run */

/* ---- records ----
 *
 * What a name's records say, past any cache: SRV, MX, NS, A, AAAA. The name is completed with the domains of
 * resolv.conf as its ndots says; the first of these names that a server knows gives the answer, which may hold no
 * record of the type. When every one of them is known not to exist the answer is empty. ERR_NET with a diag: at least
 * one could not be asked for, and no other gave an answer.
 */
struct resolver_query;
typedef void(resolver_records_fn)(struct resolver_query *q, enum err err, const struct dns_answer *answer,
                                  const struct diag *diag);

struct record_query;
/* In the struct of whoever asks; not moved while it runs. */
struct resolver_query {
    resolver_records_fn *fn;      /* the answer is valid during it */
    struct record_query *running; /* NULL when it does not run */
};

/* Large answers come over UDP where the server can (EDNS0, 4,096 bytes); otherwise over TCP. Before the first question.
 */
void resolver_use_edns(struct resolver *r);
/* Reads this file in place of /etc/resolv.conf: for tests. Before the first question. */
void resolver_use_configuration(struct resolver *r, const char *path);
/* Calls q->fn once, later; never from inside. type: DNS_SRV, ... */
void resolver_records_start(struct resolver *r, struct str name, uint16_t type, struct resolver_query *q);
void resolver_records_cancel(struct resolver_query *q); /* fn is not called any more; nothing when it does not run */

#endif
