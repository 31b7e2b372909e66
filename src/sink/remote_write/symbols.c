/* symbols: each text once.
 *
 * A message of remote write 2.0 has a table of texts, and its series refer to them by number. Ours is written while it
 * grows: a text is put in front of the first series that refers to it, so that every prefix that ends between two
 * entries is a message too.
 *
 *   open batch   22 00 | 22 08 __name__ | 22 02 up | 22 08 instance | ... | 2a .. series | 22 .. | 2a .. series
 *   number       0       1                2          3
 *
 * Two tables lead to the number of a text:
 *
 *   symbols      of the destination: texts that prepared forms and families hold, each with an id and references
 *   dictionary   of a lane: by_id, an array load for a text that has an id; by_text, what has none
 *
 * A text that is a symbol is found by its id, any other by its content: those that compact forms read where metrics are
 * interned, exemplars', and symbols that went while the batch was open. A text may become a symbol, stop being one and
 * become one again under another id, and still stands once: what goes moves from by_id to by_text, and what is new to
 * by_id is looked for in by_text first. That has few texts or none, so nothing is hashed for a symbol. A batch begins
 * with a new generation: what both say from before is not looked at, and nothing is cleared.
 *
 *   by_id[id] = generation << 20 | number
 *
 * A form that is made and thrown away leaves symbols without a reference; they are freed when the next one is made.
 * One worker, one thread.
 */
#include "sink/remote_write/symbols_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"
#include "wire/proto.h"

enum { SLOTS_AT_FIRST = 256 };

/* ---- by content -------------------------------------------------------------------------------------------------- */

static void put_slot(struct symbol_slot *slots, uint32_t mask, uint32_t generation, struct symbol_slot slot)
{
    uint32_t at = slot.tag & mask;
    while (slots[at].value >> SYMBOL_NUMBER_BITS == generation)
        at = (at + 1) & mask;
    slots[at] = slot;
}

static void grow_slots(struct dictionary *d)
{
    uint32_t mask = d->mask * 2 + 1;
    struct symbol_slot *slots = mem_zalloc((mask + (size_t)1) * sizeof(*slots));
    for (uint32_t i = 0; d->slots && i <= d->mask; i++) {
        if (d->slots[i].value >> SYMBOL_NUMBER_BITS == d->generation)
            put_slot(slots, mask, d->generation, d->slots[i]);
    }
    free(d->slots);
    d->slots = slots;
    d->mask = mask;
}

/* From here on the text with this number is found by its content. */
static void index_text(struct dictionary *d, uint64_t hash, uint32_t number)
{
    if (++d->n_indexed > d->mask / 2)
        grow_slots(d);
    put_slot(d->slots, d->mask, d->generation,
             (struct symbol_slot){(uint32_t)(hash >> 32), d->generation << SYMBOL_NUMBER_BITS | number});
}

/* ---- symbols ----------------------------------------------------------------------------------------------------- */

struct symbol_key {
    const struct symbols *s;
    struct str text;
};

static bool symbol_eq(const void *ctx, uint32_t id)
{
    const struct symbol_key *key = ctx;
    const struct symbol *v = &key->s->v[id];
    return v->n == key->text.n && memcmp(v->text, key->text.p, v->n) == 0;
}

static void grow(struct symbols *s)
{
    size_t old = s->cap;
    s->v = mem_grow(s->v, &s->cap, s->n + 1, sizeof(*s->v));
    if (s->cap == old)
        return;
    for (int i = 0; i < LANES; i++) {
        struct dictionary *d = s->dictionaries[i];
        if (!d)
            continue;
        d->by_id = mem_realloc(d->by_id, s->cap * sizeof(*d->by_id));
        memset(d->by_id + old, 0, (s->cap - old) * sizeof(*d->by_id));
    }
}

static uint32_t take_id(struct symbols *s)
{
    uint32_t id = s->free_id;
    if (id) {
        s->free_id = s->v[id].n;
        return id;
    }
    if (s->n == 0)
        s->n = 1;
    grow(s);
    s->v[0] = (struct symbol){0};
    return (uint32_t)s->n++;
}

uint32_t symbols_get(struct symbols *s, struct str text)
{
    uint64_t hash = hash_bytes(text);
    uint32_t id = map_find(&s->by_text, hash, symbol_eq, &(struct symbol_key){s, text});
    if (id != MAP_NONE)
        return id;
    id = take_id(s);
    s->v[id] = (struct symbol){.text = mem_strndup(text.p, text.n), .n = (uint32_t)text.n, .hash = hash};
    s->bytes += text.n + 1;
    map_add(&s->by_text, hash, id);
    s->unheld = mem_grow(s->unheld, &s->cap_unheld, s->n_unheld + 1, sizeof(*s->unheld));
    s->unheld[s->n_unheld++] = id;
    return id;
}

static void drop(struct symbols *s, uint32_t id)
{
    struct symbol *v = &s->v[id];
    CHECK(map_remove(&s->by_text, v->hash, id));
    s->bytes -= v->n + 1;
    for (int i = 0; i < LANES; i++) {
        struct dictionary *d = s->dictionaries[i];
        if (!d)
            continue;
        if (dictionary_knows(d, id))
            index_text(d, v->hash, dictionary_number(d, id));
        d->by_id[id] = 0;
    }
    free(v->text);
    *v = (struct symbol){.n = s->free_id};
    s->free_id = id;
}

void symbols_ref(struct symbols *s, uint32_t id)
{
    s->v[id].refs++;
}

void symbols_unref(struct symbols *s, uint32_t id)
{
    CHECK(s->v[id].refs > 0);
    if (--s->v[id].refs == 0)
        drop(s, id);
}

void symbols_tidy(struct symbols *s)
{
    for (size_t i = 0; i < s->n_unheld; i++) {
        uint32_t id = s->unheld[i];
        if (s->v[id].text && s->v[id].refs == 0)
            drop(s, id);
    }
    s->n_unheld = 0;
}

static void drop_all(struct symbols *s)
{
    for (size_t i = 1; i < s->n; i++)
        free(s->v[i].text);
    free(s->v);
    free(s->unheld);
    map_release(&s->by_text);
    s->v = NULL;
    s->unheld = NULL;
    s->n = s->cap = s->n_unheld = s->cap_unheld = s->bytes = 0;
    s->free_id = 0;
}

void symbols_clear(struct symbols *s)
{
    drop_all(s);
    for (int i = 0; i < LANES; i++) {
        if (s->dictionaries[i]) {
            free(s->dictionaries[i]->by_id);
            s->dictionaries[i]->by_id = NULL;
            s->dictionaries[i]->all_lost = true;
        }
    }
}

void symbols_release(struct symbols *s)
{
    symbols_clear(s);
    for (int i = 0; i < LANES; i++) {
        struct dictionary *d = s->dictionaries[i];
        if (!d)
            continue;
        free(d->places);
        free(d->slots);
        free(d);
        s->dictionaries[i] = NULL;
    }
}

size_t symbols_bytes(const struct symbols *s)
{
    size_t n = s->bytes + s->cap * sizeof(*s->v) + s->cap_unheld * sizeof(*s->unheld) + map_bytes(&s->by_text);
    for (int i = 0; i < LANES; i++) {
        const struct dictionary *d = s->dictionaries[i];
        if (d)
            n += s->cap * sizeof(*d->by_id) + d->cap_places * sizeof(*d->places) +
                 (d->mask + (size_t)1) * sizeof(*d->slots);
    }
    return n;
}

/* ---- dictionaries ------------------------------------------------------------------------------------------------ */

struct dictionary *symbols_dictionary(struct symbols *s, uint32_t lane)
{
    struct dictionary *d = s->dictionaries[lane];
    if (d)
        return d;
    d = NEW(struct dictionary);
    d->generation = 1;
    d->mask = SLOTS_AT_FIRST - 1;
    d->slots = mem_zalloc(SLOTS_AT_FIRST * sizeof(*d->slots));
    if (s->cap)
        d->by_id = mem_zalloc(s->cap * sizeof(*d->by_id));
    s->dictionaries[lane] = d;
    return d;
}

void dictionary_restart(const struct symbols *s, struct dictionary *d, const uint8_t *base)
{
    d->base = base;
    d->n = 0;
    d->n_indexed = 0;
    d->all_lost = false;
    if (++d->generation < SYMBOL_GENERATIONS)
        return;
    d->generation = 1;
    memset(d->slots, 0, (d->mask + (size_t)1) * sizeof(*d->slots));
    if (d->by_id)
        memset(d->by_id, 0, s->cap * sizeof(*d->by_id));
}

static uint32_t append(struct dictionary *d, struct str text, uint8_t **out)
{
    uint32_t number = d->n++;
    uint8_t *p = *out;
    CHECK(number < 1u << SYMBOL_NUMBER_BITS);
    if (UNLIKELY(number >= d->cap_places))
        d->places = mem_grow(d->places, &d->cap_places, number + 1, sizeof(*d->places));
    *p++ = 0x22;
    p = LIKELY(text.n < 128) ? (*p = (uint8_t)text.n, p + 1) : proto_put_varint(p, text.n);
    d->places[number] = (struct symbol_place){(uint32_t)(p - d->base), (uint32_t)text.n};
    if (text.n)
        memcpy(p, text.p, text.n);
    *out = p + text.n;
    return number;
}

static bool is_at(const struct dictionary *d, uint32_t number, struct str text)
{
    struct symbol_place at = d->places[number];
    return at.n == text.n && memcmp(d->base + at.at, text.p, at.n) == 0;
}

/* 0: not found by content. The empty text never is. */
static uint32_t find_content(const struct dictionary *d, struct str text, uint64_t hash)
{
    uint32_t tag = (uint32_t)(hash >> 32);
    for (uint32_t at = tag & d->mask;; at = (at + 1) & d->mask) {
        struct symbol_slot slot = d->slots[at];
        uint32_t number = slot.value & SYMBOL_NUMBER_MASK;
        if (slot.value >> SYMBOL_NUMBER_BITS != d->generation)
            return 0;
        if (slot.tag == tag && is_at(d, number, text))
            return number;
    }
}

static void index_all(struct dictionary *d)
{
    d->all_lost = false;
    for (uint32_t i = 1; i < d->n; i++)
        index_text(d, hash_bytes(dictionary_text_of(d, i)), i);
}

static uint32_t append_text(struct dictionary *d, struct str text, uint8_t **p)
{
    if (d->n == 0)
        append(d, STR(""), p);
    return append(d, text, p);
}

uint32_t dictionary_text(const struct symbols *s, struct dictionary *d, struct str text, uint8_t **p)
{
    uint64_t hash = hash_bytes(text);
    uint32_t id = map_find(&s->by_text, hash, symbol_eq, &(struct symbol_key){s, text});
    if (id != MAP_NONE)
        return dictionary_symbol(s, d, id, p);
    if (UNLIKELY(d->all_lost))
        index_all(d);
    uint32_t number = find_content(d, text, hash);
    if (number)
        return number;
    number = append_text(d, text, p);
    index_text(d, hash, number);
    return number;
}

uint32_t dictionary_symbol_slow(const struct symbols *s, struct dictionary *d, uint32_t id, uint8_t **p)
{
    const struct symbol *v = &s->v[id];
    struct str text = str_from(v->text, v->n);
    if (UNLIKELY(d->all_lost))
        index_all(d);
    uint32_t number = d->n_indexed ? find_content(d, text, v->hash) : 0;
    if (number == 0)
        number = append_text(d, text, p);
    d->by_id[id] = d->generation << SYMBOL_NUMBER_BITS | number;
    return number;
}
