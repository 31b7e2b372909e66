/* fuzz_spool: a spool whose files hold anything at all is read to its end: by `leadline spool verify`, as by a start.
 *
 * The first byte says which file of a lane the rest is, and whether its checksums are made right, so that what lies
 * behind them is reached too. The ledger balances whatever is found.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spool/format_int.h"
#include "spool/found_int.h"
#include "spool/inspect.h"
#include "spool/spool_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEGMENT, OPEN_BATCH, CURSOR, SECOND_SEGMENT, KINDS, REPAIR = 8 };

static void repair_segment(uint8_t *p, size_t n)
{
    struct segment_header sh;
    struct record_header h;
    struct segment_footer f;
    if (n < sizeof(sh))
        return;
    memcpy(&sh, p, sizeof(sh));
    segment_header_finish(&sh);
    memcpy(p, &sh, sizeof(sh));
    size_t at = sizeof(sh);
    while (n - at >= sizeof(h)) {
        memcpy(&h, p + at, sizeof(h));
        if (record_size(&h) > n - at)
            break;
        record_finish(&h, p + at);
        at += record_size(&h);
    }
    if (n - at != sizeof(f))
        return;
    memcpy(&f, p + at, sizeof(f));
    f.end = at;
    segment_footer_finish(&f);
    memcpy(p + at, &f, sizeof(f));
}

static void repair_page(uint8_t *p, size_t n, bool cursor)
{
    if (n < PAGE)
        return;
    struct open_header oh;
    struct cursor_header ch;
    if (cursor) {
        memcpy(&ch, p, sizeof(ch));
        cursor_header_finish(&ch);
        memcpy(p, &ch, sizeof(ch));
    } else {
        memcpy(&oh, p, sizeof(oh));
        read_boot_id(oh.boot_id);
        open_header_finish(&oh);
        memcpy(p, &oh, sizeof(oh));
    }
    uint64_t generation;
    _Alignas(8) uint8_t slot[SLOT_STRIDE];
    size_t slot_size = cursor ? sizeof(struct cursor_slot) : sizeof(struct open_slot);
    memcpy(&generation, p + GENERATION_AT, sizeof(generation));
    memcpy(slot, p + SLOT_AT + (generation & 1) * SLOT_STRIDE, slot_size);
    generation--;
    memcpy(p + GENERATION_AT, &generation, sizeof(generation));
    slots_publish(p, slot, slot_size);
}

static void write_file(const char *path, const void *p, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0 && write(fd, p, n) == (ssize_t)n);
    close(fd);
}

static void on_file(void *ctx, const struct spool_file_info *info)
{
    uint64_t *waiting = ctx;
    *waiting += info->waiting_samples;
}

static enum err on_request(void *ctx, uint32_t lane, const struct spool_request *r)
{
    uint64_t *bytes = ctx;
    CHECK(lane == 0);
    for (uint32_t i = 0; i < r->n_borders; i++)
        *bytes += r->borders[i].bytes;
    *bytes += r->body.n ? (uint8_t)r->body.p[r->body.n - 1] : 0; /* within bounds */
    return OK;
}

static void read_all(const char *directory)
{
    uint64_t waiting = 0, bytes = 0;
    struct spool_ledger l;
    struct diag d = {0};
    if (spool_inspect(directory, true, on_file, &waiting, &l, &d) == OK) {
        uint64_t dropped = 0;
        for (int i = 0; i < DROP_REASONS; i++)
            dropped += l.dropped[i];
        CHECK(l.read == l.delivered + l.waiting + dropped);
    }
    enum err e = spool_inspect_requests(directory, on_request, &bytes, &d);
    CHECK(e == OK || d.text[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char directory[64], lane[96];
    if (!directory[0]) {
        snprintf(directory, sizeof(directory), "/tmp/fuzz-spool-XXXXXX");
        CHECK(mkdtemp(directory) != NULL);
        char meta[96];
        snprintf(meta, sizeof(meta), "%s/meta", directory);
        char text[64];
        int n = snprintf(text, sizeof(text), "leadline spool\nversion %d\nlanes %d\n", SPOOL_VERSION, SPOOL_LANES);
        write_file(meta, text, (size_t)n);
        snprintf(lane, sizeof(lane), "%s/lane-00", directory);
        CHECK(mkdir(lane, 0700) == 0);
    }
    if (size < 1)
        return 0;
    static const char *const names[KINDS] = {"00000001", "open-0", "cursor", "00000002"};
    int kind = data[0] % REPAIR % KINDS;
    uint8_t *bytes = malloc(size);
    memcpy(bytes, data + 1, size - 1);
    if (data[0] & REPAIR && (kind == SEGMENT || kind == SECOND_SEGMENT))
        repair_segment(bytes, size - 1);
    else if (data[0] & REPAIR)
        repair_page(bytes, size - 1, kind == CURSOR);
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", lane, names[kind]);
    write_file(path, bytes, size - 1);
    free(bytes);
    read_all(directory);
    unlink(path);
    return 0;
}
