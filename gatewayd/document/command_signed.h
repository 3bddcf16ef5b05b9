/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The payload of a signed command (schemas/command-signed.schema.json): a method with its params, for whom, and for how long.
 *
 *     { "schema": "gatewayd/command/1", "method": "campaign.continue", "params": { "id": "sensors-1.4.0" },
 *       "iss": "anna@acme", "aud": ["pi-oslo-1"], "iat": 1795219200, "exp": 1795219500, "jti": "5f0c..." }
 *
 * exp is at most COMMAND_SIGNED_MAX_S behind iat. jti, different in each command of a key, makes it count once.
 */

#include "base/json.h"
#include "base/json_errors.h"
#include "base/str_list.h"
#include "document/command.h"

#define COMMAND_SIGNED_SCHEMA "gatewayd/command/1"

struct command_signed {
        const struct command_method *method; /* may be signed */
        struct json *params;                 /* checked as those of a request; NULL where there are none */
        struct str_list aud;                 /* not empty */
        int64_t iat_s, exp_s;
        char *jti;
        char *iss; /* NULL */
};

/* 0; -EBADMSG with every mistake in errors (may be NULL); -ENOMEM. Deinit also on failure. */
int command_signed_read(const struct json *payload, struct command_signed *ret_command, struct json_errors *errors);
void command_signed_deinit(struct command_signed *command);
#define _cleanup_command_signed_ _cleanup_(command_signed_deinit)
