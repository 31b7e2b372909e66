/* sinks: destinations and their spools, kept by key across reloads.
 *
 *   data directory/
 *     NAME/ or URL-HASH/    one spool per destination; logs-HASH/, metrics-HASH/ of CloudWatch
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

/* A destination as the plan has it: one of the two. */
struct wanted {
    const struct plan_remote_write *remote_write;
    const struct plan_cloudwatch *cloudwatch;
};

static uint32_t count_wanted(const struct plan *plan)
{
    return plan->n_remote_writes + plan->n_cloudwatch;
}

static struct wanted wanted_at(const struct plan *plan, uint32_t i)
{
    if (i < plan->n_remote_writes)
        return (struct wanted){.remote_write = &plan->remote_writes[i]};
    return (struct wanted){.cloudwatch = &plan->cloudwatch[i - plan->n_remote_writes]};
}

static struct str name_of(const struct wanted *w)
{
    return w->cloudwatch ? w->cloudwatch->name : w->remote_write->name;
}

/* A directory name: the user's name for it where that is a plain file name, else a hash of that name; without one the
 * plan's hash, which tells apart destinations of one URL that differ in their tenant or come twice. What waits for
 * CloudWatch in one region or account is never sent to another one. */
static char *sink_key(const struct wanted *w)
{
    const struct plan_remote_write *config = w->remote_write;
    struct str name = name_of(w);
    AUTO_BUF key = {0};
    bool plain = name.n > 0 && name.n < 64 && name.p[0] != '.';

    for (size_t i = 0; plain && i < name.n; i++)
        plain = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", name.p[i]) != NULL;
    if (w->cloudwatch)
        buf_printf(&key, "%.*s-%016llx", STR_ARGS(name), (unsigned long long)w->cloudwatch->hash);
    else if (!config->named)
        buf_printf(&key, "url-%016llx", (unsigned long long)config->hash);
    else if (plain)
        buf_str(&key, name);
    else
        buf_printf(&key, "name-%016llx", (unsigned long long)hash_bytes(name));
    return mem_strndup(key.p, key.n);
}

static const char *kind_of(const struct wanted *w)
{
    if (w->remote_write)
        return "remote write";
    return w->cloudwatch->kind == CLOUDWATCH_LOGS ? "CloudWatch Logs" : "CloudWatch metrics";
}

static void point_at(struct program_sink *s, const struct wanted *w)
{
    s->remote_write = w->remote_write;
    s->cloudwatch = w->cloudwatch;
    s->name = name_of(w);
    s->kind = kind_of(w);
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
                             .remote_write = s->remote_write,
                             .cloudwatch = s->cloudwatch,
                             .compression = p->o.compression,
                             .shared = &s->shared,
                             .aws = s->cloudwatch ? program_aws_open(p) : NULL};

    for (uint32_t i = 0; i < p->n_workers; i++)
        worker_sink_set(p->workers[i], &ws);
    if (s->remote_write)
        program_aws_sink(p, s->slot, s->remote_write);
}

/* Requests of CloudWatch end by their bytes and by time alone. */
static uint32_t max_samples(const struct program_sink *s)
{
    return s->cloudwatch ? UINT32_MAX : s->remote_write->queue.max_samples_per_send;
}

static uint32_t seal_after_ms(const struct program_sink *s)
{
    return (uint32_t)(s->cloudwatch ? s->cloudwatch->flush_ms : s->remote_write->queue.batch_send_deadline_ms);
}

static uint32_t protocol_of(const struct program_sink *s)
{
    if (s->remote_write)
        return remote_write_protocol(s->remote_write);
    return s->cloudwatch->kind == CLOUDWATCH_LOGS ? CLOUDWATCH_PROTOCOL_LOGS : CLOUDWATCH_PROTOCOL_METRICS;
}

static enum err open_spool(struct program *p, struct program_sink *s, struct diag *d)
{
    struct spool_options o = {
        .directory = s->directory,
        .destination = s->name.p,
        .mode = s->mode,
        .compression = p->o.compression == COMPRESS_ZSTD ? COMPRESS_ZSTD : COMPRESS_SNAPPY,
        .sealer = s->cloudwatch ? cloudwatch_sealer(s->cloudwatch->kind) : NULL,
        .protocol = protocol_of(s),
        .max_samples = max_samples(s),
        .max_raw_bytes = MAX_RAW_BYTES,
        .seal_after_ms = seal_after_ms(s),
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
                 F_C("next", "what waits is lost when the process ends; name a writable directory"),
                 F_C("flag", p->o.data_flag));
        s->mode = SPOOL_MEMORY;
        p->mode = SPOOL_MEMORY;
        err = open_spool(p, s, &why);
    }
    if (!err)
        return OK;
    if (err == ERR_IO)
        return diag_set(d, err, "%s: name another %s, or run with --spool=memory", why.text, p->o.data_flag);
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

static enum err add_sink(struct program *p, const struct wanted *w, char *key, struct diag *d,
                         struct program_sink **out)
{
    struct program_sink *s = free_place(p);
    char path[4096];

    if (!s)
        return diag_set(d, ERR_LIMIT, "more than %d destinations, those being closed included", SCOPE_SLOTS);
    snprintf(path, sizeof(path), "%s/%s", p->o.data_directory ? p->o.data_directory : "", key);
    if (is_closing(p, path))
        return diag_set(d, ERR_AGAIN, "destination %.*s was removed just now and is still being closed: reload again",
                        STR_ARGS(name_of(w)));
    *s = (struct program_sink){.p = p, .slot = (int)(s - p->sinks), .key = key, .mode = p->mode};
    point_at(s, w);
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

    for (uint32_t i = 0; i < count_wanted(p->plan); i++) {
        struct wanted w = wanted_at(p->plan, i);
        char *key = sink_key(&w);
        chosen[i] = find_sink(p, key);
        if (chosen[i]) {
            free(key);
            continue;
        }
        enum err err = add_sink(p, &w, key, d, &chosen[i]);
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
    uint32_t n = count_wanted(p->plan);

    CHECK(p->plan->n_cloudwatch == 0 || p->o.single_loop);
    if (n > SCOPE_SLOTS)
        return diag_set(d, ERR_LIMIT, "%u destinations: at most %d", n, SCOPE_SLOTS);
    enum err err = open_new(p, chosen, d);
    if (err)
        return err;
    for (int i = 0; i < SCOPE_SLOTS; i++)
        p->sinks[i].seen = false;
    for (uint32_t i = 0; i < n; i++) {
        struct program_sink *s = chosen[i];
        struct wanted w = wanted_at(p->plan, i);
        point_at(s, &w);
        s->seen = true;
        spool_set_limits(s->spool, max_samples(s), seal_after_ms(s));
        tell_workers(p, s);
    }
    for (int i = 0; i < SCOPE_SLOTS; i++) {
        struct program_sink *s = &p->sinks[i];
        if (s->slot >= 0 && !s->seen && s->closing == 0)
            remove_sink(p, s);
    }
    return OK;
}

struct program_sink *program_sink_of_kind(struct program *p, enum cloudwatch_kind kind)
{
    for (int i = 0; i < SCOPE_SLOTS; i++) {
        struct program_sink *s = &p->sinks[i];
        if (s->slot >= 0 && !s->closing && s->cloudwatch && s->cloudwatch->kind == kind)
            return s;
    }
    return NULL;
}

struct str program_sink_url(const struct program_sink *s, struct arena *a)
{
    AUTO_BUF text = {0};

    if (s->remote_write)
        return str_dup(a, s->remote_write->url);
    const struct aws_config *aws = &s->cloudwatch->aws;
    buf_str(&text, aws->region.n ? aws->region : STR("the environment's region"));
    if (aws->role_arn.n)
        buf_printf(&text, " as %.*s", STR_ARGS(aws->role_arn));
    if (aws->endpoint.n)
        buf_printf(&text, " at %.*s", STR_ARGS(aws->endpoint));
    return str_dup(a, buf_view(&text));
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

static void report(const struct program_sink *s, const char *msg)
{
    char keys[DROP_REASONS][32];
    struct log_field fields[DROP_REASONS + 8];
    struct spool_ledger l = {0};
    uint64_t dropped = 0;
    int n = 0;

    spool_ledger(s->spool, &l);
    for (int r = 0; r < DROP_REASONS; r++)
        dropped += l.dropped[r];
    fields[n++] = F_STR("remote_name", s->name);
    fields[n++] = F_INT("read", l.read);
    fields[n++] = F_INT("delivered", l.delivered);
    fields[n++] = F_INT("waiting", l.waiting);
    fields[n++] = F_INT("dropped", dropped);
    for (int r = 0; r < DROP_REASONS; r++) {
        if (!l.dropped[r])
            continue;
        snprintf(keys[r], sizeof(keys[r]), "dropped_%s", spool_reason_name((enum spool_reason)r));
        fields[n++] = F_INT(keys[r], l.dropped[r]);
    }
    const char *directory = s->mode == SPOOL_MEMORY ? NULL : s->directory;
    fields[n++] = F_C("disk_outlives_task", machine_disk_name(machine_disk(directory)));
    log_line(s->p->o.log, LOG_INFO, __FILE_NAME__, __LINE__, msg, fields, n);
}

void program_sinks_report(struct program *p, const char *msg)
{
    for (int i = 0; i < SCOPE_SLOTS; i++)
        if (p->sinks[i].slot >= 0 && !p->sinks[i].closing)
            report(&p->sinks[i], msg);
}
