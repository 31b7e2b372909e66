/* quote: bytes of any origin, made safe to show.
 *
 * Names, label values and answers of other programs end up in messages, and may hold line ends, terminal controls or
 * bytes that are no text at all. Two forms: Go's (strconv.Quote), because the messages of what leadline replaces look
 * like that and people search for them, and JSON's.
 *
 * Printable is decided by a short list of what is not: controls, blanks other than U+0020, invisible formatting,
 * private use and noncharacters. Go's table also leaves out code points that no script has taken yet; those are shown
 * as they are here. Pure functions; any thread.
 */
#include "base/quote.h"

#include "base/mem.h"

size_t quote_rune(struct str s, size_t i, uint32_t *rune)
{
    unsigned char lead = (unsigned char)s.p[i];
    size_t len = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (i + len > s.n || !str_is_utf8(str_from(s.p + i, len)))
        return 0;
    *rune = len == 1 ? lead : lead & (0xFFU >> (len + 1));
    for (size_t k = 1; k < len; k++)
        *rune = *rune << 6 | ((unsigned char)s.p[i + k] & 0x3F);
    return len;
}

bool quote_is_printable(uint32_t r)
{
    static const uint32_t not [][2] = {
        {0, 0x1F},        {0x7F, 0x7F},     {0x80, 0xA0},     {0xAD, 0xAD},       {0x61C, 0x61C},      {0x1680, 0x1680},
        {0x180E, 0x180E}, {0x2000, 0x200F}, {0x2028, 0x202F}, {0x205F, 0x206F},   {0x3000, 0x3000},    {0xE000, 0xF8FF},
        {0xFEFF, 0xFEFF}, {0xFFF0, 0xFFFB}, {0xFFFE, 0xFFFF}, {0xE0000, 0xE00FF}, {0xE01F0, 0x10FFFF},
    };
    for (size_t i = 0; i < COUNT_OF(not ); i++) {
        if (r >= not [i][0] && r <= not [i][1])
            return false;
    }
    return true;
}

void buf_quote(struct buf *b, struct str s)
{
    static const char escapes[] = "abtnvfr"; /* of 7 to 13 */
    buf_char(b, '"');
    for (size_t i = 0; i < s.n;) {
        uint32_t r = 0;
        size_t len = quote_rune(s, i, &r);
        if (len == 0)
            buf_printf(b, "\\x%02x", (unsigned char)s.p[i]);
        else if (r == '"' || r == '\\')
            buf_printf(b, "\\%c", (int)r);
        else if (r >= 7 && r <= 13)
            buf_printf(b, "\\%c", escapes[r - 7]);
        else if (r < ' ' || r == 0x7F)
            buf_printf(b, "\\x%02x", r);
        else if (quote_is_printable(r))
            buf_append(b, s.p + i, len);
        else if (r < 0x10000)
            buf_printf(b, "\\u%04x", r);
        else
            buf_printf(b, "\\U%08x", r);
        i += len ? len : 1;
    }
    buf_char(b, '"');
}

/* How many bytes from i on need no thought: most strings are nothing else. */
static size_t plain_run(struct str s, size_t i)
{
    size_t from = i;

    while (i < s.n && (signed char)s.p[i] >= ' ' && s.p[i] != '"' &&
           s.p[i] != '\\') /* from 0x80 on they are negative */
        i++;
    return i - from;
}

void buf_quote_json(struct buf *b, struct str s)
{
    buf_char(b, '"');
    for (size_t i = 0; i < s.n;) {
        uint32_t r = 0;
        size_t plain = plain_run(s, i);
        if (plain > 0) {
            buf_append(b, s.p + i, plain);
            i += plain;
            continue;
        }
        size_t len = quote_rune(s, i, &r);
        if (len == 0 || r == 0xfffd) /* what is no UTF-8 reads back as the latter: one way to write both */
            buf_c(b, "\\ufffd");
        else if (r == '"' || r == '\\')
            buf_printf(b, "\\%c", (int)r);
        else if (r == '\n' || r == '\r' || r == '\t')
            buf_printf(b, "\\%c", r == '\n' ? 'n' : r == '\r' ? 'r' : 't');
        else if (r < ' ' || r == 0x2028 || r == 0x2029)
            buf_printf(b, "\\u%04x", r);
        else
            buf_append(b, s.p + i, len);
        i += len ? len : 1;
    }
    buf_char(b, '"');
}
