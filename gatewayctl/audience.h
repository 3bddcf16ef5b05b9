/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whom a command is for: one gateway, a group of them, or all. Behind the control socket there is exactly one, which needs no name.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/str_list.h"

enum audience_kind {
        AUDIENCE_LOCAL, /* the daemon behind the control socket */
        AUDIENCE_GATEWAY,
        AUDIENCE_GROUP,
        AUDIENCE_ALL,
};

struct audience {
        enum audience_kind kind;
        const char *name; /* of the gateway or group; NULL otherwise */
};

/* May more than one gateway answer? */
bool audience_is_many(const struct audience *audience);
/* Is a gateway of this id, in these groups, meant? */
bool audience_has(const struct audience *audience, const char *gateway, const struct str_list *groups);
/* "gateway pi-1", "group oslo", "all gateways", "this gateway". */
void audience_text(const struct audience *audience, char *dst, size_t size);
/* As an entry of `aud`: "pi-1", "group:oslo", "*". */
void audience_claim(const struct audience *audience, char *dst, size_t size);
