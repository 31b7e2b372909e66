/* format: the bytes on disk.
 *
 * A segment holds sealed requests in the order in which they are sent:
 *
 *   | segment header | record | record | ...                          | footer |
 *                    |        |
 *                    | header | borders: offset, bytes, samples (u32 each) | body, compressed |
 *
 * The header of a record has a checksum of its own, so that a damaged body is skipped by its length; when the header
 * itself is damaged, the next one is searched for (magic, then checksum). The footer sums the segment up: a start
 * reads footers only. A segment without one is the last of a process that was killed, and its record headers are
 * walked.
 *
 * An open batch and a cursor are mapped into memory, and their facts change together by one store:
 *
 *   0          header      fixed when the file is made
 *   256        generation  u64; its lowest bit says which slot is current
 *   512, 1024  slots       the current one and the one that the next change is written to
 *   4096       (open batch) border table, then the raw message from 28 KiB on
 *
 *   write slots[(generation + 1) & 1]  ->  store generation + 1 with release order
 *
 * A process that is killed between any two instructions leaves either the old or the new slot current, and all that
 * it describes in place: the kernel keeps a shared mapping's pages. The slots' checksums matter only after power
 * loss, when pages of different ages may meet.
 *
 * Everything is little-endian and naturally aligned, in structs without padding. Whatever is read back is untrusted:
 * parse functions copy from bounds-checked places, verify checksums first and sizes second. Pure functions; any
 * thread.
 */
#include "spool/format_int.h"

#include <string.h>

#include "base/hash.h"

/* The checksum of a struct whose field `crc` is followed by all that is summed. */
#define CRC_AFTER(s, field)                                                                                            \
    hash_crc32c(str_from((const char *)(s) + offsetof(__typeof__(*(s)), field),                                        \
                         sizeof(*(s)) - offsetof(__typeof__(*(s)), field)),                                            \
                0)

/* ---- records ---- */

void record_finish(struct record_header *h, uint8_t *bytes)
{
    h->magic = RECORD_MAGIC;
    h->body_crc = hash_crc32c(str_from((char *)bytes + sizeof(*h), record_size(h) - sizeof(*h)), 0);
    h->crc = CRC_AFTER(h, seq);
    memcpy(bytes, h, sizeof(*h));
}

enum err record_parse_header(struct str s, struct record_header *out)
{
    if (s.n < sizeof(*out))
        return ERR_CORRUPT;
    memcpy(out, s.p, sizeof(*out));
    if (out->magic != RECORD_MAGIC || out->crc != CRC_AFTER(out, seq))
        return ERR_CORRUPT;
    bool sizes = out->n_borders <= RECORD_BORDERS_MAX && out->raw_bytes <= RECORD_RAW_MAX &&
                 out->body_bytes <= 2u * RECORD_RAW_MAX;
    bool group = out->group_parts ? out->group != 0 && out->group_part < out->group_parts : out->group == 0;
    bool known = out->compression <= COMPRESS_ZSTD && out->seq != 0;
    return sizes && group && known ? OK : ERR_CORRUPT;
}

bool open_borders_valid(const struct spool_border *borders, uint32_t n, uint32_t bytes)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct spool_border b;
        memcpy(&b, borders + i, sizeof(b));
        if (b.offset != at)
            return false;
        at += b.bytes;
    }
    return at == bytes;
}

enum err record_check_body(const struct record_header *h, struct str s)
{
    if (s.n != record_size(h))
        return ERR_CORRUPT;
    struct str rest = str_from(s.p + sizeof(*h), s.n - sizeof(*h));
    if (hash_crc32c(rest, 0) != h->body_crc)
        return ERR_CORRUPT;
    uint64_t samples = 0, at = 0;
    for (uint32_t i = 0; i < h->n_borders; i++) {
        struct spool_border b;
        memcpy(&b, rest.p + i * sizeof(b), sizeof(b));
        if (b.offset != at)
            return ERR_CORRUPT;
        at += b.bytes;
        samples += b.samples;
    }
    return at == h->raw_bytes && samples == h->samples ? OK : ERR_CORRUPT;
}

size_t record_search(struct str s, size_t from)
{
    uint32_t magic = RECORD_MAGIC;
    while (from < s.n) {
        const char *p = memmem(s.p + from, s.n - from, &magic, sizeof(magic));
        if (!p)
            break;
        from = (size_t)(p - s.p);
        struct record_header h;
        /* One that is cut off by the window's end is shown to the caller, who reads on. */
        if (s.n - from < sizeof(h) || record_parse_header(str_from(p, s.n - from), &h) == OK)
            return from;
        from++;
    }
    return s.n;
}

/* ---- segments ---- */

void segment_header_finish(struct segment_header *h)
{
    h->magic = SEGMENT_MAGIC;
    h->version = SPOOL_VERSION;
    h->crc = CRC_AFTER(h, version);
}

enum err segment_header_parse(struct str s, struct segment_header *out)
{
    if (s.n < sizeof(*out))
        return ERR_CORRUPT;
    memcpy(out, s.p, sizeof(*out));
    if (out->magic != SEGMENT_MAGIC || out->crc != CRC_AFTER(out, version))
        return ERR_CORRUPT;
    return out->version == SPOOL_VERSION ? OK : ERR_UNSUPPORTED;
}

void segment_footer_finish(struct segment_footer *f)
{
    f->magic = FOOTER_MAGIC;
    f->version = SPOOL_VERSION;
    f->crc = CRC_AFTER(f, version);
}

enum err segment_footer_parse(struct str s, uint64_t file_size, struct segment_footer *out)
{
    if (s.n < sizeof(*out))
        return ERR_CORRUPT;
    memcpy(out, s.p + s.n - sizeof(*out), sizeof(*out));
    if (out->magic != FOOTER_MAGIC || out->crc != CRC_AFTER(out, version) || out->version != SPOOL_VERSION)
        return ERR_CORRUPT;
    bool sound = out->end >= sizeof(struct segment_header) && out->end + sizeof(*out) == file_size &&
                 out->first_seq <= out->last_seq && out->first_seq != 0;
    return sound ? OK : ERR_CORRUPT;
}

/* ---- two slots and a generation ---- */

static uint32_t slot_crc(const void *slot, size_t size)
{
    return hash_crc32c(str_from((const char *)slot + sizeof(uint32_t), size - sizeof(uint32_t)), 0);
}

void slots_publish(uint8_t *page, void *slot, size_t size)
{
    _Atomic uint64_t *generation = (_Atomic uint64_t *)(void *)(page + GENERATION_AT);
    uint64_t next = atomic_load_explicit(generation, memory_order_relaxed) + 1;
    uint32_t crc = slot_crc(slot, size);
    memcpy(slot, &crc, sizeof(crc));
    memcpy(page + SLOT_AT + (next & 1) * SLOT_STRIDE, slot, size);
    atomic_store_explicit(generation, next, memory_order_release);
}

enum err slots_read(const uint8_t *page, void *slot, size_t size)
{
    uint64_t generation;
    memcpy(&generation, page + GENERATION_AT, sizeof(generation));
    for (int i = 0; i < 2; i++) {
        memcpy(slot, page + SLOT_AT + ((generation + (uint64_t)i) & 1) * SLOT_STRIDE, size);
        uint32_t crc;
        memcpy(&crc, slot, sizeof(crc));
        if (crc == slot_crc(slot, size))
            return OK;
    }
    return ERR_CORRUPT;
}

/* ---- open batches and cursors ---- */

void open_header_finish(struct open_header *h)
{
    h->magic = OPEN_MAGIC;
    h->version = SPOOL_VERSION;
    h->crc = CRC_AFTER(h, version);
}

enum err open_parse(const uint8_t *page, uint64_t file_size, struct open_header *h, struct open_slot *slot)
{
    memcpy(h, page, sizeof(*h));
    if (h->magic != OPEN_MAGIC || h->crc != CRC_AFTER(h, version))
        return ERR_CORRUPT;
    if (h->version != SPOOL_VERSION)
        return ERR_UNSUPPORTED;
    enum err e = slots_read(page, slot, sizeof(*slot));
    if (e)
        return e;
    bool fits = h->data_bytes <= RECORD_RAW_MAX && slot->bytes <= h->data_bytes &&
                slot->n_borders <= OPEN_BORDERS_MAX && slot->checked_bytes <= slot->bytes &&
                slot->checked_borders <= slot->n_borders && slot->checked_samples <= slot->samples;
    /* A shorter file has lost what lies beyond its end. */
    return fits && file_size >= OPEN_DATA_AT + (uint64_t)slot->bytes ? OK : ERR_CORRUPT;
}

void cursor_header_finish(struct cursor_header *h)
{
    h->magic = CURSOR_MAGIC;
    h->version = SPOOL_VERSION;
    h->crc = CRC_AFTER(h, version);
}

enum err cursor_parse(const uint8_t *page, struct cursor_header *h, struct cursor_slot *slot)
{
    memcpy(h, page, sizeof(*h));
    if (h->magic != CURSOR_MAGIC || h->crc != CRC_AFTER(h, version))
        return ERR_CORRUPT;
    if (h->version != SPOOL_VERSION)
        return ERR_UNSUPPORTED;
    enum err e = slots_read(page, slot, sizeof(*slot));
    if (e)
        return e;
    return slot->inflight < slot->head || slot->inflight == 0 ? OK : ERR_CORRUPT;
}
