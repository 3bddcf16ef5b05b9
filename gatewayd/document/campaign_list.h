/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A list of signed campaigns as a web server holds it for the HTTPS door: a JSON array of JWS in compact form
 * (schemas/campaign-list.schema.json). Only that they are texts is judged here, what is in them is trust's and hides no other; a list
 * with another mistake is refused as a whole, since it was cut or damaged.
 */

#include <stddef.h>

#include "base/cleanup.h"
#include "base/json_errors.h"
#include "document/limits.h"

struct campaign_list;

/* 0, -EBADMSG (errors: what and where), -E2BIG (over JSON_SIZE_MAX), -ENOMEM. errors may be NULL. */
int campaign_list_parse(const char *text, size_t size, struct campaign_list **ret_list, struct json_errors *errors);
void campaign_list_free(struct campaign_list *list);
DEFINE_CLEANUP(struct campaign_list *, campaign_list_free);
#define _cleanup_campaign_list_ _cleanup_(campaign_list_freep)

size_t campaign_list_count(const struct campaign_list *list);
const char *campaign_list_at(const struct campaign_list *list, size_t index); /* lent */
