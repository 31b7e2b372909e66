/* regex_int: the C face of regex_shim.cc. No types of ours: it is read by a C++ compiler too. */
#ifndef BASE_REGEX_INT_H
#define BASE_REGEX_INT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct regex_shim;

struct regex_span {
    const char *p; /* NULL: the group took no part in the match */
    size_t n;
};

/* NULL when the pattern is malformed: then what[] is Go's name for the reason and where[] the part it is about. */
struct regex_shim *regex_shim_new(const char *pattern, size_t n, char what[64], char where[256]);
void regex_shim_free(struct regex_shim *re);
int regex_shim_groups(const struct regex_shim *re); /* without the whole match */
/* Finds the leftmost match and fills spans[0..n): the whole match, then groups. False, when there is none. */
int regex_shim_match(const struct regex_shim *re, const char *p, size_t len, struct regex_span *spans, int n);
/* The number of the group of this name, or -1. */
int regex_shim_group(const struct regex_shim *re, const char *name, size_t n);
/* How many bytes at the front of p are letters, digits and '_' as Unicode sees them. */
size_t regex_shim_word(const char *p, size_t n);

#ifdef __cplusplus
}
#endif
#endif
