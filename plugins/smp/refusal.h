/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a refused request means: a pure function of what was asked, what was answered and a little of what is known about the
 * device. A refusal of something optional is harmless (F1, F3): phone tools show NOT_SUPPORTED there although all is well.
 * F2..F19 are the field failures listed in README.md, "Errors".
 */

#include <gatewayd/plugin.h>

#include "common/smp/client.h"

struct refusal {
        struct smp_refusal answer; /* group, command, op of the request and the status of the answer */

        uint8_t image;          /* of the request, 0 where it has none */
        bool first_chunk;       /* an upload at offset 0 */
        bool confirm;           /* a state write that confirms */
        bool upgrade_sent;      /* "upgrade": true was in the first chunk */
        bool slot_busy;         /* the state list shows another image waiting or on trial */
        bool other_commands_ok; /* echo or anything else was answered without an error */
        bool shortened;         /* requests were already cut to the smallest size */
};

enum refusal_action {
        REFUSAL_IGNORE,  /* an optional command is not offered: go on */
        REFUSAL_NO_MARK, /* F3: this bootloader takes no marks: go on to the reset */
        REFUSAL_CLEAR,   /* F5: another update stands in the way and may be cleared */
        REFUSAL_SHORTEN, /* F18: ask again with shorter requests */
        REFUSAL_FAIL,    /* will be refused again */
        REFUSAL_AGAIN,   /* may pass by itself */
};

/* Sets `err` in all but IGNORE and NO_MARK. `marks_optional`: the bootloader is known (or must be assumed) to take no marks. */
enum refusal_action refusal_judge(const struct refusal *refusal, bool marks_optional, struct gw_error *err);

/* "image state write: NO_FREE_SLOT (group 1, code 9)": one line for the report's notes. Returns `text`. */
const char *refusal_describe(const struct smp_refusal *answer, char *text, size_t text_size);
