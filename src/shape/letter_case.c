/* letter_case: Go's simple case mapping.
 *
 * The relabel actions lowercase and uppercase must give the bytes that Prometheus gives, or a fleet that changes over
 * gets new series. libc's towlower depends on a locale that a minimal container does not have; so the mappings are a
 * table of some 380 runs, such as
 *
 *   {0x410, 0x42f, 1, 32}     Cyrillic capitals: each has its small letter 32 further on
 *   {0x100, 0x12e, 2, 1}      Latin Extended-A: capital and small letter alternate
 *
 * made from Go's own tables (letter_case_table_int.h says how). Letters of ASCII do not look at it.
 * Pure functions; any thread.
 */
#include "shape/letter_case.h"

#include "base/mem.h"
#include "base/quote.h"
#include "shape/letter_case_table_int.h"

#define REPLACEMENT 0xfffdu

static uint32_t convert(uint32_t rune, const struct letter_run *runs, size_t n)
{
    size_t low = 0;
    size_t high = n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct letter_run *r = &runs[mid];
        if (rune < r->first)
            high = mid;
        else if (rune > r->last)
            low = mid + 1;
        else
            return (rune - r->first) % r->step == 0 ? rune + (uint32_t)r->delta : rune;
    }
    return rune;
}

static void put_rune(struct buf *out, uint32_t r)
{
    char text[4];

    buf_append(out, text, str_put_utf8(text, r));
}

/* `from` is the first letter of the alphabet to be changed: 'A' or 'a'. */
static void convert_all(struct str s, char from, const struct letter_run *runs, size_t n, struct buf *out)
{
    buf_reserve(out, s.n);
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x80) {
            buf_char(out, (char)(c >= from && c < from + 26 ? c ^ 0x20 : c));
            i++;
            continue;
        }
        uint32_t rune = REPLACEMENT;
        size_t len = quote_rune(s, i, &rune);
        put_rune(out, len ? convert(rune, runs, n) : REPLACEMENT);
        i += len ? len : 1;
    }
}

void letter_case_lower(struct str s, struct buf *out)
{
    convert_all(s, 'A', to_lower, COUNT_OF(to_lower), out);
}

void letter_case_upper(struct str s, struct buf *out)
{
    convert_all(s, 'a', to_upper, COUNT_OF(to_upper), out);
}
