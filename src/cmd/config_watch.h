/* config_watch: whether a configuration, or a file that it includes, has changed since it was looked at last. */
#ifndef CMD_CONFIG_WATCH_H
#define CMD_CONFIG_WATCH_H

#include <stdint.h>

/* A hash over the file and everything that its scrape_config_files find, names and contents; 0 while the file itself
 * cannot be read. Blocking. */
uint64_t config_watch_hash(const char *path);

#endif
