/* config_watch: what --config.auto-reload looks at (the original: config.GenerateChecksum): the configuration file and
 * the files that its scrape_config_files name, in the order in which the patterns find them.
 *
 *   hash = h(text of the file) then, for each file found: h(its path), h(its text)
 *
 * So a file that appears, vanishes or is renamed counts as a change, as does one that cannot be read any more. A file
 * that is no YAML is hashed as it is: the reload that follows says what is wrong with it. Blocking; control thread.
 */
#include "cmd/config_watch.h"

#include <glob.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/hash.h"
#include "wire/tree.h"

enum { MAX_FILE = 64 << 20, MAX_FILES = 10000 };

static uint64_t mix(uint64_t hash, struct str bytes)
{
    return hash_fnv1a64(bytes, hash) * 31 + bytes.n;
}

static uint64_t mix_file(uint64_t hash, const char *path)
{
    AUTO_BUF text = {0};

    hash = mix(hash, str_c(path));
    if (file_read(path, MAX_FILE, &text, NULL))
        return hash + 1;
    return mix(hash, buf_view(&text));
}

static uint64_t mix_pattern(uint64_t hash, const char *config, struct str pattern)
{
    AUTO_BUF path = {0};
    glob_t found = {0};
    const char *slash = strrchr(config, '/');

    if (slash && !(pattern.n && pattern.p[0] == '/'))
        buf_append(&path, config, (size_t)(slash - config) + 1);
    buf_str(&path, pattern);
    if (path.n && glob(path.p, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc && i < MAX_FILES; i++)
            hash = mix_file(hash, found.gl_pathv[i]);
    globfree(&found);
    return hash;
}

uint64_t config_watch_hash(const char *path)
{
    AUTO_BUF text = {0};
    struct arena a = {0};
    struct node *root = NULL, *files = NULL;

    if (file_read(path, MAX_FILE, &text, NULL))
        return 0;
    uint64_t hash = mix(HASH_FNV1A64_INIT, buf_view(&text));
    if (tree_parse_yaml(buf_view(&text), path, &a, &root, NULL) == OK && root && root->kind == NODE_MAPPING)
        files = node_find(root, "scrape_config_files");
    if (files && files->kind == NODE_SEQUENCE)
        for (const struct node *n = files->first; n; n = n->next)
            hash = mix_pattern(hash, path, n->text);
    arena_release(&a);
    return hash ? hash : 1;
}
