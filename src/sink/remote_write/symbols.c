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
 *   dictionary   of a lane: by_id, an array load for a text that has an id; by_text, the content of the batch
 *
 * by_text is the truth, and by_id a cache in front of it, so no text stands twice in a message. As long as all texts of
 * a batch came by their ids there is nothing to look for by content, and by_text is not filled; the first text without
 * an id, or one that lost it and may come again under another, fills it. A batch begins with a new generation: what
 * both say from before is not looked at, and nothing is cleared.
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
    free(v->text);
    *v = (struct symbol){.n = s->free_id};
    s->free_id = id;
    for (int i = 0; i < LANES; i++) {
        struct dictionary *d = s->dictionaries[i];
        if (!d)
            continue;
        d->lost |= d->by_id[id] >> SYMBOL_NUMBER_BITS == d->generation;
        d->by_id[id] = 0;
    }
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
            s->dictionaries[i]->lost = true;
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
    d->by_content = d->lost = false;
    if (++d->generation < SYMBOL_GENERATIONS)
        return;
    d->generation = 1;
    memset(d->slots, 0, (d->mask + (size_t)1) * sizeof(*d->slots));
    if (d->by_id)
        memset(d->by_id, 0, s->cap * sizeof(*d->by_id));
}

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

static uint32_t append(struct dictionary *d, struct str text, uint8_t **p)
{
    uint32_t number = d->n++;
    CHECK(number < 1u << SYMBOL_NUMBER_BITS);
    *(*p)++ = 0x22;
    *p = proto_put_varint(*p, text.n);
    d->places = mem_grow(d->places, &d->cap_places, number + 1, sizeof(*d->places));
    d->places[number] = (struct symbol_place){(uint32_t)(*p - d->base), (uint32_t)text.n};
    if (text.n)
        memcpy(*p, text.p, text.n);
    *p += text.n;
    return number;
}

static bool is_at(const struct dictionary *d, uint32_t number, struct str text)
{
    struct symbol_place at = d->places[number];
    return at.n == text.n && memcmp(d->base + at.at, text.p, at.n) == 0;
}

static void index_text(struct dictionary *d, uint64_t hash, uint32_t number)
{
    if (number > d->mask / 2)
        grow_slots(d);
    put_slot(d->slots, d->mask, d->generation,
             (struct symbol_slot){(uint32_t)(hash >> 32), d->generation << SYMBOL_NUMBER_BITS | number});
}

static void begin_content(struct dictionary *d)
{
    d->by_content = true;
    for (uint32_t i = 1; i < d->n; i++)
        index_text(d, hash_bytes(dictionary_text_of(d, i)), i);
}

uint32_t dictionary_text(struct dictionary *d, struct str text, uint64_t hash, uint8_t **p)
{
    if (!d->by_content)
        begin_content(d);
    uint32_t tag = (uint32_t)(hash >> 32);
    for (uint32_t at = tag & d->mask;; at = (at + 1) & d->mask) {
        struct symbol_slot slot = d->slots[at];
        uint32_t number = slot.value & ((1u << SYMBOL_NUMBER_BITS) - 1);
        if (slot.value >> SYMBOL_NUMBER_BITS != d->generation)
            break;
        if (slot.tag == tag && is_at(d, number, text))
            return number;
    }
    if (d->n == 0)
        append(d, STR(""), p);
    uint32_t number = append(d, text, p);
    index_text(d, hash, number);
    return number;
}

uint32_t dictionary_symbol_slow(const struct symbols *s, struct dictionary *d, uint32_t id, uint8_t **p)
{
    const struct symbol *v = &s->v[id];
    struct str text = str_from(v->text, v->n);
    uint32_t number;
    if (d->by_content || d->lost) {
        number = dictionary_text(d, text, v->hash, p);
    } else {
        if (d->n == 0)
            append(d, STR(""), p);
        number = append(d, text, p);
    }
    d->by_id[id] = d->generation << SYMBOL_NUMBER_BITS | number;
    return number;
}
