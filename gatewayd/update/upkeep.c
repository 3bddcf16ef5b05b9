/* SPDX-License-Identifier: Apache-2.0 */
#include "update/internal.h"

#include "base/limits.h"
#include "base/log.h"
#include "store/audit_table.h"

#define AUDIT_SLICE 500   /* rows a turn */
#define CAMPAIGN_SLICE 1  /* campaigns a turn: each takes its jobs and their steps along */
#define BETWEEN_SLICES_MS 20 /* the loop has other work, too */

/* Keeps the store small: old rows of the audit, then finished campaigns beyond the newest, in slices that the loop does not feel. */

/* By age only with a clock that is believed: one that is years ahead would empty the audit. */
static int64_t audit_horizon_ms(const struct update *update) {
        int64_t horizon_ms = update_wall_ms(update) - update->options.settings->limits.audit_age_ms;
        return update_is_credible(update) ? MAX(horizon_ms, 0) : 0;
}

static void slice(void *ctx) {
        struct update *update = ctx;
        struct store *store = update->options.store;
        uint32_t n_rows = 0, n_campaigns = 0;
        int r = audit_table_cut(store, update->options.settings->limits.audit_rows, audit_horizon_ms(update), AUDIT_SLICE, &n_rows);
        update->upkeep_timer = NULL;
        if (r >= 0)
                r = campaign_table_prune(store, CAMPAIGNS_KEPT_MAX, 0, CAMPAIGN_SLICE, &n_campaigns);
        if (r < 0)
                log_error(NULL, "old rows cannot be deleted: %s", strerror(-r));
        else if (n_rows == AUDIT_SLICE || n_campaigns == CAMPAIGN_SLICE)
                (void) timer_start(update->options.loop, BETWEEN_SLICES_MS, slice, update, &update->upkeep_timer);
}

void update_upkeep(struct update *update) {
        signed_note_clock(update);
        if (!update->upkeep_timer && !update->stopping)
                (void) timer_start(update->options.loop, 0, slice, update, &update->upkeep_timer);
}
