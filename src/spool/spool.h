/* spool: nothing lost, everything accounted for. One spool per sink, in lanes (design: ARCHITECTURE.md, "Spool").
 *
 *   meta        format version, lanes, protocol
 *   lock        flock: one process per directory
 *   state       last values of counters (fold_state.h)
 *   lane-03/
 *     open-0, open-1   the batch being filled and the one being appended: shared mappings, survive kill -9
 *     00000017         sealed requests, compressed, byte for byte as sent
 *     cursor           acknowledged up to; delivered and dropped counts (a shared mapping too)
 *
 * A lane is owned by one worker: every spool_lane_* call happens on its loop's thread. One request per lane is in
 * flight. The ledger of a lane, read = delivered + waiting + dropped, holds at any moment, each term counted where
 * it happens.
 */
#ifndef SPOOL_SPOOL_H
#define SPOOL_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/err.h"
#include "base/log.h"
#include "loop/io_thread.h"
#include "loop/loop.h"
#include "model/batch.h"
#include "spool/spool_status.h"
#include "wire/compress.h"

/* What all spools of a program share: the caps. Thread-safe. */
struct spool_budget {
    uint64_t max_bytes;                        /* --spool.max-bytes, of segments and mappings together */
    uint64_t max_memory_bytes;                 /* --spool.memory */
    int64_t max_age_ms;                        /* --spool.max-age */
    _Atomic uint64_t disk_bytes, memory_bytes; /* zero at first; kept by the spools */
    _Atomic uint64_t mapping_bytes;            /* of disk_bytes, the open batches */
    _Atomic bool pressed; /* memory is short: what is sealed goes to disk at once, and from memory */
};

/* How an open batch becomes the body of a request, in place of compression alone: a body of another form than what
 * scrapes append (a JSON document around records put in order). Pure: the same bytes in give the same bytes out, in
 * this process and the next. */
struct spool_sealer {
    /* Appends the body as it is kept and handed out (spool_request.compression is COMPRESS_NONE then; raw_bytes and
     * borders stay those of raw). ERR_CORRUPT: raw is not what our encoder writes; its samples are dropped{corrupt}. */
    enum err (*seal)(const struct spool_sealer *self, struct compressor *c, struct str raw, struct buf *out);
};

/* Requests of this protocol and above have bodies that a sealer makes, and are CloudWatch's: a directory holds either
 * those of one such number, or remote write's. */
enum { SPOOL_PROTOCOL_SEALED = 16 };
const char *spool_protocol_name(uint32_t protocol); /* in words: "remote write 1.0", "CloudWatch Logs" ... */

struct spool_options {
    const char *directory;   /* of this sink; made when absent. Unused in memory mode */
    const char *destination; /* for messages: the sink's name */
    enum spool_mode mode;
    enum compression compression;      /* of new requests */
    const struct spool_sealer *sealer; /* in place of compression; outlives the spool. NULL: none */
    uint32_t protocol;                 /* what the bytes are; kept in segment headers: 1 = remote write 1.0, 2 = 2.0,
                                          16 = CloudWatch Logs, 17 = CloudWatch metrics */
    uint32_t max_samples;              /* seals at this many samples, at a scrape's border */
    size_t max_raw_bytes;              /* seals at this many raw bytes: 1 MiB */
    uint32_t seal_after_ms;            /* batch_send_deadline, since the first scrape of the open batch */
    struct spool_budget *budget;
    struct io_thread *io;
    struct log *log;
    struct counters *counters;
};

struct spool;
struct spool_lane;

/* On the control thread, before any lane. Takes the lock, reads meta, cursors and segment footers (never whole
 * segments). ERR_EXISTS: another process holds it. ERR_IO: the directory cannot be written. */
enum err spool_open(const struct spool_options *o, struct spool **out, struct diag *d) MUST_USE;
void spool_set_limits(struct spool *s, uint32_t max_samples, uint32_t seal_after_ms); /* reload; control thread */
/* After every lane was closed. Syncs; releases the lock. */
void spool_close(struct spool *s);
bool spool_lane_has_data(const struct spool *s, uint32_t lane); /* found at open: the lane must be opened to drain */
/* Any thread: a consistent picture of each lane, summed. Lanes that were not opened yet are included from the disk. */
void spool_ledger(struct spool *s, struct spool_ledger *out);
void spool_ledger_lane(struct spool *s, uint32_t lane, struct spool_ledger *out);

/* ---- a lane, on its worker ---- */

/* ready(ctx): a request may be peeked now (asynchronous, coalesced). */
enum err spool_lane_open(struct spool *s, uint32_t lane, struct loop *loop, void (*ready)(void *ctx), void *ctx,
                         struct spool_lane **out, struct diag *d) MUST_USE;
/* Seals, hands everything to the I/O thread; closed(ctx) is called when it is on disk (or could not be). */
void spool_lane_close(struct spool_lane *l, void (*closed)(void *ctx), void *ctx);

/* Where the next scrape goes. */
struct spool_room {
    uint8_t *p;
    size_t n;         /* bytes free; at least max_raw_bytes + 64 KiB when the open batch is empty */
    uint32_t samples; /* of the open batch so far; 0: it is empty */
    size_t joinable;  /* of n, what may follow the open batch within max_raw_bytes; n when it is empty */
};
struct spool_room spool_lane_room(struct spool_lane *l);

struct spool_counts {
    uint32_t read;                     /* samples handed to the sink */
    uint32_t samples;                  /* of these, encoded into the bytes */
    uint32_t dropped[DROPS_AT_COMMIT]; /* by enum spool_reason; read = samples + all of these */
    int64_t first_ms, last_ms;         /* of the sample times; 0, 0 when none */
};
/* Makes the first n bytes of the room part of the open batch, as one scrape (a border), by one release store. n may
 * be 0: the counts alone. Seals by itself when max_samples or max_raw_bytes is reached. Bytes of protocol 1 that would
 * exceed a limit move to a fresh batch; those of others refer to what is in front of them, and stay.
 *
 * From SPOOL_PROTOCOL_SEALED on a batch begins with a header that its first commit wrote (room.samples == 0: this is
 * the first), and every other commit is complete in itself. Their sink decides where a batch ends, by spool_lane_seal
 * before it asks for room: when it is another place's, and when what it is going to commit is not within room.joinable
 * (CHECKed here) or would exceed a limit of its own. So a commit's bytes are never taken elsewhere behind its back;
 * only that the batch is full *after* a commit, or its deadline, seals it by itself: ask for room again each time. */
void spool_lane_commit(struct spool_lane *l, size_t n, const struct spool_counts *counts);
/* Closes the open batch (nothing when it is empty): it becomes a request, and the room is that of a fresh one. */
void spool_lane_seal(struct spool_lane *l);
/* What is committed from now on is this; seals what is open when it is something else. At first: the spool's options.
 */
void spool_lane_set_encoding(struct spool_lane *l, uint32_t protocol, enum compression compression);

/* A scrape larger than one request: parts of whole series, all or nothing. The room is used as scratch for each part:
 * write at room.p, then spool_lane_group_add(n). Nothing counts before spool_lane_group_end; _abort drops all parts. */
void spool_lane_group_begin(struct spool_lane *l);
void spool_lane_group_add(struct spool_lane *l, size_t n, const struct spool_counts *counts);
void spool_lane_group_end(struct spool_lane *l);
void spool_lane_group_abort(struct spool_lane *l);

/* ---- sending ---- */

struct spool_border {
    uint32_t offset, bytes, samples; /* in the raw message: one scrape */
};

struct spool_request {
    uint64_t seq;    /* per lane, ascending without gaps for delivered and dropped together */
    struct str body; /* compressed, byte for byte as every time it is sent */
    enum compression compression;
    uint32_t protocol;
    uint32_t raw_bytes, samples;
    int64_t first_ms, last_ms;          /* of the samples */
    int64_t sealed_ms;                  /* wall clock */
    const struct spool_border *borders; /* group parts and requests of one scrape have one */
    uint32_t n_borders;
    bool maybe_sent; /* the one that may have been in flight when an earlier process ended */
};

/* The oldest request that is not done. ERR_AGAIN: it is being read, ready() follows. ERR_EOF: none. Valid until
 * spool_lane_done; the same one is returned until then. The caps never take it away once it was peeked. */
enum err spool_lane_peek(struct spool_lane *l, const struct spool_request **out) MUST_USE;

struct spool_outcome {
    uint32_t delivered;
    uint32_t dropped[DROP_REASONS];
    uint32_t possible_duplicates;
};
/* delivered + dropped must be the request's samples (CHECKed). Advances the cursor. */
void spool_lane_done(struct spool_lane *l, uint64_t seq, const struct spool_outcome *outcome);
void spool_lane_ledger(const struct spool_lane *l, struct spool_ledger *out);

#endif
