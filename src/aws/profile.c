/* profile: ~/.aws/config and ~/.aws/credentials.
 *
 * Both are lists of sections with `key = value` lines, but for the spelling of profile sections:
 *
 *   [profile prod]            config: a word says what kind of section it is; credentials: the name alone
 *   region = eu-west-1        keys are matched without regard to case
 *   services = local   # x    a comment at the end needs white space before it; # or ; at the start of a line too
 *   s3 =                      nothing after the sign: the indented lines below are a map of their own, one level deep
 *     addressing_style = path
 *
 * The two files are kept as one flat list of lines in the order in which they stand, and questions walk it from the
 * end, so that the later line wins and nothing is merged or hashed: a search for credentials asks some thirty times, an
 * ordinary file has some fifty lines. What does not look like a line is passed over: the files belong to other
 * programs, and a newer one may have put there what we do not know.
 *
 * An indented line under a key that has a value continues that value in the original; no key that leadline reads has
 * values of several lines, so it is passed over.
 */
#include "aws/profile_int.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/mem.h"

struct profile_reader {
    struct profiles *p;
    enum profile_file file;
    struct arena *arena;
    bool known;                   /* the section is one that is kept */
    struct profile_entry section; /* what the lines below it have in common */
    struct str block;             /* the key without a value whose nested lines may follow; empty: none */
};

static void add(struct profile_reader *r, struct str key, struct str nested, struct str value)
{
    struct profiles *p = r->p;

    p->entries = mem_grow(p->entries, &p->cap, p->n + 1, sizeof(*p->entries));
    p->entries[p->n] = r->section;
    p->entries[p->n].key = key;
    p->entries[p->n].nested = nested;
    p->entries[p->n].value = value;
    p->n++;
}

static struct str lower(struct arena *a, struct str s)
{
    struct str copy = str_dup(a, s);

    for (size_t i = 0; i < copy.n; i++)
        ((char *)copy.p)[i] = (char)tolower((unsigned char)copy.p[i]);
    return copy;
}

/* Cuts off ` # ...` and ` ; ...`. */
static struct str without_comment(struct str s)
{
    for (size_t i = 1; i < s.n; i++)
        if ((s.p[i] == '#' || s.p[i] == ';') && isspace((unsigned char)s.p[i - 1]))
            return str_trim(str_from(s.p, i));
    return str_trim(s);
}

static struct str unquoted(struct str s)
{
    if (s.n >= 2 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[s.n - 1] == s.p[0])
        return str_from(s.p + 1, s.n - 2);
    return s;
}

/* Cuts a leading word that is followed by white space. */
static bool cut_word(struct str s, const char *word, struct str *rest)
{
    size_t n = strlen(word);

    if (s.n <= n || memcmp(s.p, word, n) != 0 || !isspace((unsigned char)s.p[n]))
        return false;
    *rest = unquoted(str_trim(str_from(s.p + n, s.n - n)));
    return rest->n > 0;
}

static void read_section(struct profile_reader *r, struct str line)
{
    const char *end = memchr(line.p, ']', line.n);
    struct str name = {0}, head;

    r->known = false;
    r->block = STR_NONE;
    if (!end)
        return;
    head = str_trim(str_from(line.p + 1, (size_t)(end - line.p) - 1));
    r->section = (struct profile_entry){.file = r->file};
    if (r->file == PROFILE_CREDENTIALS) {
        if (cut_word(head, "profile", &name)) /* the other file's spelling: not a profile here, as in the SDKs */
            return;
        name = unquoted(head);
    } else if (cut_word(head, "profile", &name)) {
        r->section.section = SECTION_PROFILE;
    } else if (cut_word(head, "sso-session", &name)) {
        r->section.section = SECTION_SSO_SESSION;
    } else if (cut_word(head, "services", &name)) {
        r->section.section = SECTION_SERVICES;
    } else if (str_eq(unquoted(head), STR("default"))) {
        r->section.bare_default = true;
        name = STR("default");
    }
    if (name.n == 0)
        return;
    r->known = true;
    r->section.name = str_dup(r->arena, name);
    add(r, STR_NONE, STR_NONE, STR_NONE);
}

static void read_property(struct profile_reader *r, struct str line, bool indented)
{
    struct str key, value;

    if (indented && r->block.n == 0)
        return;
    if (!str_cut(line, '=', &key, &value))
        return;
    key = str_trim(key);
    if (key.n == 0)
        return;
    key = lower(r->arena, key);
    value = str_dup(r->arena, without_comment(value));
    if (indented) {
        add(r, r->block, key, value);
        return;
    }
    r->block = value.n == 0 ? key : STR_NONE;
    add(r, key, STR_NONE, value);
}

static void read_line(struct profile_reader *r, struct str line)
{
    bool indented = line.n && isspace((unsigned char)line.p[0]);
    struct str text = str_trim(line);

    if (text.n == 0 || text.p[0] == '#' || text.p[0] == ';')
        return;
    if (text.p[0] == '[' && !indented)
        read_section(r, text);
    else if (r->known)
        read_property(r, text, indented);
}

enum err profiles_parse(struct profiles *p, enum profile_file file, struct str text, struct arena *a, struct diag *d)
{
    struct profile_reader r = {.p = p, .file = file, .arena = a};
    struct str line;

    if (text.n > PROFILE_MAX_BYTES)
        return diag_set(d, ERR_LIMIT, "larger than %d bytes", PROFILE_MAX_BYTES);
    if (str_starts(text, STR("\xEF\xBB\xBF")))
        text = str_from(text.p + 3, text.n - 3);
    while (text.n) {
        str_cut(text, '\n', &line, &text);
        read_line(&r, line);
    }
    return OK;
}

void profiles_release(struct profiles *p)
{
    free(p->entries);
    *p = (struct profiles){0};
}

static bool is_of(const struct profile_entry *e, enum profile_section section, struct str name)
{
    return e->section == section && str_eq(e->name, name);
}

bool profiles_has(const struct profiles *p, enum profile_section section, struct str name)
{
    for (size_t i = 0; i < p->n; i++)
        if (is_of(&p->entries[i], section, name))
            return true;
    return false;
}

/* [profile default] of the config file makes its [default] void. */
static bool has_full_default(const struct profiles *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->entries[i].file == PROFILE_CONFIG && !p->entries[i].bare_default &&
            is_of(&p->entries[i], SECTION_PROFILE, STR("default")))
            return true;
    return false;
}

static const struct profile_entry *find_in(const struct profiles *p, enum profile_file file,
                                           enum profile_section section, struct str name, const char *key,
                                           const char *nested)
{
    bool without_bare = file == PROFILE_CONFIG && has_full_default(p);

    for (size_t i = p->n; i-- > 0;) {
        const struct profile_entry *e = &p->entries[i];
        if (e->file == file && is_of(e, section, name) && str_eq_c(e->key, key) &&
            str_eq_c(e->nested, nested ? nested : "") && !(without_bare && e->bare_default))
            return e;
    }
    return NULL;
}

struct str profiles_get(const struct profiles *p, enum profile_section section, struct str name, const char *key,
                        const char *nested)
{
    const struct profile_entry *e = find_in(p, PROFILE_CREDENTIALS, section, name, key, nested);

    if (!e)
        e = find_in(p, PROFILE_CONFIG, section, name, key, nested);
    return e ? e->value : STR_NONE;
}
