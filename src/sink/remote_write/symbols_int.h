/* symbols: the texts of remote write 2.0 messages, and which of them an open batch has already. See symbols.c. */
#ifndef SINK_SYMBOLS_INT_H
#define SINK_SYMBOLS_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/batch.h" /* LANES */

enum {
    SYMBOL_NUMBER_BITS = 20, /* a batch of 1 MiB has fewer symbols */
    SYMBOL_GENERATIONS = 1 << (32 - SYMBOL_NUMBER_BITS),
    SYMBOL_NUMBER_MASK = (1 << SYMBOL_NUMBER_BITS) - 1,
    SYMBOL_HEAD_MAX = 1 + 5, /* tag and length of a symbol in a message */
    SYMBOL_REF_MAX = 3,      /* a number as varint */
};

struct symbol {
    char *text; /* NULL: this id is free, and n links the free ones */
    uint32_t n, refs;
    uint64_t hash;
};

/* Where a lane's open batch has its symbols. Numbers are places in the message's table; 0 is the empty text. */
struct dictionary {
    const uint8_t *base; /* of the open batch */
    uint32_t n;          /* symbols in it; 0: not even the empty one, which begins every message */
    uint32_t generation;
    uint32_t *by_id; /* by symbol: generation and number; as many as symbols.cap */
    struct symbol_place {
        uint32_t at, n;
    } * places; /* by number */
    size_t cap_places;
    struct symbol_slot {
        uint32_t tag;   /* upper half of the hash */
        uint32_t value; /* generation and number; of another generation: empty */
    } * slots;
    uint32_t mask;      /* slots - 1 */
    uint32_t n_indexed; /* slots in use for this batch */
    bool all_lost;      /* no text of this batch has an id any more, and the slots do not know them yet */
};

struct symbols {
    struct symbol *v; /* from 1 */
    size_t n, cap;
    uint32_t free_id;
    uint32_t *unheld; /* made, and perhaps never referred to */
    size_t n_unheld, cap_unheld;
    struct map by_text;
    struct dictionary *dictionaries[LANES];
    size_t bytes;
};

void symbols_release(struct symbols *s);
/* Every symbol is gone; batches begun are as if they had none. */
void symbols_clear(struct symbols *s);
/* The symbol of this text, which is not empty. Without a reference it lives until symbols_tidy. */
uint32_t symbols_get(struct symbols *s, struct str text);
void symbols_ref(struct symbols *s, uint32_t id);
void symbols_unref(struct symbols *s, uint32_t id);
void symbols_tidy(struct symbols *s);
size_t symbols_bytes(const struct symbols *s);

struct dictionary *symbols_dictionary(struct symbols *s, uint32_t lane);
/* An empty batch at base. */
void dictionary_restart(const struct symbols *s, struct dictionary *d, const uint8_t *base);
/* The number of a text, which is written at *p if the batch does not have it: n + SYMBOL_HEAD_MAX bytes are free. */
uint32_t dictionary_text(const struct symbols *s, struct dictionary *d, struct str text, uint8_t **p);
uint32_t dictionary_symbol_slow(const struct symbols *s, struct dictionary *d, uint32_t id, uint8_t **p);

static inline bool dictionary_knows(const struct dictionary *d, uint32_t id)
{
    return d->by_id[id] >> SYMBOL_NUMBER_BITS == d->generation;
}

static inline uint32_t dictionary_number(const struct dictionary *d, uint32_t id)
{
    return d->by_id[id] & SYMBOL_NUMBER_MASK;
}

static inline uint32_t dictionary_symbol(const struct symbols *s, struct dictionary *d, uint32_t id, uint8_t **p)
{
    return LIKELY(dictionary_knows(d, id)) ? dictionary_number(d, id) : dictionary_symbol_slow(s, d, id, p);
}

static inline struct str dictionary_text_of(const struct dictionary *d, uint32_t number)
{
    return str_from((const char *)d->base + d->places[number].at, d->places[number].n);
}

#endif
