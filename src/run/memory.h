/* memory: a ceiling for what the process holds, kept by giving way before the control group's out-of-memory killer
 * comes. Control loop.
 *
 *   used / ceiling   level   what happens
 *   below 80 %       0       nothing
 *   from 80 %        1       spools write to disk at once what they keep in memory to be fast, and give that memory
 * back from 90 %        2       and scrapes are delayed, a tick at a time, counted
 *
 * A level ends five points below where it began. Without a ceiling nothing of this happens.
 */
#ifndef RUN_MEMORY_H
#define RUN_MEMORY_H

#include "base/counter.h"
#include "base/log.h"
#include "loop/loop.h"
#include "run/machine.h"

enum memory_level { MEMORY_PLENTY, MEMORY_SPOOL, MEMORY_DELAY };

/* `ceiling` bounds the process's own memory, nine tenths of the control group's limit the group's; 0: no bound. */
enum memory_level memory_level_of(const struct machine_memory *m, uint64_t ceiling, enum memory_level before);

struct memory_guard;
struct memory_guard_options {
    struct loop *loop;
    struct log *log;
    struct counters *counters;
    uint64_t ceiling_bytes; /* 0: nine tenths of what the control group grants, if it says */
    void (*changed)(void *ctx, enum memory_level level);
    void *ctx;
    const char *root; /* "" but for tests */
};
struct memory_guard *memory_guard_new(const struct memory_guard_options *o);
void memory_guard_free(struct memory_guard *g);

#endif
