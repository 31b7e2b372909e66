/* poller: the sockets of net/ on a loop, through one epoll instance of our own that the loop sees as a single handle.
 *
 * An entry lives in its owner's struct and costs one pointer. It may be removed at any time, also while events that
 * were fetched together with its own are being handed out. All on the loop's thread.
 */
#ifndef NET_POLLER_H
#define NET_POLLER_H

#include <stdint.h>
#include <sys/epoll.h>

#include "base/err.h"
#include "loop/loop.h"

struct poller;
struct poller_entry;
typedef void(poller_fn)(struct poller_entry *e, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLRDHUP, ... */

struct poller_entry {
    poller_fn *fn;
};

struct poller *poller_new(struct loop *loop);
/* Closes the handle; `closed` runs on the loop's next turn, whatever became of its timers, and then the poller is gone.
 */
void poller_free(struct poller *p, void (*closed)(void *ctx), void *ctx);
/* events as for epoll_ctl, EPOLLET allowed. ERR_NET when the kernel refuses (out of watches). */
enum err poller_add(struct poller *p, int fd, uint32_t events, struct poller_entry *e) MUST_USE;
void poller_change(struct poller *p, int fd, uint32_t events, struct poller_entry *e);
/* Also forgets events of e that wait to be handed out. The fd must still be open, or -1 when it is closed already. */
void poller_remove(struct poller *p, int fd, struct poller_entry *e);

#endif
