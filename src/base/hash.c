/* hash: hash functions, each for its one purpose.
 *
 * - XXH3-64 for tables of our own: fast on short keys, good in all 64 bits (map.h takes its upper half as a tag).
 * - XXH64 where Prometheus' own hash of labels has to be met.
 * - FNV-1a 64 for scrape offsets and MD5 for the hashmod action: prescribed by what is replaced.
 * - CRC-32C (Castagnoli, reflected 0x82F63B78) for records on disk; x86 has an instruction for it since SSE 4.2, 8
 * bytes in one step, found at run time. Elsewhere a table of 16 entries, two steps a byte, is quick enough: records are
 * compressed before they are summed.
 *
 * A CRC may be computed in pieces: hash_crc32c(b, hash_crc32c(a, 0)) is that of a followed by b. All pure; any thread.
 */
#include "base/hash.h"

#include <openssl/evp.h>

#include "base/err.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_bytes(struct str s)
{
    return XXH3_64bits(s.p, s.n);
}

uint64_t hash_bytes_seed(struct str s, uint64_t seed)
{
    return XXH3_64bits_withSeed(s.p, s.n, seed);
}

uint64_t hash_xxh64(struct str s)
{
    return XXH64(s.p, s.n, 0);
}

uint64_t hash_fnv1a64(struct str s, uint64_t init)
{
    uint64_t h = init;
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 1099511628211ULL;
    return h;
}

void hash_md5(struct str s, uint8_t out[16])
{
    CHECK(EVP_Digest(s.p, s.n, out, NULL, EVP_md5(), NULL) == 1);
}

static uint32_t crc_by_table(const unsigned char *p, size_t n, uint32_t crc)
{
    static const uint32_t table[16] = {0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1, 0x417B1DBC, 0x5125DAD3,
                                       0x61C69362, 0x7198540D, 0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9,
                                       0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75};
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        crc = (crc >> 4) ^ table[crc & 15];
        crc = (crc >> 4) ^ table[crc & 15];
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_by_instruction(const unsigned char *p, size_t n, uint32_t crc)
{
    uint64_t wide = crc;
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t eight;
        memcpy(&eight, p, 8);
        wide = __builtin_ia32_crc32di(wide, eight);
    }
    crc = (uint32_t)wide;
    for (; n; p++, n--)
        crc = __builtin_ia32_crc32qi(crc, *p);
    return crc;
}
#endif

uint32_t hash_crc32c(struct str s, uint32_t init)
{
    const unsigned char *p = (const unsigned char *)s.p;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return ~crc_by_instruction(p, s.n, ~init);
#endif
    return ~crc_by_table(p, s.n, ~init);
}
