/* dns_message: see the header.
 *
 *   header    id(2) flags(2) questions(2) answers(2) authorities(2) additional(2)
 *   question  name type(2) class(2)
 *   record    name type(2) class(2) ttl(4) length(2) data
 *   name      labels (length, bytes) up to a 0, or to a pointer (two bytes, the upper two bits set) to an earlier name
 *
 * All bytes are the server's, so every read goes through a cursor that knows the end, and a pointer must lead to a
 * place before the name it stands in: no chain of them can go round. A name's text is bounded before it is made: 255
 * bytes, each at most four characters. Only the answer section is read.
 */
#include "net/dns_message.h"

#include <arpa/inet.h>

#include "base/buf.h"
#include "base/num.h"

enum { HEADER_BYTES = 12, RECORD_BYTES = 10, NAME_MAX_BYTES = 255, POINTER = 0xc0 };

struct cursor {
    const uint8_t *p;
    size_t n, at;
};

static bool skip(struct cursor *c, size_t n)
{
    if (n > c->n - c->at)
        return false;
    c->at += n;
    return true;
}

static bool read_u16(struct cursor *c, uint16_t *out)
{
    if (!skip(c, 2))
        return false;
    *out = (uint16_t)(c->p[c->at - 2] << 8 | c->p[c->at - 1]);
    return true;
}

static void print_byte(struct buf *out, uint8_t byte)
{
    if (byte < ' ' || byte > '~')
        buf_printf(out, "\\%03u", byte);
    else if (strchr(" .'@;()\"\\", byte))
        buf_printf(out, "\\%c", byte);
    else
        buf_char(out, (char)byte);
}

/* Moves behind the name; appends its text when out is not NULL. */
static bool read_name(struct cursor *c, struct buf *out)
{
    size_t at = c->at, before = c->at, length = 0;
    bool jumped = false;

    for (;;) {
        if (at >= c->n)
            return false;
        uint8_t n = c->p[at];
        if ((n & POINTER) == POINTER) {
            if (at + 1 >= c->n)
                return false;
            size_t to = (size_t)(n & 0x3f) << 8 | c->p[at + 1];
            if (to >= before)
                return false;
            if (!jumped)
                c->at = at + 2;
            jumped = true;
            before = at = to;
            continue;
        }
        length += (size_t)n + 1;
        if ((n & POINTER) || length > NAME_MAX_BYTES || n >= c->n - at)
            return false;
        for (uint8_t i = 0; out && i < n; i++)
            print_byte(out, c->p[at + 1 + i]);
        if (out && (n || length == 1))
            buf_char(out, '.');
        at += (size_t)n + 1;
        if (n == 0)
            break;
    }
    if (!jumped)
        c->at = at;
    return true;
}

static bool read_target(struct cursor *c, struct arena *a, struct str *out)
{
    AUTO_BUF text = {0};

    if (!read_name(c, &text))
        return false;
    *out = str_dup(a, buf_view(&text));
    return true;
}

/* An IPv4 address in IPv6's clothes is shown as IPv4, as Go does. */
static bool read_address(struct cursor *c, size_t length, int family, struct arena *a, struct str *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    char text[INET6_ADDRSTRLEN] = "";

    if (length != (family == AF_INET ? 4 : 16))
        return false;
    const uint8_t *p = c->p + c->at;
    if (family == AF_INET6 && memcmp(p, mapped, sizeof(mapped)) == 0) {
        family = AF_INET;
        p += sizeof(mapped);
    }
    if (!inet_ntop(family, p, text, sizeof(text)))
        return false;
    *out = str_dup(a, str_c(text));
    return skip(c, length);
}

static bool read_data(struct cursor *c, size_t length, struct arena *a, struct dns_record *r)
{
    size_t end = c->at + length;
    uint16_t unused;

    switch (r->type) {
    case DNS_A:
        return read_address(c, length, AF_INET, a, &r->target);
    case DNS_AAAA:
        return read_address(c, length, AF_INET6, a, &r->target);
    case DNS_NS:
    case DNS_CNAME:
        return read_target(c, a, &r->target) && c->at == end;
    case DNS_MX:
        return read_u16(c, &unused) && read_target(c, a, &r->target) && c->at == end;
    case DNS_SRV:
        return read_u16(c, &unused) && read_u16(c, &unused) && read_u16(c, &r->port) && read_target(c, a, &r->target) &&
               c->at == end;
    default:
        return skip(c, length);
    }
}

static bool read_record(struct cursor *c, struct arena *a, struct dns_record *r)
{
    uint16_t class, high, low, length;

    if (!read_name(c, NULL) || !read_u16(c, &r->type) || !read_u16(c, &class) || !read_u16(c, &high) ||
        !read_u16(c, &low) || !read_u16(c, &length) || length > c->n - c->at)
        return false;
    r->ttl_s = (uint32_t)high << 16 | low;
    return read_data(c, length, a, r);
}

enum err dns_answer_parse(struct str message, struct arena *a, struct dns_answer *out, struct diag *d)
{
    struct cursor c = {(const uint8_t *)message.p, message.n, 0};
    uint16_t id, flags, questions, answers;

    *out = (struct dns_answer){0};
    if (message.n < HEADER_BYTES)
        return diag_set(d, ERR_SYNTAX, "a DNS message of %zu bytes has no header", message.n);
    if (!read_u16(&c, &id) || !read_u16(&c, &flags) || !read_u16(&c, &questions) || !read_u16(&c, &answers) ||
        !skip(&c, 4))
        return diag_set(d, ERR_SYNTAX, "a DNS message has no header");
    out->truncated = flags & 0x0200;
    out->rcode = flags & 0x0f;
    for (uint16_t i = 0; i < questions; i++)
        if (!read_name(&c, NULL) || !skip(&c, 4))
            return diag_set(d, ERR_SYNTAX, "a DNS message is malformed at byte %zu, in a question", c.at);
    if (answers > (c.n - c.at) / (RECORD_BYTES + 1))
        return diag_set(d, ERR_SYNTAX, "a DNS message of %zu bytes cannot hold %u records", c.n, answers);
    out->records = ARENA_ARRAY(a, struct dns_record, answers);
    for (; out->n < answers; out->n++)
        if (!read_record(&c, a, &out->records[out->n]))
            return diag_set(d, ERR_SYNTAX, "a DNS message is malformed at byte %zu, in record %u", c.at, out->n + 1);
    return OK;
}

/* ---- resolv.conf ---- */

static bool next_word(struct str *line, struct str *word)
{
    *line = str_trim(*line);
    size_t n = 0;
    while (n < line->n && line->p[n] != ' ' && line->p[n] != '\t')
        n++;
    *word = str_from(line->p, n);
    *line = str_from(line->p + n, line->n - n);
    return n > 0;
}

static void read_options(struct str line, struct dns_search *out)
{
    struct str word, name, value;
    uint64_t n;

    while (next_word(&line, &word))
        if (str_cut(word, ':', &name, &value) && str_eq(name, STR("ndots")) && !num_parse_u64(value, &n))
            out->ndots = n > 15 ? 15 : (uint32_t)n;
}

void dns_search_parse(struct str text, struct dns_search *out)
{
    struct str line, word;

    *out = (struct dns_search){.ndots = 1};
    while (text.n) {
        str_cut(text, '\n', &line, &text);
        if (!next_word(&line, &word) || *word.p == '#' || *word.p == ';')
            continue;
        if (str_eq(word, STR("options")))
            read_options(line, out);
        bool search = str_eq(word, STR("search"));
        if (!search && !str_eq(word, STR("domain")))
            continue;
        out->n = 0;
        while (out->n < (search ? DNS_MAX_SEARCH : 1) && next_word(&line, &word))
            out->domains[out->n++] = word;
    }
}

uint32_t dns_search_names(const struct dns_search *s, struct str name, struct arena *a, struct str *out)
{
    uint32_t n = 0, labels = name.n > 0;

    if (str_ends(name, STR("."))) {
        out[n++] = str_dup(a, name);
        return n;
    }
    for (size_t i = 0; i < name.n; i++)
        labels += name.p[i] == '.';
    struct str whole = str_c(arena_printf(a, "%.*s.", STR_ARGS(name)));
    if (labels > s->ndots)
        out[n++] = whole;
    for (uint32_t i = 0; i < s->n; i++) {
        struct str domain = s->domains[i];
        while (domain.n && domain.p[domain.n - 1] == '.')
            domain.n--;
        if (domain.n)
            out[n++] = str_c(arena_printf(a, "%.*s.%.*s.", STR_ARGS(name), STR_ARGS(domain)));
    }
    if (labels <= s->ndots)
        out[n++] = whole;
    return n;
}
