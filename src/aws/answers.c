/* answers: JSON of the container endpoint, instance metadata, processes, SSO and task metadata.
 *
 * All of them say the same four things under different names, so each is a row of names and one reader (STS answers in
 * XML: answers_sts.c):
 *
 *                    key id         secret            token          ends                account
 *   metadata         AccessKeyId    SecretAccessKey   Token          Expiration          AccountId
 *   process          AccessKeyId    SecretAccessKey   SessionToken   Expiration          AccountId
 *   SSO              accessKeyId    secretAccessKey   sessionToken   expiration (in ms)  -
 *
 * Keys go into HTTP header fields later, so anything but printable ASCII in them is refused here. An answer of status
 * 200 without keys is a failure with the answer's own words for it (`Code`, `Message`), which instance metadata gives
 * when the role cannot be used.
 */
#include "aws/answers_int.h"

#include "base/clock.h"
#include "base/num.h"
#include "wire/tree.h"

enum { MAX_KEY_BYTES = 32 * 1024 }; /* session tokens are of some KB; what a header field may hold */

/* ---- keys ---- */

struct key_names {
    const char *what; /* for messages */
    const char *access_key, *secret_key, *session_token, *expires, *account;
    bool expires_in_ms;
};

static const struct key_names metadata_names = {"the answer", "AccessKeyId", "SecretAccessKey", "Token", "Expiration",
                                                "AccountId",  false};
static const struct key_names process_names = {
    "its output", "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration", "AccountId", false};
static const struct key_names sso_names = {"the answer", "accessKeyId", "secretAccessKey", "sessionToken", "expiration",
                                           "accountId",  true};

/* The value of a string member; empty when it is absent or something else. */
static struct str text_of(const struct node *object, const char *key)
{
    const struct node *n = object ? node_find(object, key) : NULL;
    return n && n->kind == NODE_STRING ? n->text : STR_NONE;
}

bool answer_is_printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '!' || s.p[i] > '~')
            return false;
    return s.n <= MAX_KEY_BYTES;
}

enum err answer_keys_check(const struct answer_keys *k, const char *what, struct diag *d)
{
    const struct {
        const char *name;
        struct str value;
        bool needed;
    } parts[] = {
        {"access key id", k->access_key, true},
        {"secret access key", k->secret_key, true},
        {"session token", k->session_token, false},
        {"account", k->account, false},
    };

    for (size_t i = 0; i < 4; i++) {
        if (parts[i].needed && parts[i].value.n == 0)
            return diag_set(d, ERR_SYNTAX, "%s has no %s", what, parts[i].name);
        if (!answer_is_printable(parts[i].value))
            return diag_set(d, ERR_SYNTAX, "%s has characters in its %s that cannot be there", what, parts[i].name);
    }
    return OK;
}

static enum err read_expiry(const struct node *object, const struct key_names *names, int64_t *out, struct diag *d)
{
    const struct node *n = node_find(object, names->expires);
    bool good;

    *out = INT64_MAX;
    if (!n || n->kind == NODE_NULL || (n->kind == NODE_STRING && n->text.n == 0))
        return OK;
    if (names->expires_in_ms)
        good = n->kind == NODE_NUMBER && node_i64(n, out);
    else
        good = n->kind == NODE_STRING && clock_parse_iso(n->text, out);
    return good ? OK : diag_set(d, ERR_SYNTAX, "%s has an %s that is no time", names->what, names->expires);
}

static enum err read_keys(const struct node *object, const struct key_names *names, struct answer_keys *out,
                          struct diag *d)
{
    *out = (struct answer_keys){
        .access_key = text_of(object, names->access_key),
        .secret_key = text_of(object, names->secret_key),
        .session_token = text_of(object, names->session_token),
        .account = text_of(object, names->account),
    };
    enum err err = answer_keys_check(out, names->what, d);
    return err ? err : read_expiry(object, names, &out->expires_ms, d);
}

static enum err parse(struct str body, const char *what, struct arena *a, struct node **out, struct diag *d)
{
    if (tree_parse_json(body, "", a, out, NULL) || !*out || (*out)->kind != NODE_MAPPING)
        return diag_set(d, ERR_SYNTAX, "%s is not a JSON object", what);
    return OK;
}

struct str answer_words(struct arena *a, struct str s)
{
    struct str copy = str_dup(a, str_from(s.p, s.n > 200 ? 200 : s.n));

    for (size_t i = 0; i < copy.n; i++)
        if ((unsigned char)copy.p[i] < ' ' || copy.p[i] == 0x7f)
            ((char *)copy.p)[i] = ' ';
    return copy;
}

struct str answer_metadata_error(struct str body, struct arena *a)
{
    struct node *tree = NULL;

    if (parse(body, "", a, &tree, NULL))
        return STR_NONE;
    struct str code = text_of(tree, "code").n ? text_of(tree, "code") : text_of(tree, "Code");
    struct str message = text_of(tree, "message").n ? text_of(tree, "message") : text_of(tree, "Message");
    if (!code.n && !message.n)
        return STR_NONE;
    return answer_words(
        a, str_c(arena_printf(a, "%.*s%s%.*s", STR_ARGS(code), code.n && message.n ? ": " : "", STR_ARGS(message))));
}

enum err answer_metadata(struct str body, struct arena *a, struct answer_keys *out, struct diag *d)
{
    struct node *tree = NULL;
    enum err err = parse(body, metadata_names.what, a, &tree, d);

    if (err)
        return err;
    struct str code = text_of(tree, "Code");
    if (code.n && !str_eq(code, STR("Success"))) {
        struct str why = answer_metadata_error(body, a);
        return diag_set(d, ERR_AUTH, "%.*s", STR_ARGS(why));
    }
    return read_keys(tree, &metadata_names, out, d);
}

enum err answer_process(struct str body, struct arena *a, struct answer_keys *out, struct diag *d)
{
    struct node *tree = NULL;
    int64_t version = 0;
    enum err err = parse(body, process_names.what, a, &tree, d);

    if (err)
        return err;
    const struct node *n = node_find(tree, "Version");
    if (!n || n->kind != NODE_NUMBER || !node_i64(n, &version) || version != 1)
        return diag_set(d, ERR_SYNTAX, "its output is not of \"Version\": 1");
    return read_keys(tree, &process_names, out, d);
}

enum err answer_sso_keys(struct str body, struct arena *a, struct answer_keys *out, struct diag *d)
{
    struct node *tree = NULL;
    enum err err = parse(body, sso_names.what, a, &tree, d);

    if (err)
        return err;
    const struct node *keys = node_find(tree, "roleCredentials");
    if (!keys || keys->kind != NODE_MAPPING)
        return diag_set(d, ERR_SYNTAX, "the answer has no roleCredentials");
    return read_keys(keys, &sso_names, out, d);
}

/* ---- task metadata ---- */

enum err answer_task_region(struct str body, struct arena *a, struct str *region, struct diag *d)
{
    struct node *tree = NULL;
    struct str rest, field = STR_NONE;
    enum err err = parse(body, "the answer", a, &tree, d);

    if (err)
        return err;
    rest = text_of(tree, "TaskARN"); /* arn:aws:ecs:REGION:... */
    for (int i = 0; i < 4; i++)
        str_cut(rest, ':', &field, &rest);
    if (!field.n || !answer_is_printable(field))
        return diag_set(d, ERR_SYNTAX, "the answer has no TaskARN");
    *region = field;
    return OK;
}

/* ---- SSO tokens ---- */

static int64_t time_of(const struct node *tree, const char *key)
{
    int64_t ms = 0;
    return clock_parse_iso(text_of(tree, key), &ms) ? ms : 0;
}

enum err answer_sso_file(struct str text, struct arena *a, struct sso_token *out, struct diag *d)
{
    struct node *tree = NULL;
    enum err err = parse(text, "it", a, &tree, d);

    if (err)
        return err;
    *out = (struct sso_token){
        .access_token = text_of(tree, "accessToken"),
        .refresh_token = text_of(tree, "refreshToken"),
        .client_id = text_of(tree, "clientId"),
        .client_secret = text_of(tree, "clientSecret"),
        .expires_ms = time_of(tree, "expiresAt"),
        .registration_expires_ms = time_of(tree, "registrationExpiresAt"),
        .tree = tree,
    };
    if (!out->access_token.n || !answer_is_printable(out->access_token))
        return diag_set(d, ERR_SYNTAX, "it has no accessToken");
    return out->expires_ms ? OK : diag_set(d, ERR_SYNTAX, "it has no expiresAt");
}

/* Sets a string member of the file's tree; NULL takes its value away. */
static void set_member(struct node *tree, struct arena *a, const char *key, struct str value)
{
    struct node *n = node_find(tree, key);

    if (!n) {
        n = ARENA_NEW(a, struct node);
        n->key = str_c(key);
        n->next = tree->first;
        tree->first = n;
        tree->n++;
    }
    n->kind = value.n ? NODE_STRING : NODE_NULL;
    n->first = NULL;
    n->n = 0;
    n->quoted = true;
    n->text = value;
}

enum err answer_sso_renewed(struct str body, int64_t now_ms, struct arena *a, struct sso_token *token, struct diag *d)
{
    struct node *tree = NULL;
    int64_t expires_in = 0;
    enum err err = parse(body, "the answer", a, &tree, d);

    if (err)
        return err;
    struct str access = text_of(tree, "accessToken");
    const struct node *n = node_find(tree, "expiresIn");
    if (!access.n || !answer_is_printable(access))
        return diag_set(d, ERR_SYNTAX, "the answer has no accessToken");
    if (!n || n->kind != NODE_NUMBER || !node_i64(n, &expires_in) || expires_in <= 0 || expires_in > 10LL * 365 * 86400)
        return diag_set(d, ERR_SYNTAX, "the answer has no expiresIn");
    token->access_token = access;
    token->refresh_token = text_of(tree, "refreshToken");
    token->expires_ms = now_ms + expires_in * 1000;
    time_t expires = (time_t)(token->expires_ms / 1000);
    struct tm tm;
    gmtime_r(&expires, &tm);
    set_member(token->tree, a, "accessToken", token->access_token);
    set_member(token->tree, a, "refreshToken", token->refresh_token);
    set_member(token->tree, a, "expiresAt",
               str_c(arena_printf(a, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                                  tm.tm_hour, tm.tm_min, tm.tm_sec)));
    return OK;
}
