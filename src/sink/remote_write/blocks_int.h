/* blocks: what the comments of an exposition say of families, prepared for remote write 2.0. See blocks.c. */
#ifndef SINK_BLOCKS_INT_H
#define SINK_BLOCKS_INT_H

#include "base/arena.h"
#include "model/batch.h"
#include "model/family.h"
#include "sink/remote_write/symbols_int.h"

struct block_family {
    struct str name;
    enum metric_type type;
    uint32_t help, unit; /* symbols; 0: none */
};

enum { BLOCK_NAMES = 4 };

struct block {
    uint32_t metric;
    uint32_t next; /* the place of the block that stood behind it last time; 0: not known */
    uint32_t n;
    struct {             /* which family series of this name are of */
        uint32_t symbol; /* held; 0: none */
        int32_t family;  /* -1: of none */
    } names[BLOCK_NAMES];
    size_t bound; /* of what the texts of one family may take in a message */
    struct block_family v[];
};

struct blocks {
    struct intern *intern; /* NULL: not begun */
    struct symbols *symbols;
    struct map by_metric;
    struct block **v; /* from 1; NULL: a hole. v[0] is the key of a search */
    size_t n, cap;
    uint32_t *holes;
    size_t n_holes, cap_holes;
    size_t bytes;
    struct arena scratch;
};

void blocks_init(struct blocks *b, struct intern *in, struct symbols *symbols);
void blocks_release(struct blocks *b); /* before the symbols go */
/* Never NULL; valid until the metric is swept. after: the block in front of it on the page, or NULL. */
struct block *blocks_get(struct blocks *b, const struct intern_view *view, uint32_t metric, struct block *after);
/* The family of series of this name, or NULL. symbol: of the name; 0: it has none. */
const struct block_family *block_family_of(struct blocks *b, struct block *block, uint32_t symbol, struct str name);
/* Whether a series of this name is one of the family's, as the original judges it (isSeriesPartOfFamily). */
bool block_family_has(const struct block_family *f, struct str name);

#endif
