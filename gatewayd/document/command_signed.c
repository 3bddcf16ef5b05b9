/* SPDX-License-Identifier: Apache-2.0 */
#include "document/command_signed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "document/params.h"

static void read_claims(struct reader *reader, struct place place, struct command_signed *command) {
        static const char *const required[] = {"schema", "method", "aud", "iat", "exp", "jti"};
        const struct integer_range range = {0, CAMPAIGN_TIME_MAX_S};
        const char *text;
        bool has_times;

        for (size_t i = 0; i < ARRAY_SIZE(required); i++)
                reader_require(reader, place, required[i]);
        if (json_has(place.json, "schema") && !str_equal(json_member_text(place.json, "schema"), COMMAND_SIGNED_SCHEMA))
                reader_mistake(reader, place.path, "schema", "expected \"" COMMAND_SIGNED_SCHEMA "\"");
        if (reader_text(reader, place, "iss", &rule_name, &text))
                reader_keep(reader, &command->iss, text);
        if (reader_text(reader, place, "jti", &rule_id, &text))
                reader_keep(reader, &command->jti, text);
        reader_texts(reader, place, "aud", (struct list_rule){&rule_audience, 1, CAMPAIGN_AUDIENCE_MAX}, &command->aud);
        has_times = reader_integer(reader, place, "iat", range, &command->iat_s);
        has_times &= reader_integer(reader, place, "exp", range, &command->exp_s);
        if (has_times && command->exp_s <= command->iat_s)
                reader_mistake(reader, place.path, "exp", "must be later than iat");
        else if (has_times && command->exp_s - command->iat_s > COMMAND_SIGNED_MAX_S)
                reader_mistake(reader, place.path, "exp", "is more than %d s after iat", COMMAND_SIGNED_MAX_S);
}

static void read_method(struct reader *reader, struct place place, struct command_signed *command) {
        const char *name = json_member_text(place.json, "method");

        if (!json_has(place.json, "method"))
                return;
        command->method = name ? command_method_find(name) : NULL;
        if (command->method && command_may_be_signed(command->method))
                return;
        reader_mistake(reader, place.path, "method", "%s", command->method ? "is none that is signed" : "expected the name of a method");
        command->method = NULL;
}

static void read_params(struct reader *reader, struct place place, struct command_signed *command) {
        _cleanup_json_ struct json *copy = NULL;
        const struct json *params = NULL;
        char path[JSON_PATH_MAX];

        if (json_has(place.json, "params") && !reader_object(reader, place, "params", &params))
                return;
        if (!command->method)
                return;
        copy = params ? NULL : json_new_object();
        if (params ? json_copy(params, &copy) < 0 : !copy) {
                reader->out_of_memory = true;
                return;
        }
        json_path_member(path, place.path, "params");
        if (!params_check(reader, (struct place){copy, path}, command->method))
                return;
        if (params_settle(command->method, copy) < 0)
                reader->out_of_memory = true;
        command->params = params ? TAKE_PTR(copy) : NULL;
}

int command_signed_read(const struct json *payload, struct command_signed *ret_command, struct json_errors *errors) {
        static const char *const allowed[] = {"schema", "method", "params", "iss", "aud", "iat", "exp", "jti"};
        struct reader reader = {.errors = errors};
        const struct place place = {payload, ""};

        *ret_command = (struct command_signed){0};
        if (reader_members(&reader, place, allowed, ARRAY_SIZE(allowed)) || json_kind(payload) == JSON_KIND_OBJECT) {
                read_claims(&reader, place, ret_command);
                read_method(&reader, place, ret_command);
                read_params(&reader, place, ret_command);
        }
        if (reader.out_of_memory)
                return -ENOMEM;
        return reader.n_mistakes > 0 ? -EBADMSG : 0;
}

void command_signed_deinit(struct command_signed *command) {
        json_free(command->params);
        str_list_deinit(&command->aud);
        free(command->jti);
        free(command->iss);
        *command = (struct command_signed){0};
}
