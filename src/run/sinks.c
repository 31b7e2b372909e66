/* sinks: destinations and their spools, kept by key across reloads.
 *
 *   data directory/
 *     NAME/ or URL-HASH/    one spool per destination
 *
 * A destination that is no longer configured is closed in every worker, then its spool; its directory stays, is
 * reported, and is emptied by age when it is configured again, or by hand.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "run/program_int.h"

enum { MAX_RAW_BYTES = 1 << 20 };

/* A directory name: the user's name for it where that is a plain file name, else a hash of that name; without one the
 * plan's hash, which tells apart destinations of one URL that differ in their tenant or come twice. */
static char *sink_key(const struct plan_remote_write *config)
{
    struct str name = config->name;
    AUTO_BUF key = {0};
    bool plain = name.n > 0 && name.n < 64 && name.p[0] != '.';

    for (size_t i = 0; plain && i < name.n; i++)
        plain = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", name.p[i]) != NULL;
    if (!config->named)
        buf_printf(&key, "url-%016llx", (unsigned long long)config->hash);
    else if (plain)
        buf_str(&key, name);
    else
        buf_printf(&key, "name-%016llx", (unsigned long long)hash_bytes(name));
    return mem_strndup(key.p, key.n);
}

static struct program_sink *find_sink(struct program *p, const char *key)
{
    for (int i = 0; i < SCOPE_SLOTS; i++)
        if (p->sinks[i].slot >= 0 && strcmp(p->sinks[i].key, key) == 0)
            return &p->sinks[i];
    return NULL;
}

static struct program_sink *free_place(struct program *p)
{
    for (int i = 0; i < SCOPE_SLOTS; i++)
        if (p->sinks[i].slot < 0)
            return &p->sinks[i];
    return NULL;
}

static void tell_workers(struct program *p, struct program_sink *s)
{
    struct worker_sink ws = {.slot = s->slot,
                             .spool = s->spool,
                             .plan = p->plan,
                             .config = s->config,
                             .compression = p->o.compression,
                             .shared = &s->shared};

    for (uint32_t i = 0; i < p->n_workers; i++)
        worker_sink_set(p->workers[i], &ws);
    program_aws_sink(p, s->slot, s->config);
}

static enum err open_spool(struct program *p, struct program_sink *s, struct diag *d)
{
    struct spool_options o = {
        .directory = s->directory,
        .destination = s->config->name.p,
        .mode = s->mode,
        .compression = p->o.compression == COMPRESS_ZSTD ? COMPRESS_ZSTD : COMPRESS_SNAPPY,
        .protocol = remote_write_protocol(s->config),
        .max_samples = s->config->queue.max_samples_per_send,
        .max_raw_bytes = MAX_RAW_BYTES,
        .seal_after_ms = (uint32_t)s->config->queue.batch_send_deadline_ms,
        .budget = &p->budget,
        .io = p->io,
        .log = p->o.log,
        .counters = p->o.counters,
    };
    return spool_open(&o, &s->spool, d);
}

/* The default place that cannot be written falls back to memory, one that the user named does not. */
static enum err open_or_fall_back(struct program *p, struct program_sink *s, struct diag *d)
{
    struct diag why = {0};
    enum err err = open_spool(p, s, &why);

    if (err == ERR_IO && s->mode == SPOOL_DISK && !p->o.data_named) {
        log_warn(p->o.log, "the default data directory cannot be written: samples wait in memory only",
                 F_C("directory", s->directory), F_C("err", why.text),
                 F_C("next", "what waits is lost when the process ends; name a writable --storage.agent.path"));
        s->mode = SPOOL_MEMORY;
        p->mode = SPOOL_MEMORY;
        err = open_spool(p, s, &why);
    }
    if (!err)
        return OK;
    if (err == ERR_IO)
        return diag_set(d, err, "%s: name another --storage.agent.path, or run with --spool=memory", why.text);
    if (d)
        *d = why;
    return err;
}

/* A destination that was removed a moment ago and is back: its spool is locked by ourselves until its lanes are closed.
 */
static bool is_closing(const struct program *p, const char *directory)
{
    for (int i = 0; i < SCOPE_SLOTS; i++)
        if (p->sinks[i].slot >= 0 && p->sinks[i].closing && strcmp(p->sinks[i].directory, directory) == 0)
            return true;
    return false;
}

static enum err add_sink(struct program *p, const struct plan_remote_write *config, char *key, struct diag *d,
                         struct program_sink **out)
{
    struct program_sink *s = free_place(p);
    char path[4096];

    if (!s)
        return diag_set(d, ERR_LIMIT, "more than %d remote_write destinations, those being closed included",
                        SCOPE_SLOTS);
    snprintf(path, sizeof(path), "%s/%s", p->o.data_directory ? p->o.data_directory : "", key);
    if (is_closing(p, path))
        return diag_set(d, ERR_AGAIN, "remote_write %.*s was removed just now and is still being closed: reload again",
                        STR_ARGS(config->name));
    *s = (struct program_sink){.p = p, .slot = (int)(s - p->sinks), .key = key, .config = config, .mode = p->mode};
    s->directory = mem_strdup(path);
    enum err err = open_or_fall_back(p, s, d);
    if (err) {
        free(s->directory);
        s->slot = -1;
        return err;
    }
    *out = s;
    return OK;
}

static void release_sink(struct program_sink *s)
{
    spool_close(s->spool);
    free(s->key);
    free(s->directory);
    *s = (struct program_sink){.slot = -1};
}

static void on_closed_in_worker(void *ctx)
{
    struct program_sink *s = ctx;

    if (--s->closing > 0)
        return;
    struct spool_ledger ledger = {0};
    spool_ledger(s->spool, &ledger);
    log_warn(s->p->o.log, "destination removed", F_C("spool", s->directory), F_INT("waiting_samples", ledger.waiting),
             F_C("next", "its spool is kept; configure it again, or use `leadline spool replay`"));
    struct program *p = s->p;
    release_sink(s);
    program_maybe_finish(p);
}

static void remove_sink(struct program *p, struct program_sink *s)
{
    s->closing = p->n_workers;
    program_aws_sink_remove(p, s->slot);
    s->key[0] = '\0'; /* not to be found again: a destination of the same name gets its turn when this one is closed */
    for (uint32_t i = 0; i < p->n_workers; i++)
        worker_sink_remove(p->workers[i], s->slot, on_closed_in_worker, s);
}

/* Opens what is new; on failure everything that was opened here is closed again, and nothing has changed. */
static enum err open_new(struct program *p, struct program_sink *chosen[], struct diag *d)
{
    bool fresh[SCOPE_SLOTS] = {0};

    for (uint32_t i = 0; i < p->plan->n_remote_writes; i++) {
        const struct plan_remote_write *config = &p->plan->remote_writes[i];
        char *key = sink_key(config);
        chosen[i] = find_sink(p, key);
        if (chosen[i]) {
            free(key);
            continue;
        }
        enum err err = add_sink(p, config, key, d, &chosen[i]);
        if (err) {
            free(key);
            for (uint32_t k = 0; k < i; k++)
                if (fresh[chosen[k]->slot])
                    release_sink(chosen[k]);
            return err;
        }
        fresh[chosen[i]->slot] = true;
    }
    return OK;
}

enum err program_sinks_apply(struct program *p, struct diag *d)
{
    struct program_sink *chosen[SCOPE_SLOTS];

    if (p->plan->n_remote_writes > SCOPE_SLOTS)
        return diag_set(d, ERR_LIMIT, "%u remote_write destinations: at most %d", p->plan->n_remote_writes,
                        SCOPE_SLOTS);
    enum err err = open_new(p, chosen, d);
    if (err)
        return err;
    for (int i = 0; i < SCOPE_SLOTS; i++)
        p->sinks[i].seen = false;
    for (uint32_t i = 0; i < p->plan->n_remote_writes; i++) {
        const struct plan_remote_write *config = &p->plan->remote_writes[i];
        chosen[i]->config = config;
        chosen[i]->seen = true;
        spool_set_limits(chosen[i]->spool, config->queue.max_samples_per_send,
                         (uint32_t)config->queue.batch_send_deadline_ms);
        tell_workers(p, chosen[i]);
    }
    for (int i = 0; i < SCOPE_SLOTS; i++) {
        struct program_sink *s = &p->sinks[i];
        if (s->slot >= 0 && !s->seen && s->closing == 0)
            remove_sink(p, s);
    }
    return OK;
}

bool program_sinks_closing(const struct program *p)
{
    for (int i = 0; i < SCOPE_SLOTS; i++)
        if (p->sinks[i].slot >= 0 && p->sinks[i].closing)
            return true;
    return false;
}

void program_sinks_close(struct program *p)
{
    for (int i = 0; i < SCOPE_SLOTS; i++)
        if (p->sinks[i].slot >= 0)
            release_sink(&p->sinks[i]);
}

void program_sinks_report(struct program *p, const char *msg)
{
    for (int i = 0; i < SCOPE_SLOTS; i++) {
        struct program_sink *s = &p->sinks[i];
        struct spool_ledger l = {0};
        uint64_t dropped = 0;
        if (s->slot < 0 || s->closing)
            continue;
        spool_ledger(s->spool, &l);
        for (int r = 0; r < DROP_REASONS; r++)
            dropped += l.dropped[r];
        const char *stays = machine_disk_name(machine_disk(s->mode == SPOOL_MEMORY ? NULL : s->directory));
        log_info(p->o.log, msg, F_STR("remote_name", s->config->name), F_INT("read", l.read),
                 F_INT("delivered", l.delivered), F_INT("waiting", l.waiting), F_INT("dropped", dropped),
                 F_C("disk_outlives_task", stays));
    }
}
