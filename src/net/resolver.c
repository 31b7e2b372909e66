/* resolver: c-ares below, a small cache above.
 *
 * libcurl as Debian builds it starts a thread for each slow name (2,000 slow names were 2,001 threads), and libuv's
 * pool has four threads for everything. c-ares speaks DNS from its own sockets, which hang in the loop's poller; its
 * time-outs are one timer of the loop. It reads /etc/hosts and resolv.conf, asks for A and AAAA records, and sorts the
 * answers by RFC 6724, so that addresses of a family without a route come last. resolv.conf is looked at again at most
 * every 5 s, as Go does, and a changed one takes effect once no query runs.
 *
 *   lookup --> name (host, addresses, expiry, waiting lookups) --> one ares_getaddrinfo while anyone waits
 *
 * c-ares answers some questions (names from /etc/hosts) before ares_getaddrinfo returns. Callers are promised a later
 * answer, so such a name is put on the `ready` list, which a timer of 0 ms empties. A name whose waiters have all been
 * canceled keeps its query; the answer then just fills the cache. Names that are stale and that nobody waits for are
 * swept at most once in 30 s, when a new name is added.
 *
 * Records are asked for name by name in the order that the search domains give, by ares_query, so that "no such name"
 * and "nobody answers" stay apart: that difference decides whether targets go or stay.
 *
 * Thread: the loop's own. c-ares' channel is never entered from inside one of its own callbacks.
 */
#include "net/resolver.h"

#include <ares.h>
#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/num.h"

enum {
    KEEP_AT_LEAST_MS = 1000,
    KEEP_AT_MOST_MS = 30 * 1000,
    SWEEP_EVERY_MS = 30 * 1000,
    CONFIGURATION_EVERY_MS = 5000,
    QUERY_TIMEOUT_MS = 2000, /* of the first try; c-ares doubles it */
    QUERY_TRIES = 3,
    EDNS_BYTES = 4096,
    RESOLV_CONF_BYTES = 64 * 1024,
};

struct resolver_name {
    struct resolver *r;
    struct resolver_lookup *waiting;
    struct resolver_name *next_ready;
    uint64_t expires_ms;
    uint64_t hash;
    enum err err; /* of the last answer */
    bool asking, ready, handing_out;
    struct resolver_lookup *answering; /* being handed out; `waiting` holds those that came since */
    struct net_addresses addresses;
    struct diag diag;
    char host[]; /* in lower case */
};

/* One resolver_query: a list of names that are tried one after the other. */
struct record_query {
    struct resolver *r;
    struct resolver_query *owner; /* NULL: canceled */
    struct record_query *prev, *next;
    struct arena arena;
    struct str *names;
    uint32_t n_names, at;
    uint16_t type;
    bool asking, ready;
    int status; /* of c-ares */
    struct buf message;
    struct diag unsure; /* why the first name that could not be asked for could not */
    const char *name;
};

struct socket_entry {
    struct poller_entry entry;
    struct resolver *r;
    struct socket_entry *next;
    int fd;
    bool dead; /* closed by c-ares; freed when its channel is not being entered */
};

struct resolver {
    struct loop *loop;
    struct poller *poller;
    ares_channel channel;
    bool has_channel, fixed_server, edns;
    char *path; /* of resolv.conf; NULL: the system's */
    struct buf configuration;
    struct dns_search search; /* views into it */
    struct record_query *queries;
    struct timer timeout, deliver;
    struct socket_entry *sockets;
    struct resolver_name **names;
    size_t names_cap;
    struct map map;
    struct resolver_name *ready;
    uint64_t swept_ms, configured_ms;
    struct timespec configured_mtime;
    uint32_t n_asking;
};

/* ---- addresses ---- */

socklen_t net_address_size(const struct net_address *a)
{
    return a->sa.sa_family == AF_INET6 ? sizeof(a->in6) : sizeof(a->in);
}

void net_address_set_port(struct net_address *a, uint16_t port)
{
    if (a->sa.sa_family == AF_INET6) {
        a->in6.sin6_port = htons(port);
    } else {
        a->in.sin_port = htons(port);
    }
}

void net_address_print(struct buf *b, const struct net_address *a)
{
    char text[INET6_ADDRSTRLEN] = "";
    if (a->sa.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &a->in6.sin6_addr, text, sizeof(text));
        buf_printf(b, "[%s]:%u", text, ntohs(a->in6.sin6_port));
        return;
    }
    inet_ntop(AF_INET, &a->in.sin_addr, text, sizeof(text));
    buf_printf(b, "%s:%u", text, ntohs(a->in.sin_port));
}

bool net_address_parse(struct str host, struct net_address *out)
{
    char text[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
    if (host.n == 0 || host.n >= sizeof(text)) {
        return false;
    }
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    *out = (struct net_address){0};
    if (inet_pton(AF_INET, text, &out->in.sin_addr) == 1) {
        out->sa.sa_family = AF_INET;
        return true;
    }
    char *zone = strchr(text, '%');
    if (zone) {
        *zone++ = '\0';
        out->in6.sin6_scope_id = if_nametoindex(zone);
    }
    if (inet_pton(AF_INET6, text, &out->in6.sin6_addr) == 1) {
        out->sa.sa_family = AF_INET6;
        return true;
    }
    return false;
}

/* ---- names ---- */

struct name_key {
    const struct resolver *r;
    struct str host;
};

static bool name_is(const void *ctx, uint32_t index)
{
    const struct name_key *key = ctx;
    return str_eq_nocase(str_c(key->r->names[index]->host), key->host);
}

static uint64_t host_hash(struct str host)
{
    char lower[256];
    size_t n = host.n < sizeof(lower) ? host.n : sizeof(lower);
    for (size_t i = 0; i < n; i++) {
        lower[i] = (char)tolower((unsigned char)host.p[i]);
    }
    return hash_bytes(str_from(lower, n));
}

static struct resolver_name *name_find(const struct resolver *r, struct str host)
{
    struct name_key key = {r, host};
    uint32_t at = map_find(&r->map, host_hash(host), name_is, &key);
    return at == MAP_NONE ? NULL : r->names[at];
}

static void sweep(struct resolver *r, uint64_t now)
{
    r->swept_ms = now;
    for (uint32_t i = r->map.n; i-- > 0;) {
        struct resolver_name *name = r->names[i];
        if (name->asking || name->ready || name->handing_out || name->waiting || name->expires_ms > now) {
            continue;
        }
        uint32_t last = r->map.n - 1;
        map_remove(&r->map, name->hash, i);
        if (i != last) {
            map_replace(&r->map, r->names[last]->hash, last, i);
            r->names[i] = r->names[last];
        }
        free(name);
    }
}

static struct resolver_name *name_new(struct resolver *r, struct str host)
{
    uint64_t now = loop_now_ms(r->loop);
    if (now - r->swept_ms >= SWEEP_EVERY_MS) {
        sweep(r, now);
    }
    struct resolver_name *name = mem_zalloc(sizeof(*name) + host.n + 1);
    for (size_t i = 0; i < host.n; i++) {
        name->host[i] = (char)tolower((unsigned char)host.p[i]);
    }
    name->r = r;
    name->hash = host_hash(host);
    r->names = mem_grow(r->names, &r->names_cap, r->map.n + 1, sizeof(*r->names));
    r->names[r->map.n] = name;
    map_add(&r->map, name->hash, r->map.n);
    return name;
}

/* ---- c-ares on the loop ---- */

static void arm_timeout(struct resolver *r);

static void free_dead_sockets(struct resolver *r)
{
    for (struct socket_entry **at = &r->sockets; *at;) {
        struct socket_entry *s = *at;
        if (s->dead) {
            *at = s->next;
            free(s);
        } else {
            at = &s->next;
        }
    }
}

static void process(struct resolver *r, ares_socket_t readable, ares_socket_t writable)
{
    ares_process_fd(r->channel, readable, writable);
    free_dead_sockets(r);
    arm_timeout(r);
}

static void socket_ready(struct poller_entry *e, uint32_t events)
{
    struct socket_entry *s = CONTAINER_OF(e, struct socket_entry, entry);
    bool in = events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP);
    process(s->r, in ? s->fd : ARES_SOCKET_BAD, events & EPOLLOUT ? s->fd : ARES_SOCKET_BAD);
}

static void timeout_due(struct timer *t)
{
    process(CONTAINER_OF(t, struct resolver, timeout), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void arm_timeout(struct resolver *r)
{
    struct timeval tv;
    if (r->n_asking == 0 || !ares_timeout(r->channel, NULL, &tv)) {
        timer_stop(&r->timeout);
        return;
    }
    timer_start(r->loop, &r->timeout, (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000 + 1, timeout_due);
}

static void socket_state(void *ctx, ares_socket_t fd, int readable, int writable)
{
    struct resolver *r = ctx;
    struct socket_entry *s = r->sockets;
    while (s && (s->fd != fd || s->dead)) {
        s = s->next;
    }
    if (!readable && !writable) {
        if (s) {
            poller_remove(r->poller, fd, &s->entry);
            s->dead = true;
        }
        return;
    }
    uint32_t events = (readable ? EPOLLIN : 0) | (writable ? EPOLLOUT : 0);
    if (s) {
        poller_change(r->poller, fd, events, &s->entry);
        return;
    }
    s = NEW(struct socket_entry);
    s->entry.fn = socket_ready;
    s->r = r;
    s->fd = fd;
    s->next = r->sockets;
    r->sockets = s;
    if (poller_add(r->poller, fd, events, &s->entry) != OK) {
        s->dead = true; /* the query runs into its time-out */
    }
}

static void open_channel(struct resolver *r)
{
    uint64_t now = loop_now_ms(r->loop);
    if (r->has_channel && (r->fixed_server || r->n_asking > 0 || now - r->configured_ms < CONFIGURATION_EVERY_MS)) {
        return;
    }
    struct stat st = {0};
    const char *path = r->path ? r->path : "/etc/resolv.conf";
    int absent = stat(path, &st);
    r->configured_ms = now;
    if (r->has_channel && (absent || (st.st_mtim.tv_sec == r->configured_mtime.tv_sec &&
                                      st.st_mtim.tv_nsec == r->configured_mtime.tv_nsec))) {
        return;
    }
    struct ares_options o = {.timeout = QUERY_TIMEOUT_MS,
                             .tries = QUERY_TRIES,
                             .sock_state_cb = socket_state,
                             .sock_state_cb_data = r,
                             .resolvconf_path = r->path,
                             .flags = ARES_FLAG_EDNS,
                             .ednspsz = EDNS_BYTES};
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB | (r->path ? ARES_OPT_RESOLVCONF : 0) |
               (r->edns ? ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ : 0);
    ares_channel channel;
    if (ares_init_options(&channel, &o, mask) != ARES_SUCCESS) {
        return;
    }
    if (file_read(path, RESOLV_CONF_BYTES, &r->configuration, NULL) != OK) {
        buf_clear(&r->configuration);
    }
    dns_search_parse(buf_view(&r->configuration), &r->search);
    if (r->has_channel) {
        ares_destroy(r->channel);
        free_dead_sockets(r);
    }
    r->channel = channel;
    r->has_channel = true;
    r->configured_mtime = st.st_mtim;
}

/* ---- answers ---- */

static void deliver_name(struct resolver_name *name)
{
    struct net_addresses addresses = name->addresses; /* a callback's own lookup may be answered meanwhile */
    struct diag diag = name->diag;
    enum err err = name->err;
    name->handing_out = true;
    name->answering = name->waiting;
    name->waiting = NULL;
    while (name->answering) {
        struct resolver_lookup *l = name->answering;
        name->answering = l->next;
        l->name = NULL;
        l->fn(l, err, &addresses, &diag);
    }
    name->handing_out = false;
}

static void deliver_records(struct resolver *r);

static void deliver_due(struct timer *t)
{
    struct resolver *r = CONTAINER_OF(t, struct resolver, deliver);
    deliver_records(r);
    while (r->ready) {
        struct resolver_name *name = r->ready;
        r->ready = name->next_ready;
        name->ready = false;
        deliver_name(name);
    }
}

static void name_take(struct resolver_name *name, const struct ares_addrinfo *result)
{
    uint64_t keep_ms = KEEP_AT_MOST_MS;
    struct net_addresses *to = &name->addresses;
    to->n = 0;
    for (const struct ares_addrinfo_node *node = result->nodes; node && to->n < RESOLVER_MAX_ADDRESSES;
         node = node->ai_next) {
        if (node->ai_addrlen > sizeof(struct net_address)) {
            continue;
        }
        to->a[to->n] = (struct net_address){0};
        memcpy(&to->a[to->n++], node->ai_addr, node->ai_addrlen);
        uint64_t ttl_ms = node->ai_ttl > 0 ? (uint64_t)node->ai_ttl * 1000 : 0;
        keep_ms = ttl_ms < keep_ms ? ttl_ms : keep_ms;
    }
    keep_ms = keep_ms < KEEP_AT_LEAST_MS ? KEEP_AT_LEAST_MS : keep_ms;
    name->expires_ms = loop_now_ms(name->r->loop) + keep_ms;
    name->err = to->n ? OK : ERR_NOT_FOUND;
}

static const char *lookup_words(int status)
{
    switch (status) {
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EBADNAME:
        return "no such host";
    case ARES_ETIMEOUT:
        return "i/o timeout";
    case ARES_ESERVFAIL:
    case ARES_ECONNREFUSED: /* what c-ares makes of a server failure, when it has asked everyone */
        return "server misbehaving";
    default:
        return ares_strerror(status);
    }
}

static void answered(void *ctx, int status, int timeouts, struct ares_addrinfo *result)
{
    struct resolver_name *name = ctx;
    struct resolver *r = name->r;
    (void)timeouts;
    name->asking = false;
    r->n_asking--;
    diag_reset(&name->diag);
    name->err = ERR_NET;
    name->expires_ms = 0;
    if (status == ARES_SUCCESS && result) {
        name_take(name, result);
    }
    if (result) {
        ares_freeaddrinfo(result);
    }
    if (name->err != OK) {
        const char *words = status == ARES_SUCCESS ? "no such host" : lookup_words(status);
        diag_set(&name->diag, ERR_NET, "lookup %s: %s", name->host, words);
        name->err = ERR_NET;
    }
    if (!name->ready) {
        name->ready = true;
        name->next_ready = r->ready;
        r->ready = name;
    }
    if (!timer_armed(&r->deliver)) {
        timer_start(r->loop, &r->deliver, 0, deliver_due);
    }
}

static void ask(struct resolver_name *name)
{
    struct resolver *r = name->r;
    name->asking = true;
    r->n_asking++;
    if (!r->has_channel) {
        answered(name, ARES_ESERVFAIL, 0, NULL);
        return;
    }
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    ares_getaddrinfo(r->channel, name->host, NULL, &hints, answered, name);
    free_dead_sockets(r);
    arm_timeout(r);
}

/* ---- records ---- */

static void query_free(struct record_query *q)
{
    struct resolver *r = q->r;
    *(q->prev ? &q->prev->next : &r->queries) = q->next;
    if (q->next) {
        q->next->prev = q->prev;
    }
    arena_release(&q->arena);
    buf_release(&q->message);
    free(q);
}

static void records_answered(void *ctx, int status, int timeouts, unsigned char *message, int n)
{
    struct record_query *q = ctx;
    struct resolver *r = q->r;
    (void)timeouts;
    q->asking = false;
    r->n_asking--;
    q->status = status;
    q->ready = true;
    buf_clear(&q->message);
    if (message && n > 0) {
        buf_append(&q->message, message, (size_t)n);
    }
    if (!timer_armed(&r->deliver)) {
        timer_start(r->loop, &r->deliver, 0, deliver_due);
    }
}

static void query_ask(struct record_query *q)
{
    struct resolver *r = q->r;
    q->asking = true;
    r->n_asking++;
    if (!r->has_channel) {
        records_answered(q, ARES_ESERVFAIL, 0, NULL, 0);
        return;
    }
    ares_query(r->channel, q->names[q->at].p, 1 /* IN */, q->type, records_answered, q);
    free_dead_sockets(r);
    arm_timeout(r);
}

/* The owner may ask again from its function: it is let go first. The answer lives until then. */
static void query_end(struct record_query *q, enum err err, const struct dns_answer *answer, const struct diag *diag)
{
    struct resolver_query *owner = q->owner;
    if (owner) {
        owner->running = NULL;
        owner->fn(owner, err, answer, diag);
    }
    query_free(q);
}

/* What one name's answer means: true when the query has ended. */
static bool query_step(struct record_query *q)
{
    struct dns_answer answer = {0};
    struct diag d = {0};
    struct str name = q->names[q->at];
    const char *words = NULL;
    bool exists = q->status == ARES_SUCCESS || q->status == ARES_ENODATA;

    if (exists) {
        if (dns_answer_parse(buf_view(&q->message), &q->arena, &answer, &d)) {
            words = d.text;
        } else if (answer.truncated) {
            words = "the answer is cut off even over TCP";
        }
        if (!words) {
            query_end(q, OK, &answer, &d);
            return true;
        }
    } else if (q->status != ARES_ENOTFOUND) {
        words = q->status == ARES_EBADNAME ? "not a valid name" : lookup_words(q->status);
    }
    if (words) {
        diag_set(&q->unsure, ERR_NET, "%.*s: %s", STR_ARGS(name), words);
    }
    if (++q->at < q->n_names) {
        query_ask(q);
        return false;
    }
    diag_reset(&d);
    answer = (struct dns_answer){.rcode = DNS_NO_SUCH_NAME};
    enum err err = OK;
    if (q->unsure.text[0]) {
        err = diag_set(&d, ERR_NET, "could not resolve \"%s\": %s", q->name, q->unsure.text);
    }
    query_end(q, err, &answer, &d);
    return true;
}

static void deliver_records(struct resolver *r)
{
    for (struct record_query *q = r->queries, *next; q; q = next) {
        next = q->next;
        if (!q->ready) {
            continue;
        }
        q->ready = false;
        if (!q->owner) {
            query_free(q);
            continue;
        }
        if (query_step(q)) {
            next = r->queries; /* its owner may have started and canceled others */
        }
    }
}

void resolver_use_edns(struct resolver *r)
{
    r->edns = true;
}

void resolver_use_configuration(struct resolver *r, const char *path)
{
    free(r->path);
    r->path = mem_strdup(path);
}

void resolver_records_start(struct resolver *r, struct str name, uint16_t type, struct resolver_query *owner)
{
    struct record_query *q = NEW(struct record_query);
    open_channel(r);
    q->r = r;
    q->owner = owner;
    q->type = type;
    q->next = r->queries;
    if (q->next) {
        q->next->prev = q;
    }
    r->queries = q;
    owner->running = q;
    q->name = str_dup(&q->arena, name).p;
    q->names = ARENA_ARRAY(&q->arena, struct str, DNS_MAX_SEARCH + 1);
    q->n_names = dns_search_names(&r->search, name, &q->arena, q->names);
    query_ask(q);
}

void resolver_records_cancel(struct resolver_query *owner)
{
    struct record_query *q = owner->running;
    if (!q) {
        return;
    }
    owner->running = NULL;
    q->owner = NULL; /* freed when its answer comes */
    if (!q->asking && !q->ready) {
        query_free(q);
    }
}

/* ---- interface ---- */

static void ares_begin(void)
{
    CHECK(ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS);
}

struct resolver *resolver_new(struct loop *loop, struct poller *poller)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, ares_begin);
    struct resolver *r = NEW(struct resolver);
    r->loop = loop;
    r->poller = poller;
    return r;
}

static void forget(struct resolver_lookup *l)
{
    for (; l; l = l->next) {
        l->name = NULL;
    }
}

void resolver_free(struct resolver *r)
{
    for (uint32_t i = 0; i < r->map.n; i++) {
        struct resolver_name *name = r->names[i];
        forget(name->waiting);
        forget(name->answering);
        name->waiting = NULL;
    }
    if (r->has_channel) {
        ares_destroy(r->channel); /* answers what still runs, into names that nobody waits for */
    }
    timer_stop(&r->timeout);
    timer_stop(&r->deliver);
    free_dead_sockets(r);
    while (r->queries) {
        if (r->queries->owner) {
            r->queries->owner->running = NULL;
        }
        query_free(r->queries);
    }
    buf_release(&r->configuration);
    free(r->path);
    for (uint32_t i = 0; i < r->map.n; i++) {
        free(r->names[i]);
    }
    free(r->names);
    map_release(&r->map);
    free(r);
}

enum err resolver_get(struct resolver *r, struct str host, struct net_addresses *out)
{
    if (net_address_parse(host, &out->a[0])) {
        out->n = 1;
        return OK;
    }
    struct resolver_name *name = name_find(r, host);
    if (!name || name->expires_ms <= loop_now_ms(r->loop)) {
        return ERR_AGAIN;
    }
    *out = name->addresses;
    return OK;
}

enum err resolver_use_server(struct resolver *r, const char *address_and_port)
{
    open_channel(r);
    r->fixed_server = r->has_channel && ares_set_servers_ports_csv(r->channel, address_and_port) == ARES_SUCCESS;
    return r->fixed_server ? OK : ERR_NET;
}

void resolver_start(struct resolver *r, struct str host, struct resolver_lookup *l)
{
    struct resolver_name *name = name_find(r, host);
    if (!name) {
        name = name_new(r, host);
    }
    l->name = name;
    l->next = name->waiting;
    name->waiting = l;
    if (!name->asking && !name->ready) {
        open_channel(r);
        ask(name);
    }
}

void resolver_cancel(struct resolver_lookup *l)
{
    if (!l->name) {
        return;
    }
    struct resolver_lookup **at = &l->name->waiting;
    while (*at && *at != l) {
        at = &(*at)->next;
    }
    if (!*at) {
        for (at = &l->name->answering; *at != l;) {
            at = &(*at)->next;
        }
    }
    *at = l->next;
    l->name = NULL;
}
