/* json: writing JSON by appending.
 *
 * The writer keeps one bit per open array or object ("something is in it already: a comma is due") and whether a key
 * has just been written. There is no tree and no look back: what is appended is final.
 *
 *     json_object   {          bit = 0
 *     json_key_c    "a":       comma if bit; bit = 1; after_key
 *     json_i64      1          no comma: after_key
 *     json_object_end  }
 *
 * Strings are escaped as Go's encoding/json does it with SetEscapeHTML(false). Wrong nesting is a bug of the caller and
 * asserted. One owner, no locks.
 */
#include "wire/json.h"

#include <assert.h>
#include <math.h>

#include "base/num.h"
#include "base/quote.h"

enum { JSON_DEPTH_MAX = 60 };

static void before_value(struct json *j)
{
    if (j->after_key) {
        j->after_key = false;
        return;
    }
    uint64_t bit = 1ULL << j->depth;
    if (j->has_member & bit && j->depth > 0)
        buf_char(j->out, ',');
    j->has_member |= bit;
}

static void open_with(struct json *j, char c)
{
    before_value(j);
    buf_char(j->out, c);
    CHECK(j->depth < JSON_DEPTH_MAX);
    j->depth++;
    j->has_member &= ~(1ULL << j->depth);
}

static void close_with(struct json *j, char c)
{
    assert(j->depth > 0 && !j->after_key);
    j->depth--;
    buf_char(j->out, c);
}

void json_object(struct json *j)
{
    open_with(j, '{');
}

void json_object_end(struct json *j)
{
    close_with(j, '}');
}

void json_array(struct json *j)
{
    open_with(j, '[');
}

void json_array_end(struct json *j)
{
    close_with(j, ']');
}

void json_key(struct json *j, struct str key)
{
    assert(j->depth > 0 && !j->after_key);
    before_value(j);
    json_escape(j->out, key);
    buf_char(j->out, ':');
    j->after_key = true;
}

void json_key_c(struct json *j, const char *key)
{
    json_key(j, str_c(key));
}

void json_str(struct json *j, struct str s)
{
    before_value(j);
    json_escape(j->out, s);
}

void json_c(struct json *j, const char *s)
{
    if (s)
        json_str(j, str_c(s));
    else
        json_raw(j, STR("null"));
}

void json_bool(struct json *j, bool b)
{
    json_raw(j, b ? STR("true") : STR("false"));
}

void json_i64(struct json *j, int64_t v)
{
    before_value(j);
    buf_i64(j->out, v);
}

void json_u64(struct json *j, uint64_t v)
{
    before_value(j);
    buf_u64(j->out, v);
}

void json_double(struct json *j, double v)
{
    char text[352];
    double size = fabs(v);
    if (!isfinite(v)) {
        json_c(j, isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf");
        return;
    }
    /* encoding/json's choice between the two layouts */
    bool plain = size == 0 || (size >= 1e-6 && size < 1e21);
    size_t n = plain ? num_print_double_plain(v, text) : num_print_double(v, text);
    json_raw(j, str_from(text, n));
}

void json_raw(struct json *j, struct str s)
{
    before_value(j);
    buf_str(j->out, s);
}

void json_escape(struct buf *out, struct str s)
{
    buf_quote_json(out, s);
}
