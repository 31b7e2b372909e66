/* version: what leadline calls itself. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#define LEADLINE_VERSION "0.1.0"
/* The Prometheus whose agent mode this version follows: /api/v1/status/buildinfo and compatibility tables. */
#define LEADLINE_PROMETHEUS_VERSION "3.15.0"
#define LEADLINE_USER_AGENT         "leadline/" LEADLINE_VERSION

#endif
