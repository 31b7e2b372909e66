/* udp: a bound socket for datagrams on a loop. All on the loop's thread.
 *
 * Datagrams are handed out one by one, in the order of their arrival, at most some hundred a turn of the loop. What the
 * kernel drops because nobody read in time is counted by the kernel; udp_dropped says how many. IPv4 carries 65,507
 * bytes at most, and none is ever cut.
 */
#ifndef NET_UDP_H
#define NET_UDP_H

#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"

struct udp;
typedef void(udp_fn)(void *ctx, struct str datagram); /* valid until it returns; it may close the socket */

/* ":8125" (one socket for both families, IPv4 alone where there is no IPv6), "host:port", "[v6]:port", ":0".
 * ERR_SYNTAX or ERR_NET with the address and the reason. */
enum err udp_open(struct loop *loop, struct str address, udp_fn *fn, void *ctx, struct udp **out,
                  struct diag *d) MUST_USE;
/* Hands out what has arrived until now: before the end. */
void udp_drain(struct udp *u);
void udp_close(struct udp *u); /* fn is not called any more; the loop runs on for a turn. NULL is nothing */
int udp_port(const struct udp *u);
/* How many datagrams the kernel has dropped since the socket was opened: one system call, for once a second or so. */
uint32_t udp_dropped(const struct udp *u);

#endif
