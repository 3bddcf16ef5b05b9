/* SPDX-License-Identifier: Apache-2.0 */

/* Any bytes as a line of a program. */

#include <stdlib.h>

#include "message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct message message;
        struct gw_error err = { 0 };
        int r = message_parse((const char *) data, size, &message, &err);

        if ((r < 0) != gw_error_is_set(&err))
                abort();
        if (r == 0 && message.kind == MESSAGE_PROGRESS && message.done > message.total)
                abort();
        if (r == 0 && message.blob_size > EXEC_BLOB_MAX)
                abort();
        message_deinit(&message);
        return 0;
}
