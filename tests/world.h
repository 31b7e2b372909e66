/* world: what tests of moving parts share: a loop that is turned by hand, so that a test reads from top to bottom, and
 * a folder of its own that goes with the test. Include it after unit.h.
 */
#ifndef TESTS_WORLD_H
#define TESTS_WORLD_H

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/file.h"
#include "loop/loop.h"

enum { WORLD_PATIENCE_MS = 20000 };

static inline void world_tick(struct timer *t)
{
    (void)t;
}

/* One turn, of at most `ms`. */
static inline void world_turn(struct loop *loop, uint64_t ms)
{
    struct timer alarm = {0};

    timer_start(loop, &alarm, ms, world_tick);
    uv_run(loop_uv(loop), UV_RUN_ONCE);
    timer_stop(&alarm);
}

/* Turns until the condition holds; fails the test after a time in which it should have. */
#define world_until(loop, condition)                                                                                   \
    do {                                                                                                               \
        uint64_t world_end_ = clock_mono_ms() + WORLD_PATIENCE_MS;                                                     \
        while (!(condition)) {                                                                                         \
            world_turn((loop), 20);                                                                                    \
            if (clock_mono_ms() > world_end_)                                                                          \
                fail_msg("waited in vain for: %s", #condition);                                                        \
        }                                                                                                              \
    } while (0)

static inline void world_for(struct loop *loop, uint64_t ms)
{
    for (uint64_t end = clock_mono_ms() + ms, now = end - ms; now < end; now = clock_mono_ms())
        world_turn(loop, end - now);
}

/* Everything opened on the loop must have been closed. */
static inline void world_loop_free(struct loop *loop)
{
    loop_stop(loop);
    loop_run(loop);
    loop_free(loop);
}

/* ---- a folder ---- */

struct world_folder {
    char path[64];
};

static inline struct world_folder world_folder_new(void)
{
    struct world_folder f = {"/tmp/leadline-unit-XXXXXX"};

    assert_non_null(mkdtemp(f.path));
    return f;
}

static inline int world_remove(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static inline void world_folder_free(struct world_folder *f)
{
    assert_int_equal(nftw(f->path, world_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* The path of a file in the folder; valid until the fourth call after this one. */
static inline const char *world_path(const struct world_folder *f, const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", f->path, name);
    return path;
}

/* Writes the file as it stands, without a rename; folders on the way are made. */
static inline void world_write(const struct world_folder *f, const char *name, const char *text)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", f->path, name);
    *strrchr(path, '/') = '\0';
    assert_int_equal(file_mkdirs(path, NULL), OK);
    FILE *file = fopen(world_path(f, name), "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

#endif
