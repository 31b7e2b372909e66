/* text_table: see the header.
 *
 *   widths   of the longest cell of each column; while the line is too long, the widest column gives one up
 *   a row    as many lines as its highest cell; a cell breaks behind a blank or a comma, but in the middle of a word
 *            that is longer than a line and begins in its first half
 *
 * A column in which nothing stands is left out.
 *
 * A character is what is no continuation byte of UTF-8: wide ones count as one.
 */
#include "cmd/text_table.h"

#include <stdlib.h>

#include "base/mem.h"

enum { GAP = 2, MIN_WIDTH = 8 };

void text_table_init(struct text_table *t, const char *const *names, uint32_t columns)
{
    CHECK(columns <= TEXT_TABLE_COLUMNS);
    *t = (struct text_table){.columns = columns, .names = names};
}

void text_table_release(struct text_table *t)
{
    arena_release(&t->arena);
    free(t->cells);
}

void text_table_add(struct text_table *t, struct str text)
{
    char *copy = arena_alloc(&t->arena, text.n + 1);

    for (size_t i = 0; i < text.n; i++)
        copy[i] = (unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f ? '?' : text.p[i];
    t->cells = mem_grow(t->cells, &t->cap, t->n + 1, sizeof(*t->cells));
    t->cells[t->n++] = str_from(copy, text.n);
}

static bool starts_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

static uint32_t characters(struct str s)
{
    uint32_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += starts_character(s.p[i]);
    return n;
}

/* 0: nothing stands in it. */
static uint32_t natural_width(const struct text_table *t, uint32_t column, uint32_t max_width)
{
    uint32_t widest = 0, name = (uint32_t)strlen(t->names[column]);

    for (size_t i = column; i < t->n; i += t->columns) {
        uint32_t n = characters(t->cells[i]);
        widest = n > widest ? n : widest;
    }
    widest = widest && widest < name ? name : widest;
    return widest < max_width ? widest : max_width;
}

static void find_widths(const struct text_table *t, uint32_t max_width, uint32_t widths[TEXT_TABLE_COLUMNS])
{
    uint32_t total = 0;

    for (uint32_t c = 0; c < t->columns; c++) {
        widths[c] = natural_width(t, c, max_width);
        total += widths[c] + (widths[c] && total ? GAP : 0);
    }
    for (; total > max_width; total--) {
        uint32_t widest = 0;
        for (uint32_t c = 1; c < t->columns; c++)
            if (widths[c] > widths[widest])
                widest = c;
        if (widths[widest] <= MIN_WIDTH)
            return;
        widths[widest]--;
    }
}

static bool word_fits(struct str s, uint32_t width)
{
    struct str word, after;

    str_cut(s, ' ', &word, &after);
    return characters(word) <= width;
}

/* Cuts the first line off *rest. */
static struct str take_line(struct str *rest, uint32_t width)
{
    size_t end = 0, good = 0;
    uint32_t n = 0;

    while (end < rest->n && n < width) {
        end++;
        while (end < rest->n && !starts_character(rest->p[end]))
            end++;
        n++;
        if (rest->p[end - 1] == ' ' || rest->p[end - 1] == ',')
            good = end;
    }
    if (end < rest->n && rest->p[end] == ' ')
        good = end;
    if (end < rest->n && good && (good > end / 2 || word_fits(str_from(rest->p + good, rest->n - good), width)))
        end = good;
    struct str line = str_trim(str_from(rest->p, end));
    *rest = str_from(rest->p + end, rest->n - end);
    while (rest->n && rest->p[0] == ' ')
        *rest = str_from(rest->p + 1, rest->n - 1);
    return line;
}

static void print_row(const struct text_table *t, const struct str *cells, const uint32_t *widths, struct buf *out)
{
    struct str rest[TEXT_TABLE_COLUMNS];
    bool more = true;

    for (uint32_t c = 0; c < t->columns; c++)
        rest[c] = cells[c];
    while (more) {
        uint32_t blanks = 0;
        more = false;
        for (uint32_t c = 0; c < t->columns; c++) {
            if (!widths[c])
                continue;
            struct str line = take_line(&rest[c], widths[c]);
            if (line.n) {
                buf_printf(out, "%*s%.*s", (int)blanks, "", STR_ARGS(line));
                blanks = 0;
            }
            blanks += widths[c] - characters(line) + GAP;
            more = more || rest[c].n;
        }
        buf_char(out, '\n');
    }
}

void text_table_print(const struct text_table *t, uint32_t max_width, struct buf *out)
{
    uint32_t widths[TEXT_TABLE_COLUMNS];
    struct str names[TEXT_TABLE_COLUMNS];

    if (t->n == 0)
        return;
    find_widths(t, max_width, widths);
    for (uint32_t c = 0; c < t->columns; c++)
        names[c] = str_c(t->names[c]);
    print_row(t, names, widths, out);
    for (size_t i = 0; i + t->columns <= t->n; i += t->columns)
        print_row(t, t->cells + i, widths, out);
}

void text_table_end(struct text_table *t, const char *title, uint32_t max_width, struct buf *out)
{
    if (t->n && title)
        buf_printf(out, "%s\n", title);
    text_table_print(t, max_width, out);
    if (t->n)
        buf_char(out, '\n');
    text_table_release(t);
}
