/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between offer.c and plan.c: an order on its way in, whose files are read. */

#include "update/internal.h"

struct offer {
        struct list link; /* update.offers */
        struct update *update;
        struct campaign *campaign; /* detached; NULL once accepted */
        bool planning;
        char *door, *principal;
        size_t n_reading;
        struct loop_deferral *deferral;
        update_reply reply;
        void *ctx;
};

/* Answers the offer with what would be done. The caller frees the offer. */
int offer_plan(struct offer *offer);
