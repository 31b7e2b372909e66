/* A file that follows a text: whole at every moment, written again when it is gone or could not be written, and with
 * the last text also when its owner leaves at once. */
#include "unit.h"

#include "discover/result_file.h"
#include "world.h"

struct bench {
    struct loop *loop;
    struct world_folder folder;
    char path[128];
    struct result_file *file;
};

static struct bench open_bench(const char *name)
{
    struct bench b = {.loop = loop_new("test"), .folder = world_folder_new()};

    snprintf(b.path, sizeof(b.path), "%s/%s", b.folder.path, name);
    b.file = result_file_new(b.loop, NULL, b.path);
    return b;
}

static void close_bench(struct bench *b)
{
    if (b->file)
        result_file_free(b->file);
    world_loop_free(b->loop);
    world_folder_free(&b->folder);
}

static bool holds(const struct bench *b, const char *text)
{
    AUTO_BUF got = {0};

    return file_read(b->path, 1000, &got, NULL) == OK && str_eq_c(buf_view(&got), text);
}

static void test_the_last_text_wins(void **state)
{
    (void)state;
    struct bench b = open_bench("list.json");
    struct stat st;

    result_file_put(b.file, STR("one"));
    result_file_put(b.file, STR("two"));
    result_file_put(b.file, STR("three"));
    world_until(b.loop, holds(&b, "three"));
    assert_int_equal(stat(b.path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    close_bench(&b);
}

static void test_an_equal_text_is_not_written_again(void **state)
{
    (void)state;
    struct bench b = open_bench("list.json");
    struct stat before, after;

    result_file_put(b.file, STR("same"));
    world_until(b.loop, holds(&b, "same"));
    assert_int_equal(stat(b.path, &before), 0);
    result_file_put(b.file, STR("same"));
    world_for(b.loop, 50);
    assert_int_equal(stat(b.path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(unlink(b.path), 0);
    result_file_put(b.file, STR("same"));
    world_until(b.loop, holds(&b, "same"));
    close_bench(&b);
}

static void test_a_write_that_fails_is_tried_again(void **state)
{
    (void)state;
    struct bench b = open_bench("later/list.json");
    char directory[128];

    result_file_put(b.file, STR("one"));
    world_for(b.loop, 50);
    assert_false(holds(&b, "one"));
    snprintf(directory, sizeof(directory), "%s/later", b.folder.path);
    assert_int_equal(mkdir(directory, 0755), 0);
    result_file_put(b.file, STR("one"));
    world_until(b.loop, holds(&b, "one"));
    close_bench(&b);
}

static void test_what_waits_is_written_at_the_end(void **state)
{
    (void)state;
    struct bench b = open_bench("list.json");

    result_file_put(b.file, STR("one"));
    result_file_put(b.file, STR("two"));
    result_file_free(b.file);
    b.file = NULL;
    world_until(b.loop, holds(&b, "two"));
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_text_wins),
        cmocka_unit_test(test_an_equal_text_is_not_written_again),
        cmocka_unit_test(test_a_write_that_fails_is_tried_again),
        cmocka_unit_test(test_what_waits_is_written_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
