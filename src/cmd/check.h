/* check: the parts of `leadline check`, each a command of its own. Arguments after its name; the exit status. */
#ifndef CMD_CHECK_H
#define CMD_CHECK_H

#include "cmd/flags.h"
#include "plan/plan.h"

struct check_input; /* check_plan.h */
/* `leadline check FILE` of a file of the CloudWatch agent, with the flags of check.c. */
bool check_agent(const struct flags *f, const struct check_input *in);
/* --trial: a cycle of everything but the delivery, told on standard output. False: something failed. */
bool check_trial(struct plan *plan, uint32_t timeout_ms);

int check_diff(int argc, char **argv);
int check_discovery(int argc, char **argv);
int check_iam(int argc, char **argv);
int check_metrics(int argc, char **argv);
int check_relabel(int argc, char **argv);
int check_web_config(int argc, char **argv);

#endif
