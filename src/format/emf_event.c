/* emf_event: a scanner over one JSON text that builds nothing.
 *
 * Events pass through by the thousand a second and up to 1 MiB each, and of all that is in them four strings are
 * wanted. So the text is walked once, with a bit per open container (object or array) in place of a stack, and every
 * member but those four is skipped over, checked against the grammar to the end: an event that is cut or garbled must
 * not reach a log group, where CloudWatch would count it as an error of parsing.
 *
 *   depth 1   _aws  log_group_name  log_stream_name
 *   depth 2   LogGroupName  LogStreamName               only inside _aws
 *
 * A name may be null, which is as if it were absent. Strings are unescaped into buffers of the caller; a lone surrogate
 * becomes U+FFFD, as Go's encoding/json has it.
 */
#include "format/emf_event.h"

enum member { OTHER, AWS, GROUP_V0, STREAM_V0, GROUP_V1, STREAM_V1, MEMBERS };

struct scan {
    const unsigned char *p, *start, *end;
    struct diag *diag;
    uint32_t depth;
    bool in_aws;
    enum member next;                                   /* what the value that comes is */
    unsigned char objects[EMF_EVENT_MAX_DEPTH / 8 + 1]; /* bit per depth: an object, not an array */
    struct str names[MEMBERS];                          /* as written, between the quotes */
};

static enum err fail(const struct scan *s, const char *what)
{
    if (s->p >= s->end)
        return diag_set(s->diag, ERR_SYNTAX, "it ends at byte %zu in the middle of its JSON",
                        (size_t)(s->p - s->start));
    return diag_set(s->diag, ERR_SYNTAX, "no JSON at byte %zu: %s", (size_t)(s->p - s->start), what);
}

static void skip_space(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
        s->p++;
}

/* ---- scalars ---- */

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The cursor stands behind the backslash. */
static bool skip_escape(struct scan *s)
{
    if (s->p < s->end && *s->p == 'u') {
        s->p++;
        for (int i = 0; i < 4; i++, s->p++)
            if (s->p >= s->end || hex_digit(*s->p) < 0)
                return false;
        return true;
    }
    return s->p < s->end && *s->p && strchr("\"\\/bfnrt", *s->p++);
}

/* The cursor stands at the opening quote. */
static enum err skip_string(struct scan *s, struct str *raw)
{
    const unsigned char *from = ++s->p;

    while (s->p < s->end && *s->p != '"') {
        if (*s->p < ' ')
            return fail(s, "a control character in a string");
        if (*s->p++ == '\\' && !skip_escape(s))
            return fail(s, "a bad escape in a string");
    }
    if (s->p >= s->end)
        return fail(s, "");
    *raw = str_from((const char *)from, (size_t)(s->p - from));
    s->p++;
    return OK;
}

static bool skip_digits(struct scan *s)
{
    const unsigned char *from = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > from;
}

static enum err skip_number(struct scan *s)
{
    if (*s->p == '-')
        s->p++;
    if (s->p < s->end && *s->p == '0')
        s->p++;
    else if (!skip_digits(s))
        return fail(s, "a value is expected");
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!skip_digits(s))
            return fail(s, "a digit is expected");
    }
    if (s->p < s->end && (*s->p | 32) == 'e') {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
            s->p++;
        if (!skip_digits(s))
            return fail(s, "a digit is expected");
    }
    return OK;
}

static enum err skip_word(struct scan *s, const char *word)
{
    for (; *word; word++, s->p++)
        if (s->p >= s->end || *s->p != (unsigned char)*word)
            return fail(s, "a value is expected");
    return OK;
}

/* ---- members ---- */

static unsigned hex4(const char *p)
{
    unsigned v = 0;
    for (int i = 0; i < 4; i++)
        v = v << 4 | (unsigned)hex_digit((unsigned char)p[i]);
    return v;
}

/* raw has passed skip_string: every escape is whole. */
static void unescape(struct str raw, struct buf *out)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    char text[4];

    for (size_t i = 0; i < raw.n; i++) {
        if (raw.p[i] != '\\') {
            buf_char(out, raw.p[i]);
            continue;
        }
        char c = raw.p[++i];
        if (c != 'u') {
            const char *at = strchr(from, c);
            buf_char(out, at ? to[at - from] : c);
            continue;
        }
        unsigned v = hex4(raw.p + i + 1);
        i += 4;
        if (v >= 0xd800 && v < 0xe000) {
            bool pair = v < 0xdc00 && raw.n - i > 6 && raw.p[i + 1] == '\\' && raw.p[i + 2] == 'u';
            unsigned low = pair ? hex4(raw.p + i + 3) : 0;
            pair = low >= 0xdc00 && low < 0xe000;
            v = pair ? 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00) : 0xfffd;
            i += pair ? 6 : 0;
        }
        buf_append(out, text, str_put_utf8(text, v));
    }
}

/* Escapes in a key that is looked for are as good as none: nobody writes them. */
static bool is_key(struct str raw, struct str name)
{
    if (str_eq_nocase(raw, name))
        return true;
    if (raw.n <= name.n || !memchr(raw.p, '\\', raw.n) || raw.n > 6 * name.n)
        return false;
    AUTO_BUF text = {0};
    unescape(raw, &text);
    return str_eq_nocase(buf_view(&text), name);
}

static enum member member_of(const struct scan *s, struct str key)
{
    if (s->depth == 1)
        return is_key(key, STR("_aws"))              ? AWS
               : is_key(key, STR("log_group_name"))  ? GROUP_V0
               : is_key(key, STR("log_stream_name")) ? STREAM_V0
                                                     : OTHER;
    if (s->depth == 2 && s->in_aws)
        return is_key(key, STR("LogGroupName")) ? GROUP_V1 : is_key(key, STR("LogStreamName")) ? STREAM_V1 : OTHER;
    return OTHER;
}

static enum err read_key(struct scan *s)
{
    struct str key;

    if (s->p >= s->end || *s->p != '"')
        return fail(s, "a key is expected");
    enum err err = skip_string(s, &key);
    if (err)
        return err;
    skip_space(s);
    if (s->p >= s->end || *s->p != ':')
        return fail(s, "a colon is expected");
    s->p++;
    s->next = member_of(s, key);
    return OK;
}

static bool in_object(const struct scan *s)
{
    return s->objects[s->depth / 8] >> (s->depth % 8) & 1;
}

static enum err open_container(struct scan *s)
{
    if (s->depth == EMF_EVENT_MAX_DEPTH - 1)
        return diag_set(s->diag, ERR_LIMIT, "nested deeper than %d", EMF_EVENT_MAX_DEPTH - 1);
    if (s->next == AWS)
        s->in_aws = *s->p == '{';
    s->depth++;
    s->objects[s->depth / 8] &= (unsigned char)~(1u << (s->depth % 8));
    if (*s->p++ == '{')
        s->objects[s->depth / 8] |= (unsigned char)(1u << (s->depth % 8));
    return OK;
}

/* A value; of an array or object only its opening. *opened tells. */
static enum err read_value(struct scan *s, bool *opened)
{
    enum member what = s->next;
    struct str raw;
    enum err err;

    *opened = false;
    skip_space(s);
    if (s->p >= s->end)
        return fail(s, "");
    unsigned char c = *s->p;
    if (what != OTHER && c != 'n' && c != (what == AWS ? '{' : '"'))
        return fail(s, what == AWS ? "_aws is no object" : "the name of a log group or stream is no string");
    if (c == '{' || c == '[') {
        *opened = true;
        return open_container(s);
    }
    switch (c) {
    case '"':
        err = skip_string(s, &raw);
        if (!err)
            s->names[what] = raw;
        return err;
    case 't':
        return skip_word(s, "true");
    case 'f':
        return skip_word(s, "false");
    case 'n':
        return skip_word(s, "null");
    default:
        return skip_number(s);
    }
}

/* From behind the opening of an object to the end of the text. */
static enum err walk(struct scan *s)
{
    bool first = true; /* of its container */
    enum err err;

    while (s->depth > 0) {
        bool object = in_object(s);
        skip_space(s);
        if (s->p < s->end && *s->p == (object ? '}' : ']')) {
            s->p++;
            s->depth--;
            if (s->depth == 1)
                s->in_aws = false;
            first = false;
            continue;
        }
        if (!first) {
            if (s->p >= s->end || *s->p != ',')
                return fail(s, "a comma or the end is expected");
            s->p++;
            skip_space(s);
        }
        s->next = OTHER;
        err = object ? read_key(s) : OK;
        if (!err)
            err = read_value(s, &first);
        if (err)
            return err;
    }
    skip_space(s);
    return s->p < s->end ? fail(s, "something stands behind its end") : OK;
}

enum err emf_event_read(struct emf_event *e, struct str text, struct diag *d)
{
    const unsigned char *p = (const unsigned char *)(text.p ? text.p : "");
    struct scan s = {.p = p, .start = p, .end = p + text.n, .diag = d};
    enum err err;

    buf_clear(&e->group);
    buf_clear(&e->stream);
    skip_space(&s);
    if (s.p >= s.end)
        return diag_set(d, ERR_SYNTAX, "it is empty");
    if (*s.p != '{')
        return diag_set(d, ERR_SYNTAX, "it is no JSON object");
    if ((err = open_container(&s)) || (err = walk(&s)))
        return err;
    unescape(s.names[GROUP_V1].n ? s.names[GROUP_V1] : s.names[GROUP_V0], &e->group);
    unescape(s.names[STREAM_V1].n ? s.names[STREAM_V1] : s.names[STREAM_V0], &e->stream);
    return OK;
}

void emf_event_release(struct emf_event *e)
{
    buf_release(&e->group);
    buf_release(&e->stream);
}
