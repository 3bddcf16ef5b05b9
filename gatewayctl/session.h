/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One run of gatewayctl: its arguments, the way it may print, and the connection, made when it is first needed. And the few things
 * that most commands do: call a method, collect all pages of an answer, print a table or the JSON result.
 */

#include <stdbool.h>
#include <stdint.h>

#include "arguments.h"
#include "base/json.h"
#include "client.h"
#include "failure.h"
#include "loop/loop.h"
#include "table.h"
#include "text.h"

#define SESSION_PAGE "1000"

struct session {
        const struct arguments *arguments;
        struct loop *loop;
        struct client *client; /* NULL until session_connect() */
        struct style style;    /* of what goes to stdout */
        bool json;
        int64_t timeout_ms; /* 0: --timeout was not given */
        int64_t begun_ms;   /* monotonic */
        int64_t now_wall_ms;
};

void session_init(struct session *session, const struct arguments *arguments);
void session_deinit(struct session *session);

int session_connect(struct session *session, struct failure *failure);

/* Members of params or of a document, one after the other; the first failure sticks. */
struct members {
        struct json *json;
        int error;
};

struct members members_new(void);
void members_deinit(struct members *members);
#define _cleanup_members_ _cleanup_(members_deinit)
void members_text(struct members *members, const char *key, const char *text); /* NULL: left out */
void members_number(struct members *members, const char *key, int64_t number);
void members_bool(struct members *members, const char *key, bool value);
void members_null(struct members *members, const char *key);
void members_texts(struct members *members, const char *key, const struct str_list *texts); /* empty: left out */
void members_json(struct members *members, const char *key, struct json *json);             /* taken over */
/* The option of the same name, where it was given. */
void members_option(struct members *members, const char *key, const struct arguments *arguments, const char *option);
void members_options(struct members *members, const char *key, const struct arguments *arguments, const char *option);

/* params are taken (also on failure); NULL: none. Calls that may take as long as a person allows have patience. */
int session_call(struct session *session, const char *method, struct members *params, struct json **ret_result, struct failure *failure);
int session_call_patient(struct session *session, const char *method, struct members *params, struct json **ret_result,
                         struct failure *failure);
/* The same with a file: an open descriptor that stays the caller's. */
int session_call_file(struct session *session, const char *method, struct members *params, int fd, struct json **ret_result,
                      struct failure *failure);
/* All pages: the array `list` of the first result grows by those of the others, `next` is taken away. */
int session_call_pages(struct session *session, const char *method, struct members *params, const char *list, struct json **ret_result,
                       struct failure *failure);

/* Milliseconds that are left of --timeout: -1 no limit, 0 it is over. */
int64_t session_left_ms(const struct session *session);

/* The id of a device that a person named by id, key or name. */
int session_device_id(struct session *session, const char *words, char ret_id[static STR_DEVICE_ID_SIZE], struct failure *failure);

/* --- printing; all to stdout, a failure is one of memory or of the disk behind stdout --- */

int session_print(struct session *session, const struct strbuf *out, struct failure *failure);
int session_print_table(struct session *session, const struct table *table, struct failure *failure);
int session_print_json(struct session *session, const struct json *json, struct failure *failure);
/* One line, for streams. */
int session_print_json_line(struct session *session, const struct json *json, struct failure *failure);
int session_say(struct session *session, struct failure *failure, const char *format, ...) GW_PRINTF(3, 4);
