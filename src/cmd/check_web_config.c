/* check_web_config: `leadline check web-config FILE...`, promtool's form: the file of --web.config.file and the
 * certificates that it names, as they would be read at the start.
 *
 *   web.yml SUCCESS
 *   web.yml FAILED: web.yml:3:5: field cert_filse not found in type web.TLSConfig
 *
 * On standard error, as promtool has it. What the program itself would refuse at its start is refused here too: a
 * cipher list that HTTP/2 or the certificate does not go with. Exit status 0: every file is good; else 1.
 */
#include <stdio.h>

#include "base/mem.h"
#include "cmd/check.h"
#include "net/tls_server.h"

static const struct flag_spec specs[] = {
    {"help", FLAG_BOOL, FLAG_USED, "false", NULL, "Show this help.", 'h', false},
};

static enum err check_file(const char *path, struct diag *d)
{
    struct web_config *config;
    struct tls_server *tls = NULL;
    enum err err = web_config_load(path, &config, d);

    if (err)
        return err;
    if (config->tls)
        err = tls_server_new(config, &tls, d);
    tls_server_unref(tls);
    web_config_unref(config);
    return err;
}

static int run(const struct flags *f)
{
    int status = 0;

    if (f->n_rest == 0) {
        fprintf(stderr, "leadline check web-config: which file? For example: leadline check web-config web.yml\n");
        return 1;
    }
    for (uint32_t i = 0; i < f->n_rest; i++) {
        struct diag d = {0};
        char text[800];
        if (check_file(f->rest[i].p, &d)) {
            diag_format(&d, text, sizeof(text));
            fprintf(stderr, "%s FAILED: %s\n", f->rest[i].p, text);
            status = 1;
        } else {
            fprintf(stderr, "%s SUCCESS\n", f->rest[i].p);
        }
    }
    return status;
}

int check_web_config(int argc, char **argv)
{
    static const struct flags_command command = {
        .program = "leadline check web-config",
        .summary = "Checks the file of --web.config.file.",
        .specs = specs,
        .n_specs = COUNT_OF(specs),
        .max_rest = 1000,
        .bad_usage = 1,
        .run = run,
    };
    return flags_run(&command, argc, argv);
}
