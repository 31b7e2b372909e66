/* answers_sts: the XML that STS answers.
 *
 *   <AssumeRoleResponse>
 *     <AssumeRoleResult>
 *       <Credentials> <AccessKeyId/> <SecretAccessKey/> <SessionToken/> <Expiration/> </Credentials>
 *       <AssumedRoleUser> <Arn/> </AssumedRoleUser>
 *     </AssumeRoleResult>
 *   </AssumeRoleResponse>
 *
 * AssumeRoleWithWebIdentity is the same with names of its own, which are not looked at: the first element of the root
 * is the result. The account is the fifth field of the session's ARN.
 */
#include "aws/answers_int.h"

#include "aws/credentials.h"
#include "base/clock.h"
#include "wire/xml.h"

enum err answer_sts(struct str body, struct arena *a, struct answer_keys *out, struct diag *d)
{
    struct xml_node *root = NULL;

    if (xml_parse(body, a, &root, NULL))
        return diag_set(d, ERR_SYNTAX, "the answer is not XML");
    const struct xml_node *result = root->first;
    const struct xml_node *keys = result ? xml_find(result, "Credentials") : NULL;
    if (!keys)
        return diag_set(d, ERR_SYNTAX, "the answer has no Credentials");
    *out = (struct answer_keys){
        .access_key = xml_text(keys, "AccessKeyId"),
        .secret_key = xml_text(keys, "SecretAccessKey"),
        .session_token = xml_text(keys, "SessionToken"),
        .expires_ms = INT64_MAX,
    };
    enum err err = answer_keys_check(out, "the answer", d);
    struct str expires = xml_text(keys, "Expiration");
    if (!err && expires.n && !clock_parse_iso(expires, &out->expires_ms))
        err = diag_set(d, ERR_SYNTAX, "the answer has an Expiration that is no time");
    if (err)
        return err;
    /* arn:aws:sts::ACCOUNT:assumed-role/... */
    const struct xml_node *user = xml_find(result, "AssumedRoleUser");
    struct str rest = user ? xml_text(user, "Arn") : STR_NONE, field = STR_NONE;
    for (int i = 0; i < 5; i++)
        str_cut(rest, ':', &field, &rest);
    out->account = answer_is_printable(field) ? field : STR_NONE;
    return OK;
}

enum err aws_identity_parse(struct str body, struct arena *a, struct str *account, struct str *arn, struct diag *d)
{
    struct xml_node *root = NULL;

    if (xml_parse(body, a, &root, NULL))
        return diag_set(d, ERR_SYNTAX, "the answer is not XML");
    const struct xml_node *result = xml_find(root, "GetCallerIdentityResult");
    if (!result || !xml_text(result, "Account").n || !xml_text(result, "Arn").n)
        return diag_set(d, ERR_SYNTAX, "the answer names no account");
    *account = answer_words(a, xml_text(result, "Account"));
    *arn = answer_words(a, xml_text(result, "Arn"));
    return OK;
}
