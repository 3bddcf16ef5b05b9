/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between offer.c, plan.c and signed.c: an order on its way in, whose files are read. */

#include "update/internal.h"

/* What the order's source vouches for. Borrowed during offer_take(). */
struct offer_origin {
        enum campaign_origin origin;
        const char *kid;       /* of the key that signed it; NULL: local */
        const uint8_t *digest; /* DIGEST_SIZE bytes, SHA-256 of what was signed as it came; NULL: of the document as JSON */
        const char *path;      /* where mistakes are counted from: "params.document" */
        bool held;             /* accepted, but paused (needs-approval) until campaign.continue */
};

/* Takes an order in, or plans it (actor NULL); contract of update_campaign_start(). `document` is lent during the call. */
int offer_take(struct update *update, const struct update_actor *actor, const struct offer_origin *origin, const struct json *document,
               update_reply reply, void *ctx);

struct offer {
        struct list link; /* update.offers */
        struct update *update;
        struct campaign *campaign; /* detached; NULL once accepted */
        bool planning;
        bool held;
        char *door, *principal;
        size_t n_reading;
        struct loop_deferral *deferral;
        update_reply reply;
        void *ctx;
};

/* Answers the offer with what would be done. The caller frees the offer. */
int offer_plan(struct offer *offer);
