/* listen: where a server's address becomes a socket.
 *
 * Addresses are written as the Go programs write them, so that flags and configuration files of the originals work:
 *
 *   :8125            every address of both families: one IPv6 socket that takes IPv4 too; where the kernel has no
 *                    IPv6, 0.0.0.0
 *   10.0.0.1:8125    one address; [::1]:8125 in brackets, and then no IPv4
 *   localhost:8125   the first address that the name has
 *
 * Messages are Go's where it has any ("too many colons in address", "missing port in address"): users search for them.
 */
#include "net/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/num.h"
#include "net/resolver.h"

static enum err split_address(struct str address, struct str *host, uint16_t *port, struct diag *d)
{
    uint64_t number;
    const char *colon = address.n ? memrchr(address.p, ':', address.n) : NULL;
    *host = colon ? str_from(address.p, (size_t)(colon - address.p)) : address;
    struct str port_text = colon ? str_from(colon + 1, address.n - host->n - 1) : STR_NONE;
    bool bracketed = host->n >= 2 && host->p[0] == '[' && host->p[host->n - 1] == ']';
    if (bracketed) {
        *host = str_from(host->p + 1, host->n - 2);
    } else if (host->n && memchr(host->p, ':', host->n)) {
        return diag_set(d, ERR_SYNTAX, "address %.*s: too many colons in address", STR_ARGS(address));
    }
    if (!colon || (address.n && address.p[address.n - 1] == ']')) {
        return diag_set(d, ERR_SYNTAX, "address %.*s: missing port in address", STR_ARGS(address));
    }
    if (num_parse_u64(port_text, &number) != OK || number > 65535) {
        return diag_set(d, ERR_SYNTAX, "address %.*s: invalid port", STR_ARGS(address));
    }
    *port = (uint16_t)number;
    return OK;
}

/* Empty host: all addresses of both families. A name is looked up, blocking. */
static enum err find_address(struct str host, int type, struct net_address *out, struct diag *d)
{
    if (host.n == 0) {
        *out = (struct net_address){.in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT}};
    } else if (!net_address_parse(host, out)) {
        struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = type, .ai_flags = AI_PASSIVE}, *found;
        char *name = str_to_c(host);
        int code = getaddrinfo(name, NULL, &hints, &found);
        free(name);
        if (code) {
            return diag_set(d, ERR_NET, "lookup %.*s: no such host", STR_ARGS(host));
        }
        memcpy(out, found->ai_addr, found->ai_addrlen < sizeof(*out) ? found->ai_addrlen : sizeof(*out));
        freeaddrinfo(found);
    }
    return OK;
}

static int open_bound(const struct net_address *a, int type, bool both_families)
{
    int one = 1, zero = 0;
    int fd = socket(a->sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (type == SOCK_STREAM) { /* for datagrams it would let two programs share a port, and one get nothing */
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    }
    if (a->sa.sa_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, both_families ? &zero : &one, sizeof(int));
    }
    if (bind(fd, &a->sa, net_address_size(a)) || (type == SOCK_STREAM && listen(fd, SOMAXCONN))) {
        int number = errno;
        close(fd);
        errno = number;
        return -1;
    }
    return fd;
}

enum err listen_open(struct str address, int type, int *fd, uint16_t *port, struct diag *d)
{
    struct str host;
    struct net_address a;
    enum err err = split_address(address, &host, port, d);
    if (!err) {
        err = find_address(host, type, &a, d);
    }
    if (err) {
        return err;
    }
    net_address_set_port(&a, *port);
    *fd = open_bound(&a, type, host.n == 0);
    if (*fd < 0 && host.n == 0 && errno != EADDRINUSE && errno != EACCES) { /* a machine without IPv6 */
        a = (struct net_address){.in = {.sin_family = AF_INET, .sin_port = htons(*port)}};
        *fd = open_bound(&a, type, false);
    }
    if (*fd < 0) {
        return diag_errno(d, ERR_NET, errno, "listen %s %.*s: bind", type == SOCK_STREAM ? "tcp" : "udp",
                          STR_ARGS(address));
    }
    socklen_t n = sizeof(a);
    CHECK(getsockname(*fd, &a.sa, &n) == 0);
    *port = ntohs(a.sa.sa_family == AF_INET6 ? a.in6.sin6_port : a.in.sin_port);
    return OK;
}
