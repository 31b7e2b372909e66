/* json: writing JSON by appending.
 *
 * The writer keeps one bit per open array or object ("something is in it already: a comma is due") and whether a key has
 * just been written. There is no tree and no look back: what is appended is final.
 *
 *     json_object   {          bit = 0
 *     json_key_c    "a":       comma if bit; bit = 1; after_key
 *     json_i64      1          no comma: after_key
 *     json_object_end  }
 *
 * Strings come out as Go's encoding/json writes them with SetEscapeHTML(false): the short escapes, \u00xx for other
 * control characters, \u2028 and \u2029 escaped (JavaScript), and \ufffd for bytes that are not UTF-8. Wrong nesting is a
 * bug of the caller and asserted. One owner, no locks.
 */
#include "wire/json.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/num.h"

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

/* ---- escaping ---- */

/* Length of the well-formed character at p, or 0. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    size_t want = *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;
    return want && n >= want && str_is_utf8(str_from((const char *)p, want)) ? want : 0;
}

static void escape_control(struct buf *out, unsigned char c)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *e = c ? strchr(from, c) : NULL;
    if (e) {
        buf_char(out, '\\');
        buf_char(out, to[e - from]);
        return;
    }
    buf_printf(out, "\\u%04x", c);
}

void json_escape(struct buf *out, struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t start = 0, i = 0;
    buf_char(out, '"');
    while (i < s.n) {
        if (p[i] >= ' ' && p[i] < 0x80 && p[i] != '"' && p[i] != '\\') {
            i++;
            continue;
        }
        size_t n = p[i] < 0x80 ? 0 : utf8_length(p + i, s.n - i);
        bool separator = n == 3 && p[i] == 0xe2 && p[i + 1] == 0x80 && (p[i + 2] & 0xfe) == 0xa8;
        if (n > 0 && !separator) {
            i += n;
            continue;
        }
        buf_append(out, p + start, i - start);
        if (p[i] < 0x80)
            escape_control(out, p[i]);
        else
            buf_c(out, !separator ? "\\ufffd" : p[i + 2] == 0xa8 ? "\\u2028" : "\\u2029");
        i += n ? n : 1;
        start = i;
    }
    if (s.n > start)
        buf_append(out, p + start, s.n - start);
    buf_char(out, '"');
}
