/* SPDX-License-Identifier: Apache-2.0 */
#include "update/waves.h"

size_t wave_of(const struct campaign_policy *policy, size_t position, size_t population) {
        size_t last = campaign_waves(policy) - 1, wave = 0;
        while (wave < last && campaign_wave_end(policy, wave, population) <= position)
                wave++;
        return wave;
}

enum wave_verdict wave_judge(const struct wave_counts *counts, bool is_last) {
        if (is_last || counts->n_active > 0)
                return WAVE_GOES_ON;
        if (counts->n_final > 0)
                return WAVE_HAS_ENDED;
        if (counts->n_absent == 0)
                return WAVE_IS_EMPTY;
        return counts->n_later > 0 ? WAVE_NEEDS_OTHERS : WAVE_GOES_ON;
}

static bool has_gate(enum campaign_gate gate, size_t wave) {
        switch (gate) {
        case CAMPAIGN_GATE_NONE:
                return false;
        case CAMPAIGN_GATE_FIRST_WAVE:
                return wave == 0;
        case CAMPAIGN_GATE_EACH_WAVE:
                return true;
        }
        return false;
}

enum wave_next wave_next(const struct wave_pause *pause) {
        if (has_gate(pause->gate, pause->wave) && pause->gates_passed <= pause->wave)
                return WAVE_NEXT_GATE;
        return pause->soak_left_ms > 0 ? WAVE_NEXT_SOAK : WAVE_NEXT_OPEN;
}
