/* ecs_agent_print: the list of targets as the CloudWatch agent writes it for its scraper, and as file_sd_configs reads
 * it.
 *
 *   - targets:
 *       - 10.6.1.95:32785
 *     labels:
 *       __metrics_path__: /metrics
 *       LaunchType: EC2
 *       TaskRevision: "7"
 *
 * Keys stand in the agent's order, which is go-yaml's: at the first difference what is no letter comes before a letter,
 * else bytewise. A value is written plain where every YAML reader sees the same string in it; what could be a number, a
 * date or a time to some reader is quoted. The quoted form escapes whatever a strict reader refuses in a stream
 * (control characters, byte-order marks, non-characters): one odd docker label must not cost a whole file its readers.
 */
#include <stdlib.h>
#include <string.h>

#include "base/quote.h"
#include "discover/ecs_agent.h"
#include "wire/tree.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* ---- scalars ---- */

/* Begins with a letter, _ or /, or, as an address, with a digit; nothing in it means anything to YAML. */
static bool is_plain(struct str s, bool address)
{
    bool truth;

    if (s.n == 0 || tree_resolve(s, &truth) != NODE_STRING)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool digit = c >= '0' && c <= '9';
        bool inside = i > 0 && (c == '-' || c == '.' || c == '+' || (c == ':' && i + 1 < s.n));
        if (!is_letter(c) && c != '_' && c != '/' && !inside && !(digit && (i > 0 || address)))
            return false;
    }
    return true;
}

/* YAML 1.1, 5.1 "Character Set", and what go-yaml takes of it. */
static bool is_printable(uint32_t rune)
{
    return (rune >= 0x20 && rune < 0x7f) || (rune >= 0xa0 && rune < 0xd800 && rune != 0x2028 && rune != 0x2029) ||
           (rune >= 0xe000 && rune <= 0xfffd && rune != 0xfeff) || rune >= 0x10000;
}

static void put_quoted(struct buf *out, struct str s)
{
    uint32_t rune;

    buf_char(out, '"');
    for (size_t i = 0; i < s.n;) {
        size_t n = quote_rune(s, i, &rune);
        if (n == 0)
            buf_c(out, "\\uFFFD");
        else if (rune == '"' || rune == '\\')
            buf_printf(out, "\\%c", (char)rune);
        else if (rune == '\n')
            buf_c(out, "\\n");
        else if (rune == '\t')
            buf_c(out, "\\t");
        else if (is_printable(rune))
            buf_append(out, s.p + i, n);
        else
            buf_printf(out, "\\u%04X", rune);
        i += n ? n : 1;
    }
    buf_char(out, '"');
}

static void put_scalar(struct buf *out, struct str s, bool address)
{
    if (is_plain(s, address))
        buf_str(out, s);
    else
        put_quoted(out, s);
}

/* ---- targets ---- */

static int by_key(const void *a, const void *b)
{
    struct str x = ((const struct label *)a)->name, y = ((const struct label *)b)->name;
    size_t i = 0;

    while (i < x.n && i < y.n && x.p[i] == y.p[i])
        i++;
    if (i < x.n && i < y.n && is_letter(x.p[i]) != is_letter(y.p[i]))
        return is_letter(x.p[i]) ? 1 : -1;
    return str_cmp(x, y);
}

static void put_labels(struct buf *out, struct labels l, struct arena *a)
{
    struct label *v = ARENA_ARRAY(a, struct label, l.n + 1);

    for (uint32_t i = 0; i < l.n; i++)
        v[i] = l.v[i];
    qsort(v, l.n, sizeof(*v), by_key);
    for (uint32_t i = 0; i < l.n; i++) {
        buf_c(out, "    ");
        put_scalar(out, v[i].name, false);
        buf_c(out, ": ");
        put_scalar(out, v[i].value, false);
        buf_char(out, '\n');
    }
}

void ecs_agent_print(const struct ecs_agent_findings *f, struct buf *out)
{
    struct arena scratch = {0};

    if (f->n_targets == 0)
        buf_c(out, "[]\n");
    for (uint32_t i = 0; i < f->n_targets; i++) {
        const struct ecs_agent_target *t = &f->targets[i];
        buf_c(out, "- targets:\n    - ");
        put_scalar(out, t->address, true);
        buf_c(out, t->labels.n ? "\n  labels:\n" : "\n");
        put_labels(out, t->labels, &scratch);
        arena_reset(&scratch);
    }
    arena_release(&scratch);
}
