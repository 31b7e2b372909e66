/* proto: the protobuf wire format: a bounds-checked cursor, and writers into memory that is known to be large enough.
 * Source: protobuf encoding specification (varint, fixed64, length-delimited; groups are refused).
 */
#ifndef WIRE_PROTO_H
#define WIRE_PROTO_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum proto_type { PROTO_VARINT = 0, PROTO_FIXED64 = 1, PROTO_BYTES = 2, PROTO_FIXED32 = 5 };

struct proto_reader {
    const uint8_t *p, *end;
};

struct proto_field {
    uint32_t number;
    enum proto_type type;
    uint64_t value;   /* VARINT, FIXED64, FIXED32 */
    struct str bytes; /* BYTES: points into the input */
};

static inline struct proto_reader proto_read(struct str s)
{
    return (struct proto_reader){(const uint8_t *)s.p, (const uint8_t *)s.p + s.n};
}

/* The next field; ERR_EOF at the end in good order, ERR_CORRUPT otherwise. */
enum err proto_next(struct proto_reader *r, struct proto_field *f) MUST_USE;
enum err proto_varint(struct proto_reader *r, uint64_t *v) MUST_USE; /* bare, as length prefixes of delimited streams */

static inline double proto_double(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static inline int proto_varint_size(uint64_t v)
{
    return (63 - __builtin_clzll(v | 1)) / 7 + 1;
}

/* Writes at p, returns the end; the caller has checked that 10 bytes are free. */
static inline uint8_t *proto_put_varint(uint8_t *p, uint64_t v)
{
    while (v >= 128) {
        *p++ = (uint8_t)(v | 128);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

void proto_append_varint(struct buf *b, uint64_t v);
void proto_append_tag(struct buf *b, uint32_t number, enum proto_type type);
void proto_append_bytes(struct buf *b, uint32_t number, struct str s); /* tag, length, bytes */
void proto_append_u64(struct buf *b, uint32_t number, uint64_t v);     /* tag, varint; nothing for 0, as proto3 */
void proto_append_double(struct buf *b, uint32_t number, double v);    /* tag, fixed64; nothing for +0 */

#endif
