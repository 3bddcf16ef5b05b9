/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Commands and their replies as JSON-RPC 2.0 objects (no batch), for every door and for clients: reading and checking a request
 * against the table of methods, and writing requests, replies and notifications. Pure: it carries nothing out.
 *
 * The table (command_methods) is the one place that knows which members the params of a method have; after command_read()
 * succeeded, the params hold nothing but members of the table with values of the right type and range, so that whoever carries the
 * command out reads them with json_member_*() without checking again. schemas/command.schema.json says the same.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gatewayd/plugin.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/json_errors.h"
#include "document/limits.h"

/* Numbers of JSON-RPC 2.0; COMMAND_FAILED carries a named error of the catalogue. */
enum command_code {
        COMMAND_CODE_PARSE = -32700,           /* error name request-invalid */
        COMMAND_CODE_INVALID_REQUEST = -32600, /* request-invalid */
        COMMAND_CODE_UNKNOWN_METHOD = -32601,  /* method-unknown */
        COMMAND_CODE_INVALID_PARAMS = -32602,  /* params-invalid */
        COMMAND_CODE_INTERNAL = -32603,        /* out-of-memory, internal-error */
        COMMAND_CODE_FAILED = -32000,
};

/*
 * What it takes to call a method. On the control socket root, the daemon's own user and members of control_group may call
 * everything, others what only reads; over a door from far (MQTT) the right decides:
 */
enum command_right {
        COMMAND_RIGHT_READ,  /* whoever may speak there */
        COMMAND_RIGHT_STOP,  /* whoever may speak there, where `unsigned_stop` of [mqtt] says so; else as WIDEN */
        COMMAND_RIGHT_ORDER, /* its params hold a signed campaign */
        COMMAND_RIGHT_WIDEN, /* a signed command: params {"jws"} and nothing else */
        COMMAND_RIGHT_LOCAL, /* never: control socket only */
};

enum command_method_id {
        COMMAND_CAMPAIGN_START,
        COMMAND_CAMPAIGN_PAUSE,
        COMMAND_CAMPAIGN_RESUME,
        COMMAND_CAMPAIGN_CONTINUE,
        COMMAND_CAMPAIGN_CANCEL,
        COMMAND_CAMPAIGN_RETRY,
        COMMAND_CAMPAIGN_LIST,
        COMMAND_CAMPAIGN_GET,
        COMMAND_CAMPAIGN_REPORT,
        COMMAND_CAMPAIGN_PLAN,
        COMMAND_DEVICE_LIST,
        COMMAND_DEVICE_GET,
        COMMAND_DEVICE_SCAN,
        COMMAND_DEVICE_ADOPT,
        COMMAND_DEVICE_SET,
        COMMAND_DEVICE_FORGET,
        COMMAND_DEVICE_DIAGNOSE,
        COMMAND_DEVICE_IMPORT,
        COMMAND_DEVICE_PAIR,
        COMMAND_DEVICE_UNPAIR,
        COMMAND_DEVICE_BONDS,
        COMMAND_ARTIFACT_IMPORT,
        COMMAND_ARTIFACT_LIST,
        COMMAND_ARTIFACT_REMOVE,
        COMMAND_AUDIT_QUERY,
        COMMAND_AUDIT_VERIFY,
        COMMAND_EVENTS_SUBSCRIBE,
        COMMAND_GATEWAY_INFO,
        COMMAND_GATEWAY_HEALTH,
        COMMAND_GATEWAY_DIAGNOSE,
        COMMAND_GATEWAY_RELOAD,
        COMMAND_METHOD_COUNT_,
};

struct command_param; /* one line of a method's table, params.h */
struct reader;
struct place;

struct command_method {
        enum command_method_id id;
        const char *name; /* "campaign.start" */
        enum command_right right;
        bool takes_file;                    /* exactly one descriptor comes with the line */
        bool streams;                       /* it goes on after its reply: only where a connection does, too */
        const struct command_param *params; /* private, as is check */
        void (*check)(struct reader *reader, struct place params);
};

extern const struct command_method command_methods[COMMAND_METHOD_COUNT_]; /* indexed by id */
const struct command_method *command_method_find(const char *name);        /* NULL */

/* May the method come as a signed command, its own params within the JWS? */
bool command_may_be_signed(const struct command_method *method);

/* A checked request. params and id are lent by tree. Of a method that may be signed they are its own, or {"jws"} alone. */
struct command {
        const struct command_method *method;
        const struct json *params; /* an object; NULL where the request has none */
        const struct json *id;     /* text or integer; NULL: a notification, it gets no reply */
        struct json *tree;
};

/*
 * Reads one request. 0, or the (negative) code of enum command_code with err and, for mistakes in the params, errors filled: reply with
 * command_reply_error(). ret_command->id is valid also on failure as far as it could be read, so the caller always calls
 * command_deinit(). err and errors may be NULL.
 *
 * The members of a campaign document in params are not checked here but for being an object: campaign_document_read() does that.
 */
int command_read(const char *text, size_t size, struct command *ret_command, struct json_errors *errors, struct gw_error *err);
void command_deinit(struct command *command);
#define _cleanup_command_ _cleanup_(command_deinit)

/* The params of one method alone, as command_read() checks them. params NULL counts as {}. True: no mistake. */
bool command_params_check(const struct command_method *method, const struct json *params, struct json_errors *errors);

/* --- replies; all give one object that the caller writes with json_write() and frees. gateway (its id) may be NULL. --- */

/* result is taken over, also on failure; NULL: an empty object. -ENOMEM. */
int command_reply_result(const struct json *id, const char *gateway, struct json *result, struct json **ret_reply);

/*
 * code of enum command_code. err names the error (its text becomes message and data.text); advice (of the catalogue) and errors may
 * be NULL. An id that could not be read becomes null, as JSON-RPC says.
 *   {"jsonrpc":"2.0","id":1,"gateway":"pi-1","error":{"code":-32000,"message":"…",
 *    "data":{"name":"device-unknown","text":"…","advice":"…","errors":[{"path":"…","text":"…"}]}}}
 */
struct command_failure {
        enum command_code code;
        const struct gw_error *err;
        const char *advice;
        const struct json_errors *errors;
};
int command_reply_error(const struct json *id, const char *gateway, const struct command_failure *failure, struct json **ret_reply);

/* A message to a subscriber: method "event" or "progress". params is taken over, also on failure. */
int command_notification(const char *method, struct json *params, struct json **ret_message);

/* --- the client's side --- */

/* params is taken over, also on failure; NULL: none. */
int command_request(int64_t id, const char *method, struct json *params, struct json **ret_request);

/* What came back: exactly one of result, error and method (a notification). All lent by tree. */
struct command_reply {
        int64_t id;                /* -1: null, negative or a text */
        const char *gateway;       /* NULL */
        const struct json *result; /* an object */
        const char *method;
        const struct json *params;
        int64_t error_code;        /* 0: no error */
        struct gw_error error;     /* name and text; name "protocol-error" when the peer gave none */
        const char *error_advice;  /* NULL */
        const struct json *errors; /* array of {path, text}; NULL */
        struct json *tree;
};

/* -EBADMSG with err when it is neither a reply nor a notification, -ENOMEM. */
int command_reply_read(const char *text, size_t size, struct command_reply *ret_reply, struct gw_error *err);
void command_reply_deinit(struct command_reply *reply);
#define _cleanup_command_reply_ _cleanup_(command_reply_deinit)
