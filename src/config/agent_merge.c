/* agent_merge: several sources as one configuration, as the CloudWatch agent merges them.
 *
 *   a.json {"agent": {"region": "r"}, "logs": {"force_flush_interval": 5}}
 *   b.json {"logs": {"force_flush_interval": 5, "metrics_collected": {...}}}
 *     ->   {"agent": {...}, "logs": {"force_flush_interval": 5, "metrics_collected": {...}}}
 *
 * Objects that have a rule of their own (the sections, and what the tables of agent.c mark as merged) are put together
 * key by key. Any other key stands once, or says the same everywhere; two different values are an error, as the agent
 * has it. A merged object that is null is as if it were not there.
 *
 * Nodes know their line but not their file, so each entry of a merged object is a copy of the source's node with the
 * file beside it; what lies below is shared with the source's tree.
 */
#include "base/mem.h"
#include "config/agent_int.h"

enum { MAX_KEYS = 4096 };

static bool is_equal(const struct node *x, const struct node *y)
{
    const struct node *c, *other;

    if (x->kind != y->kind || x->n != y->n || x->truth != y->truth)
        return false;
    if (x->kind == NODE_MAPPING) {
        for (c = x->first; c; c = c->next) {
            for (other = y->first; other && !str_eq(other->key, c->key);)
                other = other->next;
            if (!other || !is_equal(c, other))
                return false;
        }
        return true;
    }
    if (x->kind != NODE_SEQUENCE)
        return str_eq(x->text, y->text);
    for (c = x->first, other = y->first; c && other; c = c->next, other = other->next)
        if (!is_equal(c, other))
            return false;
    return true;
}

static struct agent_merged *find(const struct node *into, struct str key)
{
    for (struct node *c = into->first; c; c = c->next)
        if (str_eq(c->key, key))
            return (struct agent_merged *)c;
    return NULL;
}

static struct agent_merged *append(struct agent_reader *a, struct node *into, const struct node *n)
{
    struct agent_merged *m = ARENA_NEW(a->r.tree, struct agent_merged);
    struct node **tail = &into->first;

    m->node = *n;
    m->node.next = NULL;
    m->file = a->r.file;
    while (*tail)
        tail = &(*tail)->next;
    *tail = &m->node;
    into->n++;
    return m;
}

static void merge_object(struct agent_reader *a, struct node *into, const struct node *n, const struct agent_object *o)
{
    if (reader_is_null(n) || !agent_is(a, n, AGENT_OBJECT))
        return;
    struct agent_merged *m = find(into, n->key);
    if (!m) {
        m = append(a, into, n);
        m->node.first = NULL;
        m->node.n = 0;
    }
    agent_merge(a, &m->node, n, o);
}

void agent_merge(struct agent_reader *a, struct node *into, const struct node *from, const struct agent_object *o)
{
    for (const struct node *n = from->first; n; n = n->next) {
        const struct agent_key *k = agent_find_key(o, n->key);
        if (k && k->object && k->object->merged) {
            merge_object(a, into, n, k->object);
            continue;
        }
        const struct agent_merged *m = find(into, n->key);
        if (into->n == MAX_KEYS) {
            reader_error(&a->r, n, ERR_LIMIT, "more than %d keys", MAX_KEYS);
            return;
        }
        if (!m)
            append(a, into, n);
        else if (!is_equal(&m->node, n))
            reader_error(&a->r, n, ERR_SYNTAX, "Different values are specified for %.*s: the other is in %s:%u",
                         STR_ARGS(n->key), m->file, m->node.line);
    }
}
