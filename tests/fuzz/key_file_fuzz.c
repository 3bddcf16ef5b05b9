/* SPDX-License-Identifier: Apache-2.0 */

/* A key file of any bytes is a key of one of two kinds, or an error with a name; what was read reads back to the same key. */

#include <stdlib.h>
#include <string.h>

#include "trust/keyring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct keyring_key *key = NULL, *again = NULL;
        _cleanup_free_ char *pem = NULL;
        struct gw_error err = { 0 };

        if (keyring_key_parse("fuzz.pub", (const char *) data, size, &key, &err) < 0) {
                if (!gw_error_is_set(&err) || key)
                        abort();
                return 0;
        }
        if (key_kind(key->key) != KEY_ED25519 && key_kind(key->key) != KEY_P256)
                abort();
        if (key_write_public(key->key, &pem) < 0 || keyring_key_parse("fuzz.pub", pem, strlen(pem), &again, &err) < 0)
                abort();
        if (memcmp(key->fingerprint, again->fingerprint, DIGEST_SIZE) != 0)
                abort();
        keyring_key_free(key);
        keyring_key_free(again);
        return 0;
}
