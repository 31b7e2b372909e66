/* chain: the order of aws-sdk-go-v2, which Prometheus uses (its config package, resolveCredentialChain).
 *
 *   keys of the configuration                                     aws_config.access_key
 *   a profile named in the configuration                          aws_config.profile; then the environment's are not
 * asked environment          AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY web identity         AWS_WEB_IDENTITY_TOKEN_FILE,
 * AWS_ROLE_ARN profile              AWS_PROFILE, AWS_DEFAULT_PROFILE, "default" container endpoint
 * AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, .._FULL_URI instance metadata    unless AWS_EC2_METADATA_DISABLED
 *
 *   and on top of any of them the role of the configuration
 *
 * Inside a profile: role_arn with its source (source_profile, credential_source, web_identity_token_file), keys, SSO,
 * process. A source profile is resolved in the same way, to any depth, but its own keys come first and the environment
 * is not looked at. A profile may name itself as its source when it has keys; any other repetition is a cycle.
 *
 * Every link writes one step, "used" or why it was passed over, so that `leadline check aws` can show the whole search.
 */
#include "aws/chain_int.h"

#include "base/num.h"

enum { MAX_PROFILES = 16 };

struct planner {
    const struct chain_input *in;
    struct arena *arena;
    struct chain *chain;
    struct diag *d;
    struct str visited[MAX_PROFILES];
    uint32_t n_visited;
};

bool chain_is_true(struct str s)
{
    return str_eq_nocase(s, STR("true"));
}

static struct str env(const struct planner *p, const char *name)
{
    return aws_getenv(p->in->env, name);
}

static struct str env_either(const struct planner *p, const char *name, const char *other)
{
    struct str s = env(p, name);
    return s.n ? s : env(p, other);
}

static struct str of_profile(const struct planner *p, struct str name, const char *key)
{
    return profiles_get(p->in->profiles, SECTION_PROFILE, name, key, NULL);
}

/* ---- steps ---- */

#define say(p, ...) str_c(arena_printf((p)->arena, __VA_ARGS__))

static void step(struct planner *p, const char *name, enum aws_step_verdict verdict, struct str why)
{
    CHECK(p->chain->n_steps < CHAIN_STEPS);
    p->chain->steps[p->chain->n_steps++] = (struct aws_step){str_c(name), verdict, why};
}

static void pass(struct planner *p, const char *name, struct str why)
{
    bool reached = p->chain->source == CHAIN_NOTHING;
    step(p, name, reached ? AWS_STEP_PASSED_OVER : AWS_STEP_NOT_REACHED, reached ? why : STR_NONE);
}

static void use(struct planner *p, const char *name, enum chain_source source, struct str why)
{
    p->chain->used = p->chain->n_steps;
    p->chain->source = source;
    step(p, name, AWS_STEP_USED, why);
}

static bool decided(const struct planner *p)
{
    return p->chain->source != CHAIN_NOTHING;
}

/* ---- environment ---- */

static bool take_environment(struct planner *p)
{
    struct chain_keys keys = {
        .access_key = env_either(p, "AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"),
        .secret_key = env_either(p, "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"),
        .session_token = env(p, "AWS_SESSION_TOKEN"),
        .account = env(p, "AWS_ACCOUNT_ID"),
    };
    if (!keys.access_key.n || !keys.secret_key.n)
        return false;
    p->chain->keys = keys;
    p->chain->name = STR("environment");
    return true;
}

static void plan_environment(struct planner *p)
{
    bool has_id = env_either(p, "AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY").n > 0;
    bool has_secret = env_either(p, "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY").n > 0;

    if (decided(p))
        pass(p, "environment", STR_NONE);
    else if (take_environment(p))
        use(p, "environment", CHAIN_KEYS, STR("AWS_ACCESS_KEY_ID"));
    else if (has_id)
        pass(p, "environment", STR("AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not"));
    else if (has_secret)
        pass(p, "environment", STR("AWS_SECRET_ACCESS_KEY is set, AWS_ACCESS_KEY_ID is not"));
    else
        pass(p, "environment", STR("AWS_ACCESS_KEY_ID is not set"));
}

static enum err plan_web_identity(struct planner *p)
{
    struct str file = env(p, "AWS_WEB_IDENTITY_TOKEN_FILE");
    struct str role = env(p, "AWS_ROLE_ARN");

    if (decided(p) || !file.n) {
        pass(p, "web identity", STR("AWS_WEB_IDENTITY_TOKEN_FILE is not set"));
        return OK;
    }
    if (!role.n) {
        step(p, "web identity", AWS_STEP_FAILED, STR("AWS_ROLE_ARN is not set"));
        return diag_set(p->d, ERR_SYNTAX, "AWS_WEB_IDENTITY_TOKEN_FILE is set, AWS_ROLE_ARN is not");
    }
    p->chain->token_file = file;
    p->chain->web = (struct chain_role){.role_arn = role, .session_name = env(p, "AWS_ROLE_SESSION_NAME")};
    p->chain->name = STR("web identity");
    use(p, "web identity", CHAIN_WEB_IDENTITY, say(p, "%.*s with the token in %.*s", STR_ARGS(role), STR_ARGS(file)));
    return OK;
}

/* ---- container and instance ---- */

static bool take_container(struct planner *p)
{
    struct str relative = env(p, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    struct str full = env(p, "AWS_CONTAINER_CREDENTIALS_FULL_URI");

    if (!relative.n && !full.n)
        return false;
    p->chain->container = (struct chain_container){
        .url = relative.n ? say(p, "http://169.254.170.2%s%.*s", relative.p[0] == '/' ? "" : "/", STR_ARGS(relative))
                          : full,
        .relative = relative.n > 0,
        .token_file = env(p, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
        .token = env(p, "AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    };
    p->chain->name = STR("container endpoint");
    return true;
}

static void plan_container(struct planner *p)
{
    if (!decided(p) && take_container(p)) /* the address is a secret of sorts: it gives the keys to whoever knows it */
        use(p, "container endpoint", CHAIN_CONTAINER,
            p->chain->container.relative ? STR("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
                                         : STR("AWS_CONTAINER_CREDENTIALS_FULL_URI"));
    else
        pass(p, "container endpoint",
             STR("neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set"));
}

/* What the environment says, else the profile. */
static struct str imds_setting(const struct planner *p, const char *variable, const char *key)
{
    struct str s = env(p, variable);
    return s.n ? s : of_profile(p, p->chain->profile, key);
}

static enum err set_imds(struct planner *p)
{
    struct str url = imds_setting(p, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
    struct str mode = imds_setting(p, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode");
    bool six = str_eq_nocase(mode, STR("ipv6"));

    if (chain_is_true(env(p, "AWS_EC2_METADATA_DISABLED")))
        return OK;
    if (mode.n && !six && !str_eq_nocase(mode, STR("ipv4")))
        return diag_set(p->d, ERR_SYNTAX, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE is \"%.*s\": IPv4 or IPv6",
                        STR_ARGS(mode));
    if (!url.n)
        url = six ? STR("http://[fd00:ec2::254]") : STR("http://169.254.169.254");
    while (url.n && url.p[url.n - 1] == '/')
        url.n--;
    p->chain->imds.url = url;
    p->chain->imds.v1_disabled =
        chain_is_true(imds_setting(p, "AWS_EC2_METADATA_V1_DISABLED", "ec2_metadata_v1_disabled"));
    return OK;
}

static bool take_imds(struct planner *p)
{
    p->chain->name = STR("instance metadata");
    return p->chain->imds.url.n > 0;
}

static void plan_imds(struct planner *p)
{
    if (!decided(p) && take_imds(p))
        use(p, "instance metadata", CHAIN_IMDS, p->chain->imds.url);
    else
        pass(p, "instance metadata", STR("AWS_EC2_METADATA_DISABLED is true"));
}

/* ---- profiles ---- */

static enum err bad_profile(struct planner *p, struct str name, const char *why)
{
    return diag_set(p->d, ERR_SYNTAX, "profile \"%.*s\": %s", STR_ARGS(name), why);
}

static enum err profile_keys(struct planner *p, struct str name, struct chain_keys *out)
{
    *out = (struct chain_keys){
        .access_key = of_profile(p, name, "aws_access_key_id"),
        .secret_key = of_profile(p, name, "aws_secret_access_key"),
        .session_token = of_profile(p, name, "aws_session_token"),
        .account = of_profile(p, name, "aws_account_id"),
    };
    if (!out->access_key.n != !out->secret_key.n)
        return bad_profile(p, name,
                           out->access_key.n ? "aws_access_key_id without aws_secret_access_key"
                                             : "aws_secret_access_key without aws_access_key_id");
    return OK;
}

static void take_keys(struct planner *p, struct str name, const struct chain_keys *keys)
{
    p->chain->source = CHAIN_KEYS;
    p->chain->keys = *keys;
    p->chain->name = say(p, "profile \"%.*s\"", STR_ARGS(name));
}

static enum err take_sso(struct planner *p, struct str name)
{
    static const char *const shared[] = {"sso_start_url", "sso_region"};
    struct chain_sso *sso = &p->chain->sso;
    struct str values[2];

    sso->session = of_profile(p, name, "sso_session");
    sso->account_id = of_profile(p, name, "sso_account_id");
    sso->role_name = of_profile(p, name, "sso_role_name");
    if (sso->session.n && !profiles_has(p->in->profiles, SECTION_SSO_SESSION, sso->session))
        return diag_set(p->d, ERR_SYNTAX, "profile \"%.*s\": there is no [sso-session %.*s] in %.*s", STR_ARGS(name),
                        STR_ARGS(sso->session), STR_ARGS(p->in->files));
    for (int i = 0; i < 2; i++) {
        struct str own = of_profile(p, name, shared[i]);
        struct str session =
            sso->session.n ? profiles_get(p->in->profiles, SECTION_SSO_SESSION, sso->session, shared[i], NULL) : own;
        if (own.n && session.n && !str_eq(own, session))
            return diag_set(p->d, ERR_SYNTAX, "profile \"%.*s\": its %s differs from that of [sso-session %.*s]",
                            STR_ARGS(name), shared[i], STR_ARGS(sso->session));
        values[i] = session.n ? session : own;
        if (!values[i].n)
            return bad_profile(p, name, i == 0 ? "sso_start_url is missing" : "sso_region is missing");
    }
    sso->start_url = values[0];
    sso->region = values[1];
    if (!sso->account_id.n || !sso->role_name.n)
        return bad_profile(p, name, sso->account_id.n ? "sso_role_name is missing" : "sso_account_id is missing");
    p->chain->source = CHAIN_SSO;
    p->chain->name = say(p, "SSO of profile \"%.*s\"", STR_ARGS(name));
    return OK;
}

/* Keys of other kinds than its own; leaves `source` as it is when there are none. */
static enum err take_others(struct planner *p, struct str name)
{
    struct str process = of_profile(p, name, "credential_process");

    if (of_profile(p, name, "sso_account_id").n || of_profile(p, name, "sso_role_name").n)
        return take_sso(p, name);
    if (of_profile(p, name, "login_session").n)
        return diag_set(
            p->d, ERR_UNSUPPORTED,
            "profile \"%.*s\": login_session (`aws login`) is for people: leadline does not use it; give it "
            "a role, keys or credential_process",
            STR_ARGS(name));
    if (process.n) {
        p->chain->source = CHAIN_PROCESS;
        p->chain->command = process;
        p->chain->name = say(p, "process of profile \"%.*s\"", STR_ARGS(name));
    }
    return OK;
}

static enum err take_credential_source(struct planner *p, struct str name, struct str kind)
{
    bool found = false;

    if (str_eq(kind, STR("Environment"))) {
        found = take_environment(p);
        p->chain->source = CHAIN_KEYS;
    } else if (str_eq(kind, STR("EcsContainer"))) {
        found = take_container(p);
        p->chain->source = CHAIN_CONTAINER;
    } else if (str_eq(kind, STR("Ec2InstanceMetadata"))) {
        found = take_imds(p);
        p->chain->source = CHAIN_IMDS;
    } else {
        return diag_set(
            p->d, ERR_SYNTAX,
            "profile \"%.*s\": credential_source \"%.*s\": Environment, Ec2InstanceMetadata or EcsContainer",
            STR_ARGS(name), STR_ARGS(kind));
    }
    if (found)
        return OK;
    p->chain->source = CHAIN_NOTHING;
    return diag_set(p->d, ERR_NOT_FOUND, "profile \"%.*s\": credential_source %.*s: there is nothing there",
                    STR_ARGS(name), STR_ARGS(kind));
}

static enum err push_role(struct planner *p, const struct chain_role *role)
{
    if (p->chain->n_roles == CHAIN_MAX_ROLES)
        return diag_set(p->d, ERR_LIMIT, "more than %d roles in a row", CHAIN_MAX_ROLES);
    p->chain->roles[p->chain->n_roles++] = *role;
    return OK;
}

static enum err take_profile(struct planner *p, struct str name);

/* The profile that another one names as its source. */
static enum err take_source_profile(struct planner *p, struct str name, struct str source)
{
    struct chain_keys keys;
    enum err err = profile_keys(p, source, &keys);

    if (err)
        return err;
    if (!profiles_has(p->in->profiles, SECTION_PROFILE, source))
        return diag_set(p->d, ERR_NOT_FOUND, "profile \"%.*s\": its source_profile \"%.*s\" is not in %.*s",
                        STR_ARGS(name), STR_ARGS(source), STR_ARGS(p->in->files));
    if (keys.access_key.n) {
        take_keys(p, source, &keys);
        return OK;
    }
    for (uint32_t i = 0; i < p->n_visited; i++)
        if (str_eq(p->visited[i], source))
            return diag_set(p->d, ERR_SYNTAX, "profile \"%.*s\": source_profile \"%.*s\" leads back to itself",
                            STR_ARGS(name), STR_ARGS(source));
    err = take_profile(p, source);
    if (!err && !decided(p))
        return diag_set(p->d, ERR_NOT_FOUND, "profile \"%.*s\": its source_profile \"%.*s\" has no credentials",
                        STR_ARGS(name), STR_ARGS(source));
    return err;
}

static enum err read_role(struct planner *p, struct str name, struct chain_role *out)
{
    struct str duration = of_profile(p, name, "duration_seconds");

    *out = (struct chain_role){.role_arn = of_profile(p, name, "role_arn"),
                               .external_id = of_profile(p, name, "external_id"),
                               .session_name = of_profile(p, name, "role_session_name")};
    if (duration.n && (num_parse_i64(duration, &out->duration_s) || out->duration_s < 900 || out->duration_s > 43200))
        return diag_set(p->d, ERR_SYNTAX, "profile \"%.*s\": duration_seconds \"%.*s\": 900 to 43200", STR_ARGS(name),
                        STR_ARGS(duration));
    if (of_profile(p, name, "mfa_serial").n)
        return bad_profile(p, name, "mfa_serial asks a person for a code: not for a program that runs unattended");
    return OK;
}

static enum err take_role(struct planner *p, struct str name, const struct chain_keys *keys)
{
    struct str source = of_profile(p, name, "source_profile");
    struct str kind = of_profile(p, name, "credential_source");
    struct str token_file = of_profile(p, name, "web_identity_token_file");
    struct chain_role role;
    enum err err = read_role(p, name, &role);

    if (err)
        return err;
    if (source.n && kind.n)
        return bad_profile(p, name, "both source_profile and credential_source: one of them");
    if (source.n) {
        err = take_source_profile(p, name, source);
    } else if (kind.n) {
        err = take_credential_source(p, name, kind);
    } else if (token_file.n) {
        p->chain->source = CHAIN_WEB_IDENTITY;
        p->chain->token_file = token_file;
        p->chain->web = role;
        p->chain->name = say(p, "web identity of profile \"%.*s\"", STR_ARGS(name));
        return OK;
    } else if (keys->access_key.n) {
        take_keys(p, name, keys);
    } else {
        err = take_others(p, name);
    }
    if (err)
        return err;
    if (!decided(p))
        return bad_profile(p, name, "role_arn without source_profile, credential_source or web_identity_token_file");
    return push_role(p, &role);
}

static enum err take_profile(struct planner *p, struct str name)
{
    struct chain_keys keys;
    enum err err = profile_keys(p, name, &keys);

    if (err)
        return err;
    if (p->n_visited == MAX_PROFILES)
        return diag_set(p->d, ERR_LIMIT, "more than %d profiles, each the source of the one before", MAX_PROFILES);
    p->visited[p->n_visited++] = name;
    if (of_profile(p, name, "role_arn").n)
        return take_role(p, name, &keys);
    if (keys.access_key.n) {
        take_keys(p, name, &keys);
        return OK;
    }
    static const char *const need_role[] = {"source_profile", "credential_source", "web_identity_token_file"};
    for (size_t i = 0; i < 3; i++)
        if (of_profile(p, name, need_role[i]).n)
            return diag_set(p->d, ERR_SYNTAX, "profile \"%.*s\": %s without role_arn", STR_ARGS(name), need_role[i]);
    return take_others(p, name);
}

static enum err plan_profile(struct planner *p, bool must_exist)
{
    struct str name = p->chain->profile;
    const char *step_name = arena_printf(p->arena, "profile \"%.*s\"", STR_ARGS(name));
    bool exists = profiles_has(p->in->profiles, SECTION_PROFILE, name);

    if (decided(p)) {
        pass(p, step_name, STR_NONE);
        return OK;
    }
    if (!exists && must_exist) {
        step(p, step_name, AWS_STEP_FAILED, say(p, "not in %.*s", STR_ARGS(p->in->files)));
        return diag_set(p->d, ERR_NOT_FOUND, "profile \"%.*s\" of the configuration is not in %.*s", STR_ARGS(name),
                        STR_ARGS(p->in->files));
    }
    enum err err = exists ? take_profile(p, name) : OK;
    if (err) {
        p->chain->source = CHAIN_NOTHING;
        p->chain->n_roles = 0;
        step(p, step_name, AWS_STEP_FAILED, p->d ? say(p, "%s", p->d->text) : STR_NONE);
        return err;
    }
    enum chain_source source = p->chain->source;
    p->chain->source = CHAIN_NOTHING;
    if (source == CHAIN_NOTHING)
        pass(p, step_name, say(p, exists ? "%.*s: no credentials in it" : "not in %.*s", STR_ARGS(p->in->files)));
    else
        use(p, step_name, source, p->chain->name);
    return OK;
}

/* ---- the whole ---- */

static void plan_configuration(struct planner *p)
{
    const struct aws_config *c = p->in->config;

    if (!c->access_key.n) {
        pass(p, "configuration", STR("no access_key in it"));
        return;
    }
    p->chain->keys = (struct chain_keys){.access_key = c->access_key, .secret_key = c->secret_key};
    p->chain->name = STR("configuration");
    use(p, "configuration", CHAIN_KEYS, STR("access_key"));
}

static void plan_region(struct planner *p)
{
    const struct {
        struct str region, source;
    } places[] = {
        {p->in->config->region, STR("configuration")},
        {env(p, "AWS_REGION"), STR("AWS_REGION")},
        {env(p, "AWS_DEFAULT_REGION"), STR("AWS_DEFAULT_REGION")},
        {of_profile(p, p->chain->profile, "region"), say(p, "profile \"%.*s\"", STR_ARGS(p->chain->profile))},
    };

    for (size_t i = 0; i < 4 && !p->chain->region.n; i++) {
        p->chain->region = places[i].region;
        p->chain->region_source = places[i].source;
    }
    if (!p->chain->region.n)
        p->chain->region_source = STR_NONE;
}

static enum err plan_sources(struct planner *p)
{
    bool named = p->in->config->profile.n > 0;
    enum err err = set_imds(p);

    if (err)
        return err;
    plan_configuration(p);
    if (named) {
        err = plan_profile(p, true);
    } else {
        plan_environment(p);
        err = plan_web_identity(p);
        if (!err)
            err = plan_profile(p, false);
    }
    if (err)
        return err;
    plan_container(p);
    plan_imds(p);
    return OK;
}

enum err chain_plan(const struct chain_input *in, struct arena *a, struct chain *out, struct diag *d)
{
    struct diag own = {0};
    struct planner p = {.in = in, .arena = a, .chain = out, .d = d ? d : &own};

    *out = (struct chain){0};
    out->profile = in->config->profile;
    if (!out->profile.n)
        out->profile = env_either(&p, "AWS_PROFILE", "AWS_DEFAULT_PROFILE");
    if (!out->profile.n)
        out->profile = STR("default");
    plan_region(&p);
    out->used = CHAIN_STEPS;
    enum err err = plan_sources(&p);
    if (!err && !decided(&p))
        err = diag_set(p.d, ERR_NOT_FOUND,
                       "no AWS credentials: nothing in the configuration, the environment, %.*s or a container "
                       "endpoint, and instance metadata is disabled",
                       STR_ARGS(in->files));
    if (err || !in->config->role_arn.n)
        return err;
    step(&p, "role", AWS_STEP_USED, in->config->role_arn);
    struct chain_role role = {.role_arn = in->config->role_arn,
                              .external_id = in->config->external_id,
                              .session_name = in->config->role_session_name,
                              .tags = in->config->tags,
                              .n_tags = in->config->n_tags};
    return push_role(&p, &role);
}
