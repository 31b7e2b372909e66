/* cmd: the programs. Each takes the arguments after its own name and gives the exit status. */
#ifndef CMD_CMD_H
#define CMD_CMD_H

int cmd_prometheus(int argc, char **argv);
int cmd_cloudwatch_agent(int argc, char **argv);
int cmd_check(int argc, char **argv); /* leadline check FILE, and promtool's `check config` */
int cmd_check_aws(int argc, char **argv); /* leadline check aws */
int cmd_cloudmap_sd(int argc, char **argv); /* leadline cloudmap-sd */
int cmd_healthcheck(int argc, char **argv);
int cmd_spool(int argc, char **argv); /* leadline spool ls|verify|replay DIR */

#endif
