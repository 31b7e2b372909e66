/* request_int: one sealed request in memory. */
#ifndef SPOOL_REQUEST_INT_H
#define SPOOL_REQUEST_INT_H

#include "spool/format_int.h"
#include "wire/compress.h"

enum request_state {
    REQUEST_QUEUED,  /* in memory only (and in an open batch, when `batch` or `open_file` says so) */
    REQUEST_WRITING, /* with the I/O thread */
    REQUEST_ON_DISK,
};

/* On the heap, in one lane's list; while it is being written, the I/O thread reads header and image. */
struct request {
    struct request *prev, *next;
    struct spool_request view; /* what the sender sees; body and borders point into the image */
    struct record_header header;
    struct buf image; /* the record, as on disk */
    enum request_state state;
    bool uncounted;       /* of a group that is not counted as read yet: may not be sent */
    bool abandoned;       /* done or dropped while being written */
    int batch;            /* the mapped batch that holds it too; -1 none */
    int open_file;        /* the recovered open file that holds it too; -1 none */
    uint64_t segment, at; /* on disk: where */
    uint64_t queued_ms;   /* monotonic, when it was sealed */
};

/* A message as it was gathered. */
struct request_source {
    struct str raw;
    const struct spool_border *borders;
    uint32_t n_borders, samples;
    int64_t first_ms, last_ms, sealed_ms;
    uint64_t seq;
    uint32_t protocol;
    enum compression compression;
    const struct spool_sealer *sealer; /* in place of compression; NULL: none */
    uint64_t read;                     /* the lane's totals */
    struct commit_drops drops;
};
/* Compresses, or has it sealed. NULL when the message is beyond the compressor's limits, or not what the sealer takes.
 */
struct request *request_seal(struct compressor *c, const struct request_source *s);
/* seq, group fields and totals of the header may be changed until the request is handed over; then this is called. */
void request_finish(struct request *r);
/* Takes image, a whole checked record. */
struct request *request_from_image(const struct record_header *h, struct buf *image);
void request_free(struct request *r);

static inline uint64_t request_memory(const struct request *r)
{
    return sizeof(*r) + r->image.cap;
}

/* ---- a list in order of seq ---- */

struct request_list {
    struct request *first, *last;
    uint32_t n;
};
void request_list_push(struct request_list *l, struct request *r);
void request_list_insert(struct request_list *l, struct request *r); /* by seq; quick near the front */
void request_list_remove(struct request_list *l, struct request *r);

#endif
