/* machine: see the header. Small files of /proc and /sys, read whole and parsed leniently: what cannot be read grants
 * everything. The control group is found by the process's own line in /proc/self/cgroup, first at that path below the
 * mount point, then, since a container sees the host's path and its own group as the root, at the mount point itself.
 *
 * What the task as a whole is granted stands in the task metadata endpoint alone: a container does not see the limits
 * of the group above its own. It is asked once, at start, before there are loops to block.
 */
#include "run/machine.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"
#include "run/ask.h"
#include "wire/tree.h"

enum { SMALL_FILE = 64 << 10, TASK_PATIENCE_MS = 1000 };

static bool read_small(const char *root, const char *path, struct buf *out)
{
    char full[512];

    snprintf(full, sizeof(full), "%s%s", root, path);
    buf_clear(out);
    return file_read(full, SMALL_FILE, out, NULL) == OK;
}

/* The path after "<controllers>:" of a /proc/self/cgroup line; v2 has no controllers. */
static bool group_path(const char *root, const char *controller, char *out, size_t size)
{
    AUTO_BUF text = {0};
    struct str rest, line;

    if (!read_small(root, "/proc/self/cgroup", &text))
        return false;
    rest = buf_view(&text);
    while (rest.n) {
        struct str number, controllers, path;
        str_cut(rest, '\n', &line, &rest);
        if (!str_cut(line, ':', &number, &line) || !str_cut(line, ':', &controllers, &path))
            continue;
        struct str one, more = controllers;
        do {
            str_cut(more, ',', &one, &more);
            if (str_eq_c(one, controller)) {
                snprintf(out, size, "%.*s", STR_ARGS(path));
                return true;
            }
        } while (more.n);
    }
    return false;
}

/* Reads `file` of the controller's group: at the mount's root (a container sees its own there), else at its path. */
static bool read_group(const char *root, const char *mount, const char *controller, const char *file, struct buf *out)
{
    char path[256] = "", full[512];

    if (group_path(root, controller, path, sizeof(path)) && strcmp(path, "/") != 0) {
        snprintf(full, sizeof(full), "%s%s/%s", mount, path, file);
        if (read_small(root, full, out))
            return true;
    }
    snprintf(full, sizeof(full), "%s/%s", mount, file);
    return read_small(root, full, out);
}

static double number(struct str s)
{
    double v = 0;
    return num_parse_double(str_trim(s), &v) == OK ? v : 0;
}

/* CPUs of the quota; 0: none. */
static double group_cpus(const char *root)
{
    AUTO_BUF text = {0};
    AUTO_BUF period = {0};

    if (read_group(root, "/sys/fs/cgroup", "", "cpu.max", &text)) {
        struct str quota, per;
        str_cut(str_trim(buf_view(&text)), ' ', &quota, &per);
        if (!str_eq(quota, STR("max")) && number(per) > 0)
            return number(quota) / number(per);
        return 0;
    }
    if (!read_group(root, "/sys/fs/cgroup/cpu", "cpu", "cpu.cfs_quota_us", &text) ||
        !read_group(root, "/sys/fs/cgroup/cpu", "cpu", "cpu.cfs_period_us", &period))
        return 0;
    double q = number(buf_view(&text)), p = number(buf_view(&period));
    return q > 0 && p > 0 ? q / p : 0;
}

uint32_t machine_cpus(const char *root)
{
    cpu_set_t set;
    double cpus = (double)sysconf(_SC_NPROCESSORS_ONLN);
    double quota = group_cpus(root);

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        cpus = CPU_COUNT(&set);
    if (quota > 0 && quota < cpus)
        cpus = quota;
    cpus = ceil(cpus);
    return cpus < 1 ? 1 : (uint32_t)cpus;
}

uint64_t machine_memory_limit(const char *root)
{
    AUTO_BUF text = {0};
    uint64_t limit = 0;

    if (!read_group(root, "/sys/fs/cgroup", "", "memory.max", &text) &&
        !read_group(root, "/sys/fs/cgroup/memory", "memory", "memory.limit_in_bytes", &text))
        return 0;
    if (num_parse_u64(str_trim(buf_view(&text)), &limit) || limit >= (uint64_t)1 << 60)
        return 0; /* "max", or v1's largest page count */
    return limit;
}

/* The number behind `name` in a file of lines `name value [unit]`, or `name: value`; 0 without it. */
static uint64_t field_of(struct str text, struct str name)
{
    struct str line;
    while (text.n) {
        uint64_t value;
        str_cut(text, '\n', &line, &text);
        if (!str_starts(line, name))
            continue;
        struct str rest = str_trim(str_from(line.p + name.n, line.n - name.n)), number;
        str_cut(rest, ' ', &number, &rest);
        return num_parse_u64(number, &value) ? 0 : value;
    }
    return 0;
}

static uint64_t group_number(const char *root, const char *mount, const char *controller, const char *file)
{
    AUTO_BUF text = {0};
    uint64_t n;
    return read_group(root, mount, controller, file, &text) && !num_parse_u64(str_trim(buf_view(&text)), &n) ? n : 0;
}

struct machine_memory machine_memory(const char *root)
{
    struct machine_memory m = {.group_limit = machine_memory_limit(root)};
    AUTO_BUF text = {0};
    const char *mount = "/sys/fs/cgroup", *controller = "";
    struct str idle = STR("inactive_file ");

    if (read_small(root, "/proc/self/status", &text)) {
        struct str status = buf_view(&text);
        m.own_bytes = (field_of(status, STR("RssAnon:")) + field_of(status, STR("RssShmem:"))) << 10;
    }
    m.group_bytes = group_number(root, mount, controller, "memory.current");
    if (!m.group_bytes) {
        mount = "/sys/fs/cgroup/memory";
        controller = "memory";
        idle = STR("total_inactive_file ");
        m.group_bytes = group_number(root, mount, controller, "memory.usage_in_bytes");
    }
    if (m.group_bytes && read_group(root, mount, controller, "memory.stat", &text)) {
        uint64_t unused = field_of(buf_view(&text), idle);
        m.group_bytes -= unused < m.group_bytes ? unused : m.group_bytes;
    }
    return m;
}

void machine_parse_task(struct str json, double *cpus, uint64_t *memory_bytes)
{
    struct arena a = {0};
    struct node *root = NULL;

    *cpus = 0;
    *memory_bytes = 0;
    if (tree_parse_json(json, "task metadata", &a, &root, NULL) == OK && root) {
        const struct node *limits = node_find(root, "Limits");
        const struct node *cpu = limits ? node_find(limits, "CPU") : NULL;
        const struct node *memory = limits ? node_find(limits, "Memory") : NULL;
        if (cpu && cpu->kind == NODE_NUMBER)
            *cpus = number(cpu->text);
        double mib = memory && memory->kind == NODE_NUMBER ? number(memory->text) : 0;
        if (mib > 0 && mib < 1e12)
            *memory_bytes = (uint64_t)mib << 20;
    }
    arena_release(&a);
}

bool machine_ask_task(const char *uri, double *cpus, uint64_t *memory_bytes)
{
    AUTO_BUF url = {0};
    AUTO_BUF body = {0};
    int status = 0;

    buf_printf(&url, "%s/task", uri);
    if (ask_get(buf_view(&url), false, TASK_PATIENCE_MS, &status, &body, NULL) || status != 200)
        return false;
    machine_parse_task(buf_view(&body), cpus, memory_bytes);
    return true;
}

bool machine_in_container(void)
{
    return getpid() == 1 || getenv("ECS_CONTAINER_METADATA_URI") || getenv("ECS_CONTAINER_METADATA_URI_V4") ||
           getenv("RUN_IN_CONTAINER");
}

uint64_t machine_raise_files(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r))
        return 0;
    if (r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &r) && getrlimit(RLIMIT_NOFILE, &r))
            return 0;
    }
    return r.rlim_cur;
}

/* statfs(2) magic numbers. */
enum { MAGIC_NFS = 0x6969, MAGIC_SMB2 = 0x4d534d42, MAGIC_TMPFS = 0x01021994, MAGIC_OVERLAY = 0x794c7630 };

enum machine_disk machine_disk(const char *directory)
{
    struct statfs fs;

    if (!directory)
        return DISK_MEMORY;
    if (statfs(directory, &fs))
        return DISK_UNKNOWN;
    if (fs.f_type == MAGIC_NFS || (uint32_t)fs.f_type == 0xff534d42u || fs.f_type == MAGIC_SMB2)
        return DISK_STAYS;
    const char *environment = getenv("AWS_EXECUTION_ENV");
    bool fargate = environment && strcmp(environment, "AWS_ECS_FARGATE") == 0;
    if (fargate || fs.f_type == MAGIC_TMPFS || (machine_in_container() && fs.f_type == MAGIC_OVERLAY))
        return DISK_GOES;
    return DISK_UNKNOWN;
}

const char *machine_disk_name(enum machine_disk d)
{
    switch (d) {
    case DISK_STAYS:
        return "yes";
    case DISK_GOES:
        return "no";
    case DISK_MEMORY:
        return "no: memory only";
    case DISK_UNKNOWN:
        break;
    }
    return "unknown";
}
