/* unit: what every unit test starts with. Include it first. */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/str.h"

#define assert_str(actual, expected)                                                                                   \
    do {                                                                                                               \
        struct str actual_ = (actual), expected_ = (expected);                                                         \
        if (!str_eq(actual_, expected_))                                                                               \
            fail_msg("got \"%.*s\", want \"%.*s\"", STR_ARGS(actual_), STR_ARGS(expected_));                           \
    } while (0)
#define assert_str_c(actual, expected) assert_str(actual, str_c(expected))

/* Randomness with a seed that is printed, and taken from LEADLINE_SEED to repeat a run. */
struct unit_random {
    uint64_t state;
};

static inline struct unit_random unit_random_new(void)
{
    uint64_t seed = 0;
    const char *text = getenv("LEADLINE_SEED");
    for (; text && *text >= '0' && *text <= '9'; text++)
        seed = seed * 10 + (uint64_t)(*text - '0');
    if (!seed)
        seed = (uint64_t)time(NULL);
    print_message("# LEADLINE_SEED=%llu\n", (unsigned long long)seed);
    return (struct unit_random){seed};
}

/* splitmix64 */
static inline uint64_t unit_random_u64(struct unit_random *r)
{
    uint64_t z = r->state += 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

static inline uint64_t unit_random_below(struct unit_random *r, uint64_t n)
{
    return unit_random_u64(r) % n;
}

#endif
