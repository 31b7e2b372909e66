/* format_int: the bytes on disk: records, segment headers and footers, open batches, cursors. Pure functions over
 * bytes; format.c draws them. Every struct here is laid out as on disk (little-endian, no padding) and goes there
 * by memcpy.
 */
#ifndef SPOOL_FORMAT_INT_H
#define SPOOL_FORMAT_INT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "spool/spool.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the spool's formats are the memory of little-endian machines");

enum {
    SPOOL_VERSION = 4,
    RECORD_MAGIC = 0x44524c6c,  /* "lLRD" */
    RECORD_RAW_MAX = 256 << 20, /* of one message; larger ones are not ours */
    RECORD_BORDERS_MAX = 1 << 20,
    OPEN_BORDERS_MAX = 2048, /* scrapes in one open batch: it seals when the table is full */
    PAGE = 4096,
    OPEN_BORDERS_AT = PAGE,
    OPEN_DATA_AT = OPEN_BORDERS_AT + OPEN_BORDERS_MAX * 12, /* 28 KiB: a page's border */
    GENERATION_AT = 256,
    SLOT_AT = 512, /* two, SLOT_STRIDE apart */
    SLOT_STRIDE = 512,
    BOOT_ID_SIZE = 40,
    DROP_SLOTS = 32,        /* reasons on disk; DROP_REASONS of them used */
    COMMIT_DROP_SLOTS = 12, /* those that are told with a commit; DROPS_AT_COMMIT of them used */
};
#define SEGMENT_MAGIC 0x3130746e656d6765ULL /* "egment01" */
#define FOOTER_MAGIC  0x3130726574746f66ULL /* "fotter01" */
#define OPEN_MAGIC    0x31306863746162ULL   /* "batch01" */
#define CURSOR_MAGIC  0x3130726f73727563ULL /* "cursor01" */
_Static_assert((int)DROP_REASONS <= (int)DROP_SLOTS, "the cursor's slots hold every reason");
_Static_assert((int)DROPS_AT_COMMIT <= (int)COMMIT_DROP_SLOTS, "the totals hold every reason that a commit tells");
_Static_assert(OPEN_DATA_AT % PAGE == 0, "data begins on a page");

/* Samples dropped at commits, by enum spool_reason. */
struct commit_drops {
    uint64_t n[COMMIT_DROP_SLOTS];
};

struct segment_header {
    uint64_t magic;
    uint32_t crc; /* of what follows it */
    uint32_t version;
    uint64_t number, first_seq;
    int64_t created_ms;
    uint32_t lane, protocol, compression, reserved[3];
};
_Static_assert(sizeof(struct segment_header) == 64, "on disk");

struct record_header {
    uint32_t magic;
    uint32_t crc; /* of the header from seq on */
    uint64_t seq;
    uint32_t body_crc; /* of borders and body */
    uint32_t body_bytes;
    uint32_t n_borders;
    uint32_t samples;
    uint32_t raw_bytes;
    uint32_t protocol;
    uint32_t compression;
    uint32_t group_part, group_parts; /* 0, 0: not of a group. The part group_parts - 1 closes the group */
    uint32_t reserved;
    int64_t first_ms, last_ms, sealed_ms;
    uint64_t read; /* the lane's totals when it was sealed */
    struct commit_drops drops;
    uint64_t group;      /* number of the group, 0 none */
    uint64_t group_read; /* in the closing part */
    uint32_t group_dropped[COMMIT_DROP_SLOTS];
};
_Static_assert(sizeof(struct record_header) == 248, "on disk");

struct segment_footer {
    uint64_t magic;
    uint32_t crc; /* of what follows it */
    uint32_t version;
    uint64_t number;
    uint64_t end; /* where the footer begins: bytes of header and records */
    uint64_t first_seq, last_seq, requests, samples;
    uint64_t group; /* of the last group, 0 none: counted as read before the footer was written */
    int64_t first_ms, last_ms, oldest_sealed_ms, newest_sealed_ms;
};
_Static_assert(sizeof(struct segment_footer) == 104, "on disk");

struct open_header {
    uint64_t magic;
    uint32_t crc; /* of what follows it */
    uint32_t version;
    uint32_t lane, protocol;
    uint64_t data_bytes;
    char boot_id[BOOT_ID_SIZE];
};
_Static_assert(sizeof(struct open_header) == 72, "on disk");

struct open_slot {
    uint32_t crc; /* of what follows it */
    uint32_t n_borders;
    uint64_t commit; /* ascending over all open batches of the lane: the totals of the largest are the lane's */
    uint64_t seq;    /* of the request this becomes */
    uint32_t bytes, samples;
    int64_t first_ms, last_ms, begun_ms;
    uint64_t read; /* the lane's totals */
    struct commit_drops drops;
    uint64_t group;        /* last group that is in the totals */
    uint64_t checked_hash; /* XXH3 of the first checked_bytes; taken about once a second */
    uint32_t checked_bytes, checked_samples, checked_borders;
    uint32_t protocol; /* of the bytes; 0: the header's */
};
_Static_assert(sizeof(struct open_slot) == 192 && sizeof(struct open_slot) <= SLOT_STRIDE, "on disk");

struct cursor_header {
    uint64_t magic;
    uint32_t crc; /* of what follows it */
    uint32_t version;
    uint32_t lane, reserved;
};
_Static_assert(sizeof(struct cursor_header) == 24, "on disk");

struct cursor_slot {
    uint32_t crc; /* of what follows it */
    uint32_t reserved;
    uint64_t head;               /* every request before it is done, but inflight */
    uint64_t inflight;           /* handed out for sending and not done; 0: none */
    uint64_t gone_from, gone_to; /* dropped from memory, never on disk */
    uint64_t delivered, possible_duplicates;
    uint64_t read; /* the lane's totals when this was written: a second source */
    struct commit_drops drops;
    uint64_t dropped[DROP_SLOTS];
};
_Static_assert(sizeof(struct cursor_slot) == 416 && sizeof(struct cursor_slot) <= SLOT_STRIDE, "on disk");

/* ---- records ---- */

static inline uint64_t record_size(const struct record_header *h)
{
    return sizeof(*h) + (uint64_t)h->n_borders * sizeof(struct spool_border) + h->body_bytes;
}
/* Fills in the checksums; bytes points at the whole record (header, borders, body), which h describes. */
void record_finish(struct record_header *h, uint8_t *bytes);
/* The header at the start of s; ERR_CORRUPT when it is none. Its sizes are within limits then, the body is not looked
 * at. */
enum err record_parse_header(struct str s, struct record_header *out) MUST_USE;
/* s is the whole record of h: its checksum, and borders that fit the message. */
enum err record_check_body(const struct record_header *h, struct str s) MUST_USE;
/* Offset of the next thing in s that looks like a record's header from `from` on; s.n when there is none. */
size_t record_search(struct str s, size_t from);

/* ---- segments ---- */

void segment_header_finish(struct segment_header *h);
enum err segment_header_parse(struct str s, struct segment_header *out) MUST_USE;
void segment_footer_finish(struct segment_footer *f);
/* s: the last bytes of a file of file_size bytes. */
enum err segment_footer_parse(struct str s, uint64_t file_size, struct segment_footer *out) MUST_USE;

/* ---- two slots and a generation ---- */

/* Publishes a slot: the one that is not current is written, then becomes current by one release store. Its first four
 * bytes are the checksum, filled in here. page: of an open batch or a cursor. */
void slots_publish(uint8_t *page, void *slot, size_t size);
/* The current slot, or the other one when its checksum fails; ERR_CORRUPT when both do. page holds PAGE bytes. */
enum err slots_read(const uint8_t *page, void *slot, size_t size) MUST_USE;

/* ---- open batches and cursors ---- */

void open_header_finish(struct open_header *h);
/* page holds PAGE bytes of a file of file_size bytes. ERR_UNSUPPORTED: another version. */
enum err open_parse(const uint8_t *page, uint64_t file_size, struct open_header *h, struct open_slot *slot) MUST_USE;
/* borders and data are those of the slot, both complete. False: they cannot be what was written. */
bool open_borders_valid(const struct spool_border *borders, uint32_t n, uint32_t bytes);
void cursor_header_finish(struct cursor_header *h);
enum err cursor_parse(const uint8_t *page, struct cursor_header *h, struct cursor_slot *slot) MUST_USE;

#endif
