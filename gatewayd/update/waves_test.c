/* SPDX-License-Identifier: Apache-2.0 */
#include "update/waves.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"

static const struct {
        const char *label;
        struct campaign_wave waves[3];
        size_t n_waves, population;
        size_t ends[4]; /* devices up to and including each wave */
} shares[] = {
        { "the default, thirty devices", { { .count = 2 }, { .percent = 25 }, { .percent = 100 } }, 3, 30, { 2, 8, 30 } },
        { "the default, twelve devices", { { .count = 2 }, { .percent = 25 }, { .percent = 100 } }, 3, 12, { 2, 3, 12 } },
        { "the second share is smaller than the first", { { .count = 2 }, { .percent = 25 }, { .percent = 100 } }, 3, 4, { 2, 2, 4 } },
        { "one device", { { .count = 2 }, { .percent = 25 }, { .percent = 100 } }, 3, 1, { 1, 1, 1 } },
        { "no device", { { .count = 2 }, { .percent = 25 }, { .percent = 100 } }, 3, 0, { 0, 0, 0 } },
        { "the rest is implied", { { .count = 1 }, { .count = 3 } }, 2, 5, { 1, 3, 5 } },
        { "rounded up", { { .percent = 1 }, { .percent = 34 } }, 2, 3, { 1, 2, 3 } },
        { "all at once", { { .percent = 100 } }, 1, 7, { 7 } },
};

static void test_who_is_in_which_wave(void **state) {
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(shares); i++) {
                struct campaign_policy policy = { .n_waves = shares[i].n_waves };
                for (size_t j = 0; j < shares[i].n_waves; j++)
                        policy.waves[j] = shares[i].waves[j];
                for (size_t position = 0; position < shares[i].population; position++) {
                        size_t expected = 0;
                        while (shares[i].ends[expected] <= position)
                                expected++;
                        if (wave_of(&policy, position, shares[i].population) != expected)
                                fail_msg("%s: device %zu", shares[i].label, position);
                }
        }
}

static const struct {
        const char *label;
        struct wave_counts counts;
        bool is_last;
        enum wave_verdict verdict;
} wave_cases[] = {
        { "somebody is worked", { .n_final = 1, .n_active = 1 }, false, WAVE_GOES_ON },
        { "all have an end", { .n_final = 2 }, false, WAVE_HAS_ENDED },
        { "the absent ones do not hold it up", { .n_final = 1, .n_absent = 3, .n_later = 9 }, false, WAVE_HAS_ENDED },
        { "but they alone are no proof: others take their places", { .n_absent = 2, .n_later = 1 }, false, WAVE_NEEDS_OTHERS },
        { "nobody is there at all", { .n_absent = 2 }, false, WAVE_GOES_ON },
        { "somebody is asked yet", { .n_active = 1, .n_absent = 1, .n_later = 5 }, false, WAVE_GOES_ON },
        { "a share that adds nobody", { .n_later = 5 }, false, WAVE_IS_EMPTY },
        { "the last one ends with the campaign", { .n_final = 2, .n_absent = 1 }, true, WAVE_GOES_ON },
        { "also when nobody came", { 0 }, true, WAVE_GOES_ON },
};

static void test_what_becomes_of_a_wave(void **state) {
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(wave_cases); i++)
                if (wave_judge(&wave_cases[i].counts, wave_cases[i].is_last) != wave_cases[i].verdict)
                        fail_msg("%s", wave_cases[i].label);
}

static const struct {
        const char *label;
        struct wave_pause pause;
        enum wave_next next;
} pauses[] = {
        { "nothing between", { .gate = CAMPAIGN_GATE_NONE }, WAVE_NEXT_OPEN },
        { "soak", { .soak_left_ms = 1 }, WAVE_NEXT_SOAK },
        { "gate behind the first", { .gate = CAMPAIGN_GATE_FIRST_WAVE }, WAVE_NEXT_GATE },
        { "which was passed", { .gate = CAMPAIGN_GATE_FIRST_WAVE, .gates_passed = 1 }, WAVE_NEXT_OPEN },
        { "and has no second", { .gate = CAMPAIGN_GATE_FIRST_WAVE, .wave = 1 }, WAVE_NEXT_OPEN },
        { "gate behind each", { .gate = CAMPAIGN_GATE_EACH_WAVE, .wave = 1, .gates_passed = 1 }, WAVE_NEXT_GATE },
        { "each is passed for itself", { .gate = CAMPAIGN_GATE_EACH_WAVE, .wave = 1, .gates_passed = 2 }, WAVE_NEXT_OPEN },
        { "a gate that is passed early saves no soak", { .gate = CAMPAIGN_GATE_FIRST_WAVE, .gates_passed = 1, .soak_left_ms = 5 }, WAVE_NEXT_SOAK },
        { "the gate is told at once, not after the soak", { .gate = CAMPAIGN_GATE_FIRST_WAVE, .soak_left_ms = 5 }, WAVE_NEXT_GATE },
};

static void test_what_comes_between(void **state) {
        (void) state;
        for (size_t i = 0; i < ARRAY_SIZE(pauses); i++)
                if (wave_next(&pauses[i].pause) != pauses[i].next)
                        fail_msg("%s", pauses[i].label);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_who_is_in_which_wave),
                cmocka_unit_test(test_what_becomes_of_a_wave),
                cmocka_unit_test(test_what_comes_between),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
