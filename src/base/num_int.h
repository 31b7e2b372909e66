/* num_int: the C face of num_shim.cc. No types of ours: it is read by a C++ compiler too. */
#ifndef BASE_NUM_INT_H
#define BASE_NUM_INT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NUM_SHIM_OK, NUM_SHIM_RANGE, NUM_SHIM_SYNTAX };

/* A number without '+' in front; all of p[0..n) must be used. RANGE leaves *out alone. */
int num_shim_parse(const char *p, size_t n, double *out);
/* The shortest digits that read back as v (finite, > 0): 0.DIGITS * 10^*point. Returns how many, at most 17. */
int num_shim_digits(double v, char digits[17], int *point);

#ifdef __cplusplus
}
#endif
#endif
