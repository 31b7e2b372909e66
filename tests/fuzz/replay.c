/* replay: runs a fuzz target over every file of a directory, without libFuzzer.
 *
 * Linked instead of libFuzzer by `make fuzz-corpus`, under ASan and UBSan: what fuzzing once found stays fixed, with
 * any compiler. Usage: PROGRAM DIRECTORY. Each file is copied into a block of exactly its size, so that reading past
 * its end is caught. Prints `ok N - FILE` for each; a crash ends the program, and the file named last is the culprit.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0)
        return 0;
    long size = ftell(f);
    uint8_t *bytes = size >= 0 ? malloc((size_t)size) : NULL;
    rewind(f);
    int whole = bytes && fread(bytes, 1, (size_t)size, f) == (size_t)size;
    if (whole)
        LLVMFuzzerTestOneInput(bytes, (size_t)size);
    free(bytes);
    fclose(f);
    return whole;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    struct dirent **names;
    int n = scandir(argv[1], &names, NULL, alphasort), number = 0, failed = 0;
    for (int i = 0; i < n; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", argv[1], names[i]->d_name);
        int hidden = names[i]->d_name[0] == '.';
        free(names[i]);
        if (hidden)
            continue;
        printf("# %s\n", path);
        fflush(stdout);
        int ok = run_file(path);
        printf("%s %d - %s\n", ok ? "ok" : "not ok", ++number, path);
        failed |= !ok;
    }
    if (n >= 0)
        free(names);
    if (number == 0)
        printf("ok 1 - no corpus, the empty input only\n");
    return failed;
}
