/* machine: what the machine, the control group and the task grant.
 * Sources: cgroup v1 cpu.cfs_quota_us/cpu.cfs_period_us, memory.limit_in_bytes; v2 cpu.max, memory.max; Amazon ECS task
 * metadata v4 (/task: Limits.CPU in vCPU, Limits.Memory in MiB).
 */
#ifndef RUN_MACHINE_H
#define RUN_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct log;

/* CPUs, rounded up, at least 1: the least of the task's limit, the control group's quota and the CPUs allowed.
 * `root` is "" but for tests, which lay out a /proc and /sys of their own below it. */
uint32_t machine_cpus(const char *root);
/* Bytes; 0 when there is no limit. */
uint64_t machine_memory_limit(const char *root);
struct machine_memory {
    uint64_t own_bytes;   /* anonymous and shared memory of this process: what cannot be written back; 0: not known */
    uint64_t group_bytes; /* of its control group, without page cache that nobody has used lately; 0: not known */
    uint64_t group_limit; /* as machine_memory_limit */
};
struct machine_memory machine_memory(const char *root);
/* Limits of the answer of the task metadata endpoint; 0 where it says none. */
void machine_parse_task(struct str json, double *cpus, uint64_t *memory_bytes);
/* Asks $ECS_CONTAINER_METADATA_URI_V4/task, waiting at most a second. Blocking: at start only. False without an answer.
 */
bool machine_ask_task(const char *uri, double *cpus, uint64_t *memory_bytes);
/* PID 1, ECS_CONTAINER_METADATA_URI*, or RUN_IN_CONTAINER. */
bool machine_in_container(void);
/* Raises the soft limit of open files to the hard one; gives the limit. */
uint64_t machine_raise_files(void);

/* Does what is written to this directory outlive the task? */
enum machine_disk { DISK_UNKNOWN, DISK_STAYS, DISK_GOES, DISK_MEMORY };
enum machine_disk machine_disk(const char *directory);
const char *machine_disk_name(enum machine_disk d); /* for the last log line */

#endif
