/* api_int: what the files of the API share. Control loop. */
#ifndef WEB_API_INT_H
#define WEB_API_INT_H

#include "web/web_int.h"
#include "wire/json.h"

/* {"status": "success", "data": and then the caller's value and json_object_end. */
void api_open(struct json *j);
/* The whole envelope of an error. */
void api_put_error(struct buf *out, const char *type, struct str text);
void api_put_text(struct json *j, const char *key, struct str value);
void api_put_labels(struct json *j, const char *key, struct labels l);
void api_put_time(struct json *j, const char *key, int64_t ms);
void api_put_duration(struct json *j, const char *key, int64_t ms);
/* {"name": "value"} to sorted labels. */
enum err api_read_labels(struct str text, struct arena *a, struct labels *out, struct diag *d) MUST_USE;

/* Renderers from a snapshot: the HTTP status. api_targets.c */
int api_targets(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);
int api_pools(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);
int api_pool_config(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);
int api_relabel_steps(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);
int api_target_metadata(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);
int api_metadata(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);

/* api_status.c */
int api_config(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);
int api_runtime(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);
int api_flags(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);
int api_build(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);
int api_wal(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);
int api_self_metrics(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);
int api_features(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);
int api_notifications(struct web *w, struct http_call *call, const struct web_snapshot *s, struct buf *out);
void api_put_build(struct json *j); /* the object alone: /version */

#endif
