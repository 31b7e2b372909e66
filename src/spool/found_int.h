/* found_int: what a lane's directory holds, read without changing anything. For a start, and for `leadline spool`. */
#ifndef SPOOL_FOUND_INT_H
#define SPOOL_FOUND_INT_H

#include "spool/open_batch_int.h"
#include "spool/request_int.h"
#include "spool/segment_int.h"

enum { OPEN_FILES_MAX = 16 };

struct found_note {
    char file[OPEN_NAME_SIZE];
    uint64_t at;
    char text[96];
};

struct lane_found {
    bool exists;
    struct cursor_slot cursor;     /* zeroes and head 1 when there was none */
    bool cursor_lost;              /* damaged or missing while there is data: the counts start again */
    bool damaged;                  /* something is not what was written */
    struct segment_info *segments; /* in order of seq */
    size_t n_segments, cap_segments;
    struct request_list open;            /* recovered from open batches, by seq; open_file says from which */
    uint32_t open_files;                 /* bit N: open-N exists */
    uint64_t open_bytes[OPEN_FILES_MAX]; /* their sizes */
    struct lane_totals totals;
    uint64_t next_seq, next_segment;
    uint64_t last_on_disk; /* the highest seq in the segments */
    uint64_t requests_waiting, samples_waiting;
    uint64_t file_bytes;
    uint64_t crash, corrupt; /* samples that are missing now; in cursor.dropped already */
    uint64_t surplus;        /* samples that are there though nothing says that they were read; added to totals.read */
    struct found_note notes[8]; /* the first of what is damaged, in words */
    uint32_t n_notes;           /* may be larger than the array */
};

struct found_options {
    struct disk *disk;
    uint32_t lane;
    const char *boot_id;
    enum compression compression;      /* of requests made from open batches */
    const struct spool_sealer *sealer; /* likewise */
    struct compressor *compressor;
    bool beside; /* another process may be writing: a cut-off end is no damage, and nothing is removed or cut */
};

/* dir: of the lane. ERR_UNSUPPORTED: written by another version, ERR_IO: cannot be read. */
enum err lane_find(struct lane_found *f, const struct found_options *o, int dir, struct diag *d) MUST_USE;
void lane_found_release(struct lane_found *f);
/* Is request seq not done, as the cursor tells? */
static inline bool cursor_waits(const struct cursor_slot *c, uint64_t seq)
{
    return seq >= c->head || (c->inflight != 0 && seq == c->inflight);
}

#endif
