/* reader_int: strict reading of one positioned tree by tables. Private to config/.
 *
 * A schema lists the keys of one mapping, each with its kind and the place in the caller's struct where the value goes.
 * Every key that the table does not name is an error, every value of another type too; reading goes on after each, so
 * that a user sees all of them at once. What null does follows go-yaml: it makes the field zero, whatever its default.
 */
#ifndef CONFIG_READER_INT_H
#define CONFIG_READER_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/regex.h"
#include "base/str.h"
#include "config/config.h"
#include "plan/plan.h"
#include "wire/tree.h"

/* What the printed configuration shows for a node. Aliases share nodes, so the tree changes only after all is read. */
struct shown {
    struct node *node;
    struct str text;
    struct shown *next;
};

/* A Prometheus file that another program's configuration names: it scrapes with it, and uses nothing else of it. */
struct embedding {
    uint32_t pipeline;    /* of its scrapes */
    bool external_labels; /* they become the plan's */
};

struct reader {
    const char *file; /* for messages */
    const char *dir;  /* what relative paths start from */
    const struct config_options *options;
    const struct embedding *inside; /* NULL: prometheus.yml of `leadline prometheus` */
    struct plan *plan;
    struct arena *arena; /* the plan's: whatever is read is copied there */
    struct arena *tree;  /* of the tree, gone when the file has been read */
    struct shown *shown;
    struct config_errors *errors;
    uint32_t cap_warnings;
};

/* What one reading has besides, on the stack of whoever reads a whole configuration. */
struct reading {
    struct arena tree, own;
    struct config_errors mine; /* where the caller wants none */
    uint32_t before;           /* errors that were there */
};
/* A new plan, and where to read it: the rest of *r is the caller's. errors may be NULL. */
void reader_open(struct reader *r, struct reading *g, struct config_errors *errors);
/* OK and the plan, or the first error. */
enum err reader_close(struct reader *r, struct reading *g, struct plan **out, struct diag *d) MUST_USE;

enum field_kind {
    FIELD_STRING,
    FIELD_SECRET, /* a string that is <secret> in the printed configuration */
    FIELD_PATH,   /* a string, joined to the configuration's directory */
    FIELD_URL,    /* a string that Go's net/url takes */
    FIELD_BOOL,
    FIELD_TRISTATE, /* int8_t: -1 unset or null, else the bool */
    FIELD_DURATION, /* int64_t milliseconds */
    FIELD_UINT,     /* uint64_t */
    FIELD_INT,      /* int64_t */
    FIELD_FLOAT,    /* double */
    FIELD_SIZE,     /* uint64_t bytes; a negative size is UINT64_MAX, without limit */
    FIELD_NODE,     /* struct node *: kept for the caller, NULL for null */
    FIELD_CALL,     /* fn(r, node, struct + offset), null included */
    FIELD_INLINE,   /* the keys of another schema, in the same mapping */
    /* Keys that leadline knows and does not do: `text` says what it does. The form that asks for nothing is taken. */
    FIELD_REFUSED_BOOL,   /* true is refused */
    FIELD_REFUSED_STRING, /* anything but "" is refused */
    FIELD_REFUSED_LIST,   /* anything but an empty list is refused */
    FIELD_REFUSED_MAP,    /* anything but an empty mapping is refused */
    FIELD_REFUSED_SET,    /* anything but null is refused */
};

typedef void(field_fn)(struct reader *r, struct node *n, void *out);

struct field {
    const char *key;
    enum field_kind kind;
    size_t offset;
    field_fn *fn;
    const struct schema *schema; /* FIELD_INLINE */
    const char *text;
};

struct schema {
    const char *type; /* as the original names it in "field x not found in type y" */
    const struct field *fields;
    size_t n;
};

#define SCHEMA(type_, fields_)                                                                                         \
    {                                                                                                                  \
        .type = (type_), .fields = (fields_), .n = sizeof(fields_) / sizeof((fields_)[0])                              \
    }

/* Notes an error and goes on; returns `code`. At the node; or at the mapping's key of that name when it is there, else
 * at the mapping; key NULL: at the node's own key. */
enum err reader_error(struct reader *r, const struct node *at, enum err code, const char *fmt, ...) PRINTF_LIKE(4, 5);
enum err reader_error_key(struct reader *r, const struct node *mapping, const char *key, enum err code, const char *fmt,
                          ...) PRINTF_LIKE(5, 6);
void reader_add_diag(struct reader *r, const struct diag *d, enum err code);
/* `cannot unmarshal !!str into type`: the value is not shown, it may be a secret. */
void reader_type_error(struct reader *r, const struct node *n, const char *type);
void reader_warn(struct reader *r, const struct node *at, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* As Go's %q, at most 200 bytes of it; in the plan's arena. */
const char *reader_quote(struct reader *r, struct str s);

/* True when the node is a mapping or null (then nothing is read); every other kind is an error. */
bool reader_mapping(struct reader *r, struct node *n, const struct schema *schema, void *out);
/* One value by its field; base is the struct that field->offset counts from. */
void reader_field(struct reader *r, const struct field *field, struct node *n, void *base);
/* True when it is a sequence with something in it. */
bool reader_sequence(struct reader *r, const struct node *n, const char *type);
bool reader_string(struct reader *r, struct node *n, struct str *out);
bool reader_strings(struct reader *r, struct node *n, const char *type, struct str **out, uint32_t *n_out);
bool reader_bool(struct reader *r, const struct node *n, bool *out);
bool reader_duration(struct reader *r, const struct node *n, int64_t *out_ms);
bool reader_uint(struct reader *r, const struct node *n, uint64_t *out);
bool reader_int(struct reader *r, const struct node *n, int64_t *out);
bool reader_is_null(const struct node *n);
/* Of a null: go-yaml does not even ask a type that decodes itself (durations, URLs, label names). It does for the
 * spellings Null and NULL, which such a type then reads as "". */
bool reader_is_skipped(const struct node *n);
/* Compiled for as long as the plan lives; NULL, with an error `what: ...` at the node, when it is not a regular
 * expression. */
struct regex *reader_regex(struct reader *r, const struct node *at, const char *what, struct str pattern);
/* The node is printed with this text, or as <secret>. */
void reader_show(struct reader *r, struct node *n, struct str text);
void reader_redact(struct reader *r, struct node *n);

/* Joined to the configuration's directory and cleaned; empty and absolute paths stay as they are. */
struct str reader_path(struct reader *r, struct str path);

/* What Go's net/url.Parse takes; the text of the refusal never shows the URL. */
enum err go_url_check(struct str url, const char **why) MUST_USE;
/* The URL with a password in it replaced by xxxxx, as Go's URL.Redacted does. */
struct str go_url_redacted(struct arena *a, struct str url);
/* Go's os.Expand over the environment: $x, ${x}, $$. Names that are unset or empty are given to `empty`. */
struct str go_expand(struct arena *a, struct str s, void (*empty)(void *ctx, struct str name), void *ctx);
/* Go's filepath.Join(dir, path). */
struct str go_path_join(struct arena *a, const char *dir, struct str path);

#endif
