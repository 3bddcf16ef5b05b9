/* SPDX-License-Identifier: Apache-2.0 */

/* A line of any bytes as it comes over the control socket, on the daemon's side and on the client's. */

#include "document/command.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_command_reply_ struct command_reply reply = {0};
        _cleanup_command_ struct command command = {0};
        _cleanup_json_ struct json *answer = NULL;
        struct gw_error err = {.name = ""};
        struct json_errors errors;
        struct command_failure failure = {COMMAND_CODE_FAILED, &err, NULL, &errors};
        int r;

        json_errors_init(&errors);
        r = command_read((const char *) data, size, &command, &errors, &err);
        if (r < 0 && !gw_error_is_set(&err))
                abort();
        if (r < 0) {
                failure.code = r;
                if (command_reply_error(command.id, NULL, &failure, &answer) < 0)
                        abort();
        }
        command_reply_read((const char *) data, size, &reply, &err);
        return 0;
}
