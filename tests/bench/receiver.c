/* receiver: a remote-write endpoint that only counts, to measure senders with.
 *
 *   receiver PORT [--ledger]
 *
 * Takes prometheus.WriteRequest (remote write 1.0) and io.prometheus.write.v2.Request (2.0), compressed with
 * snappy or zstd, at any path of 127.0.0.1:PORT, and counts what is in them without keeping it.
 *
 *   GET /stats          JSON: requests, refused, wire and raw bytes, series, samples, stale markers, report
 *                       samples, metadata (2.0: series that have some), histograms, exemplars, bad messages,
 * lag_max_ms, lag_mean_ms, first_ms, last_ms, unique GET /stats?reset    the same, and counts from zero thereafter GET
 * /control?status=503   every request is answered so from now on and not looked at; 204: taken again
 *
 * The lag of a sample is the wall clock at its arrival less its timestamp; first_ms and last_ms are the wall clock at
 * the first and the latest request that was taken. With --ledger "unique" counts each (labels, timestamp) once, stale
 * markers and the scraper's own series (up, scrape_*: "report") apart: set against what the fleet answered it tells
 * what never arrived, however often a sender repeats itself.
 *
 * One thread, one buffer per connection. The decoder is written for this file alone, so that a mistake in the
 * program's own encoder cannot be counted as right by the same mistake. Stops with its parent.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <snappy-c.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

static const uint64_t STALE_BITS = 0x7ff0000000000002;
enum { MESSAGE_MAX_BYTES = 256 << 20 };

struct connection {
    int fd;
    char *in;
    size_t size, capacity;
};

/* A length-delimited (bytes, size), fixed (bytes) or varint (size) field. */
struct field {
    int number, type;
    const uint8_t *bytes;
    uint64_t size;
};

struct cursor {
    const uint8_t *p, *end;
};

/* Hashes of (labels, timestamp): open addressing, 0 is an empty place. */
struct ledger {
    uint64_t *places, count, size;
};

struct stats {
    uint64_t requests, refused, wire, raw, series, samples, stale, report, metadata, histograms, exemplars, bad;
    int64_t lag_max_ms, lag_sum_ms, first_ms, last_ms;
};

static struct {
    struct stats stats;
    struct ledger ledger;
    bool has_ledger;
    int status, epoll;
    int64_t now_ms;
    char *message;
    size_t message_capacity;
} receiver = {.status = 204};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void *resize(void *p, size_t n)
{
    p = realloc(p, n);
    if (!p)
        die("memory");
    return p;
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static bool read_varint(struct cursor *c, uint64_t *v)
{
    *v = 0;
    for (int shift = 0; c->p < c->end && shift < 64; shift += 7) {
        uint8_t b = *c->p++;
        *v |= (uint64_t)(b & 127) << shift;
        if (!(b & 128))
            return true;
    }
    return false;
}

static bool take_bytes(struct cursor *c, struct field *f, uint64_t size)
{
    if (size > (uint64_t)(c->end - c->p))
        return false;
    f->bytes = c->p;
    f->size = size;
    c->p += size;
    return true;
}

static bool next_field(struct cursor *c, struct field *f)
{
    uint64_t key, size;
    if (c->p >= c->end)
        return false;
    if (!read_varint(c, &key))
        goto bad;
    f->number = key >> 3;
    f->type = key & 7;
    if (f->type == 0 && read_varint(c, &f->size))
        return true;
    if (f->type == 1 && take_bytes(c, f, 8))
        return true;
    if (f->type == 2 && read_varint(c, &size) && take_bytes(c, f, size))
        return true;
bad:
    receiver.stats.bad++;
    c->p = c->end;
    return false;
}

static struct cursor inside(const struct field *f)
{
    return (struct cursor){f->bytes, f->bytes + f->size};
}

static uint64_t hash_bytes(uint64_t h, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3;
    return h;
}

static void ledger_place(struct ledger *l, uint64_t h)
{
    uint64_t i = (h ^ h >> 29) & (l->size - 1);
    while (l->places[i] && l->places[i] != h)
        i = (i + 1) & (l->size - 1);
    l->count += !l->places[i];
    l->places[i] = h;
}

static void ledger_add(struct ledger *l, uint64_t h)
{
    if (l->count * 2 >= l->size) {
        struct ledger old = *l;
        l->size = old.size ? old.size * 2 : 1 << 20;
        l->places = calloc(l->size, sizeof *l->places);
        if (!l->places)
            die("memory");
        l->count = 0;
        for (uint64_t i = 0; i < old.size; i++) {
            if (old.places[i])
                ledger_place(l, old.places[i]);
        }
        free(old.places);
    }
    ledger_place(l, h ? h : 1);
}

/* A label of the scraper's own series: {1: "__name__", 2: "up" or "scrape_..."} */
static bool is_report_name(const struct field *label)
{
    struct cursor c = inside(label);
    struct field name, value;
    if (!next_field(&c, &name) || !next_field(&c, &value) || name.size != 8 || memcmp(name.bytes, "__name__", 8))
        return false;
    return (value.size == 2 && !memcmp(value.bytes, "up", 2)) || (value.size > 7 && !memcmp(value.bytes, "scrape_", 7));
}

static void count_sample(const struct field *sample, uint64_t labels_hash, bool is_report)
{
    struct cursor c = inside(sample);
    struct field f;
    uint64_t bits = 0;
    int64_t timestamp_ms = 0;
    while (next_field(&c, &f)) {
        if (f.number == 1 && f.type == 1)
            memcpy(&bits, f.bytes, 8);
        if (f.number == 2 && f.type == 0)
            timestamp_ms = f.size;
    }
    struct stats *s = &receiver.stats;
    int64_t lag_ms = receiver.now_ms - timestamp_ms;
    s->samples++;
    s->lag_sum_ms += lag_ms;
    if (lag_ms > s->lag_max_ms)
        s->lag_max_ms = lag_ms;
    if (bits == STALE_BITS)
        s->stale++;
    else if (is_report)
        s->report++;
    else if (receiver.has_ledger)
        ledger_add(&receiver.ledger, hash_bytes(labels_hash, (const uint8_t *)&timestamp_ms, 8));
}

static void count_series(const struct field *series, bool is_v2)
{
    struct cursor c = inside(series);
    struct field f;
    uint64_t labels_hash = 0xcbf29ce484222325;
    bool is_report = false;
    receiver.stats.series++;
    while (next_field(&c, &f)) {
        if (f.number == 2 && f.type == 2) {
            count_sample(&f, labels_hash, is_report);
        } else if ((f.number == 3 || f.number == 4) && f.type == 2) {
            if ((f.number == 3) == is_v2)
                receiver.stats.histograms++;
            else
                receiver.stats.exemplars++;
        } else if (f.number == 5 && is_v2) {
            receiver.stats.metadata++;
        } else if (f.number == 1 && f.type == 2 && receiver.has_ledger) {
            labels_hash = hash_bytes(labels_hash, f.bytes, f.size);
            is_report = is_report || is_report_name(&f);
        }
    }
}

static void count_message(const uint8_t *p, size_t n, bool is_v2)
{
    struct cursor c = {p, p + n};
    struct field f;
    while (next_field(&c, &f)) {
        if (f.number == (is_v2 ? 5 : 1) && f.type == 2)
            count_series(&f, is_v2);
        else if (f.number == 3 && !is_v2)
            receiver.stats.metadata++;
    }
}

static bool inflated_size(const char *body, size_t n, bool is_zstd, size_t *raw)
{
    if (!is_zstd)
        return snappy_uncompressed_length(body, n, raw) == SNAPPY_OK;
    unsigned long long size = ZSTD_getFrameContentSize(body, n);
    *raw = size;
    return size != ZSTD_CONTENTSIZE_UNKNOWN && size != ZSTD_CONTENTSIZE_ERROR;
}

static bool inflate(const char *body, size_t n, bool is_zstd, size_t *raw)
{
    if (!is_zstd)
        return snappy_uncompress(body, n, receiver.message, raw) == SNAPPY_OK;
    return ZSTD_decompress(receiver.message, *raw, body, n) == *raw;
}

static void take_request(const char *body, size_t n, bool is_v2, bool is_zstd)
{
    struct timespec t;
    struct stats *s = &receiver.stats;
    size_t raw;
    clock_gettime(CLOCK_REALTIME, &t);
    receiver.now_ms = t.tv_sec * 1000LL + t.tv_nsec / 1000000;
    if (!inflated_size(body, n, is_zstd, &raw) || raw > MESSAGE_MAX_BYTES) {
        s->bad++;
        return;
    }
    if (raw > receiver.message_capacity) {
        receiver.message_capacity = raw;
        receiver.message = resize(receiver.message, raw);
    }
    if (!inflate(body, n, is_zstd, &raw)) {
        s->bad++;
        return;
    }
    s->requests++;
    s->wire += n;
    s->raw += raw;
    uint64_t before = s->samples;
    count_message((uint8_t *)receiver.message, raw, is_v2);
    if (s->samples == before)
        return;
    s->last_ms = receiver.now_ms;
    if (!s->first_ms)
        s->first_ms = receiver.now_ms;
}

/* ---- HTTP -------------------------------------------------------------------------------------------------------- */

static int print_stats(char *out, size_t size)
{
    const struct stats *s = &receiver.stats;
    int64_t lag_mean_ms = s->samples ? s->lag_sum_ms / (int64_t)s->samples : 0;
    const struct {
        const char *name;
        int64_t value;
    } shown[] = {
        {"requests", s->requests},
        {"refused", s->refused},
        {"wire", s->wire},
        {"raw", s->raw},
        {"series", s->series},
        {"samples", s->samples},
        {"stale", s->stale},
        {"report", s->report},
        {"metadata", s->metadata},
        {"histograms", s->histograms},
        {"exemplars", s->exemplars},
        {"bad", s->bad},
        {"first_ms", s->first_ms},
        {"last_ms", s->last_ms},
        {"lag_max_ms", s->lag_max_ms},
        {"lag_mean_ms", lag_mean_ms},
        {"unique", receiver.ledger.count},
    };
    int n = 0;
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        n += snprintf(out + n, size - n, "%s\"%s\":%lld", i ? "," : "{", shown[i].name, (long long)shown[i].value);
    return n + snprintf(out + n, size - n, "}\n");
}

static int answer_get(const char *request, char *out, size_t size)
{
    char body[640] = "{}\n";
    const char *at = strstr(request, "status=");
    int status;
    if (!strncmp(request, "GET /stats", 10)) {
        print_stats(body, sizeof body);
        if (!strncmp(request, "GET /stats?reset", 16))
            receiver.stats = (struct stats){0};
    } else if (at && sscanf(at, "status=%d", &status) == 1) {
        receiver.status = status;
    }
    return snprintf(out, size, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                    strlen(body), body);
}

static int answer_post(const char *head, const char *body, size_t n, char *out, size_t size)
{
    if (receiver.status != 204) {
        receiver.stats.refused++;
        return snprintf(out, size, "HTTP/1.1 %d Refused\r\nContent-Length: 0\r\n\r\n", receiver.status);
    }
    bool is_v2 = strcasestr(head, "write.v2") != NULL;
    uint64_t series = receiver.stats.series, samples = receiver.stats.samples;
    uint64_t histograms = receiver.stats.histograms, exemplars = receiver.stats.exemplars;
    take_request(body, n, is_v2, strcasestr(head, "\ncontent-encoding: zstd") != NULL);
    if (!is_v2)
        return snprintf(out, size, "HTTP/1.1 204 No Content\r\n\r\n");
    /* A 2.0 sender takes an answer without these as that of a 1.0 receiver. */
    return snprintf(out, size,
                    "HTTP/1.1 204 No Content\r\nX-Prometheus-Remote-Write-Samples-Written: %llu\r\n"
                    "X-Prometheus-Remote-Write-Histograms-Written: %llu\r\n"
                    "X-Prometheus-Remote-Write-Exemplars-Written: %llu\r\n\r\n",
                    (unsigned long long)(receiver.stats.series > series ? receiver.stats.samples - samples : 0),
                    (unsigned long long)(receiver.stats.histograms - histograms),
                    (unsigned long long)(receiver.stats.exemplars - exemplars));
}

/* Answers the request at the front, if all of it is there. Returns its size, or 0. */
static size_t answer_one(struct connection *c)
{
    char out[1024];
    char *end = memmem(c->in, c->size, "\r\n\r\n", 4);
    if (!end)
        return 0;
    size_t head_size = end + 4 - c->in, body_size = 0;
    *end = 0;
    const char *at = strcasestr(c->in, "\ncontent-length:");
    if (at)
        sscanf(at + 16, "%zu", &body_size);
    if (body_size > MESSAGE_MAX_BYTES)
        die("a request far too large");
    if (c->size < head_size + body_size) {
        bool is_waiting = c->size == head_size && strcasestr(c->in, "100-continue");
        *end = '\r';
        if (is_waiting && write(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25) < 0)
            return 0;
        return 0;
    }
    int n = strncmp(c->in, "GET ", 4) ? answer_post(c->in, c->in + head_size, body_size, out, sizeof out)
                                      : answer_get(c->in, out, sizeof out);
    if (write(c->fd, out, n) < 0)
        return 0;
    return head_size + body_size;
}

static void connection_read(struct connection *c)
{
    if (c->capacity - c->size < 65536) {
        c->capacity = c->capacity ? c->capacity * 2 : 262144;
        c->in = resize(c->in, c->capacity + 1);
    }
    ssize_t n = read(c->fd, c->in + c->size, c->capacity - c->size);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        close(c->fd);
        free(c->in);
        free(c);
        return;
    }
    c->size += n;
    c->in[c->size] = 0;
    for (size_t taken; (taken = answer_one(c)) > 0;) {
        c->size -= taken;
        memmove(c->in, c->in + taken, c->size);
        c->in[c->size] = 0;
    }
}

static void accept_all(int listener)
{
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        struct connection *c = calloc(1, sizeof *c);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        c->fd = fd;
        epoll_ctl(receiver.epoll, EPOLL_CTL_ADD, fd, &e);
    }
}

static int listen_at(int port)
{
    int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s, (void *)&a, sizeof a) || listen(s, 512))
        die("listen");
    return s;
}

int main(int argc, char **argv)
{
    int port = 0;
    struct epoll_event events[64], e = {.events = EPOLLIN};
    if (argc < 2 || sscanf(argv[1], "%d", &port) != 1) {
        fprintf(stderr, "usage: receiver PORT [--ledger]\n");
        return 2;
    }
    receiver.has_ledger = argc > 2 && !strcmp(argv[2], "--ledger");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    int listener = listen_at(port);
    receiver.epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(receiver.epoll, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int n = epoll_wait(receiver.epoll, events, 64, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                connection_read(events[i].data.ptr);
            else
                accept_all(listener);
        }
    }
}
