/* dump: what leadline's parsers make of each file named on standard input, line for line as main.go prints it.
 *
 * Each body is read twice: once by parsing every entry, once by predicting each from the body before it of the same
 * kind, as a scrape does with the last page. Both readings must give the same samples; if not, that is printed and
 * differs.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "format/exposition.h"

#define BODY_MAX ((size_t)64 << 20)

struct known {
    struct str raw;
    bool block, typed;
    int type; /* a block's, or the TYPE in force for a typed series */
};

struct page {
    struct arena arena;
    struct known *v;
    size_t n, cap;
};

struct text {
    struct buf all, samples;
};

static void print_hex(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_printf(b, "%02x", (unsigned char)s.p[i]);
}

static void print_labels(struct buf *b, struct labels l)
{
    for (uint32_t i = 0; i < l.n; i++) {
        print_hex(b, l.v[i].name);
        buf_char(b, '=');
        print_hex(b, l.v[i].value);
        buf_char(b, ',');
    }
}

static void print_number(struct buf *b, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    buf_printf(b, " %016llx", (unsigned long long)bits);
}

static void print_families(struct buf *b, struct str block, enum exposition_kind kind, struct arena *a)
{
    struct family *f;
    uint32_t n;
    exposition_families(block, kind, a, &f, &n);
    for (uint32_t i = 0; i < n; i++) {
        buf_c(b, "F ");
        print_hex(b, f[i].name);
        buf_printf(b, " %s ", metric_type_name(f[i].type));
        print_hex(b, f[i].help);
        buf_char(b, ' ');
        print_hex(b, f[i].unit);
        buf_char(b, '\n');
    }
}

static void print_sample(struct buf *b, struct labels l, const struct exposition_sample *s, struct arena *a)
{
    struct exposition_exemplar x;
    buf_c(b, "S ");
    print_labels(b, l);
    print_number(b, s->value);
    if (s->has_ts)
        buf_printf(b, " %lld", (long long)s->ts_ms);
    if (s->has_exemplar) {
        CHECK(exposition_exemplar(s->exemplar, a, &x) == OK);
        buf_c(b, " #");
        print_labels(b, x.labels);
        print_number(b, x.value);
        if (x.has_ts)
            buf_printf(b, " %lld", (long long)x.ts_ms);
    }
    buf_char(b, '\n');
}

static void keep(struct page *page, struct known k)
{
    page->v = mem_grow(page->v, &page->cap, page->n + 1, sizeof(*page->v));
    k.raw = str_dup(&page->arena, k.raw);
    page->v[page->n++] = k;
}

/* One entry, all of it parsed. */
static enum err parse(struct exposition *e, struct page *now, struct buf *out, bool *end, struct diag *d)
{
    struct exposition_entry entry;
    struct exposition_sample sample;
    struct labels labels;
    bool typed;
    enum err err = exposition_next(e, &entry, d);
    *end = entry.kind == EXPOSITION_EOF;
    if (err || *end)
        return err;
    if (entry.kind == EXPOSITION_COMMENTS) {
        keep(now, (struct known){entry.raw, .block = true, .type = entry.type});
        print_families(out, entry.raw, e->kind, &now->arena);
        return OK;
    }
    if ((err = exposition_value(e, &sample, d)))
        return err;
    if ((err = exposition_labels(entry.raw, e->kind, e->type, &now->arena, &labels, &typed, d)))
        return err;
    keep(now, (struct known){entry.raw, .typed = typed, .type = (int)e->type});
    print_sample(out, labels, &sample, &now->arena);
    return OK;
}

/* The sample that page entry k predicts, if it is the next. */
static bool predict(struct exposition *e, const struct known *k, struct arena *a, struct buf *out)
{
    struct exposition_sample sample;
    struct labels labels;
    bool typed;
    if (k->block)
        return exposition_predict_comments(e, k->raw, k->type);
    if ((k->typed && k->type != (int)e->type) || !exposition_predict_series(e, k->raw))
        return false;
    if (exposition_value(e, &sample, NULL)) {
        exposition_back(e);
        return false;
    }
    CHECK(exposition_labels(k->raw, e->kind, e->type, a, &labels, &typed, NULL) == OK);
    print_sample(out, labels, &sample, a);
    return true;
}

static enum err read_all(enum exposition_kind kind, struct str body, struct page *now, struct buf *out, struct diag *d)
{
    struct exposition e;
    bool end = false;
    enum err err = OK;
    exposition_init(&e, kind, body);
    while (!err && !end)
        err = parse(&e, now, out, &end, d);
    return err;
}

static enum err read_predicted(enum exposition_kind kind, struct str body, const struct page *last,
                               struct page *scratch, struct buf *out)
{
    struct exposition e;
    bool end = false;
    enum err err = OK;
    size_t at = 0;
    exposition_init(&e, kind, body);
    while (!err && !end) {
        bool hit = false;
        for (size_t i = at; i < last->n && i < at + 4 && !hit; i++)
            if ((hit = predict(&e, &last->v[i], &scratch->arena, out)))
                at = i + 1;
        if (!hit) {
            err = parse(&e, scratch, out, &end, NULL);
            at += !err;
        }
    }
    return err;
}

/* Drops the families: a block that is predicted in parts says the same in other pieces. */
static void only_samples(const struct buf *all, struct buf *out)
{
    struct str rest = buf_view(all), line;
    while (str_cut(rest, '\n', &line, &rest))
        if (line.n > 0 && line.p[0] == 'S') {
            buf_str(out, line);
            buf_char(out, '\n');
        }
}

static void dump(enum exposition_kind kind, struct str body, struct page *last)
{
    struct page now = {0}, scratch = {0};
    struct diag d = {0};
    AUTO_BUF all = {0};
    AUTO_BUF samples = {0};
    AUTO_BUF predicted = {0};
    AUTO_BUF predicted_samples = {0};
    enum err err = read_all(kind, body, &now, &all, &d);
    enum err err2 = read_predicted(kind, body, last, &scratch, &predicted);
    only_samples(&all, &samples);
    only_samples(&predicted, &predicted_samples);
    if (!err != !err2 || (!err && !str_eq(buf_view(&samples), buf_view(&predicted_samples)))) {
        printf("the prediction differs\n");
    } else if (err) {
        AUTO_BUF text = {0};
        print_hex(&text, str_c(d.text));
        printf("error %s\n", text.p ? text.p : "");
    } else {
        fwrite(all.p ? all.p : "", 1, all.n, stdout);
    }
    arena_release(&scratch.arena);
    free(scratch.v);
    arena_release(&last->arena);
    free(last->v);
    *last = now;
}

int main(void)
{
    static struct page last[2];
    char line[4096];
    while (fgets(line, sizeof(line), stdin)) {
        struct str head = str_trim(str_c(line)), kind, path;
        AUTO_BUF body = {0};
        struct diag d = {0};
        if (!str_cut(head, ' ', &kind, &path))
            return 2;
        char *name = str_to_c(path);
        if (file_read(name, BODY_MAX, &body, &d)) {
            fprintf(stderr, "%s\n", d.text);
            return 1;
        }
        free(name);
        buf_append(&body, "", 0);
        printf("> %.*s\n", STR_ARGS(head));
        enum exposition_kind k = str_eq_c(kind, "text") ? EXPOSITION_TEXT : EXPOSITION_OPENMETRICS;
        dump(k, body.p ? buf_view(&body) : STR(""), &last[k]);
    }
    for (int i = 0; i < 2; i++) {
        arena_release(&last[i].arena);
        free(last[i].v);
    }
    return 0;
}
