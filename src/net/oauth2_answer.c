/* oauth2_answer: what a token server says.
 *
 *   {"access_token": "x", "token_type": "bearer", "expires_in": 3600}       seconds, as a number or in quotes
 *   access_token=x&token_type=bearer&expires_in=3600                        by some, for client credentials
 *   {"error": "invalid_client", "error_description": "..."}                 a refusal, whatever its status
 *
 * Read as golang's oauth2 reads it, and refused in its words. Of a refusal the code and description are shown, or the
 * first bytes; of an answer that is none of these, nothing: it might hold a token.
 *
 * Pure, any thread.
 */
#include "net/oauth2_answer.h"

#include "base/arena.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/quote.h"
#include "net/http_client_int.h"
#include "wire/tree.h"

enum { MAX_TOKEN_BYTES = 64 * 1024, MAX_SHOWN = 200 };
static const double LONGEST_S = 1e9; /* what lives longer than thirty years does not end */

/* The three fields that matter, as they stand. */
struct fields {
    struct buf token, type;
    double expires_s; /* 0: never */
};

static void wipe(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->cap);
    buf_release(b);
}

static void take_field(struct fields *f, struct str name, struct str value)
{
    if (str_eq_c(name, "access_token")) {
        buf_clear(&f->token);
        buf_str(&f->token, value);
    } else if (str_eq_c(name, "token_type")) {
        buf_clear(&f->type);
        buf_str(&f->type, value);
    } else if (str_eq_c(name, "expires_in")) {
        if (num_parse_double(value, &f->expires_s) != OK)
            f->expires_s = 0;
    }
}

/* a=b&c=d, with + for a space. */
static void take_form(struct fields *f, struct str text)
{
    AUTO_BUF spaced = {0};
    buf_str(&spaced, text);
    for (size_t i = 0; i < spaced.n; i++)
        spaced.p[i] = spaced.p[i] == '+' ? ' ' : spaced.p[i];
    struct str rest = buf_view(&spaced), pair, name, value;
    while (rest.n) {
        AUTO_BUF n = {0};
        AUTO_BUF v = {0};
        str_cut(rest, '&', &pair, &rest);
        str_cut(pair, '=', &name, &value);
        http_percent_decode(&n, name);
        http_percent_decode(&v, value);
        take_field(f, buf_view(&n), buf_view(&v));
    }
    wipe(&spaced);
}

static void take_json(struct fields *f, const struct node *root)
{
    for (const struct node *n = root->first; n; n = n->next) {
        if (n->kind == NODE_STRING || n->kind == NODE_NUMBER)
            take_field(f, n->key, n->text);
    }
}

/* The words of a refusal: what the server calls it, or the first bytes that it sent. */
static enum err refusal(int status, struct str body, const struct node *root, struct diag *d)
{
    AUTO_BUF text = {0};
    const struct node *code = root ? node_find(root, "error") : NULL;
    const struct node *why = root ? node_find(root, "error_description") : NULL;
    buf_c(&text, "oauth2: ");
    if (code && code->kind == NODE_STRING) {
        buf_quote(&text, str_from(code->text.p, code->text.n < MAX_SHOWN ? code->text.n : MAX_SHOWN));
    } else {
        buf_printf(&text, "cannot fetch token: status %d, response: ", status);
        buf_quote(&text, str_from(body.p, body.n < MAX_SHOWN ? body.n : MAX_SHOWN));
    }
    if (code && why && why->kind == NODE_STRING) {
        buf_char(&text, ' ');
        buf_quote(&text, str_from(why->text.p, why->text.n < MAX_SHOWN ? why->text.n : MAX_SHOWN));
    }
    return diag_set(d, ERR_AUTH, "%s", text.p);
}

/* As golang's oauth2 writes the kind of a token into a request. */
static struct str kind_of(struct str type)
{
    static const char *const known[] = {"Bearer", "MAC", "Basic"};
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (str_eq_nocase(type, str_c(known[i])))
            return str_c(known[i]);
    }
    return type.n ? type : STR("Bearer");
}

static enum err make_grant(const struct fields *f, struct oauth2_token *out, struct diag *d)
{
    if (f->token.n == 0)
        return diag_set(d, ERR_AUTH, "oauth2: server response missing access_token");
    if (f->token.n > MAX_TOKEN_BYTES || f->type.n > MAX_TOKEN_BYTES)
        return diag_set(d, ERR_LIMIT, "oauth2: the access token is larger than %d bytes", MAX_TOKEN_BYTES);
    buf_str(&out->authorization, kind_of(buf_view(&f->type)));
    buf_char(&out->authorization, ' ');
    buf_str(&out->authorization, buf_view(&f->token));
    out->life_ms = f->expires_s > 0 && f->expires_s < LONGEST_S ? (uint64_t)(f->expires_s * 1000) : 0;
    return OK;
}

static bool is_form(struct str content_type)
{
    struct str kind, rest;
    str_cut(content_type, ';', &kind, &rest);
    kind = str_trim(kind);
    return str_eq_nocase(kind, STR("application/x-www-form-urlencoded")) || str_eq_nocase(kind, STR("text/plain"));
}

enum err oauth2_answer_parse(int status, struct str content_type, struct str body, bool forms, struct oauth2_token *out,
                             struct diag *d)
{
    struct arena arena = {0};
    struct node *root = NULL;
    struct fields f = {0};
    bool form = forms && is_form(content_type);
    enum err err = OK;
    if (!form && (tree_parse_json(body, "token", &arena, &root, NULL) != OK || !root || root->kind != NODE_MAPPING))
        root = NULL;
    if (status < 200 || status > 299 || (root && node_find(root, "error")))
        err = refusal(status, body, root, d);
    else if (form)
        take_form(&f, body);
    else if (root)
        take_json(&f, root);
    else
        err = diag_set(d, ERR_AUTH, "oauth2: cannot parse json: the token server's answer is no object");
    if (!err)
        err = make_grant(&f, out, d);
    wipe(&f.token);
    buf_release(&f.type);
    arena_release(&arena);
    return err;
}

void oauth2_token_release(struct oauth2_token *g)
{
    wipe(&g->authorization);
}
