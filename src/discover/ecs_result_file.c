/* ecs_result_file: the list of targets as the CloudWatch agent writes it for its scraper, and as file_sd_configs reads
 * it.
 *
 *   - targets:
 *       - 10.6.1.95:32785
 *     labels:
 *       LaunchType: EC2
 *       TaskRevision: "7"
 *
 * Keys are sorted bytewise, as the agent's are. A value is written plain where YAML 1.1 reads that as the same string,
 * else in double quotes with JSON's escapes.
 */
#include <string.h>

#include "discover/ecs_agent.h"
#include "wire/json.h"
#include "wire/tree.h"

/* Begins with a letter, a digit or _ and /, and nothing in it means anything to YAML. */
static bool is_plain(struct str s)
{
    bool truth;
    if (s.n == 0 || tree_resolve(s, &truth) != NODE_STRING)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '/';
        bool inside = i > 0 && (c == '-' || c == '.' || c == '+' || (c == ':' && i + 1 < s.n));
        if (!word && !inside)
            return false;
    }
    return true;
}

static void put_scalar(struct buf *out, struct str s)
{
    if (is_plain(s))
        buf_str(out, s);
    else
        json_escape(out, s);
}

void ecs_agent_print(const struct ecs_agent_findings *f, struct buf *out)
{
    if (f->n_targets == 0)
        buf_c(out, "[]\n");
    for (uint32_t i = 0; i < f->n_targets; i++) {
        const struct ecs_agent_target *t = &f->targets[i];
        buf_c(out, "- targets:\n    - ");
        put_scalar(out, t->address);
        buf_c(out, t->labels.n ? "\n  labels:\n" : "\n");
        for (uint32_t k = 0; k < t->labels.n; k++) {
            buf_c(out, "    ");
            put_scalar(out, t->labels.v[k].name);
            buf_c(out, ": ");
            put_scalar(out, t->labels.v[k].value);
            buf_char(out, '\n');
        }
    }
}
