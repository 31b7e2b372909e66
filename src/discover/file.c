/* file: file_sd_configs. Target groups in files that other programs write.
 *
 *   directory event  \
 *   refresh timer     >-- refresh --> pool thread: glob, read, parse --> back on the loop: keep or replace per file -->
 * report start            /
 *
 * A file that a discoverer of this process writes (env.feed) is not read: its targets come from there, as soon as it
 * has reported once, with the labels that the file would give them. Until then the file counts, which may be there
 * from before; and where there is none, the first report waits for the feed.
 *
 * A file that cannot be read or parsed keeps its last good groups, is counted and logged; a file that is gone takes its
 * groups along. Events during a refresh lead to exactly one more. Everything but the reading is on the control loop;
 * the job that reads borrows the plan's patterns, which the discoverer keeps alive until the job is back.
 */
#include <fnmatch.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "discover/discoverer.h"
#include "discover/group_file.h"
#include "discover/target_feed.h"

enum { FILE_SD_MAX_BYTES = 256 << 20 };

struct sd_file {
    char *path;
    struct target_groups *groups; /* last good; NULL: never read well */
    struct counter *mtime;
    bool seen;
};

struct read_result {
    char *path;
    struct target_groups *groups; /* NULL: failed, see diag */
    double mtime_s;
    struct diag diag;
};

struct file_discoverer {
    struct discoverer base;
    struct discover_env env;
    struct plan *plan;
    const struct plan_file_sd *config;
    struct target_consumer *consumer;
    struct target_feed_listener listener;
    bool fed, reported; /* fed: the feed's path is among ours */
    struct timer timer;
    struct loop_watch **watches; /* one per pattern; NULL where the directory cannot be watched (yet) */
    struct sd_file *files;
    size_t n_files, cap_files;
    struct work work;
    struct read_result *results; /* of the job under way */
    size_t n_results, cap_results;
    bool busy, again, stopped;
    struct discover_status status;
    struct buf about;
    struct diag error; /* of the last refresh, from one of its files */
};

/* ---- on a pool thread ---- */

static void read_one(struct read_result *r)
{
    AUTO_BUF text = {0};
    struct stat st;
    const char *dot = strrchr(r->path, '.');
    bool json = dot && str_eq_nocase(str_c(dot), STR(".json"));
    struct label meta = {STR("__meta_filepath"), str_c(r->path)};

    if (file_read(r->path, FILE_SD_MAX_BYTES, &text, &r->diag))
        return;
    if (stat(r->path, &st) == 0)
        r->mtime_s = (double)st.st_mtime;
    if (group_file_parse(buf_view(&text), json ? GROUP_FILE_JSON : GROUP_FILE_YAML, r->path, meta, &r->groups,
                         &r->diag))
        r->groups = NULL;
}

static void read_all(struct work *w)
{
    struct file_discoverer *f = CONTAINER_OF(w, struct file_discoverer, work);

    f->n_results = 0;
    for (uint32_t i = 0; i < f->config->n_files; i++) {
        glob_t g = {0};
        if (glob(f->config->files[i].p, GLOB_PERIOD, NULL, &g) == 0) {
            for (size_t k = 0; k < g.gl_pathc; k++) {
                f->results = mem_grow(f->results, &f->cap_results, f->n_results + 1, sizeof(*f->results));
                struct read_result *r = &f->results[f->n_results++];
                *r = (struct read_result){.path = mem_strdup(g.gl_pathv[k])};
                read_one(r);
            }
        }
        globfree(&g);
    }
}

/* ---- on the control loop ---- */

static struct sd_file *find_file(struct file_discoverer *f, const char *path)
{
    for (size_t i = 0; i < f->n_files; i++)
        if (strcmp(f->files[i].path, path) == 0)
            return &f->files[i];
    f->files = mem_grow(f->files, &f->cap_files, f->n_files + 1, sizeof(*f->files));
    struct sd_file *file = &f->files[f->n_files++];
    struct counter_label label = {STR("filename"), str_c(path)};
    *file = (struct sd_file){.path = mem_strdup(path)};
    file->mtime = counter_new(f->env.counters, COUNTER_GAUGE_F64, "prometheus_sd_file_mtime_seconds",
                              "Timestamp (mtime) of files read by FileSD. Timestamp is set at read time.", &label, 1);
    return file;
}

static void drop_file(struct file_discoverer *f, struct sd_file *file)
{
    counter_release(f->env.counters, file->mtime);
    if (file->groups)
        target_groups_free(file->groups);
    free(file->path);
    *file = f->files[--f->n_files];
}

/* What the feed says; NULL: the files alone count. */
static const struct target_groups *fed_groups(const struct file_discoverer *f)
{
    return f->fed ? target_feed_groups(f->env.feed) : NULL;
}

static bool is_fed(const struct file_discoverer *f, const char *path)
{
    return fed_groups(f) && strcmp(path, target_feed_path(f->env.feed)) == 0;
}

/* As group_file_parse would give the n-th of them. */
static struct target_group fed_group(const struct file_discoverer *f, const struct target_group *g, uint32_t n,
                                     struct arena *a)
{
    const char *path = target_feed_path(f->env.feed);
    struct target_group copy = target_group_copy(g, a);
    struct labels_builder b;

    labels_builder_init(&b, a);
    for (uint32_t i = 0; i < copy.labels.n; i++)
        labels_builder_set(&b, copy.labels.v[i].name, copy.labels.v[i].value);
    labels_builder_set(&b, STR("__meta_filepath"), str_dup(a, str_c(path)));
    copy.labels = labels_builder_labels(&b);
    copy.source = str_c(arena_printf(a, "%s:%u", path, n));
    return copy;
}

static void report(struct file_discoverer *f)
{
    const struct target_groups *fed = fed_groups(f);
    uint32_t n = fed ? fed->n : 0;

    if (f->fed && !fed && f->n_files == 0 && !f->reported)
        return;
    f->reported = true;
    struct target_groups *all = target_groups_new();
    for (size_t i = 0; i < f->n_files; i++)
        n += f->files[i].groups ? f->files[i].groups->n : 0;
    all->groups = ARENA_ARRAY(&all->arena, struct target_group, n + 1);
    for (uint32_t k = 0; fed && k < fed->n; k++)
        all->groups[all->n++] = fed_group(f, &fed->groups[k], k, &all->arena);
    for (size_t i = 0; i < f->n_files; i++) {
        const struct target_groups *g = f->files[i].groups;
        for (uint32_t k = 0; g && k < g->n; k++)
            all->groups[all->n++] = target_group_copy(&g->groups[k], &all->arena);
    }
    f->status.groups = all->n;
    f->status.targets = 0;
    for (uint32_t i = 0; i < all->n; i++)
        f->status.targets += all->groups[i].n_targets;
    f->consumer->update(f->consumer, all);
}

static void take_result(struct file_discoverer *f, struct read_result *r)
{
    if (is_fed(f, r->path)) {
        if (r->groups)
            target_groups_free(r->groups);
        free(r->path);
        return;
    }
    struct sd_file *file = find_file(f, r->path);

    file->seen = true;
    if (r->groups) {
        if (file->groups)
            target_groups_free(file->groups);
        file->groups = r->groups;
        counter_set_f64(file->mtime, r->mtime_s);
    } else {
        char text[800];
        diag_format(&r->diag, text, sizeof(text));
        counter_inc(f->env.totals->file_read_errors);
        f->error = r->diag;
        f->status.last_error_ms = clock_wall_ms();
        f->status.failures++;
        log_error(f->env.log, "Error reading file", F_C("path", r->path), F_C("err", text),
                  F_C("next", file->groups ? "its last good targets stay" : "it has no targets until it is mended"));
    }
    free(r->path);
}

static void on_directory_change(void *ctx);

/* A directory that does not exist yet is tried again at each refresh; for the feed's own file none need exist. */
static void watch_directories(struct file_discoverer *f)
{
    for (uint32_t i = 0; i < f->config->n_files; i++) {
        struct diag d = {0};
        const char *path = f->config->files[i].p;
        const char *slash = strrchr(path, '/');
        if (f->watches[i] || (f->fed && strcmp(path, target_feed_path(f->env.feed)) == 0))
            continue;
        char *directory = slash ? mem_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : mem_strdup(".");
        if (loop_watch_open(f->env.loop, directory, on_directory_change, f, &f->watches[i], &d)) {
            f->watches[i] = NULL;
            counter_inc(f->env.totals->file_watch_errors);
            log_error(f->env.log, "Error adding file watch", F_C("path", directory), F_C("err", d.text));
        }
        free(directory);
    }
}

static void destroy(struct file_discoverer *f)
{
    while (f->n_files)
        drop_file(f, &f->files[0]);
    buf_release(&f->about);
    plan_unref(f->plan);
    free(f->files);
    free(f->results);
    free(f->watches);
    free(f);
}

static void refresh(struct file_discoverer *f);

static void on_timer(struct timer *t)
{
    refresh(CONTAINER_OF(t, struct file_discoverer, timer));
}

static void discard_results(struct file_discoverer *f)
{
    for (size_t i = 0; i < f->n_results; i++) {
        if (f->results[i].groups)
            target_groups_free(f->results[i].groups);
        free(f->results[i].path);
    }
    f->n_results = 0;
}

static void on_read(struct work *w)
{
    struct file_discoverer *f = CONTAINER_OF(w, struct file_discoverer, work);

    f->busy = false;
    if (f->stopped) {
        discard_results(f);
        destroy(f);
        return;
    }
    diag_reset(&f->error);
    f->status.refreshes++;
    for (size_t i = 0; i < f->n_files; i++)
        f->files[i].seen = false;
    for (size_t i = 0; i < f->n_results; i++)
        take_result(f, &f->results[i]);
    f->n_results = 0;
    for (size_t i = f->n_files; i-- > 0;)
        if (!f->files[i].seen)
            drop_file(f, &f->files[i]);
    if (!f->error.text[0])
        f->status.last_refresh_ms = clock_wall_ms();
    report(f);
    watch_directories(f);
    timer_start(f->env.loop, &f->timer, (uint64_t)f->config->refresh_ms, on_timer);
    if (f->again) {
        f->again = false;
        refresh(f);
    }
}

static void refresh(struct file_discoverer *f)
{
    if (f->busy) {
        f->again = true;
        return;
    }
    f->busy = true;
    f->work = (struct work){.run = read_all, .done = on_read};
    loop_work(f->env.loop, &f->work);
}

static void on_directory_change(void *ctx)
{
    refresh(ctx);
}

static bool has_path(const struct plan_file_sd *config, const char *path)
{
    for (uint32_t i = 0; i < config->n_files; i++)
        if (strcmp(config->files[i].p, path) == 0 || fnmatch(config->files[i].p, path, FNM_PATHNAME) == 0)
            return true;
    return false;
}

/* The file's own targets go with the first word of the feed. */
static void on_fed(struct target_feed_listener *self)
{
    struct file_discoverer *f = CONTAINER_OF(self, struct file_discoverer, listener);

    for (size_t i = f->n_files; i-- > 0;)
        if (is_fed(f, f->files[i].path))
            drop_file(f, &f->files[i]);
    report(f);
}

static void stop(struct discoverer *self)
{
    struct file_discoverer *f = CONTAINER_OF(self, struct file_discoverer, base);

    timer_stop(&f->timer);
    if (f->fed)
        target_feed_leave(f->env.feed, &f->listener);
    for (uint32_t i = 0; i < f->config->n_files; i++)
        if (f->watches[i])
            loop_watch_close(f->watches[i]);
    f->stopped = true;
    if (!f->busy)
        destroy(f);
}

static void status(const struct discoverer *self, struct discover_status *out)
{
    const struct file_discoverer *f = CONTAINER_OF(self, struct file_discoverer, base);

    *out = f->status;
    out->mechanism = "file";
    out->about = buf_view(&f->about);
    out->last_error = str_c(f->error.text);
}

struct discoverer *discover_file_new(const struct discover_env *env, struct plan *plan,
                                     const struct plan_file_sd *config, struct target_consumer *consumer)
{
    struct file_discoverer *f = NEW(struct file_discoverer);

    f->base = (struct discoverer){stop, status};
    f->env = *env;
    f->plan = plan_ref(plan);
    f->config = config;
    f->consumer = consumer;
    f->watches = mem_zalloc(sizeof(struct loop_watch *) * (config->n_files + 1));
    for (uint32_t i = 0; i < config->n_files; i++)
        buf_printf(&f->about, "%s%.*s", i ? ", " : "", STR_ARGS(config->files[i]));
    f->fed = env->feed && has_path(config, target_feed_path(env->feed));
    f->listener.changed = on_fed;
    if (f->fed)
        target_feed_listen(env->feed, &f->listener);
    watch_directories(f);
    refresh(f);
    return &f->base;
}
