/* credentials: secrets that may change under a running program.
 *
 * A mounted secret is replaced while we run, and the next request has to carry the new one. Prometheus reads the file
 * for every request; a thousand targets of one job would read it a hundred times a second. Here each file has one
 * record per client, shared by all peers: at the start of a request, and at most once a second, its modification time,
 * size and inode are compared, and only a change is read. These are small local files; the read is bounded to 64 KiB.
 * White space around the content is cut off, as Prometheus does. A file that cannot be read fails the request, also
 * when an older content is known: a removed secret must not live on.
 *
 * Certificates are read by libcurl, at each new connection; here it is only seen that they have changed, so that
 * connections made with the old ones are not used any more.
 *
 * Order: authorization, basic auth, the user's part of the URL. Nothing of a secret gets into an error message.
 */
#include "net/credentials.h"

#include <errno.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "net/http_client_int.h"

enum { SECRET_MAX_BYTES = 64 * 1024, CHECK_EVERY_MS = 1000 };

struct secret_file {
    char *path;
    uint64_t hash, checked_ms;
    struct timespec mtime;
    off_t size;
    ino_t inode;
    enum err err;
    int sys_errno;
    bool known; /* checked at least once */
    struct buf bytes;
};

/* A file that somebody else reads: a certificate. */
struct watched_file {
    char *path;
    uint64_t hash, checked_ms;
    struct timespec mtime;
    off_t size;
    ino_t inode;
    uint32_t changes;
    int sys_errno; /* 0: it is there */
    bool known;
};

struct credentials {
    struct watched_file *watched;
    size_t n_watched, cap_watched;
    struct secret_file *files;
    size_t n, cap;
};

struct credentials *credentials_new(void)
{
    return NEW(struct credentials);
}

static void wipe(struct buf *b)
{
    if (b->p) {
        explicit_bzero(b->p, b->cap);
    }
    buf_release(b);
}

void credentials_free(struct credentials *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->files[i].path);
        wipe(&c->files[i].bytes);
    }
    free(c->files);
    for (size_t i = 0; i < c->n_watched; i++) {
        free(c->watched[i].path);
    }
    free(c->watched);
    free(c);
}

static struct secret_file *file_record(struct credentials *c, struct str path)
{
    uint64_t hash = hash_bytes(path);
    for (size_t i = 0; i < c->n; i++) {
        if (c->files[i].hash == hash && str_eq_c(path, c->files[i].path)) {
            return &c->files[i];
        }
    }
    c->files = mem_grow(c->files, &c->cap, c->n + 1, sizeof(*c->files));
    struct secret_file *f = &c->files[c->n++];
    *f = (struct secret_file){.path = mem_strndup(path.p, path.n), .hash = hash};
    return f;
}

static void file_check(struct secret_file *f)
{
    struct stat st;
    struct diag d = {0};
    if (stat(f->path, &st) != 0) {
        f->err = ERR_IO;
        f->sys_errno = errno;
        f->mtime = (struct timespec){0};
        wipe(&f->bytes);
        return;
    }
    bool same = f->known && f->err == OK && st.st_mtim.tv_sec == f->mtime.tv_sec &&
                st.st_mtim.tv_nsec == f->mtime.tv_nsec && st.st_size == f->size && st.st_ino == f->inode;
    if (same) {
        return;
    }
    buf_clear(&f->bytes);
    f->err = file_read(f->path, SECRET_MAX_BYTES, &f->bytes, &d);
    f->sys_errno = d.sys_errno;
    f->mtime = st.st_mtim;
    f->size = st.st_size;
    f->inode = st.st_ino;
}

enum err credentials_secret(struct credentials *c, struct str text, struct str path, uint64_t now_ms, const char *what,
                            struct str *out, struct diag *d)
{
    *out = text;
    if (text.n || path.n == 0) {
        return OK;
    }
    struct secret_file *f = file_record(c, path);
    if (!f->known || now_ms - f->checked_ms >= CHECK_EVERY_MS) {
        file_check(f);
        f->known = true;
        f->checked_ms = now_ms;
    }
    if (f->err == ERR_LIMIT) {
        return diag_set(d, ERR_AUTH, "unable to read %s: file %s is larger than 64 KiB", what, f->path);
    }
    if (f->err) {
        return diag_errno(d, ERR_AUTH, f->sys_errno, "unable to read %s: unable to read file %s", what, f->path);
    }
    *out = str_trim(buf_view(&f->bytes));
    return OK;
}

enum err credentials_file(struct credentials *c, struct str path, uint64_t now_ms, struct str *out, struct diag *d)
{
    return credentials_secret(c, STR_NONE, path, now_ms, "header value", out, d);
}

/* ---- files that others read ---- */

static struct watched_file *watched_record(struct credentials *c, struct str path)
{
    uint64_t hash = hash_bytes(path);
    for (size_t i = 0; i < c->n_watched; i++) {
        if (c->watched[i].hash == hash && str_eq_c(path, c->watched[i].path)) {
            return &c->watched[i];
        }
    }
    c->watched = mem_grow(c->watched, &c->cap_watched, c->n_watched + 1, sizeof(*c->watched));
    struct watched_file *f = &c->watched[c->n_watched++];
    *f = (struct watched_file){.path = mem_strndup(path.p, path.n), .hash = hash};
    return f;
}

static void watched_check(struct watched_file *f)
{
    struct stat st;
    if (stat(f->path, &st) != 0) {
        f->sys_errno = errno;
        return;
    }
    bool same = st.st_mtim.tv_sec == f->mtime.tv_sec && st.st_mtim.tv_nsec == f->mtime.tv_nsec &&
                st.st_size == f->size && st.st_ino == f->inode;
    f->sys_errno = 0;
    f->changes += f->known && !same;
    f->known = true;
    f->mtime = st.st_mtim;
    f->size = st.st_size;
    f->inode = st.st_ino;
}

enum err credentials_changes(struct credentials *c, struct str path, uint64_t now_ms, const char *what, uint32_t *n,
                             struct diag *d)
{
    struct watched_file *f = watched_record(c, path);
    if (f->checked_ms == 0 || now_ms - f->checked_ms >= CHECK_EVERY_MS) {
        watched_check(f);
        f->checked_ms = now_ms;
    }
    *n = f->changes;
    if (f->sys_errno) {
        return diag_errno(d, ERR_AUTH, f->sys_errno, "unable to read %s: unable to read file %s", what, f->path);
    }
    return OK;
}

/* ---- the field ---- */

static void print_basic(struct buf *out, struct str user, struct str password)
{
    struct buf plain = {0};
    buf_str(&plain, user);
    buf_char(&plain, ':');
    buf_str(&plain, password);
    buf_c(out, "Basic ");
    buf_reserve(out, (plain.n + 2) / 3 * 4 + 1);
    out->n += (size_t)EVP_EncodeBlock((unsigned char *)out->p + out->n, (const unsigned char *)plain.p, (int)plain.n);
    wipe(&plain);
}

static enum err print_authorization(struct credentials *c, const struct http_options *o, uint64_t now_ms,
                                    struct buf *out, struct diag *d)
{
    struct str secret;
    enum err err = credentials_secret(c, o->authorization_credentials, o->authorization_credentials_file, now_ms,
                                      "authorization credentials", &secret, d);
    if (err) {
        return err;
    }
    buf_str(out, o->authorization_type.n ? o->authorization_type : STR("Bearer"));
    buf_char(out, ' ');
    buf_str(out, secret);
    return OK;
}

static void print_userinfo(struct buf *out, struct str userinfo)
{
    struct buf user = {0}, password = {0};
    struct str head, tail;
    str_cut(userinfo, ':', &head, &tail);
    http_percent_decode(&user, head);
    http_percent_decode(&password, tail);
    print_basic(out, buf_view(&user), buf_view(&password));
    wipe(&user);
    wipe(&password);
}

enum err credentials_print(struct credentials *c, const struct http_options *o, const struct http_url *u,
                           uint64_t now_ms, struct buf *out, struct diag *d)
{
    if (o->authorization_credentials.n || o->authorization_credentials_file.n) {
        return print_authorization(c, o, now_ms, out, d);
    }
    bool basic = o->basic_username.n || o->basic_username_file.n || o->basic_password.n || o->basic_password_file.n;
    if (basic) {
        struct str user, password;
        enum err err =
            credentials_secret(c, o->basic_username, o->basic_username_file, now_ms, "basic auth username", &user, d);
        if (!err) {
            err = credentials_secret(c, o->basic_password, o->basic_password_file, now_ms, "basic auth password",
                                     &password, d);
        }
        if (!err) {
            print_basic(out, user, password);
        }
        return err;
    }
    if (u->userinfo.n) {
        print_userinfo(out, u->userinfo);
    }
    return OK;
}
