/* html_int: pieces of pages, written by html.c. */
#ifndef WEB_HTML_INT_H
#define WEB_HTML_INT_H

#include "web/web_int.h"

void html_text(struct buf *out, struct str s); /* escaped */
void html_number(struct buf *out, uint64_t v); /* 1,234,567 */
void html_bytes(struct buf *out, uint64_t bytes);
void html_age(struct buf *out, int64_t now_ms, int64_t then_ms); /* "12 s ago"; 0: never */
void html_labels(struct labels l, struct buf *out);
void html_head(struct web *w, bool refresh, struct buf *out); /* through <main> */
void html_foot(struct buf *out);

#endif
