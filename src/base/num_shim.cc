// num_shim: libstdc++'s correctly rounded number conversions, for C.
//
// std::from_chars (Eisel-Lemire) and std::to_chars (Ryu) are exact, know no locale and allocate nothing. to_chars is
// asked for scientific form, which is always d[.ddd]e+xx, and taken apart into digits and a place for the point: the
// layout is made in num.c, as Go makes it. Any thread.
#include "base/num_int.h"

#include <charconv>

extern "C" int num_shim_parse(const char *p, size_t n, double *out)
{
    std::from_chars_result r = std::from_chars(p, p + n, *out);
    if (r.ec == std::errc::result_out_of_range)
        return NUM_SHIM_RANGE;
    return r.ec == std::errc() && r.ptr == p + n ? NUM_SHIM_OK : NUM_SHIM_SYNTAX;
}

extern "C" int num_shim_digits(double v, char digits[17], int *point)
{
    char text[32];
    std::to_chars_result r = std::to_chars(text, text + sizeof(text), v, std::chars_format::scientific);
    int n = 0;
    const char *p = text;
    for (; p < r.ptr && *p != 'e'; p++) {
        if (*p != '.')
            digits[n++] = *p;
    }
    int exponent = 0;
    if (p < r.ptr)
        std::from_chars(p[1] == '+' ? p + 2 : p + 1, r.ptr, exponent);
    *point = exponent + 1;
    return n;
}
