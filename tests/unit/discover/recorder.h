/* recorder: a consumer that keeps what it was told last, printed. */
#ifndef TESTS_RECORDER_H
#define TESTS_RECORDER_H

#include "base/mem.h"
#include "model/target_group.h"

struct recorder {
    struct target_consumer consumer;
    struct buf last; /* "source {labels} addresses", a line each, in sorted order of lines */
    int updates;
};

static inline int recorder_by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline void recorder_update(struct target_consumer *self, struct target_groups *g)
{
    struct recorder *r = CONTAINER_OF(self, struct recorder, consumer);
    char **lines = mem_zalloc(sizeof(char *) * (g->n + 1));

    for (uint32_t i = 0; i < g->n; i++) {
        AUTO_BUF line = {0};
        const char *slash = strrchr(g->groups[i].source.p, '/');
        buf_printf(&line, "%s ", slash ? slash + 1 : g->groups[i].source.p);
        struct str path = labels_get(g->groups[i].labels, STR("__meta_filepath"));
        for (uint32_t k = 0; k < g->groups[i].labels.n; k++)
            if (g->groups[i].labels.v[k].value.p != path.p)
                buf_printf(&line, "%.*s=%.*s ", STR_ARGS(g->groups[i].labels.v[k].name),
                           STR_ARGS(g->groups[i].labels.v[k].value));
        for (uint32_t k = 0; k < g->groups[i].n_targets; k++)
            buf_printf(&line, "%s%.*s", k ? "," : "", STR_ARGS(g->groups[i].targets[k].v[0].value));
        lines[i] = mem_strndup(line.p, line.n);
    }
    qsort(lines, g->n, sizeof(*lines), recorder_by_text);
    buf_clear(&r->last);
    buf_c(&r->last, "");
    for (uint32_t i = 0; i < g->n; i++) {
        buf_printf(&r->last, "%s\n", lines[i]);
        free(lines[i]);
    }
    free(lines);
    target_groups_free(g);
    r->updates++;
}

static inline struct recorder recorder_new(void)
{
    return (struct recorder){.consumer = {recorder_update}};
}

#define recorder_says(r, text) ((r)->last.p && strcmp((r)->last.p, (text)) == 0)

#endif
