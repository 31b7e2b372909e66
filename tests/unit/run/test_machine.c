/* What the program grants itself on machines laid out below a folder of the test's own, and what the task metadata
 * endpoint of ECS adds. */
#include "unit.h"

#include <pthread.h>
#include <sched.h>

#include "net/http_server.h"
#include "run/machine.h"
#include "world.h"

static uint32_t all_cpus(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

#define V1_CPU    "sys/fs/cgroup/cpu"
#define V1_MEMORY "sys/fs/cgroup/memory"

static void test_without_a_group_everything_is_granted(void **state)
{
    struct world_folder f = world_folder_new();

    (void)state;
    assert_int_equal(machine_cpus(f.path), all_cpus());
    assert_true(machine_memory_limit(f.path) == 0);
    world_folder_free(&f);
}

/* In a container of version 2 its own group is the root. */
static void test_version_2_at_the_root(void **state)
{
    struct world_folder f = world_folder_new();

    (void)state;
    world_write(&f, "proc/self/cgroup", "0::/\n");
    world_write(&f, "sys/fs/cgroup/cpu.max", "25000 100000\n");
    world_write(&f, "sys/fs/cgroup/memory.max", "536870912\n");
    assert_int_equal(machine_cpus(f.path), 1); /* a quarter, rounded up */
    assert_true(machine_memory_limit(f.path) == 536870912);
    world_write(&f, "sys/fs/cgroup/cpu.max", "150000 100000\n");
    assert_int_equal(machine_cpus(f.path), least(2, all_cpus()));
    world_write(&f, "sys/fs/cgroup/cpu.max", "max 100000\n");
    world_write(&f, "sys/fs/cgroup/memory.max", "max\n");
    assert_int_equal(machine_cpus(f.path), all_cpus());
    assert_true(machine_memory_limit(f.path) == 0);
    world_folder_free(&f);
}

/* On the host, as a service of systemd: the group stands at its path, and the root has no files of limits. */
static void test_version_2_at_a_path(void **state)
{
    struct world_folder f = world_folder_new();

    (void)state;
    world_write(&f, "proc/self/cgroup", "0::/system.slice/leadline.service\n");
    world_write(&f, "sys/fs/cgroup/system.slice/leadline.service/cpu.max", "50000 100000\n");
    world_write(&f, "sys/fs/cgroup/system.slice/leadline.service/memory.max", "1048576\n");
    assert_int_equal(machine_cpus(f.path), 1);
    assert_true(machine_memory_limit(f.path) == 1048576);
    world_folder_free(&f);
}

/* In a container of version 1 the path is the host's and does not exist; the mount's root is the container's own. */
static void test_version_1_in_a_container(void **state)
{
    struct world_folder f = world_folder_new();

    (void)state;
    world_write(
        &f, "proc/self/cgroup",
        "12:memory:/ecs/0123/4567\n11:cpuset:/ecs/0123/4567\n4:cpu,cpuacct:/ecs/0123/4567\n1:name=systemd:/x\n");
    world_write(&f, V1_CPU "/cpu.cfs_quota_us", "100000\n");
    world_write(&f, V1_CPU "/cpu.cfs_period_us", "100000\n");
    world_write(&f, V1_MEMORY "/memory.limit_in_bytes", "268435456\n");
    assert_int_equal(machine_cpus(f.path), 1);
    assert_true(machine_memory_limit(f.path) == 268435456);
    world_folder_free(&f);
}

static void test_version_1_at_a_path(void **state)
{
    struct world_folder f = world_folder_new();

    (void)state;
    world_write(&f, "proc/self/cgroup", "4:cpuacct,cpu:/a\n3:memory:/b\n0::/\n");
    world_write(&f, V1_CPU "/cpu.cfs_quota_us", "-1\n");
    world_write(&f, V1_CPU "/cpu.cfs_period_us", "100000\n");
    world_write(&f, V1_CPU "/a/cpu.cfs_quota_us", "20000\n");
    world_write(&f, V1_CPU "/a/cpu.cfs_period_us", "100000\n");
    world_write(&f, V1_MEMORY "/memory.limit_in_bytes", "9223372036854771712\n");
    world_write(&f, V1_MEMORY "/b/memory.limit_in_bytes", "4096\n");
    assert_int_equal(machine_cpus(f.path), 1);
    assert_true(machine_memory_limit(f.path) == 4096);
    world_folder_free(&f);
}

static void test_version_1_without_limits(void **state)
{
    struct world_folder f = world_folder_new();

    (void)state;
    world_write(&f, V1_CPU "/cpu.cfs_quota_us", "-1\n");
    world_write(&f, V1_CPU "/cpu.cfs_period_us", "100000\n");
    world_write(&f, V1_MEMORY "/memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(machine_cpus(f.path), all_cpus());
    assert_true(machine_memory_limit(f.path) == 0);
    world_folder_free(&f);
}

static void test_nonsense_grants_everything(void **state)
{
    static const char *const texts[] = {"", "\n", "a b\n", "-5 100000\n", "100000 0\n", "100000\n", "nan nan\n"};
    struct world_folder f = world_folder_new();

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        world_write(&f, "proc/self/cgroup", texts[i]);
        world_write(&f, "sys/fs/cgroup/cpu.max", texts[i]);
        world_write(&f, "sys/fs/cgroup/memory.max", texts[i]);
        assert_int_equal(machine_cpus(f.path), all_cpus());
        machine_memory_limit(f.path);
    }
    world_folder_free(&f);
}

static void parsed(const char *json, double cpus, uint64_t memory)
{
    double c = -1;
    uint64_t m = 1;

    machine_parse_task(str_c(json), &c, &m);
    assert_true(c == cpus);
    assert_true(m == memory);
}

static void test_task_metadata(void **state)
{
    (void)state;
    parsed("{\"Cluster\": \"default\", \"Limits\": {\"CPU\": 0.25, \"Memory\": 512}, \"Containers\": []}", 0.25,
           512 << 20);
    parsed("{\"Limits\": {\"CPU\": 4}}", 4, 0);
    parsed("{\"Limits\": {\"Memory\": 30720}}", 0, (uint64_t)30720 << 20);
    parsed("{\"Limits\": null}", 0, 0);
    parsed("{}", 0, 0);
    parsed("[]", 0, 0);
    parsed("", 0, 0);
    parsed("<html>", 0, 0);
    parsed("{\"Limits\": {\"CPU\": \"4\", \"Memory\": \"512\"}}", 0, 0);
    parsed("{\"Limits\": {\"Memory\": -1}}", 0, 0);
    parsed("{\"Limits\": {\"Memory\": 1e300}}", 0, 0);
}

/* ---- an endpoint, on a thread of its own since the question waits ---- */

struct endpoint {
    pthread_t thread;
    struct loop *loop;
    struct http_server *server;
    struct message end;
    struct http_call *held; /* not answered before the end */
    int status;
    const char *body;
    char uri[64], asked[64];
};

static void on_call(void *ctx, struct http_call *call)
{
    struct endpoint *e = ctx;

    snprintf(e->asked, sizeof(e->asked), "%.*s", STR_ARGS(http_call_path(call)));
    if (e->status)
        http_call_answer(call, e->status, "application/json", str_c(e->body));
    else
        e->held = call;
}

static void on_end(struct message *m)
{
    struct endpoint *e = (struct endpoint *)((char *)m - offsetof(struct endpoint, end));

    http_server_free(e->server);
    if (e->held)
        http_call_answer(e->held, 200, "text/plain", STR(""));
    loop_stop(e->loop);
}

static void *endpoint_main(void *arg)
{
    struct endpoint *e = arg;

    loop_run(e->loop);
    return NULL;
}

static void open_endpoint(struct endpoint *e, int status, const char *body)
{
    struct http_server_options o = {.address = STR("127.0.0.1:0")};

    *e = (struct endpoint){.loop = loop_new("endpoint"), .status = status, .body = body, .end = {.deliver = on_end}};
    assert_int_equal(http_server_new(e->loop, NULL, &o, on_call, e, &e->server, NULL), OK);
    snprintf(e->uri, sizeof(e->uri), "http://127.0.0.1:%d/v4/abc-123", http_server_port(e->server));
    assert_int_equal(pthread_create(&e->thread, NULL, endpoint_main, e), 0);
}

static void close_endpoint(struct endpoint *e)
{
    loop_post(e->loop, &e->end);
    assert_int_equal(pthread_join(e->thread, NULL), 0);
    loop_free(e->loop);
}

static void test_asks_the_task(void **state)
{
    struct endpoint e;
    double cpus = 0;
    uint64_t memory = 0;

    (void)state;
    open_endpoint(&e, 200, "{\"Limits\": {\"CPU\": 2, \"Memory\": 1024}}");
    assert_true(machine_ask_task(e.uri, &cpus, &memory));
    close_endpoint(&e);
    assert_string_equal(e.asked, "/v4/abc-123/task");
    assert_true(cpus == 2 && memory == (uint64_t)1024 << 20);
}

static void test_a_task_that_does_not_tell(void **state)
{
    struct endpoint e;
    double cpus = 7;
    uint64_t memory = 7;

    (void)state;
    open_endpoint(&e, 404, "{\"Limits\": {\"CPU\": 2}}");
    assert_false(machine_ask_task(e.uri, &cpus, &memory));
    close_endpoint(&e);
    assert_false(machine_ask_task("http://127.0.0.1:1", &cpus, &memory)); /* nobody listens */
    assert_false(machine_ask_task("not a url", &cpus, &memory));
    assert_true(cpus == 7 && memory == 7);
}

static void test_a_task_that_hangs(void **state)
{
    struct endpoint e;
    double cpus = 0;
    uint64_t memory = 0;

    (void)state;
    open_endpoint(&e, 0, "");
    assert_false(machine_ask_task(e.uri, &cpus, &memory));
    close_endpoint(&e);
    assert_non_null(e.held);
}

static void test_disks(void **state)
{
    struct world_folder f = world_folder_new();

    (void)state;
    assert_int_equal(machine_disk(NULL), DISK_MEMORY);
    assert_int_equal(machine_disk("/does/not/exist"), DISK_UNKNOWN);
    setenv("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE", 1);
    assert_int_equal(machine_disk(f.path), DISK_GOES);
    unsetenv("AWS_EXECUTION_ENV");
    assert_int_not_equal(machine_disk(f.path), DISK_MEMORY);
    if (access("/dev/shm", W_OK) == 0)
        assert_int_equal(machine_disk("/dev/shm"), DISK_GOES);
    assert_string_equal(machine_disk_name(DISK_MEMORY), "no: memory only");
    assert_string_equal(machine_disk_name(DISK_STAYS), "yes");
    assert_string_equal(machine_disk_name(DISK_GOES), "no");
    assert_string_equal(machine_disk_name(DISK_UNKNOWN), "unknown");
    world_folder_free(&f);
}

static void test_containers(void **state)
{
    static const char *const names[] = {"ECS_CONTAINER_METADATA_URI", "ECS_CONTAINER_METADATA_URI_V4",
                                        "RUN_IN_CONTAINER"};

    (void)state;
    for (int i = 0; i < 3; i++)
        unsetenv(names[i]);
    if (getpid() == 1)
        skip();
    assert_false(machine_in_container());
    for (int i = 0; i < 3; i++) {
        setenv(names[i], "x", 1);
        assert_true(machine_in_container());
        unsetenv(names[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_group_everything_is_granted),
        cmocka_unit_test(test_version_2_at_the_root),
        cmocka_unit_test(test_version_2_at_a_path),
        cmocka_unit_test(test_version_1_in_a_container),
        cmocka_unit_test(test_version_1_at_a_path),
        cmocka_unit_test(test_version_1_without_limits),
        cmocka_unit_test(test_nonsense_grants_everything),
        cmocka_unit_test(test_task_metadata),
        cmocka_unit_test(test_asks_the_task),
        cmocka_unit_test(test_a_task_that_does_not_tell),
        cmocka_unit_test(test_a_task_that_hangs),
        cmocka_unit_test(test_disks),
        cmocka_unit_test(test_containers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
