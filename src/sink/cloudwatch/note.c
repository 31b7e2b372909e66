/* note: records of a place on their way through the spool.
 *
 * While a batch fills, its records stand one behind the other behind the name of their place:
 *
 *   raw    = group-length u16 | stream-length u16 | group | stream | { record }
 *   record = time i64 | bytes u32 | samples u32 | 10 zero bytes | text
 *
 * A record's header has the 26 bytes that CloudWatch Logs adds to each message when it counts a batch: what is full
 * for the spool is full for the service, and nobody counts twice.
 *
 * A sealed request is a note and, behind it, the body as it goes out:
 *
 *   note   = 'C' '1' | bytes of the note u32 | kind | group, stream: length, bytes | records | head
 *            | time of the first record, zigzag | { samples | bytes in the document | time since the one before }
 *
 * numbers as varints, but the u32. The place says where the request goes; the rest lets the sender count what the
 * service rejects by position, leave out what has become too old, and cut a refused request in two, without parsing
 * the document. 10,000 records take some 40 KiB of note; a request that is simply taken costs none of their reading.
 *
 * All integers little-endian. Both readers stop at the first byte that cannot be ours: checksums are the spool's
 * business, so this is about another program's files and our own mistakes.
 */
#include "sink/cloudwatch/note_int.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "integers are written as they lie in memory");

enum { NOTE_FIXED = 6 };
static const char magic[2] = {'C', '1'};

/* ---- raw ---- */

uint8_t *cw_raw_put_place(uint8_t *p, const struct cw_place *place)
{
    uint16_t lengths[2] = {(uint16_t)place->group.n, (uint16_t)place->stream.n};
    memcpy(p, lengths, sizeof(lengths));
    p += sizeof(lengths);
    if (place->group.n)
        memcpy(p, place->group.p, place->group.n);
    p += place->group.n;
    if (place->stream.n)
        memcpy(p, place->stream.p, place->stream.n);
    return p + place->stream.n;
}

uint8_t *cw_raw_put_record(uint8_t *p, const struct cw_record *r, struct str text)
{
    uint32_t n = (uint32_t)text.n;
    memcpy(p, &r->ts_ms, 8);
    memcpy(p + 8, &n, 4);
    memcpy(p + 12, &r->samples, 4);
    memset(p + 16, 0, CW_EVENT_OVERHEAD - 16);
    memcpy(p + CW_EVENT_OVERHEAD, text.p, text.n);
    return p + CW_EVENT_OVERHEAD + text.n;
}

enum err cw_raw_place(struct str raw, struct cw_place *out, struct str *rest)
{
    uint16_t lengths[2];
    if (raw.n < sizeof(lengths))
        return ERR_CORRUPT;
    memcpy(lengths, raw.p, sizeof(lengths));
    if (lengths[0] > CW_NAME_MAX || lengths[1] > CW_NAME_MAX ||
        raw.n - sizeof(lengths) < (size_t)lengths[0] + lengths[1])
        return ERR_CORRUPT;
    out->group = str_from(raw.p + sizeof(lengths), lengths[0]);
    out->stream = str_from(out->group.p + lengths[0], lengths[1]);
    size_t n = cw_raw_place_bytes(out);
    *rest = str_from(raw.p + n, raw.n - n);
    return OK;
}

enum err cw_raw_next(struct str *rest, struct cw_raw_record *out)
{
    uint32_t n;
    if (rest->n == 0)
        return ERR_EOF;
    if (rest->n < CW_EVENT_OVERHEAD)
        return ERR_CORRUPT;
    memcpy(&out->ts_ms, rest->p, 8);
    memcpy(&n, rest->p + 8, 4);
    memcpy(&out->samples, rest->p + 12, 4);
    if (n > rest->n - CW_EVENT_OVERHEAD)
        return ERR_CORRUPT;
    out->text = str_from(rest->p + CW_EVENT_OVERHEAD, n);
    *rest = str_from(out->text.p + n, rest->n - CW_EVENT_OVERHEAD - n);
    return OK;
}

/* ---- the note ---- */

static void append_name(struct buf *out, struct str s)
{
    proto_append_varint(out, s.n);
    buf_str(out, s);
}

static uint64_t zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}

void cw_note_append(struct buf *out, enum cloudwatch_kind kind, const struct cw_place *place, uint32_t head,
                    const struct cw_note_record *records, uint32_t n)
{
    size_t from = out->n;
    uint32_t bytes = 0;
    buf_append(out, magic, sizeof(magic));
    buf_append(out, &bytes, sizeof(bytes));
    proto_append_varint(out, (uint64_t)kind);
    append_name(out, place->group);
    append_name(out, place->stream);
    proto_append_varint(out, n);
    proto_append_varint(out, head);
    int64_t ts = n ? records[0].ts_ms : 0;
    proto_append_varint(out, zigzag(ts));
    for (uint32_t i = 0; i < n; i++) {
        buf_reserve(out, 30);
        uint8_t *p = (uint8_t *)out->p + out->n;
        p = proto_put_varint(p, records[i].samples);
        p = proto_put_varint(p, records[i].bytes);
        p = proto_put_varint(p, (uint64_t)records[i].ts_ms - (uint64_t)ts);
        out->n = (size_t)(p - (uint8_t *)out->p);
        ts = records[i].ts_ms;
    }
    bytes = (uint32_t)(out->n - from);
    memcpy(out->p + from + sizeof(magic), &bytes, sizeof(bytes));
}

static enum err read_u32(struct proto_reader *r, uint32_t *out)
{
    uint64_t v;
    if (proto_varint(r, &v) != OK || v > UINT32_MAX)
        return ERR_CORRUPT;
    *out = (uint32_t)v;
    return OK;
}

static enum err read_name(struct proto_reader *r, struct str *out)
{
    uint32_t n;
    if (read_u32(r, &n) != OK || n > CW_NAME_MAX || n > (size_t)(r->end - r->p))
        return ERR_CORRUPT;
    *out = str_from((const char *)r->p, n);
    r->p += n;
    return OK;
}

enum err cw_note_parse(struct str s, struct cw_note *out)
{
    uint32_t bytes, kind;
    *out = (struct cw_note){0};
    if (s.n < NOTE_FIXED || memcmp(s.p, magic, sizeof(magic)) != 0)
        return ERR_CORRUPT;
    memcpy(&bytes, s.p + sizeof(magic), sizeof(bytes));
    if (bytes < NOTE_FIXED || bytes > s.n)
        return ERR_CORRUPT;
    struct proto_reader r = proto_read(str_from(s.p + NOTE_FIXED, bytes - NOTE_FIXED));
    if (read_u32(&r, &kind) != OK || kind > CLOUDWATCH_METRICS || read_name(&r, &out->place.group) != OK ||
        read_name(&r, &out->place.stream) != OK || read_u32(&r, &out->n) != OK || read_u32(&r, &out->head) != OK)
        return ERR_CORRUPT;
    out->kind = (enum cloudwatch_kind)kind;
    out->records = str_from((const char *)r.p, (size_t)(r.end - r.p));
    out->body = str_from(s.p + bytes, s.n - bytes);
    struct cw_note_reader first = cw_note_read(out);
    return first.r.p ? OK : ERR_CORRUPT;
}

struct cw_note_reader cw_note_read(const struct cw_note *n)
{
    uint64_t ts;
    struct cw_note_reader r = {.r = proto_read(n->records), .left = n->n};
    if (proto_varint(&r.r, &ts) != OK)
        return (struct cw_note_reader){.left = 1};
    r.ts_ms = unzigzag(ts);
    return r;
}

enum err cw_note_next(struct cw_note_reader *r, struct cw_note_record *out)
{
    uint64_t later;
    if (!r->r.p)
        return ERR_CORRUPT;
    if (!r->left)
        return r->r.p == r->r.end ? ERR_EOF : ERR_CORRUPT;
    r->left--;
    if (read_u32(&r->r, &out->samples) != OK || read_u32(&r->r, &out->bytes) != OK || proto_varint(&r->r, &later) != OK)
        return ERR_CORRUPT;
    r->ts_ms = (int64_t)((uint64_t)r->ts_ms + later);
    out->ts_ms = r->ts_ms;
    return OK;
}

enum err cw_note_samples(const struct cw_note *n, uint32_t from, uint32_t to, uint32_t *out)
{
    struct cw_note_reader r = cw_note_read(n);
    struct cw_note_record v;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < to; i++) {
        if (cw_note_next(&r, &v) != OK)
            return ERR_CORRUPT;
        sum += i >= from ? v.samples : 0;
    }
    if (sum > UINT32_MAX)
        return ERR_CORRUPT;
    *out = (uint32_t)sum;
    return OK;
}
