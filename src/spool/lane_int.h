/* lane_int: a lane, as its three files see it: lane.c fills, queue.c hands out, lane_io.c writes and reads. */
#ifndef SPOOL_LANE_INT_H
#define SPOOL_LANE_INT_H

#include "loop/io_thread.h"
#include "loop/loop.h"
#include "spool/open_batch_int.h"
#include "spool/request_int.h"
#include "spool/segment_int.h"
#include "spool/spool_int.h"

enum {
    BATCHES_AT_FIRST = 3, /* mapped: one fills, one is sent, one is the reserve, untouched while the sender keeps up */
    BATCHES = 6,          /* as many when the disk is slow */
    KEEP_REQUESTS = 4,    /* on disk and in memory as well, for the sender */
    KEEP_BYTES = 512 << 10,
    READ_REQUESTS = 4, /* read back in one go */
    READ_BYTES = 256 << 10,
    APPEND_REQUESTS = 32, /* written in one go, but never a part of a group */
    APPEND_BYTES = 4 << 20,
    APPEND_AFTER_MS = 1000, /* what is delivered by then is never written */
    TICK_MS = 1000,
    HUNG_MS = 2000, /* a disk that takes longer is treated as one that fails */
    RETRY_MS = 5000,
    SEGMENT_AGE_MS = 600000,
    READ_ATTEMPTS = 3,
};

/* The I/O thread's side of a lane: touched by one job at a time only. */
struct lane_disk {
    struct segment_writer writer;
    uint64_t next_segment;
    int read_fd; /* -1 none */
    uint64_t read_number;
};

/* Pages to be written out on a network file system. */
struct lane_mirror {
    int fd; /* -1 none */
    const uint8_t *base;
    uint32_t from, to, n_borders; /* of the data; of the table */
    bool failed;
    _Alignas(8) uint8_t page[PAGE];
};

/* All that the I/O thread does for a lane in one go: one is in flight at a time. Each part may be absent. */
struct lane_job {
    struct io_job io;
    struct spool_lane *lane; /* for the way back only */
    struct spool *spool;
    struct lane_disk *disk;
    struct lane_place place;

    bool setup; /* make the files that could not be made before */
    struct cursor cursor;
    struct open_batch batches[BATCHES];
    int batch_files[BATCHES]; /* N of open-N; -1: not wanted */
    struct lane_totals totals;
    bool want_cursor;
    bool make_directory;
    int setup_error;
    const char *setup_what;

    bool read;
    struct cursor_slot read_cursor;
    uint64_t read_after; /* records up to this seq are known */
    uint64_t read_segment, read_at, read_end;
    struct request_list got;
    bool read_finished; /* nothing more up to read_end */
    uint32_t read_damaged;
    uint64_t read_damaged_at;
    int read_error;

    struct request **append; /* in order */
    size_t n_append, cap_append;
    struct segment_piece *pieces; /* of one unit */
    size_t cap_pieces;
    size_t written;
    bool roll;   /* begin a new segment first */
    bool finish; /* end the segment */
    bool ended;  /* a segment was ended */
    int append_error;

    uint64_t *remove; /* numbers of segments */
    size_t n_remove, cap_remove;
    uint32_t remove_open; /* bit N: open-N */
    void *fault;
    size_t fault_bytes;
    struct lane_mirror *mirror; /* BATCHES and the cursor; on network file systems only */
    bool sync;
};

struct spool_lane {
    struct spool *s;
    uint32_t index;
    struct loop *loop;
    void (*ready)(void *ctx);
    void *ctx;
    void (*closed)(void *ctx);
    void *closed_ctx;
    struct timer ready_timer, seal_timer, tick_timer;
    struct compressor compressor;
    uint32_t protocol; /* of what is committed now */
    enum compression compression;

    struct lane_place place;
    bool incomplete; /* cursor or batches could not be made: memory stands in, making them is tried again */
    struct open_batch batches[BATCHES];
    int want_batches;
    struct open_batch spare; /* anonymous: when both are busy, or there is no disk */
    struct open_batch *filling;
    uint32_t open_files;                 /* bit N: open-N is in use, ours or a recovered one */
    uint64_t open_bytes[OPEN_FILES_MAX]; /* sizes of the recovered ones */
    uint64_t next_group;
    struct lane_totals totals;
    bool first_commit_done;
    bool half_told;        /* the batch passed its half: what is queued was handed to the disk */
    uint32_t recent_bytes; /* of recent batches, the largest, slowly forgotten */

    bool in_group;
    struct request_list group;
    struct spool_counts group_counts; /* summed; 64-bit not needed: one scrape */

    struct cursor cursor;
    uint64_t next_seq;
    struct request_list list; /* in memory, by seq: on disk ones first */
    struct request *peeked;
    uint64_t maybe_sent; /* seq that was in flight when an earlier process ended; 0 none */
    struct segment_info *segments;
    size_t n_segments, cap_segments;
    uint64_t left_requests;  /* not done, in the segments */
    uint64_t known_requests; /* of these, in the list */
    uint64_t known_bytes;
    uint64_t known_up_to;           /* seq: no record up to it is unread */
    uint64_t last_on_disk;          /* the highest seq appended */
    uint64_t read_segment, read_at; /* where reading goes on */
    int read_failures;
    bool want_read;

    struct spool_ledger ledger; /* what account shows; waiting and requests_waiting are counted here */
    int64_t open_begun_ms;

    struct lane_disk disk;
    struct lane_job job;
    bool job_busy;
    uint64_t job_since_ms; /* monotonic */
    bool failing;          /* the last append failed */
    bool hung;             /* the job in flight takes too long */
    uint64_t retry_at_ms;  /* monotonic */
    bool roll, unsynced;
    uint64_t *remove; /* numbers of segments that may go */
    size_t n_remove, cap_remove;
    uint32_t remove_open;
    uint64_t synced_ms;       /* monotonic, of the last job that syncs */
    uint64_t read_retry_ms;   /* monotonic */
    uint64_t mirror_retry_ms; /* monotonic; 0: the last mirror was written */
    bool closing;
    enum { CLOSE_APPEND, CLOSE_FINISH, CLOSE_MIRROR, CLOSE_DONE } close_step;
    struct counter *write_errors, *corrupt_records;
};

/* lane.c */
void lane_publish_ledger(struct spool_lane *l);
void lane_publish_totals(struct spool_lane *l); /* a commit of totals alone */
void lane_ready(struct spool_lane *l);          /* tells the sender, soon */
void lane_tick_start(struct spool_lane *l);
void lane_release_batch(struct spool_lane *l, struct request *r); /* its request needs it no more */
void lane_closed(struct spool_lane *l); /* nothing is in flight, everything was tried: ends it */

/* queue.c */
struct segment_info *queue_segment(struct spool_lane *l, uint64_t number); /* or NULL */
void queue_add(struct spool_lane *l, struct request *r);                   /* a sealed one, at the end */
void queue_forget(struct spool_lane *l, struct request *r);                /* out of the list, and freed */
void queue_count_group(struct spool_lane *l, uint64_t group);              /* it counts as read from now on */
void queue_count_groups(struct spool_lane *l);                             /* all that wait for the disk */
void queue_drop_aged(struct spool_lane *l);
void queue_shed_memory(struct spool_lane *l); /* no disk: the oldest go while memory is full */
void queue_drop_rest(struct spool_lane *l);   /* at the end: what only memory holds */
/* Room for `more` bytes of segments, by dropping the oldest. False: there is none, and nothing to drop. */
bool queue_make_space(struct spool_lane *l, uint64_t more);
void queue_remove_done_segments(struct spool_lane *l);
/* Records of a segment turned out to be missing. */
void queue_drop_missing(struct spool_lane *l, struct segment_info *g, uint64_t requests, uint64_t samples);
bool queue_wants_read(const struct spool_lane *l);
static inline uint64_t queue_unread(const struct spool_lane *l)
{
    return l->left_requests - l->known_requests;
}

/* lane_io.c */
void lane_io_prepare_setup(struct spool_lane *l); /* which files are missing */
void lane_kick(struct spool_lane *l);             /* posts a job if there is something to do and none is in flight */
/* Blocking: directory, cursor and open batches of a lane. What fails is absent in the job. */
void lane_setup(struct lane_job *j);
void lane_adopt(struct spool_lane *l, struct lane_job *j); /* takes what was made */
void lane_job_release(struct lane_job *j);

#endif
