/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The gateways that a broker knows of: their retained status documents (schemas/status.schema.json). Pure.
 */

#include <stdbool.h>
#include <stddef.h>

#include "audience.h"
#include "base/json.h"
#include "base/str.h"

#define GATEWAYS_MAX 100000

struct gateway {
        char id[STR_GATEWAY_ID_MAX + 1];
        bool online; /* it takes requests */
        struct str_list groups;
        struct json *status; /* the whole document; owned */
};

struct gateways {
        struct gateway *items; /* sorted by id */
        size_t n_items;
};

void gateways_deinit(struct gateways *gateways);
#define _cleanup_gateways_ _cleanup_(gateways_deinit)

/*
 * A status document came (size 0: it was removed). What is no status document is dropped: -EBADMSG. A last will holds little more than
 * that the gateway is away; what was known of it before is kept then. -ENOMEM, -E2BIG.
 */
int gateways_take(struct gateways *gateways, const char *id, const char *text, size_t size);
const struct gateway *gateways_find(const struct gateways *gateways, const char *id); /* NULL */
/* How many belong to the audience. */
size_t gateways_count(const struct gateways *gateways, const struct audience *audience);
