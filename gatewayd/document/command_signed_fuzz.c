/* SPDX-License-Identifier: Apache-2.0 */

/* The payload of a signed command of any bytes: what passes is a command that may be signed, with claims that can be judged. */

#include <stdlib.h>

#include "document/command_signed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_command_signed_ struct command_signed command = {0};
        _cleanup_json_ struct json *json = NULL;
        struct json_errors errors;
        int r;

        if (json_parse((const char *) data, size, 0, &json, NULL) < 0)
                return 0;
        json_errors_init(&errors);
        r = command_signed_read(json, &command, &errors);
        if (r < 0 && !json_errors_any(&errors))
                abort();
        if (r < 0)
                return 0;
        if (!command.method || !command_may_be_signed(command.method) || !command.jti || command.aud.n_items == 0)
                abort();
        if (command.exp_s <= command.iat_s || command.exp_s - command.iat_s > COMMAND_SIGNED_MAX_S)
                abort();
        if (!command_params_check(command.method, command.params, NULL))
                abort();
        return 0;
}
