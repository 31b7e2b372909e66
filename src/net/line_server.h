/* line_server: a TCP listener that takes lines from many peers and answers nothing. All on the loop's thread.
 *
 * A line is what stands before '\n', or before the end of the connection; empty ones are handed out too. A line that is
 * too long is skipped to its end and counted; what follows it is kept. A peer that is silent costs some 60 bytes and
 * its socket.
 */
#ifndef NET_LINE_SERVER_H
#define NET_LINE_SERVER_H

#include "base/err.h"
#include "base/str.h"
#include "loop/loop.h"

struct line_server;
typedef void(line_fn)(void *ctx, struct str line); /* valid until it returns; it does not free the server */

struct line_server_options {
    struct str address;       /* as in net/listen.h */
    size_t max_line;          /* bytes; 0: 1 MiB */
    uint32_t max_connections; /* 0: 1,000. Those beyond are closed at once */
    size_t max_unfinished;    /* bytes of unfinished lines, of all peers; 0: 64 MiB */
    line_fn *fn;
    void *ctx;
};

struct line_server_counts {
    uint32_t connections; /* now */
    uint64_t too_long;    /* lines that were longer than max_line */
    uint64_t no_room;     /* lines that did not fit into max_unfinished */
    uint64_t refused;     /* connections, since there were too many, or no descriptors */
};

/* ERR_SYNTAX or ERR_NET with the address and the reason. */
enum err line_server_new(struct loop *loop, const struct line_server_options *o, struct line_server **out,
                         struct diag *d) MUST_USE;
/* Hands out what the sockets hold, those of connections that nobody has accepted yet included, then the lines that no
 * peer has ended: before the end. */
void line_server_flush(struct line_server *s);
void line_server_free(struct line_server *s); /* fn is not called any more; the loop runs on for a turn */
int line_server_port(const struct line_server *s);
struct line_server_counts line_server_counts(const struct line_server *s);

#endif
