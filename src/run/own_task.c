/* own_task: see the header. The endpoint is, as the CloudWatch agent looks for it:
 *
 *   $ECS_CONTAINER_METADATA_URI_V4/task, else $ECS_CONTAINER_METADATA_URI/task,
 *   else that of version 2 at a fixed address, where RUN_IN_CONTAINER=True says that this is a container
 *
 *   {"Cluster": "demo", "TaskARN": "arn:aws:ecs:eu-west-1:123456789012:task/demo/0123", ...}
 *
 * Called at start and from commands, before there is a loop.
 */
#include "run/own_task.h"

#include <stdlib.h>

#include "discover/ecs_answers.h"
#include "run/ask.h"
#include "wire/tree.h"

enum { TIMEOUT_MS = 2000, TRIES = 3 };

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value && *value;
}

bool own_task_in_container(void)
{
    return str_eq(str_c(getenv("RUN_IN_CONTAINER")), STR("True")) || is_set("ECS_CONTAINER_METADATA_URI_V4") ||
           is_set("ECS_CONTAINER_METADATA_URI");
}

/* False outside ECS. */
static bool metadata_url(struct buf *out)
{
    const char *base = getenv("ECS_CONTAINER_METADATA_URI_V4");
    const char *container = getenv("RUN_IN_CONTAINER");

    if (!base || !*base)
        base = getenv("ECS_CONTAINER_METADATA_URI");
    if (base && *base)
        buf_printf(out, "%s/task", base);
    else if (container && strcmp(container, "True") == 0)
        buf_c(out, "http://169.254.170.2/v2/metadata");
    return out->n > 0;
}

/* Cluster is a name or an ARN; the region is in TaskARN: arn:PARTITION:ecs:REGION:... */
static enum err read_task(struct str body, struct arena *a, struct own_task *out, struct diag *d)
{
    struct arena scratch = {0};
    struct node *root = NULL;
    enum err err = tree_parse_json(body, "task metadata", &scratch, &root, d);

    if (!err) {
        struct str part = STR(""), rest = node_text(root, "TaskARN");
        bool more = true;
        for (int i = 0; i < 4 && more; i++)
            more = str_cut(rest, ':', &part, &rest);
        out->region = more ? str_dup(a, part) : STR("");
        out->arn = str_dup(a, node_text(root, "TaskARN"));
        out->cluster = str_dup(a, ecs_short_name(node_text(root, "Cluster")));
    }
    arena_release(&scratch);
    return err;
}

enum err own_task_ask(struct arena *a, struct own_task *out, struct buf *url, struct diag *d)
{
    enum err err = OK;

    *out = (struct own_task){STR(""), STR(""), STR("")};
    if (!metadata_url(url))
        return OK;
    for (int i = 0; i < TRIES; i++) {
        AUTO_BUF body = {0};
        int status = 0;
        diag_reset(d);
        err = ask_get(buf_view(url), false, TIMEOUT_MS, &status, &body, d);
        if (!err && status != 200)
            err = diag_set(d, ERR_NET, "HTTP status %d", status);
        if (!err)
            err = read_task(buf_view(&body), a, out, d);
        if (!err)
            return OK;
    }
    return err;
}
