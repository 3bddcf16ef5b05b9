/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A campaign document in a person's words: what it brings to which devices, how carefully and when. Pure.
 */

#include "base/time_zone.h"
#include "document/campaign.h"
#include "text.h"

struct campaign_words {
        const struct campaign_document *campaign;
        const char *signature;    /* "by key ci, verified"; NULL: a line less */
        int64_t now_ms;           /* wall clock */
        struct time_zones *zones; /* NULL: when windows open next is not said */
};

int campaign_words(const struct campaign_words *words, const struct style *style, struct strbuf *out);
