/* cloudmap_print: the sidecar's list, in the form that Go's json.MarshalIndent gives with three spaces:
 *
 *   [
 *      {
 *         "targets": [
 *            "10.0.1.5:8080"
 *         ],
 *         "labels": {
 *            "__metrics_path__": "/metrics",
 *            "cluster": "demo",
 *            ...
 *
 * An entry per target, labels sorted by name. The original's order of targets follows a map's, so changes from one
 * writing to the next; ours stays the same while nothing changes.
 */
#include "discover/cloudmap.h"
#include "wire/json.h"

static void print_labels(struct labels l, struct buf *out)
{
    bool any = false;

    buf_c(out, "      \"labels\": {");
    for (uint32_t i = 0; i < l.n; i++) {
        if (str_starts(l.v[i].name, STR("__meta_")) || str_eq(l.v[i].name, STR("__address__")))
            continue;
        buf_c(out, any ? ",\n         " : "\n         ");
        json_escape(out, l.v[i].name);
        buf_c(out, ": ");
        json_escape(out, l.v[i].value);
        any = true;
    }
    buf_c(out, any ? "\n      }\n" : "}\n");
}

static void print_target(const struct target_group *g, struct labels target, struct buf *out)
{
    struct arena scratch = {0};
    struct labels_builder b;

    labels_builder_init(&b, &scratch);
    labels_builder_set_all(&b, g->labels, false);
    labels_builder_set_all(&b, target, false);
    buf_c(out, "   {\n      \"targets\": [\n         ");
    json_escape(out, labels_get(target, STR("__address__")));
    buf_c(out, "\n      ],\n");
    print_labels(labels_builder_labels(&b), out);
    buf_c(out, "   }");
    arena_release(&scratch);
}

void cloudmap_print(const struct target_groups *g, struct buf *out)
{
    bool any = false;

    buf_char(out, '[');
    for (uint32_t i = 0; i < g->n; i++) {
        for (uint32_t k = 0; k < g->groups[i].n_targets; k++) {
            buf_c(out, any ? ",\n" : "\n");
            print_target(&g->groups[i], g->groups[i].targets[k], out);
            any = true;
        }
    }
    buf_c(out, any ? "\n]" : "]");
}
