/* proto: the protobuf wire format, without schemas (protobuf.dev, "Encoding").
 *
 *     message = { tag value }            tag = varint(number << 3 | type)
 *
 *     type 0  varint            1..10 bytes, 7 bits each, low ones first
 *     type 1  8 bytes           little endian
 *     type 2  varint n, n bytes strings, bytes, messages, packed arrays
 *     type 5  4 bytes           little endian
 *
 * Types 3 and 4 (groups) are not read: no message of ours has them, and skipping them would need a stack. A field
 * number of 0 or beyond 2^29-1, a varint of more than 64 bits and anything cut off are ERR_CORRUPT. What a field is for
 * is the caller's knowledge; unknown fields are passed over by looking at the next one.
 *
 * Readers borrow their input, and never read beyond `end`. Any thread.
 */
#include "wire/proto.h"

enum { FIELD_NUMBER_MAX = (1 << 29) - 1 };

enum err proto_varint(struct proto_reader *r, uint64_t *v)
{
    const uint8_t *p = r->p;
    uint64_t x = 0;
    for (int shift = 0; p < r->end && shift < 64; shift += 7) {
        uint8_t c = *p++;
        if (shift == 63 && c > 1)
            return ERR_CORRUPT;
        x |= (uint64_t)(c & 127) << shift;
        if (c < 128) {
            r->p = p;
            *v = x;
            return OK;
        }
    }
    return ERR_CORRUPT;
}

static enum err fixed(struct proto_reader *r, size_t n, uint64_t *v)
{
    if ((size_t)(r->end - r->p) < n)
        return ERR_CORRUPT;
    uint64_t x = 0;
    for (size_t i = 0; i < n; i++)
        x |= (uint64_t)r->p[i] << (8 * i);
    r->p += n;
    *v = x;
    return OK;
}

enum err proto_next(struct proto_reader *r, struct proto_field *f)
{
    if (r->p == r->end)
        return ERR_EOF;
    uint64_t tag, n;
    enum err err = proto_varint(r, &tag);
    if (err)
        return err;
    if (tag >> 3 == 0 || tag >> 3 > FIELD_NUMBER_MAX)
        return ERR_CORRUPT;
    *f = (struct proto_field){.number = (uint32_t)(tag >> 3), .type = (enum proto_type)(tag & 7)};
    switch (f->type) {
    case PROTO_VARINT:
        return proto_varint(r, &f->value);
    case PROTO_FIXED64:
        return fixed(r, 8, &f->value);
    case PROTO_FIXED32:
        return fixed(r, 4, &f->value);
    case PROTO_BYTES:
        if ((err = proto_varint(r, &n)))
            return err;
        if (n > (uint64_t)(r->end - r->p))
            return ERR_CORRUPT;
        f->bytes = str_from((const char *)r->p, (size_t)n);
        r->p += n;
        return OK;
    }
    return ERR_CORRUPT;
}

void proto_append_varint(struct buf *b, uint64_t v)
{
    uint8_t bytes[10];
    buf_append(b, bytes, (size_t)(proto_put_varint(bytes, v) - bytes));
}

void proto_append_tag(struct buf *b, uint32_t number, enum proto_type type)
{
    proto_append_varint(b, (uint64_t)number << 3 | type);
}

void proto_append_bytes(struct buf *b, uint32_t number, struct str s)
{
    proto_append_tag(b, number, PROTO_BYTES);
    proto_append_varint(b, s.n);
    buf_str(b, s);
}

void proto_append_u64(struct buf *b, uint32_t number, uint64_t v)
{
    if (v == 0)
        return;
    proto_append_tag(b, number, PROTO_VARINT);
    proto_append_varint(b, v);
}

void proto_append_double(struct buf *b, uint32_t number, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    if (bits == 0)
        return;
    proto_append_tag(b, number, PROTO_FIXED64);
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(bits >> (8 * i));
    buf_append(b, bytes, sizeof(bytes));
}
