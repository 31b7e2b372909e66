/* blocks: what the comments of an exposition say of families, prepared for remote write 2.0. See blocks.c. */
#ifndef SINK_BLOCKS_INT_H
#define SINK_BLOCKS_INT_H

#include "base/arena.h"
#include "model/batch.h"
#include "model/family.h"
#include "sink/remote_write/symbols_int.h"

/* Numbered as in a message; symbols, 0: none. */
struct block_said {
    enum metric_type type;
    uint32_t help, unit;
};

struct block_family {
    struct str name;
    struct block_said said;
};

enum { BLOCK_NAMES = 3, BLOCKS_A_CHUNK = 64 };

/* A cache line: a page of another target has come by since it was last looked at. */
struct block {
    uint32_t metric; /* METRIC_NONE: this place is free, and next links the free ones */
    uint32_t next;   /* the place of the block that stood behind it last time; 0: not known */
    uint32_t n;
    uint32_t bound;      /* of what the texts of one family may take in a message */
    struct {             /* which family series of this name are of */
        uint32_t symbol; /* held; 0: none */
        int32_t family;  /* -1: of none */
    } names[BLOCK_NAMES];
    struct block_said first; /* v[0].said */
    struct block_family *v;
};

struct blocks {
    struct intern *intern; /* NULL: not begun */
    struct symbols *symbols;
    struct map by_metric;
    struct block **chunks; /* places, from 1 */
    uint32_t n;
    size_t cap_chunks;
    uint32_t free;
    size_t bytes;
    struct arena scratch;
};

static inline struct block *block_at(const struct blocks *b, uint32_t place)
{
    return &b->chunks[place / BLOCKS_A_CHUNK][place % BLOCKS_A_CHUNK];
}

void blocks_init(struct blocks *b, struct intern *in, struct symbols *symbols);
void blocks_release(struct blocks *b); /* before the symbols go */
/* Never NULL; valid until the metric is swept. after: the block in front of it on the page, or NULL. */
struct block *blocks_get(struct blocks *b, const struct intern_view *view, uint32_t metric, struct block *after);
/* What series of this name say, or NULL. symbol: of the name; 0: it has none. */
const struct block_said *block_said_of(struct blocks *b, struct block *block, uint32_t symbol, struct str name);
/* Whether a series of this name is one of the family's, as the original judges it (isSeriesPartOfFamily). */
bool block_family_has(const struct block_family *f, struct str name);

#endif
