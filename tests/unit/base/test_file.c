/* Files: read with a limit, replaced whole, directories made on the way. */
#include "unit.h"

#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static char dir[64];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "%s", "/tmp/leadline-file-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *in_dir(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void replaces_and_reads(void **state)
{
    (void)state;
    AUTO_BUF b = {0};
    assert_int_equal(file_replace(in_dir("a"), STR("first, longer"), NULL), OK);
    assert_int_equal(file_replace(in_dir("a"), STR("second"), NULL), OK);
    buf_c(&b, "> ");
    assert_int_equal(file_read(in_dir("a"), 100, &b, NULL), OK);
    assert_string_equal(b.p, "> second");
    assert_int_equal(access(in_dir("a.tmp"), F_OK), -1);
}

static void a_left_over_temporary_is_no_obstacle(void **state)
{
    (void)state;
    AUTO_BUF b = {0};
    assert_int_equal(symlink("/etc/hostname", in_dir("b.tmp")), 0); /* nor a way to write elsewhere */
    assert_int_equal(file_replace(in_dir("b"), STR("x"), NULL), OK);
    assert_int_equal(file_read(in_dir("b"), 1, &b, NULL), OK);
    assert_string_equal(b.p, "x");
}

static void limits_and_absence(void **state)
{
    (void)state;
    AUTO_BUF b = {0};
    struct diag d = {0};
    assert_int_equal(file_read(in_dir("none"), 10, &b, &d), ERR_NOT_FOUND);
    assert_non_null(strstr(d.text, "none: No such file or directory"));
    assert_int_equal(file_replace(in_dir("c"), STR("12345"), NULL), OK);
    buf_c(&b, "kept");
    assert_int_equal(file_read(in_dir("c"), 4, &b, NULL), ERR_LIMIT);
    assert_string_equal(b.p, "kept");
    assert_int_equal(file_read(in_dir("c"), 5, &b, NULL), OK);
    assert_int_equal(file_read(dir, 5, &b, NULL), ERR_IO);
    assert_int_equal(file_read("/proc/self/status", 1 << 20, &b, NULL), OK); /* says size 0 */
    assert_non_null(strstr(b.p, "VmRSS"));
    assert_int_equal(file_replace(in_dir("no/such/dir"), STR("x"), NULL), ERR_NOT_FOUND);
}

static void makes_directories(void **state)
{
    (void)state;
    struct stat st;
    struct diag d = {0};
    assert_int_equal(file_mkdirs(in_dir("x/y//z/"), NULL), OK);
    assert_int_equal(file_mkdirs(in_dir("x/y/z"), NULL), OK);
    assert_int_equal(stat(in_dir("x/y/z"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(st.st_mode & 07, 0);
    assert_int_equal(file_replace(in_dir("f"), STR(""), NULL), OK);
    assert_int_equal(file_mkdirs(in_dir("f/g"), &d), ERR_IO);
    assert_non_null(strstr(d.text, "Not a directory"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replaces_and_reads),
        cmocka_unit_test(a_left_over_temporary_is_no_obstacle),
        cmocka_unit_test(limits_and_absence),
        cmocka_unit_test(makes_directories),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
