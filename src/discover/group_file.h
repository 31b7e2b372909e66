/* group_file: the text of a target-group file, JSON or YAML, as file_sd and http_sd take it (Prometheus
 * discovery/targetgroup): a list of {targets: [...], labels: {...}}; other keys are errors.
 */
#ifndef DISCOVER_GROUP_FILE_H
#define DISCOVER_GROUP_FILE_H

#include "base/err.h"
#include "model/target_group.h"

enum group_file_format { GROUP_FILE_JSON, GROUP_FILE_YAML };

/* Appends nothing on failure. Sources are "name:0", "name:1", ...; `meta` is added to the labels of each group (its
 * value wins), e.g. __meta_filepath. Pure: any thread. */
enum err group_file_parse(struct str text, enum group_file_format format, const char *name, struct label meta,
                          struct target_groups **out, struct diag *d) MUST_USE;

#endif
