/* flags: command lines as kingpin takes them (--name=value, --name value, --[no-]name for booleans, repeatable lists),
 * from one table per program, which --help prints too.
 */
#ifndef CMD_FLAGS_H
#define CMD_FLAGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum flag_kind { FLAG_BOOL, FLAG_TEXT, FLAG_LIST, FLAG_DURATION, FLAG_SIZE, FLAG_NUMBER, FLAG_CHOICE };

/* What a program does with a flag of the original. */
enum flag_use {
    FLAG_USED,
    FLAG_AGENT_ONLY,      /* refused without --agent, as the original does */
    FLAG_SERVER_ONLY,     /* refused with --agent, as the original does; taken with a warning without it */
    FLAG_SERVER_USED,     /* refused with --agent; does something of ours without it */
    FLAG_NO_EFFECT,       /* taken: it is about something that leadline does not have (a Go runtime, a page's assets) */
    FLAG_AGENT_NO_EFFECT, /* the same, agent mode only */
    FLAG_REFUSED,         /* an error when it is given a value other than its default */
    FLAG_OURS,
};

struct flag_spec {
    const char *name;
    enum flag_kind kind;
    enum flag_use use;
    const char *initial; /* default; NULL: unset */
    const char *choices; /* FLAG_CHOICE: "debug|info"; of others: what --help shows in place of the default */
    const char *help;
    char letter; /* -h; 0 none */
    bool hidden;
};

struct flag_value {
    struct str *given; /* in order */
    uint32_t n;
    uint32_t order; /* of the first on the command line, from 1 */
};

struct flags {
    const char *program, *summary;
    const struct flag_spec *specs;
    uint32_t n_specs;
    struct flag_value *values; /* by spec */
    struct str *rest;          /* positional arguments */
    uint32_t n_rest, max_rest;
    uint32_t n_given;
    bool bad_value; /* why flags_parse failed: a value, not the form of the command line */
    struct arena arena;
};

void flags_init(struct flags *f, const char *program, const char *summary, const struct flag_spec *specs,
                uint32_t n_specs, uint32_t max_rest);
void flags_release(struct flags *f);
/* argv without the program's name. Values are checked against their kinds; the texts are the original's. */
enum err flags_parse(struct flags *f, int argc, char **argv, struct diag *d) MUST_USE;
void flags_print_help(const struct flags *f, struct buf *out);

/* A whole command: parses, answers --help (every table has it), else runs. A bad command line is said on standard error
 * and gives the status bad_usage. */
struct flags_command {
    const char *program, *summary;
    const struct flag_spec *specs;
    uint32_t n_specs, max_rest;
    int bad_usage;
    int (*run)(const struct flags *f);
};
int flags_run(const struct flags_command *c, int argc, char **argv);

bool flags_given(const struct flags *f, const char *name);
bool flags_bool(const struct flags *f, const char *name);
/* The last value given, else the default, else "". */
struct str flags_text(const struct flags *f, const char *name);
/* The same as the original's API shows it: the values of a list with commas between, "0s" or "0B" for no default. */
struct str flags_shown(const struct flags *f, const char *name, struct arena *a);
/* All values given; the default alone when there are none. */
uint32_t flags_list(const struct flags *f, const char *name, const struct str **out);
int64_t flags_duration_ms(const struct flags *f, const char *name);
uint64_t flags_size(const struct flags *f, const char *name);
int64_t flags_number(const struct flags *f, const char *name);

#endif
