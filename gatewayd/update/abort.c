/* SPDX-License-Identifier: Apache-2.0 */
#include "update/abort.h"

#include "base/str.h"

bool abort_is_due(const struct campaign_abort *rule, const struct abort_counts *counts, char *why, size_t why_size) {
        if (rule->failed_count > 0 && counts->n_failed >= rule->failed_count) {
                (void) str_format(why, why_size, "%zu failed", counts->n_failed);
                return true;
        }
        if (rule->failed_percent == 0 || counts->n_failed == 0 || counts->n_finished < rule->min_finished)
                return false;
        if (counts->n_failed * 100 < (size_t) rule->failed_percent * counts->n_finished)
                return false;
        (void) str_format(why, why_size, "%zu of %zu failed", counts->n_failed, counts->n_finished);
        return true;
}

bool abort_after_first_wave(const struct abort_counts *wave) {
        return wave->n_failed > 0 && wave->n_failed == wave->n_finished;
}
