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
