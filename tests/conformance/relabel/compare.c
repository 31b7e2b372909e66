/* compare: repeats the cases that cases/main.go prints, with leadline's own code, and counts what differs. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/num.h"
#include "shape/metric_map.h"
#include "shape/relabel.h"

#include "../words.h"

#define MAX_RULES 8
#define SHOWN 10

struct one_case {
    struct arena arena;
    struct relabel_rule rules[MAX_RULES];
    uint32_t n_rules;
    struct labels base, add;
    bool map, honor;
    struct buf text; /* the case's lines, to show */
};

static void read_rule(struct one_case *c, struct str line)
{
    struct str action = words_next(&line);

    CHECK(c->n_rules < MAX_RULES);
    struct relabel_rule *r = &c->rules[c->n_rules++];
    *r = (struct relabel_rule){.action = RELABEL_REPLACE};
    while (!str_eq_c(action, relabel_action_name(r->action))) {
        CHECK(r->action < RELABEL_UPPERCASE);
        r->action++;
    }
    r->legacy_names = (uint64_t)words_number(&line) != 0;
    r->modulus = (uint64_t)words_number(&line);
    struct str pattern = words_string(&line, &c->arena);
    r->separator = words_string(&line, &c->arena);
    r->target_label = words_string(&line, &c->arena);
    r->replacement = words_string(&line, &c->arena);
    struct diag d = {0};
    if (regex_new(pattern, &r->regex, &d) != OK) {
        printf("cannot compile %.*s: %s\n", STR_ARGS(pattern), d.text);
        exit(1);
    }
    r->source_labels = ARENA_ARRAY(&c->arena, struct str, line.n / 2 + 1);
    while (line.n > 0)
        r->source_labels[r->n_source_labels++] = words_string(&line, &c->arena);
}

static struct labels read_labels(struct one_case *c, struct str line)
{
    struct label *v = ARENA_ARRAY(&c->arena, struct label, line.n / 4 + 1);
    uint32_t n = 0;

    while (line.n > 0) {
        v[n].name = words_string(&line, &c->arena);
        v[n++].value = words_string(&line, &c->arena);
    }
    return (struct labels){v, n};
}

static void print_outcome(struct one_case *c, struct buf *out)
{
    struct relabel_rules rules = {c->rules, c->n_rules};
    struct labels_builder b;

    if (!c->map) {
        labels_builder_init(&b, &c->arena);
        labels_builder_set_all(&b, c->base, false);
        labels_builder_set_all(&b, c->add, true);
        if (!relabel_run(&rules, &b))
            buf_c(out, "drop");
        else
            labels_print(labels_builder_labels(&b), out);
        return;
    }
    struct metric_map map = {.honor_labels = c->honor, .rules = &rules};
    struct metric_mapped mapped;
    enum metric_map_result r = metric_map_run(&map, c->base, c->add, &c->arena, &mapped, NULL);
    if (r == MAP_KEPT)
        labels_print(metric_map_merged(mapped.labels, c->add, &c->arena), out);
    else
        buf_c(out, r == MAP_DROPPED ? "drop" : "error");
}

static bool check(struct one_case *c, struct str want)
{
    AUTO_BUF expected = {0};
    AUTO_BUF got = {0};

    if (str_eq_c(want, "drop") || str_eq_c(want, "error"))
        buf_str(&expected, want);
    else
        labels_print(read_labels(c, want), &expected);
    print_outcome(c, &got);
    return str_eq(buf_view(&expected), buf_view(&got));
}

static void show(struct one_case *c)
{
    AUTO_BUF text = {0};

    for (uint32_t i = 0; i < c->n_rules; i++) {
        struct relabel_rule *r = &c->rules[i];
        printf("  %s regex=%.*s separator=%.*s target=%.*s replacement=%.*s modulus=%llu legacy=%d sources:",
               relabel_action_name(r->action), STR_ARGS(regex_pattern(r->regex)), STR_ARGS(r->separator),
               STR_ARGS(r->target_label), STR_ARGS(r->replacement), (unsigned long long)r->modulus, r->legacy_names);
        for (uint32_t k = 0; k < r->n_source_labels; k++)
            printf(" %.*s", STR_ARGS(r->source_labels[k]));
        printf("\n");
    }
    labels_print(c->base, &text);
    buf_c(&text, "\n  ");
    labels_print(c->add, &text);
    buf_c(&text, "\n  leadline: ");
    print_outcome(c, &text);
    printf("  map=%d honor=%d\n  %.*s\n", c->map, c->honor, STR_ARGS(buf_view(&text)));
}

static void next_case(struct one_case *c)
{
    for (uint32_t i = 0; i < c->n_rules; i++)
        regex_free(c->rules[i].regex);
    arena_reset(&c->arena);
    c->n_rules = 0;
    c->map = c->honor = false;
}

int main(void)
{
    static struct one_case c;
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    unsigned passed = 0;
    unsigned failed = 0;

    while ((n = getline(&line, &cap, stdin)) > 0) {
        struct str rest = str_from(line, (size_t)n - 1);
        struct str word = words_next(&rest);
        if (str_eq_c(word, "rule")) {
            read_rule(&c, rest);
        } else if (str_eq_c(word, "map")) {
            c.map = true;
            c.honor = (uint64_t)words_number(&rest) != 0;
        } else if (str_eq_c(word, "base")) {
            c.base = read_labels(&c, rest);
        } else if (str_eq_c(word, "add")) {
            c.add = read_labels(&c, rest);
        } else {
            bool same = check(&c, rest);
            passed += same;
            failed += !same;
            if (!same && failed <= SHOWN) {
                AUTO_BUF want = {0};
                if (str_eq_c(rest, "drop") || str_eq_c(rest, "error"))
                    buf_str(&want, rest);
                else
                    labels_print(read_labels(&c, rest), &want);
                printf("differs:\n");
                show(&c);
                printf("  original: %.*s\n", STR_ARGS(buf_view(&want)));
            }
            next_case(&c);
        }
    }
    free(line);
    arena_release(&c.arena);
    printf("%u passed, %u failed, 0 skipped\n", passed, failed);
    return failed > 0 || passed == 0;
}
