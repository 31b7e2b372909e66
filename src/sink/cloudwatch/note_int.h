/* note: the two forms in which records of a place lie in the spool: as they are committed (raw), and as what stands in
 * front of a request's body (note). body.c makes the second of the first. Pure; what is read comes from a disk and is
 * checked.
 */
#ifndef SINK_CLOUDWATCH_NOTE_INT_H
#define SINK_CLOUDWATCH_NOTE_INT_H

#include "sink/cloudwatch/lanes_int.h"
#include "wire/proto.h"

/* ---- raw: a batch as it fills ---- */

static inline size_t cw_raw_place_bytes(const struct cw_place *p)
{
    return 4 + p->group.n + p->stream.n;
}
/* Both return the end. The caller has made sure of the room, and that names are at most CW_NAME_MAX long. */
uint8_t *cw_raw_put_place(uint8_t *p, const struct cw_place *place);
uint8_t *cw_raw_put_record(uint8_t *p, const struct cw_record *r, struct str text);

struct cw_raw_record {
    int64_t ts_ms;
    uint32_t samples;
    struct str text;
};
/* *rest: what follows; then record by record, ERR_EOF at the end in good order. */
enum err cw_raw_place(struct str raw, struct cw_place *out, struct str *rest) MUST_USE;
enum err cw_raw_next(struct str *rest, struct cw_raw_record *out) MUST_USE;

/* ---- the note of a request ---- */

struct cw_note {
    enum cloudwatch_kind kind;
    struct cw_place place;
    uint32_t n;         /* records, in order of time */
    uint32_t head;      /* bytes of the document in front of the first record */
    struct str records; /* for cw_note_read */
    struct str body;    /* what follows the note: the document, gzip'd */
};

struct cw_note_record {
    int64_t ts_ms;
    uint32_t samples, bytes; /* bytes: in the document, without the comma */
};

struct cw_note_reader {
    struct proto_reader r;
    uint32_t left;
    int64_t ts_ms;
};

/* Views point into s. ERR_CORRUPT: it is none of ours. The records are looked at when they are read. */
enum err cw_note_parse(struct str s, struct cw_note *out) MUST_USE;
struct cw_note_reader cw_note_read(const struct cw_note *n);
/* ERR_EOF after the last one, in good order. */
enum err cw_note_next(struct cw_note_reader *r, struct cw_note_record *out) MUST_USE;
/* Samples of the records from `from` up to `to`; ERR_CORRUPT when there are not as many. */
enum err cw_note_samples(const struct cw_note *n, uint32_t from, uint32_t to, uint32_t *out) MUST_USE;

/* The note of n records, which ascend in time, without what follows it. */
void cw_note_append(struct buf *out, enum cloudwatch_kind kind, const struct cw_place *place, uint32_t head,
                    const struct cw_note_record *records, uint32_t n);

/* ---- body.c ---- */

/* JSON text between the quotes: what is not UTF-8 becomes U+FFFD. */
void cw_escape(struct buf *out, struct str s);
/* Everything of a request's document in front of its records. */
void cw_body_head(struct buf *out, enum cloudwatch_kind kind, const struct cw_place *place);
/* The body of the records from `from` up to `to` alone, gzip'd, into out (cleared). */
enum err cw_body_cut(const struct cw_note *n, uint32_t from, uint32_t to, struct compressor *c,
                     struct buf *out) MUST_USE;

#endif
