/* request: one sealed request in memory.
 *
 * Its image is the record exactly as it goes to disk (format.c), so that appending is one write and what is read
 * back is what was sent. The sender's view points into it:
 *
 *     image  | header, 248 bytes | borders, 12 bytes each | body |
 *                                  ^ view.borders           ^ view.body
 *
 * The header is 8-byte aligned in a malloc'd block and 248 is a multiple of 4, so the borders may be used in place.
 * Owned by one lane; the list is in order of seq.
 */
#include "spool/request_int.h"

#include <string.h>

#include "base/mem.h"

static void set_view(struct request *r)
{
    const struct record_header *h = &r->header;
    const char *borders = r->image.p + sizeof(*h);
    r->view = (struct spool_request){
        .seq = h->seq,
        .body = str_from(borders + (size_t)h->n_borders * sizeof(struct spool_border), h->body_bytes),
        .compression = (enum compression)h->compression,
        .protocol = h->protocol,
        .raw_bytes = h->raw_bytes,
        .samples = h->samples,
        .first_ms = h->first_ms,
        .last_ms = h->last_ms,
        .sealed_ms = h->sealed_ms,
        .borders = (const struct spool_border *)(const void *)borders,
        .n_borders = h->n_borders,
        .maybe_sent = r->view.maybe_sent,
    };
}

void request_finish(struct request *r)
{
    record_finish(&r->header, (uint8_t *)r->image.p);
    set_view(r);
}

static struct request *request_new(void)
{
    struct request *r = NEW(struct request);
    r->batch = -1;
    r->open_file = -1;
    return r;
}

static enum err make_body(struct compressor *c, const struct request_source *s, struct record_header *h,
                          struct buf *out)
{
    if (s->raw.n > RECORD_RAW_MAX)
        return ERR_LIMIT;
    h->compression = s->sealer || s->protocol >= SPOOL_PROTOCOL_SEALED ? COMPRESS_NONE : s->compression;
    return s->sealer ? s->sealer->seal(s->sealer, c, s->raw, out)
                     : compress_encode(c, (enum compression)h->compression, s->raw, out);
}

struct request *request_seal(struct compressor *c, const struct request_source *s)
{
    struct request *r = request_new();
    size_t borders = s->n_borders * sizeof(*s->borders);
    struct record_header *h = &r->header;
    *h = (struct record_header){.seq = s->seq,
                                .n_borders = s->n_borders,
                                .samples = s->samples,
                                .raw_bytes = (uint32_t)s->raw.n,
                                .protocol = s->protocol,
                                .first_ms = s->first_ms,
                                .last_ms = s->last_ms,
                                .sealed_ms = s->sealed_ms,
                                .read = s->read,
                                .drops = s->drops};
    /* The bytes in front are set when the header is finished. */
    buf_reserve(&r->image, sizeof(*h) + borders);
    memset(r->image.p, 0, sizeof(*h));
    memcpy(r->image.p + sizeof(*h), s->borders, borders);
    r->image.n = sizeof(*h) + borders;
    if (make_body(c, s, h, &r->image)) {
        request_free(r);
        return NULL;
    }
    h->body_bytes = (uint32_t)(r->image.n - sizeof(*h) - borders);
    /* The compressor asked for the worst case, several times of what it used. */
    r->image.cap = r->image.n + 1;
    r->image.p = mem_realloc(r->image.p, r->image.cap);
    request_finish(r);
    return r;
}

struct request *request_from_image(const struct record_header *h, struct buf *image)
{
    struct request *r = request_new();
    r->header = *h;
    buf_take(image, &r->image);
    r->state = REQUEST_ON_DISK;
    set_view(r);
    return r;
}

void request_free(struct request *r)
{
    buf_release(&r->image);
    free(r);
}

/* ---- list ---- */

void request_list_push(struct request_list *l, struct request *r)
{
    r->prev = l->last;
    r->next = NULL;
    if (l->last)
        l->last->next = r;
    else
        l->first = r;
    l->last = r;
    l->n++;
}

void request_list_insert(struct request_list *l, struct request *r)
{
    struct request *after = l->first;
    while (after && after->header.seq < r->header.seq)
        after = after->next;
    if (!after) {
        request_list_push(l, r);
        return;
    }
    r->next = after;
    r->prev = after->prev;
    if (after->prev)
        after->prev->next = r;
    else
        l->first = r;
    after->prev = r;
    l->n++;
}

void request_list_remove(struct request_list *l, struct request *r)
{
    if (r->prev)
        r->prev->next = r->next;
    else
        l->first = r->next;
    if (r->next)
        r->next->prev = r->prev;
    else
        l->last = r->prev;
    r->prev = r->next = NULL;
    l->n--;
}
