/* dump: what leadline's parsers make of each file named on standard input, line for line as main.go prints it.
 *
 * Each text body is read twice: once by parsing every entry, once by predicting each from the body before it of the
 * same kind, as a scrape does with the last page. Both readings must give the same samples; if not, that is printed and
 * differs. Conversion of classic histograms and start times are done as a scraper does them, line by line.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "format/exposition.h"
#include "format/histogram_buckets.h"
#include "format/histogram_nhcb.h"
#include "format/prom_proto.h"

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

/* ---- native histograms, protobuf, conversion, start times ---- */

struct options {
    bool ignore_native, keep, convert, starts;
};

static void print_exemplars(struct buf *b, const struct exemplar *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        buf_c(b, " #");
        print_labels(b, v[i].labels);
        print_number(b, v[i].value);
        if (v[i].has_ts)
            buf_printf(b, " %lld", (long long)v[i].ts_ms);
    }
    buf_char(b, '\n');
}

static void print_spans(struct buf *b, const struct histogram_buckets *s)
{
    for (uint32_t i = 0; i < s->n_spans; i++)
        buf_printf(b, "%d:%u,", s->spans[i].offset, s->spans[i].length);
    buf_char(b, ' ');
}

static void print_bits(struct buf *b, double v, char end)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    buf_printf(b, "%016llx%c", (unsigned long long)bits, end);
}

static void print_side(struct buf *b, const struct histogram_buckets *s, bool is_float)
{
    print_spans(b, s);
    for (uint32_t i = 0; i < s->n; i++) {
        if (is_float)
            print_bits(b, s->counts[i], ',');
        else
            buf_printf(b, "%lld,", (long long)s->deltas[i]);
    }
    buf_char(b, ' ');
}

static void print_histogram(struct buf *b, const struct histogram *h)
{
    buf_printf(b, "%c %d %d ", h->is_float ? 'f' : 'i', h->reset, h->schema);
    print_bits(b, h->zero_threshold, ' ');
    if (h->is_float) {
        print_bits(b, h->zero_count_float, ' ');
        print_bits(b, h->count_float, ' ');
    } else {
        buf_printf(b, "%llu %llu ", (unsigned long long)h->zero_count_int, (unsigned long long)h->count_int);
    }
    print_bits(b, h->sum, ' ');
    print_side(b, &h->positive, h->is_float);
    print_side(b, &h->negative, h->is_float);
    for (uint32_t i = 0; i < h->n_custom_values; i++)
        print_bits(b, h->custom_values[i], ',');
    buf_char(b, ' ');
}

static void print_limited(struct buf *b, const struct histogram *h, struct arena *a)
{
    static const struct {
        int32_t schema;
        uint64_t limit;
    } limits[] = {{8, 0}, {8, 160}, {8, 3}, {2, 0}, {-4, 1}};
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        struct histogram copy = *h;
        struct diag d = {0};
        buf_printf(b, "L %d %d ", limits[i].schema, (int)limits[i].limit);
        if (histogram_prepare(&copy, limits[i].schema, limits[i].limit, a, &d)) {
            buf_c(b, "error ");
            print_hex(b, str_c(d.text));
        } else {
            print_histogram(b, &copy);
        }
        buf_char(b, '\n');
    }
}

struct stamps {
    bool has_ts, starts;
    int64_t ts_ms, start_ms;
};

static void print_stamps(struct buf *b, const struct stamps *s)
{
    if (s->has_ts)
        buf_printf(b, " %lld", (long long)s->ts_ms);
    if (s->starts)
        buf_printf(b, " @%lld", (long long)s->start_ms);
}

static void print_native(struct buf *b, struct labels l, const struct histogram *h, const struct stamps *s,
                         const struct exemplar *exemplars, uint32_t n, struct arena *a)
{
    buf_c(b, "H ");
    print_labels(b, l);
    buf_char(b, ' ');
    print_histogram(b, h);
    print_stamps(b, s);
    print_exemplars(b, exemplars, n);
    print_limited(b, h, a);
}

static enum err dump_proto_entry(const struct prom_proto_entry *e, struct arena *a, struct buf *out, struct diag *d)
{
    struct labels labels;
    struct stamps stamps = {e->has_ts, true, e->ts_ms, e->start_ms};
    if (e->kind == PROM_PROTO_FAMILY) {
        print_families(out, e->raw, EXPOSITION_PROTO, a);
        return OK;
    }
    enum err err = prom_proto_labels(str_dup(a, e->raw), a, &labels, d);
    if (err)
        return err;
    if (e->kind == PROM_PROTO_HISTOGRAM) {
        print_native(out, labels, e->histogram, &stamps, e->exemplars, e->n_exemplars, a);
        return OK;
    }
    buf_c(out, "S ");
    print_labels(out, labels);
    print_number(out, e->value);
    print_stamps(out, &stamps);
    print_exemplars(out, e->exemplars, e->n_exemplars);
    return OK;
}

/* The raws of the last body of this kind: what a scraper expects of the next. */
struct proto_page {
    struct arena arena;
    struct str *raw;
    size_t n, cap;
};

static enum err read_proto_page(struct str body, const struct options *o, const struct proto_page *last,
                                struct proto_page *now, struct arena *a, struct buf *out, struct diag *d)
{
    static struct prom_proto p; /* its scratch memory survives, as in a scraper */
    struct prom_proto_options options = {
        .ignore_native = o->ignore_native, .keep_classic = o->keep, .convert_classic = o->convert, .exemplars = true};
    struct prom_proto_entry e;
    enum err err;
    size_t at = 0;
    prom_proto_init(&p, body, &options, a);
    for (;;) {
        prom_proto_expect(&p, at < last->n ? last->raw[at] : STR_NONE);
        if ((err = prom_proto_next(&p, &e, d)) || e.kind == PROM_PROTO_EOF || (err = dump_proto_entry(&e, a, out, d)))
            return err;
        CHECK(e.expected == (at < last->n && str_eq(e.raw, last->raw[at])));
        now->raw = mem_grow(now->raw, &now->cap, now->n + 1, sizeof(*now->raw));
        now->raw[now->n++] = str_dup(&now->arena, e.raw);
        at++;
    }
}

/* Three times: with nothing expected, with the page before, and with this page itself. */
static enum err read_proto(struct str body, const struct options *o, struct arena *a, struct buf *out, struct diag *d)
{
    static struct proto_page last;
    struct proto_page none = {0}, now = {0}, scratch = {0};
    struct diag d2 = {0}, d3 = {0};
    AUTO_BUF second = {0};
    AUTO_BUF third = {0};
    enum err err = read_proto_page(body, o, &none, &now, a, out, d);
    bool same = read_proto_page(body, o, &last, &scratch, a, &second, &d2) == err &&
                read_proto_page(body, o, &now, &scratch, a, &third, &d3) == err;
    if (!same || !str_eq(buf_view(out), buf_view(&second)) || !str_eq(buf_view(out), buf_view(&third)) ||
        strcmp(d->text, d2.text) != 0 || strcmp(d->text, d3.text) != 0)
        buf_c(out, "the prediction differs\n");
    arena_release(&scratch.arena);
    free(scratch.raw);
    arena_release(&last.arena);
    free(last.raw);
    last = now;
    return err;
}

/* A page kept whole, so that a _created line can speak of series before it. */
struct line {
    enum { LINE_SERIES, LINE_CREATED, LINE_HISTOGRAM, LINE_BREAK } what;
    bool taken; /* swallowed by the conversion */
    enum metric_type type;
    struct str raw, family; /* the family that was named last */
    struct labels labels;
    struct exposition_sample sample;
    const struct nhcb_result *result;
    struct exemplar exemplar;
    size_t first; /* HISTOGRAM: the line that began it */
    int64_t start_ms;
};

struct lines {
    struct line *v;
    size_t n, cap;
    size_t first, last_created; /* of the block; of the block or 0 */
};

static struct line *add_line(struct lines *l, struct line line)
{
    l->v = mem_grow(l->v, &l->cap, l->n + 1, sizeof(*l->v));
    l->v[l->n] = line;
    return &l->v[l->n++];
}

static void set_starts(struct lines *l, size_t at)
{
    struct line *c = &l->v[at];
    int64_t ms = exposition_created_ms(c->sample.value);
    for (size_t i = at; i-- > l->first && l->v[i].what != LINE_CREATED;)
        if (l->v[i].what == LINE_SERIES && exposition_created_for(c->raw, l->v[i].raw, c->type))
            l->v[i].start_ms = ms;
    l->last_created = at + 1;
}

static void add_histogram(struct lines *l, struct nhcb_stage *stage, size_t first)
{
    add_line(l, (struct line){.what = LINE_HISTOGRAM, .result = nhcb_stage_take(stage), .first = first});
}

static enum err take_line(struct lines *l, struct line line, struct nhcb_stage *stage, const struct options *o,
                          struct arena *a, size_t *histogram_first)
{
    struct nhcb_part part;
    unsigned verdict = 0;
    size_t first = *histogram_first;
    if (o->convert && line.what == LINE_SERIES) {
        nhcb_part_of(line.labels, &part);
        verdict = nhcb_stage_series(stage, &part, line.sample.value, line.sample.has_ts ? &line.sample.ts_ms : NULL);
        if (verdict & NHCB_EMIT)
            add_histogram(l, stage, first);
        if (verdict & NHCB_TAKEN && line.sample.has_exemplar) {
            nhcb_stage_exemplar(stage, &line.exemplar);
            line.sample.has_exemplar = false;
        }
    }
    line.taken = verdict & NHCB_TAKEN && !o->keep;
    add_line(l, line);
    if (verdict & NHCB_FIRST)
        *histogram_first = l->n - 1;
    if (line.what == LINE_CREATED)
        set_starts(l, l->n - 1);
    else if (l->last_created && exposition_created_for(l->v[l->last_created - 1].raw, line.raw, line.type))
        l->v[l->n - 1].start_ms = exposition_created_ms(l->v[l->last_created - 1].sample.value);
    (void)a;
    return OK;
}

static struct str last_family(struct str block, enum exposition_kind kind, struct arena *a, struct str before)
{
    struct family *f;
    uint32_t n;
    exposition_families(block, kind, a, &f, &n);
    return n ? f[n - 1].name : before;
}

/* As main.go's `belongs`. */
static bool belongs(struct str name, struct str family)
{
    static const char *const suffixes[] = {"", "_total", "_bucket", "_count", "_sum"};
    if (!str_starts(name, family))
        return false;
    for (size_t i = 0; i < COUNT_OF(suffixes); i++)
        if (str_eq_c(str_from(name.p + family.n, name.n - family.n), suffixes[i]))
            return true;
    return false;
}

static enum err read_lines(enum exposition_kind kind, struct str body, const struct options *o, struct arena *a,
                           struct lines *l, struct diag *d)
{
    struct exposition e;
    struct nhcb_stage stage = {0};
    struct nhcb_block block;
    struct str family = STR("");
    size_t first = 0;
    enum err err;
    exposition_init(&e, kind, body);
    nhcb_stage_init(&stage, a);
    for (;;) {
        struct exposition_entry entry;
        struct line line = {0};
        bool typed;
        if ((err = exposition_next(&e, &entry, d)) || entry.kind == EXPOSITION_EOF)
            break;
        if (entry.kind == EXPOSITION_COMMENTS) {
            nhcb_block_of(entry.raw, kind == EXPOSITION_OPENMETRICS, &block);
            if (o->convert && nhcb_stage_block(&stage, &block))
                add_histogram(l, &stage, first);
            add_line(l, (struct line){.what = LINE_BREAK});
            l->first = l->n;
            l->last_created = 0;
            family = last_family(entry.raw, kind, a, family);
            continue;
        }
        line.raw = entry.raw;
        line.family = family;
        line.type = e.type;
        if ((err = exposition_value(&e, &line.sample, d)) ||
            (err = exposition_labels(entry.raw, kind, e.type, a, &line.labels, &typed, d)))
            break;
        if (line.sample.has_exemplar) {
            struct exposition_exemplar x;
            CHECK(exposition_exemplar(line.sample.exemplar, a, &x) == OK);
            line.exemplar = (struct exemplar){x.labels, x.value, x.ts_ms, x.has_ts};
        }
        if (kind == EXPOSITION_OPENMETRICS && o->starts && exposition_is_created(entry.raw, e.type))
            line.what = LINE_CREATED;
        (void)take_line(l, line, &stage, o, a, &first);
    }
    if (!err && o->convert && nhcb_stage_end(&stage))
        add_histogram(l, &stage, first);
    nhcb_stage_release(&stage);
    return err;
}

static void print_line(struct buf *out, const struct lines *l, const struct line *line, const struct options *o,
                       struct arena *a)
{
    struct stamps stamps = {.starts = o->starts, .start_ms = line->start_ms};
    if (line->what == LINE_HISTOGRAM) {
        const struct line *first = &l->v[line->first];
        const struct nhcb_result *r = line->result;
        struct nhcb_part part;
        nhcb_part_of(first->labels, &part);
        stamps = (struct stamps){r->has_ts, o->starts, r->ts_ms, first->start_ms};
        print_native(out, nhcb_labels(first->labels, &part, a), &r->histogram, &stamps, r->exemplars, r->n_exemplars,
                     a);
        return;
    }
    if (line->what != LINE_SERIES || line->taken)
        return;
    stamps.starts &= belongs(labels_get(line->labels, LABEL_NAME), line->family);
    stamps.has_ts = line->sample.has_ts;
    stamps.ts_ms = line->sample.ts_ms;
    buf_c(out, "S ");
    print_labels(out, line->labels);
    print_number(out, line->sample.value);
    print_stamps(out, &stamps);
    print_exemplars(out, &line->exemplar, line->sample.has_exemplar);
}

static void dump_more(struct str kind, const struct options *o, struct str body)
{
    struct arena a = {0};
    struct lines lines = {0};
    struct diag d = {0};
    AUTO_BUF out = {0};
    enum err err;
    if (str_eq_c(kind, "proto")) {
        err = read_proto(body, o, &a, &out, &d);
    } else {
        err = read_lines(str_eq_c(kind, "text") ? EXPOSITION_TEXT : EXPOSITION_OPENMETRICS, body, o, &a, &lines, &d);
        for (size_t i = 0; i < lines.n && !err; i++)
            print_line(&out, &lines, &lines.v[i], o, &a);
    }
    if (err) {
        buf_clear(&out);
        buf_c(&out, "error ");
        print_hex(&out, str_c(d.text));
        buf_char(&out, '\n');
    }
    fwrite(out.p ? out.p : "", 1, out.n, stdout);
    free(lines.v);
    arena_release(&a);
}

static void dump_kind(struct str kind, struct str body)
{
    static struct page last[2];
    struct str format, letters;
    bool more = str_cut(kind, ':', &format, &letters) || str_eq_c(format, "proto");
    struct options o = {.ignore_native = str_contains(letters, STR("n")),
                        .keep = str_contains(letters, STR("k")),
                        .convert = str_contains(letters, STR("c")),
                        .starts = str_contains(letters, STR("s"))};
    if (more) {
        dump_more(format, &o, body);
        return;
    }
    enum exposition_kind k = str_eq_c(format, "text") ? EXPOSITION_TEXT : EXPOSITION_OPENMETRICS;
    dump(k, body, &last[k]);
}

int main(void)
{
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
        dump_kind(kind, body.p ? buf_view(&body) : STR(""));
    }
    return 0;
}
