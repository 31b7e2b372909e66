/* spool_fixture: a spool in a directory of its own, lanes on a loop that is turned by hand, and scrapes whose bytes
 * tell who they are.
 */
#ifndef TESTS_SPOOL_FIXTURE_H
#define TESTS_SPOOL_FIXTURE_H

#include "unit.h"

#include "spool/inspect.h"
#include "spool/lane_int.h"
#include "spool/spool_int.h"

struct fixture {
    char directory[64];
    struct spool_budget budget;
    struct spool_options options;
    struct loop *loop;
    struct io_thread *io;
    struct spool *spool;
    struct spool_lane *lanes[SPOOL_LANES];
    int ready; /* how often ready was called */
};

void fixture_init(struct fixture *f);    /* options with large limits; nothing is open */
void fixture_release(struct fixture *f); /* closes what is open, removes the directory */
void fixture_open(struct fixture *f);
struct spool_lane *fixture_lane(struct fixture *f, uint32_t lane); /* opened when it is not */
void fixture_close(struct fixture *f);                             /* lanes and spool, in good order */
/* As a kill would leave it: nothing is sealed, nothing written; only the lock is let go. */
void fixture_abandon(struct fixture *f);
void fixture_abandon_unheard(struct fixture *f); /* and the I/O thread's last answer never arrived */
void fixture_turn(struct fixture *f, int ms);    /* runs the loop for so long */
/* Turns until the lanes have nothing in flight. */
void fixture_settle(struct fixture *f);

/* Bytes of a scrape: all of it follows from id and n. */
void scrape_bytes(uint8_t *p, uint64_t id, size_t n);
bool scrape_is(const char *p, size_t n, uint64_t *id);
/* n bytes, so many samples. */
void fixture_commit(struct spool_lane *l, uint64_t id, size_t n, uint32_t samples);
/* Peeks, turning the loop while it is being read. False: nothing waits. */
bool fixture_peek(struct fixture *f, struct spool_lane *l, const struct spool_request **r);
void fixture_deliver(struct spool_lane *l, const struct spool_request *r);
/* The ids of a request's scrapes, by its borders; fails when the bytes are not those of scrapes. */
size_t fixture_ids(const struct spool_request *r, uint64_t *ids, size_t max);
/* Peeks and delivers everything; the ids in order. */
size_t fixture_drain(struct fixture *f, struct spool_lane *l, uint64_t *ids, size_t max);
uint64_t ledger_dropped(const struct spool_ledger *l);
/* read = delivered + waiting + dropped, of every lane; returns the sum. */
struct spool_ledger fixture_balance(struct fixture *f);

/* Paths of files in a lane's directory. The path is valid until the next call. */
const char *fixture_path(const struct fixture *f, uint32_t lane, const char *name);
int fixture_count(const struct fixture *f, uint32_t lane, const char *prefix);
void file_flip(const char *path, long at); /* from the end when negative */
void file_cut(const char *path, long bytes_off_end);
long file_size(const char *path);

#endif
