/* The response parser on any bytes, whole and in portions: both must agree, and stay inside their limits. */
#include <stdlib.h>
#include <string.h>

#include "net/response_parser.h"

enum { MAX_BODY = 20000 };

struct outcome {
    enum err err;
    size_t used;
    bool keep_alive;
    struct buf head, body;
    struct http_head fields;
};

static void outcome_release(struct outcome *o)
{
    buf_release(&o->head);
    buf_release(&o->body);
    http_head_release(&o->fields);
}

/* step 0: all at once. Otherwise in portions, the body straight into its buf where the parser offers that. */
static void run(struct str in, size_t step, struct outcome *o)
{
    struct response_parser p = {.head = &o->head, .fields = &o->fields, .body = &o->body, .max_body = MAX_BODY};
    struct diag d = {0};
    o->err = ERR_AGAIN;
    while (o->err == ERR_AGAIN && o->used < in.n) {
        size_t n = in.n - o->used, used = 0, room = response_parser_room(&p);
        n = step && n > step ? step : n;
        if (step && room) {
            used = n < room ? n : room;
            buf_append(&o->body, in.p + o->used, used);
            o->err = response_parser_took(&p, used, &d);
        } else {
            o->err = response_parser_feed(&p, str_from(in.p + o->used, n), &used, &d);
        }
        o->used += used;
        if (o->err == ERR_AGAIN && used != n && !(step && room)) {
            abort();
        }
    }
    if (o->err == ERR_AGAIN) {
        o->err = response_parser_eof(&p, &d);
    }
    if (o->body.n > MAX_BODY || o->head.n > 2 * HTTP_HEAD_MAX || (o->err && !d.text[0])) {
        abort();
    }
    o->keep_alive = p.keep_alive;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole = {0}, parts = {0};
    if (size == 0) {
        return 0;
    }
    struct str in = str_from((const char *)data + 1, size - 1);
    run(in, 0, &whole);
    run(in, (size_t)data[0] % 61 + 1, &parts);
    bool same = whole.err == parts.err;
    if (whole.err == OK) {
        same = same && whole.used == parts.used && whole.keep_alive == parts.keep_alive &&
               whole.fields.status == parts.fields.status && whole.fields.n_fields == parts.fields.n_fields &&
               str_eq(buf_view(&whole.body), buf_view(&parts.body));
    }
    if (!same) {
        abort();
    }
    outcome_release(&whole);
    outcome_release(&parts);
    return 0;
}
