/* fold_state: the last values of counters, kept so that they are durable exactly when the batch that they led to is.
 *
 * A *block* per scope: a table of series, each known by the hash of its own labels, with two versions:
 *
 *   id | value, time, valid from | value, time, valid from
 *
 * A write replaces the older version and says from which count of samples read by its lane it holds (the ledger's
 * `read` after the commit that it belongs to). A start takes of the versions whose commit is in the spool the newer
 * one: so the state is that of the last batch that survived, after kill -9 at any moment, and nothing is lost or told
 * twice. Where pages cannot be shared mappings (network file systems) the state is written once a second and at the
 * end, and a start after a crash begins anew; in memory mode it ends with the process.
 *
 * Lives in the spool's directory (file `state`). One thread, that of the lanes.
 */
#ifndef SPOOL_FOLD_STATE_H
#define SPOOL_FOLD_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "spool/spool.h"

struct fold_state;
struct fold_block;

/* After spool_open and before any lane is opened: which versions hold is decided here. Damaged blocks are left out and
 * logged. */
enum err fold_state_open(struct spool *s, struct loop *loop, struct fold_state **out, struct diag *d) MUST_USE;
/* After the lanes were closed. */
void fold_state_close(struct fold_state *f);

/* The block of this key, found from before or new. `lane`: of which `read` is told; it may be another one than before.
 * Valid until fold_block_forget; its place may move. */
struct fold_block *fold_state_block(struct fold_state *f, uint64_t key, uint32_t lane);
struct fold_block *fold_state_known(struct fold_state *f, uint64_t key, uint32_t lane); /* NULL: there is none */
/* Nobody writes to it any more (its target is gone): kept until `keep_until_ms` (wall clock), then its room is free. */
void fold_block_forget(struct fold_block *b, int64_t keep_until_ms);

struct fold_value {
    double value;
    int64_t ts_ms;
};

#define FOLD_NONE UINT32_MAX

/* The series' number in the block, or FOLD_NONE; numbers hold until fold_block_compact. Not for the hot path: the index
 * is made when it is not there. */
uint32_t fold_block_find(struct fold_block *b, uint64_t id);
/* Adds it, without a value: one that fold_block_find did not find. FOLD_NONE: the state is full (4.7 million series);
 * the series has no value then, and setting it does nothing. */
uint32_t fold_block_add(struct fold_block *b, uint64_t id);
/* False: it has no value. FOLD_NONE never has one. */
bool fold_block_get(const struct fold_block *b, uint32_t series, struct fold_value *out);
/* Takes effect at once for fold_block_get; durable with the commit that makes the lane's read count `valid_from`: call
 * it right before that commit, of the same lane and in the same turn of the loop; valid_from is
 * spool_lane_ledger(lane).read plus the `read` of that commit, so at least 1. Not with groups: they count later. */
void fold_block_set(struct fold_block *b, uint32_t series, struct fold_value v, uint64_t valid_from);
/* Leaves out series without a value and those whose value is older than this; numbers change. True when any was left
 * out. */
bool fold_block_compact(struct fold_block *b, int64_t older_than_ms);
uint32_t fold_block_series(const struct fold_block *b); /* how many; numbers are below it */
/* When anything was committed for this block last; 0: never. For "this target was scraped before". */
int64_t fold_block_last_ms(const struct fold_block *b);
void fold_block_touch(struct fold_block *b, int64_t ts_ms, uint64_t valid_from); /* that */

#endif
