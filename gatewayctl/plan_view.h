/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The answer of campaign.plan for a person: what would be done to each device, and what has to be known before saying yes.
 */

#include "base/json.h"
#include "text.h"

struct plan_view {
        const struct json *plan;    /* result of campaign.plan; a device may have a "gateway" */
        const struct json *package; /* of artifact.import; NULL */
        const char *title;          /* "app-1.1.0.bin", NULL: the campaign's id */
        bool all;                   /* also the devices that are not selected */
};

int plan_render(const struct plan_view *view, const struct style *style, struct strbuf *out);

/* How many devices have this verdict. */
int64_t plan_count(const struct json *plan, const char *verdict);
/* Does a device need a person's word that the file fits it? */
bool plan_needs_statement(const struct json *plan);
