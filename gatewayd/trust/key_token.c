/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Private keys that stay in a token (HSM, smart card, TPM): through OpenSSL's engine for PKCS#11 (package libengine-pkcs11-openssl). The
 * engine interface is marked as old in OpenSSL 3, and Debian 12 has no provider for PKCS#11 yet.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/ui.h>
#include <stdlib.h>

#include "trust/key_internal.h"

static int refuse(struct gw_error *err, const char *what) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());

        gw_error_set(err, "signer-failed", "%s%s%s", what, reason ? ": " : "", reason ? reason : "");
        ERR_clear_error();
        return -EINVAL;
}

/* The engine keeps references of its own; it lives as long as the process. */
static ENGINE *open_engine(struct gw_error *err) {
        const char *module = getenv("PKCS11_MODULE_PATH");
        ENGINE *engine;

        ENGINE_load_builtin_engines();
        engine = ENGINE_by_id("pkcs11");
        if (!engine) {
                (void) refuse(err, "OpenSSL has no engine for PKCS#11 (package libengine-pkcs11-openssl)");
                return NULL;
        }
        if ((module && ENGINE_ctrl_cmd_string(engine, "MODULE_PATH", module, 0) != 1) || ENGINE_init(engine) != 1) {
                (void) refuse(err, "the PKCS#11 module cannot be used (PKCS11_MODULE_PATH)");
                ENGINE_free(engine);
                return NULL;
        }
        return engine;
}

int key_open_token(const char *uri, struct key **ret_key, struct gw_error *err) {
        ENGINE *engine = open_engine(err);
        EVP_PKEY *pkey;

        if (!engine)
                return -EINVAL;
        pkey = ENGINE_load_private_key(engine, uri, (UI_METHOD *) UI_get_default_method(), NULL);
        if (!pkey)
                return refuse(err, "the token has no such private key, or does not open with this PIN");
        return key_wrap(pkey, true, ret_key, err);
}
