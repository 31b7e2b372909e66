/* failure_log: a log for each file that jobs name (scrape_failure_log_file).
 *
 *   plan --open--> { path -> struct log }   shared by the workers, one reference each
 *
 * A set is never changed: a reload makes another, and the old one closes its files with its last user. The same struct
 * log that carries leadline's own lines writes these: its thread waits for the disk, nobody else; what does not fit
 * into its ring is dropped.
 */
#include "source/scrape/failure_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

struct failure_file {
    char *path;
    struct log *log;
};

struct failure_logs {
    _Atomic uint32_t refs;
    struct failure_file *v;
    size_t n, cap;
};

static enum err open_file(struct failure_logs *l, struct str path, struct diag *d)
{
    char *name = mem_strndup(path.p, path.n);
    int fd = open(name, O_APPEND | O_CREAT | O_WRONLY | O_CLOEXEC, 0666);

    if (fd < 0) {
        diag_set(d, ERR_IO, "can't create json log file: open %s: %s", name, strerror(errno));
        free(name);
        return ERR_IO;
    }
    struct log *log = log_new(fd, LOG_ERROR, LOG_JSON);
    log_own_fd(log);
    l->v = mem_grow(l->v, &l->cap, l->n + 1, sizeof(*l->v));
    l->v[l->n++] = (struct failure_file){name, log};
    return OK;
}

enum err failure_logs_open(const struct plan *plan, struct failure_logs **out, struct diag *d)
{
    struct failure_logs *l = NEW(struct failure_logs);

    atomic_store_explicit(&l->refs, 1, memory_order_relaxed);
    *out = NULL;
    for (uint32_t i = 0; i < plan->n_scrapes; i++) {
        struct str path = plan->scrapes[i].scrape_failure_log_file;
        if (path.n == 0 || failure_logs_get(l, path))
            continue;
        enum err err = open_file(l, path, d);
        if (err != OK) {
            failure_logs_unref(l);
            return err;
        }
    }
    if (l->n == 0)
        failure_logs_unref(l);
    else
        *out = l;
    return OK;
}

struct failure_logs *failure_logs_ref(struct failure_logs *l)
{
    if (l)
        atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    return l;
}

void failure_logs_unref(struct failure_logs *l)
{
    if (!l || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < l->n; i++) {
        log_free(l->v[i].log);
        free(l->v[i].path);
    }
    free(l->v);
    free(l);
}

struct log *failure_logs_get(const struct failure_logs *l, struct str file)
{
    for (size_t i = 0; l && file.n > 0 && i < l->n; i++) {
        if (str_eq_c(file, l->v[i].path))
            return l->v[i].log;
    }
    return NULL;
}
