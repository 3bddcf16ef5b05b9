/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Secrets that lie in files, and what a server is shown of them. They are read each time that they are needed, so an exchanged file
 * counts at once, and live in memory no longer than that. Files are small; reading them may be done on the loop.
 */

#include <stddef.h>

#include <gatewayd/plugin.h>

#include "base/cleanup.h"
#include "config/settings.h"
#include "loop/http.h"

#define SECRET_SIZE 4096 /* a password or token with its terminator */

/*
 * The first line of a file. It must be a regular file of mode 0600 that this process can read. path "" or NULL: nothing, 0. Error:
 * credentials-unreadable (-EACCES).
 */
int secret_read(const char *path, char *dst, size_t size, struct gw_error *err);

/* What of struct settings_credentials has to be read. */
struct secrets {
        char password[SECRET_SIZE];
        char bearer[SECRET_SIZE];
};

/* The texts are forgotten at the end of the scope: _cleanup_secrets_ struct secrets secrets; */
void secrets_forget(struct secrets *secrets);
#define _cleanup_secrets_ _cleanup_(secrets_forget)

/* As secret_read(); *ret_secrets is initialised also on failure. */
int secrets_read(const struct settings_credentials *credentials, struct secrets *ret_secrets, struct gw_error *err);
/* Puts them into a request, which then lends from both. A ca_file that is not set leaves the request's. */
void secrets_apply(const struct settings_credentials *credentials, const struct secrets *secrets, struct http_request *request);
