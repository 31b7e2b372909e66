/* fuzz_fold_state: a start takes whatever the file `state` holds, and works with it.
 *
 * The first byte says whether header and checks are made right, so that what lies behind them is reached too. What is
 * found can be read, written to and closed, and is found again by the next start.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "spool/fold_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REPAIR_HEADER = 1, REPAIR_PAGES = 2, PAGES_MAX = 20 };

static void repair_header(uint8_t *p, const struct spool *s)
{
    struct fold_header h = {.magic = FOLD_MAGIC, .version = FOLD_VERSION};
    memcpy(h.boot_id, s->boot_id, BOOT_ID_SIZE);
    h.crc = hash_crc32c(str_from((char *)&h.version, sizeof(h) - offsetof(struct fold_header, version)), 0);
    memcpy(p, &h, sizeof(h));
    struct fold_slot slot = {0};
    slots_publish(p, &slot, sizeof(slot));
}

static void repair_word(uint64_t id, uint64_t value, uint64_t *time, uint64_t *from)
{
    uint64_t count = fold_version_from(*from);
    int64_t ts = fold_version_ms(*time);
    uint32_t check = fold_check(id, value, (uint64_t)ts, count);
    *time = fold_time_word(ts, check);
    *from = count ? fold_from_word(count, check) : 0;
}

static void repair_page(struct fold_page *p)
{
    p->lane %= SPOOL_LANES;
    p->key %= 8;
    p->mark = (uint64_t)fold_check(p->key, p->lane, FOLD_PAGE_MARK, 0) << 32 | FOLD_PAGE_MARK;
    for (int i = 0; i < 2; i++)
        repair_word(p->key, 0, &p->touch[i].time, &p->touch[i].from);
    for (int i = 0; i < FOLD_PAGE_SERIES; i++)
        for (int v = 0; v < 2; v++)
            repair_word(p->series[i].id, p->series[i].version[v].value, &p->series[i].version[v].time,
                        &p->series[i].version[v].from);
}

static void use(struct fold_state *f)
{
    for (uint64_t key = 0; key < 8; key++) {
        struct fold_block *b = fold_state_block(f, key, (uint32_t)key % SPOOL_LANES);
        uint32_t n = fold_block_series(b);
        for (uint32_t i = 0; i < n; i++) {
            struct fold_value v;
            CHECK(fold_block_get(b, i, &v) || true);
            if (i % 2)
                fold_block_set(b, i, (struct fold_value){1, 1000}, 5);
        }
        uint32_t found = fold_block_find(b, key + 1);
        CHECK(found == FOLD_NONE || found < n);
        if (found == FOLD_NONE)
            found = fold_block_add(b, key + 1);
        fold_block_set(b, found, (struct fold_value){(double)key, 2000}, 6);
        fold_block_touch(b, 2000, 6);
        CHECK(fold_block_last_ms(b) == 2000);
        fold_block_compact(b, 1500);
        struct fold_value v;
        CHECK(fold_block_get(b, fold_block_find(b, key + 1), &v) && v.value == (double)key);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char directory[64], path[96];
    static struct loop *loop;
    static struct spool_budget budget = {.max_bytes = UINT64_MAX};
    if (!loop) {
        snprintf(directory, sizeof(directory), "/tmp/fuzz-fold-XXXXXX");
        CHECK(mkdtemp(directory) != NULL);
        snprintf(path, sizeof(path), "%s/state", directory);
        loop = loop_new("fuzz");
    }
    if (size < 1 || size > (size_t)PAGES_MAX * PAGE)
        return 0;
    struct spool_options o = {.directory = directory, .destination = "fuzz", .protocol = 16, .budget = &budget};
    struct spool *s;
    struct diag d = {0};
    CHECK(spool_open(&o, &s, &d) == OK);
    uint8_t *bytes = aligned_alloc(8, PAGES_MAX * PAGE);
    memcpy(bytes, data + 1, size - 1);
    if (data[0] & REPAIR_HEADER && size > PAGE)
        repair_header(bytes, s);
    for (size_t at = PAGE; data[0] & REPAIR_PAGES && at + PAGE < size; at += PAGE)
        repair_page((struct fold_page *)(void *)(bytes + at));
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, bytes, size - 1) == (ssize_t)(size - 1));
    close(fd);
    free(bytes);
    /* Counts that the versions may be below. */
    for (uint32_t i = 0; i < SPOOL_LANES; i++)
        account_store(&s->lanes[i].account, &(struct spool_ledger){.read = data[0] & 4 ? (uint64_t)1 << 40 : 3});
    for (int i = 0; i < 2; i++) {
        struct fold_state *f;
        CHECK(fold_state_open(s, loop, &f, &d) == OK);
        if (i == 0)
            use(f);
        fold_state_close(f);
    }
    spool_close(s);
    return 0;
}
