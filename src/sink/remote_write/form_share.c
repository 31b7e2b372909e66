/* form_share: forms without bytes of their own, each kept once for all metrics that it fits.
 *
 * A compact form says how a metric's labels and a scope's interleave and nothing else; so does the verdict that a
 * series is dropped or cannot be sent. Metrics whose label names sort alike among the scope's have equal ones: a
 * program's page of some thousand metrics has some tens. A metric then costs nothing but a number in by_metric.
 *
 *   by_metric   0 nothing | number of a shared form, 1 to 8191 | slab handle, from SLAB_FIRST on
 *
 * There are never more numbers than fit below the slab's handles; when all are taken a metric gets a form with bytes,
 * which is always right. References are counted by metric; the last one frees the form and its number. Shared forms
 * do not move. One worker, one thread.
 */
#include "sink/remote_write/form_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"

static size_t shape_size(const struct form *form)
{
    return sizeof(*form) + form->n_ops * sizeof(form->ops[0]);
}

static uint64_t shape_hash(const struct form *form)
{
    return hash_bytes(str_from((const char *)form, shape_size(form)));
}

struct shape_key {
    const struct forms *f;
    const struct form *form;
};

static bool shape_eq(const void *ctx, uint32_t index)
{
    const struct shape_key *key = ctx;
    const struct form *other = key->f->shared[index].form;
    return other->n_ops == key->form->n_ops && memcmp(other, key->form, shape_size(other)) == 0;
}

static uint32_t number_take(struct forms *f)
{
    uint32_t number = f->free_shared;
    if (number) {
        f->free_shared = f->shared[number].refs;
        return number;
    }
    size_t next = f->n_shared ? f->n_shared : 1;
    if (next >= SLAB_FIRST)
        return 0;
    f->shared = mem_grow(f->shared, &f->cap_shared, next + 1, sizeof(*f->shared));
    f->shared[0] = (struct form_shared){0};
    f->n_shared = next + 1;
    return (uint32_t)next;
}

uint32_t forms_share(struct forms *f, const struct form *made)
{
    uint64_t hash = shape_hash(made);
    uint32_t number = map_find(&f->by_shape, hash, shape_eq, &(struct shape_key){f, made});
    if (number != MAP_NONE) {
        f->shared[number].refs++;
        return number;
    }
    number = number_take(f);
    if (number == 0)
        return 0;
    size_t size = shape_size(made);
    f->shared[number] = (struct form_shared){mem_alloc(size), 1};
    memcpy(f->shared[number].form, made, size);
    f->shared_bytes += size;
    map_add(&f->by_shape, hash, number);
    return number;
}

void forms_unshare(struct forms *f, uint32_t number)
{
    struct form_shared *s = &f->shared[number];
    CHECK(s->form && s->refs > 0);
    if (--s->refs > 0)
        return;
    CHECK(map_remove(&f->by_shape, shape_hash(s->form), number));
    f->shared_bytes -= shape_size(s->form);
    free(s->form);
    *s = (struct form_shared){.refs = f->free_shared};
    f->free_shared = number;
}

void forms_unshare_all(struct forms *f)
{
    for (size_t i = 1; i < f->n_shared; i++)
        free(f->shared[i].form);
    free(f->shared);
    map_release(&f->by_shape);
    f->shared = NULL;
    f->n_shared = f->cap_shared = 0;
    f->shared_bytes = 0;
    f->free_shared = 0;
}
