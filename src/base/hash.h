/* hash: the hash functions of the field, each for what it is prescribed for. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdint.h>

#include "base/str.h"

uint64_t hash_bytes(struct str s); /* XXH3-64: our own tables */
uint64_t hash_bytes_seed(struct str s, uint64_t seed);
uint64_t hash_xxh64(struct str s); /* XXH64, seed 0: what Prometheus hashes labels with */
#define HASH_FNV1A64_INIT 14695981039346656037ULL
uint64_t hash_fnv1a64(struct str s, uint64_t init); /* scrape offsets */
void hash_md5(struct str s, uint8_t out[16]);       /* the hashmod action */
uint32_t hash_crc32c(struct str s, uint32_t init);  /* records on disk; init 0; hardware where there is */

#endif
