/* encode_int: what the encoders of the two protocols share. */
#ifndef SINK_ENCODE_INT_H
#define SINK_ENCODE_INT_H

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "sink/remote_write/blocks_int.h"
#include "sink/remote_write/form_int.h"
#include "spool/spool.h"
#include "wire/proto.h"

/* Where the encoder is in a batch. */
struct position {
    uint32_t run, at; /* at: within the run */
};

/* What becomes one scrape of a request. */
struct part {
    uint8_t *p, *end;
    uint32_t samples_left;
    bool alone; /* a request of its own: what does not fit now will never fit */
    struct spool_counts counts;
    uint32_t unsendable, exemplars, histograms;
};

/* The end of a Sample: its timestamp field. */
struct stamp {
    uint8_t bytes[16];
    uint32_t n;
};

static inline struct stamp stamp_of(int64_t ts_ms)
{
    struct stamp s = {.bytes = {0x10}};
    if (ts_ms != 0)
        s.n = (uint32_t)(proto_put_varint(s.bytes + 1, (uint64_t)ts_ms) - s.bytes);
    return s;
}

/* Neither reads nor writes beyond n. Stretches of labels have 8 to 100 bytes: a call of memcpy costs more than that. */
static inline __attribute__((always_inline)) void encode_copy(uint8_t *to, const uint8_t *from, size_t n)
{
    if (LIKELY(n >= 16)) {
        size_t i = 0;
        for (; i + 16 < n; i += 16)
            memcpy(to + i, from + i, 16);
        memcpy(to + n - 16, from + n - 16, 16);
        return;
    }
    if (n >= 8) {
        memcpy(to, from, 8);
        memcpy(to + n - 8, from + n - 8, 8);
        return;
    }
    if (n >= 4) {
        memcpy(to, from, 4);
        memcpy(to + n - 4, from + n - 4, 4);
        return;
    }
    if (n) {
        to[0] = from[0];
        to[n / 2] = from[n / 2];
        to[n - 1] = from[n - 1];
    }
}

static inline __attribute__((always_inline)) uint8_t *encode_sample(uint8_t *p, double value, const struct stamp *stamp)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    p[0] = 0x12;
    if (LIKELY(bits != 0)) {
        p[1] = (uint8_t)(9 + stamp->n);
        p[2] = 0x09;
        memcpy(p + 3, &bits, sizeof(bits)); /* little endian: CHECKed in remote_write_new */
        p += 11;
    } else {
        p[1] = (uint8_t)stamp->n;
        p += 2;
    }
    memcpy(p, stamp->bytes, sizeof(stamp->bytes));
    return p + stamp->n;
}

static inline void encode_note_time(struct spool_counts *c, int64_t ts_ms)
{
    if (c->samples == 0 || ts_ms < c->first_ms)
        c->first_ms = ts_ms;
    if (c->samples == 0 || ts_ms > c->last_ms)
        c->last_ms = ts_ms;
}

enum verdict { VERDICT_KEPT, VERDICT_GONE, VERDICT_FULL };

/* encode.c: what to do with a sample for which there is no room, or nothing to write; `bytes`: of everything that it
 * takes, at most. What is gone is counted. */
enum verdict encode_judge(const struct form *f, size_t bytes, struct part *part);

/* ---- 2.0 (encode2.c) ---- */

struct remote_write;

/* Of one destination of one worker. */
struct encoder2 {
    struct symbols symbols;
    struct blocks blocks;
    uint32_t name; /* the symbol __name__ */
    struct buf refs, scope_refs, tail;
    uint32_t *scope_offsets;
    size_t cap_scope_offsets;
};

void encoder2_start(struct encoder2 *e, struct intern *in); /* empty */
void encoder2_stop(struct encoder2 *e);
size_t encoder2_bytes(const struct encoder2 *e);
/* Goes on with a run from *at on, until its end (true) or until the part is full. */
bool encode2_run(struct remote_write *rw, struct dictionary *d, const struct batch *b, const struct batch_run *run,
                 uint32_t *at, struct part *part);

#endif
