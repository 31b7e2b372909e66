/* What holds for every tree: walking it stays within the limits, and printed as JSON and as YAML it reads back the
 * same. */
#ifndef TESTS_FUZZ_TREE_BODY_H
#define TESTS_FUZZ_TREE_BODY_H

#include "base/buf.h"
#include "wire/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t walk(const struct node *n, int depth)
{
    uint32_t nodes = 1, children = 0;
    double f;
    bool is_container = n->kind == NODE_MAPPING || n->kind == NODE_SEQUENCE;
    CHECK(n->line > 0 && n->col > 0 && depth <= TREE_MAX_DEPTH + 1);
    if (n->kind == NODE_NUMBER)
        (void)node_double(n, &f);
    for (const struct node *e = is_container ? n->first : NULL; e; e = e->next, children++)
        nodes += walk(e, depth + 1);
    CHECK(children == n->n && nodes <= TREE_MAX_NODES);
    return nodes;
}

static void print_again(const struct node *n,
                        enum err (*reader)(struct str, const char *, struct arena *, struct node **, struct diag *),
                        void (*print)(const struct node *, struct buf *))
{
    struct arena a = {0};
    struct node *again;
    AUTO_BUF first = {0};
    AUTO_BUF second = {0};
    print(n, &first);
    CHECK(reader(buf_view(&first), "again", &a, &again, NULL) == OK);
    print(again, &second);
    CHECK(str_eq(buf_view(&first), buf_view(&second)));
    arena_release(&a);
}

static int fuzz_tree(enum err (*reader)(struct str, const char *, struct arena *, struct node **, struct diag *),
                     const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct node *n;
    struct diag d = {0};
    enum err err = reader(str_from((const char *)data, size), "fuzz", &a, &n, &d);
    CHECK(err ? d.text[0] != '\0' : d.text[0] == '\0');
    if (err == OK && n && walk(n, 1) < 10000) {
        print_again(n, tree_parse_json, tree_print_json);
        print_again(n, tree_parse_yaml, tree_print_yaml);
    }
    arena_release(&a);
    return 0;
}

#endif
