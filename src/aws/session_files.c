/* session_files: reading the two profile files, off the loop.
 *
 *   AWS_CONFIG_FILE               else HOME/.aws/config
 *   AWS_SHARED_CREDENTIALS_FILE   else HOME/.aws/credentials
 *
 * A scratch image has neither HOME nor a user database, and no files: that is no error, and nor is a file that does not
 * exist or may not be read. A name that begins with ~/ is below the home directory. Files are read again at each search
 * for keys: people and programs write new keys into them.
 */
#include <openssl/crypto.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "aws/session_int.h"
#include "base/file.h"
#include "base/mem.h"

static char *copy_variable(const struct aws_env *env, const char *name)
{
    struct str s = aws_getenv(env, name);
    return s.n ? mem_strndup(s.p, s.n) : NULL;
}

static struct str find_home(struct session_job *job)
{
    struct passwd pw, *found = NULL;
    char text[4096];

    if (job->home)
        return str_dup(&job->files->arena, str_c(job->home));
    if (getpwuid_r(getuid(), &pw, text, sizeof(text), &found) == 0 && found && pw.pw_dir)
        return str_dup(&job->files->arena, str_c(pw.pw_dir));
    return STR_NONE;
}

static const char *path_of(struct session_job *job, const char *given, const char *usual)
{
    struct session_files *f = job->files;

    if (given && (given[0] != '~' || given[1] != '/'))
        return given;
    if (!f->home.n)
        return NULL;
    return arena_printf(&f->arena, "%.*s/%s", STR_ARGS(f->home), given ? given + 2 : usual);
}

static void read_one(struct session_job *job, enum profile_file file, const char *path, struct buf *names)
{
    AUTO_BUF text = {0};
    struct diag d = {0};

    if (!path)
        return;
    buf_printf(names, "%s%s", names->n ? ", " : "", path);
    enum err err = file_read(path, PROFILE_MAX_BYTES, &text, &d);
    if (!err)
        err = profiles_parse(&job->files->profiles, file, buf_view(&text), &job->files->arena, &d);
    if (err && err != ERR_NOT_FOUND)
        buf_printf(names, " (%s)", d.text);
    if (text.p)
        explicit_bzero(text.p, text.cap);
}

static void run_read(struct work *w)
{
    struct session_job *job = CONTAINER_OF(w, struct session_job, work);
    struct session_files *f = job->files;
    AUTO_BUF names = {0};

    f->home = find_home(job);
    read_one(job, PROFILE_CONFIG, path_of(job, job->config_path, ".aws/config"), &names);
    read_one(job, PROFILE_CREDENTIALS, path_of(job, job->credentials_path, ".aws/credentials"), &names);
    f->names = names.n ? str_dup(&f->arena, buf_view(&names)) : STR("profile files (there is no home directory)");
}

struct reading {
    struct session_job job;
    void (*done)(struct session_job *job);
};

static void end_read(struct work *w)
{
    struct session_job *job = CONTAINER_OF(w, struct session_job, work);
    struct reading *r = CONTAINER_OF(job, struct reading, job);

    if (job->session)
        r->done(job); /* takes job->files */
    else
        session_files_free(job->files);
    free(job->config_path);
    free(job->credentials_path);
    free(job->home);
    free(r);
}

struct session_job *session_files_read(struct aws_session_full *s, void (*done)(struct session_job *job))
{
    struct reading *r = NEW(struct reading);
    const struct aws_env *env = &s->base.aws->env;

    r->done = done;
    r->job = (struct session_job){
        .work = {.run = run_read, .done = end_read},
        .session = s,
        .files = NEW(struct session_files),
        .config_path = copy_variable(env, "AWS_CONFIG_FILE"),
        .credentials_path = copy_variable(env, "AWS_SHARED_CREDENTIALS_FILE"),
        .home = copy_variable(env, "HOME"),
    };
    loop_work(env->loop, &r->job.work);
    return &r->job;
}

void session_files_free(struct session_files *files)
{
    if (!files)
        return;
    for (size_t i = 0; i < files->profiles.n; i++) { /* keys are among them */
        struct str value = files->profiles.entries[i].value;
        if (value.n)
            OPENSSL_cleanse((char *)value.p, value.n);
    }
    profiles_release(&files->profiles);
    arena_release(&files->arena);
    free(files);
}
