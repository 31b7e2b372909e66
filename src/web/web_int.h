/* web_int: what the files of web/ share. Control loop. */
#ifndef WEB_WEB_INT_H
#define WEB_WEB_INT_H

#include "net/http_server.h"
#include "net/web_guard.h"
#include "web/web.h"

struct web {
    struct loop *loop;
    struct web_options o;
    struct http_server **servers;
    uint32_t n_servers;
    uint32_t connections; /* of all servers */
    struct web_guard *guard;
    struct regex *cors;
    struct str title;
};

/* An answer that is rendered from a snapshot: its HTTP status. */
typedef int(web_render)(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);

/* api.c: the original's JSON; false when the path is not one of the API's. */
bool web_api(struct web *w, struct http_call *call, struct str path);

/* pages.c */
int web_page_status(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);
int web_page_targets(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);

/* page_discovery.c, page_relabel.c, page_config.c, page_debug.c */
int web_page_discovery(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);
int web_page_relabel(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);
int web_page_config(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);
int web_page_flags(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);
int web_page_debug(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);

/* metrics.c */
int web_metrics(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);

/* web.c: asks for a snapshot, renders, answers. */
void web_answer_from_snapshot(struct web *w, struct http_call *call, const char *content_type, web_render *render);
/* The same, with the families of each target. */
void web_answer_from_families(struct web *w, struct http_call *call, const char *content_type, web_render *render);

#define WEB_HTML       "text/html; charset=utf-8"
#define WEB_TEXT       "text/plain; charset=utf-8"
#define WEB_JSON       "application/json"
#define WEB_EXPOSITION "text/plain; version=0.0.4; charset=utf-8; escaping=values"

#endif
