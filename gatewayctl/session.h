/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One run of gatewayctl: its arguments, its profile, the way it may print, and the connection, made when it is first needed. And the few
 * things that most commands do: call a method, collect all pages of an answer, print a table or the JSON result.
 *
 * A command may be for several gateways (--group, --all). Then session_call_pages() gives one list of what all of them have, each
 * item with its "gateway"; session_each() shows the answers one after the other. Who did not answer, and who said no while others
 * did not, is kept and told once by session_finish(), whatever the command is.
 */

#include <stdbool.h>
#include <stdint.h>

#include "arguments.h"
#include "base/json.h"
#include "client.h"
#include "failure.h"
#include "loop/loop.h"
#include "profile.h"
#include "table.h"
#include "text.h"

#define SESSION_PAGE "1000"

struct session {
        const struct arguments *arguments;
        struct profile *profile; /* NULL: none */
        struct loop *loop;
        struct client *client;    /* NULL until session_connect() */
        struct audience audience; /* from session_settle() on */
        char *audience_name;      /* its name, where session_choose() chose it */
        bool audience_is_default; /* nobody named one */
        char *password;           /* for the broker */
        struct signer *signer;    /* signing.c; NULL until something is signed */
        struct json *missing;     /* array: who gave no result while others did; NULL: nobody */
        size_t n_told;            /* of them */
        bool settled;
        struct style style; /* of what goes to stdout */
        bool json;
        int64_t timeout_ms; /* 0: --timeout was not given */
        int64_t begun_ms;   /* monotonic */
        int64_t now_wall_ms;
};

void session_init(struct session *session, const struct arguments *arguments);
void session_deinit(struct session *session);

/* The value of a long option: as it was given, else the profile's. NULL: neither. */
const char *session_setting(const struct session *session, const char *option);

/* Reads the profile and says whom the command is for; without a connection. Done by session_connect(), harmless twice. */
int session_settle(struct session *session, struct failure *failure);
int session_connect(struct session *session, struct failure *failure);
/* Chooses for whom it is where nobody did; the name is copied. Before anything is sent. */
int session_choose(struct session *session, enum audience_kind kind, const char *name, struct failure *failure);
/* Is it about gateways behind a broker? Several of them? After session_settle(). */
bool session_is_remote(const struct session *session);
bool session_is_many(const struct session *session);

/* Who did not answer and who refused, as far as it was not told yet. Nothing where the session writes JSON. */
int session_tell_missing(struct session *session, struct failure *failure);
/* At the end, after everything else was printed: the same, and the exit code that the command ends with. */
int session_finish(struct session *session, int exit_code, struct failure *failure);

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

/*
 * For one gateway. params are taken (also on failure); NULL: none. Calls that may take as long as a person allows have patience. Of a
 * method that changes something, nothing is sent to more gateways than were named. One that a gateway believes from far only when it
 * is signed is signed (sign.h) where there is a key.
 */
int session_call(struct session *session, const char *method, struct members *params, struct json **ret_result, struct failure *failure);
int session_call_patient(struct session *session, const char *method, struct members *params, struct json **ret_result,
                         struct failure *failure);
/* The same with a file: an open descriptor that stays the caller's. */
int session_call_file(struct session *session, const char *method, struct members *params, int fd, struct json **ret_result,
                      struct failure *failure);
/*
 * All pages: the array `list` of the first result grows by those of the others, `next` is taken away. Of several gateways: `list` holds
 * the items of all, each with "gateway", and "gateways" says of each what else it answered: {"gateway", "result" without the list}.
 */
int session_call_pages(struct session *session, const char *method, struct members *params, const char *list, struct json **ret_result,
                       struct failure *failure);
struct session_question;
int session_collect(struct session *session, const struct session_question *question, struct json **ret_result, struct failure *failure);

/*
 * For all who are meant, be it one. Where everybody fails, the first one's failure; otherwise those who did not answer are noted
 * for session_finish(), and *ret_answers holds the others: each is RESULT, or ERROR with an error of its own. list: the name of the
 * list whose pages are to be collected; NULL: none. Patient: session_call_patient().
 */
struct session_question {
        const char *method;
        struct members *params;
        const char *list;
        bool patient;
        /* Who is expected to answer; NULL: everybody. */
        bool (*is_meant)(void *ctx, const char *gateway, const struct str_list *groups);
        void *ctx;
};
int session_gather(struct session *session, const struct session_question *question, struct answers *ret_answers, struct failure *failure);

/*
 * Asks and shows: text by show(), which appends to out and gives the exit code (or negative); JSON as it is, or for several gateways as
 * {"gateways": [{"gateway", "result" or "error"}]}. The highest of the exit codes.
 */
typedef int (*session_show)(struct session *session, const struct json *result, struct strbuf *out);
int session_each(struct session *session, const struct session_question *question, session_show show, struct failure *failure);

/* Has notifications come to client_listen() for all who are meant: params of events.subscribe, taken (also on failure). */
int session_subscribe(struct session *session, struct members *params, struct failure *failure);

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
