/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between key.c and key_token.c. */

#include <openssl/types.h>

#include "trust/key.h"

/* Takes pkey over, also on failure. key-type, key-invalid. `token`: its point is not checked, the token answers for it. */
int key_wrap(EVP_PKEY *pkey, bool token, struct key **ret_key, struct gw_error *err);
