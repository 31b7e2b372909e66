/* proxy: which proxy a request goes through, as Go decides it (golang.org/x/net/http/httpproxy). */
#ifndef NET_PROXY_H
#define NET_PROXY_H

#include "net/http_client.h"

/* The proxy's URL, or the empty view. Environment variables are read at each call. */
struct str proxy_for(const struct http_options *o, const struct http_url *u);
/* True when a list such as ".example.com,10.0.0.0/8,host:8080" (or "*", or the host being loopback) says: directly. */
bool proxy_bypassed(struct str no_proxy, struct str host, uint16_t port);

#endif
