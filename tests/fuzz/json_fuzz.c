/* SPDX-License-Identifier: Apache-2.0 */

/* Whatever json_check() lets pass, json-c must take, and what is written of it must pass again and be equal. */

#include <stdlib.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_json_ struct json *json = NULL, *again = NULL;
        _cleanup_free_ char *text = NULL;
        struct json_check_error error;
        size_t text_size = 0;

        if (json_check((const char *) data, size, 0, &error) < 0) {
                if (error.offset > size || !*error.text)
                        abort();
                return 0;
        }
        if (json_parse((const char *) data, size, 0, &json, NULL) < 0 || json_write(json, &text, &text_size) < 0 ||
            json_parse(text, text_size, 16 * text_size, &again, NULL) < 0 || !json_equal(json, again))
                abort();
        return 0;
}
