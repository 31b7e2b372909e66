/* banned: C library functions that leadline does without, made compile errors. Included by err.h after the system
 * headers that declare them, so that those stay as they are. tools/check-style looks for the same names in text.
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BANNED(name) name##_is_banned_here

#undef strcpy
#define strcpy(...) BANNED(strcpy) /* no bound: use struct buf, or memcpy of a known length */
#undef strcat
#define strcat(...) BANNED(strcat)
#undef strncpy
#define strncpy(...) BANNED(strncpy) /* may leave out the NUL */
#undef strncat
#define strncat(...) BANNED(strncat)
#undef sprintf
#define sprintf(...) BANNED(sprintf) /* snprintf, or buf_printf */
#undef vsprintf
#define vsprintf(...) BANNED(vsprintf)
#undef strtok
#define strtok(...) BANNED(strtok) /* str_cut */
#undef gmtime
#define gmtime(...) BANNED(gmtime) /* shared static result: gmtime_r */
#undef localtime
#define localtime(...) BANNED(localtime)
#undef ctime
#define ctime(...) BANNED(ctime)
#undef asctime
#define asctime(...) BANNED(asctime)
#undef atoi
#define atoi(...) BANNED(atoi) /* no errors: num_parse_i64 */
#undef atol
#define atol(...) BANNED(atol)
#undef atoll
#define atoll(...) BANNED(atoll)
#undef atof
#define atof(...) BANNED(atof)
#undef strtol
#define strtol(...) BANNED(strtol) /* base/num.h reads whole strings, without locale */
#undef strtoul
#define strtoul(...) BANNED(strtoul)
#undef strtoll
#define strtoll(...) BANNED(strtoll)
#undef strtoull
#define strtoull(...) BANNED(strtoull)
#undef strtod
#define strtod(...) BANNED(strtod)
#undef strtof
#define strtof(...) BANNED(strtof)

#endif
