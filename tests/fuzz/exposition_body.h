/* Reads a body as a scrape does that knows a page before it: the input is PAGE 0xff BODY; without 0xff both are the
 * same.
 *
 * Besides not crashing: with and without prediction the same samples come out, a label set is sorted and has its names
 * once, and what the fast way says of a value the slow one says too.
 */
#ifndef TESTS_FUZZ_EXPOSITION_BODY_H
#define TESTS_FUZZ_EXPOSITION_BODY_H

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "format/exposition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct known {
    struct str raw;
    bool block, typed;
    int type;
};

struct reading {
    struct arena arena;
    struct known *known;
    size_t n, cap;
    uint64_t hash; /* of all samples */
};

static void keep(struct reading *r, struct known k)
{
    r->known = mem_grow(r->known, &r->cap, r->n + 1, sizeof(*r->known));
    r->known[r->n++] = k;
}

static void take_sample(struct reading *r, const struct exposition *e, struct labels l,
                        const struct exposition_sample *s)
{
    struct exposition_exemplar x;
    for (uint32_t i = 0; i < l.n; i++) {
        CHECK(i == 0 || str_cmp(l.v[i - 1].name, l.v[i].name) < 0);
        r->hash = hash_bytes_seed(l.v[i].name, r->hash);
        r->hash = hash_bytes_seed(l.v[i].value, r->hash);
    }
    int64_t ts = s->has_ts ? s->ts_ms : -1;
    r->hash = hash_bytes_seed(str_from((const char *)&s->value, sizeof(s->value)), r->hash);
    r->hash = hash_bytes_seed(str_from((const char *)&ts, sizeof(ts)), r->hash);
    if (s->has_exemplar)
        CHECK(e->kind == EXPOSITION_OPENMETRICS && exposition_exemplar(s->exemplar, &r->arena, &x) == OK);
}

static enum err read_value(struct exposition *e, struct exposition_sample *s, struct diag *d)
{
    struct exposition slow = *e;
    struct exposition_sample other = {0};
    enum err err = exposition_value(e, s, d);
    CHECK(exposition_value_slow(&slow, &other, NULL) == err);
    CHECK(err || (slow.p == e->p && memcmp(&other.value, &s->value, sizeof(double)) == 0 && other.has_ts == s->has_ts));
    return err;
}

static bool predict(struct reading *r, struct exposition *e, const struct known *k)
{
    struct exposition_sample s;
    struct labels l;
    bool typed;
    if (k->block)
        return exposition_predict_comments(e, k->raw, k->type);
    if ((k->typed && k->type != (int)e->type) || !exposition_predict_series(e, k->raw))
        return false;
    if (read_value(e, &s, NULL)) {
        exposition_back(e);
        return false;
    }
    CHECK(exposition_labels(k->raw, e->kind, e->type, &r->arena, &l, &typed, NULL) == OK);
    take_sample(r, e, l, &s);
    return true;
}

static enum err parse(struct reading *r, struct exposition *e, bool *end, struct diag *d)
{
    struct exposition_entry entry;
    struct exposition_sample s;
    struct labels l;
    struct family *f;
    uint32_t n;
    bool typed;
    enum err err = exposition_next(e, &entry, d);
    *end = entry.kind == EXPOSITION_EOF;
    if (err || *end)
        return err;
    CHECK(entry.raw.n > 0);
    if (entry.kind == EXPOSITION_COMMENTS) {
        exposition_families(entry.raw, e->kind, &r->arena, &f, &n);
        keep(r, (struct known){entry.raw, .block = true, .type = entry.type});
        return OK;
    }
    if ((err = read_value(e, &s, d)))
        return err;
    if ((err = exposition_labels(entry.raw, e->kind, e->type, &r->arena, &l, &typed, d)))
        return err;
    keep(r, (struct known){entry.raw, .typed = typed, .type = (int)e->type});
    take_sample(r, e, l, &s);
    return OK;
}

static enum err read_body(struct reading *r, enum exposition_kind kind, struct str body, const struct reading *page)
{
    struct exposition e;
    struct diag d = {0};
    enum err err = OK;
    size_t at = 0;
    bool end = false;
    exposition_init(&e, kind, body);
    while (!err && !end) {
        bool hit = page && at < page->n && predict(r, &e, &page->known[at]);
        if (!hit)
            err = parse(r, &e, &end, &d);
        at++;
    }
    CHECK(!err || d.text[0]);
    return err;
}

static int fuzz_exposition(enum exposition_kind kind, const uint8_t *data, size_t size)
{
    struct reading page = {0}, plain = {0}, predicted = {0};
    const uint8_t *cut = size ? memchr(data, 0xff, size) : NULL;
    size_t page_n = cut ? (size_t)(cut - data) : size, body_at = cut ? page_n + 1 : 0;
    char *page_text = mem_strndup((const char *)data, page_n);
    char *body_text = mem_strndup((const char *)data + body_at, size - body_at);
    struct str body = str_from(body_text, size - body_at);
    (void)!read_body(&page, kind, str_from(page_text, page_n), NULL);
    enum err err = read_body(&plain, kind, body, NULL);
    CHECK(read_body(&predicted, kind, body, &page) == err);
    CHECK(err || plain.hash == predicted.hash);
    struct reading *all[] = {&page, &plain, &predicted};
    for (int i = 0; i < 3; i++) {
        arena_release(&all[i]->arena);
        free(all[i]->known);
    }
    free(page_text);
    free(body_text);
    return 0;
}

#endif
