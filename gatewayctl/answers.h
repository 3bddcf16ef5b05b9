/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the gateways said to one request: each a result, an error, or nothing. Owned by whoever asked.
 */

#include "base/json.h"
#include "base/str.h"
#include "failure.h"

enum answer_state {
        ANSWER_AWAITED,
        ANSWER_RESULT,
        ANSWER_ERROR, /* the gateway said no: failure */
        ANSWER_NONE,  /* it said nothing: failure says why not, reply-timeout or gateway-offline */
};

struct answer {
        char gateway[STR_GATEWAY_ID_MAX + 1]; /* "": the daemon behind the control socket, until it has named itself */
        enum answer_state state;
        struct json *result; /* RESULT: an object */
        struct failure failure;
        int64_t lost_ms; /* monotonic: since when it is known to be away while an answer is awaited; 0: it is not */
};

struct answers {
        struct answer *items; /* in the order of their ids */
        size_t n_items;
};

void answers_deinit(struct answers *answers);
#define _cleanup_answers_ _cleanup_(answers_deinit)

/* The one of this gateway; NULL. */
struct answer *answers_find(const struct answers *answers, const char *gateway);
/* A new one, AWAITED. NULL: out of memory. */
struct answer *answers_add(struct answers *answers, const char *gateway);
size_t answers_count(const struct answers *answers, enum answer_state state);
