/* target_feed: what one discoverer finds, for others to take in the place of a file that it is written to: a
 * file_sd_configs that names the CloudWatch agent's sd_result_file gets its targets without the file. Control loop.
 */
#ifndef DISCOVER_TARGET_FEED_H
#define DISCOVER_TARGET_FEED_H

#include <stdbool.h>

#include "model/target_group.h"

struct target_feed;

/* Told of each change; what there is at that moment, target_feed_groups says. */
struct target_feed_listener {
    void (*changed)(struct target_feed_listener *self);
    struct target_feed_listener *next; /* the feed's */
};

struct target_feed *target_feed_new(const char *path);
/* After its listeners have left and its discoverer has stopped. */
void target_feed_free(struct target_feed *f); /* NULL is allowed */
/* For the discoverer: what it reports is the feed's. Another one may follow it; until then its last word holds. */
struct target_consumer *target_feed_input(struct target_feed *f);

const char *target_feed_path(const struct target_feed *f);
/* The last report; NULL: none yet. Valid until the next change. */
const struct target_groups *target_feed_groups(const struct target_feed *f);
void target_feed_listen(struct target_feed *f, struct target_feed_listener *l);
void target_feed_leave(struct target_feed *f, struct target_feed_listener *l);

#endif
