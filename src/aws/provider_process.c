/* provider_process: credential_process of a profile: a program that prints keys.
 *
 *   credential_process = /opt/bin/keys --role "two words"
 *
 * It is started without a shell (a scratch image has none): the line is split into words as a POSIX shell would, with
 * quotes and backslashes and without expanding anything, and the first word is looked for in PATH. It has a minute;
 * after that its process group is killed. Its standard output is one JSON object and never logged; of its standard
 * error the first line goes into the message when it fails.
 *
 * Source: AWS SDKs and Tools Reference Guide, "Process credential provider"; botocore splits in the same way.
 */
#include <ctype.h>

#include "aws/fetch_int.h"
#include "base/clock.h"

enum { TIMEOUT_MS = 60000, MAX_WORDS = 256 };

/* One word from the front of s, unquoted, into the arena. False: a quote is not closed. */
static bool take_word(struct str *s, struct arena *a, char **out)
{
    char *word = arena_alloc(a, s->n + 1), quote = 0;
    size_t n = 0, i = 0;

    for (; i < s->n && (quote || !isspace((unsigned char)s->p[i])); i++) {
        char c = s->p[i];
        bool escapes = c == '\\' && quote != '\'' && i + 1 < s->n;
        if (escapes && quote == '"' && !strchr("\"\\$`", s->p[i + 1]))
            escapes = false;
        if (escapes)
            word[n++] = s->p[++i];
        else if (quote ? c == quote : c == '"' || c == '\'')
            quote = quote ? 0 : c;
        else
            word[n++] = c;
    }
    word[n] = '\0';
    *s = str_from(s->p + i, s->n - i);
    *out = word;
    return !quote;
}

enum err provider_process_split(struct str command, struct arena *a, char ***argv, struct diag *d)
{
    char **words = arena_zalloc(a, (MAX_WORDS + 1) * sizeof(*words));
    size_t n = 0;

    for (command = str_trim(command); command.n; command = str_trim(command)) {
        if (n == MAX_WORDS)
            return diag_set(d, ERR_LIMIT, "credential_process: more than %d words", MAX_WORDS);
        if (!take_word(&command, a, &words[n++]))
            return diag_set(d, ERR_SYNTAX, "credential_process: a quote is not closed");
    }
    if (n == 0 || words[0][0] == '\0')
        return diag_set(d, ERR_SYNTAX, "credential_process: no program");
    *argv = words;
    return OK;
}

static void fail_with(struct fetch *f, const struct process_result *r)
{
    struct str line, rest;

    str_cut(str_trim(r->errors), '\n', &line, &rest);
    line = answer_words(&f->arena, line);
    if (r->err == ERR_TIMEOUT)
        fetch_fail(f, r->err, "credential_process: killed, since it had not ended after %d s", TIMEOUT_MS / 1000);
    else if (r->err)
        fetch_fail(f, r->err, "credential_process: killed, since it printed more than %d bytes", FETCH_MAX_ANSWER);
    else if (r->signal)
        fetch_fail(f, ERR_IO, "credential_process: ended by signal %d", r->signal);
    else
        fetch_fail(f, ERR_AUTH, "credential_process: exit status %d%s%.*s", r->status, line.n ? ": " : "",
                   STR_ARGS(line));
}

static void on_ended(void *ctx, const struct process_result *r)
{
    struct fetch *f = ctx;
    struct answer_keys keys;
    struct diag d = {0};

    f->process = NULL;
    if (r->err || r->signal || r->status) {
        fail_with(f, r);
        return;
    }
    enum err err = answer_process(r->output, &f->arena, &keys, &d);
    if (!err && keys.expires_ms <= clock_wall_ms())
        err = diag_set(&d, ERR_AUTH, "its keys have expired");
    if (err)
        fetch_fail(f, err, "credential_process: %s", d.text);
    else
        fetch_got(f, &keys);
}

void provider_process(struct fetch *f)
{
    struct diag d = {0};
    struct process_options o = {.max_output = FETCH_MAX_ANSWER, .timeout_ms = TIMEOUT_MS, .done = on_ended, .ctx = f};
    enum err err = provider_process_split(f->from.chain->command, &f->arena, &o.argv, &d);

    if (err) {
        fetch_fail(f, err, "%s", d.text);
        return;
    }
    err = process_start(f->from.aws->env.loop, &o, &f->process, &d);
    if (err)
        fetch_fail(f, err, "credential_process: %s", d.text);
}
