/* aws_json_int: what is the same in the JSON answers of ECS, Cloud Map and Systems Manager. What is kept is copied into
 * an arena of the caller's; what is absent or of another type is empty.
 */
#ifndef DISCOVER_AWS_JSON_INT_H
#define DISCOVER_AWS_JSON_INT_H

#include "discover/ecs_answers.h"
#include "wire/tree.h"

/* ERR_SYNTAX also where the answer is no object; the tree is made in scratch. */
enum err aws_json_open(struct str body, struct arena *scratch, const struct node **root, struct diag *d) MUST_USE;
struct str aws_json_text(const struct node *of, const char *key, struct arena *a);
/* [{key: ..., value: ...}], the list or NULL; those without a key are passed over. */
struct ecs_tags aws_json_tags(const struct node *list, const char *key, const char *value, struct arena *a);
/* {KEY: VALUE}, the object or NULL. */
struct ecs_tags aws_json_map(const struct node *map, struct arena *a);

#endif
