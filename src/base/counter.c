/* counter: cells that one thread writes and any thread reads, and the set they are registered in.
 *
 * Counting must cost nothing on the data path: a cell is 8 bytes that its one writer loads, adds to and stores,
 * relaxed. No locked instruction, no shared cache line: every cell is allocated on lines of its own. Sums are made by
 * the reader: the set may hold many cells with the same name and labels (one per worker), and shows them as one.
 *
 *   set (mutex) -> cell <-> cell <-> cell ...      name, kind, sorted labels as text, value
 *
 * The mutex guards the list only: making, releasing and printing. A value that is being written while it is printed is
 * seen before or after, never torn. A released cell's value leaves the sum; what must never go back (ledgers, totals of
 * a process) is kept in cells that live as long as the set. Histograms are the same, with one cell for each bucket.
 */
#include "base/counter.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/num.h"

enum { CACHE_LINE = 64 };

/* What cells and histograms have in common: their place in the set and their identity. */
struct entry {
    struct entry *next, *prev;
    const char *name, *help;
    char *labels; /* a="b",c="d" sorted by name and escaped; "" for none */
    enum counter_kind kind;
    bool is_histogram;
};

struct cell {
    _Alignas(CACHE_LINE) struct counter counter;
    struct entry entry;
};

struct counter_histogram {
    struct entry entry;
    int n_bounds;
    double *bounds;
    struct counter sum;       /* bits of a double */
    struct counter buckets[]; /* n_bounds + 1, not cumulative */
};

struct counters {
    pthread_mutex_t lock; /* guards first and the entries' links */
    struct entry *first;
};

struct counters *counters_new(void)
{
    struct counters *set = NEW(struct counters);
    pthread_mutex_init(&set->lock, NULL);
    return set;
}

static struct cell *cell_of(struct entry *e)
{
    return CONTAINER_OF(e, struct cell, entry);
}

static struct counter_histogram *histogram_of(struct entry *e)
{
    return CONTAINER_OF(e, struct counter_histogram, entry);
}

static void free_entry(struct entry *e)
{
    free(e->labels);
    if (!e->is_histogram) {
        free(cell_of(e));
        return;
    }
    free(histogram_of(e)->bounds);
    free(histogram_of(e));
}

void counters_free(struct counters *set)
{
    if (!set)
        return;
    for (struct entry *e = set->first, *next; e; e = next) {
        next = e->next;
        free_entry(e);
    }
    pthread_mutex_destroy(&set->lock);
    free(set);
}

static void print_escaped(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n')
            buf_c(b, "\\n");
        else if (s.p[i] == '\\' || s.p[i] == '"')
            buf_printf(b, "\\%c", s.p[i]);
        else
            buf_char(b, s.p[i]);
    }
}

static int by_label_name(const void *a, const void *b)
{
    return str_cmp(((const struct counter_label *)a)->name, ((const struct counter_label *)b)->name);
}

static void print_label(struct buf *b, const struct counter_label *label)
{
    buf_printf(b, "%s%.*s=\"", b->n ? "," : "", STR_ARGS(label->name));
    print_escaped(b, label->value);
    buf_char(b, '"');
}

static char *print_labels(const struct counter_label *labels, int n)
{
    size_t count = n > 0 ? (size_t)n : 0;
    struct counter_label *sorted = mem_alloc(count * sizeof(*sorted));
    if (count) {
        memcpy(sorted, labels, count * sizeof(*sorted));
        qsort(sorted, count, sizeof(*sorted), by_label_name);
    }
    struct buf b = {0};
    buf_c(&b, "");
    for (size_t i = 0; i < count; i++)
        print_label(&b, &sorted[i]);
    free(sorted);
    return b.p;
}

static void add_entry(struct counters *set, struct entry *e)
{
    if (!set)
        return;
    pthread_mutex_lock(&set->lock);
    e->next = set->first;
    if (e->next)
        e->next->prev = e;
    set->first = e;
    pthread_mutex_unlock(&set->lock);
}

static void remove_entry(struct counters *set, struct entry *e)
{
    if (set) {
        pthread_mutex_lock(&set->lock);
        if (e->prev)
            e->prev->next = e->next;
        else
            set->first = e->next;
        if (e->next)
            e->next->prev = e->prev;
        pthread_mutex_unlock(&set->lock);
    }
    free_entry(e);
}

struct counter *counter_new(struct counters *set, enum counter_kind kind, const char *name, const char *help,
                            const struct counter_label *labels, int n_labels)
{
    struct cell *c = aligned_alloc(CACHE_LINE, sizeof(*c));
    CHECK(c);
    memset(c, 0, sizeof(*c));
    c->entry = (struct entry){.name = name, .help = help, .labels = print_labels(labels, n_labels), .kind = kind};
    add_entry(set, &c->entry);
    return &c->counter;
}

void counter_release(struct counters *set, struct counter *c)
{
    if (c)
        remove_entry(set, &CONTAINER_OF(c, struct cell, counter)->entry);
}

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

static double double_of(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

void counter_set_f64(struct counter *c, double v)
{
    counter_set(c, bits_of(v));
}

struct counter_histogram *counter_histogram_new(struct counters *set, const char *name, const char *help,
                                                const double *bounds, int n_bounds, const struct counter_label *labels,
                                                int n_labels)
{
    CHECK(n_bounds >= 0);
    size_t n = (size_t)n_bounds;
    struct counter_histogram *h = mem_zalloc(sizeof(*h) + (n + 1) * sizeof(h->buckets[0]));
    h->entry =
        (struct entry){.name = name, .help = help, .labels = print_labels(labels, n_labels), .is_histogram = true};
    h->n_bounds = n_bounds;
    h->bounds = mem_alloc(n * sizeof(double));
    if (n)
        memcpy(h->bounds, bounds, n * sizeof(double));
    add_entry(set, &h->entry);
    return h;
}

void counter_histogram_observe(struct counter_histogram *h, double v)
{
    int i = 0;
    while (i < h->n_bounds && !(v <= h->bounds[i]))
        i++;
    counter_inc(&h->buckets[i]);
    counter_set_f64(&h->sum, double_of(counter_get(&h->sum)) + v);
}

void counter_histogram_release(struct counters *set, struct counter_histogram *h)
{
    if (h)
        remove_entry(set, &h->entry);
}

static int by_identity(const void *a, const void *b)
{
    const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;
    int c = strcmp(x->name, y->name);
    return c ? c : strcmp(x->labels, y->labels);
}

static bool same_cell(const struct entry *a, const struct entry *b)
{
    if (by_identity(&a, &b) != 0 || a->is_histogram != b->is_histogram || a->kind != b->kind)
        return false;
    if (!a->is_histogram)
        return true;
    const struct counter_histogram *x = histogram_of((struct entry *)a), *y = histogram_of((struct entry *)b);
    return x->n_bounds == y->n_bounds &&
           (x->n_bounds == 0 || memcmp(x->bounds, y->bounds, (size_t)x->n_bounds * sizeof(double)) == 0);
}

static void print_name(struct buf *out, const char *name, const char *suffix, const char *labels, const char *le)
{
    buf_c(out, name);
    buf_c(out, suffix);
    if (!labels[0] && !le)
        return;
    buf_printf(out, "{%s", labels);
    if (le)
        buf_printf(out, "%sle=\"%s\"", labels[0] ? "," : "", le);
    buf_char(out, '}');
}

static void print_cells(struct buf *out, struct entry **e, size_t n)
{
    uint64_t whole = 0;
    int64_t largest = INT64_MIN;
    double real = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t v = counter_get(&cell_of(e[i])->counter);
        whole += v;
        largest = (int64_t)v > largest ? (int64_t)v : largest;
        real += double_of(v);
    }
    print_name(out, e[0]->name, "", e[0]->labels, NULL);
    buf_char(out, ' ');
    switch (e[0]->kind) {
    case COUNTER_TOTAL:
        buf_u64(out, whole);
        break;
    case COUNTER_NS_TOTAL:
        buf_double(out, (double)whole / 1e9);
        break;
    case COUNTER_GAUGE:
        buf_i64(out, (int64_t)whole);
        break;
    case COUNTER_GAUGE_F64:
        buf_double(out, real);
        break;
    case COUNTER_GAUGE_MAX:
        buf_i64(out, largest);
        break;
    }
    buf_char(out, '\n');
}

static void print_histograms(struct buf *out, struct entry **e, size_t n)
{
    const struct counter_histogram *first = histogram_of(e[0]);
    uint64_t count = 0;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += double_of(counter_get(&histogram_of(e[i])->sum));
    for (int b = 0; b <= first->n_bounds; b++) {
        char le[32] = "+Inf";
        if (b < first->n_bounds)
            le[num_print_double(first->bounds[b], le)] = '\0';
        for (size_t i = 0; i < n; i++)
            count += counter_get(&histogram_of(e[i])->buckets[b]);
        print_name(out, e[0]->name, "_bucket", e[0]->labels, le);
        buf_printf(out, " %llu\n", (unsigned long long)count);
    }
    print_name(out, e[0]->name, "_sum", e[0]->labels, NULL);
    buf_char(out, ' ');
    buf_double(out, sum);
    buf_char(out, '\n');
    print_name(out, e[0]->name, "_count", e[0]->labels, NULL);
    buf_printf(out, " %llu\n", (unsigned long long)count);
}

static const char *type_name(const struct entry *e)
{
    if (e->is_histogram)
        return "histogram";
    return e->kind == COUNTER_TOTAL || e->kind == COUNTER_NS_TOTAL ? "counter" : "gauge";
}

static void print_head(struct buf *out, const struct entry *e)
{
    buf_printf(out, "# HELP %s ", e->name);
    for (const char *p = e->help; *p; p++) {
        if (*p == '\n' || *p == '\\')
            buf_c(out, *p == '\n' ? "\\n" : "\\\\");
        else
            buf_char(out, *p);
    }
    buf_printf(out, "\n# TYPE %s %s\n", e->name, type_name(e));
}

void counters_print(struct counters *set, struct buf *out)
{
    struct entry **all = NULL;
    size_t n = 0, cap = 0;
    pthread_mutex_lock(&set->lock);
    for (struct entry *e = set->first; e; e = e->next) {
        all = mem_grow(all, &cap, n + 1, sizeof(*all));
        all[n++] = e;
    }
    if (n)
        qsort(all, n, sizeof(*all), by_identity);
    for (size_t i = 0, end; i < n; i = end) {
        if (i == 0 || strcmp(all[i]->name, all[i - 1]->name) != 0)
            print_head(out, all[i]);
        for (end = i + 1; end < n && same_cell(all[i], all[end]); end++)
            continue;
        if (all[i]->is_histogram)
            print_histograms(out, all + i, end - i);
        else
            print_cells(out, all + i, end - i);
    }
    pthread_mutex_unlock(&set->lock);
    free(all);
}

static bool has_label(const struct entry *e, const struct counter_label *label)
{
    AUTO_BUF want = {0};
    print_label(&want, label);
    for (const char *at = e->labels; (at = strstr(at, want.p)); at++) {
        char before = at == e->labels ? ',' : at[-1], after = at[want.n];
        if (before == ',' && (after == ',' || after == '\0'))
            return true;
    }
    return false;
}

double counters_sum(struct counters *set, const char *name, const struct counter_label *labels, int n_labels)
{
    double sum = 0;
    pthread_mutex_lock(&set->lock);
    for (struct entry *e = set->first; e; e = e->next) {
        bool wanted = !e->is_histogram && strcmp(e->name, name) == 0;
        for (int i = 0; wanted && i < n_labels; i++)
            wanted = has_label(e, &labels[i]);
        if (!wanted)
            continue;
        uint64_t v = counter_get(&cell_of(e)->counter);
        if (e->kind == COUNTER_GAUGE_F64)
            sum += double_of(v);
        else if (e->kind == COUNTER_GAUGE_MAX)
            sum = (double)(int64_t)v > sum ? (double)(int64_t)v : sum;
        else if (e->kind == COUNTER_GAUGE)
            sum += (double)(int64_t)v;
        else
            sum += e->kind == COUNTER_NS_TOTAL ? (double)v / 1e9 : (double)v;
    }
    pthread_mutex_unlock(&set->lock);
    return sum;
}
