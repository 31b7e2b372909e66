/* check_plan: the plan of a file, whichever dialect it is written in, for checks of plans. */
#ifndef CMD_CHECK_PLAN_H
#define CMD_CHECK_PLAN_H

#include "base/buf.h"
#include "config/config.h"

/* Whether the CloudWatch agent's defaults are those of its container. */
enum check_container { CHECK_CONTAINER_HERE, CHECK_CONTAINER_YES, CHECK_CONTAINER_NO }; /* HERE: as where this runs */

struct check_plan_options {
    struct str cluster, region; /* of the task that the CloudWatch agent's file is for; empty: of leadline's own */
    enum check_container container;
    bool strict;        /* config_agent_options.strict */
    bool syntax_only;   /* the files that a configuration names are not looked at */
    uint32_t *n_errors; /* how many were said; NULL: nobody asks */
};

/* What a check is given. A pipe is read once, here. */
struct check_input {
    const char *path;
    bool agents;  /* in the form of the CloudWatch agent, or a directory of such files */
    bool is_pipe; /* or anything else that is there once: `text` is what was in it */
    struct buf text;
};
void check_input_open(struct check_input *in, const char *path);
void check_input_release(struct check_input *in);
/* As config_load_prometheus. */
enum err check_input_prometheus(const struct check_input *in, const struct config_options *o, struct plan **out,
                                struct config_errors *errors, struct diag *d) MUST_USE;

/* The caller owns the reference. NULL: the errors have been said on standard error, one a line. */
struct plan *check_plan_of(const struct check_input *in, const struct check_plan_options *o);
struct plan *check_plan_load(const char *path, const struct check_plan_options *o); /* the same from its path */

#endif
