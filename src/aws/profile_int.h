/* profile: the two shared files of the AWS command line, read (AWS SDKs and Tools Reference Guide, "Shared config and
 * credentials files"). Pure; the strings are views into the arena.
 *
 *   ~/.aws/config                     ~/.aws/credentials
 *   [default]                         [default]
 *   [profile NAME]                    [NAME]
 *   [sso-session NAME]
 *   [services NAME]
 *
 * Of a key that both files have the credentials file's stands; [profile default] hides the config file's [default].
 */
#ifndef AWS_PROFILE_INT_H
#define AWS_PROFILE_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum { PROFILE_MAX_BYTES = 1 << 20 };

enum profile_section { SECTION_PROFILE, SECTION_SSO_SESSION, SECTION_SERVICES };
enum profile_file { PROFILE_CONFIG, PROFILE_CREDENTIALS };

/* One line of a file. A section's own line has an empty key. */
struct profile_entry {
    enum profile_section section;
    enum profile_file file;
    bool bare_default; /* [default] of the config file */
    struct str name;   /* of the section */
    struct str key;    /* lower case; of a nested line: the key it stands under */
    struct str nested; /* lower case; empty on the first level */
    struct str value;
};

struct profiles { /* zeroed is valid: no files */
    struct profile_entry *entries;
    size_t n, cap; /* entries is malloc'd: profiles_release */
};

/* Adds what a file says; bytes are copied into the arena. Lines that are none of a profile file's are passed over, as
 * the SDKs do. ERR_LIMIT: larger than PROFILE_MAX_BYTES. */
enum err profiles_parse(struct profiles *p, enum profile_file file, struct str text, struct arena *a,
                        struct diag *d) MUST_USE;
void profiles_release(struct profiles *p);

bool profiles_has(const struct profiles *p, enum profile_section section, struct str name);
/* Empty when absent. `nested` NULL: the first level. */
struct str profiles_get(const struct profiles *p, enum profile_section section, struct str name, const char *key,
                        const char *nested);

#endif
