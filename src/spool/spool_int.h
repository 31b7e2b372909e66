/* spool_int: what the lanes of a spool share. */
#ifndef SPOOL_SPOOL_INT_H
#define SPOOL_SPOOL_INT_H

#include "spool/found_int.h"
#include "spool/spool.h"

/* The ledger of a lane, written by its owner and read by any thread: a sequence lock. Odd while it is being changed. */
struct account {
    _Atomic uint64_t sequence;
    _Atomic uint64_t read, delivered, waiting, possible_duplicates, requests_waiting, bytes_waiting, oldest_ms;
    _Atomic uint64_t dropped[DROP_REASONS];
};
void account_store(struct account *a, const struct spool_ledger *l);
void account_load(const struct account *a, struct spool_ledger *out);
void ledger_add(struct spool_ledger *sum, const struct spool_ledger *l);
/* What was found on disk, as a ledger. */
void ledger_of_found(const struct lane_found *f, struct spool_ledger *out);

struct spool_lane_entry {
    struct lane_found *found; /* until the lane is opened */
    struct account account;
    struct spool_lane *open; /* the owner's; for the check that it is opened once */
};

struct spool {
    struct spool_options o; /* the strings are ours */
    int dir, lock;          /* -1 in memory mode */
    bool network;           /* the directory is on a network file system */
    char boot_id[BOOT_ID_SIZE];
    struct disk disk;
    uint64_t segment_bytes; /* a segment ends at this size */
    _Atomic uint32_t max_samples, seal_after_ms;
    _Atomic uint64_t held_bytes;    /* of the budget's disk bytes, ours */
    _Atomic uint64_t allowed_bytes; /* what the file system allows the budget's disk bytes to be */
    _Atomic uint64_t statvfs_ms;    /* monotonic, of the last look */
    _Atomic uint64_t next_sync_ms;  /* monotonic */
    _Atomic uint64_t next_log_ms;   /* monotonic: a failing disk is told once a minute */
    _Atomic uint32_t log_swallowed;
    struct spool_lane_entry lanes[SPOOL_LANES];
};

#define LANE_NAME_SIZE 16
void lane_name(uint32_t lane, char out[LANE_NAME_SIZE]);
bool lane_parse_name(const char *name, uint32_t *lane);

/* The budget's accounts; any thread. Bytes may be negative. */
void spool_hold_disk(struct spool *s, int64_t bytes, bool mapping);
void spool_hold_memory(struct spool *s, int64_t bytes);
/* Would `more` bytes of segments be beyond --spool.max-bytes / beyond what the file system should give? */
bool spool_over_cap(const struct spool *s, uint64_t more);
static inline bool spool_pressed(const struct spool *s)
{
    return atomic_load_explicit(&s->o.budget->pressed, memory_order_relaxed);
}
bool spool_over_file_system(const struct spool *s, uint64_t more);
/* On the I/O thread: looks at the file system's free space, at most every few seconds. */
void spool_look_at_file_system(struct spool *s);
/* Syncs share the I/O thread with appends: they get a fifth of its time. */
bool spool_sync_allow(const struct spool *s);
void spool_synced(struct spool *s, uint64_t took_ms);
/* Whether a failing disk may be logged now. */
bool spool_log_allow(struct spool *s, uint32_t *suppressed);

/* ---- shared with inspect: a directory without a struct spool ---- */

void read_boot_id(char out[BOOT_ID_SIZE]);
/* ERR_NOT_FOUND: no meta, so this is no spool (or a new one). *protocol: what it was made for; 0: it does not say. */
enum err meta_read(const char *directory, uint32_t *protocol, struct diag *d) MUST_USE;
/* Takes the lock; ERR_EXISTS: another process has it. *fd stays open. */
enum err lock_take(const char *directory, int dir, int *fd, struct diag *d) MUST_USE;

#endif
