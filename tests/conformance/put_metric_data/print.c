/* print: random data as PutMetricData would carry them, a MetricDatum a line; for `run`.
 *
 *   print N SEED
 *
 * Lengths of names and values, numbers of dimensions and values, signs and sizes are drawn up to a little beyond the
 * limits of the service; what datum_print refuses is a line "refused REASON".
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/num.h"
#include "sink/cloudwatch/lanes_int.h"

enum { VALUES = 700, DIMENSIONS = 34 };

static uint64_t state;

static uint64_t draw(uint64_t below)
{
    uint64_t z = state += 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return (z ^ (z >> 31)) % below;
}

static struct str draw_text(struct arena *a, size_t most, uint64_t odd)
{
    static const char letters[] = "abcxyz019._-/ \"\\:#{}";
    size_t n = draw(4) ? 1 + draw(20) : draw(most + 2);
    char *p = arena_alloc(a, n + 1);
    for (size_t i = 0; i < n; i++)
        p[i] = draw(odd) ? letters[draw(i ? sizeof(letters) - 1 : 6)] : (char)draw(256);
    return str_from(p, n);
}

static int compare_labels(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static double draw_double(void)
{
    double v = ldexp((double)draw(1ULL << 53), (int)draw(500) - 250);
    return draw(3) ? (double)draw(1000) / 8 : draw(2) ? v : -v;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void draw_datum(struct datum *v, struct arena *a)
{
    static double values[VALUES], counts[VALUES];
    static struct label labels[DIMENSIONS];
    uint32_t n = draw(3) ? (uint32_t)draw(3) : (uint32_t)draw(VALUES),
             n_labels = (uint32_t)draw(draw(3) ? 4 : DIMENSIONS);

    *v = (struct datum){.name = draw_text(a, 255, 1 << 20), .ts_ms = 1700000000000 + (int64_t)draw(1000000000)};
    for (uint32_t i = 0; i < n_labels; i++)
        labels[i] = (struct label){draw_text(a, 255, 1 << 20), draw_text(a, 1024, 1 << 12)};
    qsort(labels, n_labels, sizeof(labels[0]), compare_labels);
    for (uint32_t i = 0; i < n_labels; i++)
        v->dimensions.n += i == 0 || !str_eq(labels[v->dimensions.n - 1].name, labels[i].name)
                               ? (labels[v->dimensions.n] = labels[i], 1)
                               : 0;
    v->dimensions.v = labels;
    v->unit = draw(2) ? STR("Milliseconds") : STR_NONE;
    v->high_resolution = draw(2);
    v->values = values;
    v->counts = draw(2) ? counts : NULL;
    v->n_values = n;
    v->has_statistics = n == 0 || draw(2);
    for (uint32_t i = 0; i < n; i++)
        values[i] = draw_double();
    qsort(values, n, sizeof(values[0]), compare_doubles);
    for (uint32_t i = 0; i < n; i++) {
        counts[i] = 1 + (double)draw(100);
        v->sum += values[i] * counts[i];
        v->sample_count += counts[i];
    }
    v->sample_count += n == 0;
    v->min = n ? values[0] : 0;
    v->max = n ? values[n - 1] : 0;
}

static void print_record(void *ctx, const struct cw_record *r)
{
    const struct buf *text = ctx;
    printf("%.*s\n", (int)r->bytes, text->p + r->offset);
}

int main(int argc, char **argv)
{
    struct arena a = {0};
    struct buf text = {0};
    uint64_t n = 0;

    if (argc != 3 || num_parse_u64(str_c(argv[1]), &n) || num_parse_u64(str_c(argv[2]), &state))
        return 2;
    for (uint64_t i = 0; i < n; i++) {
        struct diag d = {0};
        struct datum v;
        draw_datum(&v, &a);
        buf_clear(&text);
        if (datum_print(&v, &text, print_record, &text, &d))
            printf("refused\n");
        arena_reset(&a);
    }
    arena_release(&a);
    buf_release(&text);
    return 0;
}
