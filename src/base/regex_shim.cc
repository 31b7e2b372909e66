// regex_shim: RE2 for C.
//
// RE2 and Go's regexp are siblings: one syntax, one semantics (leftmost-first, linear time), the same order of checks
// in the parser, so even most errors agree; only their texts differ, and are translated here. Options are those under
// which RE2 does what Go does: UTF-8, Perl syntax, leftmost-first, nothing logged.
//
// An RE2 object is immutable but for a cache of automaton states that it locks itself: matching from several threads is
// safe. 16 MiB bound the program and that cache; when it is used up RE2 goes on with a slower engine, never without
// one. RE2 throws nothing, and this file is compiled without exceptions: running out of memory ends the program, as in
// mem.
#include "base/regex_int.h"

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include <re2/re2.h>

struct regex_shim {
    RE2 re;
    regex_shim(const re2::StringPiece &pattern, const RE2::Options &options) : re(pattern, options)
    {
    }
};

static const char *reason(RE2::ErrorCode code)
{
    switch (code) {
    case RE2::ErrorBadEscape:
        return "invalid escape sequence";
    case RE2::ErrorBadCharClass:
        return "invalid character class";
    case RE2::ErrorBadCharRange:
        return "invalid character class range";
    case RE2::ErrorMissingBracket:
        return "missing closing ]";
    case RE2::ErrorMissingParen:
        return "missing closing )";
    case RE2::ErrorUnexpectedParen:
        return "unexpected )";
    case RE2::ErrorTrailingBackslash:
        return "trailing backslash at end of expression";
    case RE2::ErrorRepeatArgument:
        return "missing argument to repetition operator";
    case RE2::ErrorRepeatSize:
        return "invalid repeat count";
    case RE2::ErrorRepeatOp:
        return "invalid nested repetition operator";
    case RE2::ErrorBadPerlOp:
        return "invalid or unsupported Perl syntax";
    case RE2::ErrorBadUTF8:
        return "invalid UTF-8";
    case RE2::ErrorBadNamedCapture:
        return "invalid named capture";
    case RE2::ErrorPatternTooLarge:
        return "expression too large";
    default:
        return "internal error";
    }
}

static void copy(char *out, size_t size, const std::string &text)
{
    size_t n = text.size() < size ? text.size() : size - 1;
    memcpy(out, text.data(), n);
    out[n] = '\0';
}

extern "C" struct regex_shim *regex_shim_new(const char *pattern, size_t n, char what[64], char where[256])
{
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(16 << 20);
    regex_shim *s = new regex_shim(re2::StringPiece(pattern, n), options);
    if (s->re.ok())
        return s;
    copy(what, 64, reason(s->re.error_code()));
    copy(where, 256, s->re.error_arg());
    delete s;
    return nullptr;
}

extern "C" void regex_shim_free(struct regex_shim *re)
{
    delete re;
}

extern "C" int regex_shim_groups(const struct regex_shim *re)
{
    return re->re.NumberOfCapturingGroups();
}

extern "C" int regex_shim_match(const struct regex_shim *re, const char *p, size_t len, struct regex_span *spans, int n)
{
    re2::StringPiece text(p ? p : "", len), few[16];
    std::vector<re2::StringPiece> many(n > 16 ? static_cast<size_t>(n) : 0);
    re2::StringPiece *found = n > 16 ? many.data() : few;
    if (!re->re.Match(text, 0, len, RE2::UNANCHORED, found, n))
        return 0;
    for (int i = 0; i < n; i++) {
        spans[i].p = found[i].data();
        spans[i].n = found[i].size();
    }
    return 1;
}

extern "C" int regex_shim_group(const struct regex_shim *re, const char *name, size_t n)
{
    const std::map<std::string, int> &names = re->re.NamedCapturingGroups();
    std::map<std::string, int>::const_iterator at = names.find(std::string(name, n));
    return at == names.end() ? -1 : at->second;
}

extern "C" size_t regex_shim_word(const char *p, size_t n)
{
    static const RE2 word("^[\\pL\\p{Nd}_]+", RE2::Quiet);
    re2::StringPiece found;
    return word.Match(re2::StringPiece(p, n), 0, n, RE2::ANCHOR_START, &found, 1) ? found.size() : 0;
}
