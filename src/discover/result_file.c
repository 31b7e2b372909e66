/* result_file: see the header.
 *
 *   put --> next --(no write under way)--> text --> work pool: file_replace_mode --> back on the loop
 *                                            ^                                        |
 *                                            +---------- next, when there is one -----+
 *
 * The work pool sees `text` only while a write is under way, and the loop only while none is. The hash of what was
 * written last spares equal writes; a file that somebody has removed is written again. A free during a write leaves the
 * last text to it, and the end of that write frees the object.
 */
#include "discover/result_file.h"

#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"

enum { SAY_AGAIN_MS = 60 * 1000 };

struct result_file {
    struct work work;
    struct loop *loop;
    struct log *log;
    char *path;
    struct buf text, next; /* next: waits */
    uint64_t written;      /* hash of the text in the file; 0: not known */
    bool busy, waiting, freed;
    enum err err;
    struct diag diag;
    struct log_limit limit;
};

static void run(struct work *w)
{
    struct result_file *f = CONTAINER_OF(w, struct result_file, work);
    uint64_t hash = hash_bytes(buf_view(&f->text)) | 1;

    f->err = OK;
    if (hash == f->written && access(f->path, F_OK) == 0)
        return;
    diag_reset(&f->diag);
    f->err = file_replace_mode(f->path, buf_view(&f->text), 0644, &f->diag);
    f->written = f->err ? 0 : hash;
}

static void release(struct result_file *f)
{
    buf_release(&f->text);
    buf_release(&f->next);
    free(f->path);
    free(f);
}

static void start(struct result_file *f)
{
    struct buf text = f->text;

    f->text = f->next;
    f->next = text;
    f->busy = true;
    f->waiting = false;
    loop_work(f->loop, &f->work);
}

static void done(struct work *w)
{
    struct result_file *f = CONTAINER_OF(w, struct result_file, work);
    uint32_t suppressed;

    f->busy = false;
    if (f->err && log_allow(&f->limit, SAY_AGAIN_MS, &suppressed))
        log_warn(f->log, "a file cannot be written", F_C("file", f->path), F_C("err", f->diag.text),
                  F_INT("suppressed", suppressed),
                  F_C("next", "it is tried again; what reads the file sees what was written last"));
    if (f->waiting)
        start(f);
    else if (f->freed)
        release(f);
}

struct result_file *result_file_new(struct loop *loop, struct log *log, const char *path)
{
    struct result_file *f = NEW(struct result_file);

    f->loop = loop;
    f->log = log;
    f->path = mem_strdup(path);
    f->work.run = run;
    f->work.done = done;
    return f;
}

void result_file_put(struct result_file *f, struct str text)
{
    buf_clear(&f->next);
    buf_str(&f->next, text);
    f->waiting = true;
    if (!f->busy)
        start(f);
}

void result_file_free(struct result_file *f)
{
    f->freed = true;
    if (!f->busy)
        release(f);
}
