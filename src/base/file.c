/* file: small files, whole.
 *
 * Configuration, credentials, tokens, target lists: things that fit in memory and are read in one go. Replacing one
 * must never leave half of it behind, whatever ends the process or the machine:
 *
 *   write PATH.tmp -> fsync it -> rename onto PATH -> fsync the directory
 *
 * Readers see the old or the new bytes. A PATH.tmp left by an earlier crash is removed first. One process replaces a
 * given path at a time. Everything here blocks: never on a worker's loop. Interrupted and short system calls are
 * continued.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err fail(struct diag *d, const char *what, const char *path)
{
    int error = errno;
    return diag_errno(d, error == ENOENT ? ERR_NOT_FOUND : ERR_IO, error, "%s %s", what, path);
}

static enum err read_all(int fd, const char *path, size_t max, struct buf *out, struct diag *d)
{
    size_t start = out->n;
    for (;;) {
        buf_reserve(out, 4096);
        ssize_t n = read(fd, out->p + out->n, out->cap - out->n - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(d, "read", path);
        if (n == 0)
            return OK;
        out->n += (size_t)n;
        out->p[out->n] = '\0';
        if (out->n - start > max)
            return diag_set(d, ERR_LIMIT, "read %s: larger than %zu bytes", path, max);
    }
}

enum err file_read(const char *path, size_t max, struct buf *out, struct diag *d)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(d, "open", path);
    size_t start = out->n;
    struct stat st;
    /* A first guess only: files in /proc say 0, and any file may grow. */
    if (fstat(fd, &st) == 0 && st.st_size > 0 && (uint64_t)st.st_size <= max)
        buf_reserve(out, (size_t)st.st_size + 1);
    enum err e = read_all(fd, path, max, out, d);
    close(fd);
    if (e && out->p) {
        out->n = start;
        out->p[start] = '\0';
    }
    return e;
}

static enum err write_all(int fd, const char *path, struct str bytes, struct diag *d)
{
    while (bytes.n) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(d, "write", path);
        bytes.p += n;
        bytes.n -= (size_t)n;
    }
    return fsync(fd) == 0 ? OK : fail(d, "sync", path);
}

/* So that the rename itself is on disk. Some file systems refuse to sync a directory: then there is nothing to gain. */
static void sync_directory_of(const char *path)
{
    AUTO_BUF dir = {0};
    const char *slash = strrchr(path, '/');
    if (slash)
        buf_append(&dir, path, slash == path ? 1 : (size_t)(slash - path));
    else
        buf_c(&dir, ".");
    int fd = open(dir.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

enum err file_replace(const char *path, struct str bytes, struct diag *d)
{
    return file_replace_mode(path, bytes, 0644, d);
}

enum err file_replace_mode(const char *path, struct str bytes, unsigned mode, struct diag *d)
{
    AUTO_BUF tmp = {0};
    buf_printf(&tmp, "%s.tmp", path);
    if (unlink(tmp.p) != 0 && errno != ENOENT)
        return fail(d, "remove", tmp.p);
    int fd = open(tmp.p, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode);
    if (fd < 0)
        return fail(d, "create", tmp.p);
    enum err e = write_all(fd, tmp.p, bytes, d);
    if (close(fd) != 0 && !e)
        e = fail(d, "close", tmp.p);
    if (!e && rename(tmp.p, path) != 0)
        e = fail(d, "rename to", path);
    if (e) {
        unlink(tmp.p);
        return e;
    }
    sync_directory_of(path);
    return OK;
}

enum err file_mkdirs(const char *path, struct diag *d)
{
    AUTO_BUF at = {0};
    buf_c(&at, path);
    for (size_t i = 1; i <= at.n; i++) {
        if (i < at.n && at.p[i] != '/')
            continue;
        char kept = at.p[i];
        at.p[i] = '\0';
        /* EEXIST is settled below: it may be a file. Others may be the parent's business (EROFS, EACCES of what is
         * there). */
        int rc = mkdir(at.p, 0750);
        int error = errno;
        struct stat st;
        if (rc != 0 && (stat(at.p, &st) != 0 || !S_ISDIR(st.st_mode)))
            return diag_errno(d, ERR_IO, error == EEXIST ? ENOTDIR : error, "create directory %s", at.p);
        at.p[i] = kept;
    }
    return OK;
}
