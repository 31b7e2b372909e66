/* discoverers: all that a scrape configuration asks for, of every kind. Control loop. */
#ifndef RUN_DISCOVERERS_H
#define RUN_DISCOVERERS_H

#include "discover/discoverer.h"

uint32_t discoverers_count(const struct plan_discovery *d);
/* Makes them, each with the consumer that input() names for its number; out has room for all of them. */
void discoverers_start(const struct discover_env *env, struct plan *plan, const struct plan_discovery *d,
                       struct target_consumer *(*input)(void *ctx, uint32_t n), void *ctx, struct discoverer **out);

#endif
