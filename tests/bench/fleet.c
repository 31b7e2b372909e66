/* fleet: many scrape targets in one process, to measure scrapers with.
 *
 *   fleet PORT PAGE [--variants N] [--interval-ms N] [--unique] [--copies N] [--protobuf]
 *
 * Every address of 127.0.0.0/8 is a target at PORT: 127.1.0.0:PORT, 127.1.0.1:PORT and so on. A target answers each
 * request with PAGE, the text of a real exporter, its counters moved, gzip or plain as the client asks. All of it
 * shares the machine with what is measured, so the work is done beforehand: a few variants of the page, compressed
 * once, that are written as they are.
 *
 *   --variants N     how many different pages there are (32). The next one is taken every 64 requests, so that nearly
 *                    all targets show the same values at a time; with --unique a target steps on with every request.
 *   --unique         every line of a target carries {fleet_host="ADDRESS"}: no two targets have a series in common.
 *                    Such pages are made when they are first asked for.
 *   --copies N       every series N times, told apart by {fleet_copy="0"} ...: one target with very many series.
 *   --protobuf       the page as delimited protobuf (io.prometheus.client.MetricFamily) for clients that prefer it.
 *   --interval-ms N  what the scraper is told, to recognise what it misses (10000).
 *
 *   GET /stats               JSON: requests, bytes, targets, missed, jitter_max_ms, first_ms
 *   GET /stats?reset         the same, and counts from zero thereafter
 *   GET /control?generation=N   every line carries {fleet_generation="N"} from now on: all series are new ones; 0: none
 *   GET /control?answer=0       targets answer 503 and nothing is counted; 1: as before
 *
 * A scrape is missed where a target was left alone for longer than one and a half intervals: it counts as many as would
 * have fitted. jitter_max_ms is the largest distance of such a pause from the interval; first_ms the wall clock at the
 * first request. One thread; a target is known by the lower 16 bits of its address. This is a measuring instrument,
 * deliberately independent of the program's own code, and stops with its parent.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
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
#include <zlib.h>

enum { PLAIN, GZIP, PROTOBUF_GZIP, ENCODINGS };
enum { TARGETS = 65536, REQUESTS_PER_VARIANT = 64 };

struct blob {
    char *p;
    size_t n, capacity;
};

/* One line of the page, cut where labels and the value are put in: head ["{" | ","] label... tail value. */
struct line {
    char *head, *tail;
    bool has_labels, is_comment;
    char (*values)[32]; /* by variant */
};

/* A finished HTTP response; those of one target form a list. It lives until the end: a connection may be writing it. */
struct answer {
    struct answer *next;
    int generation, variant;
    struct blob response[ENCODINGS];
};

struct target {
    struct answer *answers;
    uint64_t requests;
    int64_t last_ms;
};

struct connection {
    int fd;
    struct target *target;
    uint32_t address;
    size_t in_size, out_size;
    const char *out;
    char in[4096], small[512];
};

static struct {
    struct line *lines;
    size_t line_count;
    int variants, copies, generation;
    bool unique, is_silent, protobuf;
    int64_t interval_ms, jitter_max_ms, first_ms;
    uint64_t requests, bytes, missed;
    struct target shared, targets[TARGETS];
    int epoll;
} fleet = {.variants = 32, .copies = 1, .interval_ms = 10000};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t clock_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void blob_reserve(struct blob *b, size_t more)
{
    if (b->capacity - b->n >= more)
        return;
    b->capacity = (b->n + more) * 2;
    b->p = realloc(b->p, b->capacity);
    if (!b->p)
        die("memory");
}

static void blob_append(struct blob *b, const char *p, size_t n)
{
    blob_reserve(b, n + 1);
    memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = 0;
}

static void blob_append_text(struct blob *b, const char *text)
{
    blob_append(b, text, strlen(text));
}

static struct blob slurp(const char *path)
{
    struct blob b = {0};
    char part[65536];
    FILE *f = fopen(path, "rb");
    if (!f)
        die(path);
    for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;)
        blob_append(&b, part, n);
    fclose(f);
    return b;
}

/* ---- the page ---------------------------------------------------------------------------------------------------- */

static bool ends_in(const char *name, size_t n, const char *suffix)
{
    size_t m = strlen(suffix);
    return n > m && !memcmp(name + n - m, suffix, m);
}

static bool is_counter(const char *line)
{
    size_t n = strcspn(line, "{ ");
    return ends_in(line, n, "_total") || ends_in(line, n, "_count") || ends_in(line, n, "_sum") ||
           ends_in(line, n, "_bucket");
}

/* The shortest text that reads back as the same number, as exporters print. */
static void print_number(char out[static 32], double v)
{
    for (int digits = 1; digits <= 17; digits++) {
        double back;
        snprintf(out, 32, "%.*g", digits, v);
        if (sscanf(out, "%lf", &back) == 1 && back == v)
            return;
    }
}

/* Counters move by something a quarter of the time, gauges an eighth of the time: variant after variant. */
static double moved(double v, bool counter, int variant, unsigned random)
{
    if (counter)
        return v + (double)variant * ((random & 3) ? 0 : (random >> 8) % 1000);
    return (random & 7) ? v : v + (random >> 8) % 1000;
}

static struct line cut_line(const char *p, size_t n, unsigned seeds[])
{
    struct line l = {.is_comment = true, .values = calloc(fleet.variants, sizeof *l.values)};
    const char *space = memrchr(p, ' ', n);
    double v;
    char text[64];
    snprintf(text, sizeof text, "%.*s", space ? (int)(p + n - space - 1) : 0, space ? space + 1 : "");
    if (*p == '#' || !space) {
        l.head = strndup(p, n);
        return l;
    }
    bool is_number = isdigit((unsigned char)text[0]) && sscanf(text, "%lf", &v) == 1;
    for (int k = 0; k < fleet.variants; k++) {
        if (is_number)
            print_number(l.values[k], moved(v, is_counter(p), k, rand_r(&seeds[k])));
        else
            snprintf(l.values[k], sizeof *l.values, "%.31s", text); /* NaN, +Inf, negative numbers stay */
    }
    size_t name = strcspn(p, "{ ");
    l.is_comment = false;
    l.has_labels = p[name] == '{';
    l.head = strndup(p, name + l.has_labels);
    l.tail = strndup(p + name + l.has_labels, space + 1 - (p + name + l.has_labels));
    return l;
}

static void cut_page(const char *text)
{
    unsigned *seeds = calloc(fleet.variants, sizeof *seeds);
    for (int k = 0; k < fleet.variants; k++)
        seeds[k] = 12345 + k;
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, "\n");
        fleet.lines = realloc(fleet.lines, (fleet.line_count + 1) * sizeof *fleet.lines);
        fleet.lines[fleet.line_count++] = cut_line(p, n, seeds);
        p += n + (p[n] == '\n');
    }
    free(seeds);
}

static void append_line(struct blob *b, const struct line *l, int variant, const char *labels)
{
    blob_append_text(b, l->head);
    if (*labels) {
        if (!l->has_labels)
            blob_append(b, "{", 1);
        blob_append_text(b, labels);
        blob_append(b, l->has_labels ? "," : "}", 1);
    }
    blob_append_text(b, l->tail);
    blob_append_text(b, l->values[variant]);
    blob_append(b, "\n", 1);
}

/* Labels are joined by commas; l->tail begins with what follows them, at the least a blank. */
static size_t append_label(char *labels, size_t size, size_t n, const char *name, const char *value)
{
    return n + snprintf(labels + n, size - n, "%s%s=\"%s\"", n ? "," : "", name, value);
}

static struct blob render(int variant, int generation, uint32_t address)
{
    struct blob b = {0};
    char labels[160] = "", text[32];
    size_t n = 0;
    if (fleet.unique)
        n = append_label(labels, sizeof labels, n, "fleet_host", inet_ntoa((struct in_addr){htonl(address)}));
    if (generation) {
        snprintf(text, sizeof text, "%d", generation);
        n = append_label(labels, sizeof labels, n, "fleet_generation", text);
    }
    for (size_t i = 0; i < fleet.line_count; i++) {
        const struct line *l = &fleet.lines[i];
        if (l->is_comment) {
            blob_append_text(&b, l->head);
            blob_append(&b, "\n", 1);
        }
        for (int k = 0; !l->is_comment && k < fleet.copies; k++) {
            snprintf(text, sizeof text, "%d", k);
            if (fleet.copies > 1)
                append_label(labels, sizeof labels, n, "fleet_copy", text);
            append_line(&b, l, variant, labels);
        }
    }
    return b;
}

static struct blob compressed(const struct blob *in)
{
    z_stream z = {0};
    struct blob b = {0};
    deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    blob_reserve(&b, deflateBound(&z, in->n) + 64);
    z.next_in = (void *)in->p;
    z.avail_in = in->n;
    z.next_out = (void *)b.p;
    z.avail_out = b.capacity;
    deflate(&z, Z_FINISH);
    b.n = z.total_out;
    deflateEnd(&z);
    return b;
}

/* ---- the page as protobuf ---------------------------------------------------------------------------------------- */

static void put_varint(struct blob *b, uint64_t v)
{
    char text[10];
    size_t n = 0;
    for (; v >= 128; v >>= 7)
        text[n++] = (char)(v | 128);
    text[n++] = (char)v;
    blob_append(b, text, n);
}

static void put_bytes(struct blob *b, int field, const char *p, size_t n)
{
    put_varint(b, (uint64_t)field << 3 | 2);
    put_varint(b, n);
    blob_append(b, p, n);
}

static void put_double(struct blob *b, int field, double v)
{
    put_varint(b, (uint64_t)field << 3 | 1);
    blob_append(b, (const char *)&v, sizeof v);
}

/* LabelPair: 1 name, 2 value. Of a summary's labels `quantile` is left out and returned. */
static double put_labels(struct blob *metric, const char *p, const char *end)
{
    double quantile = -1;
    while (p < end) {
        size_t name = strcspn(p, "=");
        const char *value = p + name + 2;
        struct blob pair = {0}, plain = {0};
        const char *q = value;
        for (; *q != '"'; q++) {
            q += *q == '\\';
            blob_append(&plain, *q == 'n' && q[-1] == '\\' ? "\n" : q, 1);
        }
        put_bytes(&pair, 1, p, name);
        put_bytes(&pair, 2, plain.p ? plain.p : "", plain.n);
        if (name == 8 && !memcmp(p, "quantile", 8))
            sscanf(value, "%lf", &quantile);
        else
            put_bytes(metric, 1, pair.p, pair.n);
        free(pair.p);
        free(plain.p);
        p = q + 1 + (q[1] == ',');
    }
    return quantile;
}

enum { COUNTER, GAUGE, SUMMARY, UNTYPED };

struct family {
    struct blob head, metrics, summary; /* summary: of the page's one metric of that type */
    int type;
};

static void family_end(struct family *f, struct blob *out)
{
    if (f->summary.n) {
        struct blob metric = {0};
        put_bytes(&metric, 4, f->summary.p, f->summary.n);
        put_bytes(&f->metrics, 4, metric.p, metric.n);
        free(metric.p);
    }
    if (f->metrics.n) {
        put_varint(out, f->head.n + f->metrics.n);
        blob_append(out, f->head.p, f->head.n);
        blob_append(out, f->metrics.p, f->metrics.n);
    }
    f->head.n = f->metrics.n = f->summary.n = 0;
    f->type = UNTYPED;
}

/* `# HELP name text` begins a family, `# TYPE name type` follows: MetricFamily: 1 name, 2 help, 3 type, 4 metric. */
static void family_comment(struct family *f, const char *p, size_t n, struct blob *out)
{
    static const char *const types[] = {"counter", "gauge", "summary", "untyped"};
    size_t name = strcspn(p + 7, " \n");
    const char *rest = p + 7 + name + 1;
    if (!strncmp(p, "# HELP ", 7)) {
        family_end(f, out);
        put_bytes(&f->head, 1, p + 7, name);
        put_bytes(&f->head, 2, rest, p + n - rest);
        return;
    }
    for (int k = COUNTER; k <= UNTYPED; k++)
        if (!strncmp(rest, types[k], strlen(types[k])))
            f->type = k;
    put_varint(&f->head, 3 << 3);
    put_varint(&f->head, f->type);
}

static void family_series(struct family *f, const char *p, size_t n)
{
    static const int fields[] = {[COUNTER] = 3, [GAUGE] = 2, [SUMMARY] = 4, [UNTYPED] = 5};
    size_t name = strcspn(p, "{ ");
    const char *space = memrchr(p, ' ', n);
    double v = 0;
    struct blob metric = {0}, value = {0};
    sscanf(space, "%lf", &v);
    double quantile = p[name] == '{' ? put_labels(&metric, p + name + 1, space - 1) : -1;
    if (f->type != SUMMARY) {
        put_double(&value, 1, v);
        put_bytes(&metric, fields[f->type], value.p, value.n);
        put_bytes(&f->metrics, 4, metric.p, metric.n);
    } else if (ends_in(p, name, "_count")) {
        put_varint(&f->summary, 1 << 3);
        put_varint(&f->summary, (uint64_t)v);
    } else if (ends_in(p, name, "_sum")) {
        put_double(&f->summary, 2, v);
    } else {
        put_double(&value, 1, quantile);
        put_double(&value, 2, v);
        put_bytes(&f->summary, 3, value.p, value.n);
    }
    free(metric.p);
    free(value.p);
}

static struct blob protobuf_of(const struct blob *page)
{
    struct blob out = {0};
    struct family f = {.type = UNTYPED};
    for (const char *p = page->p; *p;) {
        size_t n = strcspn(p, "\n");
        if (*p == '#')
            family_comment(&f, p, n, &out);
        else
            family_series(&f, p, n);
        p += n + (p[n] == '\n');
    }
    family_end(&f, &out);
    return out;
}

static struct blob respond(const struct blob *body, const char *type, const char *encoding)
{
    struct blob r = {0};
    char head[320];
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n%sContent-Length: %zu\r\n\r\n", type, encoding,
             body->n);
    blob_reserve(&r, strlen(head) + body->n + 1);
    blob_append_text(&r, head);
    blob_append(&r, body->p, body->n);
    return r;
}

static const struct blob *find_response(struct target *t, uint32_t address, int variant, int encoding)
{
    struct answer *a = t->answers;
    while (a && (a->variant != variant || a->generation != fleet.generation))
        a = a->next;
    if (!a) {
        a = calloc(1, sizeof *a);
        *a = (struct answer){.next = t->answers, .variant = variant, .generation = fleet.generation};
        t->answers = a;
    }
    struct blob *r = &a->response[encoding];
    if (r->n)
        return r;
    static const char text[] = "text/plain; version=0.0.4; charset=utf-8",
                      protobuf[] = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
                                   "encoding=delimited";
    struct blob page = render(variant, fleet.generation, address);
    if (encoding == PROTOBUF_GZIP) {
        struct blob binary = protobuf_of(&page);
        free(page.p);
        page = binary;
    }
    if (encoding == PLAIN) {
        *r = respond(&page, text, "");
    } else {
        struct blob small = compressed(&page);
        *r = respond(&small, encoding == GZIP ? text : protobuf, "Content-Encoding: gzip\r\n");
        free(small.p);
    }
    free(page.p);
    return r;
}

/* ---- accounts ---------------------------------------------------------------------------------------------------- */

static uint64_t missed_in(int64_t pause_ms)
{
    if (pause_ms * 2 <= fleet.interval_ms * 3)
        return 0;
    return (pause_ms + fleet.interval_ms / 2) / fleet.interval_ms - 1;
}

static void count_request(struct target *t, size_t bytes)
{
    int64_t now_ms = clock_ms(CLOCK_MONOTONIC);
    if (!fleet.requests++)
        fleet.first_ms = clock_ms(CLOCK_REALTIME);
    fleet.bytes += bytes;
    if (t->requests++) {
        int64_t pause_ms = now_ms - t->last_ms, jitter_ms = llabs(pause_ms - fleet.interval_ms);
        fleet.missed += missed_in(pause_ms);
        if (jitter_ms > fleet.jitter_max_ms)
            fleet.jitter_max_ms = jitter_ms;
    }
    t->last_ms = now_ms;
}

static int print_stats(char *out, size_t size)
{
    int64_t now_ms = clock_ms(CLOCK_MONOTONIC);
    uint64_t missed = fleet.missed;
    int seen = 0;
    for (int i = 0; i < TARGETS; i++) {
        if (!fleet.targets[i].requests)
            continue;
        seen++;
        missed += missed_in(now_ms - fleet.targets[i].last_ms);
    }
    return snprintf(
        out, size,
        "{\"requests\":%llu,\"bytes\":%llu,\"targets\":%d,\"missed\":%llu,\"jitter_max_ms\":%lld,\"first_ms\":%lld}\n",
        (unsigned long long)fleet.requests, (unsigned long long)fleet.bytes, seen, (unsigned long long)missed,
        (long long)fleet.jitter_max_ms, (long long)fleet.first_ms);
}

static void reset_stats(void)
{
    fleet.requests = fleet.bytes = fleet.missed = 0;
    fleet.jitter_max_ms = fleet.first_ms = 0;
}

/* ---- connections ------------------------------------------------------------------------------------------------- */

static void watch(struct connection *c, int how, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = c};
    epoll_ctl(fleet.epoll, how, c->fd, &e);
}

static void connection_close(struct connection *c)
{
    close(c->fd);
    free(c);
}

/* False when the connection is gone. */
static bool connection_write(struct connection *c, bool was_full)
{
    while (c->out_size) {
        ssize_t n = write(c->fd, c->out, c->out_size);
        if (n < 0 && errno == EAGAIN) {
            if (!was_full)
                watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return true;
        }
        if (n < 0) {
            connection_close(c);
            return false;
        }
        c->out += n;
        c->out_size -= n;
    }
    if (was_full)
        watch(c, EPOLL_CTL_MOD, EPOLLIN);
    return true;
}

static void answer_small(struct connection *c, const char *status, const char *body)
{
    c->out_size = snprintf(c->small, sizeof c->small,
                           "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", status,
                           strlen(body), body);
    c->out = c->small;
}

static void answer_control(struct connection *c)
{
    int n;
    const char *at;
    if ((at = strstr(c->in, "generation=")) && sscanf(at, "generation=%d", &n) == 1)
        fleet.generation = n;
    if ((at = strstr(c->in, "answer=")) && sscanf(at, "answer=%d", &n) == 1)
        fleet.is_silent = !n;
    answer_small(c, "200 OK", "{}\n");
}

static void answer_stats(struct connection *c)
{
    char body[320];
    print_stats(body, sizeof body);
    if (!strncmp(c->in, "GET /stats?reset", 16))
        reset_stats();
    answer_small(c, "200 OK", body);
}

static bool prefers_protobuf(const char *request)
{
    const char *accept = strcasestr(request, "\naccept: ");
    return accept && !strncmp(accept + 9, "application/vnd.google.protobuf", 31);
}

static void answer_scrape(struct connection *c)
{
    if (fleet.is_silent) {
        answer_small(c, "503 Service Unavailable", "{}\n");
        return;
    }
    int encoding = !strcasestr(c->in, "gzip")                  ? PLAIN
                   : fleet.protobuf && prefers_protobuf(c->in) ? PROTOBUF_GZIP
                                                               : GZIP;
    uint64_t step = fleet.unique ? c->target->requests : fleet.requests / REQUESTS_PER_VARIANT;
    const struct blob *r =
        find_response(fleet.unique ? c->target : &fleet.shared, c->address, step % fleet.variants, encoding);
    c->out = r->p;
    c->out_size = r->n;
    count_request(c->target, r->n);
}

static void connection_read(struct connection *c)
{
    ssize_t n = read(c->fd, c->in + c->in_size, sizeof c->in - 1 - c->in_size);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        connection_close(c);
        return;
    }
    c->in_size += n;
    c->in[c->in_size] = 0;
    if (!strstr(c->in, "\r\n\r\n")) {
        if (c->in_size == sizeof c->in - 1)
            connection_close(c);
        return;
    }
    c->in_size = 0;
    if (!strncmp(c->in, "GET /stats", 10))
        answer_stats(c);
    else if (!strncmp(c->in, "GET /control", 12))
        answer_control(c);
    else
        answer_scrape(c);
    connection_write(c, false);
}

static void accept_all(int listener)
{
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        struct sockaddr_in a = {0};
        socklen_t size = sizeof a;
        int one = 1;
        struct connection *c = calloc(1, sizeof *c);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        getsockname(fd, (void *)&a, &size);
        c->fd = fd;
        c->address = ntohl(a.sin_addr.s_addr);
        c->target = &fleet.targets[c->address % TARGETS];
        watch(c, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static int listen_at(int port)
{
    int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s, (void *)&a, sizeof a) || listen(s, 4096))
        die("listen");
    return s;
}

static void serve(int listener)
{
    struct epoll_event events[256], e = {.events = EPOLLIN};
    fleet.epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(fleet.epoll, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int n = epoll_wait(fleet.epoll, events, 256, -1);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c)
                accept_all(listener);
            else if (!(events[i].events & EPOLLOUT))
                connection_read(c);
            else
                connection_write(c, true);
        }
    }
}

static int number(const char *text)
{
    int n = 0;
    if (!text || sscanf(text, "%d", &n) != 1 || n <= 0) {
        fprintf(stderr, "fleet: %s is not a number above 0\n", text ? text : "(nothing)");
        exit(2);
    }
    return n;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr,
                "usage: fleet PORT PAGE [--variants N] [--interval-ms N] [--unique] [--copies N] [--protobuf]\n");
        return 2;
    }
    for (int i = 3; i < argc; i++) {
        if (!strcmp(argv[i], "--unique"))
            fleet.unique = true;
        else if (!strcmp(argv[i], "--protobuf"))
            fleet.protobuf = true;
        else if (!strcmp(argv[i], "--variants"))
            fleet.variants = number(argv[++i]);
        else if (!strcmp(argv[i], "--copies"))
            fleet.copies = number(argv[++i]);
        else if (!strcmp(argv[i], "--interval-ms"))
            fleet.interval_ms = number(argv[++i]);
        else
            return fprintf(stderr, "fleet: what is %s?\n", argv[i]), 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_IGN);
    struct blob page = slurp(argv[2]);
    cut_page(page.p);
    for (int k = 0; !fleet.unique && k < fleet.variants; k++)
        find_response(&fleet.shared, 0, k, GZIP);
    serve(listen_at(number(argv[1])));
}
