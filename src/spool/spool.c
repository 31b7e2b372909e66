/* spool: a sink's directory: lock, meta, lanes, the caps and the ledger.
 *
 *   meta       text: "leadline spool", then `version 4`, `lanes 16`, `protocol 1`; replaced whole
 *   lock       flock by the one process that uses the directory; the kernel lets go when that process ends
 *   lane-NN/   on first use; lane.c and found.c
 *
 * Whatever else lies in the directory is somebody else's (a Prometheus agent's wal/, say) and is never touched.
 *
 * A start reads meta, the cursors, the open batches and the segments' footers: not the segments, so that a full
 * spool of gigabytes starts as quickly as an empty one. What is found is kept until the lane's owner opens it;
 * until then the ledger shows it from there.
 *
 * Threads: opened and closed on the control thread. Lanes belong to workers. What they share are atomics: the
 * budget's byte accounts, and one account per lane, a sequence lock with one writer: the owner stores all terms of
 * its ledger between two increments of the sequence, readers repeat until they see the same even number before and
 * after. So the balance holds in every picture of a lane, and a sum over lanes balances because each of its terms
 * does.
 */
#include "spool/spool_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/num.h"

enum {
    STATVFS_PERIOD_MS = 5000,
    LOG_PERIOD_MS = 60000,
    SEGMENT_BYTES_MIN = 64 << 10,
    SEGMENT_BYTES_MAX = 8 << 20,
    META_MAX = 4096,
};

const char *spool_reason_name(enum spool_reason r)
{
    static const char *const names[DROP_REASONS] = {
        "relabel", "unsendable",      "histogram", "type", "no_baseline", "not_newer", "not_finite", "undeclared",
        "refused", "maybe_delivered", "too_old",   "age",  "cap",         "memory",    "crash",      "corrupt",
        "stop",    "too_new",         "expired"};
    return (unsigned)r < DROP_REASONS ? names[r] : "unknown";
}

const char *spool_protocol_name(uint32_t protocol)
{
    switch (protocol) {
    case 1:
        return "remote write 1.0";
    case 2:
        return "remote write 2.0";
    case 16:
        return "CloudWatch Logs";
    case 17:
        return "CloudWatch metrics";
    default:
        return "an unknown protocol";
    }
}

void lane_name(uint32_t lane, char out[LANE_NAME_SIZE])
{
    snprintf(out, LANE_NAME_SIZE, "lane-%02u", lane);
}

bool lane_parse_name(const char *name, uint32_t *lane)
{
    uint64_t n;
    if (strncmp(name, "lane-", 5) != 0 || strlen(name) != 7 || num_parse_u64(str_c(name + 5), &n) != OK ||
        n >= SPOOL_LANES)
        return false;
    *lane = (uint32_t)n;
    return true;
}

/* ---- accounts ---- */

void account_store(struct account *a, const struct spool_ledger *l)
{
    uint64_t sequence = atomic_load_explicit(&a->sequence, memory_order_relaxed);
    atomic_store_explicit(&a->sequence, sequence + 1, memory_order_relaxed);
    /* Release: whoever sees one of these sees the odd number too. */
    atomic_store_explicit(&a->read, l->read, memory_order_release);
    atomic_store_explicit(&a->delivered, l->delivered, memory_order_release);
    atomic_store_explicit(&a->waiting, l->waiting, memory_order_release);
    atomic_store_explicit(&a->possible_duplicates, l->possible_duplicates, memory_order_release);
    atomic_store_explicit(&a->requests_waiting, l->requests_waiting, memory_order_release);
    atomic_store_explicit(&a->bytes_waiting, l->bytes_waiting, memory_order_release);
    atomic_store_explicit(&a->oldest_ms, (uint64_t)l->oldest_ms, memory_order_release);
    for (int i = 0; i < DROP_REASONS; i++)
        atomic_store_explicit(&a->dropped[i], l->dropped[i], memory_order_release);
    atomic_store_explicit(&a->sequence, sequence + 2, memory_order_release);
}

void account_load(const struct account *a, struct spool_ledger *out)
{
    for (;;) {
        uint64_t sequence = atomic_load_explicit(&a->sequence, memory_order_acquire);
        out->read = atomic_load_explicit(&a->read, memory_order_acquire);
        out->delivered = atomic_load_explicit(&a->delivered, memory_order_acquire);
        out->waiting = atomic_load_explicit(&a->waiting, memory_order_acquire);
        out->possible_duplicates = atomic_load_explicit(&a->possible_duplicates, memory_order_acquire);
        out->requests_waiting = atomic_load_explicit(&a->requests_waiting, memory_order_acquire);
        out->bytes_waiting = atomic_load_explicit(&a->bytes_waiting, memory_order_acquire);
        out->oldest_ms = (int64_t)atomic_load_explicit(&a->oldest_ms, memory_order_acquire);
        for (int i = 0; i < DROP_REASONS; i++)
            out->dropped[i] = atomic_load_explicit(&a->dropped[i], memory_order_acquire);
        if (!(sequence & 1) && atomic_load_explicit(&a->sequence, memory_order_relaxed) == sequence)
            return;
    }
}

void ledger_add(struct spool_ledger *sum, const struct spool_ledger *l)
{
    sum->read += l->read;
    sum->delivered += l->delivered;
    sum->waiting += l->waiting;
    for (int i = 0; i < DROP_REASONS; i++)
        sum->dropped[i] += l->dropped[i];
    sum->possible_duplicates += l->possible_duplicates;
    sum->requests_waiting += l->requests_waiting;
    sum->bytes_waiting += l->bytes_waiting;
    if (l->oldest_ms && (sum->oldest_ms == 0 || l->oldest_ms < sum->oldest_ms))
        sum->oldest_ms = l->oldest_ms;
}

void ledger_of_found(const struct lane_found *f, struct spool_ledger *out)
{
    *out = (struct spool_ledger){.read = f->totals.read,
                                 .delivered = f->cursor.delivered,
                                 .waiting = f->samples_waiting,
                                 .requests_waiting = f->requests_waiting,
                                 .possible_duplicates = f->cursor.possible_duplicates};
    for (int i = 0; i < DROP_REASONS; i++)
        out->dropped[i] = f->cursor.dropped[i];
    for (int i = 0; i < DROPS_AT_COMMIT; i++)
        out->dropped[i] += f->totals.drops.n[i];
    for (size_t i = 0; i < f->n_segments; i++) {
        const struct segment_info *g = &f->segments[i];
        out->bytes_waiting += g->bytes_left;
        if (g->requests_left && !out->oldest_ms)
            out->oldest_ms = g->oldest_sealed_ms;
    }
    for (const struct request *r = f->open.first; r; r = r->next) {
        out->bytes_waiting += r->image.n;
        if (!out->oldest_ms)
            out->oldest_ms = r->view.sealed_ms;
    }
}

void spool_ledger_lane(struct spool *s, uint32_t lane, struct spool_ledger *out)
{
    account_load(&s->lanes[lane].account, out);
}

void spool_ledger(struct spool *s, struct spool_ledger *out)
{
    *out = (struct spool_ledger){0};
    for (uint32_t i = 0; i < SPOOL_LANES; i++) {
        struct spool_ledger l;
        spool_ledger_lane(s, i, &l);
        ledger_add(out, &l);
    }
}

/* ---- caps ---- */

void spool_hold_disk(struct spool *s, int64_t bytes, bool mapping)
{
    atomic_fetch_add_explicit(&s->o.budget->disk_bytes, (uint64_t)bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->held_bytes, (uint64_t)bytes, memory_order_relaxed);
    if (mapping)
        atomic_fetch_add_explicit(&s->o.budget->mapping_bytes, (uint64_t)bytes, memory_order_relaxed);
}

void spool_hold_memory(struct spool *s, int64_t bytes)
{
    atomic_fetch_add_explicit(&s->o.budget->memory_bytes, (uint64_t)bytes, memory_order_relaxed);
}

/* Open batches are needed to go on at all: a cap that they nearly fill leaves the segments half of it. */
bool spool_over_cap(const struct spool *s, uint64_t more)
{
    const struct spool_budget *b = s->o.budget;
    uint64_t all = atomic_load_explicit(&b->disk_bytes, memory_order_relaxed);
    uint64_t mapping = atomic_load_explicit(&b->mapping_bytes, memory_order_relaxed);
    uint64_t left = mapping < b->max_bytes ? b->max_bytes - mapping : 0;
    if (left < b->max_bytes / 2)
        left = b->max_bytes / 2;
    return all - mapping + more > left;
}

bool spool_over_file_system(const struct spool *s, uint64_t more)
{
    uint64_t all = atomic_load_explicit(&s->o.budget->disk_bytes, memory_order_relaxed);
    return all + more > atomic_load_explicit(&s->allowed_bytes, memory_order_relaxed);
}

void spool_look_at_file_system(struct spool *s)
{
    uint64_t now = clock_mono_ms();
    uint64_t last = atomic_load_explicit(&s->statvfs_ms, memory_order_relaxed);
    struct statvfs v;
    if (last && now - last < STATVFS_PERIOD_MS)
        return;
    atomic_store_explicit(&s->statvfs_ms, now, memory_order_relaxed);
    if (fstatvfs(s->dir, &v) != 0 || v.f_blocks == 0)
        return;
    uint64_t all = atomic_load_explicit(&s->o.budget->disk_bytes, memory_order_relaxed);
    uint64_t free_bytes = (uint64_t)v.f_bavail * v.f_frsize, reserve = (uint64_t)v.f_blocks * v.f_frsize / 10;
    uint64_t allowed = all + free_bytes > reserve ? all + free_bytes - reserve : 0;
    atomic_store_explicit(&s->allowed_bytes, allowed, memory_order_relaxed);
}

bool spool_sync_allow(const struct spool *s)
{
    return clock_mono_ms() >= atomic_load_explicit(&s->next_sync_ms, memory_order_relaxed);
}

void spool_synced(struct spool *s, uint64_t took_ms)
{
    atomic_store_explicit(&s->next_sync_ms, clock_mono_ms() + 4 * took_ms, memory_order_relaxed);
}

bool spool_log_allow(struct spool *s, uint32_t *suppressed)
{
    uint64_t now = clock_mono_ms();
    uint64_t next = atomic_load_explicit(&s->next_log_ms, memory_order_relaxed);
    if (now < next || !atomic_compare_exchange_strong(&s->next_log_ms, &next, now + LOG_PERIOD_MS)) {
        atomic_fetch_add(&s->log_swallowed, 1);
        return false;
    }
    *suppressed = atomic_exchange(&s->log_swallowed, 0);
    return true;
}

/* ---- directory, lock, meta ---- */

void read_boot_id(char out[BOOT_ID_SIZE])
{
    memset(out, 0, BOOT_ID_SIZE);
    AUTO_BUF b = {0};
    if (file_read("/proc/sys/kernel/random/boot_id", 4096, &b, NULL) == OK)
        memcpy(out, b.p, b.n < BOOT_ID_SIZE - 1 ? b.n : BOOT_ID_SIZE - 1);
}

/* Where a shared mapping is no promise: statfs(2) magic numbers of file systems whose pages are kept by someone else.
 */
static bool on_network(int dir)
{
    static const uint32_t magics[] = {
        0x6969,     /* NFS, so EFS too */
        0xff534d42, /* CIFS */
        0xfe534d42, /* SMB2 */
        0x517b,     /* SMB */
        0x65735546, /* FUSE */
        0x01021997, /* 9P */
        0x00c36400, /* Ceph */
        0x0bd00bd0, /* Lustre */
        0x5346414f, /* AFS */
        0x47504653, /* GPFS */
    };
    struct statfs f;
    if (fstatfs(dir, &f) != 0)
        return false;
    for (size_t i = 0; i < COUNT_OF(magics); i++)
        if ((uint32_t)f.f_type == magics[i])
            return true;
    return false;
}

enum err lock_take(const char *directory, int dir, int *fd, struct diag *d)
{
    int lock = openat(dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (lock < 0)
        return diag_errno(d, ERR_IO, errno, "spool %s: create the file `lock`", directory);
    if (flock(lock, LOCK_EX | LOCK_NB) == 0) {
        char pid[24];
        int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
        /* For people only; the lock is what counts. */
        if (ftruncate(lock, 0) != 0 || pwrite(lock, pid, (size_t)n, 0) != n)
            errno = 0;
        *fd = lock;
        return OK;
    }
    int error = errno;
    char pid[24] = "";
    ssize_t n = pread(lock, pid, sizeof(pid) - 1, 0);
    while (n > 0 && (pid[n - 1] < '0' || pid[n - 1] > '9'))
        pid[--n] = '\0';
    close(lock);
    if (error != EWOULDBLOCK)
        return diag_errno(d, ERR_IO, error, "spool %s: lock the file `lock`", directory);
    return diag_set(d, ERR_EXISTS,
                    "spool %s is in use by another process%s%s: each needs a directory of its own (--spool.path)",
                    directory, n > 0 ? ", pid " : "", n > 0 ? pid : "");
}

static enum err meta_number(struct str line, const char *key, uint64_t want, const char *directory, struct diag *d)
{
    struct str name, value;
    uint64_t n;
    if (!str_cut(line, ' ', &name, &value) || !str_eq_c(name, key))
        return OK;
    if (num_parse_u64(value, &n) == OK && n == want)
        return OK;
    return diag_set(d, ERR_UNSUPPORTED,
                    "spool %s was written with %s %.*s, this program reads %llu: let the version that wrote it deliver "
                    "what waits, or give another directory (--spool.path)",
                    directory, key, STR_ARGS(value), (unsigned long long)want);
}

static void meta_protocol(struct str line, uint32_t *protocol)
{
    struct str name, value;
    uint64_t n;
    if (str_cut(line, ' ', &name, &value) && str_eq(name, STR("protocol")) && num_parse_u64(value, &n) == OK &&
        n <= UINT32_MAX)
        *protocol = (uint32_t)n;
}

enum err meta_read(const char *directory, uint32_t *protocol, struct diag *d)
{
    *protocol = 0;
    AUTO_BUF path = {0}, text = {0};
    buf_printf(&path, "%s/meta", directory);
    struct diag local = {0};
    enum err e = file_read(path.p, META_MAX, &text, &local);
    if (e == ERR_NOT_FOUND)
        return e;
    if (e)
        return diag_set(d, ERR_IO, "spool %s: %s", directory, local.text);
    struct str line, rest = buf_view(&text);
    str_cut(rest, '\n', &line, &rest);
    if (!str_eq(line, STR("leadline spool")))
        return diag_set(
            d, ERR_CORRUPT,
            "spool %s: the file `meta` is not leadline's: give another directory (--spool.path), or move the "
            "file away if the rest of the directory is a spool",
            directory);
    bool version = false;
    while (rest.n) {
        str_cut(rest, '\n', &line, &rest);
        version = version || str_starts(line, STR("version "));
        meta_protocol(line, protocol);
        e = meta_number(line, "version", SPOOL_VERSION, directory, d);
        if (!e)
            e = meta_number(line, "lanes", SPOOL_LANES, directory, d);
        if (e)
            return e;
    }
    return version ? OK : diag_set(d, ERR_CORRUPT, "spool %s: the file `meta` is cut off: move it away", directory);
}

static enum err meta_write(const struct spool *s, struct diag *d)
{
    AUTO_BUF path = {0}, text = {0};
    buf_printf(&path, "%s/meta", s->o.directory);
    buf_printf(&text, "leadline spool\nversion %d\nlanes %d\nprotocol %u\n", SPOOL_VERSION, SPOOL_LANES, s->o.protocol);
    return file_replace(path.p, buf_view(&text), d);
}

/* Remote write's are understood by each other; CloudWatch's by nobody else. */
static enum err check_protocol(const struct spool *s, uint32_t found, struct diag *d)
{
    uint32_t wanted = s->o.protocol;
    if (found == wanted || (found < SPOOL_PROTOCOL_SEALED && wanted < SPOOL_PROTOCOL_SEALED))
        return OK;
    return diag_set(d, ERR_UNSUPPORTED,
                    "spool %s holds requests for %s, and %s is to be sent from it: each needs a directory of its own "
                    "(--spool.path)",
                    s->o.directory, spool_protocol_name(found), spool_protocol_name(wanted));
}

static enum err open_directory(struct spool *s, struct diag *d)
{
    const char *path = s->o.directory;
    enum err e = file_mkdirs(path, d);
    if (e)
        return e;
    s->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir < 0)
        return diag_errno(d, ERR_IO, errno, "open the spool %s", path);
    e = lock_take(path, s->dir, &s->lock, d);
    if (e)
        return e;
    uint32_t protocol;
    e = meta_read(path, &protocol, d);
    if (e == ERR_NOT_FOUND)
        e = meta_write(s, d);
    else if (!e)
        e = check_protocol(s, protocol, d);
    s->network = on_network(s->dir);
    if (s->network)
        log_warn(s->o.log,
                 "the spool is on a network file system: written with ordinary writes instead of a shared mapping; "
                 "scrapes of the moment before a kill may be lost or repeated",
                 F_C("spool", path), F_C("destination", s->o.destination));
    return e;
}

static void log_found(const struct spool *s, uint32_t lane, const struct lane_found *f)
{
    char name[LANE_NAME_SIZE];
    lane_name(lane, name);
    for (uint32_t i = 0; i < f->n_notes && i < COUNT_OF(f->notes); i++)
        log_error(s->o.log, "the spool is damaged; the rest of it is used", F_C("spool", s->o.directory),
                  F_C("lane", name), F_C("file", f->notes[i].file), F_INT("offset", f->notes[i].at),
                  F_C("what", f->notes[i].text));
    if (f->crash || f->corrupt || f->surplus)
        log_error(s->o.log, "samples are missing since the last run; counted as dropped", F_C("spool", s->o.directory),
                  F_C("lane", name), F_INT("dropped_crash", f->crash), F_INT("dropped_corrupt", f->corrupt),
                  F_INT("not_counted_as_read", f->surplus));
}

static void remove_done(struct spool *s, int dir, struct lane_found *f)
{
    size_t kept = 0;
    for (size_t i = 0; i < f->n_segments; i++) {
        struct segment_info *g = &f->segments[i];
        char name[SEGMENT_NAME_SIZE];
        segment_name(g->number, name);
        if (g->requests_left == 0 && unlinkat(dir, name, 0) == 0) {
            f->file_bytes -= g->file_bytes;
            continue;
        }
        f->segments[kept++] = *g;
    }
    f->n_segments = kept;
    (void)s;
}

static enum err find_lane(struct spool *s, uint32_t lane, struct compressor *c, struct diag *d)
{
    char name[LANE_NAME_SIZE];
    lane_name(lane, name);
    int dir = openat(s->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return errno == ENOENT ? OK : diag_errno(d, ERR_IO, errno, "open %s/%s", s->o.directory, name);
    struct found_options o = {.disk = &s->disk,
                              .lane = lane,
                              .boot_id = s->boot_id,
                              .compression = s->o.compression,
                              .sealer = s->o.sealer,
                              .compressor = c};
    struct lane_found *f = NEW(struct lane_found);
    struct diag local = {0};
    enum err e = lane_find(f, &o, dir, &local);
    if (e) {
        free(f);
        close(dir);
        return diag_set(d, e, "spool %s: %s", s->o.directory, local.text);
    }
    remove_done(s, dir, f);
    close(dir);
    log_found(s, lane, f);
    s->lanes[lane].found = f;
    struct spool_ledger l;
    ledger_of_found(f, &l);
    account_store(&s->lanes[lane].account, &l);
    spool_hold_disk(s, (int64_t)f->file_bytes, false);
    return OK;
}

static uint64_t choose_segment_bytes(uint64_t max_bytes)
{
    uint64_t n = max_bytes / 256;
    if (n < SEGMENT_BYTES_MIN)
        return SEGMENT_BYTES_MIN;
    return n > SEGMENT_BYTES_MAX ? SEGMENT_BYTES_MAX : n;
}

enum err spool_open(const struct spool_options *o, struct spool **out, struct diag *d)
{
    struct spool *s = NEW(struct spool);
    s->o = *o;
    s->o.directory = mem_strdup(o->directory ? o->directory : "");
    s->o.destination = mem_strdup(o->destination ? o->destination : "");
    s->dir = s->lock = -1;
    s->segment_bytes = choose_segment_bytes(o->budget->max_bytes);
    atomic_init(&s->allowed_bytes, UINT64_MAX);
    spool_set_limits(s, o->max_samples, o->seal_after_ms);
    read_boot_id(s->boot_id);
    struct compressor c = {0};
    enum err e = OK;
    if (o->mode == SPOOL_DISK) {
        e = open_directory(s, d);
        for (uint32_t i = 0; i < SPOOL_LANES && !e; i++)
            e = find_lane(s, i, &c, d);
    }
    compressor_release(&c);
    if (e) {
        spool_close(s);
        return e;
    }
    *out = s;
    return OK;
}

void spool_set_limits(struct spool *s, uint32_t max_samples, uint32_t seal_after_ms)
{
    atomic_store_explicit(&s->max_samples, max_samples ? max_samples : UINT32_MAX, memory_order_relaxed);
    atomic_store_explicit(&s->seal_after_ms, seal_after_ms, memory_order_relaxed);
}

bool spool_lane_has_data(const struct spool *s, uint32_t lane)
{
    const struct lane_found *f = s->lanes[lane].found;
    return f && f->requests_waiting;
}

void spool_close(struct spool *s)
{
    for (uint32_t i = 0; i < SPOOL_LANES; i++) {
        CHECK(!s->lanes[i].open);
        if (s->lanes[i].found)
            lane_found_release(s->lanes[i].found);
        free(s->lanes[i].found);
    }
    atomic_fetch_sub_explicit(&s->o.budget->disk_bytes, atomic_load(&s->held_bytes), memory_order_relaxed);
    if (s->dir >= 0) {
        fsync(s->dir);
        close(s->dir);
    }
    if (s->lock >= 0)
        close(s->lock);
    free((char *)s->o.directory);
    free((char *)s->o.destination);
    free(s);
}
