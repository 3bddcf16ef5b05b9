/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a program says: one line of its standard output. Pure; every text of a message belongs to the message. The protocol is in
 * README.md.
 */

#include <gatewayd/plugin.h>

#include "common/json_line/json_line.h"
#include "limits.h"

/* The steps that a program may have, in the order in which they are called. The first is only looking and comes again and again; the
 * last is for `gatewayctl device diagnose`. */
enum program_step {
        PROGRAM_INSPECT,
        PROGRAM_PREPARE,
        PROGRAM_UPLOAD,
        PROGRAM_TEST,
        PROGRAM_ACTIVATE,
        PROGRAM_RESET,
        PROGRAM_RETURN,
        PROGRAM_VERIFY,
        PROGRAM_TRIAL,
        PROGRAM_CONFIRM,
        PROGRAM_FINISH,
        PROGRAM_DIAGNOSE,
        PROGRAM_STEP_COUNT_,
};

const char *program_step_name(enum program_step step);
/* -ENOENT */
int program_step_find(const char *name, enum program_step *ret_step);

enum message_kind {
        MESSAGE_PROGRESS,
        MESSAGE_NOTE,
        MESSAGE_LEARNED,
        MESSAGE_BLOB,
        MESSAGE_TARGET,
        MESSAGE_STEP, /* only in answer to `describe` */
        MESSAGE_END,
};

enum message_end {
        MESSAGE_END_NEXT,
        MESSAGE_END_JUMP,
        MESSAGE_END_DONE,
        MESSAGE_END_WAIT,
        MESSAGE_END_AGAIN,
        MESSAGE_END_FAIL,
};

struct message {
        enum message_kind kind;
        struct json *json;     /* holds the texts */
        uint64_t done, total;  /* PROGRESS */
        const char *note;      /* NOTE */
        struct gw_facts facts; /* LEARNED */
        struct gw_image images[GW_IMAGES_MAX];
        struct gw_attribute attributes[EXEC_ATTRIBUTES_MAX];
        char *blob; /* BLOB: JSON text; NULL none */
        size_t blob_size;
        struct gw_target target; /* TARGET */
        enum program_step step;  /* STEP; END by jump */
        uint32_t timeout_ms;     /* STEP, 0 = not said */
        bool commits;            /* STEP */
        enum message_end end;    /* END */
        enum gw_result result;
        enum gw_proof proof;
        const char *reason;
        uint32_t wakes;
        int64_t delay_ms;
        struct gw_error error; /* END by again or fail; TARGET */
};

/* In place: a message points into itself and must not be copied. -EBADMSG with err exec-bad-output, -ENOMEM; then it is empty. */
int message_parse(const char *line, size_t size, struct message *ret_message, struct gw_error *err);
void message_deinit(struct message *message);
