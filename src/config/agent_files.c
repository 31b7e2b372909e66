/* agent_files: where the CloudWatch agent's JSON comes from.
 *
 * The agent reads every file below /etc/cwagentconfig, whatever its name, in lexical order, with sub-directories and
 * symbolic links; *.yaml is something else there, *.tmp is not finished. The first file that is not JSON ends the scan:
 * what came before it counts. Names that begin with a dot are files like others, but in the directories that are
 * mounted from secrets (..data and the directory it points to) the same files are met twice, which merging allows.
 *
 * Blocking: at start, and at a reload. Limits: files of 4 MiB, 1,000 of them, 16 levels.
 */
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "config/config.h"
#include "wire/tree.h"

enum { MAX_BYTES = 4 << 20, MAX_FILES = 1000, MAX_LEVELS = 16 };

struct scan {
    struct arena *a;
    struct config_agent_source *found;
    uint32_t n;
    struct diag *odd;
};

static bool is_json(struct str text, const char *name, struct diag *d)
{
    struct arena scratch = {0};
    struct node *root;
    enum err err = tree_parse_json(text, name, &scratch, &root, d);

    if (err == OK && !root)
        err = diag_at(d, ERR_SYNTAX, name, 1, 1, "there is no JSON in it");
    arena_release(&scratch);
    return err == OK;
}

/* False: the scan ends here. */
static bool take_file(struct scan *s, const char *path)
{
    AUTO_BUF text = {0};
    struct str name = str_c(path);

    if (str_ends(name, STR(".yaml")) || str_ends(name, STR(".tmp")))
        return true;
    if (s->n == MAX_FILES)
        (void)diag_set(s->odd, ERR_LIMIT, "%s: more than %d files", path, MAX_FILES);
    else if (file_read(path, MAX_BYTES, &text, s->odd) == OK && is_json(buf_view(&text), path, s->odd))
        s->found[s->n++] = (struct config_agent_source){str_dup(s->a, name).p, str_dup(s->a, buf_view(&text))};
    return s->odd->text[0] == '\0';
}

static int not_self(const struct dirent *e)
{
    return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool take_directory(struct scan *s, const char *path, int level)
{
    struct dirent **entries;
    struct stat st;
    int n = scandir(path, &entries, not_self, by_name);
    bool more = n >= 0 && level < MAX_LEVELS;

    if (!more)
        (void)diag_set(s->odd, ERR_IO, "%s: cannot be listed, or lies too deep", path);
    for (int i = 0; i < n; i++) {
        const char *name = arena_printf(s->a, "%s/%s", path, entries[i]->d_name);
        free(entries[i]);
        if (!more || stat(name, &st))
            continue;
        more = S_ISDIR(st.st_mode) ? take_directory(s, name, level + 1) : take_file(s, name);
    }
    if (n >= 0)
        free(entries);
    return more;
}

enum err config_agent_files(const char *path, struct arena *a, struct config_agent_source **out, uint32_t *n,
                            struct diag *odd, struct diag *d)
{
    struct scan s = {.a = a, .found = ARENA_ARRAY(a, struct config_agent_source, MAX_FILES), .odd = odd};
    struct stat st;

    *out = s.found;
    *n = 0;
    diag_reset(odd);
    if (stat(path, &st))
        return diag_set(d, ERR_NOT_FOUND, "%s: no such file or directory", path);
    if (S_ISDIR(st.st_mode)) {
        take_directory(&s, path, 0);
        *n = s.n;
        return OK;
    }
    AUTO_BUF text = {0};
    enum err err = file_read(path, MAX_BYTES, &text, d);
    if (err)
        return err;
    *s.found = (struct config_agent_source){str_dup(a, str_c(path)).p, str_dup(a, buf_view(&text))};
    *n = 1;
    return OK;
}
