/* target_feed: see the header.
 *
 *   discover_ecs_agent --groups--> feed --changed--> file_sd of job a, of job b ...
 *                  \
 *                   +--> the result file, for whoever else reads it
 *
 * The feed keeps the last report and knows the path of the file that it stands for; readers compare that with what
 * their patterns match. They copy what they want: nothing is shared, and nobody owns anything of the other.
 */
#include "discover/target_feed.h"

#include <stdlib.h>

#include "base/mem.h"

struct target_feed {
    struct target_consumer input;
    char *path;
    struct target_groups *groups; /* NULL: nothing was reported yet */
    struct target_feed_listener *listeners;
};

static void on_groups(struct target_consumer *self, struct target_groups *groups)
{
    struct target_feed *f = CONTAINER_OF(self, struct target_feed, input);

    if (f->groups)
        target_groups_free(f->groups);
    f->groups = groups;
    for (struct target_feed_listener *l = f->listeners, *next; l; l = next) {
        next = l->next;
        l->changed(l);
    }
}

struct target_feed *target_feed_new(const char *path)
{
    struct target_feed *f = NEW(struct target_feed);

    f->input.update = on_groups;
    f->path = mem_strdup(path);
    return f;
}

void target_feed_free(struct target_feed *f)
{
    if (!f)
        return;
    CHECK(!f->listeners);
    if (f->groups)
        target_groups_free(f->groups);
    free(f->path);
    free(f);
}

struct target_consumer *target_feed_input(struct target_feed *f)
{
    return &f->input;
}

const char *target_feed_path(const struct target_feed *f)
{
    return f->path;
}

const struct target_groups *target_feed_groups(const struct target_feed *f)
{
    return f->groups;
}

void target_feed_listen(struct target_feed *f, struct target_feed_listener *l)
{
    l->next = f->listeners;
    f->listeners = l;
}

void target_feed_leave(struct target_feed *f, struct target_feed_listener *l)
{
    for (struct target_feed_listener **at = &f->listeners; *at; at = &(*at)->next) {
        if (*at != l)
            continue;
        *at = l->next;
        return;
    }
}
