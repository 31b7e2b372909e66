/* agent_names: names of log groups and streams as CloudWatch Logs takes them.
 *
 *   group    . - _ / # and letters and digits, 1 to 512; in logs.metrics_collected.prometheus with placeholders, which
 *            are filled in from labels: /aws/{ClusterName}/x
 *   stream   1 to 512 characters without ':' and '*'
 *
 * (CloudWatch Logs API reference, CreateLogGroup and CreateLogStream.) The agent finds out when the service refuses the
 * name, at each event.
 */
#include "base/mem.h"
#include "config/agent_int.h"

enum { MAX_NAME = 512 };

static bool is_group_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_' || c == '/' || c == '#';
}

static const char *const placeholders[] = {
    "{ClusterName}",          "{TaskId}",  "{NodeName}", "{PodName}", "{ServiceName}", "{ContainerInstanceId}",
    "{TaskDefinitionFamily}", "{JobName}",
};

static size_t placeholder_at(struct str s)
{
    for (size_t i = 0; i < COUNT_OF(placeholders); i++)
        if (str_starts(s, str_c(placeholders[i])))
            return strlen(placeholders[i]);
    return 0;
}

bool agent_check_log_group(struct agent_reader *a, struct agent_at at, struct str group, bool with_placeholders)
{
    struct str key = at.node ? at.node->key : STR("");
    size_t skipped = 0;

    if (group.n == 0 || group.n > MAX_NAME) {
        agent_error(a, at, ERR_SYNTAX, "the name of a log group has 1 to %d characters", MAX_NAME);
        return false;
    }
    for (size_t i = 0; i < group.n; i++) {
        if (is_group_character(group.p[i]))
            continue;
        skipped = with_placeholders ? placeholder_at(str_from(group.p + i, group.n - i)) : 0;
        if (skipped == 0) {
            agent_error(a, at, ERR_SYNTAX,
                        "%.*s%s%s is no name of a log group: letters, digits and . - _ / # may stand in it%s",
                        STR_ARGS(key), key.n ? ": " : "", reader_quote(&a->r, group),
                        with_placeholders ? ", and placeholders: {ClusterName}, {TaskId}, {ServiceName}, "
                                            "{TaskDefinitionFamily}, {JobName}, {ContainerInstanceId}, {NodeName}, "
                                            "{PodName}"
                                          : "");
            return false;
        }
        i += skipped - 1;
    }
    return true;
}

bool agent_check_log_stream(struct agent_reader *a, struct agent_at at, struct str stream)
{
    if (stream.n >= 1 && stream.n <= MAX_NAME && !memchr(stream.p, ':', stream.n) && !memchr(stream.p, '*', stream.n))
        return true;
    agent_error(a, at, ERR_SYNTAX, "%s is no name of a log stream: it has 1 to %d characters, and no : or *",
                reader_quote(&a->r, stream), MAX_NAME);
    return false;
}
