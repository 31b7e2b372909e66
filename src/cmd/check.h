/* check: the parts of `leadline check`, each a command of its own. Arguments after its name; the exit status. */
#ifndef CMD_CHECK_H
#define CMD_CHECK_H

#include "cmd/flags.h"

int check_diff(int argc, char **argv);
int check_discovery(int argc, char **argv);
int check_iam(int argc, char **argv);
int check_metrics(int argc, char **argv);
int check_relabel(int argc, char **argv);
int check_web_config(int argc, char **argv);

#endif
