/* tally: how often each of some 64-bit keys came: the values of a distribution, the members of a set. Private to
 * source/statsd/.
 *
 * A few keys are looked for one by one; from TALLY_FEW on through a map. {0} is an empty tally.
 */
#ifndef SOURCE_STATSD_TALLY_INT_H
#define SOURCE_STATSD_TALLY_INT_H

#include <stddef.h>
#include <stdint.h>

#include "base/map.h"

enum { TALLY_FEW = 16 };

struct tally_entry {
    uint64_t key;
    double weight;
    uint32_t n; /* how many were added to make the weight */
};

struct tally {
    struct tally_entry *v; /* in the order of their coming */
    size_t n, cap;
    struct map map; /* of all entries once there are more than TALLY_FEW */
};

void tally_add(struct tally *t, uint64_t key, double weight, uint32_t n);
void tally_clear(struct tally *t); /* keeps the memory of a tally of ordinary size */
void tally_release(struct tally *t);
size_t tally_bytes(const struct tally *t); /* memory held */

static inline uint64_t tally_key(double v)
{
    uint64_t bits;
    __builtin_memcpy(&bits, &v, sizeof(bits));
    return bits;
}

static inline double tally_value(uint64_t key)
{
    double v;
    __builtin_memcpy(&v, &key, sizeof(v));
    return v;
}

#endif
