/* result_file: a file that is replaced as a whole when its text changes, off the loop, one write at a time. Control
 * loop.
 */
#ifndef DISCOVER_RESULT_FILE_H
#define DISCOVER_RESULT_FILE_H

#include "base/log.h"
#include "loop/loop.h"

struct result_file;
struct result_file *result_file_new(struct loop *loop, struct log *log, const char *path);
/* Writes unless this text is there already: replaced atomically, mode 0644. A write that fails is logged and tried
 * again at the next put. Later texts win. */
void result_file_put(struct result_file *f, struct str text);
void result_file_free(struct result_file *f); /* what waits is written; the loop runs on for a turn */

#endif
