/* SPDX-License-Identifier: Apache-2.0 */
#include "update/start_rule.h"

#include <string.h>

#include <gatewayd/plugin.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "trust/digest.h"

int64_t start_jitter_ms(const char *gateway_id, const char *campaign_id, int64_t max_ms) {
        char text[STR_GATEWAY_ID_MAX + STR_ID_MAX + 2];
        uint8_t digest[DIGEST_SIZE];
        uint32_t number = 0;
        (void) str_format(text, sizeof text, "%s/%s", gateway_id, campaign_id);
        digest_sha256(text, strlen(text), digest);
        for (int i = 0; i < 4; i++)
                number = number << 8 | digest[i];
        return (int64_t) (((unsigned __int128) max_ms * number) >> 32);
}

int64_t windows_opened_ms(const struct windows_pair *pair, int64_t now_ms, int64_t back_ms) {
        int64_t at_ms = now_ms - back_ms;
        for (;;) {
                struct windows_state state = windows_at(pair, at_ms);
                if ((state.open && state.until_ms > now_ms) || state.until_ms > now_ms)
                        return at_ms;
                at_ms = state.until_ms;
        }
}

enum window_fit window_fit(const struct window_job *job) {
        int64_t needed_ms = MAX(job->eta_ms, (int64_t) WINDOW_LAST_MS);
        if (needed_ms <= job->rest_ms)
                return WINDOW_FITS;
        if (needed_ms <= job->whole_ms)
                return WINDOW_FITS_LATER;
        /* Longer than any window: in parts, as long as there is enough of this one for a part. */
        if (!job->can_be_suspended)
                return WINDOW_FITS_NEVER;
        return job->rest_ms > WINDOW_LAST_MS ? WINDOW_FITS : WINDOW_FITS_LATER;
}

bool battery_is_enough(int battery_percent, int min_percent) {
        return min_percent < 0 || battery_percent == GW_BATTERY_UNKNOWN || battery_percent >= min_percent;
}

bool signal_is_enough(int rssi_dbm, int min_dbm) {
        return min_dbm == GW_RSSI_UNKNOWN || rssi_dbm == GW_RSSI_UNKNOWN || rssi_dbm >= min_dbm;
}
