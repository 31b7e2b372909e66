/* proxy: proxy_url, no_proxy and proxy_from_environment.
 *
 * libcurl obeys http_proxy by itself; Prometheus' scrapes and remote write do so only when asked. So libcurl is always
 * told which proxy to use, also when it is none, and the choice is made here:
 *
 *   proxy_from_environment  HTTPS_PROXY or HTTP_PROXY by the URL's scheme, with NO_PROXY; lower case counts too
 *   proxy_url               always, loopback included, unless no_proxy is set
 *   proxy_url + no_proxy    as for the environment
 *
 * A no_proxy list is separated by commas. An item is `*`, an address, a block (10.0.0.0/8), or a name: `example.com`
 * means itself and everything below it, `.example.com` and `*.example.com` only what is below. Names and addresses may
 * carry a port. With any list in force, localhost and loopback addresses are reached directly.
 */
#include "net/proxy.h"

#include <arpa/inet.h>

#include "base/num.h"
#include "net/http_client_int.h"
#include "net/resolver.h"

static bool is_loopback(struct str host)
{
    struct net_address a;
    if (str_eq_nocase(host, STR("localhost"))) {
        return true;
    }
    if (!net_address_parse(host, &a)) {
        return false;
    }
    return a.sa.sa_family == AF_INET ? ntohl(a.in.sin_addr.s_addr) >> 24 == 127
                                     : IN6_IS_ADDR_LOOPBACK(&a.in6.sin6_addr);
}

static bool in_block(struct str block, struct str host)
{
    struct str base, bits_text;
    struct net_address net, a;
    uint64_t bits;
    if (!str_cut(block, '/', &base, &bits_text) || num_parse_u64(bits_text, &bits) != OK ||
        !net_address_parse(base, &net) || !net_address_parse(host, &a) || net.sa.sa_family != a.sa.sa_family) {
        return false;
    }
    bool v6 = a.sa.sa_family == AF_INET6;
    const uint8_t *x = v6 ? net.in6.sin6_addr.s6_addr : (const uint8_t *)&net.in.sin_addr;
    const uint8_t *y = v6 ? a.in6.sin6_addr.s6_addr : (const uint8_t *)&a.in.sin_addr;
    if (bits > (v6 ? 128 : 32)) {
        return false;
    }
    size_t whole = bits / 8;
    if (memcmp(x, y, whole) != 0) {
        return false;
    }
    return bits % 8 == 0 || (x[whole] ^ y[whole]) >> (8 - bits % 8) == 0;
}

static bool item_matches(struct str item, struct str host, uint16_t port)
{
    struct net_address a, b;
    if (memchr(item.p, '/', item.n)) {
        return in_block(item, host);
    }
    if (!net_address_parse(item, &a)) {
        const char *colon = memrchr(item.p, ':', item.n);
        uint64_t only;
        if (colon && num_parse_u64(str_from(colon + 1, item.n - (size_t)(colon - item.p) - 1), &only) == OK) {
            if (only != port) {
                return false;
            }
            item.n = (size_t)(colon - item.p);
        }
        if (item.n > 1 && item.p[0] == '[' && item.p[item.n - 1] == ']') {
            item = str_from(item.p + 1, item.n - 2);
        }
    }
    if (net_address_parse(item, &a)) {
        return net_address_parse(host, &b) && a.sa.sa_family == b.sa.sa_family &&
               (a.sa.sa_family == AF_INET ? a.in.sin_addr.s_addr == b.in.sin_addr.s_addr
                                          : !memcmp(&a.in6.sin6_addr, &b.in6.sin6_addr, sizeof(a.in6.sin6_addr)));
    }
    if (str_starts(item, STR("*."))) {
        item = str_from(item.p + 1, item.n - 1);
    }
    if (item.n == 0) {
        return false;
    }
    if (str_eq_nocase(host, item)) {
        return item.p[0] != '.';
    }
    size_t dot = item.p[0] == '.' ? 0 : 1;
    if (host.n < item.n + dot || (dot && host.p[host.n - item.n - 1] != '.')) {
        return false;
    }
    return str_eq_nocase(str_from(host.p + host.n - item.n, item.n), item);
}

bool proxy_bypassed(struct str no_proxy, struct str host, uint16_t port)
{
    if (is_loopback(host)) {
        return true;
    }
    struct str rest = no_proxy, item;
    while (rest.n) {
        str_cut(rest, ',', &item, &rest);
        item = str_trim(item);
        if (str_eq(item, STR("*")) || (item.n && item_matches(item, host, port))) {
            return true;
        }
    }
    return false;
}

static struct str environment(const char *upper, const char *lower)
{
    const char *value = getenv(upper);
    return str_c(value && *value ? value : getenv(lower));
}

struct str proxy_for(const struct http_options *o, const struct http_url *u)
{
    if (o->proxy_from_environment) {
        struct str proxy =
            http_url_is_tls(u) ? environment("HTTPS_PROXY", "https_proxy") : environment("HTTP_PROXY", "http_proxy");
        struct str no_proxy = environment("NO_PROXY", "no_proxy");
        return proxy.n && !proxy_bypassed(no_proxy, u->host, http_url_port(u)) ? proxy : STR_NONE;
    }
    if (o->proxy_url.n && o->no_proxy.n && proxy_bypassed(o->no_proxy, u->host, http_url_port(u))) {
        return STR_NONE;
    }
    return o->proxy_url;
}
