/* text_table: a table for a terminal: columns as wide as they need to be, together at most so many characters; what
 * does not fit goes on in the next line of its column.
 *
 *   JOB  TARGET                    WHY
 *   a    http://10.0.0.1:9100/met  dropped by rule 1:
 *        rics                      {action: drop}
 */
#ifndef CMD_TEXT_TABLE_H
#define CMD_TEXT_TABLE_H

#include "base/arena.h"
#include "base/buf.h"

enum { TEXT_TABLE_COLUMNS = 6 };

struct text_table {
    struct arena arena;
    uint32_t columns;
    const char *const *names;
    struct str *cells; /* row by row */
    size_t n, cap;
};

void text_table_init(struct text_table *t, const char *const *names, uint32_t columns);
void text_table_release(struct text_table *t);
/* The next cell; copied, control characters shown as '?'. */
void text_table_add(struct text_table *t, struct str text);
/* Nothing when there are no rows. */
void text_table_print(const struct text_table *t, uint32_t max_width, struct buf *out);
/* Prints it below a line with its title (NULL: none) and above an empty one, and releases it. */
void text_table_end(struct text_table *t, const char *title, uint32_t max_width, struct buf *out);

#endif
