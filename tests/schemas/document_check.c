/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the daemon says to documents: `document_check KIND FILE...` prints a line for each file, "good" or "bad: <path>: <why>". KIND is
 * campaign, campaign-signed, campaign-list, command, command-signed or reply. test_corpus.py holds it against the schemas.
 */

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json_errors.h"
#include "document/campaign.h"
#include "document/campaign_list.h"
#include "document/command.h"
#include "document/command_signed.h"

static bool check_campaign(const char *text, size_t size, enum campaign_origin origin, struct json_errors *errors) {
        const struct campaign_parse_options options = {.origin = origin};
        _cleanup_campaign_document_ struct campaign_document *document = NULL;

        return campaign_document_parse(text, size, &options, &document, errors) == 0;
}

static bool check_local_campaign(const char *text, size_t size, struct json_errors *errors) {
        return check_campaign(text, size, CAMPAIGN_ORIGIN_LOCAL, errors);
}

static bool check_signed_campaign(const char *text, size_t size, struct json_errors *errors) {
        return check_campaign(text, size, CAMPAIGN_ORIGIN_SIGNED, errors);
}

static bool check_campaign_list(const char *text, size_t size, struct json_errors *errors) {
        _cleanup_campaign_list_ struct campaign_list *list = NULL;

        return campaign_list_parse(text, size, &list, errors) == 0;
}

/* As the control socket does: the request, then the campaign document in it where there is one. */
static bool check_command(const char *text, size_t size, struct json_errors *errors) {
        _cleanup_campaign_document_ struct campaign_document *document = NULL;
        _cleanup_command_ struct command command = {0};
        struct gw_error err = {.name = ""};

        if (command_read(text, size, &command, errors, &err) < 0) {
                json_errors_add(errors, "", "%s", err.text);
                return false;
        }
        if (!json_has(command.params, "document"))
                return true;
        return campaign_document_read(json_child(command.params, "document"), "params.document", NULL, &document, errors) == 0;
}

static bool check_signed_command(const char *text, size_t size, struct json_errors *errors) {
        _cleanup_command_signed_ struct command_signed command = {0};
        _cleanup_json_ struct json *json = NULL;

        return json_parse(text, size, 0, &json, NULL) == 0 && command_signed_read(json, &command, errors) == 0;
}

static bool check_reply(const char *text, size_t size, struct json_errors *errors) {
        _cleanup_command_reply_ struct command_reply reply = {0};
        struct gw_error err = {.name = ""};

        if (command_reply_read(text, size, &reply, &err) == 0)
                return true;
        json_errors_add(errors, "", "%s", err.text);
        return false;
}

static const struct {
        const char *name;
        bool (*check)(const char *text, size_t size, struct json_errors *errors);
} kinds[] = {
        {"campaign", check_local_campaign},
        {"campaign-signed", check_signed_campaign},
        {"campaign-list", check_campaign_list},
        {"command", check_command},
        {"command-signed", check_signed_command},
        {"reply", check_reply},
};

static int check_file(size_t kind, const char *path) {
        static char text[JSON_SIZE_MAX + 1];
        _cleanup_fclose_ FILE *file = fopen(path, "rb");
        struct json_errors errors;
        size_t size;

        if (!file) {
                perror(path);
                return 2;
        }
        size = fread(text, 1, sizeof(text), file);
        json_errors_init(&errors);
        if (kinds[kind].check(text, size, &errors))
                puts("good");
        else
                printf("bad: %s: %s\n", errors.items[0].path, errors.items[0].text);
        return 0;
}

int main(int argc, char **argv) {
        for (size_t kind = 0; argc > 2 && kind < ARRAY_SIZE(kinds); kind++) {
                if (strcmp(kinds[kind].name, argv[1]) != 0)
                        continue;
                for (int i = 2; i < argc; i++)
                        if (check_file(kind, argv[i]) != 0)
                                return 2;
                return 0;
        }
        fprintf(stderr, "usage: document_check campaign|campaign-signed|campaign-list|command|command-signed|reply FILE...\n");
        return 2;
}
