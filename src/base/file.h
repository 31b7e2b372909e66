/* file: small files, read and replaced whole. Blocking: at start, on the control thread for configuration, or on the
 * work pool; never on a worker's loop.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buf.h"
#include "base/err.h"

/* Appends the file's bytes to out; ERR_LIMIT when it is larger than max. NOT_FOUND when there is none. */
enum err file_read(const char *path, size_t max, struct buf *out, struct diag *d) MUST_USE;
/* Writes a temporary file beside it, syncs, renames. */
enum err file_replace(const char *path, struct str bytes, struct diag *d) MUST_USE;
/* The same with a mode other than 0644. */
enum err file_replace_mode(const char *path, struct str bytes, unsigned mode, struct diag *d) MUST_USE;
/* mkdir -p with mode 0750. */
enum err file_mkdirs(const char *path, struct diag *d) MUST_USE;

#endif
