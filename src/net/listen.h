/* listen: addresses as the Go programs write them, to bound sockets. */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* Opens a socket of this type (SOCK_STREAM: it listens already; SOCK_DGRAM), not blocking, bound to "host:port",
 * "[v6]:port", or ":port": both families on one socket, IPv4 alone on a machine without IPv6. Port 0: any; *port tells
 * which one. A host name is looked up, blocking: for the start of a program and its reloads. Any thread.
 * ERR_SYNTAX, or ERR_NET: "listen udp :8125: bind: Address already in use". */
enum err listen_open(struct str address, int type, int *fd, uint16_t *port, struct diag *d) MUST_USE;

#endif
