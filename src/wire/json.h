/* json: an append-only JSON writer. Commas and nesting are kept by the writer; strings are escaped as Go's
 * encoding/json does without HTML escaping, invalid UTF-8 becomes U+FFFD.
 */
#ifndef WIRE_JSON_H
#define WIRE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct json {
    struct buf *out;
    uint64_t has_member; /* bit per depth */
    int depth;           /* at most 60 */
    bool after_key;
};

static inline struct json json_to(struct buf *out)
{
    return (struct json){.out = out};
}

void json_object(struct json *j);     /* { */
void json_object_end(struct json *j); /* } */
void json_array(struct json *j);
void json_array_end(struct json *j);
void json_key(struct json *j, struct str key);
void json_key_c(struct json *j, const char *key);
void json_str(struct json *j, struct str s);
void json_c(struct json *j, const char *s); /* NULL: null */
void json_bool(struct json *j, bool b);
void json_i64(struct json *j, int64_t v);
void json_u64(struct json *j, uint64_t v);
void json_double(struct json *j, double v); /* NaN and infinities as strings, like Prometheus' API */
void json_raw(struct json *j, struct str s);
/* The escaped form with quotes, without a writer. */
void json_escape(struct buf *out, struct str s);

#endif
