/* What the readers of tree.h share: the account of what was read, and mappings with unique keys. */
#ifndef WIRE_TREE_INT_H
#define WIRE_TREE_INT_H

#include "wire/tree.h"

/* Nodes and bytes below (and with) a node, aliases expanded; height counts the nested containers: 0 for a scalar. */
struct tree_weight {
    uint32_t nodes, height;
    uint64_t bytes;
};

/* Adds what `more` weighs; ERR_LIMIT when the sum is too much. */
enum err tree_weight_add(struct tree_weight *sum, struct tree_weight more, struct diag *d, const char *name,
                         uint32_t line, uint32_t col);

/* Makes the keys of a mapping unique: of entries with one key the last is kept. Where both were written out in this
 * mapping (neither came by a merge) and `strict` is set, *twice is the second of them and nothing is changed. */
void tree_unique_keys(struct node *mapping, bool strict, struct node **twice);

#endif
